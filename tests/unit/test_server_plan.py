# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a server may be stopped or started, and when it is refused: pure decisions, as tables."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Dict, Mapping, Optional, Tuple

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.checks import running
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Facts
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.server.outcome import held_by, holders
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.server.plan import Reading, Wanted, decide

from .facts import (
    AUXILIARY,
    DATA,
    GIB,
    MIB,
    Alter,
    control,
    disk,
    down,
    hba,
    healthy,
    log,
    no_sql,
    process,
    set_activity,
    set_configured,
    set_directory,
    set_rules,
    set_server,
    set_wire,
    wire,
)
from .faults import lock

RESTART = ("checkpoint", "stop", "start", "wait_ready")
START = ("start", "wait_ready")
CLEAN = {"control": control("shut down"), "exit_code": 0}
STARTING = wire("socket", "/var/run/postgresql/.s.PGSQL.5432", "rejecting", "57P03", "starting up")


def preflight(**values: Any) -> Dict[str, Any]:
    nothing = {"backups": [], "exclusive_backup": False, "transactions": [], "missing_libraries": [], "waiting": []}
    nothing["checkpoint_at"] = "2026-11-24T01:55:00Z"
    return {"started_at": "2026-11-24T01:00:00+00:00", **nothing, **values}


TRANSACTION = {
    "pid": 4711,
    "user": "etl",
    "database": "shop",
    "application": "nightly",
    "state": "active",
    "transaction_seconds": 4000.0,
    "query": "INSERT ...",
}
BACKUP = {"pid": 4712, "application": "pg_basebackup", "phase": "streaming database files"}


ALTERED = MappingProxyType({"Shared_Buffers": "500GB", "work_mem": "8MB", "primary_conninfo": "host=db1"})


def reading(
    *alterations: Alter,
    obstacle: Optional[str] = None,
    altered: Optional[Mapping[str, str]] = ALTERED,
    **values: Any,
) -> Reading:
    facts = healthy(*alterations)
    asked = preflight(**values) if facts["snapshot"] else None
    error = None if asked else "connection refused"
    return Reading(facts, Thresholds(), obstacle, asked, error, altered=altered)


def shutting_down(facts: Facts) -> None:
    no_sql("57P03", "the database system is shutting down")(facts)
    set_wire(wire("socket", "/var/run/postgresql/.s.PGSQL.5432", "rejecting", "57P03", "shutting down"))(facts)
    set_server(lock_file=lock(status="stopping"))(facts)


def starting(facts: Facts) -> None:
    no_sql("57P03", "the database system is starting up")(facts)
    set_wire(STARTING)(facts)
    set_server(lock_file=lock(status="starting"))(facts)


@pytest.mark.parametrize(
    ("alterations", "state", "steps"),
    [
        pytest.param((), "started", (), id="runs already"),
        pytest.param((), "stopped", ("checkpoint", "stop"), id="stop"),
        pytest.param((), "restarted", RESTART, id="restart"),
        pytest.param((down(**CLEAN),), "started", START, id="start"),
        pytest.param((down(**CLEAN),), "stopped", (), id="down already"),
        pytest.param((down(**CLEAN),), "restarted", START, id="restart of one that is down"),
        pytest.param((down(exit_code=137, lock_file=lock()),), "started", START, id="killed"),
        pytest.param((starting,), "started", ("wait_ready",), id="starts up already"),
        pytest.param((shutting_down,), "started", ("wait_stopped", *START), id="being shut down by somebody"),
        pytest.param((shutting_down,), "stopped", ("stop",), id="being shut down, wanted"),
        pytest.param((shutting_down,), "restarted", ("stop", *START), id="a restart that was interrupted"),
        pytest.param(
            (down(exit_code=1, log=[log("PANIC: no space", "disk_full", "PANIC")]),), "started", START, id="disk freed"
        ),
        pytest.param(
            (
                down(
                    exit_code=1,
                    log=[log("FATAL: invalid value", "invalid_configuration")],
                    configuration={"valid": True, "message": None},
                ),
            ),
            "started",
            START,
            id="setting corrected",
        ),
    ],
)
def test_steps(alterations: Tuple[Alter, ...], state: str, steps: Tuple[str, ...]) -> None:
    plan = decide(reading(*alterations), Wanted(state))
    assert plan.steps == steps
    assert plan.changes is any(step in ("stop", "start") for step in steps)
    assert (plan.before == plan.after) is not plan.changes


