# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of an incident: what a look keeps in numbers, and what the page makes of a record."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, Dict, List, Optional
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.baseline import sizes
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import frame, timeline, told
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.figures import figures
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.state import Incident, fold
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report import html, incident, pictures
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.graded import graded
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.model import worst_first
from tests.unit import samples
from tests.unit.test_report_html import FORBIDDEN, words

T0 = datetime(2026, 11, 29, 3, 20, 11, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> \u202eevil\u202c & <b>bold</b> {{ 7*7 }} \x1b[31m"


def after(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def message(kind: str, minutes: float, channel: str, **more: Any) -> timeline.Event:
    told_: Dict[str, Any] = {"channel": channel, "notice": "escalate_dba", "levels": ["dba"], "round": 0, **more}
    return timeline.event(after(minutes), kind, **told_)


def story() -> List[timeline.Event]:
    """A leak, from the alarm to the closing."""
    check: Dict[str, Any] = {"check": "amcheck", "grade": "caution", "summary": "half of it", "evidence": []}
    found = {"grade": "caution", "summary": "In a line", "checks": [{**check, "remedy": None}], "integrity": {}}
    action = {"what": "Close what was opened", "owner": "ann", "due": "2026-12-01"}
    item = {
        "name": "pools",
        "title": "Pool settings",
        "done": False,
        "detail": "99 of 97",
        "accepted": "asked its owner",
    }
    return [
        frame.opened("db", samples.pool_exhausted(), T0),
        frame.look(samples.pool_exhausted(), "triage", T0),
        message("queued", 20, "slack"),
        message("queued", 20, "pager"),
        timeline.event(after(20), timeline.ESCALATED, to="dba", why="unresolved for 20 minutes", round=0),
        message("sent", 20, "slack"),
        message("failed", 20, "pager", why="HTTP status 500"),
        message("failed", 21, "pager", why="HTTP status 500"),
        timeline.event(after(22), timeline.NOTE, by="bob", text=HOSTILE),
        timeline.event(after(23), timeline.EVIDENCE, path="/srv/incidents/db.tar.gz"),
        frame.begins("pool_reset", "here-1", "ann", after(23)),
        frame.ended("pool_reset", "here-1", {"outcome": "refused", "msg": "too many", "seconds": 0.5}, after(24)),
        frame.begins("pool_reset", "here-2", "ann", after(25)),
        frame.ended("pool_reset", "here-2", {"outcome": "done", "seconds": 3.25, "downtime_seconds": 1.5}, after(26)),
        frame.look(samples.healthy(), "pool_reset", after(26)),
        frame.look(graded({**found, "not_covered": ["hr: amcheck: not installed"]}), "integrity_check", after(30)),
        frame.look(samples.healthy(), "triage", after(600)),
        timeline.event(
            after(600),
            timeline.CLOSED,
            by="ann",
            root_cause="the pool leaks",
            corrective_actions=[action],
            items=[item],
        ),
    ]


def tree(text: str) -> ElementTree.Element:
    """Strict: every element closed; nothing that runs or is loaded; no identifier twice; every picture has a text."""
    root = ElementTree.fromstring(text)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        assert element.tag not in FORBIDDEN
        assert not [name for name in element.attrib if name.startswith("on") or name in ("style", "src")]
        if element.tag == "svg":
            assert element.get("aria-hidden") == "true" or (element.get("role") == "img" and element.get("aria-label"))
    levels = [int(element.tag[1]) for element in root.iter() if element.tag in ("h1", "h2", "h3", "h4")]
    assert levels[:2] == [1, 2] and all(here <= before + 1 for before, here in itertools.pairwise(levels))
    return root


def alone(found: Incident) -> str:
    return html.incident(found, StrictUndefined)


def in_the_report(found: Incident) -> str:
    return html.render(worst_first({"db": samples.healthy("db")}), "now", StrictUndefined, {"db": [found]})


@pytest.mark.parametrize("made", [alone, in_the_report])
def test_the_page_holds_what_the_record_holds(made: Any) -> None:
    found = fold("20261129T032011Z-db-pool_exhausted", story())
    raw = made(found)
    said = words(tree(raw))
    for text in (
        "20261129T032011Z-db-pool_exhausted",
        "pool_exhausted: closed 2026-11-29 13:20:11",
        "Impact start2026-11-29 03:20:11 (detection",
        "Impact end2026-11-29 03:46:11 (26 min)",
        "97 of 97 usable slots",
        "Sessions idle in transaction4",
        "escalated to the DBA: unresolved for 20 minutes",
        "escalated to the DBADBAnot sent: HTTP status 500 (2 attempts)",
        "escalated to the DBADBAsent",
        "refused: too many",
        "done3.2 s1.5 s",
        "Data (amcheck)cautionhalf of it",
        "hr: amcheck: not installed",
        "the pool leaks",
        "To investigate: connection pool leak",
        "Close what was openedann2026-12-01",
        "Pool settings accepted",
        "asked its owner",
        "/srv/incidents/db.tar.gz",
        "<script>alert(1)</script> \\x202eevil\\x202c & <b>bold</b> {{ 7*7 }}",
    ):
        assert text in said, text
    assert "<script" not in raw and "<b>" not in raw and "\u202e" not in raw and "\x1b" not in raw
    assert said.count("message to pager, escalated to the DBA: not sent") == 1, "again and again is one line"


def test_a_healthy_host_among_many_is_shown_for_its_incident_only() -> None:
    hosts = worst_first({name: samples.healthy(name) for name in map(str, range(9))})
    raw = html.render(hosts, "now", StrictUndefined, {"4": [fold("x", story())]})
    assert [section.get("id") for section in tree(raw).iter("section")] == ["host-4", "healthy"]
    assert "8 healthy servers" in words(ElementTree.fromstring(raw))


def test_beyond_the_worst_ones_an_incident_is_a_line() -> None:
    hosts = worst_first({"db%03d" % number: samples.blocked() for number in range(html.DETAILED + 1)})
    found = {host.name: [fold("x", story()[:2])] for host in hosts}
    *_rest, last = tree(html.render(hosts, "now", StrictUndefined, found)).iter("section")
    assert "Incident: pool_exhausted: open since 2026-11-29 03:20:11" in words(last)
    assert not list(last.iter("details"))


def test_then_and_now() -> None:
    both = incident.view(fold("x", story()))["then_and_now"]
    assert (both["then"], both["now"], both["now_status"]) == ("2026-11-29 03:20:11", "2026-11-29 13:20:11", "ok")
    rows = {what: (then, now) for what, then, now in both["rows"]}
    assert rows["Verdict"] == ("pool_exhausted / idle_connections", "healthy")
    assert rows["Sessions idle in transaction"] == ("4", "0") and rows["Sessions idle"][0] == "90"
    kept = {"code": "baseline", "cause": "first", "severity": "ok", "summary": "Kept"}
    after_all = frame.look({"verdict": kept}, "baseline", after(700))  # it looks at no health
    assert incident.view(fold("x", [*story(), after_all]))["then_and_now"] == both
    only = incident.view(fold("x", story()[:2]))
    assert only["then_and_now"]["now"] == "" and only["chart"] is None
    down = frame.look({"unreachable": True, "msg": "no route"}, "triage", after(1))
    both = incident.view(fold("x", [*story()[:2], down]))["then_and_now"]
    now = {what: found for what, _then, found in both["rows"]}
    assert now["Connections"] == now["Sessions idle"] == incident.UNREAD and now["Found"] == "no route"


def test_connections_over_time() -> None:
    chart = incident.view(fold("x", story()))["chart"]
    assert (chart["counts"], chart["left_out"], chart["usable"]) == ([97, samples_used()], 1, 97)
    assert [each["name"] for each in chart["acts"]] == [
        "pool_reset refused, 2026-11-29 03:44:11",
        "pool_reset done, 2026-11-29 03:46:11",
    ]
    assert {each["label"] for each in chart["areas"]} == {"idle", "idle in transaction", "active"}
    at = [pictures.Point(float(second), sessions, None, {}) for second, sessions in ((0, 5), (10, 0))]
    drawn = pictures.over_time(at, [], None)
    assert drawn is not None and drawn["limit"] == "" and [each["label"] for each in drawn["areas"]] == ["other"]
    assert pictures.over_time(at[:1] * 2, [], None) is None and pictures.over_time([], [], None) is None


def samples_used() -> int:
    used: int = samples.healthy()["facts"]["snapshot"]["connections"]["used"]
    return used


def test_sizes_against_the_baseline() -> None:
    def base(**tables: Any) -> Dict[str, Any]:
        rows = [
            {"name": name, "bytes": size, "rows": rows, "exact": rows is not None}
            for name, (size, rows) in tables.items()
        ]
        return {"databases": [{"name": "shop", "bytes": sum(each["bytes"] for each in rows), "tables": rows}]}

    found = sizes(base(items=(1024, 5), gone=(10, None)), base(items=(512, 0), new=(2048, None)))
    assert [(each["table"], each["kind"]) for each in found] == [
        (None, "kept"),
        ("items", "kept"),  # counted, so it comes first
        ("new", "appeared"),
        ("gone", "vanished"),
    ]
    drawn = {each["name"]: each for each in pictures.sizes(found)}
    items = drawn["shop: items"]
    assert (items["then"], items["now"], items["percent"]) == ("1 KiB", "512 B", "-50.0 %")
    assert (items["rows"], items["then_width"], items["now_width"]) == ("0 rows, was 5", 500.0, 250.0)
    assert (drawn["shop: new"]["then"], drawn["shop: gone"]["now"]) == ("not there", "gone")
    assert drawn["shop"]["now_width"] == 1000.0
    many = {"t%03d" % each: (each, None) for each in range(1, 60)}
    assert len(sizes(base(**many), base(**many))) == 1 + 20


def test_the_integrity_page_shows_sizes_and_how_much_was_read() -> None:
    share = {"kind": "index", "objects": 4, "bytes": 4096, "checked_objects": 1, "checked_bytes": 1024}
    sized = {"kind": "kept", "database": "shop", "table": None, "bytes_before": 1024, "bytes": 2048}
    facts = {
        "databases": [{"amcheck": {"coverage": [share]}}, {"amcheck": None}],
        "baseline": {"taken_at": "2026-11-29T03:20:11.000Z", "sizes": [{**sized, "rows_before": None, "rows": None}]},
    }
    found = graded({"grade": "go", "summary": "Go", "checks": [], "not_covered": [], "integrity": facts})
    raw = html.render(worst_first({"db": {**found, "elapsed_ms": {}}}), "now", StrictUndefined)
    said = words(tree(raw))
    assert "Indexes1 of them, 25.0 % of bytes4, 4 KiB" in said
    assert "Sizes against the baseline of 2026-11-29 03:20:11" in said and "1 KiB2 KiB+100.0 %" in said


def process(title: str) -> Dict[str, Any]:
    return {"pid": 1, "title": title, "state": "S"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, None),
        ({"server": {"processes": [process("postgres: checkpointer ")]}}, None),
        (
            {
                "server": {
                    "processes": [
                        process("postgres: shop shop 10.0.0.5(4711) idle"),
                        process("postgres: shop shop [local] UPDATE waiting"),
                    ]
                }
            },
            {"connections": 2, "usable": None, "states": {"idle": 1, "active": 1}, "blocked": 1},
        ),
        (
            samples.pool_exhausted()["facts"],
            {
                "connections": 97,
                "usable": 97,
                "states": {"idle in transaction": 4, "idle": 90, "active": 3},
                "blocked": 0,
            },
        ),
        (samples.blocked()["facts"], {"blocked": 6, "prepared": 1}),
    ],
    ids=["nothing", "no session", "no SQL", "leak", "locks"],
)
def test_what_a_look_keeps(facts: Dict[str, Any], expected: Optional[Dict[str, Any]]) -> None:
    found = figures(facts)
    assert (found and {key: found[key] for key in expected or {}}) == expected


def test_limits_that_are_close() -> None:
    facts = samples.healthy()["facts"]
    facts["snapshot"]["limits"] = {
        "roles": [{"name": "shop", "limit": 10, "used": 8}, {"name": "etl", "limit": 0, "used": 0}],
        "databases": [{"name": "shop", "limit": 3, "used": 3}, {"name": "hr", "limit": 10, "used": 7}],
    }
    found = figures(facts)
    assert found is not None
    assert [(each["name"], each["limit"]) for each in found["limits"]] == [("shop", 3), ("shop", 10)]


def test_a_grade_keeps_its_checks_and_what_was_not_looked_at() -> None:
    check: Dict[str, Any] = {
        "check": "amcheck",
        "grade": "caution",
        "summary": "half of it",
        "evidence": [],
        "remedy": None,
    }
    found: Dict[str, Any] = {"grade": "caution", "summary": "In a line", "checks": [check], "integrity": {}}
    found["not_covered"] = ["shop: amcheck: it is not installed"]
    kept = frame.look(graded(found), "integrity_check", T0)
    assert kept["checks"] == [{"check": "amcheck", "answer": "caution", "detail": "half of it"}]
    assert kept["not_covered"] == ["shop: amcheck: it is not installed"]
    (line,) = told.lines(fold("x", [kept]))
    assert line.text == "integrity_check: caution: In a line"


texts = st.text(max_size=10)
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
numbers = st.fixed_dictionaries({"connections": st.integers(0, 200)}, optional={"usable": values, "states": values})
kinds = [each for name, each in vars(timeline).items() if name.isupper() and isinstance(each, str)]
keys = """host code cause severity summary verb run outcome seconds figures impact checks not_covered grade items open
    channel notice levels round why to path text by corrective_actions root_cause"""
anything = st.builds(
    lambda minutes, kind, more: {**more, "at": timeline.written(after(minutes)), "kind": kind},
    st.integers(0, 9),
    st.sampled_from([*kinds, *timeline.MESSAGES]) | texts,
    st.dictionaries(st.sampled_from(keys.split()), values | numbers, max_size=8),
)


@settings(deadline=None)
@given(st.lists(anything, max_size=6))
def test_a_line_of_another_hand_breaks_no_page(events: List[Dict[str, Any]]) -> None:
    opened = frame.opened("db", samples.pool_exhausted(), T0)
    for every in (events, [opened, *events]):
        ElementTree.fromstring(html.incident(fold("x", every)))
