# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clients are stopped and started, in which order, and what is refused."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    OptionsError,
    RefusedError,
    UnprovenError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.health import page_command, read_page
from ansible_collections.oncall.postgresql.plugins.module_utils._model.note import Note, Noted
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.clients.plan import (
    Order,
    Plan,
    Seen,
    decide,
    killed,
    last_words,
    left_stopped,
    notes,
    proved,
    records,
    recovery,
    still_true,
    untouched,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.drive.containers import health_command

DECLARED = ["web", "api", "worker"]
SEEN = [
    Seen("web", "web-1", "running"),
    Seen("api", "api-1", "running"),
    Seen("api", "api-2", "exited"),
    Seen("worker", "worker-1", "created"),
]
Groups = Tuple[Tuple[str, ...], ...]


@pytest.mark.parametrize(
    ("state", "more", "stop", "start", "wait"),
    [
        ("stopped", {}, (("web-1",), ("api-1",)), (), ()),
        ("started", {}, (), (("worker-1",), ("api-2",)), (("worker-1",), ("api-1", "api-2"), ("web-1",))),
        ("restarted", {}, (("web-1",), ("api-1",)), (("api-1",), ("web-1",)), (("api-1",), ("web-1",))),
        ("stopped", {"services": ["api", "web"]}, (("api-1",), ("web-1",)), (), ()),
        ("stopped", {"services": ["api", "api"]}, (("api-1",),), (), ()),
        ("restarted", {"services": ["worker"]}, (), (), ()),
        ("started", {"containers": ["api-2"]}, (), (("api-2",),), (("api-2",),)),
        ("started", {"containers": []}, (), (), ()),
        ("stopped", {"containers": ["web-1"], "services": ["api"]}, (), (), ()),
    ],
)
def test_plan(state: str, more: Dict[str, Any], stop: Groups, start: Groups, wait: Groups) -> None:
    assert decide(SEEN, DECLARED, state, **more) == Order(stop, start, wait)


def test_replicas_go_side_by_side() -> None:
    seen = [Seen("api", "api-1", "running"), Seen("api", "api-2", "restarting")]
    assert decide(seen, ["api"], "restarted") == Order(
        (("api-1", "api-2"),), (("api-1", "api-2"),), (("api-1", "api-2"),)
    )


@pytest.mark.parametrize(
    ("state", "seen", "declared", "more", "says"),
    [
        ("stopped", SEEN, [], {}, "No client is declared"),
        ("stopped", SEEN, DECLARED, {"services": ["db"]}, "services names db"),
        ("stopped", SEEN, DECLARED, {"containers": ["x"]}, "containers names x"),
        ("stopped", SEEN, [*DECLARED, "postgres"], {"server": "postgres"}, "the server itself"),
    ],
)
def test_mistakes(state: str, seen: List[Seen], declared: List[str], more: Dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        decide(seen, declared, state, **more)


@pytest.mark.parametrize(
    ("state", "seen", "says"),
    [
        ("started", SEEN[:3], "worker has no container.*docker compose up -d worker"),
        ("restarted", SEEN[:3], "docker compose up -d worker"),
        ("stopped", [*SEEN, Seen("web", "web-2", "paused")], "web-2 is paused.*docker unpause web-2"),
        ("started", [*SEEN, Seen("web", "web-2", "paused")], "web-2 is paused"),
        ("started", [*SEEN, Seen("web", "web-2", "dead")], "web-2 is dead"),
    ],
)
def test_refusals(state: str, seen: List[Seen], says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        decide(seen, DECLARED, state)


def restarting() -> Plan:
    order = decide(SEEN[:2], DECLARED[:2], "restarted")
    return Plan("restarted", order, records(SEEN[:2], order))


def test_check_mode_foresees_what_the_real_run_returns() -> None:
    plan = restarting()
    rows = untouched(plan.records)
    for row in rows.values():
        row.update(asked=True, stopped=True, started=True, after="running", seconds=1.0)
    done, foreseen = proved(plan, rows, 2.5), plan.foreseen()
    assert (done.changed, done.before, done.after) == (foreseen.changed, foreseen.before, foreseen.after)
    assert foreseen.after == {"web-1": "restarted", "api-1": "restarted"}
    for key in ("stopped", "started"):
        assert done.details[key] == foreseen.details[key]
    assert (done.details["seconds"], foreseen.details["seconds"]) == (2.5, None)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"asked": True, "stopped": True, "after": "exited"}, "web-1 is STILL STOPPED: docker start web-1"),
        (
            {"asked": True, "stopped": False, "after": "running"},
            "web-1 got its stop signal and WILL STOP LATER. When it has: docker start web-1",
        ),
    ],
)
def test_whoever_is_not_back_is_named_last(found: Dict[str, Any], says: str) -> None:
    plan = restarting()
    rows = untouched(plan.records)
    rows["web-1"].update(found, error="did not end")
    rows["api-1"].update(asked=True, stopped=True, started=True, after="running")
    with pytest.raises(UnprovenError) as raised:
        proved(plan, rows, 1)
    assert str(raised.value).endswith(says) and "The other 1 are fine" in str(raised.value)
    assert raised.value.details["changed"] and raised.value.details["diff"]["after"]["api-1"] == "restarted"


