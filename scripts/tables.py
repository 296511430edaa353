# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables in README.md and docs/, and the playbooks, made from the verdicts and the registry of procedures.

A unit test holds them true.

python -m scripts.tables     # write them anew, between their markers
"""

from __future__ import annotations

import pathlib
import re
import string

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.root_causes import FAMILIES, ROOT_CAUSES
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import VERDICTS, Escalation, Row
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import OK
from scripts import verbs

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
QUESTIONS = {
    "server_down": "1. Is PostgreSQL running?",
    "not_accepting": "2. Is it accepting connections?",
    "network_unreachable": "3. Can clients reach it?",
    "client_down": "3. Can clients reach it?",
    "pool_exhausted": "4. Are connection slots available?",
    "authentication_failed": "5. Can clients log in?",
    "queries_hanging": "6. Are queries getting through?",
    "data_corruption": "7. Are data, disk and replication healthy?",
    "storage_full": "7. Are data, disk and replication healthy?",
    "wraparound_risk": "7. Are data, disk and replication healthy?",
    "replication_lag": "7. Are data, disk and replication healthy?",
    "healthy": "every question answered with yes",
    "unknown": "something fails, or could not be checked, and nothing shows why",
}


def _prose(template: str) -> str:
    """A summary with its placeholders as words: ``{role}`` -> _role_; what may be empty says nothing here."""
    words = []
    for text, field, *_rest in string.Formatter().parse(template):
        words += [text, "_%s_" % field if field and field not in ("loop", "allowed") else ""]
    return "".join(words).replace("|", "\\|")


def _fixed_by(row: Row) -> str:
    if row.remedy is None:
        return "by hand, see summary" if row.severity != OK else "-"
    name = "`%s`" % row.remedy.playbook.rpartition(".")[2]
    return name + (" where it helps, else by hand" if row.otherwise else "")


def escalated(row: Row) -> str:
    if row.escalation.to == "none":
        return "-"
    who = {"dba": "DBA", "emergency": "emergency contacts"}[row.escalation.to]
    return "%s, %s" % (
        who,
        "after %d min" % row.escalation.after_minutes if row.escalation.after_minutes else "immediately",
    )


def overview() -> str:
    """One line a verdict code."""
    lines = ["| question | verdict | causes |", "|---|---|---|"]
    for code in dict.fromkeys(code for code, _cause in VERDICTS):
        causes = ", ".join("`%s`" % cause for key, cause in VERDICTS if key == code and cause)
        lines.append("| %s | `%s` | %s |" % (QUESTIONS[code], code, causes))
    return "\n".join(lines)


def details() -> str:
    """One table a verdict code, one line a cause."""
    parts = []
    for code in dict.fromkeys(code for code, _cause in VERDICTS):
        parts.append("## `%s`\n\n%s\n" % (code, QUESTIONS[code]))
        parts.append("| cause | severity | summary | fixed by | escalate to |\n|---|---|---|---|---|")
        for (key, cause), row in VERDICTS.items():
            if key == code:
                says = "; or: ".join(_prose(text) for text in (row.summary, row.otherwise) if text)
                name = "`%s`" % cause if cause else "-"
                parts.append("| %s | %s | %s | %s | %s |" % (name, row.severity, says, _fixed_by(row), escalated(row)))
        parts.append("")
    return "\n".join(parts).strip()


def root_causes() -> str:
    """One section a family: which verdicts lead to it, what to investigate, what fixes it for good."""
    parts = []
    for row in FAMILIES.values():
        verdicts = [
            "`%s`" % " / ".join(filter(None, verdict)) for verdict, found in ROOT_CAUSES.items() if found is row
        ]
        parts.append("## %s\n\n`%s`, after %s.\n" % (row.title, row.family, ", ".join(verdicts)))
        for title, lines in (("Investigate", row.investigate), ("Lasting fix", row.lasting_fix)):
            parts.append("**%s**\n\n%s\n" % (title, "\n".join("- %s" % line for line in lines)))
    return "\n".join(parts).strip()


RUNBOOK = {"ok": "INFO", "warning": "WARNING", "critical": "CRITICAL", "emergency": "EMERGENCY"}
_WHO = {"none": "nobody", "dba": "the DBA", "emergency": 'the emergency contacts, up to the "CTO"'}


def escalations() -> str:
    """One line for each severity and escalation: who is told, when, and which verdicts say so."""
    groups: dict[tuple[str, Escalation], list[tuple[str, str | None]]] = {}
    for verdict, row in VERDICTS.items():
        groups.setdefault((row.severity, row.escalation), []).append(verdict)
    lines = ["| severity | tell | when | why | verdicts |", "|---|---|---|---|---|"]
    for severity in RUNBOOK:
        for (found, told), verdicts in groups.items():
            if found == severity:
                minutes = "-" if told.after_minutes is None else "at once"
                minutes = "after %d minutes" % told.after_minutes if told.after_minutes else minutes
                soon = ", or at once if %s" % told.or_if if told.or_if else ""
                cells = (RUNBOOK[severity], _WHO[told.to], minutes + soon, told.reason or "-", _by_code(verdicts))
                lines.append("| %s |" % " | ".join(cells))
    return "\n".join(lines)


def _by_code(verdicts: list[tuple[str, str | None]]) -> str:
    """``code`` (``cause``, ``cause``), ``code``."""
    parts = []
    for code in dict.fromkeys(code for code, _cause in verdicts):
        causes = ", ".join("`%s`" % cause for found, cause in verdicts if found == code and cause)
        parts.append("`%s`%s" % (code, " (%s)" % causes if causes else ""))
    return ", ".join(parts)


TABLES = {
    "overview": overview,
    "details": details,
    "root_causes": root_causes,
    "escalations": escalations,
    "playbooks": verbs.playbooks,
    "variables": verbs.tables,
}
PLAYBOOKS = {verb: CHECKOUT / "playbooks" / (verb + ".yml") for verb in (*verbs.ROWS, "respond")}
FILES = {
    name: CHECKOUT / name
    for name in ("README.md", "docs/verdicts.md", "docs/playbooks.md", "docs/root-causes.md", "docs/incident.md")
}


def renewed(text: str) -> str:
    """The text of one of ``FILES`` with its tables, which stand between marks that name them, made anew."""
    marked = re.compile(r"(<!-- scripts/tables.py: (\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
    return marked.sub(lambda found: "%s\n%s\n\n" % (found[1], TABLES[found[2]]()), text)


if __name__ == "__main__":
    for path in FILES.values():
        path.write_text(renewed(path.read_text()))
    for verb, path in PLAYBOOKS.items():
        path.write_text(verbs.playbook(verb))
