# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of a rollout have registered of a host, read. Pure.

A host's ``variables`` are what its tasks registered: oncall_triage, oncall_wanted, oncall_foreseen, ...
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

from .._report.words import verdict_code

Variables = Mapping[str, Any]
# What the modules return where they succeed, and no refusal has; of the procedures, how it ended.
_PROOFS = frozenset(("settings", "undo", "pending_restart", "worse"))
_DONE = ("done", "unchanged")
_ANSIBLES = "Task failed: "  # it puts this before what failed


def mapping(variables: Variables, name: str) -> Mapping[str, Any]:
    found = variables.get(name)
    return found if isinstance(found, Mapping) else {}


def identifier(variables: Variables) -> Optional[str]:
    """Of the cluster; of a server that is down, as its control file says."""
    found = mapping(mapping(variables, "oncall_foreseen"), "cluster").get("system_identifier")
    return found or mapping(variables, "oncall_streams").get("identifier")


def ready_standbys(variables: Variables) -> Sequence[str]:
    given = mapping(variables, "oncall_allowed").get("ready") or []
    return [each.strip() for each in given.split(",")] if isinstance(given, str) else [str(each) for each in given]


def unfit(variables: Variables) -> str:
    """Why a server is not to be touched; empty: it is healthy."""
    triage = mapping(variables, "oncall_triage")
    verdict = triage.get("verdict")
    if not isinstance(verdict, Mapping):
        why = line(triage.get("msg") or "no result")
        return ("it was not reached: %s" if triage.get("unreachable") else "triage could not check it: %s") % why
    return "" if verdict["code"] == "healthy" else "%s: %s" % (verdict_code(verdict), line(verdict["summary"]))


def is_down(variables: Variables) -> bool:
    verdict = mapping(variables, "oncall_triage").get("verdict")
    return isinstance(verdict, Mapping) and verdict["code"] == "server_down"


def findings(triage: Variables) -> List[Mapping[str, Any]]:
    return list(triage.get("findings") or [])


def why_failed(variables: Variables, register: str) -> str:
    """Of a task, or of a loop."""
    found = mapping(variables, register)
    if "results" not in found:
        return _why(found)
    return next(filter(None, map(_why, _results(variables, register))), "")


def _why(found: Mapping[str, Any]) -> str:
    """Of what a task returned; empty: it did what it was to do, or did not run. The tasks have failed_when: false, so
    Ansible's own ``failed`` says nothing: only what success alone returns is a proof of it."""
    if not found or found.get("skipped"):
        return ""
    bad = found.get("failed") or found.get("unreachable") or "sqlstate" in found
    proven = found["outcome"] in _DONE if "outcome" in found else not _PROOFS.isdisjoint(found)
    return "" if proven and not bad else str(found.get("msg") or "no reason given")


def role_rows(variables: Variables, register: str) -> List[Mapping[str, Any]]:
    return [row for each in _results(variables, register) for row in each.get("settings") or []]


def _results(variables: Variables, register: str) -> List[Mapping[str, Any]]:
    """Of a loop."""
    return [each for each in mapping(variables, register).get("results") or [] if isinstance(each, Mapping)]


def line(text: Any) -> str:
    said = " ".join(str(text or "").split()).rstrip(".")
    return said[len(_ANSIBLES) :] if said.startswith(_ANSIBLES) else said
