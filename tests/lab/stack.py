# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Compose project like the runbook's: ``postgres``, and ``api`` that uses it.

    with Stack("lab") as stack:          # containers, network, volume; gone afterwards
        stack.sql("ALTER ROLE app NOLOGIN")
        stack.call("leak", connections=27)
        stack.triage()["verdict"]

``override`` is merged over ``compose/compose.yml`` by Compose itself. Runs as root beside a local engine: faults reach
into namespaces and volumes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .images import image

FILES = Path(__file__).resolve().parent / "compose"
ADMIN_PASSWORD, PASSWORD = "admin-Secret-4711", "app-Secret-4712"
SECRETS = (ADMIN_PASSWORD, PASSWORD)
SEED = (
    """
CREATE ROLE app LOGIN PASSWORD '%s';
CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items SELECT n, 'item ' || n FROM generate_series(1, 1000) n;
GRANT ALL ON items TO app;
"""
    % PASSWORD
)


def run(
    argv: Sequence[str], check: bool = True, timeout: float = 180, **kwargs: Any
) -> subprocess.CompletedProcess[str]:
    """A command whose failure is an AssertionError with what it said."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout, **kwargs)
    if check and done.returncode:
        raise AssertionError("%s: %s\n%s" % (" ".join(argv), done.stderr.strip(), done.stdout.strip()))
    return done


def docker(*words: str, check: bool = True, stdin: str | None = None) -> str:
    return run(["docker", *words], check=check, input=stdin).stdout.strip()


def wait_for(what: Callable[[], Any], seconds: float = 120, every: float = 0.05) -> Any:
    """What ``what`` gives as soon as it is true; AssertionError after ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, "waited %s s in vain for %s" % (seconds, what)
        time.sleep(every)


@functools.cache
def compose_command() -> tuple[str, ...]:
    """``docker compose`` or ``docker-compose``, whichever is Compose v2."""
    for words in (("docker", "compose"), ("docker-compose",)):
        with contextlib.suppress(FileNotFoundError):
            said = run([*words, "version", "--short"], check=False).stdout.strip().lstrip("v")
            if said and int(said.split(".")[0]) >= 2:
                return words
    raise AssertionError("Compose v2 is missing; run scripts/install-docker.sh")