@pytest.mark.parametrize(
    ("alterations", "text"),
    [
        pytest.param((down(disks=[disk(190 * MIB, 0)]),), "its disk is full.*never anything in", id="full disk"),
        pytest.param(
            (down(control=control("in production", crc_ok=False)),), "data is damaged.*touch nothing", id="pg_control"
        ),
        pytest.param(
            (down(exit_code=1, log=[log("PANIC: could not locate", "data_corruption", "PANIC")]),),
            "data is damaged",
            id="damage that only the log tells",
        ),
        pytest.param(
            (down(configuration={"valid": False, "message": 'invalid value for parameter "port"'}),),
            "rejects its configuration.*parameter .port.",
            id="bad setting",
        ),
        pytest.param((down(), set_directory(mode="0777")), "chmod 0700.*mode is 0777", id="mode"),
        pytest.param((down(nofile_soft=20),), "open-file limit is too low: raise it", id="files"),
        pytest.param(
            (down(exit_code=137, out_of_memory=True),),
            "memory limit.*oncall_acknowledged_causes.*out_of_memory",
            id="memory",
        ),
        pytest.param((down(lock_file=lock(pid=77, pid_alive=True)),), "names pid 77", id="lock file"),
        pytest.param(
            (down(log=[log("FATAL: something else")]),),
            "the reason in its log: FATAL: .*oncall_acknowledged_causes.*unknown",
            id="unknown",
        ),
        pytest.param(
            (down(**CLEAN), set_directory(entries=0, version=None)), "is empty.*volume mounted", id="empty directory"
        ),
        pytest.param(
            (down(**CLEAN), set_directory(exists=False, entries=None, version=None)), "does not exist", id="none"
        ),
        pytest.param(
            (down("missing", None, control=None, data_directory=None, disks=[]),), "create it from", id="no container"
        ),
        pytest.param((set_server(state="paused"), no_sql()), "is paused", id="paused"),
        pytest.param((set_server(postmaster_state="T"), no_sql()), "kill -CONT", id="frozen"),
    ],
)
@pytest.mark.parametrize("state", ["started", "restarted"])
def test_what_is_not_started(alterations: Tuple[Alter, ...], text: str, state: str) -> None:
    with pytest.raises(RefusedError, match=text):
        decide(reading(*alterations), Wanted(state))


@pytest.mark.parametrize("cause", ["out_of_memory", "unknown", "port_conflict"])
def test_an_acknowledged_cause_is_no_obstacle(cause: str) -> None:
    gone = {
        "out_of_memory": down(exit_code=137, out_of_memory=True),
        "unknown": down(log=[log("FATAL: something else")]),
        "port_conflict": down("exited", 128, engine_error="Bind for 0.0.0.0:5432 failed: port is already allocated"),
    }[cause]
    with pytest.raises(RefusedError):
        decide(reading(gone), Wanted("started"))
    assert decide(reading(gone), Wanted("started", acknowledged_causes=[cause])).steps == START


REFUSES = down(
    "exited",
    1,
    configuration={"valid": True, "message": None},
    altered_settings=list(ALTERED),
    log=[log("could not map anonymous shared memory: Cannot allocate memory", "out_of_memory", "FATAL")],
)


def test_a_setting_of_alter_system_is_reset_before_the_start() -> None:
    plan = decide(reading(REFUSES), Wanted("started", reset_settings=["shared_buffers"]))
    assert plan.steps == ("alter_settings", *START)
    assert plan.altering.taken == ("Shared_Buffers",)  # as it stands in the file
    foreseen = plan.foreseen()
    assert foreseen.before["altered_settings"] == foreseen.details["undo"] == {"Shared_Buffers": "500GB"}
    assert foreseen.after["altered_settings"] == {"Shared_Buffers": None}
    assert foreseen.details["reset_settings"] == [{"name": "Shared_Buffers", "value": None}]
    tried = decide(reading(REFUSES), Wanted("started"))
    assert tried.steps == START and "failed for Shared_Buffers" in tried.warnings[0]


