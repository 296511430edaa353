# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in the terminal."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._report import text, words
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.model import (
    STATUSES,
    document,
    file_names,
    summary,
    worst_first,
)
from tests.unit import samples


def shown(results: Dict[str, Any], width: int = 80) -> str:
    return text.plain(text.render(worst_first(results), width))


def test_a_verdict_shows_path_evidence_remedy_and_escalation() -> None:
    result = samples.pool_exhausted("db2")
    out = shown({"db2": result}, text.WIDEST)
    said = " ".join(out.split())
    for step in result["path"][:4]:
        mark = "✗" if step["answer"] == "no" else "✓"
        assert "%s %s %s" % (mark, words.question(step["question"]), step["detail"]) in said
    assert "· %s" % words.question("activity") in out
    verdict = result["verdict"]
    assert "pool_exhausted / idle_connections" in out
    for proof in verdict["evidence"]:
        assert "- %s" % proof in said
    assert "! %s" % result["findings"][0]["summary"] in said
    assert "  %s\n" % verdict["remedy"]["command"] in out
    assert words.escalation(verdict) in said and "Tell the DBA" in words.escalation(verdict)


@pytest.mark.parametrize("width", [text.NARROWEST, 80, text.WIDEST])
def test_lines_fit_and_only_the_command_is_longer(width: int) -> None:
    for line in shown(samples.night(), width).splitlines():
        assert len(line) <= width or "Fix:" in line, line


def test_the_command_is_never_broken() -> None:
    result = samples.blocked("db3")
    command = result["verdict"]["remedy"]["command"]
    assert len(command) > text.NARROWEST
    assert command in shown({"db3": result}, text.NARROWEST)


def test_the_summary_is_worst_first_and_the_details_end_with_the_worst() -> None:
    out = shown(samples.night())
    details, _unused, fleet = out.partition("═" * 80)
    names = ["db11", "db2", "db3", "db4", "db8", "db7", "db10", "db5", "db1, db9"]
    places = [fleet.index(name) for name in names]
    assert places == sorted(places)
    assert details.index("── db5") < details.index("── db2 ") < details.index("── db11")
    assert "10 servers: 1 emergency, 3 critical, 1 unreachable, 1 not checked, 1 warning, 3 healthy" in " ".join(
        fleet.split()
    )


def test_healthy_hosts_collapse_in_a_fleet_and_are_counted() -> None:
    out = shown(samples.fleet(200))
    assert "── pg-000.example.net" not in out
    assert "── pg-017.example.net" in out
    assert "195 healthy" in out and "... 194 in all" in out
    noticed = samples.nearly_exhausted()["findings"][0]["summary"]
    assert "✓ Healthy      pg-101.example.net  %s" % noticed in out
    assert len(out.splitlines()) < 160


def test_a_single_healthy_host_shows_its_path_and_no_fleet() -> None:
    out = shown({"db1": samples.healthy()})
    assert out.count("✓") == len(samples.QUESTIONS)
    assert "servers:" not in out


def test_whom_to_tell_is_said_once() -> None:
    hosts = worst_first(
        {"db2": samples.pool_exhausted()}, None, {"db2": ["pool_reset", {"text": "Tell the DBA now.", "tells": True}]}
    )
    assert text.plain(text.render(hosts, 80)).count("Tell the") == 1


def test_why_a_host_was_not_seen_is_shown() -> None:
    out = shown({"db7": samples.failed(), "db8": samples.unreachable(), "db9": None})
    assert "No container carries com.docker.compose.project=shopp" in out
    assert "ssh: connect to host db8 port 22:\n  Connection timed out" in out
    assert "It was not checked." in out


def test_many_hosts_in_trouble_show_only_the_question_that_was_answered_with_no() -> None:
    out = shown({"db%d" % n: samples.pool_exhausted("db%d" % n) for n in range(20)})
    assert out.count("✗ Are connection slots available?") == 20
    assert "Is PostgreSQL running?" not in out


def test_a_stranger_cannot_steer_the_terminal() -> None:
    bad_message = dict(samples.failed(), msg="a\x1b]0;t\x07\nb")
    results = {"db6": samples.hostile(), "db\x1b[2J": samples.failed(), "db8": bad_message}
    for out in (shown(results), shown({"db6": samples.hostile()})):
        assert all(character.isprintable() or character == "\n" for character in out)
        assert "\\x1b" in out


def test_colours_follow_the_status() -> None:
    spans = [span for line in text.render(worst_first(samples.night()), 80) for span in line]
    assert ("EMERGENCY", "emergency") in spans and ("UNREACHABLE", "unreachable") in spans
    assert {status for _unused, status in spans if status} <= set(STATUSES) | {"skip"}


def test_order_within_a_status_is_the_inventorys() -> None:
    assert [host.name for host in worst_first({name: samples.healthy() for name in "cab"})] == ["c", "a", "b"]


