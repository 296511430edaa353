# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: every setting with its value and its source, the sums, what is refused and what deserves a word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ...module_utils._core.text import size
from ...module_utils._procedures.configuration import values
from .given import PROFILES, SCOPES, STATES, Given, Wishes, given
from .pgtune import CONCURRENCY, WORKLOADS
from .profiles import NAMES, Value, budget_kb, runbook, sized
from .shown import lines
from .worst_case import Part, Settings, memory, shared_memory, total, words

CONNECTIONS_PER_CPU = 10
TIMEOUT = "statement_timeout"


def plan(info: Mapping[str, Any], wishes: Wishes) -> Dict[str, Any]:
    """``info``: what capacity_info returned. Raises ValueError for wishes that are none, and for unknown memory."""
    _check(wishes)
    overrides = _overrides(wishes.overrides)
    wishes = replace(wishes, overrides=overrides)
    here = given(info, wishes)
    if wishes.state == "absent":
        names = sorted({*NAMES, *overrides})
        rows = [{"name": name, "before": here.live.get(name), "after": None, "source": "reset"} for name in names]
        return _shown(wishes, dict.fromkeys(names), {TIMEOUT: None}, rows)
    notes = list(here.notes)
    chosen = runbook() if wishes.profile == "runbook" else sized(here, wishes, notes)
    for name, value in overrides.items():
        chosen.pop(name, None)
        if value is not None:
            chosen[name] = Value(value, "override")
    rows = [
        {"name": name, "before": here.live.get(name), "after": each.value, "source": each.source}
        for name, each in sorted(chosen.items())
    ]
    planned: Dict[str, Optional[str]] = {name: each.value for name, each in sorted(chosen.items())}
    then, now = Settings(here.version, here.live, planned), Settings(here.version, here.live, {})
    refused: List[str] = []
    budget = budget_kb(here, wishes)
    parts, shm = memory(then), shared_memory(then)
    _fits("memory", parts, memory(now), budget, _less_memory(then, here, budget), refused, notes)
    _fits("/dev/shm", shm, shared_memory(now), here.shm_kb, _more_shm(shm), refused, notes)
    _connections(then, here, notes)
    of_roles: Dict[str, Optional[str]] = {}
    if wishes.timeout_scope == "roles" and TIMEOUT in planned:
        of_roles[TIMEOUT], planned[TIMEOUT] = planned[TIMEOUT], None
    sums = {**_sum(parts, budget), "from": here.memory_from}, _sum(shm, here.shm_kb)
    return _shown(wishes, planned, of_roles, rows, sums, refused, notes)


def _shown(
    wishes: Wishes,
    settings: Mapping[str, Optional[str]],
    role_settings: Mapping[str, Optional[str]],
    table: Sequence[Mapping[str, Any]],
    sums: Tuple[Any, Any] = (None, None),
    refused: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Dict[str, Any]:
    found = {
        "profile": wishes.profile,
        "settings": dict(settings),
        "role_settings": dict(role_settings),
        "table": list(table),
        "memory": sums[0],
        "shared_memory": sums[1],
        "refused": list(refused),
        "notes": list(notes),
    }
    return {**found, "text": lines(found)}


def _check(wishes: Wishes) -> None:
    choices = (
        ("state", wishes.state, STATES),
        ("profile", wishes.profile, PROFILES),
        ("workload", wishes.workload, WORKLOADS),
        ("storage", wishes.storage, ("auto", *CONCURRENCY)),
        ("timeout_scope", wishes.timeout_scope, SCOPES),
    )
    for name, value, known in choices:
        if value not in known:
            raise ValueError("tuning_%s is %r: give one of %s" % (name, value, ", ".join(known)))
    if wishes.memory_percent < 1:
        raise ValueError("tuning_memory_percent is %r: it must be at least 1" % wishes.memory_percent)


def _overrides(given: Mapping[str, Any]) -> Dict[str, Optional[str]]:
    """By names as the server has them, as it takes them. Raises ValueError."""
    found: Dict[str, Optional[str]] = {}
    for spelled, value in given.items():
        name = spelled.lower()
        if name in found:
            raise ValueError("tuning_overrides names %s twice" % name)
        try:
            found[name] = None if value is None else values.given({"name": name, "type": ""}, value)
        except ValueError as error:
            raise ValueError("tuning_overrides, %s: %s" % (name, error)) from None
    return found


def _sum(parts: Sequence[Part], has_kb: Optional[int]) -> Dict[str, Any]:
    return {
        "has_bytes": None if has_kb is None else has_kb * 1024,
        "worst_case_bytes": total(parts) * 1024,
        "parts": [{"name": part.name, "bytes": part.kb * 1024, "how": part.how} for part in parts],
    }


def _fits(
    what: str,
    then: Sequence[Part],
    now: Sequence[Part],
    has_kb: Optional[int],
    advice: Callable[[], str],
    refused: List[str],
    notes: List[str],
) -> None:
    """What does not fit is refused; it is only said where no part of it is more than what the server may take now."""
    need = total(then)
    if has_kb is None:
        notes.append("Not checked: %s, whose size is unknown. Worst case: %s." % (what, size(need * 1024)))
    elif need > has_kb:
        said = "Worst case %s of %s does not fit into %s: %s. %s" % (
            size(need * 1024),
            what,
            size(has_kb * 1024),
            words(then),
            advice(),
        )
        has = {part.name: part.kb for part in now}
        if any(part.kb > has.get(part.name, 0) for part in then):
            refused.append(said)
        else:
            notes.append("No part of it grows (now: %s). %s" % (size(total(now) * 1024), said))


def _less_memory(then: Settings, here: Given, budget: Optional[int]) -> Callable[[], str]:
    def advice() -> str:
        rest = (budget or 0) - total(part for part in memory(then) if part.name != "connections")
        most = rest // max(then.hash_kb, 1)
        fewer = "Lower max_connections to %d (a pooler in front)" % most if most >= 10 else "Lower shared_buffers"
        return "%s, or work_mem; give it more memory; or accept it with tuning_memory_percent." % fewer

    return advice


def _more_shm(parts: Sequence[Part]) -> Callable[[], str]:
    def advice() -> str:
        return (
            "Raise it to %s (shm_size of the service in Compose, size= of the mount elsewhere), or override "
            "max_parallel_workers_per_gather and max_parallel_maintenance_workers with 0." % size(total(parts) * 1024)
        )

    return advice


def _connections(then: Settings, here: Given, notes: List[str]) -> None:
    connections = then.whole("max_connections")
    if here.cpus is not None and connections > CONNECTIONS_PER_CPU * here.cpus:
        notes.append(
            "max_connections %d is more than %d for each of %d processors: so many at work slow each other down. "
            "A pooler (PgBouncer) in front serves as many clients with fewer connections."
            % (connections, CONNECTIONS_PER_CPU, here.cpus)
        )
