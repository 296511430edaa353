# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the controller, once for the whole play: who is to be told now, and what became of it. Sends nothing itself."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader

from ..module_utils._core.mask import MASK
from ..module_utils._core.text import line
from ..module_utils._model.answers import EMERGENCY
from ..plugin_utils._incident.state import Incident
from ..plugin_utils._incident.store import Store, this_run
from ..plugin_utils._notify import channels, due, requests
from ..plugin_utils._notify.due import Message

_NO_MAIL = "community.general is not installed: ansible-galaxy collection install community.general"
_NOT_SENT = "Notification: %s: not sent, the next run tries again: %s"
_SENT_MAIL = "Mail sent successfully"
_LOST = "Notifications: %s cannot be written (%s), so %s. Give another directory with -e oncall_incident_dir=DIR."
_SO = {"due": "nobody was told", "told": "it is not kept who was told, and the next run tells them again"}
_MORE = "Notifications: %s: %d more are due, and are sent next time: at most %d at once"


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True  # once for the whole play
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["due", "told", "silences"], "required": True},
                "directory": {"type": "path"},
                "results": {"type": "list", "elements": "dict", "default": []},
                "verb": {"type": "str", "default": ""},
            },
            required_if=[("state", "due", ("directory",)), ("state", "told", ("directory",))],
        )[1]
        result.update(changed=False, msg="")
        if options["state"] == "silences":
            return {**result, "requests": self._silences(options["verb"], task_vars or {})}
        store = Store(options["directory"])
        try:
            if options["state"] == "due":
                return {**result, **self._due(store, task_vars or {})}
            return {**result, **self._told(store, options["results"], task_vars or {})}
        except OSError as error:
            text = _LOST % (store.directory, error.strerror or error, _SO[options["state"]])
            none: Dict[str, Any] = {"first": [], "rest": []} if options["state"] == "due" else {}
            return {**result, **none, "msg": self._said([text])}

    def _said(self, lines: Iterable[str]) -> str:
        """At once, and on the screen: what is returned holds secrets beside it, and is not shown."""
        told = list(dict.fromkeys(lines))
        for each in told:
            self._display.warning(each)
        return "\n".join(told)

    def _channels(self, host: str, variables: Mapping[str, Any]) -> List[channels.Channel]:
        """Of this host: each may have its own. ``preflight`` has said what is wrong with them."""
        try:
            given = variables["hostvars"][host].get(channels.VARIABLE)
            given = variables.get(channels.VARIABLE) if given is None else given
            return channels.read(self._templar.template(given))[0]
        except AnsibleError:
            return []

    def _due(self, store: Store, variables: Mapping[str, Any]) -> Dict[str, Any]:
        """Each message as it is to be sent: the first of each channel, and the rest, which follow if it arrived."""
        hosts = variables["ansible_play_batch"]
        first: List[Dict[str, Any]] = []
        rest: List[Dict[str, Any]] = []
        if self._task.check_mode or not store.directory.is_dir():
            return {"first": [], "rest": []}
        mine = _both(store, hosts)
        by_host = {host: self._channels(host, variables) for host in mine}
        if not any(due.due(each, by_host[host], _now()) for host in mine for each in mine[host]):
            return {"first": [], "rest": []}  # nothing is locked
        lines: List[str] = []
        taken: List[channels.Channel] = []  # of teams that share a pager's address, each has its own
        left: List[str] = []
        with store.locked():
            every = [each for incidents in _both(store, mine).values() for each in incidents]
            for incident in sorted(every, key=lambda one: one.severity != EMERGENCY):  # those first
                by_name = {one["name"]: one for one in by_host[incident.host]}
                messages = []
                for each in due.due(incident, by_host[incident.host], _now()):
                    channel = by_name[each.channel]
                    if taken.count(channel) < due.MOST:
                        taken.append(channel)
                        messages.append(each)
                    else:
                        left.append(each.channel)
                if not messages:
                    continue
                written = due.escalations(incident, messages, _now())
                written += [each.event(due.QUEUED, _now()) for each in messages]
                incident = store.append(incident.id, written)
                for each in messages:
                    channel = by_name[each.channel]
                    item = _item(each, channel, incident, str(store.directory / (incident.id + ".md")))
                    if "mail" in item and not _has_mail():
                        store.append(incident.id, [each.event(due.FAILED, _now(), why=_NO_MAIL)])
                        lines.append(_NOT_SENT % (each.channel, _NO_MAIL))
                        continue
                    (rest if any(item["address"] == one["address"] for one in first) else first).append(item)
        lines += [_MORE % (name, left.count(name), due.MOST) for name in sorted(set(left))]
        return {"first": first, "rest": rest, "msg": self._said(lines)}

    def _told(self, store: Store, results: List[Mapping[str, Any]], variables: Mapping[str, Any]) -> Dict[str, Any]:
        lines: List[str] = []
        told: Dict[str, List[Tuple[Mapping[str, Any], str]]] = {}
        for each in [one for registered in results for one in registered.get("results") or []]:
            item = each.get("oncall_message") or {}
            if item:
                told.setdefault(item["incident"], []).append((item, _problem(each, item)))
        with store.locked():
            for incident, mine in told.items():
                events = []
                for item, problem in mine:
                    message = Message(item["channel"], item["notice"], tuple(item["levels"]), item["round"])
                    more = {"why": problem} if problem else {}
                    events.append(message.event(due.FAILED if problem else due.SENT, _now(), **more))
                    if problem:
                        lines.append(_NOT_SENT % (item["channel"], problem))
                store.append(incident, events)
        return {"msg": self._said(lines)}

    def _silences(self, verb: str, variables: Mapping[str, Any]) -> List[Dict[str, Any]]:
        return [
            {**requests.silence(channel, host, verb, this_run(), _now()), "silence": requests.api(channel, "silence")}
            for host in variables["ansible_play_batch"]
            for channel in self._channels(host, variables)
            if channel["type"] == channels.ALERTMANAGER and not self._task.check_mode
        ]


