# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came back from every host, in one shape, worst first: checked, or why not."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ...module_utils._judge.root_causes import RootCause, root_cause
from .settings import Setting
from .words import escalation, printable, verdict_code

# Worst first. A server that could not be checked may be in any state: worse than a warning, not as bad as proof.
STATUSES = ("emergency", "critical", "unreachable", "failed", "warning", "ok")
UNSEEN = ("unreachable", "failed")
KEYS = ("schema", "target", "verdict", "path", "findings", "facts", "elapsed_ms")
SCHEMA = 1


@dataclass(frozen=True)
class Host:
    """One host's outcome. ``result`` has triage's keys; where nothing was seen it is empty and ``message`` says why.

    ``example``: lines that show what to write instead.
    ``before`` is an earlier verdict, ``notes`` what was done in between; ``told``: they say whom to tell.
    ``settings``: what became of its settings.
    """

    name: str
    status: str
    result: Dict[str, Any] = field(default_factory=dict)
    message: str = ""
    example: Tuple[str, ...] = ()
    before: Dict[str, Any] = field(default_factory=dict)
    notes: Tuple[str, ...] = ()
    told: bool = False
    settings: Tuple[Setting, ...] = ()

    @property
    def healthy(self) -> bool:
        return bool(self.result) and self.result["verdict"].get("code") == "healthy"

    @property
    def graded(self) -> bool:
        """Whether it is an integrity check's, or a restore proof's."""
        return bool(self.result) and self.result["verdict"].get("code") in ("integrity", "restore_proof")

    @property
    def noted(self) -> List[Dict[str, Any]]:
        """The findings that say more than that all is well."""
        return [found for found in self.result.get("findings") or [] if found.get("severity") != "ok"]

    @property
    def warned(self) -> bool:
        """It is up, and not all is well."""
        return self.status == "warning" or bool(self.noted)

    @property
    def quiet(self) -> bool:
        """Nothing to tell but that all is well."""
        return self.status == "ok" and not self.warned and not self.notes and not self.fixed

    @property
    def fixed(self) -> bool:
        """It was not healthy before, and is now."""
        return self.healthy and bool(self.before) and self.before.get("code") != "healthy"

    @property
    def root_cause(self) -> Optional[RootCause]:
        """What to do about it for good; of what was fixed, too."""
        verdict = self.before if self.fixed else self.result.get("verdict") or {}
        return root_cause(verdict.get("code"), verdict.get("cause"))

    @property
    def escalation(self) -> str:
        """Whom to tell; empty where a note says it, who knows what has been tried."""
        return "" if self.told or not self.result else escalation(self.result["verdict"])

    @property
    def summary(self) -> str:
        return printable(self.result["verdict"]["summary"]) if self.result else self.message

    @property
    def aside(self) -> str:
        """For a healthy server that is to be watched all the same: its worst finding, and how many more there are."""
        if self.fixed:
            return "was " + verdict_code(self.before)
        if not self.healthy or not self.noted:
            return ""
        first = printable(self.noted[0]["summary"]).rstrip(".")
        return first + (" (and %d more)" % (len(self.noted) - 1) if len(self.noted) > 1 else "")


def raw_variables(hostvars: Any, names: Sequence[str]) -> Dict[str, Mapping[str, Any]]:
    """Each host's variables; raw, since results are data and hold nothing to template. Ansible puts them together anew
    each time they are asked for: once is enough, of a thousand hosts."""
    found = {str(name): hostvars.raw_get(name) for name in names}
    return {name: variables if isinstance(variables, Mapping) else {} for name, variables in found.items()}


def registered(variables: Mapping[str, Mapping[str, Any]], variable: str) -> Dict[str, Optional[Mapping[str, Any]]]:
    """What each host registered. ``variables``: ``raw_variables``."""
    found = {name: mine.get(variable) for name, mine in variables.items()}
    return {name: value if isinstance(value, Mapping) else None for name, value in found.items()}


