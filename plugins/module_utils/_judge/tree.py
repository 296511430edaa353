# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the questions, and the verdict: the first "no" has the word."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple, TypedDict

from .._model.answers import CRITICAL, NO, NOT_ASKED, SEVERITIES, WARNING, YES, Answer, Finding, Thresholds, Values
from .._model.identity import told
from .checks import accepting, activity, connections, login, network, running, soundness
from .checks.readings import NO_SQL, not_asked
from .verdicts import MOVES_SERVER, NETWORK_REPAIR, Verdict, command, render

if TYPE_CHECKING:
    from .._model.facts import AnotherServer, ClientFacts, Facts, SnapshotError

Check = Callable[["Facts", Thresholds], Answer]
QUESTIONS: Tuple[Tuple[str, Check], ...] = (
    (running.QUESTION, running.check),
    (accepting.QUESTION, accepting.check),
    (network.QUESTION, network.check),
    (connections.QUESTION, connections.check),
    (login.QUESTION, login.check),
    (activity.QUESTION, activity.check),
    (soundness.QUESTION, soundness.check),
)
# What follows from an earlier "no" is no finding of its own: (code, cause) or (code, None for all) -> what it explains.
_UNREACHED = ("refused", "timeout", "packet_loss")
_EXPLAINED: Dict[Tuple[str, Optional[str]], Tuple[Tuple[str, Optional[str]], ...]] = {
    ("server_down", None): (
        ("not_accepting", None),
        ("network_unreachable", None),
        ("pool_exhausted", None),
        ("authentication_failed", None),
    ),
    ("server_down", "disk_full"): (("storage_full", None),),
    ("server_down", "data_corruption"): (("data_corruption", None),),
    ("not_accepting", None): tuple(("network_unreachable", cause) for cause in _UNREACHED),
    ("not_accepting", "unresponsive"): (("queries_hanging", None),),
    ("network_unreachable", None): (("authentication_failed", "unknown"),),
}


class Judgement(TypedDict):
    """``verdict``, ``path`` and ``findings`` as in triage's result."""

    verdict: Verdict
    path: List[Dict[str, Optional[str]]]
    findings: List[Dict[str, Any]]


def judge(facts: Facts, thresholds: Thresholds, host: str, playbook_options: Sequence[str] = ()) -> Judgement:
    """All questions, in order. ``host`` is the inventory's name, for the remedy's command, which gets these options."""
    answers = [check(facts, thresholds) for _unused, check in QUESTIONS]
    first = next((answer for answer in answers if answer.answer == NO), None)
    away = network.client_down(facts) if first is None else None
    decided = first or away or _without_no(facts, answers)
    verdict = _cleared(render(decided, host, playbook_options), facts)
    findings = [finding for answer in answers for finding in answer.findings]
    if first:
        findings += _later(first, answers, host)
    if away:  # it was a finding, and is the verdict
        findings = [finding for finding in findings if finding.code != away.code]
    findings = [_commanded(finding, facts, host, playbook_options) for finding in findings]
    if facts["another_server"]:
        findings.append(_another(facts["another_server"]))
    elif facts["snapshot_error"] and not first and _told(facts["snapshot_error"]) not in verdict["summary"]:
        findings.append(_no_sql(facts["snapshot_error"]))
    return {
        "verdict": verdict,
        "path": _path(first or away, [away if away and each.question == away.question else each for each in answers]),
        "findings": [_plain(finding) for finding in _sorted(findings)],
    }


def _commanded(finding: Finding, facts: Facts, host: str, playbook_options: Sequence[str]) -> Finding:
    """With what to run, where a finding that is no verdict has a procedure of its own."""
    if finding.code != soundness.MOVED:
        return finding
    unseen = facts["target"]["runtime"] == "remote"  # its disk
    room = ", once you have seen that its disk has room for twice the largest" if unseen else ""
    check = command("integrity_check", host, playbook_options)["command"]
    rebuild = command("reindex", host, playbook_options, disk_checked=unseen)["command"]
    return replace(
        finding,
        evidence=(*finding.evidence, "check: %s" % check, "then rebuild what sorts by them%s: %s" % (room, rebuild)),
    )


def _path(first: Optional[Answer], answers: List[Answer]) -> List[Dict[str, Optional[str]]]:
    """What comes after the first no was checked (see the findings), and counts as not asked."""
    path: List[Dict[str, Optional[str]]] = []
    passed = False
    for answer in answers:
        if passed and first and answer.answer != NOT_ASKED:
            answer = not_asked(answer.question, "%s / %s has to be fixed first" % (first.code, first.cause))
        path.append(
            {
                "question": answer.question,
                "answer": answer.answer,
                "detail": answer.detail,
                "reason": answer.reason,
            }
        )
        passed = passed or answer is first
    return path


def _later(first: Answer, answers: List[Answer], host: str) -> List[Finding]:
    """Other questions that would say no, as findings; less those that the verdict explains."""
    explained = _EXPLAINED.get((first.code or "", None), ()) + _EXPLAINED.get((first.code or "", first.cause), ())
    found = []
    for answer in answers:
        if answer is first or answer.answer != NO:
            continue
        if (answer.code, None) in explained or (answer.code, answer.cause) in explained:
            continue
        verdict = render(answer, host)
        found.append(Finding(verdict["code"], verdict["severity"], verdict["summary"], answer.evidence))
    return found