def test_former_values_are_given_back_before_the_start() -> None:
    wanted = {"shared_buffers": "128MB", "work_mem": None, "jit": False, "max_connections": None}
    plan = decide(reading(REFUSES), Wanted("started", settings=wanted))
    assert plan.steps == ("alter_settings", *START) and not plan.warnings
    assert set(plan.altering.taken) == {"Shared_Buffers", "work_mem"}
    assert plan.altering.added == {"Shared_Buffers": "128MB", "jit": "off"}
    foreseen = plan.foreseen()
    assert foreseen.details["undo"] == {"Shared_Buffers": "500GB", "work_mem": "8MB", "jit": None}
    assert foreseen.after["altered_settings"] == {"Shared_Buffers": "128MB", "work_mem": None, "jit": "off"}
    assert foreseen.details["reset_settings"] == []
    undone = decide(reading(REFUSES), Wanted("started", settings=foreseen.details["undo"]))
    assert undone.altering.empty and undone.steps == START


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"shared_buffers": "1GB", "SHARED_BUFFERS": "2GB"}, "SHARED_BUFFERS is named twice"),
        ({"a b": "1"}, "no setting has such a name"),
        ({"work_mem": "4MB\nfsync = off"}, "more than one line"),
        ({"fsync": False}, "beyond repair"),
        ({"full_page_writes": "of"}, "pages may be torn"),
        ({"data_directory": "/data"}, "belongs into postgresql.conf"),
        ({"hba_file": "/data/x"}, "not set from here"),
        ({"primary_conninfo": "host=db2"}, "may hold a secret"),
        ({"archive_command": "curl -u me --password=hunter22 %p"}, "its value is a secret"),
        ({"archive_command": "cp ********"}, "give the value itself"),
        ({"work_mem": {"value": "4MB"}}, "a value is a text"),
    ],
)
def test_what_is_not_given_back(settings: Mapping[str, Any], text: str) -> None:
    with pytest.raises(RefusedError, match=text):
        decide(reading(REFUSES), Wanted("started", settings=settings))


def test_settings_of_a_server_that_is_not_down_are_left_to_the_module_settings() -> None:
    for alterations, state in (((), "started"), ((), "restarted"), ((REFUSES,), "restarted"), ((starting,), "started")):
        with pytest.raises(RefusedError, match="for the start of a server that is down") as raised:
            decide(reading(*alterations), Wanted(state, settings={"work_mem": "4MB"}))
        assert raised.value.hint == "On a server that runs: the module settings."
    with pytest.raises(RefusedError, match="could not be read"):
        decide(reading(REFUSES, altered=None), Wanted("started", settings={"work_mem": "4MB"}))


@pytest.mark.parametrize(
    ("alterations", "state", "names", "text"),
    [
        ((REFUSES,), "started", ["max_connections"], "has not set 'max_connections'; it has set: Shared_Buffers"),
        ((REFUSES,), "started", ["primary_conninfo"], "may hold a secret"),
        ((REFUSES,), "restarted", ["Shared_Buffers"], "for the start of a server that is down; this one is stopped"),
        ((), "started", ["shared_buffers"], "for the start of a server that is down; this one is running"),
        ((REFUSES, set_server(disks=[disk(190 * MIB, 0)])), "started", ["shared_buffers"], "its disk is full"),
    ],
)
def test_what_is_not_reset(alterations: Tuple[Alter, ...], state: str, names: Tuple[str, ...], text: str) -> None:
    with pytest.raises(RefusedError, match=text):
        decide(reading(*alterations), Wanted(state, reset_settings=names))


def test_a_setting_that_is_not_to_blame_leaves_the_cause() -> None:
    wrong = down(
        configuration={"valid": False, "message": 'invalid value for parameter "shared_buffers": "much"'},
        altered_settings=["shared_buffers", "work_mem"],
    )
    with pytest.raises(RefusedError, match="rejects shared_buffers, which ALTER SYSTEM has set"):
        decide(reading(wrong), Wanted("started", reset_settings=["work_mem"]))
    assert decide(reading(wrong), Wanted("started", reset_settings=["shared_buffers"])).changes


def test_a_cause_that_can_be_read_cannot_be_acknowledged() -> None:
    full = down(exit_code=137, out_of_memory=True, disks=[disk(190 * MIB, 0)])
    with pytest.raises(RefusedError, match="its disk is full"):
        decide(reading(full), Wanted("started", acknowledged_causes=["out_of_memory", "unknown", "port_conflict"]))
    nothing = (down(log=[log("FATAL: something else")]), set_directory(entries=0, version=None))
    with pytest.raises(RefusedError, match="is empty"):
        decide(reading(*nothing), Wanted("started", acknowledged_causes=["unknown"]))


FILE_ERROR = {
    "file": DATA + "/postgresql.conf",
    "line": 12,
    "name": "work_mem",
    "error": "setting could not be applied",
}


