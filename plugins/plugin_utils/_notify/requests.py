# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A message as its channel wants it: what to post, and where. Pure. The one key of an incident is its id."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ...module_utils._core.text import count, line, names
from .._incident.state import Incident
from .._incident.timeline import OPENED, written
from . import due
from .channels import ALERTMANAGER, EMERGENCY, MAIL, PAGERDUTY
from .due import Message

_HEADS = {  # in the order in which they are sent
    due.TRIGGER: "%s",
    due.REMIND: "NOBODY HAS RESPONDED: %s",
    due.ESCALATE["dba"]: "DBA NEEDED: %s",
    due.ESCALATE[EMERGENCY]: "EMERGENCY: %s",
    due.ACKNOWLEDGE: "ACKNOWLEDGED: %s",
    due.RESOLVE: "RESOLVED: %s",
}
_ORDER = tuple(_HEADS)
ALONE = 5  # more of the same at once are one message
LISTED = 100
_ACTIONS = {due.ACKNOWLEDGE: "acknowledge", due.RESOLVE: "resolve"}
_FIRES_FOR = timedelta(days=1)  # Alertmanager would resolve after minutes what nobody repeats
_SEVERITIES = {"emergency": "critical", "critical": "critical", "warning": "warning"}


Told = Tuple[Message, Incident]


def requests(told: Sequence[Told], channel: Mapping[str, Any], directory: str, now: datetime) -> List["Request"]:
    """What to send by this channel, in order. A large outage is few of them, where the channel allows that."""
    ordered = sorted(told, key=lambda each: _ORDER.index(each[0].notice))
    if channel["type"] == ALERTMANAGER:
        alerts = [one for each in ordered for one in _alerts(*each, _page(directory, each[1]), now)]
        return [Request(tuple(ordered), http(api(channel, "alerts"), alerts, authorization(channel)))]
    if channel["type"] == PAGERDUTY or channel.get("template") == "json":  # each has a key, for a machine
        return [_single(each, channel, directory, now) for each in told]
    groups: Dict[Any, List[Told]] = {}
    for each in ordered:
        groups.setdefault((each[0].notice, each[0].levels), []).append(each)
    found: List[Request] = []
    for group in groups.values():
        if len(group) > ALONE:
            found.append(_group(group, channel, directory, now))
        else:
            found += [_single(each, channel, directory, now) for each in group]
    return found


@dataclass(frozen=True)
class Request:
    """``body``: ``http`` with url, body and headers; or of a mail ``to``, subject, text and references."""

    told: Tuple[Told, ...]
    body: Dict[str, Any]


def _single(each: Told, channel: Mapping[str, Any], directory: str, now: datetime) -> Request:
    message, incident = each
    page = _page(directory, incident)
    if channel["type"] == PAGERDUTY:
        return Request((each,), http(channel["url"], _pagerduty(message, channel, incident, page, now), {}))
    if channel.get("template") == "json":
        return Request((each,), http(channel["url"], _json(message, incident, page, now), channel["headers"] or {}))
    text = _lines(message, incident, page, now)
    references = "<%s@oncall.postgresql>" % "".join(c if c.isalnum() else "." for c in incident.id)
    return Request((each,), _for_people(channel, message, _title(message, incident), text, references))


def _group(group: Sequence[Told], channel: Mapping[str, Any], directory: str, now: datetime) -> Request:
    """One message for all of them: what is wrong with how many, and then which."""
    message = group[0][0]
    verdicts = Counter(_verdict(incident) for _message, incident in group).most_common()
    worst = next(
        (each for each in ("emergency", "critical") if any(one.severity == each for _m, one in group)), "warning"
    )
    named = ["%s (%d)" % each for each in verdicts[:5]] + (["and others"] if verdicts[5:] else [])
    title = "[%s] %s: %s" % (worst.upper(), count(len(group), "incident"), ", ".join(named))
    rows = [line("%s: %s: %s" % (one.host, _verdict(one), one.summary), 200) for _message, one in group]
    left = len(rows) - LISTED
    rows = rows[:LISTED] + (["... and %d more" % left] if left > 0 else [])
    text = [*rows, "Records and post-mortems: %s" % directory]
    return Request(tuple(group), _for_people(channel, message, line(_HEADS[message.notice] % title, 500), text, ""))


def _for_people(
    channel: Mapping[str, Any], message: Message, title: str, text: Sequence[str], references: str
) -> Dict[str, Any]:
    if channel["type"] == MAIL:
        to = list(dict.fromkeys(one for level in message.levels for one in channel["to"].get(level) or []))
        body = "\n".join([title, "", *text, ""])
        return {"to": to, "subject": title, "text": body, "references": references}
    return http(channel["url"], {"text": plain("\n".join([title, *text]))}, channel["headers"] or {})


def plain(text: str) -> str:
    """For Slack, so that no name mentions everybody (<!channel>) or is taken for a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _page(directory: str, incident: Incident) -> str:
    return "%s/%s.md" % (directory, incident.id)


def silence(
    channel: Mapping[str, Any], hosts: Sequence[str], verb: str, run: str, now: datetime, minutes: Optional[int] = None
) -> Dict[str, Any]:
    """Alerts on the hosts, less those of an incident, which are ours. It ends by itself, after the channel's minutes
    unless others are given."""
    body = {
        "matchers": [
            {
                "name": channel["silence_label"],
                "value": "|".join(map(_pattern, hosts)),
                "isRegex": True,
                "isEqual": True,
            },
            {"name": "incident", "value": "", "isRegex": False, "isEqual": True},
        ],
        "startsAt": written(now),
        "endsAt": written(now + timedelta(minutes=minutes or channel["silence_minutes"])),
        "createdBy": "oncall.postgresql",
        "comment": "%s of %s, run %s" % (verb, names(hosts), run),
    }
    return http(api(channel, "silences"), body, authorization(channel))


def lift(channel: Mapping[str, Any], name: str) -> Dict[str, Any]:
    """``name``: what Alertmanager called the silence."""
    return {**http("%s/%s" % (api(channel, "silence"), name), None, authorization(channel)), "method": "DELETE"}


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


def http(url: str, body: Any, headers: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "url": url,
        "method": "POST",
        "body": body,
        "headers": {name: str(value) for name, value in headers.items()},
    }


def _verdict(incident: Incident) -> str:
    return " / ".join(filter(None, [incident.code, incident.cause]))


def _title(message: Message, incident: Incident) -> str:
    told = "[%s] %s: %s: %s" % (incident.severity.upper(), incident.host, _verdict(incident), incident.summary)
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
    opened = next((each for each in incident.events if each["kind"] == OPENED), {})
    ends = now if message.notice == due.RESOLVE else now + _FIRES_FOR
    labels = {
        "alertname": "oncall_%s" % incident.code,
        "instance": incident.host,
        "incident": incident.id,
        "severity": str(opened.get("severity") or ""),
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