def _without_no(facts: Facts, answers: List[Answer]) -> Answer:
    failing = [text for client in facts["clients"] for text in _failing(client)]
    if failing:
        what = "A client still fails, and nothing shows why: %s" % failing[0]
        return Answer("", NO, what, "unknown", None, tuple(failing), values=Values(what=what))
    open_questions = [answer for answer in answers if answer.answer == NOT_ASKED]
    blind = [answer for answer in open_questions if answer.question in _NEEDED]
    if blind:
        reasons = list(dict.fromkeys(str(answer.reason) for answer in open_questions))
        error = facts["snapshot_error"] if blind[0].reason == NO_SQL else None
        what = "The server could not be examined: %s" % (_told(error) if error else blind[0].reason)
        evidence = [_told(error) if error and reason == NO_SQL else reason for reason in reasons]
        said = _told(facts["snapshot_error"]) if facts["snapshot_error"] else None
        evidence += ["%s: %s" % pair for pair in sorted(facts["errors"].items()) if pair[1] != said]
        severity = None if blind[0].question == running.QUESTION else WARNING
        return Answer(
            "",
            NO,
            what,
            "unknown",
            None,
            tuple(dict.fromkeys(evidence)),
            values=Values(what=what),
            severity=_hanging(facts) or severity,
        )
    details = [answer.detail for answer in answers if answer.answer == YES]
    healthy = "all %d checks passed" % len(details)
    if open_questions:
        healthy = "%d of %d checks passed, the others do not apply" % (len(details), len(answers))
    return Answer("", YES, healthy, "healthy", None, tuple(details), values=Values(detail=healthy))


# Without an answer to these, a server cannot be called healthy. The other two ask about clients: there may be none.
_NEEDED = (running.QUESTION, accepting.QUESTION, connections.QUESTION, activity.QUESTION, soundness.QUESTION)


def _hanging(facts: Facts) -> Optional[str]:
    """It lets sessions in and answers no SQL in time: that is worse than not having been able to ask."""
    error = facts["snapshot_error"]
    return "critical" if error and error.get("kind") == "deadline" else None


def _failing(client: ClientFacts) -> List[str]:
    """Why a client that runs is not well. One that does not run is a finding of question 3."""
    if client["state"] not in ("running", "unknown"):
        return []
    found = []
    attempt, health = client["attempt"], client["health"]
    if attempt and not attempt["succeeded"]:
        state = "SQLSTATE %s" % attempt["sqlstate"] if attempt["sqlstate"] else attempt["outcome"].replace("_", " ")
        message = ": %s" % " ".join(attempt["message"].split()) if attempt["message"] else ""
        found.append("%s cannot log in: %s%s" % (client["name"], state, message))
    if health and not health["ok"]:
        status = "HTTP %d" % health["status"] if health["status"] is not None else health["error"] or "no answer"
        body = ": %s" % " ".join(health["body"].split()) if health["body"] else ""
        found.append("health check of %s (%s) fails: %s%s" % (client["name"], health["url"], status, body))
    return found


def _no_sql(error: SnapshotError) -> Finding:
    return Finding("no_sql_facts", WARNING, "SQL is not available: what it would show is unknown", (_told(error),))


def _told(error: SnapshotError) -> str:
    return " ".join(str(error.get("message") or error.get("kind")).split())


def recommends_repair(judgement: Judgement) -> bool:
    remedy = judgement["verdict"]["remedy"]
    return remedy is not None and remedy["playbook"].split(".")[-1] == NETWORK_REPAIR.playbook


def _cleared(verdict: Verdict, facts: Facts) -> Verdict:
    """No command is printed that would be refused: all but network_repair ask the server first, or start it."""
    remedy, found, server = verdict["remedy"], facts["another_server"], facts["server"]
    if not remedy:
        return verdict
    playbook = remedy["playbook"].split(".")[-1]
    if playbook == NETWORK_REPAIR.playbook:
        why = facts["repair_obstacle"]
        return {**verdict, "remedy": None, "summary": why} if why else verdict
    if found:
        but = "But first find out why another server answers at %s" % found["where"]
    elif server and server["obstacle"] and playbook in MOVES_SERVER:
        but = "But %s" % server["obstacle"]
    else:
        return verdict
    return {**verdict, "remedy": None, "summary": "%s. %s" % (verdict["summary"], but)}


def _another(found: AnotherServer) -> Finding:
    """Whoever follows the same options reads and writes the wrong database."""
    return Finding(
        "another_server",
        CRITICAL,
        "Another server answers at %s: it was not checked" % found["where"],
        ("it answers: %s" % told(found["answers"]), "expected: %s" % told(found["expected"])),
    )


def _sorted(findings: List[Finding]) -> List[Finding]:
    """Worst first; of the same severity, in the order of the questions. The same thing twice is said once."""
    return sorted(dict.fromkeys(findings), key=lambda finding: -SEVERITIES.index(finding.severity))


def _plain(finding: Finding) -> Dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "summary": finding.summary,
        "evidence": list(finding.evidence),
    }
