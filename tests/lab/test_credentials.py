# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new password on the real stack: in the server, in .env and with the API; or everything as it was.

The project lives in a directory of its own, with a ``.env`` that Compose reads, as people have it.
"""

from __future__ import annotations

import contextlib
import re
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .env_project import Project, state
from .looks import containers
from .stack import (
    ADMIN_PASSWORD,
    PASSWORD,
    docker,
    run,
    wait_for,
)

OTHER = "somebody-Elses-4713"


class Watch:
    """Every argument list and environment on this machine, and every toolbox, while something runs."""

    def __init__(self) -> None:
        self.seen: dict[str, None] = {}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._look, args=(one,)) for one in (self._processes, self._toolboxes)]

    def _look(self, once: Callable[[], None]) -> None:
        while not self._stop.is_set():
            once()
            self._stop.wait(0.05)

    def _processes(self) -> None:
        for place in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (place / "cmdline").read_bytes().decode("utf-8", "replace")
                environment = (place / "environ").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            self.seen[arguments] = None
            if "docker" in arguments or "psql" in arguments or "ansible" in arguments:
                self.seen[environment] = None

    def _toolboxes(self) -> None:
        found = docker("ps", "-aq", "--filter", "label=oncall.postgresql", check=False).split()
        if found:
            self.seen[docker("inspect", *found, check=False)] = None

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    stack = Project(*getattr(request, "param", ()))
    with stack:
        stack.up(scale=2 if stack.key == "DATABASE_URL" else 1)
        stack.sql("ALTER SYSTEM SET log_statement = 'all'; ")
        stack.sql("ALTER SYSTEM SET log_min_duration_statement = 0")
        stack.reload()
        yield stack


def task(done: subprocess.CompletedProcess[str], word: str) -> str:
    """The part of the output that the module's task wrote."""
    found = re.search(r"TASK \[[^\n]*%s.*?(?=\nTASK \[|\nPLAY RECAP)" % word, done.stdout, re.DOTALL)
    assert found, done.stdout
    return found.group()


@pytest.mark.parametrize("project", [(".env", "LAB_PASSWORD"), ("api.env", "DATABASE_URL")], indirect=True)
def test_a_new_password_everywhere_and_a_secret_nowhere(project: Project) -> None:
    before, replicas, container = state(project), project.names("api"), project.inspect(project.name("api"))["Id"]
    project.sql("ALTER ROLE app PASSWORD '%s'" % OTHER)  # somebody changed one side only
    assert project.triage()["verdict"]["cause"] == "wrong_password"
    with Watch() as watch:
        done = project.reset()
    assert done.returncode == 0, done.stdout + done.stderr

    new = project.api_password()
    assert re.fullmatch(r"[A-Z][\w-]{42}", new)
    assert project.inspect(project.name("api"))["Id"] != container
    assert project.names("api") == replicas
    wait_for(project.healthy)
    now = state(project)
    assert now["env"] == before["env"].replace(PASSWORD.encode(), new.encode()) != before["env"]
    assert (now["mode"], now["beside"]) == (before["mode"], before["beside"])
    assert project.sql("SELECT count(*) FROM items") == "1000"
    assert project.triage()["verdict"]["code"] == "healthy"

    said = task(done, "Carry out")
    assert '"recreated": [\n' in said and '"succeeded": true' in said and '"method": "scram-sha-256"' in said
    assert "SCRAM-SHA-256$4096:" not in project.logs(), "a verifier is in the server's log"
    for secret in (new, PASSWORD, ADMIN_PASSWORD, OTHER, now["verifier"].split(" ")[0]):
        assert secret not in done.stdout + done.stderr, "in the output"
        assert secret not in project.reports(), "in the report"
    assert new not in project.logs(), "in the server's log"
    own = [text for text in watch.seen if "DATABASE_URL=" not in text]  # the API's own environment
    assert not [text[:80] for text in own if new in text], "in an argument list, an environment or a toolbox"
    assert any("--force-recreate" in text for text in watch.seen), "the watch saw nothing"

    again = project.reset(oncall_password=new)
    assert again.returncode == 0, again.stdout
    assert '"changed": false' in task(again, "Carry out")
    assert state(project) == now


def test_the_clients_own_password(project: Project) -> None:
    """What the verdict of a wrong password recommends; no client is touched."""
    before, running = state(project), containers(project)
    project.sql("ALTER ROLE app PASSWORD '%s'" % OTHER)
    remedy = project.triage()["verdict"]["remedy"]
    assert remedy["playbook"] == "oncall.postgresql.credentials_reset"
    done = project.reset(oncall_env_file=None, oncall_env_keys=None, **remedy["extra_vars"])
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(project.healthy)
    assert containers(project) == running
    assert {**state(project), "verifier": ""} == {**before, "verifier": ""}
    assert project.triage()["verdict"]["code"] == "healthy"
    assert PASSWORD not in done.stdout + done.stderr + project.reports()
    again = project.reset(oncall_env_file=None, oncall_env_keys=None, **remedy["extra_vars"])
    assert '"changed": false' in task(again, "Carry out")


def test_check_mode_changes_nothing_and_says_the_same(project: Project) -> None:
    before, running = state(project), containers(project)
    wait_for(project.healthy)
    planned = [project.reset("--check"), project.reset(oncall_plan=True)]
    assert (state(project), containers(project)) == (before, running)
    real = project.reset()
    assert real.returncode == 0, real.stdout
    for done in planned:
        assert done.returncode == 0, done.stdout
        assert diff_of(done) == diff_of(real)
    assert state(project) != before