@pytest.mark.parametrize(
    ("alterations", "values", "text"),
    [
        pytest.param(
            (set_configured(file_errors=[FILE_ERROR]),),
            {},
            "postgresql.conf line 12: work_mem: setting could not be applied",
            id="postgresql.conf",
        ),
        pytest.param(
            (set_rules(hba(3, "host", "all", "all", None, "x", type=None, error='invalid method "x"')),),
            {},
            'pg_hba.conf line 3: invalid method "x"',
            id="pg_hba.conf",
        ),
        pytest.param((set_configured(hba_rules=None),), {}, "may not read pg_file_settings", id="no superuser"),
        pytest.param((), {"missing_libraries": ["nix"]}, "names nix, but the file is missing", id="library"),
        pytest.param((), {"backups": [BACKUP]}, "backup is running: pid 4712 .pg_basebackup, streaming", id="backup"),
        pytest.param((), {"exclusive_backup": True}, "exclusive backup mode", id="exclusive backup"),
        pytest.param((), {"transactions": [TRANSACTION]}, "pid 4711 .etl in shop, nightly", id="long transaction"),
        pytest.param((set_server(disks=[disk(100 * GIB, 20 * MIB)]),), {}, "20 MiB of 100 GiB free", id="nearly full"),
        pytest.param((set_directory(mode="0777"),), {}, "would not start again.*0777", id="mode"),
        pytest.param((set_server(disks=[disk(190 * MIB, MIB)]),), {}, "would not start again: free space", id="full"),
        pytest.param((no_sql("53300", "too many clients"),), {}, "cannot be checked", id="no slot left"),
        pytest.param((starting,), {}, "make the next start repeat its recovery", id="starting up"),
    ],
)
@pytest.mark.parametrize("state", ["stopped", "restarted"])
def test_what_is_not_stopped(alterations: Tuple[Alter, ...], values: Dict[str, Any], text: str, state: str) -> None:
    with pytest.raises(RefusedError, match=text):
        decide(reading(*alterations, **values), Wanted(state))


def test_what_may_be_interrupted() -> None:
    found = reading(backups=[BACKUP], transactions=[TRANSACTION])
    with pytest.raises(RefusedError, match="backup"):
        decide(found, Wanted("restarted", interrupt=["long_transactions"]))
    with pytest.raises(RefusedError, match="long transaction"):
        decide(found, Wanted("restarted", interrupt=["backups"]))
    plan = decide(found, Wanted("restarted", interrupt=["backups", "long_transactions"]))
    assert plan.steps == RESTART
    assert len(plan.warnings) == 2


def test_a_prepared_transaction_is_told_and_no_reason() -> None:
    prepared = [{"gid": "batch-7", "owner": "app", "database": "shop", "age_seconds": 7200.0}]
    plan = decide(reading(set_activity(prepared=prepared)), Wanted("restarted"))
    assert plan.steps == RESTART and "batch-7" in plan.warnings[0]


def test_what_waits_for_a_restart_is_in_the_plan() -> None:
    found = reading(set_configured(pending_restart=[{"name": "max_connections", "setting": "30"}]))
    plan = decide(found, Wanted("restarted"))
    assert (plan.before["pending_restart"], plan.after["pending_restart"]) == (["max_connections"], [])
    running = decide(found, Wanted("started"))
    assert running.empty and running.before == running.after == plan.before


def test_check_mode_foresees_what_the_plan_says() -> None:
    found = reading(set_configured(pending_restart=[{"name": "max_connections", "setting": "30"}]))
    change = decide(found, Wanted("restarted")).foreseen()
    assert change.changed and change.details["steps"] == list(RESTART)
    assert (change.details["state"], change.details["applied"]) == ("running", ["max_connections"])
    assert change.details["pending_restart"] == [] and change.details["downtime_seconds"] is None
    stopped = decide(found, Wanted("stopped")).foreseen()
    assert stopped.details["state"] == "stopped" and stopped.after["restarted"] is False
    idle = decide(found, Wanted("started")).foreseen()
    assert not idle.changed and idle.details["started_at"] == found.facts["snapshot"]["started_at"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("alterations", "state", "refused"),
    [
        ((), "started", False),
        ((), "stopped", True),
        ((), "restarted", True),
        ((down(**CLEAN),), "stopped", False),
        ((down(**CLEAN),), "started", True),
    ],
)
def test_an_obstacle_is_told_before_anything(alterations: Tuple[Alter, ...], state: str, refused: bool) -> None:
    found = reading(*alterations, obstacle="it belongs to the systemd unit postgresql.service")
    if refused:
        with pytest.raises(RefusedError, match="systemd unit"):
            decide(found, Wanted(state))
    else:
        assert decide(found, Wanted(state)).steps == ()


