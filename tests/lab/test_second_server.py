# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safety rule 14: two servers never run on one data directory, whoever has it and however it is mounted; and what only
mounts it keeps no server down. As root beside the engine, and of an engine that is elsewhere (by TCP)."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError, UnprovenError
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.target import open_target
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.tree import judge
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.server.run import Moving, Server
from ansible_collections.oncall.postgresql.plugins.modules.server import WORK

from .driving import Engine, module
from .stack import Stack, docker, playbook, wait_for, write_inventory

DATA = "/var/lib/postgresql/data"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("second") as made:
        made.up()
        yield made
        made.start_server()
        made.wait_ready()
        assert made.sql("SELECT count(*) FROM items") == "1000"


@pytest.fixture(params=["beside the engine", "by TCP"])
def options(stack: Stack, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Of the target."""
    if request.param == "by TCP":
        with Engine(stack.work, tcp=True) as engine:
            yield {"docker_host": engine.docker_host}
    else:
        yield {}


@pytest.fixture(autouse=True)
def alone(stack: Stack) -> Iterator[None]:
    """The server is down; what a test has added is gone afterwards."""
    stack.stop()
    yield
    gone(stack)


def gone(stack: Stack) -> None:
    """Each ends as it should, so that the next one finds a sound cluster."""
    for name in stack.outside:
        docker("stop", "-t", "20", name)
        docker("rm", "-fv", name)
    stack.outside.clear()


def volume(stack: Stack) -> str:
    return stack.data().parent.name


def image(stack: Stack) -> str:
    return stack.environment["LAB_POSTGRES_IMAGE"]


def start(stack: Stack, **options: Any) -> dict[str, Any]:
    return module(stack, "server", state="started", **options)


def refused(stack: Stack, result: dict[str, Any], evidence: str) -> None:
    assert result["failed"] and result["cause"] == "directory_in_use" and not result.get("changed"), result
    assert re.search(evidence, " ".join(result["evidence"])), result["evidence"]
    assert re.search(evidence, result["msg"]) and "docker start" not in result["msg"], result["msg"]
    assert not stack.state()["Running"]


# --- who has it ------------------------------------------------------------------------------------------------------


def bind_mount(stack: Stack) -> None:
    server(stack, "-v", "%s:%s" % (stack.data(), DATA))


def parent(stack: Stack) -> None:
    server(stack, "-v", "%s:/srv" % stack.data().parent, "-e", "PGDATA=/srv/_data")


def link(stack: Stack) -> None:
    """The same place by another name."""
    place = stack.work / "link"
    if not place.is_symlink():
        place.symlink_to(stack.data())
    server(stack, "-v", "%s:%s" % (place, DATA))


def other_volume(stack: Stack) -> None:
    """A volume of its own that stands for the same directory."""
    name = stack.project + "_other"
    label = "com.docker.compose.project=" + stack.project
    device = ["-o", "type=none", "-o", "o=bind", "-o", "device=%s" % stack.data()]
    docker("volume", "create", "--label", label, *device, name)
    server(stack, "-v", "%s:%s" % (name, DATA))


def host_network_and_pids(stack: Stack) -> None:
    server(stack, "-v", "%s:%s" % (volume(stack), DATA), "--pid", "host", "-e", "POSTGRES_USER=postgres")


def idle(stack: Stack, *words: str) -> str:
    return stack.beside("--init", *words, image(stack), "sleep", "infinity")


def server(stack: Stack, *words: str) -> str:
    name = stack.beside(*words, image(stack))
    wait_for(lambda: "accepting" in docker("exec", name, "pg_isready", "-U", "postgres", check=False))
    return name


WAYS = [bind_mount, parent, link, other_volume, host_network_and_pids]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_a_start_is_refused_however_the_other_one_has_it(stack: Stack, way: Callable[[Stack], None]) -> None:
    way(stack)
    for check in (True, False):
        refused(stack, start(stack, check=check), "container %s runs PostgreSQL" % stack.outside[0])
    with Engine(stack.work, tcp=True) as engine:
        result = start(stack, docker_host=engine.docker_host)
        refused(stack, result, "container %s runs PostgreSQL" % stack.outside[0])


def test_a_process_of_the_host_is_named(stack: Stack, options: dict[str, Any]) -> None:
    """A server of no engine: only its files are a container's."""
    files = stack.inspect(idle(stack, "-v", "%s:%s" % (volume(stack), DATA)))["State"]["Pid"]
    program = docker("exec", stack.outside[0], "sh", "-c", "ls /usr/lib/postgresql/*/bin/postgres")
    owner = str(stack.data().stat().st_uid)
    argv = ["chroot", "--userspec=%s:%s" % (owner, owner), "/proc/%d/root" % files, program, "-D", DATA]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        lock = stack.data() / "postmaster.pid"
        wait_for(lambda: lock.exists() and "ready" in lock.read_text(), every=0.2)
        refused(stack, start(stack, **options), "pid %d of the host runs PostgreSQL" % process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_one_that_is_restarting_may_have_it_at_any_moment(stack: Stack, options: dict[str, Any]) -> None:
    mount = ["-v", "%s:%s" % (volume(stack), DATA), "--restart", "always", "--entrypoint", "false"]
    name = stack.beside(*mount, image(stack))
    wait_for(lambda: stack.inspect(name)["RestartCount"] >= 4)  # the pauses grow
    wait_for(lambda: stack.inspect(name)["State"]["Status"] == "restarting")
    refused(stack, start(stack, **options), "container %s may run PostgreSQL.*restarting" % name)


def test_a_process_of_the_host_is_not_ruled_out_where_it_cannot_be_seen(stack: Stack, options: dict[str, Any]) -> None:
    """Of a server that runs, on an engine elsewhere: nothing is claimed of it."""
    stack.start_server()
    stack.wait_ready()
    found = stack.triage(**options)
    unseen = found["facts"]["server"]["directory_unseen"]
    assert found["verdict"]["code"] == "healthy" and found["facts"]["server"]["directory_used_by"] == []
    assert bool(unseen) is bool(options), unseen
    assert ("not checked for servers on its data directory: processes" in found["path"][0]["detail"]) is bool(options)
    stack.stop()


# --- who only mounts it ----------------------------------------------------------------------------------------------


def test_what_runs_no_server_on_it_is_no_reason(stack: Stack, options: dict[str, Any]) -> None:
    """A backup that reads it, a file browser, a server of another directory, a container that is stopped."""
    mount = "%s:%s" % (volume(stack), DATA)
    idle(stack, "-v", mount + ":ro")
    idle(stack, "-v", mount)
    docker("stop", idle(stack, "-v", mount))
    other = ["-v", "%s:/srv" % volume(stack), "-e", "POSTGRES_PASSWORD=x"]  # it may write there, and works elsewhere
    server(stack, *other)
    result = start(stack, **options)
    assert not result["failed"] and result["state"] == "running", result
    verdict = stack.triage(**options)["verdict"]
    assert verdict["code"] == "healthy", verdict
    stack.stop()


# --- its pages --------------------------------------------------------------------------------------------------------


def test_its_checksums_are_read_in_a_toolbox_while_nobody_has_it(stack: Stack, options: dict[str, Any]) -> None:
    """Nothing is written, and a server that has it, on whatever engine, ends that."""
    tool = ["run", "--rm", "--user", "postgres", "--volumes-from", stack.name(), image(stack), "pg_checksums"]
    if "enabled" not in docker(*tool, "--enable", "-D", DATA, check=False):  # of the other way's run they are on
        docker(*tool, "--check", "-D", DATA)
    page = next(each for each in sorted(stack.data().glob("base/*/*")) if each.stat().st_size > 4 * 8192)
    sound = page.read_bytes()
    found = module(stack, "integrity_info", **options)
    told = {each["check"]: each for each in found["checks"]}
    assert (found["grade"], told["checksums"]["grade"]) == ("caution", "go"), found["checks"]
    try:
        page.write_bytes(sound[: 8192 + 5000] + b"\x5a\xa5" + sound[8192 + 5002 :])
        found = module(stack, "integrity_info", **options)
        told = {each["check"]: each for each in found["checks"]}
        assert (found["grade"], told["checksums"]["grade"]) == ("no_go", "no_go"), found["checks"]
        name = str(page.relative_to(stack.data()))
        assert told["checksums"]["evidence"] == ["%s: 1 page with a wrong checksum" % name]
    finally:
        page.write_bytes(sound)
    assert (
        docker("ps", "-aq", "--filter", "label=oncall.postgresql=toolbox", "--filter", "volume=%s" % volume(stack))
        == ""
    )
    bind_mount(stack)
    found = module(stack, "integrity_info", **options)
    told = {each["check"]: each for each in found["checks"]}
    assert told["checksums"]["grade"] is None and found["grade"] == "caution", told["checksums"]


# --- when ------------------------------------------------------------------------------------------------------------


def test_it_is_asked_again_in_the_moment_of_the_start(stack: Stack) -> None:
    """The other one comes between plan and start."""
    given = {**stack.target(), "state": "started"}
    given = ArgumentSpecValidator(**WORK.spec.arguments()).validate(given).validated_parameters
    target, procedure = open_target(given, "lab"), Server()
    try:
        plan = procedure.plan(procedure.read(target, given), given)
        assert plan.steps == ("start", "wait_ready")
        stack.second_server()
        with pytest.raises(RefusedError, match=r"Start refused: container .*-second-.* runs PostgreSQL") as raised:
            procedure.apply(target, plan)
        assert raised.value.details["cause"] == "directory_in_use"
    finally:
        target.close()
    assert not stack.state()["Running"] and stack.state()["ExitCode"] == 0


def test_it_is_asked_again_before_a_restart_starts_it(stack: Stack) -> None:
    """The other one comes while it is down: it stays down."""
    stack.start_server()
    stack.wait_ready()
    given = {**stack.target(), "state": "restarted"}
    given = ArgumentSpecValidator(**WORK.spec.arguments()).validate(given).validated_parameters
    target, procedure = open_target(given, "lab"), Server()
    try:
        moving = Moving(target, procedure.plan(procedure.read(target, given), given))
        moving._stop(ask=True)
        stack.second_server()
        with pytest.raises(UnprovenError, match=r"does not start again: container .*-second-.* runs") as raised:
            moving._start()
        assert raised.value.details["cause"] == "directory_in_use"
    finally:
        target.close()
    assert not stack.state()["Running"]


@pytest.mark.parametrize("ended", ["shut down", "killed"])
def test_one_that_no_process_shows_is_known_by_what_it_wrote(stack: Stack, options: dict[str, Any], ended: str) -> None:
    """It runs where neither the engine nor its host sees it. Its socket need not be asked: an engine says when our own
    server ended, and whoever runs since then has written a lock file and a control file of his own."""
    stack.start_server()
    stack.wait_ready()
    if ended == "killed":
        docker("kill", "-s", "QUIT", stack.name())  # to the postmaster: an immediate shutdown
    else:
        stack.stop()
    wait_for(lambda: not stack.state()["Running"])
    time.sleep(3)  # two clock readings of a second each
    stack.second_server()
    facts = stack.triage(**options)["facts"]
    assert facts["server"]["directory_used_by"]
    facts["server"]["directory_used_by"] = []
    verdict = judge(facts, Thresholds(), "lab")["verdict"]
    assert (verdict["code"], verdict["cause"], verdict["remedy"]) == ("server_down", "directory_in_use", None)
    said = " ".join(verdict["evidence"])
    assert "postmaster.pid is of a server started at" in said and 'control state "in production", written at' in said
    gone(stack)
    stack.start_server()  # after a crash it recovers, so that the next one finds a sound cluster
    stack.wait_ready()
    stack.stop()


def test_the_playbooks_refuse(stack: Stack) -> None:
    name = stack.second_server()
    inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
    before = stack.state()
    for verb in ("start", "graceful_restart"):
        done = playbook("oncall.postgresql." + verb, "-i", str(inventory))
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode, said
        assert "container %s" % name in said and "do not start it" in said, said
        assert "ansible-playbook oncall.postgresql.start" not in said
    assert stack.state() == before


def test_two_that_run_are_not_restarted(stack: Stack) -> None:
    stack.start_server()
    stack.wait_ready()
    name = stack.second_server()
    before = stack.state()["StartedAt"]
    result = module(stack, "server", state="restarted")
    assert result["failed"] and result["cause"] == "directory_in_use" and name in result["msg"], result
    assert "Two servers are running" in start(stack)["msg"]
    assert stack.state()["StartedAt"] == before


# --- what was left behind --------------------------------------------------------------------------------------------


def test_what_only_another_server_can_have_written(stack: Stack, options: dict[str, Any]) -> None:
    """It crashed, or it runs where nobody can see it (the directory is on a network share): a person has to know."""
    time.sleep(3)  # two clock readings of a second each
    name = stack.second_server()
    docker("kill", "-s", "QUIT", name)  # to the postmaster: an immediate shutdown
    wait_for(lambda: not stack.inspect(name)["State"]["Running"])
    (stack.data() / "postmaster.pid").unlink(missing_ok=True)
    result = start(stack, **options)
    refused(stack, result, 'control state "in production", written at')
    assert "oncall_acknowledged_causes" in result["msg"]
    done = start(stack, acknowledged_causes=["directory_in_use"], **options)
    assert not done["failed"], done
    stack.stop()
