# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels of ``oncall_notify``: which options each has, and what is wrong with those given. Pure."""

from __future__ import annotations

import base64
import re
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ...module_utils._core.spec import Spec
from ...module_utils._core.text import did_you_mean, nearest
from .._run.checking import Checked, Problem, check

ON_CALL, DBA, EMERGENCY = "on_call", "dba", "emergency"
LEVELS = (ON_CALL, DBA, EMERGENCY)
MAIL, WEBHOOK, PAGERDUTY, ALERTMANAGER = "mail", "webhook", "pagerduty", "alertmanager"
VARIABLE = "oncall_notify"
_LIST = '%s is no list of channels. Give one, such as [{"type": "mail", "from": "...", "to": {"on_call": ["..."]}}].'
_EVERY: Dict[str, Any] = {
    "type": {"type": "str", "required": True},
    "name": {"type": "str"},
    "levels": {"type": "list", "elements": "str", "choices": list(LEVELS), "default": list(LEVELS)},
    "ca_path": {"type": "str"},
}
_ADDRESSES = {level: {"type": "list", "elements": "str"} for level in LEVELS}
_URL = re.compile(r"https?://[^\s/?#]+(?:[/?#]\S*)?$")
TYPES: Dict[str, Spec] = {
    MAIL: Spec(
        {
            **{name: rule for name, rule in _EVERY.items() if name != "levels"},
            "to": {"type": "dict", "required": True, "options": _ADDRESSES},
            "from": {"type": "str", "required": True},
            "host": {"type": "str", "default": "localhost"},
            "port": {"type": "int", "default": 25},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "secure": {"type": "str", "choices": ["always", "never", "starttls", "try"], "default": "try"},
        }
    ),
    WEBHOOK: Spec(
        {
            **_EVERY,
            "url": {"type": "str", "required": True, "no_log": True},
            "template": {"type": "str", "choices": ["json", "slack"], "default": "json"},
            "headers": {"type": "dict", "no_log": True},
        }
    ),
    PAGERDUTY: Spec(
        {
            **_EVERY,
            "routing_key": {"type": "str", "required": True, "no_log": True},
            "url": {"type": "str", "default": "https://events.pagerduty.com/v2/enqueue"},
        }
    ),
    ALERTMANAGER: Spec(
        {
            **_EVERY,
            "url": {"type": "str", "required": True, "no_log": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "silence_label": {"type": "str", "default": "instance"},
            "silence_minutes": {"type": "int", "default": 30},
        }
    ),
}

Channel = Dict[str, Any]


def read(given: Any) -> Tuple[List[Channel], List[Problem]]:
    """The channels, typed and with defaults; none where there is a problem. Empty is the same as not given."""
    if given in (None, "", []):
        return [], []
    if not isinstance(given, list):
        return [], [Problem(VARIABLE, _LIST % VARIABLE)]
    channels: List[Channel] = []
    problems: List[Problem] = []
    names = set()
    for number, each in enumerate(given):
        place = "%s[%d]" % (VARIABLE, number)
        if not isinstance(each, Mapping):
            problems.append(Problem(VARIABLE, _LIST % place))
            continue
        checked = _checked(each, place)
        problems += checked.problems
        if checked.problems:
            continue
        channel = _trimmed({**checked.options, "name": checked.options["name"] or checked.options["type"]})
        if channel["type"] == MAIL:
            channel["levels"] = [level for level in LEVELS if channel["to"].get(level)]
        empty = [name for name in ("routing_key", "from") if not channel.get(name, "x").strip()]
        empty += [
            "to.%s" % level for level, all_ in (channel.get("to") or {}).items() if not all(map(str.strip, all_ or []))
        ]
        for name in empty:  # a look-up that found nothing: it would wake nobody
            problems.append(Problem(VARIABLE, "%s (%s): %s is empty." % (place, channel["type"], name)))
        if channel["name"] in names:
            text = "%s is called %s, as another one is. Give each a name of its own." % (place, channel["name"])
            problems.append(Problem(VARIABLE, text))
        if not _URL.match(channel.get("url", "http://none")):  # it is not shown: it may hold a token
            text = "%s (%s): url is no address. Give one that begins with https:// or http://." % (
                place,
                channel["type"],
            )
            problems.append(Problem(VARIABLE, text))
        if not 0 < channel.get("port", 1) < 65536:
            problems.append(Problem(VARIABLE, "%s: port is %d. Give one from 1 to 65535." % (place, channel["port"])))
        if not channel["levels"]:
            problems.append(Problem(VARIABLE, "%s tells nobody. Give one of: %s." % (place, ", ".join(LEVELS))))
        names.add(channel["name"])
        channels.append(channel)
    return ([] if problems else channels), problems


def _checked(each: Mapping[str, Any], place: str) -> Checked:
    kind = str(each.get("type"))
    if kind not in TYPES:
        hint = did_you_mean(nearest(kind, TYPES), "Give one of: %s." % ", ".join(TYPES))
        return Checked({}, set(), [Problem(VARIABLE, "%s.type is %r. %s" % (place, each.get("type"), hint))])
    checked = check(TYPES[kind], each)
    told = [Problem(VARIABLE, "%s (%s): %s" % (place, kind, _ended(one.text))) for one in checked.problems]
    return checked._replace(problems=told)


def _trimmed(channel: Channel) -> Channel:
    """Without the newline at a file's end, where keys and tokens come from files."""
    given = {name: channel[name].strip() for name in ("url", "routing_key") if channel.get(name)}
    if channel.get("headers"):
        given["headers"] = {str(name).strip(): str(value).strip() for name, value in channel["headers"].items()}
    return {**channel, **given}


def _ended(text: str) -> str:
    return text if text.endswith((".", "?")) else text + "."


def secrets(channel: Mapping[str, Any]) -> List[str]:
    """What of it must not be shown: of an address its path, where tokens stand, too. Whole, and by its parts: an answer
    may name the token without its "Bearer"."""
    found = [str(channel[name]) for name in ("password", "routing_key") if channel.get(name)]
    for value in (channel.get("headers") or {}).values():
        found += [value, *value.split()]
    if channel.get("username"):
        pair = "%s:%s" % (channel["username"], channel["password"] or "")
        found.append(base64.b64encode(pair.encode("utf-8")).decode("ascii"))
    if channel["type"] in (WEBHOOK, ALERTMANAGER):
        rest = channel["url"].partition("://")[2]
        user, _at, _host = rest.partition("/")[0].rpartition("@")
        path = rest.partition("/")[2]
        found += [
            channel["url"],
            path,
            *user.split(":", 1),
            *(one for one in re.split(r"[/?&=#]", path) if len(one) > 7),
        ]
    return [each for each in found if len(each) > 2]


def distinct(by_host: Mapping[str, Sequence[Channel]], types: Sequence[str]) -> List[Tuple[Channel, List[str]]]:
    """Each channel of these types once, whatever it is called and whoever it tells, with the hosts that have it."""
    found: List[Tuple[Channel, Channel, List[str]]] = []
    for host, mine in by_host.items():
        for channel in mine:
            if channel["type"] not in types:
                continue
            address = {name: value for name, value in channel.items() if name not in ("name", "levels")}
            hosts = next((hosts for known, _channel, hosts in found if known == address), None)
            if hosts is None:
                found.append((address, channel, [host]))
            elif hosts[-1] != host:
                hosts.append(host)
    return [(channel, hosts) for _address, channel, hosts in found]