def diff_of(done: subprocess.CompletedProcess[str]) -> str:
    found = re.search(r"--- before\n\+\+\+ after\n.*?\n\n", task(done, "Carry out"), re.DOTALL)
    assert found, done.stdout
    return found.group()


def test_a_read_only_file_is_refused_before_anything_is_touched(project: Project) -> None:
    place = project.directory
    run(["mount", "--bind", str(place), str(place)])
    run(["mount", "-o", "remount,bind,ro", str(place)])
    try:
        before, running = state(project), containers(project)
        done = project.reset()
        assert done.returncode
        assert "is read-only here" in task(done, "Carry out")
        assert (state(project), containers(project)) == (before, running)
    finally:
        run(["umount", str(place)])


@pytest.fixture
def small(project: Project) -> Iterator[Path]:
    """``.env`` is a link to a file on a disk of 256 KiB."""
    place = project.work / "small"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=256k", "oncall-lab", str(place)])
    try:
        (place / ".env").write_bytes(project.env.read_bytes())
        project.env.unlink()
        project.env.symlink_to(place / ".env")
        yield place
        assert project.env.is_symlink()
        assert [one.name for one in place.iterdir()] == [".env"]
    finally:
        run(["umount", "-l", str(place)])


def fill(place: Path) -> None:
    with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_full_disk_is_refused_before_anything_is_touched(project: Project, small: Path) -> None:
    before, running = state(project), containers(project)
    fill(small)
    done = project.reset()
    (small / "filler").unlink()
    assert done.returncode and "is full (0 bytes free" in task(done, "Carry out")
    assert (state(project), containers(project)) == (before, running)


def altering() -> bool:
    """A server on this machine changes a role, by its process title: its log does not say so."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"ALTER ROLE" in file.read_bytes():
                return True
    return False


def test_a_disk_that_gets_full_while_the_file_is_written(project: Project, small: Path) -> None:
    """A lock holds the role's change up until the disk has been filled: after the pre-flight, before the file."""
    before, running = state(project), containers(project)
    project.session("BEGIN; LOCK TABLE pg_authid IN EXCLUSIVE MODE;", user="postgres")
    holder = project.sessions()[-1]

    def interfere() -> None:
        wait_for(altering, 100, 0.01)
        fill(small)
        assert holder.stdin
        holder.stdin.write("COMMIT;\n")
        holder.stdin.flush()

    thread = threading.Thread(target=interfere)
    thread.start()
    done = project.reset()
    thread.join()
    (small / "filler").unlink()
    said = task(done, "Carry out")
    assert done.returncode and "could not be written: No space left on device; it is unchanged" in said, said
    assert "restored: the password of role app" in said
    assert (state(project), containers(project)) == (before, running)


def test_a_file_that_compose_cannot_read_is_not_quoted(project: Project) -> None:
    with open(project.env, "a") as file:
        file.write("BROKEN='tail-Secret-4714\n")
    before, running = state(project), containers(project)
    done = project.reset()
    assert done.returncode and "unterminated" in task(done, "Carry out")
    assert "tail-Secret" not in done.stdout + done.stderr
    assert (state(project), containers(project)) == (before, running)


def test_a_password_that_does_not_let_in_is_put_back(project: Project) -> None:
    before, rules = state(project), (project.data() / "pg_hba.conf").read_text()
    version = "SELECT xmin FROM pg_authid WHERE rolname = 'app'"
    row = project.sql(version)
    project.hba("host all app all reject", "host all all all scram-sha-256")
    project.reload()
    done = project.reset()
    assert done.returncode
    said = task(done, "Carry out")
    assert "could not be verified" in said and "restored: the password of role app" in said
    assert '"not_put_back": []' in said and "SQLSTATE 28000" in said
    assert state(project) == before
    assert project.sql(version) != row, "the role was never changed"
    (project.data() / "pg_hba.conf").write_text(rules)
    project.reload()
    wait_for(project.healthy)


def test_files_that_would_make_another_container_are_refused(project: Project) -> None:
    """Somebody has edited the Compose file, and brought nothing up yet: that is not ours to do."""
    before = state(project)
    wait_for(project.healthy)
    text = (project.directory / "compose.yml").read_text()
    (project.directory / "compose.yml").write_text(text.replace("APPLICATION_NAME: api", "APPLICATION_NAME: other"))
    done = project.reset()
    assert done.returncode
    assert "do not match the existing container of api (environment APPLICATION_NAME)" in done.stdout
    assert state(project) == before and project.healthy()


def test_without_compose_or_its_files_nothing_is_touched(project: Project) -> None:
    before, running = state(project), containers(project)
    tools = project.work / "bin"
    tools.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if not tool.name.startswith("docker"):
            (tools / tool.name).symlink_to(tool)
    done = project.reset(path=str(tools))
    assert done.returncode and "Compose v2 is not installed here" in task(done, "Carry out")
    (project.directory / "compose.yml").rename(project.work / "compose.yml")
    done = project.reset()
    assert done.returncode and "cannot read %s/compose.yml" % project.directory in task(done, "Carry out")
    assert {**state(project), "beside": before["beside"]} == before
    assert containers(project) == running


def test_an_expired_password_needs_a_new_end(project: Project) -> None:
    project.sql("ALTER ROLE app VALID UNTIL '2020-01-01'")
    before = state(project)
    done = project.reset()
    assert done.returncode and "expired at 2020-01-01" in done.stdout
    assert state(project) == before
    done = project.reset(oncall_valid_until="infinity")
    assert done.returncode == 0, done.stdout
    assert project.verifier().endswith(" infinity")
    wait_for(project.healthy)
    assert stat.S_IMODE(project.env.stat().st_mode) == 0o640
