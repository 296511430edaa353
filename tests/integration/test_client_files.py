# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a client's container: its secrets are read, and nothing of the host is, however it links."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client import client
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import ClientOption, Login
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.files import Files
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.runtime import ComposeRuntime
from tests.integration.containers import Project, docker, inspect, over_tcp, project, wait_for

HOSTS = "password-of-the-host"
OWN = "password-of-the-client"
# file0 -> file1 -> ... -> file40 -> the host's path: 41 links, one more than the kernel follows.
SCRIPT = """
set -e
trap 'exit 0' TERM
mkdir /tmp/inside
printf '%s\\n' "$OWN" > /tmp/inside/password
ln -s inside /tmp/data
ln -s data/password /tmp/password
ln -s "$HOST/secret" /tmp/direct
ln -s "../../../../../../../../../../$HOST/secret" /tmp/climbing
mkfifo /tmp/fifo
for name in file directory; do
  number=0
  while [ "$number" -lt 40 ]; do ln -s "/tmp/$name$((number + 1))" "/tmp/$name$number"; number=$((number + 1)); done
done
ln -s "$HOST/secret" /tmp/file40
ln -s "$HOST" /tmp/directory40
ln -s loop /tmp/loop
echo ready
sleep 1000 & wait
"""
ESCAPES = (
    "/tmp/file0",
    "/tmp/directory0/secret",
    "/tmp/direct",
    "/tmp/climbing",
    "/tmp/loop",
    "/tmp/fifo",
    "/proc/1/root/../../../../{host}/secret",
    "/../../../..{host}/secret",
    "/dev/zero",
    "/tmp",
)


@pytest.fixture(scope="module")
def host() -> Iterator[Path]:
    """A directory of this host with a secret in it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "secret").write_text(HOSTS)
        (place / "mounted").write_text(OWN + "\n")
        (place / "pgpass").write_text("# of the client\npostgres:5432:*:postgres:%s\n" % OWN)
        yield place


@pytest.fixture(scope="module")
def made(host: Path) -> Iterator[Project]:
    """``api`` runs, ``worker`` is the same and stopped. Both have a password by file, as Docker's secrets are."""
    with project() as one:
        options = ["--entrypoint", "sh", "-e", "HOST=%s" % host, "-e", "OWN=" + OWN]
        for name in ("mounted", "pgpass"):
            options += ["-v", "%s:/run/secrets/%s:ro" % (host / name, name)]
        options += ["-e", "DB_HOST=postgres", "-e", "DB_PASSWORD_FILE=/run/secrets/mounted"]
        for service in ("postgres", "api", "worker"):
            name = one.run(service, "api", *options, command=("-c", SCRIPT))
            wait_for(lambda name=name: "ready" in docker("logs", name))  # type: ignore[misc]
            setattr(one, service, name)
        docker("stop", "-t", "2", one.worker)  # type: ignore[attr-defined]
        yield one


@pytest.fixture(params=["beside", "remote", "stopped"])
def files(request: pytest.FixtureRequest, made: Any) -> Iterator[Files]:
    """By /proc; by the engine's archive of a container that runs; of one that is stopped."""
    with over_tcp() as address:
        runtime = ComposeRuntime(made.name, docker_host=address if request.param == "remote" else None)
        view = runtime.view(Deadline(10))
        inspected = inspect(made.worker if request.param == "stopped" else made.api)
        assert (view.enterable(inspected) is not None) == (request.param == "beside")
        yield Files(view, inspected, Deadline(10))
        runtime.close()


@pytest.mark.parametrize(
    "path", ["/run/secrets/mounted", "/tmp/../run/secrets/mounted", "/tmp/password", "/tmp/data/password"]
)
def test_its_own_files_are_read(files: Files, path: str) -> None:
    assert (files.read(path) or "").strip() == OWN
    assert files.problems == {}


@pytest.mark.parametrize("path", ESCAPES)
def test_nothing_of_the_host_is_read(files: Files, host: Path, path: str) -> None:
    place = path.format(host=host)
    assert not files.read(place), place
    assert HOSTS not in str(files.problems)


def test_the_chain_does_lead_to_the_hosts_file(made: Any, host: Path) -> None:
    """So that the test above can fail: followed to the end without a limit, the links name that file."""
    end = docker("exec", made.api, "readlink", "/tmp/file40")
    assert Path(end).read_text() == HOSTS and Path(end).parent == host


@pytest.mark.parametrize("where", ["beside", "remote"])
@pytest.mark.parametrize("service", ["api", "worker"])
def test_the_login_has_the_secret(made: Any, where: str, service: str) -> None:
    with over_tcp() as address:
        runtime = ComposeRuntime(
            made.name, clients=[ClientOption(service)], docker_host=address if where == "remote" else None
        )
        (found,) = runtime.clients()
        assert found.login is not None and found.own_login is not None
        assert (found.login.password, found.login.source) == (OWN, "DB_*")
        assert OWN not in repr(found.login)
        runtime.close()


def test_a_socket_of_the_host_is_not_reached(made: Any, host: Path) -> None:
    """A client that says that its database's socket is where its links lead: to a server of the host."""
    asked = threading.Event()
    with socket.socket(socket.AF_UNIX) as listening:
        address = str(host / ".s.PGSQL.5432")
        listening.bind(address)
        listening.listen()

        def accept() -> None:
            while True:
                try:
                    listening.accept()[0].close()
                except OSError:
                    return
                asked.set()

        threading.Thread(target=accept, daemon=True).start()
        root = "/proc/%d/root" % inspect(made.api)["State"]["Pid"]
        for directory in ("/tmp/directory0", "/tmp/directory40", str(host)):
            login = Login(directory, 5432, "postgres", "postgres", password="x")
            found = client.examine_login(login, root, Deadline(5))
            assert found["startup"]["outcome"] in ("missing", "unreachable"), directory
            assert found["attempt"]["succeeded"] is False
        assert not asked.wait(0.2)
        with socket.socket(socket.AF_UNIX) as here:  # it can be reached at all
            here.connect(address)
        assert asked.wait(5)