class Stack:
    """One Compose project, whose name begins with ``project`` and is nobody else's on this engine. ``server`` and
    ``client`` are the names of its services."""

    def __init__(
        self,
        project: str = "lab",
        version: str = "17",
        api: str = "api",
        file: str = "compose.yml",
        server: str = "postgres",
        client: str = "api",
    ) -> None:
        self.project, self.server, self.client = "%s-%s" % (project, uuid.uuid4().hex[:8]), server, client
        self.work = Path(tempfile.mkdtemp(prefix="oncall-lab-"))
        self.work.chmod(0o755)
        self._file = FILES / file
        self._mounts: list[Path] = []
        self._others: list[subprocess.Popen[str]] = []
        self.outside: list[str] = []
        self.environment = {
            "LAB_POSTGRES_IMAGE": image("postgres:" + version),
            "LAB_API_IMAGE": image(api),
            "LAB_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "LAB_PASSWORD": PASSWORD,
        }
        self.options: dict[str, Any] = {}  # over the default oncall_target

    # --- life ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, what: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.down()
        shutil.rmtree(self.work, ignore_errors=True)

    def compose(self, *words: str, override: Mapping[str, Any] | str | None = None, check: bool = True) -> str:
        files = ["-f", str(self._file)]
        if override:
            file = self.work / "override.yml"
            file.write_text(override if isinstance(override, str) else json.dumps(override))
            files += ["-f", str(file)]
        argv = [*compose_command(), "-p", self.project, "--project-directory", str(FILES), *files, *words]
        return run(argv, check=check, env={**os.environ, **self.environment}).stdout

    def up(self, override: Mapping[str, Any] | str | None = None, scale: int = 1) -> None:
        """Everything started, the database seeded, the API answering."""
        self.start(override, scale)
        self.wait_ready()
        self.sql(SEED)
        self.wait_api()

    def start(self, override: Mapping[str, Any] | str | None = None, scale: int = 1) -> None:
        scaling = ["--scale", "%s=%d" % (self.client, scale)] if scale != 1 else []
        self.compose("up", "-d", "--no-build", "--quiet-pull", *scaling, override=override)

    def down(self) -> None:
        for process in self._others:
            process.kill()
            process.wait()
        self._others.clear()
        label = "label=com.docker.compose.project=" + self.project
        found = docker("ps", "-aq", "--filter", label).split() + self.outside
        self.outside.clear()
        if found:
            docker("unpause", *found, check=False)
            docker("rm", "-fv", *found)
        for network in docker("network", "ls", "-q", "--filter", label).split():
            docker("network", "rm", network)
        for volume in docker("volume", "ls", "-q", "--filter", label).split():
            docker("volume", "rm", volume)
        for mount in self._mounts:
            run(["umount", "-l", str(mount)])
        self._mounts.clear()

    def wait_ready(self) -> None:
        """The server answers SQL, by TCP: while a first start prepares the cluster it is not there yet."""
        argv = ["docker", "exec", self.name(), "psql", "-XAtq", "-h", "127.0.0.1", "-U", "postgres", "-c", "SELECT 1"]
        wait_for(lambda: run(argv, check=False).returncode == 0)

    def wait_api(self) -> None:
        for name in self.names(self.client):
            wait_for(functools.partial(self._answers, name))

    def _answers(self, name: str) -> bool:
        try:
            with urllib.request.urlopen("http://%s:8000/docs" % self.address(name), timeout=2):
                return True
        except (OSError, urllib.error.URLError):
            return False

    # --- what is there ------------------------------------------------------------------------------------------------

    def names(self, service: str) -> list[str]:
        filters = ["--filter", "label=com.docker.compose.project=" + self.project]
        filters += ["--filter", "label=com.docker.compose.service=" + service]
        return sorted(docker("ps", "-a", "--format", "{{.Names}}", *filters).split())

    def name(self, service: str = "") -> str:
        found = self.names(service or self.server)
        assert found, "%s has no container of %s" % (self.project, service or self.server)
        return found[0]

    def inspect(self, name: str = "") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", name or self.name()))[0]
        return found

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.inspect()["State"]
        return state

    def pid(self, service: str = "") -> int:
        """The host's number of a container's first process."""
        return int(self.inspect(self.name(service))["State"]["Pid"])

    def address(self, name: str) -> str:
        networks = self.inspect(name)["NetworkSettings"]["Networks"]
        return next((str(one["IPAddress"]) for one in networks.values() if one["IPAddress"]), "")

    def network(self) -> str:
        return self.project + "_default"

    def data(self) -> Path:
        """The data directory as the host sees it."""
        for mount in self.inspect()["Mounts"]:
            if mount["Destination"] == "/var/lib/postgresql/data":
                return Path(mount["Source"])
        raise AssertionError("no data directory is mounted")

    def log(self) -> str:
        """What the server has said so far."""
        return run(["docker", "logs", self.name()]).stderr

    # --- to act -------------------------------------------------------------------------------------------------------

    def execute(self, *argv: str, service: str = "", user: str = "root", check: bool = True, stdin: str = "") -> str:
        return docker("exec", "-i", "-u", user, self.name(service), *argv, check=check, stdin=stdin)

    def sql(self, text: str, database: str = "shop", check: bool = True) -> str:
        """As the superuser, through the socket; the password is not needed there."""
        argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-f", "-"]
        return self.execute(*argv, user="postgres", check=check, stdin=text)

    def session(self, text: str, database: str = "shop", user: str = "app") -> None:
        """SQL in a session of its own that stays until the stack goes down."""
        argv = ["docker", "exec", "-i", "-u", "postgres", self.name(), "psql", "-XAtq", "-U", user, "-d", database]
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdin
        process.stdin.write(text + "\n")
        process.stdin.flush()
        self._others.append(process)

    def call(self, fault: str, replica: int = 0, **arguments: Any) -> dict[str, Any]:
        """Have the API misbehave: leak, transaction, load, release."""
        address = self.address(self.names(self.client)[replica])
        query = urllib.parse.urlencode(arguments)
        request = urllib.request.Request("http://%s:8000/fault/%s?%s" % (address, fault, query), method="POST")
        with urllib.request.urlopen(request, timeout=30) as reply:
            said: dict[str, Any] = json.load(reply)
            return said

    def netns(self, *argv: str, service: str = "") -> str:
        """A command of the host in a container's network namespace."""
        return run(["nsenter", "-n", "-t", str(self.pid(service)), *argv]).stdout

    def configure(self, *lines: str) -> None:
        """Lines at the end of postgresql.conf."""
        with open(self.data() / "postgresql.conf", "a") as file:
            file.write("".join(line + "\n" for line in lines))

    def hba(self, *lines: str) -> None:
        """Instead of pg_hba.conf's lines for the network; those for the socket and 127.0.0.1 stay."""
        file = self.data() / "pg_hba.conf"
        kept = [line for line in file.read_text().splitlines() if not line.startswith("host all all all")]
        file.write_text("\n".join([*kept, *lines]) + "\n")

    def reload(self) -> None:
        """Until the postmaster has begun with it, which is in its own time; it lets nobody in before it has ended."""
        before = self.log().count("SIGHUP")
        self.sql("SELECT pg_reload_conf()")
        wait_for(lambda: self.log().count("SIGHUP") > before)
        self.sql("SELECT 1", check=False)

    def beside(self, *words: str) -> str:
        """``docker run`` of a container that is of no project; gone with the stack."""
        name = "%s-second-%d" % (self.project, len(self.outside))
        self.outside.append(name)
        docker("run", "-d", "--name", name, *words)
        return name

    def second_server(self, *words: str) -> str:
        """Another container with a live server on the data directory."""
        volume = "%s:/var/lib/postgresql/data" % self.data().parent.name
        name = self.beside("-v", volume, *words, self.environment["LAB_POSTGRES_IMAGE"])
        wait_for(lambda: "accepting" in docker("exec", name, "pg_isready", "-U", "postgres", check=False))
        return name

    def restart(self) -> None:
        docker("restart", "-t", "5", self.name())
        self.wait_ready()

    def stop(self) -> None:
        docker("stop", "-t", "10", self.name())

    def start_server(self, check: bool = True) -> None:
        docker("start", self.name(), check=check)

    def wait_exited(self) -> None:
        wait_for(lambda: self.state()["Status"] == "exited")

    def small_disk(self, mebibytes: int) -> Path:
        """A file system of its own for the data directory: full is full."""
        place = self.work / ("disk%d" % len(self._mounts))
        place.mkdir()
        run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0755" % mebibytes, "oncall-lab", str(place)])
        self._mounts.append(place)
        return place

    # --- to ask -------------------------------------------------------------------------------------------------------

    def target(self, **options: Any) -> dict[str, Any]:
        client = {
            "service": self.client,
            "application_name": "api",
            "health_url": "http://localhost:8000/api/v1/db/health",
        }
        defaults = {
            "runtime": "compose",
            "project": self.project,
            "service": self.server,
            "clients": [client],
            "blocked_seconds": 1,
            "long_query_seconds": 1.5,
            "free_disk_gib": 0.01,
        }
        return {**defaults, **self.options, **options}

    def triage(self, **options: Any) -> dict[str, Any]:
        """The result of the real playbook for this stack."""
        inventory = write_inventory(self.work, {"lab": {"oncall_target": self.target(**options)}})
        reports = self.work / "reports"
        done = playbook("oncall.postgresql.triage", "-i", str(inventory), "-e", "oncall_report_dir=%s" % reports)
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, Any] = json.loads((reports / "lab.json").read_text())
        for secret in SECRETS:
            assert secret not in done.stdout + json.dumps(result), "a secret is in the output"
        return result


def write_inventory(directory: Path, hosts: Mapping[str, Mapping[str, Any]]) -> Path:
    """An inventory of local hosts in the group ``postgresql``."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    file = directory / "inventory.json"
    file.write_text(json.dumps({"postgresql": {"hosts": {name: {**here, **values} for name, values in hosts.items()}}}))
    return file


def ansible(command: str, *words: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """An Ansible command, of the directory in ``ONCALL_ANSIBLE_BIN`` or of the virtualenv that runs the tests."""
    program = Path(os.environ.get("ONCALL_ANSIBLE_BIN") or Path(sys.executable).parent) / command
    assert program.exists(), "%s is missing; run make dev, or correct ONCALL_ANSIBLE_BIN" % program
    settings = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOST_KEY_CHECKING": "0", "ANSIBLE_LOCALHOST_WARNING": "0"}
    home = Path(__file__).resolve().parents[2] / "build" / "home"  # procedures keep what they saw there
    home.mkdir(parents=True, exist_ok=True)
    settings["HOME"] = str(home)
    return run([str(program), *words], check=False, timeout=timeout, env={**os.environ, **settings, **environment})


def playbook(*words: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    return ansible("ansible-playbook", *words, timeout=timeout, **environment)
