# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Close the open incidents of the play's hosts, as far as the checklist allows."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional

from . import checklist, frame, timeline
from .checklist import Item, Seen
from .state import Incident
from .store import Store

_NONE = "There is no open incident in %s. Correct oncall_incident_dir, or run triage."


def close(
    store: Store,
    options: Mapping[str, Any],
    found: Mapping[str, Mapping[str, Any]],
    by: str,
    at: datetime,
    check_mode: bool,
) -> Dict[str, Any]:
    """The module's result. Refused for a host with an open item; which is recorded, too. Raises OSError."""
    problems = checklist.problems_of(options["close_anyway"] or {}, options["pool_sizes"] or {})
    if problems:
        return {"failed": True, "msg": " ".join(problems)}
    concerned = store.open_of(found)
    if not concerned:
        return {"failed": True, "msg": _NONE % store.directory}
    hosts: Dict[str, Any] = {}
    with store.locked():
        for host, incidents in store.open_of(concerned).items():
            items = checklist.checked(_seen(found[host], options))
            left = [each for each in items if each.open]
            events = [*_graded(found[host], options, at), _event(options, items, left, by, at)]
            mine = [each for each in incidents if options["code"] in (None, each.code)]
            written = mine if check_mode else [store.append(each.id, events) for each in mine]
            hosts[host] = _entry(written, items, left, check_mode)
    return {"hosts": hosts, "incidents": [each for entry in hosts.values() for each in entry["incidents"]]}


def _seen(mine: Mapping[str, Any], options: Mapping[str, Any]) -> Seen:
    triage, integrity, statements = (_registered(mine, options[key]) for key in ("triage", "integrity", "statements"))
    return Seen(triage, frame.facts_of(triage), integrity, options, statements)


def _registered(mine: Mapping[str, Any], variable: Optional[str]) -> Mapping[str, Any]:
    given = mine.get(variable or "")
    return given if isinstance(given, Mapping) else {}


def _graded(mine: Mapping[str, Any], options: Mapping[str, Any], at: datetime) -> List[timeline.Event]:
    look = _registered(mine, options["integrity"])
    return [frame.look(look, "integrity_check", at)] if look.get("verdict") else []


def _event(options: Mapping[str, Any], items: List[Item], left: List[Item], by: str, at: datetime) -> timeline.Event:
    told = {"by": by, "items": checklist.as_values(items)}
    if left:
        return timeline.event(at, timeline.REFUSED, open=[each.title for each in left], **told)
    actions = json.loads(json.dumps(options["corrective_actions"] or []))
    cause = options["root_cause"] or ""
    return timeline.event(at, timeline.CLOSED, root_cause=cause, corrective_actions=actions, **told)


def _entry(incidents: List[Incident], items: List[Item], left: List[Item], check_mode: bool) -> Dict[str, Any]:
    """``notes`` are lines for the report; ``failure`` is why it was not closed, empty: it was."""
    names = ", ".join(each.id for each in incidents)
    lines = [_line(each) for each in items if not each.done]
    verb = "would be" if check_mode else "is"
    head = "%s is not closed: %d of %d items are open" % (names, len(left), len(items))
    if left:
        lines.append(
            'checklist: do what is open, or say why not: -e \'{"oncall_close_anyway": {"%s": "reason"}}\''
            % left[0].name
        )
    else:
        head = "%s %s closed" % (names, verb)
    return {
        "closed": not left and not check_mode,
        "notes": [head, *lines],
        "failure": "Not closed: %s" % "; ".join(each.title for each in left) if left else "",
        "incidents": [
            {"id": each.id, "host": each.host, "code": each.code, "open": each.closed is None} for each in incidents
        ],
    }


def _line(item: Item) -> str:
    if item.open:
        return "checklist, open: %s: %s" % (item.title, item.detail)
    return "checklist, accepted: %s: %s (%s)" % (item.title, item.detail, item.accepted)