def test_summary_counts_and_names_the_worst() -> None:
    made = summary(worst_first(samples.night()))
    assert made["worst"] == "emergency"
    assert made["counts"] == {"emergency": 1, "critical": 3, "unreachable": 1, "failed": 1, "warning": 1, "ok": 3}
    assert made["hosts"][0]["host"] == "db11" and made["hosts"][0]["cause"] == "checksum_failure"
    assert made["hosts"][4] == {
        "host": "db8",
        "status": "unreachable",
        "code": None,
        "cause": None,
        "summary": samples.unreachable()["msg"],
        "before": None,
        "notes": [],
    }


def test_a_mended_host_says_what_it_was_and_what_was_done() -> None:
    hosts = worst_first(
        {"db1": samples.healthy(), "db2": samples.healthy("db2")},
        {"db2": samples.pool_exhausted("db2"), "db1": samples.healthy()},
        {"db2": ["pool_reset\x1b[2J was carried out."]},
    )
    out = text.plain(text.render(hosts, 120))
    assert "Before: ✗ pool_exhausted / idle_connections: " in out
    assert "Done:   pool_reset\\x1b[2J was carried out." in out
    assert "was pool_exhausted / idle_connections" in out.partition("═" * 80)[2]
    assert "✓ Healthy      db1" in out
    made = {host["host"]: host for host in summary(hosts)["hosts"]}
    assert made["db2"]["before"] == {"code": "pool_exhausted", "cause": "idle_connections", "severity": "critical"}
    assert made["db2"]["notes"] == ["pool_reset\\x1b[2J was carried out."]


def test_ansible_2_19s_prefix_is_dropped() -> None:
    host = worst_first({"db8": {"unreachable": True, "msg": "Task failed: Task failed: ssh: no route"}})[0]
    assert host.message == "ssh: no route"


def test_a_module_that_could_not_begin_says_what_its_host_said() -> None:
    got = {"failed": True, "msg": "No start of json char found", "module_stderr": "\n/bin/sh: 1: python3: not found\n"}
    host = worst_first({"db8": got})[0]
    assert host.message == "No start of json char found. The host said: /bin/sh: 1: python3: not found"


def test_a_document_holds_the_results_keys_and_no_other() -> None:
    keys = {"schema", "target", "verdict", "path", "findings", "facts", "elapsed_ms"}
    seen, failed = worst_first({"db2": samples.pool_exhausted(), "db7": samples.failed()})
    assert set(document(seen)) == keys
    assert document(seen)["facts"] == samples.pool_exhausted()["facts"]
    assert set(document(failed)) == keys | {"error"}
    assert document(failed)["target"] == {"host": "db7"} and document(failed)["verdict"] is None


def test_file_names_are_safe_and_unique() -> None:
    names = ["db1", "../../etc/passwd", "a/b", "a_b", "A_B", "", ".", "ü", "x" * 300, "10.0.0.7", "fe80::1"]
    made = file_names(names)
    assert made["db1"] == "db1" and made["10.0.0.7"] == "10.0.0.7"
    assert len({name.lower() for name in made.values()}) == len(names)
    for name in made.values():
        assert name and not name.startswith(".") and "/" not in name and ":" not in name and len(name) < 120


@pytest.mark.parametrize(
    "raw, said", [("a\nb\tc", "a b c"), ("\x9b1m", "\\x9b1m"), ("\u202eabc", "\\x202eabc"), ("é ✓", "é ✓")]
)
def test_printable(raw: str, said: str) -> None:
    assert words.printable(raw) == said


@pytest.mark.parametrize(
    "to, minutes, reason, said",
    [
        ("none", None, "", ""),
        ("dba", 0, "wraparound risk", "Tell the DBA now: wraparound risk."),
        ("emergency", 0, "", "Tell the emergency contacts now."),
        ("dba", 20, "not resolved", "Tell the DBA if this is not resolved within 20 minutes."),
    ],
)
def test_escalation(to: str, minutes: Any, reason: str, said: str) -> None:
    verdict = {"escalation": {"to": to, "after_minutes": minutes, "reason": reason}}
    assert words.escalation(verdict) == said


def test_a_question_that_was_not_asked_says_why_unless_another_was_answered_with_no() -> None:
    steps = [
        {"question": "login", "answer": "not_asked", "detail": "not asked: x", "reason": "no client is declared"},
        {"question": "network", "answer": "not_asked", "detail": "not asked: of an older result"},
        {"question": "activity", "answer": "no", "detail": "3 wait"},
        {"question": "soundness", "answer": "not_asked", "detail": "not asked: y", "reason": "y"},
    ]
    assert [(step["question"], step["detail"]) for step in words.path(steps)] == [
        ("Can clients log in?", "no client is declared"),
        ("Can clients reach it?", "not asked: of an older result"),
        ("Are queries getting through?", "3 wait"),
        ("Are data, disk and replication healthy?", ""),
    ]
