# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as lines for a terminal: each host in trouble with its path and evidence, settings, the fleet."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from . import settings_text, words
from .lines import SYMBOLS, Line, cut, named, wrapped
from .model import STATUSES, Host

MARKS = {"yes": ("✓", "ok"), "caution": ("!", "warning"), "no": ("✗", "critical"), "not_asked": ("·", "skip")}
SMALL = 3  # up to so many hosts, a healthy one shows its path too
MANY = 12  # from so many hosts in trouble on, only the question that was answered with no is shown
NARROWEST, WIDEST = 50, 120


def render(hosts: Sequence[Host], width: int = 80, report: Optional[str] = None, evidence: str = "") -> List[Line]:
    """``hosts`` worst first; ``report``: the page's path; ``evidence``: a line on what was kept before acting."""
    width = max(NARROWEST, min(width, WIDEST))
    troubled = [host for host in hosts if not host.quiet]
    shown = hosts if len(hosts) <= SMALL else troubled
    lines: List[Line] = []
    # The last thing on a terminal is what is seen: the worst host comes last, next to the summary.
    for host in reversed(shown):
        lines += _host(host, width, brief=len(troubled) >= MANY)
    lines += settings_text.table({host.name: host.settings for host in hosts}, width)
    if len(hosts) > 1:
        lines += _fleet(hosts, width)
    places = [line for line in ("Report: %s" % report if report else "", evidence) if line]
    if places:
        lines.append([])
        lines += ([(line, None)] for line in places)  # never wrapped: a path is there to be copied
    return lines


def plain(lines: Sequence[Line]) -> str:
    return "\n".join("".join(span[0] for span in line).rstrip() for line in lines)


def _host(host: Host, width: int, brief: bool) -> List[Line]:
    title = words.STATUS_TITLES[host.status].upper()
    name = words.printable(host.name)
    rule = "─" * max(3, width - len(name) - len(title) - 7)
    lines: List[Line] = [[], [("── ", None), (name, None), (" %s " % rule, None), (title, host.status), (" ─", None)]]
    lines += _earlier(host, width)
    if not host.result:
        return lines + wrapped(host.message, width, "  ") + [[("    " + line, None)] for line in host.example]
    verdict = host.result["verdict"]
    lines += wrapped(words.about(host.result), width, "  ", "skip")
    lines.append([])
    lines += _path(words.path(host.result["path"] or [], host.graded), width, brief)
    lines.append([])
    lines += wrapped(words.printable(verdict["summary"]), width, "  ", host.status)
    if not host.healthy:  # else the path has said it all
        lines.append([("  " + words.verdict_code(verdict), "skip")])
        for proof in verdict.get("evidence") or []:
            lines += wrapped(words.printable(proof), width, "    - ", indent="      ")
    lines += _findings(host.result["findings"] or [], width)
    errors = (host.result["facts"] or {}).get("errors") or {}
    lines += _unknown({step: why for step, why in errors.items() if why not in verdict["summary"]}, width)
    remedy = verdict.get("remedy")
    if remedy and remedy.get("command"):
        # Never wrapped: it is there to be copied.
        lines += [[], [("  Fix:  ", None), (words.printable(remedy["command"]), "warning")]]
    if host.escalation:
        urgent = "emergency" if verdict["escalation"]["to"] == "emergency" else None
        lines += [[]] + wrapped(host.escalation, width, "  ", urgent)
    if host.root_cause and not host.healthy and not brief:
        said = "Root cause to investigate: %s (docs/root-causes.md)" % host.root_cause.title.lower()
        lines += wrapped(said, width, "  ", "skip")
    return lines


def _earlier(host: Host, width: int) -> List[Line]:
    """What was wrong before, and what was done; what follows is the state after it."""
    lines: List[Line] = []
    if host.before:
        status = str(host.before.get("severity"))
        lead = "  Before: %s " % SYMBOLS.get(status, "?")
        lines += wrapped(words.before(host.before), width, lead, status, " " * len(lead))
    for note in host.notes:
        lines += wrapped(note, width, "  Done:   ", indent=" " * 10)
    return lines + [[]] if lines else []


def _path(steps: Sequence[Mapping[str, Any]], width: int, brief: bool) -> List[Line]:
    lines: List[Line] = []
    column = max([len(step["question"]) for step in steps] + [0])
    longest = max([len(step["detail"]) for step in steps] + [0])
    beside = longest <= width - column - 7
    for step in steps:
        if brief and step["answer"] not in ("no", "caution"):
            continue
        mark, status = MARKS.get(step["answer"], ("?", "skip"))
        question, detail = step["question"], step["detail"]
        emphasis = status if step["answer"] in ("no", "caution") else None
        tone = "skip" if step["answer"] == "not_asked" else None
        if beside and detail:
            lines.append([("  %s " % mark, status), (question.ljust(column + 2), tone), (detail, emphasis or tone)])
            continue
        lines.append([("  %s " % mark, status), (question, tone)])
        if detail:
            lines += wrapped(detail, width, "      ", emphasis or tone)
    return lines


def _findings(findings: Sequence[Mapping[str, Any]], width: int) -> List[Line]:
    lines: List[Line] = []
    for found in findings:
        severity = found.get("severity") if found.get("severity") in SYMBOLS else "warning"
        lines.append([])
        lines += wrapped(words.printable(found["summary"]), width, "  %s " % SYMBOLS[str(severity)], severity, "    ")
        for proof in found.get("evidence") or []:
            lines += wrapped(words.printable(proof), width, "    - ", indent="      ")
    return lines


def _unknown(errors: Mapping[str, Any], width: int) -> List[Line]:
    lines: List[Line] = []
    for step, why in errors.items():
        said = "Not checked (%s): %s" % (words.printable(step), words.printable(why))
        lines += wrapped(said, width, "  ? ", "skip", "    ")
    return [[]] + lines if lines else []


def _fleet(hosts: Sequence[Host], width: int) -> List[Line]:
    groups: Dict[str, List[Host]] = {status: [host for host in hosts if host.status == status] for status in STATUSES}
    lines: List[Line] = [[], [("═" * width, None)], [("%d servers:" % len(hosts), None)]]
    for status in STATUSES:
        if groups[status]:
            count = " %d %s" % (len(groups[status]), words.STATUS_TITLES[status].lower())
            if sum(len(span[0]) for span in lines[-1]) + len(count) + 1 > width:
                lines.append([])
            lines[-1] += [(count, status), ("," if status != hosts[-1].status else "", None)]
    lines.append([])
    troubled = [host for host in hosts if not host.quiet]
    column = min(max([len(words.printable(host.name)) for host in troubled] + [0]), width // 3)
    for host in troubled:
        # One line a host: what it is, where, and the verdict; the words in full stand above.
        head = "  %s %-12s " % (SYMBOLS[host.status], words.STATUS_TITLES[host.status])
        what = words.verdict_code(host.result["verdict"]) if host.result else host.message
        if host.healthy:
            what = host.aside or host.summary
        name = words.printable(host.name).ljust(column)
        lines.append([(head, host.status), (name + "  ", None), (cut(what, width - len(head) - len(name) - 2), None)])
    quiet = [host for host in groups["ok"] if host.quiet]
    if quiet:
        lines += named([words.printable(host.name) for host in quiet], width, "  ✓ Healthy      ", "ok")
    return lines
