# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A message as its channel wants it: what to post, and where. Pure. The one key of an incident is its id."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any, Dict, List, Mapping, Optional

from ...module_utils._core.text import line
from .._incident.state import Incident
from .._incident.timeline import OPENED, written
from . import due
from .channels import ALERTMANAGER, EMERGENCY, MAIL, PAGERDUTY
from .due import Message

_HEADS = {
    due.TRIGGER: "%s",
    due.REMIND: "NOBODY HAS RESPONDED: %s",
    due.ACKNOWLEDGE: "ACKNOWLEDGED: %s",
    due.RESOLVE: "RESOLVED: %s",
    due.ESCALATE["dba"]: "DBA NEEDED: %s",
    due.ESCALATE[EMERGENCY]: "EMERGENCY: %s",
}
_ACTIONS = {due.ACKNOWLEDGE: "acknowledge", due.RESOLVE: "resolve"}
_FIRES_FOR = timedelta(days=1)  # Alertmanager would resolve after minutes what nobody repeats
_SEVERITIES = {"emergency": "critical", "critical": "critical", "warning": "warning"}


def request(
    message: Message, channel: Mapping[str, Any], incident: Incident, page: str, now: datetime
) -> Dict[str, Any]:
    """``mail``, the options of a mail; or ``http``: url, body, headers, and the status that means yes."""
    if channel["type"] == MAIL:
        return {"mail": _mail(message, channel, incident, page, now)}
    if channel["type"] == PAGERDUTY:
        return {"http": _http(channel["url"], _pagerduty(message, channel, incident, page, now), {})}
    if channel["type"] == ALERTMANAGER:
        return {"http": _http(api(channel, "alerts"), _alerts(message, incident, page, now), authorization(channel))}
    told = _slack if channel["template"] == "slack" else _json
    return {"http": _http(channel["url"], told(message, incident, page, now), channel["headers"] or {})}


def silence(channel: Mapping[str, Any], host: str, verb: str, run: str, now: datetime) -> Dict[str, Any]:
    """Alerts on the host, less those of an incident, which are ours. It ends by itself."""
    body = {
        "matchers": [
            {"name": channel["silence_label"], "value": _pattern(host), "isRegex": True, "isEqual": True},
            {"name": "incident", "value": "", "isRegex": False, "isEqual": True},
        ],
        "startsAt": written(now),
        "endsAt": written(now + timedelta(minutes=channel["silence_minutes"])),
        "createdBy": "oncall.postgresql",
        "comment": "%s of %s, run %s" % (verb, host, run),
    }
    return _http(api(channel, "silences"), body, authorization(channel))


def api(channel: Mapping[str, Any], what: str) -> str:
    return "%s/api/v2/%s" % (channel["url"].rstrip("/"), what)


def authorization(channel: Mapping[str, Any]) -> Dict[str, str]:
    if not channel["username"]:
        return {}
    pair = "%s:%s" % (channel["username"], channel["password"] or "")
    return {"Authorization": "Basic %s" % base64.b64encode(pair.encode("utf-8")).decode("ascii")}


def _pattern(host: str) -> str:
    """Alertmanager's expressions are those of Go. With or without a port."""
    plain = "".join(each if each.isalnum() or each in "_-" else "[%s]" % each for each in host if each not in "[]^\\")
    return "%s(:[0-9]+)?" % plain


def _http(url: str, body: Any, headers: Mapping[str, Any]) -> Dict[str, Any]:
    return {"url": url, "body": body, "headers": {name: str(value) for name, value in headers.items()}}


def _title(message: Message, incident: Incident) -> str:
    verdict = " / ".join(filter(None, [incident.code, incident.cause]))
    told = "[%s] %s: %s: %s" % (incident.severity.upper(), incident.host, verdict, incident.summary)
    return line(_HEADS[message.notice] % told, 500)


def _lines(message: Message, incident: Incident, page: str, now: datetime) -> List[str]:
    taken: Mapping[str, Any] = incident.acknowledged or {}
    rows: Dict[str, Optional[str]] = {
        "Why": due.why(incident, message.notice, now),
        "Host": incident.host,
        "Summary": incident.summary,
        "Detected": incident.detected,
        "Impact start": incident.impact_start,
        "Acknowledged": "%s by %s" % (taken.get("at"), taken.get("by")) if taken else None,
        "Impact end": incident.impact_end,
        "Post-mortem": page,
    }
    return ["%s: %s" % (name, line(str(value), 500)) for name, value in rows.items() if value]


def _mail(message: Message, channel: Mapping[str, Any], incident: Incident, page: str, now: datetime) -> Dict[str, Any]:
    to = list(dict.fromkeys(one for level in message.levels for one in channel["to"].get(level) or []))
    told = {name: channel[name] for name in ("host", "port", "username", "password", "secure", "from")}
    headers = ["References=<%s@oncall.postgresql>" % "".join(c if c.isalnum() else "." for c in incident.id)]
    body = "\n".join([_title(message, incident), "", *_lines(message, incident, page, now), ""])
    return {**told, "to": to, "subject": _title(message, incident), "body": body, "headers": headers}


def _json(message: Message, incident: Incident, page: str, now: datetime) -> Dict[str, Any]:
    return {
        "key": incident.id,
        "action": _ACTIONS.get(message.notice, "trigger"),
        "notice": message.notice,
        "levels": list(message.levels),
        "title": _title(message, incident),
        "why": due.why(incident, message.notice, now),
        **{name: getattr(incident, name) for name in ("host", "code", "cause", "severity", "summary", "detected")},
        "page": page,
    }


def _slack(message: Message, incident: Incident, page: str, now: datetime) -> Dict[str, Any]:
    text = "\n".join([_title(message, incident), *_lines(message, incident, page, now)])
    return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}


def _pagerduty(
    message: Message, channel: Mapping[str, Any], incident: Incident, page: str, now: datetime
) -> Dict[str, Any]:
    action = _ACTIONS.get(message.notice, "trigger")
    body: Dict[str, Any] = {
        "routing_key": channel["routing_key"],
        "event_action": action,
        "dedup_key": incident.id[:255],
    }
    if action == "trigger":
        body["payload"] = {
            "summary": _title(message, incident),
            "source": incident.host,
            "severity": _SEVERITIES.get(incident.severity, "error"),
            "timestamp": incident.detected,
            "component": "postgresql",
            "class": incident.code,
            "custom_details": {"lines": _lines(message, incident, page, now)},
        }
    return body


def _alerts(message: Message, incident: Incident, page: str, now: datetime) -> List[Dict[str, Any]]:
    """One for each level that is told: labels are what an alert is known by, so none of them may change."""
    opened = next((each for each in incident.events if each["kind"] == OPENED), {"severity": ""})
    ends = now if message.notice == due.RESOLVE else now + _FIRES_FOR
    labels = {
        "alertname": "oncall_%s" % incident.code,
        "instance": incident.host,
        "incident": incident.id,
        "severity": str(opened["severity"]),
    }
    told = {"summary": _title(message, incident), "description": "\n".join(_lines(message, incident, page, now))}
    return [
        {
            "labels": {**labels, "level": level},
            "annotations": told,
            "startsAt": incident.detected,
            "endsAt": written(ends),
        }
        for level in message.levels
    ]
