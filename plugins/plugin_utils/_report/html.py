# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type

from jinja2 import ChainableUndefined, Environment, FileSystemLoader, Undefined
from markupsafe import Markup

from ...module_utils._core.text import names as names_of
from .._incident.state import Incident
from . import incident as incident_pages
from . import pictures, words
from . import settings as settings_rows
from .model import STATUSES, UNSEEN, Host, file_names

HERE = Path(__file__).parent
FEW = 6  # up to so many servers, each has a section of its own; of more, a healthy one is a name in a list
DETAILED = 40  # the worst of so many show all details; what the others hold is in their files
ROWS = 10  # of a table of sessions, where there are more than a few servers
SESSION_TABLES = (
    ("Long-running queries", "activity", "long_queries"),
    ("Idle in transaction, longest first", "connections", "idle_in_transaction"),
    ("Idle the longest", "connections", "idle"),
)


def render(
    hosts: Sequence[Host],
    at: str,
    undefined: Type[Undefined] = ChainableUndefined,
    incidents: Optional[Mapping[str, Sequence[Incident]]] = None,
) -> str:
    """The page for ``hosts`` (worst first), made ``at`` (text, UTC), with the ``incidents`` of each.

    A reading that is missing leaves its place empty: a page with a gap is worth more than none. The tests are stricter.
    """
    names = file_names([host.name for host in hosts])
    few, found = len(hosts) <= FEW, incidents or {}
    sections = [host for host in hosts if few or not host.quiet or found.get(host.name)]
    listed = [] if few else [host for host in hosts if host not in sections]
    return _page(
        undefined,
        at=at,
        total=len(hosts),
        hosts=[
            _view(host, names[host.name], number < DETAILED, None if few else ROWS, found.get(host.name) or ())
            for number, host in enumerate(sections)
        ],
        healthy=[_row(host, names[host.name]) for host in listed],
        settings=_settings(hosts, names),
        counts=[
            (status, words.STATUS_TITLES[status], sum(host.status == status for host in hosts)) for status in STATUSES
        ],
        headline=_headline(hosts),
        subject="PostgreSQL %s" % ("integrity" if _graded(hosts) else "triage"),
        footer="All facts of a server are in the JSON file named after it, next to this page. Looking changes nothing.",
    )


def _settings(hosts: Sequence[Host], names: Mapping[str, str]) -> Dict[str, Any]:
    """As many groups as there are servers with details; of the others a line each."""
    found = {host.name: host.settings for host in hosts}
    groups = settings_rows.groups(found)
    return {
        "counts": settings_rows.counts(found),
        "groups": [
            {
                "title": names_of(group.hosts, 3),
                "tally": settings_rows.tally(group.rows),
                "worst": group.worst,
                "rows": group.rows,
                "hosts": [{"name": name, "file": names[name] + ".json"} for name in group.hosts],
                "open": len(groups) <= FEW,
            }
            for group in groups[:DETAILED]
        ],
        "others": [
            {"name": name, "file": names[name] + ".json", "tally": settings_rows.tally(group.rows)}
            for group in groups[DETAILED:]
            for name in group.hosts
        ],
    }


def incident(found: Incident, undefined: Type[Undefined] = ChainableUndefined) -> str:
    """The page of one incident, as far as its record goes."""
    view = incident_pages.view(found)
    return _page(
        undefined,
        at=incident_pages.clock(found.events[-1]["at"] if found.events else "") + " UTC",
        incidents=[view],
        headline="Incident %s" % view["title"],
        subject="PostgreSQL %s" % found.host,
        footer="Made from %s.jsonl, next to this page, which is only ever added to." % found.id,
    )


def _page(undefined: Type[Undefined], **given: Any) -> str:
    style, environment = _style(), _environment()
    if undefined is not environment.undefined:
        environment = environment.overlay(undefined=undefined)
    return environment.get_template("page.html.j2").render(
        # The policy allows this style sheet by its hash, and nothing else at all.
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii"),
        **{"total": 0, "hosts": [], "healthy": [], "counts": [], "incidents": [], "settings": {"counts": []}, **given},
    )


@lru_cache(maxsize=None)
def _style() -> str:
    return (HERE / "page.css").read_text("utf-8")


@lru_cache(maxsize=None)
def _environment() -> Environment:
    """Once for all pages: a run may write hundreds of incidents."""
    environment = Environment(
        loader=FileSystemLoader(str(HERE)),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,
        # What a stranger may choose (an application_name, say) can hold characters that no document may.
        finalize=_shown,
    )
    environment.filters.update(
        due=words.due,
        duration=words.duration,
        milliseconds=words.milliseconds,
        size=words.size,
    )
    environment.globals.update(titles=words.STATUS_TITLES)
    return environment


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    return value if isinstance(value, (Markup, int, float)) else words.printable(value)


def _graded(hosts: Sequence[Host]) -> bool:
    seen = [host for host in hosts if host.result]
    return bool(seen) and all(host.graded for host in seen)