def test_a_restart_loop_is_not_stopped() -> None:
    with pytest.raises(RefusedError, match="restart loop"):
        decide(reading(down("restarting", 1, restart_loop=True, restart_count=7)), Wanted("stopped"))


@pytest.mark.parametrize(
    ("more", "kind", "text"),
    [
        ([process(120, "postgres: app shop 10.0.0.7(51234) idle", "T")], "session", "pid 120 (app shop.*by a signal"),
        ([process(121, "postgres: walsender repl 10.0.0.9(4) streaming 0/3000")], "walsender", "pid 121 .walsender"),
        ([process(122, "postgres: archiver archiving 000000010000000000000003")], "archiver", "pid 122"),
        ([], "checkpointer", "pid 110"),
    ],
)
def test_who_holds_a_shutdown(more: Any, kind: str, text: str) -> None:
    found = holders([*AUXILIARY, *more], 100)
    assert found[0]["kind"] == kind and 100 not in [each["pid"] for each in found]

    assert re.search(text.replace("(app", r"\(app"), held_by(found))
    assert held_by([]) == "no process of the server is visible"


def test_a_reload_that_told_of_errors_did_not_end_a_killed_server() -> None:
    told = log("configuration file contains errors; unaffected changes were applied", "invalid_configuration", "OTHER")
    valid = {"valid": True, "message": None}
    killed = healthy(down(exit_code=137, lock_file=lock(), log=[told], configuration=valid))
    assert running.check(killed, Thresholds()).cause == "killed"
    failed = healthy(down(exit_code=1, log=[told], configuration=valid))
    assert running.check(failed, Thresholds()).cause == "invalid_configuration"


SECOND = {"container": "shop-b-1", "pid": 4711, "title": "postgres", "seen": True}
UNSEEN = {"container": "shop-b-1", "pid": None, "title": "it is restarting", "seen": False}


@pytest.mark.parametrize("user", [SECOND, UNSEEN], ids=["seen", "may be there"])
@pytest.mark.parametrize("state", ["started", "restarted"])
@pytest.mark.parametrize("cause", ["stopped", "killed"])
def test_a_server_whose_directory_another_one_has_is_not_started(state: str, user: Dict[str, Any], cause: str) -> None:
    """Rule 14: whatever ended it, and whatever a person acknowledges."""
    ended: Dict[str, Any] = CLEAN if cause == "stopped" else {"exit_code": 137}
    everything = ["out_of_memory", "port_conflict", "directory_in_use", "unknown"]
    with pytest.raises(RefusedError, match=r"do not start it.*container shop-b-1") as raised:
        decide(reading(down(directory_used_by=[user], **ended)), Wanted(state, acknowledged_causes=everything))
    assert raised.value.details["cause"] == "directory_in_use"


def test_of_two_on_one_directory_none_is_restarted_but_one_may_be_stopped() -> None:
    both = reading(set_server(directory_used_by=[SECOND]))
    for state in ("started", "restarted"):
        with pytest.raises(RefusedError, match="Two servers are running on one data directory"):
            decide(both, Wanted(state))
    assert decide(both, Wanted("stopped")).steps == ("checkpoint", "stop")


def test_a_running_server_beside_one_that_may_be_there_is_not_restarted() -> None:
    with pytest.raises(RefusedError, match="container shop-b-1 may run PostgreSQL"):
        decide(reading(set_server(directory_used_by=[UNSEEN])), Wanted("restarted"))
    assert decide(reading(set_server(directory_used_by=[UNSEEN])), Wanted("started")).empty


def test_what_a_vanished_server_has_written_can_be_acknowledged() -> None:
    since = down(
        exit_code=0,
        finished_at="2026-11-28T10:00:00Z",
        control=control("in production", written_at="2026-11-28T10:05:00Z"),
    )
    with pytest.raises(RefusedError, match=r"written at 2026-11-28T10:05:00Z.*oncall_acknowledged_causes"):
        decide(reading(since), Wanted("started"))
    assert decide(reading(since), Wanted("started", acknowledged_causes=["directory_in_use"])).steps == START
