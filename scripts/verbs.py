# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook of each verb, and the tables of playbooks and variables, made from the registry's rows."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from ansible_collections.oncall.postgresql.plugins.module_utils._entry.looks import LOOKS
from ansible_collections.oncall.postgresql.plugins.module_utils._model.verb import Row, Variable
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures._registry import REGISTRY
from ansible_collections.oncall.postgresql.plugins.plugin_utils._rollout.verbs import ROLLOUTS

ROWS: dict[str, Row] = {**LOOKS, **ROLLOUTS, **REGISTRY}
VERBS = ("triage", *ROWS, "respond")
TRIAGE = "What is wrong, what proves it, what fixes it, who must be told. Changes nothing."
RESPOND = "Triage; the verdict's remedy, if the operator allows it; triage again; still wrong: who must be told."
COMMON = (
    ("oncall_hosts=GROUP", "the hosts: a group, a name, a pattern (default: the group postgresql)"),
    ("oncall_report_dir=DIR", "write DIR/index.html and DIR/<host>.json; procedures also DIR/before"),
    ("oncall_report_mode=0640", "their mode: 0600 (the default), 0640 or 0644, as for a web server"),
    ("oncall_incident_dir=DIR", "keep a record of each incident in DIR: <id>.jsonl and the post-mortem <id>.md"),
    (
        "oncall_notify=[...]",
        "who is told of an incident, and how (docs/notifications.md)",
    ),
    (
        "oncall_fail_on=critical",
        "fail the hosts that end up as bad as that or worse (warning, critical, emergency)",
    ),
)
PLAN = ("oncall_plan=true", "(or --check) only show what would be changed")
AUTO = (
    "oncall_auto_remedies=start,pool_reset",
    "remedies that may be carried out; none by default, it only recommends",
)


def about(verb: str) -> str:
    return {"triage": TRIAGE, "respond": RESPOND}.get(verb) or ROWS[verb].about


def variables(verb: str) -> list[tuple[str, str]]:
    """(as it is given after -e, what it is) of each variable."""
    row = ROWS.get(verb)
    own = [(_given(row, each), _what(row, each)) for each in row.variables] if row else []
    looks = dict.fromkeys(("triage", *LOOKS), COMMON)
    more = {**looks, "respond": (AUTO, PLAN, *COMMON)}.get(verb, (PLAN, *COMMON))
    named = {given.partition("=")[0] for given, _what_ in own}
    return own + [each for each in more if each[0].partition("=")[0] not in named]


def playbook(verb: str) -> str:
    """The text of ``playbooks/<verb>.yml``."""
    width = max(len(given) for given, _what_ in variables(verb))
    lines = ["#   -e %-*s  %s" % (width, given, what) for given, what in variables(verb)]
    head = textwrap.wrap(about(verb), 116, initial_indent="# ", subsequent_indent="# ")
    name = verb.replace("_", " ").capitalize()
    body = [
        "- name: %s" % name,
        "  ansible.builtin.import_playbook: shared/%s.yml" % _shared(verb),
        "  vars:",
        "    oncall_verb: %s" % verb,
    ]
    return "\n".join(["---", *head, *lines, *body, ""])


def _shared(verb: str) -> str:
    if verb == "close_incident":
        return "close"
    return "check" if verb in LOOKS else "rollout" if verb in ROLLOUTS else "frame"


def playbooks() -> str:
    """One line a playbook."""
    rows = ["| `oncall.postgresql.%s` | %s |" % (verb, about(verb)) for verb in VERBS]
    return "\n".join(["| playbook | what it does |", "|---|---|", *rows])


def tables() -> str:
    """Each playbook with its own variables."""
    parts = []
    for verb in VERBS:
        parts.append("## `oncall.postgresql.%s`\n\n%s\n" % (verb, about(verb)))
        row = ROWS.get(verb)
        own = variables(verb)[: len(row.variables)] if row else variables(verb)
        if row and row.undo:
            parts[-1] += "\nUndo: %s%s\n" % (
                row.undo,
                " One host at a time: clients are cut off meanwhile." if row.cuts_off else "",
            )
        if own:
            lines = ["| `-e` | what |", "|---|---|", *("| `%s` | %s |" % (given, what) for given, what in own)]
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts).strip("\n")


def _rule(row: Row, each: Variable) -> dict[str, Any]:
    rule: dict[str, Any] = row.options.options[each.option]
    return rule


def _given(row: Row, each: Variable) -> str:
    rule = _rule(row, each)
    kind, default = rule.get("type", "str"), rule.get("default")
    if kind == "dict":
        return "'%s'" % json.dumps({each.variable: {"NAME": "..."}})
    if "options" in rule:
        needed = [name for name, inner in rule["options"].items() if inner.get("required")]
        return "'%s'" % json.dumps({each.variable: [dict.fromkeys(needed, "...")]})
    if kind == "list":
        example = rule.get("choices", ["..."] if rule.get("elements") in ("str", "raw") else [1])[:1]
        return "'%s'" % json.dumps({each.variable: default or example})
    if default is not None:
        shown = ("true" if not default else "false") if kind == "bool" else default
        return "%s=%s" % (each.variable, "%g" % shown if isinstance(shown, float) else shown)
    if "choices" in rule:
        return "%s=%s" % (each.variable, rule["choices"][0])
    return "%s=%s" % (each.variable, "N" if kind in ("int", "float") else "true" if kind == "bool" else "...")


def _what(row: Row, each: Variable) -> str:
    rule = _rule(row, each)
    notes = []
    if rule.get("required"):
        notes.append("required")
    if "choices" in rule:
        notes.append(", ".join(str(choice) for choice in rule["choices"]))
    if each.default:
        notes.append("default: %s" % each.default)
    elif rule.get("type") == "bool" and rule.get("default") is not None:
        notes.append("default: %s" % str(rule["default"]).lower())
    return each.about + (" (%s)" % "; ".join(notes) if notes else "")