def _grades(hosts: Sequence[Host]) -> str:
    """``No-go``; of several servers ``1 no-go, 2 caution, 5 go, 1 not checked``."""
    counts = {
        "no-go": sum(host.status in ("emergency", "critical") for host in hosts),
        "caution": sum(host.status == "warning" for host in hosts),
        "go": sum(host.status == "ok" for host in hosts),
        "not checked": sum(host.status in UNSEEN for host in hosts),
    }
    told = [(grade, count) for grade, count in counts.items() if count]
    return told[0][0].capitalize() if len(hosts) == 1 else ", ".join("%d %s" % (count, grade) for grade, count in told)


def _headline(hosts: Sequence[Host]) -> str:
    if _graded(hosts):
        return _grades(hosts)
    urgent = sum(host.status in ("emergency", "critical") for host in hosts)
    unseen = sum(host.status in UNSEEN for host in hosts)
    total = len(hosts)
    if urgent:
        said = (
            "%d of %d servers need attention now" % (urgent, total) if total > 1 else "This server needs attention now"
        )
        if urgent == 1 and total > 1:
            said = "1 of %d servers needs attention now" % total
    elif unseen:
        said = "%d of %d servers could not be checked" % (unseen, total)
    elif any(host.warned for host in hosts):
        said = "No server is down, but some have warnings" if total > 1 else "The server is up, with a warning"
    else:
        said = "All %d servers are healthy" % total if total > 1 else "The server is healthy"
    return said


def _row(host: Host, name: str) -> Dict[str, Any]:
    """What is said of a healthy host among many."""
    target = host.result.get("target") or {}
    recovery = target.get("in_recovery")
    role = "" if recovery is None else "standby" if recovery else "primary"
    return {"name": host.name, "file": name + ".json", "what": " ".join(filter(None, (target.get("version"), role)))}


def _view(
    host: Host, name: str, detailed: bool, rows: Optional[int], incidents: Sequence[Incident] = ()
) -> Dict[str, Any]:
    """Everything the template shows of a host; of its lists of sessions so many ``rows`` (None: all)."""
    shown = [incident_pages.view(each) for each in incidents] if detailed else []
    view: Dict[str, Any] = {
        "name": host.name,
        "id": "host-" + name,
        "file": name + ".json",
        "status": host.status,
        "title": words.STATUS_TITLES[host.status],
        "summary": host.summary,
        "seen": bool(host.result),
        "healthy": host.healthy,
        "aside": host.aside,
        "before": words.before(host.before) if host.before else "",
        "notes": host.notes,
        "incidents": shown,
        "untold": [] if detailed else [incident_pages.title(each) for each in incidents],
        # An incident of the same cause has it already.
        "root_cause": host.root_cause
        if detailed and host.root_cause not in [each["guide"] for each in shown]
        else None,
        "detailed": bool(host.result) and detailed,
    }
    if not host.result:
        return view
    result = host.result
    view.update(
        verdict=result["verdict"],
        code=words.verdict_code(result["verdict"]),
        about=words.about(result),
        escalation=host.escalation,
        noted=host.noted,
    )
    if not detailed:
        return view
    facts: Dict[str, Any] = result["facts"] or {}
    snapshot: Dict[str, Any] = facts.get("snapshot") or {}
    held = snapshot.get("connections")
    view.update(
        graded=host.graded,
        **_integrity(facts.get("integrity") or {}),
        answers=words.GRADES if host.graded else words.ANSWERS,
        path=words.path(result["path"] or [], host.graded),
        findings=result["findings"] or [],
        elapsed=_elapsed(result["elapsed_ms"] or {}),
        server=facts.get("server"),
        log=((facts.get("server") or {}).get("log") or [])[-3 * rows if rows else 0 :],
        clients=facts.get("clients") or [],
        errors=facts.get("errors") or {},
        connections=held,
        segments=pictures.connections(held) if held else [],
        groups=_groups(held) if held else [],
        processes=_titles(facts)[: 3 * rows if rows else None] if not held else [],
        tree=pictures.blocking(snapshot["activity"]) if snapshot else None,
        sessions=[
            (title, snapshot[part][key][:rows], len(snapshot[part][key]))
            for title, part, key in SESSION_TABLES
            if snapshot[part][key]
        ]
        if snapshot
        else [],
        prepared=snapshot["activity"]["prepared"] if snapshot else [],
    )
    return view


def _integrity(found: Mapping[str, Any]) -> Dict[str, Any]:
    compared: Mapping[str, Any] = found.get("baseline") or {}
    return {
        "coverage": pictures.coverage(found.get("databases") or []),
        "sizes": pictures.sizes(compared.get("sizes") or []),
        "baseline_at": incident_pages.clock(compared.get("taken_at")),
    }


def _elapsed(elapsed_ms: Dict[str, float]) -> List[Dict[str, Any]]:
    longest = max(list(elapsed_ms.values()) + [0.1])
    steps = sorted(elapsed_ms.items(), key=lambda step: (step[0] == "total", step[1]))
    return [{"step": name, "ms": took, "width": round(200.0 * took / longest, 1)} for name, took in steps]


def _groups(held: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Who holds the slots: the twelve largest groups."""
    groups: List[Dict[str, Any]] = sorted(held["groups"], key=lambda group: -int(group["sessions"]))
    return groups[:12]


def _titles(facts: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Without SQL the process titles say who holds the slots."""
    processes: List[Dict[str, Any]] = (facts.get("server") or {}).get("processes") or []
    return processes[:120]
