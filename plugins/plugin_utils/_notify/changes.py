# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change to a batch of servers, told in the schema of PagerDuty's Change Events (Events API v2). Pure.

It wakes nobody: it stands beside the incidents that come after it, so that whoever is called knows what was changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Mapping, Sequence
from urllib.parse import urljoin

from ...module_utils._core.text import line, names
from .._incident.timeline import written
from .._report import settings
from .._report.settings import Setting
from .channels import PAGERDUTY, WEBHOOK
from .requests import http, plain

TYPES = (PAGERDUTY, WEBHOOK)
BEGUN, ENDED, ROLLED_BACK = "begun", "ended", "rolled_back"
PHASES = {BEGUN: "%s has begun on %s", ENDED: "%s has ended on %s", ROLLED_BACK: "%s was rolled back on %s"}
_SUMMARY = 1024  # characters, the API's limit
_ROWS = 100  # of settings: the whole event may have 512 kB
_VALUE = 200
_USUAL = {BEGUN: ("planned",), ENDED: ("tuned", "restored"), ROLLED_BACK: ("put_back",)}


def request(
    channel: Mapping[str, Any],
    verb: str,
    phase: str,
    rows: Mapping[str, Sequence[Setting]],
    links: Sequence[Mapping[str, Any]],
    run: str,
    now: datetime,
) -> Dict[str, Any]:
    """``rows``: of each server of the batch that has this channel, what changes on it."""
    groups = settings.groups(rows)
    summary = _summary(verb, phase, rows)
    if channel.get("template") == "slack":
        return http(channel["url"], {"text": plain(summary)}, channel["headers"] or {})
    event: Dict[str, Any] = {
        "payload": {
            "summary": summary,
            "timestamp": written(now),
            "source": line(names(rows, 3), 255),
            "custom_details": {"verb": verb, "phase": phase, "run": run, **_details(groups)},
        }
    }
    if links:
        event["links"] = [{name: value for name, value in each.items() if value} for each in links]
    if channel["type"] == PAGERDUTY:
        return http(_url(channel["url"]), {"routing_key": channel["routing_key"], **event}, {})
    return http(channel["url"], event, channel["headers"] or {})


def _url(alerts: str) -> str:
    """Where the host that takes a channel's alerts takes changes."""
    place, enqueue, rest = alerts.rstrip("/").rpartition("/enqueue")
    return place + "/change/enqueue" if enqueue and not rest else urljoin(alerts, "/v2/change/enqueue")


def _summary(verb: str, phase: str, rows: Mapping[str, Sequence[Setting]]) -> str:
    told = PHASES[phase] % (verb, names(rows))
    changes = [
        "%s %s%s" % (row.name, row.change, "" if row.state in _USUAL[phase] else " (%s)" % row.shown.said)
        for mine in rows.values()
        for row in mine
    ]
    return line("%s: %s" % (told, names(changes)) if changes else told, _SUMMARY)


def _details(groups: Sequence[settings.Group]) -> Dict[str, Any]:
    """Servers with what changed on them; equal ones once."""
    changed: List[Dict[str, Any]] = []
    left = _ROWS
    for group in groups:
        told = group.rows[: max(left, 0)]
        left -= len(group.rows)
        changed.append({"hosts": list(group.hosts), "settings": [_told(row) for row in told]})
    return {"changes": changed, "settings_left_out": max(-left, 0)}


def _told(row: Setting) -> Dict[str, Any]:
    before, after = (None if value is None else line(value, _VALUE) for value in (row.before, row.after))
    return {"name": row.name, "before": before, "after": after, "state": row.state, "why": line(row.why, _VALUE)}