def test_an_interrupt_is_told_though_all_are_back() -> None:
    plan = restarting()
    rows = untouched(plan.records)
    with pytest.raises(UnprovenError, match=r"Interrupted .SIGINT.\. Clients that had been stopped were started again"):
        proved(plan, rows, 1, "SIGINT")
    assert last_words(plan.order, rows) == []  # nobody was asked to stop


def test_a_service_without_a_container_is_stopped() -> None:
    assert decide(SEEN[:3], DECLARED, "stopped").stop == (("web-1",), ("api-1",))


@pytest.mark.parametrize(
    ("config", "command"),
    [
        ({}, None),
        ({"Healthcheck": {"Test": ["NONE"]}}, None),
        ({"Healthcheck": {"Test": []}}, None),
        ({"Healthcheck": {"Test": ["CMD", "true", "-x"]}}, ["true", "-x"]),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "a || b"]}}, ["/bin/sh", "-c", "a || b"]),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "a"]}, "Shell": ["/bin/bash", "-ec"]}, ["/bin/bash", "-ec", "a"]),
    ],
)
def test_health_command(config: Dict[str, Any], command: Optional[List[str]]) -> None:
    assert health_command({"Config": config}) == command


@pytest.mark.parametrize(
    ("answer", "said", "status", "ok", "error"),
    [
        ('HTTP/1.1 200 OK\r\nA: b\r\n\r\n{"status": "healthy"}', "", 200, True, None),
        ('HTTP/1.1 200 OK\r\nA: b\r\n\r\n{"status": "unhealthy"}', "", 200, False, None),
        ("HTTP/1.0 503 No\r\n\r\nno", "", 503, False, None),
        ("", "bash: connect: Connection refused", None, False, "Connection refused"),
        ("SSH-2.0-x\r\n", "", None, False, "no answer"),
        ("", "", None, False, "no answer"),
    ],
)
def test_page_of_a_toolbox(answer: str, said: str, status: Optional[int], ok: bool, error: Optional[str]) -> None:
    page = read_page("http://localhost/x", answer, said)
    assert (page["status"], page["ok"], page["error"]) == (status, ok, error)


def test_page_command() -> None:
    command = page_command("http://u:pw@localhost:8000/a?b=1", 2)
    assert command is not None
    assert command[3:] == [
        "localhost",
        "8000",
        "GET /a?b=1 HTTP/1.0\r\nHost: localhost:8000\r\nUser-Agent: oncall\r\n\r\n",
        "2.0",
    ]
    assert page_command("https://localhost/", 2) is None
    assert page_command("http://localhost:x/", 2) is None


API1, API2 = Noted("api", "api-1", "t1", "t0", True), Noted("api", "api-2", "t1", "t0", True)
LEFT = [
    Seen("web", "web-1", "running", "t1"),
    Seen("api", "api-1", "running", "t1"),
    Seen("api", "api-2", "exited", "t1", "t2"),
]


def test_a_restart_starts_whom_an_earlier_one_has_left_stopped() -> None:
    note = Note("", "", (API1, API2, Noted("gone", "gone-1", "t1", "t0", True), Noted("web", "web-1", "t1", "t0")))
    left = left_stopped(note, LEFT)
    order = decide(LEFT, DECLARED, "restarted", ["api"], left=left)
    assert order == Order((("api-1",),), (("api-1", "api-2"),), (("api-1", "api-2"),))
    assert [(one.name, one.asked) for one in notes(still_true(note, LEFT), LEFT, order)] == [
        ("api-1", False),
        ("api-2", True),
        ("gone-1", True),  # of a service that cannot be seen from here: still named
    ]


def test_after_the_worker_was_killed_only_those_that_it_asked_are_started() -> None:
    note = Note("", "", (API1, API2))
    order = decide(LEFT, ["web", "api"], "restarted", left=left_stopped(note, LEFT))
    made = recovery(Plan("restarted", order, records(LEFT, order)), note, LEFT, killed("restart", "SIGKILL"))
    assert made.order == Order((), (("api-1", "api-2"),), (("api-1", "api-2"),)) and made.ending == ("api-1",)
    rows = untouched(made.records)
    rows["api-1"].update(asked=True)
    rows["api-2"].update(started=True, after="running")
    with pytest.raises(UnprovenError) as raised:
        proved(made, rows, 1.0)
    assert "The restart was killed (SIGKILL) before it was finished. The clients are running" in str(raised.value)
    assert raised.value.hint == "api-1 got its stop signal and WILL STOP LATER. When it has: docker start api-1"