def worst_first(
    results: Mapping[str, Optional[Mapping[str, Any]]],
    before: Optional[Mapping[str, Optional[Mapping[str, Any]]]] = None,
    notes: Optional[Mapping[str, Sequence[Any]]] = None,
    settings: Optional[Mapping[str, Tuple[Setting, ...]]] = None,
) -> List[Host]:
    """``results``: what was registered for each host, None where nothing was; ``before``: the same, earlier.

    Among equals the order given stays.
    """
    hosts = [_host(name, got) for name, got in results.items()]
    hosts = [
        replace(
            host,
            before=_verdict((before or {}).get(host.name)),
            settings=(settings or {}).get(host.name, ()),
            **_noted((notes or {}).get(host.name) or ()),
        )
        for host in hosts
    ]
    return sorted(hosts, key=lambda host: (STATUSES.index(host.status), host.quiet))


def _noted(notes: Sequence[Any]) -> Dict[str, Any]:
    """``notes`` and ``told`` of a host: lines of text, or {text, tells}."""
    lines = [note if isinstance(note, Mapping) else {"text": note} for note in notes]
    return {
        "notes": tuple(" ".join(printable(line.get("text") or "").split()) for line in lines),
        "told": any(line.get("tells") for line in lines),
    }


def _verdict(got: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    found = got.get("verdict") if got else None
    return json.loads(json.dumps(found)) if isinstance(found, Mapping) else {}


def _host(name: str, got: Optional[Mapping[str, Any]]) -> Host:
    if got is None:
        return Host(name, "failed", message="It was not checked.")
    if got.get("unreachable"):
        return Host(name, "unreachable", message=_message(got))
    if got.get("failed") or not isinstance(got.get("verdict"), Mapping):
        return Host(name, "failed", message=_message(got), example=tuple(map(printable, got.get("example") or ())))
    # By way of JSON: plain values, whatever Ansible has wrapped them in.
    result = json.loads(json.dumps({key: got.get(key) for key in KEYS}))
    if got.get("facts_json"):  # triage with compact=true
        result["facts"] = json.loads(got["facts_json"])
    severity = result["verdict"].get("severity")
    return Host(name, severity if severity in STATUSES and severity not in UNSEEN else "critical", result)


def _message(got: Mapping[str, Any]) -> str:
    # "Task failed: " is what ansible-core 2.19 puts before it, once or more.
    said = re.sub(r"^(Task failed: )+", "", str(got.get("msg") or "No result came back."))
    # Where the module could not even begin (its Python, a full disk), Ansible says no more than that nothing came back.
    # With a terminal at the other end, what it complained of is in its output, and ssh has the last word.
    told = "%s\n%s" % (got.get("module_stdout") or "", got.get("module_stderr") or "")
    outcry = [line for line in told.splitlines() if line.strip() and not line.startswith("Shared connection to ")]
    if outcry and outcry[-1].strip() not in said:
        said = "%s. The host said: %s" % (said.rstrip("."), outcry[-1])
    return " ".join(printable(said).split())


def document(host: Host) -> Dict[str, Any]:
    """What ``<host>.json`` holds: triage's result, or the same keys with null and why nothing could be seen;
    ``settings`` where there are any."""
    told: Dict[str, Any] = host.result
    if not told:
        error = {"kind": host.status, "message": host.message}
        told = {**dict.fromkeys(KEYS), "schema": SCHEMA, "target": {"host": host.name}, "error": error}
    return {**told, "settings": [asdict(row) for row in host.settings]} if host.settings else told


def summary(hosts: Sequence[Host]) -> Dict[str, Any]:
    """``hosts`` worst first -> {worst, counts, hosts}."""
    counts = dict.fromkeys(STATUSES, 0)
    for host in hosts:
        counts[host.status] += 1
    verdicts = [(host, host.result.get("verdict") or {}) for host in hosts]
    return {
        "worst": hosts[0].status if hosts else None,
        "counts": counts,
        "hosts": [
            {
                "host": host.name,
                "status": host.status,
                "code": verdict.get("code"),
                "cause": verdict.get("cause"),
                "summary": host.summary,
                "before": {key: host.before.get(key) for key in ("code", "cause", "severity")} if host.before else None,
                "notes": list(host.notes),
            }
            for host, verdict in verdicts
        ],
    }


def file_names(names: Sequence[str]) -> Dict[str, str]:
    """A unique file name (without suffix) for each host: its own name where that is harmless."""
    made: Dict[str, str] = {}
    taken = set()
    for name in names:
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".-")[:100]
        if not safe or safe != name or safe.lower() in taken:
            safe = "%s-%s" % (safe or "host", hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8])
        taken.add(safe.lower())  # some file systems do not tell a from A
        made[name] = safe
    return made