def _both(store: Store, hosts: Any) -> Dict[str, List[Incident]]:
    """The open ones, and those closed lately: something may be left to be said of them."""
    found = store.closed_of(hosts, _now() - due.OUTDATED)
    for host, incidents in store.open_of(hosts).items():
        found.setdefault(host, []).extend(incidents)
    return found


def _item(message: Message, channel: channels.Channel, incident: Incident, page: str) -> Dict[str, Any]:
    return {
        **requests.request(message, channel, incident, page, _now()),
        "incident": incident.id,
        "channel": message.channel,
        "address": _address(channel),
        "notice": message.notice,
        "levels": list(message.levels),
        "round": message.round,
        "secrets": channels.secrets(channel),
    }


def _address(channel: Mapping[str, Any]) -> Tuple[Any, ...]:
    return tuple(channel.get(name) for name in ("name", "url", "host", "port"))


def _problem(result: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    """Why it did not arrive, without what is secret; empty: it did."""
    if result.get("skipped"):
        return "the message before it did not arrive"
    status = result.get("status")
    if "mail" in item:
        if result.get("msg") == _SENT_MAIL:
            return ""
    elif isinstance(status, int) and 200 <= status < 300:
        return ""
    if isinstance(status, int) and status > 0:
        return "HTTP status %d" % status
    outcry = str(result.get("module_stderr") or "").strip().splitlines()  # of a crash, with ansible-core 2.18
    text = str(outcry[-1] if outcry else result.get("msg") or "no answer").replace(
        "Status code was -1 and not [200, 201, 202, 204]: ", ""
    )
    for secret in sorted(item["secrets"], key=len, reverse=True):
        text = text.replace(secret, MASK)
    return line(text, 200)


def _has_mail() -> bool:
    return bool(module_loader.find_plugin_with_context("community.general.mail").resolved)


def _now() -> datetime:
    return datetime.now(timezone.utc)
