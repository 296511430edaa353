# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a graceful restart stops and starts, whom it takes for left stopped, and its last words."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional, Sequence

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    OptionsError,
    RefusedError,
    UnprovenError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._model.note import Note, Noted
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.clients.plan import (
    Order,
    Seen,
    left_stopped,
    moved_meanwhile,
    owed,
    untouched,
    up_to_date,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.graceful_restart.plan import (
    Done,
    Plan,
    State,
    concluded,
    decide,
    recovery,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.server.plan import Wanted

from .facts import Alter, down, set_configured
from .test_server_plan import BACKUP, CLEAN, FILE_ERROR, RESTART, START, reading

WEB = Seen("web", "web-1", "running", "t1", "t0")
API = Seen("api", "api-1", "running", "t1", "t0")
AWAY = Seen("api", "api-2", "exited", "t1", "t2")
NOTHING = Note()
NOTE = Note("2026-01-31T03:14:07+00:00", "graceful_restart of db1", (Noted("api", "api-2", "t1", "t0", True),))


def plan(
    *seen: Seen, note: Note = NOTHING, alterations: Sequence[Alter] = (), server: str = "postgres", **values: Any
) -> Plan:
    state = State(reading(*alterations, **values), ("web", "api"), seen, note, "/root/.oncall/restart-shop-1.json")
    return decide(state, Wanted("restarted"), server, 30, 60)


def test_clients_stop_in_order_and_start_in_reverse() -> None:
    made = plan(WEB, API, AWAY)
    assert made.order == Order((("web-1",), ("api-1",)), (("api-1",), ("web-1",)), (("api-1",), ("web-1",)))
    assert made.server is not None and made.server.steps == RESTART and not made.empty
    assert [(one.name, one.started_at, one.asked) for one in made.notes] == [
        ("web-1", "t1", False),
        ("api-1", "t1", False),
    ]


def test_whoever_was_left_stopped_is_started_too() -> None:
    made = plan(WEB, API, AWAY, note=NOTE)
    assert made.left == ("api-2",) and made.order.stop == (("web-1",), ("api-1",))
    assert made.order.start == (("api-1", "api-2"), ("web-1",))
    assert NOTE.clients[0] in made.notes, "until it runs, its name stays in the note"


@pytest.mark.parametrize(
    ("noted", "now", "left"),
    [
        pytest.param({"asked": True}, {}, True, id="stopped by us"),
        pytest.param({"asked": False}, {}, False, id="somebody stopped it before we did"),
        pytest.param({"asked": True}, {"started_at": "t3", "finished_at": "t4"}, False, id="started and stopped since"),
        pytest.param({"asked": True}, {"state": "running"}, False, id="never ended"),
        pytest.param({"asked": True}, {"state": "running", "started_at": "t3"}, False, id="started since"),
        pytest.param({"asked": True}, {"state": "paused"}, False, id="paused"),
        pytest.param({"asked": True, "finished_at": "t2"}, {}, False, id="was down when it was noted"),
        pytest.param({"asked": True, "name": "gone-1"}, {}, False, id="removed"),
    ],
)
def test_who_is_left_stopped(noted: Dict[str, Any], now: Dict[str, Any], left: bool) -> None:
    note = Note(
        "", "", (Noted(**{"service": "api", "name": "api-2", "started_at": "t1", "finished_at": "t0", **noted}),)
    )
    seen = Seen(
        **{"service": "api", "name": "api-2", "state": "exited", "started_at": "t1", "finished_at": "t2", **now}
    )
    assert left_stopped(note, [seen]) == (["api-2"] if left else [])


def test_one_that_is_still_ending_after_a_kill_is_watched() -> None:
    """It was asked to stop by the run that was killed, and runs at the moment."""
    note = Note("", "", (Noted("api", "api-1", "t1", "t0", True), Noted("web", "web-1", "t1", "t0", False)))
    made = recovery(plan(WEB, API, note=note), "SIGKILL")
    assert made.ending == ("api-1",) and made.order == Order((), (("api-1",),), (("api-1",),))
    assert made.notes == (note.clients[0],)
    refused = plan(WEB, API, note=note, backups=[BACKUP])
    assert refused.refusal is not None and refused.order == made.order
    restarted = plan(WEB, Seen("api", "api-1", "running", "t2", "t1"), note=note)
    assert restarted.ending == (), "somebody has started it since"
    goes_on = plan(WEB, API, note=note)
    assert goes_on.order.stop == (("web-1",), ("api-1",)), "a restart that is not refused stops it anyway"
    assert [one.asked for one in goes_on.notes] == [False, False]


def test_it_is_refused_before_anybody_is_stopped() -> None:
    with pytest.raises(RefusedError, match=r"Restart refused: .*postgresql.conf line 12"):
        plan(WEB, API, alterations=[set_configured(file_errors=[FILE_ERROR])])
    with pytest.raises(RefusedError, match="web-1 is paused"):
        plan(Seen("web", "web-1", "paused"), API)
    with pytest.raises(OptionsError, match="the server itself"):
        plan(WEB, API, server="api")


def test_a_refused_restart_still_starts_those_that_were_left() -> None:
    made = plan(WEB, API, AWAY, note=NOTE, backups=[BACKUP])
    assert made.server is None and made.order == Order((), (("api-2",),), (("api-2",),))
    with pytest.raises(RefusedError, match=r"a backup is running.*A run without check mode starts api-2"):
        made.foreseen()
    done = Done(untouched(made.records))
    done.rows["api-2"].update(started=True, after="running")
    with pytest.raises(UnprovenError, match=r"a backup is running.*Started api-2, which an interrupted") as raised:
        concluded(made, done)
    assert raised.value.details["changed"] and "STILL STOPPED" not in str(raised.value)


def test_check_mode_and_the_real_run_say_the_same() -> None:
    made = plan(WEB, API)
    assert made.server is not None
    done = Done(untouched(made.records), made.server.details(), True, True)
    for row in done.rows.values():
        row.update(asked=True, stopped=True, started=True, after="running")
    real, foreseen = concluded(made, done), made.foreseen()
    assert (real.changed, real.before, real.after) == (foreseen.changed, foreseen.before, foreseen.after)
    assert foreseen.after["clients"] == {"web-1": "restarted", "api-1": "restarted"}
    assert set(real.details) == set(foreseen.details) and foreseen.details["steps"] == list(RESTART)


def test_without_clients_it_is_the_server_alone() -> None:
    made = plan()
    assert made.order == Order() and made.notes == () and made.foreseen().details["clients"] == []


def away(made: Plan, **of_api: Any) -> Done:
    """All of them stopped and started again, but for api-1."""
    assert made.server is not None
    done = Done(untouched(made.records), made.server.details())
    done.rows["web-1"].update(asked=True, stopped=True, started=True, after="running")
    done.rows["api-1"].update(of_api)
    return done


@pytest.mark.parametrize(
    ("of_api", "interrupted", "moved", "restarted", "owes", "says"),
    [
        pytest.param(
            {"asked": True, "stopped": True, "after": "exited", "error": "no answer"},
            None,
            True,
            True,
            True,
            r"^Clients: api-1: no answer\..* api-1 is STILL STOPPED: docker start api-1$",
            id="not started",
        ),
        pytest.param(
            {"asked": True, "stopped": False, "error": "did not end within 30 s"},
            None,
            False,
            False,
            True,
            r"^Restart aborted: the server was not restarted\. Clients: api-1: did not end.* api-1 got its stop "
            r"signal and WILL STOP LATER\. When it has: docker start api-1$",
            id="deaf",
        ),
        pytest.param(
            {"asked": True, "stopped": True, "started": True},
            "SIGINT",
            False,
            False,
            False,
            r"^Interrupted .SIGINT.: the server was not restarted\. The clients are running\.$",
            id="interrupted before",
        ),
        pytest.param(
            {"asked": True, "stopped": True, "started": True},
            "SIGHUP",
            True,
            True,
            False,
            r"^Interrupted .SIGHUP.: the server was restarted\. The clients are running\.$",
            id="interrupted after",
        ),
    ],
)
def test_last_words(
    of_api: Dict[str, Any], interrupted: Optional[str], moved: bool, restarted: bool, owes: bool, says: str
) -> None:
    made = plan(WEB, API)
    done = away(made, **of_api)
    done.interrupted, done.moved, done.restarted = interrupted, moved, restarted
    assert owed(made.order, done.rows) == (["api-1"] if owes else [])
    with pytest.raises(UnprovenError) as raised:
        concluded(made, done)
    assert re.search(says, str(raised.value)), str(raised.value)
    assert raised.value.details.get("interrupted") == interrupted
    assert raised.value.details["steps"] == (list(RESTART) if moved else [])


def test_what_the_server_said_comes_before_the_clients() -> None:
    made = plan(WEB, API)
    done = away(made, asked=True, stopped=True, started=True)
    done.moved, done.error = True, UnprovenError("PostgreSQL does not start again: no", "Correct the setting.")
    with pytest.raises(
        UnprovenError, match=r"^PostgreSQL does not start again: no\. The clients are running\. Correct the setting\.$"
    ):
        concluded(made, done)


def test_a_plan_that_others_have_overtaken() -> None:
    made = plan(WEB, API)
    assert moved_meanwhile(made.notes, made.records, [WEB, API]) == []
    anew = [WEB, Seen("api", "api-1", "running", "t5", "t4")]
    assert moved_meanwhile(made.notes, made.records, anew) == []
    assert [(one.name, one.started_at) for one in up_to_date(made.notes, anew)] == [("web-1", "t1"), ("api-1", "t5")]
    left = plan(WEB, AWAY, note=NOTE)
    since = Seen("api", "api-2", "exited", "t5", "t6")
    assert moved_meanwhile(left.notes, left.records, [WEB, since]) == ["api-2"], "started and stopped by someone"
    assert moved_meanwhile(made.notes, made.records, [Seen("web", "web-1", "exited", "t1", "t5"), API]) == ["web-1"]
    assert moved_meanwhile(made.notes, made.records, [API]) == ["web-1"]


def test_after_a_kill_a_server_that_is_down_is_started() -> None:
    made = recovery(plan(AWAY, note=NOTE, alterations=[down(**CLEAN)]), "SIGKILL")
    assert made.server is not None and made.server.steps == START and made.order.stop == ()
    done = Done(untouched(made.records), made.server.details(), True, True)
    done.rows["api-2"].update(started=True, after="running")
    with pytest.raises(
        UnprovenError, match=r"killed .SIGKILL. before it was finished\. The server was started\. The cl"
    ):
        concluded(made, done)


def test_after_a_kill_only_those_that_it_stopped_are_started() -> None:
    made = recovery(plan(WEB, API, AWAY, note=NOTE), "SIGKILL")
    assert made.server is None and made.order == Order((), (("api-2",),), (("api-2",),))
    done = Done(untouched(made.records))
    done.rows["api-2"].update(started=True, after="running")
    with pytest.raises(UnprovenError, match=r"killed .SIGKILL. before it was finished.*Started api-2"):
        concluded(made, done)
