# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of an incident: its timeline, what it tells, and several writers of one file."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import (
    archive,
    checklist,
    frame,
    markdown,
    timeline,
)
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.checklist import Seen
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.state import age_seconds, fold
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.store import Store
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.model import worst_first
from tests.unit import facts, samples

T0 = datetime(2026, 11, 29, 3, 20, 11, tzinfo=UTC)
KINDS = [each for name, each in vars(timeline).items() if name.isupper() and isinstance(each, str)]


def after(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def result(code: str = "pool_exhausted", severity: str = "critical", **facts: Any) -> Dict[str, Any]:
    verdict = {
        "code": code,
        "cause": None,
        "severity": severity,
        "summary": "No slots | left",
        "evidence": ["17 of 17"],
    }
    return {"verdict": verdict, "facts": facts}


HEALTHY = result("healthy", "ok")


def story() -> List[timeline.Event]:
    """From the alarm to health: one attempt fails, one was killed, one works."""
    return [
        frame.opened("db", result(), T0),
        frame.look(result(), "triage", T0),
        frame.begins("pool_reset", "here-1", "ann", after(1)),
        frame.ended("pool_reset", "here-1", {"outcome": "refused", "msg": "too many", "seconds": 0.5}, after(2)),
        frame.begins("graceful_restart", "here-2", "ann", after(3)),
        frame.begins("pool_reset", "here-3", "ann", after(4)),
        frame.ended("pool_reset", "here-3", {"outcome": "done", "seconds": 3.25, "downtime_seconds": 1.5}, after(5)),
        frame.look(HEALTHY, "pool_reset", after(5)),
    ]


def test_what_a_timeline_tells() -> None:
    found = fold("x", story())
    assert (found.host, found.code, found.severity) == ("db", "pool_exhausted", "critical")
    assert found.acknowledged is not None and found.acknowledged["by"] == "ann"
    assert [(each.verb, each.outcome, each.failed) for each in found.attempts] == [
        ("pool_reset", "refused", True),
        ("graceful_restart", None, False),
        ("pool_reset", "done", False),
    ]
    assert found.downtime_seconds == 1.5 and found.impact_end == timeline.written(after(5))
    assert found.impact_seconds == 300 and found.closed is None and age_seconds(found, after(20)) == 1200
    again = fold("x", [*story(), frame.look(result(severity="emergency"), "triage", after(9))])
    assert again.impact_end is None and again.repeated == 1 and again.severity == "emergency"
    assert again.acknowledged is None and again.broke == timeline.written(after(9))
    for other in (result(severity="warning"), result("server_down", "emergency")):
        since = fold("x", [*story(), frame.look(other, "triage", after(9))])
        assert since.impact_end == found.impact_end and (since.repeated, since.severity) == (0, "critical")
    unseen = fold("x", [*story(), frame.look({"unreachable": True, "msg": "no route"}, "triage", after(9))])
    assert unseen.impact_end is not None and unseen.last_look is not None and unseen.last_look["code"] is None


def test_the_post_mortem() -> None:
    page = markdown.page(fold("x", story(), torn=1))
    assert r"No slots \| left" in page and "1 line cut short by an interruption, ignored" in page
    assert r"graceful\_restart | began, no result recorded" in page and r"pool\_reset refused: too many" in page
    assert "(5 min)" in page and "detection; nothing tells since when" in page and "_not given yet_" in page
    leak = markdown.page(replace(fold("x", story()), cause="idle_connections"))
    assert "### To investigate: connection pool leak" in leak and "### Lasting fix: connection pool leak" in leak
    assert "To investigate" not in page  # without a cause there is no direction
    same = [frame.look(result(), "triage", after(each)) for each in (0, 10, 20)]
    assert "(3 times, last at 2026-11-29T03:40:11.000Z)" in markdown.page(fold("x", same))


@pytest.mark.parametrize(
    ("found", "start", "source"),
    [
        (
            result("server_down", server={"finished_at": "2026-11-29T02:00:00.123456789Z"}),
            "02:00:00",
            "the server stopped",
        ),
        (result("server_down", server={"finished_at": "2027-01-01T00:00:00Z"}), "03:20:11", "detection"),
        (
            result(
                "server_down", server={"control": {"state": "shut down", "written_at": "2026-11-29T01:00:00+00:00"}}
            ),
            "01:00:00",
            "the server was shut down",
        ),
        (
            result("server_down", server={"control": {"state": "in production", "written_at": "2026-11-29T01:00:00Z"}}),
            "03:20:11",
            "detection",
        ),
        (
            result("client_down", clients=[{"state": "exited", "finished_at": "2026-11-29T04:00:00+0100"}]),
            "03:00:00",
            "the first client",
        ),
        (
            result(
                "queries_hanging",
                snapshot={
                    "at": "2026-11-29T03:20:00Z",
                    "activity": {"blocking": [{"blocked_seconds": 600.0}], "long_queries": [{"query_seconds": None}]},
                },
            ),
            "03:10:00",
            "the oldest waiting session",
        ),
        (
            result(server={"log": [{"sqlstate": "53300", "at": "2026-11-29 03:15:00.1 UTC"}, {"sqlstate": "42601"}]}),
            "03:15:00",
            "the first such error",
        ),
        (result(server={"log": [{"sqlstate": "53300", "at": "2026-11-29 03:15:00 CET"}]}), "03:20:11", "detection"),
        (result(), "03:20:11", "detection"),
    ],
)
def test_since_when(found: Dict[str, Any], start: str, source: str) -> None:
    told = frame.opened("db", found, T0)["impact"]
    assert told["start"].startswith("2026-11-29T%s" % start) and told["source"].startswith(source)


def test_what_opens_an_incident_and_what_is_news() -> None:
    opening = [frame.opens(result(severity=each)) for each in ("ok", "warning", "critical", "emergency")]
    assert opening == [False, False, True, True]
    assert not frame.opens(None) and not frame.opens({"failed": True, **result()})
    bad, good = story()[:2], story()
    assert not frame.is_news(fold("x", bad), frame.look(result(), "triage", after(9)))
    assert frame.is_news(fold("x", bad), frame.look(result(), "triage", after(10)))
    assert frame.is_news(fold("x", bad), frame.look(HEALTHY, "triage", after(1)))
    assert not frame.is_news(fold("x", good), frame.look(HEALTHY, "triage", after(600)))
    assert frame.is_news(fold("x", good[:-1]), frame.look(result(), "pool_reset", after(5)))


texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(
    ["verb", "run", "outcome", "seconds", "impact", "items", "open", "corrective_actions", "severity"]
)
anything = st.builds(
    lambda kind, more: {"at": timeline.written(T0), "kind": kind, **more},
    st.sampled_from(KINDS) | texts,
    st.dictionaries(keys | st.sampled_from(["host", "code", "cause", "summary", "text", "by"]), values, max_size=6),
)


@given(st.lists(anything, max_size=8), st.integers(0, 2000), st.binary(max_size=30))
def test_a_torn_file_is_read_as_far_as_it_is_whole(events: List[Dict[str, Any]], kept: int, dirt: bytes) -> None:
    whole = b"".join(timeline.line(each) for each in events)
    read = timeline.read(whole[:kept])
    assert [timeline.line(each) for each in read.events] == [timeline.line(each) for each in events[: len(read.events)]]
    assert read.torn <= 1 and len(read.events) >= whole[:kept].count(b"\n")
    # What is added afterwards begins on its own line, whatever lies before it.
    after_ = timeline.read(whole[:kept] + dirt + b"\n" + timeline.line(frame.begins("start", "r", "b", T0)))
    assert after_.events[-1]["kind"] == "begins"
    markdown.page(fold("x", after_.events, after_.torn))  # a line of another version or another hand breaks nothing


WRITER = """
import sys
from dataclasses import replace
from datetime import datetime, timezone
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import timeline
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.store import Store
store, me = Store(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    with store.locked():
        mine = store.open_of(["db/1"]).get("db/1") or [store.opened(timeline.event(datetime.now(timezone.utc), "opened",
            host="db/1", code="server_down", severity="critical"))]
        store.append(mine[0].id, [timeline.event(datetime.now(timezone.utc), "note", by=me, text=str(number) * 50)])
    print(number, flush=True)
"""


def writer(place: Path, name: str, notes: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(place), name, str(notes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_writers_and_one_that_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "incidents"
    doomed = writer(place, "doomed", 1000000)
    others = [writer(place, str(each), 15) for each in range(3)]
    assert doomed.stdout is not None
    while (said := doomed.stdout.readline().strip()) != "5":
        assert said, "it ended by itself"
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate()
    for other in others:
        other.communicate(timeout=120)
        assert other.returncode == 0
    store = Store(str(place))
    (incident,) = store.open_of(["db/1", "db"])["db/1"]  # one, whoever came first
    for each in "012":
        texts_ = [event["text"] for event in incident.events if event.get("by") == each]
        assert texts_ == [str(number) * 50 for number in range(15)], "each line is whole and in its writer's order"
    assert len([event for event in incident.events if event.get("by") == "doomed"]) >= 6
    assert (place / (incident.id + ".md")).read_text("utf-8").startswith("# Incident ")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [place, *place.iterdir()]}
    assert modes.pop("incidents") == 0o700 and set(modes.values()) == {0o600}
    (file,) = place.glob("*.jsonl")
    assert file.name.split("-", 1)[1].startswith("db_1-") and file.name.endswith("-server_down.jsonl")


def test_what_was_cut_short_is_ignored_and_the_next_line_is_whole(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with store.locked():
        incident = store.opened(story()[0])
        path = tmp_path / (incident.id + ".jsonl")
        store.append(incident.id, story()[1:3])
        os.truncate(str(path), path.stat().st_size - 10)
        now = store.append(incident.id, story()[2:4])
    assert now.torn == 1 and [each.outcome for each in now.attempts] == ["refused"]
    assert "1 line cut short" in (tmp_path / (incident.id + ".md")).read_text("utf-8")
    assert store.open_of(["db"])["db"] == [now] and store.open_of(["other"]) == {}


@pytest.mark.parametrize("spoilt", ["link", "directory", "pipe"])
def test_one_that_cannot_be_read_keeps_no_other_from_it(tmp_path: Path, spoilt: str) -> None:
    store = Store(str(tmp_path))
    for host in ("a", "b"):
        with store.locked():
            incident = store.opened(frame.opened(host, result(), T0))
    path = tmp_path / (incident.id + ".jsonl")
    path.unlink()
    if spoilt == "link":
        path.symlink_to("/nowhere")
    elif spoilt == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert list(store.open_of(["a", "b"])) == ["a"] and store.closed_of(["a", "b"], T0) == {}
    assert list(store.unread) == ([] if spoilt == "pipe" else [path.name])


FULL = """
import resource, signal, sys
from tests.unit.test_incident import Store, T0, frame, result
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
store = Store(sys.argv[1])
try:
    with store.locked():
        store.opened(frame.opened("db", result(), T0))
except OSError as error:
    sys.exit(3)
"""


@pytest.mark.parametrize("room", [0, 40])
def test_a_full_disk_is_not_littered_with_records(tmp_path: Path, room: int) -> None:
    ended = subprocess.run([sys.executable, "-c", FULL, str(tmp_path), str(room)], check=False)
    assert ended.returncode == 3 and [each.name for each in tmp_path.iterdir()] == [".lock"]


def test_a_closed_one_is_not_found_again_and_words_close_nothing(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with store.locked():
        first = store.opened(story()[0])
        store.append(first.id, [timeline.event(T0, "note", text={"kind": "closed"})])
        assert [each.id for each in store.open_of(["db"])["db"]] == [first.id]
        store.append(first.id, [timeline.event(T0, "closed", by="ann")])
        assert store.open_of(["db"]) == {} and store.read(first.id).closed is not None
        second = store.opened(story()[0])
        assert second.id == first.id + ".2" and [each.id for each in store.open_of(["db"])["db"]] == [second.id]
        with pytest.raises(OSError, match="no code"):
            store.opened({**story()[0], "code": "../x"})


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "incidents"))
    with store.locked():
        name = store.opened(story()[0]).id
    path = store.directory / (name + ".jsonl")
    other = tmp_path / "other"
    path.rename(other)
    path.symlink_to(other)
    before = other.read_text("utf-8")
    with store.locked(), pytest.raises(OSError):
        store.append(name, story()[1:2])
    assert other.read_text("utf-8") == before and json.loads(before)["kind"] == "opened"


def seen(**more: Any) -> Seen:
    """All well, as far as a server can be."""
    of = facts.healthy()
    integrity = {"verdict": {"code": "integrity", "cause": "go", "summary": "Go"}}
    return Seen(HEALTHY, json.loads(json.dumps(of)), integrity, more)


SETTLED: Dict[str, Any] = {
    "root_cause": "a leak",
    "corrective_actions": [{"what": "fix it", "owner": "ann", "due": None}],
    "slow_queries_reviewed": True,
    "pool_sizes": {each["service"]: 5 for each in facts.healthy()["clients"]},
}


def left(of: Seen) -> List[str]:
    return [each.name for each in checklist.checked(of) if each.open]


def test_the_checklist() -> None:
    assert left(seen(**SETTLED)) == []
    assert left(seen()) == ["root_cause", "pools", "slow_queries", "corrective_actions"]
    assert left(Seen({}, {}, {}, {})) == list(checklist.ITEMS)  # nothing is known: nothing is done
    assert left(seen(**{**SETTLED, "pool_sizes": {**SETTLED["pool_sizes"], "api": 1000}})) == ["pools"]
    known = seen(**{**SETTLED, "pool_sizes": None})
    assert left(known) == ["pools"]
    for client in known.facts["clients"]:
        client["pool"] = {"size": 5, "overflow": 0, "replicas": None, "source": "options"}
    assert left(known) == []
    assert left(seen(**{**SETTLED, "root_cause": "  "})) == ["root_cause"]
    anyway = seen(**{**SETTLED, "slow_queries_reviewed": False, "close_anyway": {"slow_queries": "nobody is here"}})
    (item,) = [each for each in checklist.checked(anyway) if not each.done]
    assert not item.open and item.accepted == "nobody is here"


@pytest.mark.parametrize(
    ("grade", "reason", "is_open"),
    [("go", None, False), ("caution", None, True), ("caution", "known", False), ("no_go", "known", True)],
)
def test_only_a_caution_is_accepted(grade: str, reason: Any, is_open: bool) -> None:
    of = seen(**SETTLED, accept_caution=reason)
    of = replace(of, integrity={"verdict": {"cause": grade, "summary": "said"}})
    assert left(of) == (["integrity"] if is_open else [])


@pytest.mark.parametrize(
    ("change", "item"),
    [
        ({"connections": {"used": 90}}, "sessions"),
        ({"connections": {"long_idle_in_transaction": 1}}, "sessions"),
        ({"limits": {"roles": [{"name": "shop", "limit": 3, "used": 3}]}}, "sessions"),
        ({"configured": {"log_lock_waits": False}}, "monitoring"),
        ({"configured": {"log_min_duration_ms": -1}}, "monitoring"),
        ({"configured": {"statements_tracked": False}}, "monitoring"),
    ],
)
def test_what_the_server_shows(change: Dict[str, Dict[str, Any]], item: str) -> None:
    of = seen(**SETTLED)
    for part, values_ in change.items():
        of.snapshot[part].update(values_)
    assert left(of) == [item]
    if item == "monitoring":
        assert left(replace(of, given={**SETTLED, "monitoring": "the dashboard"})) == []


@pytest.mark.parametrize(
    ("statements", "done", "said"),
    [
        (
            {"statements": {"count": 9, "by_mean": [{"mean_ms": 999.9}]}},
            True,
            "none of 9 statements takes 1 s or more",
        ),
        (
            {"statements": {"count": 9, "by_mean": [{"mean_ms": 2000.0, "calls": 3, "query": "SELECT ?"}]}},
            False,
            "the slowest 2 s on average, 3 calls: SELECT ?; give -e",
        ),
        ({"statements": None, "reason": "it is not loaded."}, False, "is not known: it is not loaded; give -e"),
        ({"msg": "no answer", "failed": True}, False, "is not known: no answer; give -e"),
    ],
)
def test_slow_queries(statements: Dict[str, Any], done: bool, said: str) -> None:
    of = replace(seen(**{**SETTLED, "slow_queries_reviewed": False}), statements=statements)
    (item,) = [each for each in checklist.checked(of) if each.name == "slow_queries"]
    assert item.done is done and said in item.detail
    assert left(replace(of, given=SETTLED)) == []


def test_a_reason_for_an_item_that_is_none() -> None:
    assert checklist.problems_of({"pool": "x", "health": " "}, {"api": "many"}) == [
        "oncall_pool_sizes.api is 'many'. Give a whole number.",
        "oncall_close_anyway has no item pool. Did you mean pools?",
        "oncall_close_anyway.health needs a reason.",
    ]


def test_an_archive_is_small_and_without_secrets() -> None:
    of: Any = facts.healthy()
    of["server"]["log"] = [{"at": None, "severity": "ERROR", "sqlstate": None, "cause": None, "text": "x hunter2-7 y"}]
    of["server"]["processes"] = [{"pid": each, "state": "S", "title": os.urandom(500).hex()} for each in range(12000)]
    of["snapshot"]["configured"]["hba_rules"] = None
    (host,) = worst_first({"db": {**samples.pool_exhausted("db"), "facts": of}})
    data = archive.archive(host, T0, {"hunter2-7"})
    assert len(data) <= archive.MOST_BYTES
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {each.name: tar.extractfile(each) for each in tar}
        found = {name: file.read().decode() for name, file in files.items() if file}
    assert (
        "evidence/processes.json, which is too large" not in found
        and "processes.json, which is too large" in found["evidence/CONTENTS.txt"]
    )
    assert "- hba_rules.json: nothing could be read" in found["evidence/CONTENTS.txt"]
    assert "evidence/server_log.json" in found and "hunter2-7" not in "".join(found.values())
