# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the controller, once for the whole play: who is to be told, told and recorded; alerts silenced, changes told."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._core.times import now
from ..module_utils._model.answers import EMERGENCY
from ..plugin_utils._incident.state import Incident
from ..plugin_utils._incident.store import Store, this_run
from ..plugin_utils._incident.timeline import FAILED, QUEUED, SENT, Event
from ..plugin_utils._notify import changes, channels, due, requests, send
from ..plugin_utils._notify.due import Message
from ..plugin_utils._notify.send import Delivery
from ..plugin_utils._report import settings
from ..plugin_utils._report.model import raw_variables

_NOT_SENT = "Notification: %s: not sent, the next run tries again: %s"
_NOTED = "Notification: %s: %s"
_LOST = "Notifications: %s cannot be written (%s), so %s. Give another directory with -e oncall_incident_dir=DIR."
_SO = ("nobody was told", "it is not kept who was told, and the next run tells them again")
_MORE = "Notifications: %s: %d more are due, and are sent next time: at most %d at once"
_NOT_SILENCED = "Silence: %s: not set, so alerts fire: %s"
_NOT_LIFTED = "Silence: %s: not lifted, it ends by itself: %s"
_NOT_TOLD = "Change event: %s: not sent: %s"
_MOST = 20  # requests to a channel at a time: enough to wake anybody


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True  # once for the whole play
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["told", "silenced", "lifted", "changed"], "required": True},
                "directory": {"type": "path"},
                "silences": {"type": "list", "elements": "dict", "default": []},
                "tries": {"type": "int", "default": 3},
                "verb": {"type": "str", "default": ""},
                "minutes": {"type": "int"},
                "variable": {"type": "str"},
                "phase": {"type": "str", "choices": list(changes.PHASES)},
                "links": {
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "options": {"href": {"type": "str", "required": True}, "text": {"type": "str"}},
                },
            },
            required_if=[("state", "told", ("directory",)), ("state", "changed", ("variable", "phase"))],
        )[1]
        silences: List[Dict[str, str]] = []
        lines: List[str] = []
        if self._task.check_mode:
            pass
        elif options["state"] == "told":
            lines = self._tell(Store(options["directory"]), options["tries"], task_vars or {})
        elif options["state"] == "silenced":
            lines, silences = self._silence(options, task_vars or {})
        elif options["state"] == "changed":
            lines = self._changed(options, task_vars or {})
        else:
            lines = self._lift(options["silences"], task_vars or {})
        lines = list(dict.fromkeys(lines))
        for each in lines:
            self._display.warning(each)
        return {**result, "changed": False, "msg": "\n".join(lines), "silences": silences}

    def _channels(self, host: str, variables: Mapping[str, Any]) -> List[channels.Channel]:
        """Of this host: each may have its own. ``preflight`` has said what is wrong with them."""
        try:
            given = variables["hostvars"][host].get(channels.VARIABLE)
            given = variables.get(channels.VARIABLE) if given is None else given
            return channels.read(self._templar.template(given))[0]
        except AnsibleError:
            return []

    def _tell(self, store: Store, tries: int, variables: Mapping[str, Any]) -> List[str]:
        hosts = variables["ansible_play_batch"]
        lost = _SO[0]
        try:
            mine = _both(store, hosts)
            by_host = self._live(store, mine, tries, variables)
            if not any(due.due(each, by_host[host], now()) for host in mine for each in mine[host]):
                return []  # nothing is locked
            with store.locked():
                every = [each for incidents in _both(store, mine).values() for each in incidents]
                deliveries, lines = _planned(every, by_host, str(store.directory))
                for name, told in _by_incident(deliveries).items():
                    incident, messages = told[0][1], [message for message, _incident, _problem in told]
                    written = due.escalations(incident, messages, now())
                    store.append(name, written + [each.event(QUEUED, now()) for each in messages])
            send.deliver(deliveries)
            lost = _SO[1]
            with store.locked():
                at = now()
                for name, told in _by_incident(deliveries).items():
                    store.append(name, [_became(message, problem, at) for message, _incident, problem in told])
        except OSError as error:
            return [_LOST % (store.directory, error.strerror or error, lost)]
        for each in deliveries:
            lines += [_NOT_SENT % (each.channel["name"], why) for why in each.problems if why]
            lines += [_NOTED % (each.channel["name"], note) for note in each.notes]
        return lines

    def _live(
        self, store: Store, hosts: Iterable[str], tries: int, variables: Mapping[str, Any]
    ) -> Dict[str, List[channels.Channel]]:
        """The channels of each host, but those that this run has tried often enough, for whichever host."""
        failed: List[channels.Channel] = []
        for host, incidents in store.open_of(variables["ansible_play_hosts_all"]).items():
            names = [name for each in incidents for name in due.given_up(each, this_run())]
            failed += [
                each
                for each in (self._channels(host, variables) if names else [])
                for name in names
                if each["name"] == name
            ]
        return {
            host: [each for each in self._channels(host, variables) if failed.count(each) < tries] for host in hosts
        }

    def _silence(
        self, options: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> Tuple[List[str], List[Dict[str, str]]]:
        by_host = {host: self._channels(host, variables) for host in variables["ansible_play_batch"]}
        wanted = {
            (hosts[0], channel["name"]): (
                channel,
                requests.silence(channel, hosts, options["verb"], this_run(), now(), options["minutes"]),
            )
            for channel, hosts in channels.distinct(by_host, (channels.ALERTMANAGER,))
        }
        lines, silences = [], []
        for (host, name), (problem, found) in send.answers(wanted).items():
            silence = found.get("silenceID") if isinstance(found, dict) else None
            if silence:
                silences.append({"host": host, "channel": name, "id": str(silence)})
            else:
                lines.append(_NOT_SILENCED % (name, problem or "its answer is not Alertmanager's"))
        return lines, silences

    def _changed(self, options: Mapping[str, Any], variables: Mapping[str, Any]) -> List[str]:
        """Hosts on which nothing changes are not named, and without any nothing is sent."""
        at = now()
        found = raw_variables(variables["hostvars"], variables["ansible_play_batch"])
        rows = {
            host: [row for row in settings.read(mine.get(options["variable"])) if row.changes]
            for host, mine in found.items()
        }
        by_host = {host: self._channels(host, variables) for host, mine in rows.items() if mine}
        wanted = {
            (str(number), channel["name"]): (
                channel,
                changes.request(
                    channel,
                    options["verb"],
                    options["phase"],
                    {host: rows[host] for host in hosts},
                    options["links"],
                    this_run(),
                    at,
                ),
            )
            for number, (channel, hosts) in enumerate(channels.distinct(by_host, changes.TYPES))
        }
        brought = send.answers(wanted)
        return [_NOT_TOLD % (name, problem) for (_number, name), (problem, _json) in brought.items() if problem]

    def _lift(self, silences: List[Mapping[str, str]], variables: Mapping[str, Any]) -> List[str]:
        wanted = {
            (each["host"], each["channel"]): (channel, requests.lift(channel, each["id"]))
            for each in silences
            for channel in self._channels(each["host"], variables)
            if channel["name"] == each["channel"]
        }
        return [
            _NOT_LIFTED % (name, problem) for (_host, name), (problem, _json) in send.answers(wanted).items() if problem
        ]


def _planned(
    incidents: Sequence[Incident], by_host: Mapping[str, List[channels.Channel]], directory: str
) -> Tuple[List[Delivery], List[str]]:
    """What is sent now, and a line of each channel for which that is not all. Who share a channel share its limit."""
    due_by: List[Tuple[channels.Channel, List[requests.Told]]] = []
    for incident in sorted(incidents, key=lambda one: one.severity != EMERGENCY):  # those first
        by_name = {one["name"]: one for one in by_host[incident.host]}
        for message in due.due(incident, by_host[incident.host], now()):
            channel = by_name[message.channel]
            shared = next((told for one, told in due_by if one == channel), None)
            if shared is None:
                due_by.append((channel, [(message, incident)]))
            else:
                shared.append((message, incident))
    deliveries, lines = [], []
    for channel, told in due_by:
        wanted = requests.requests(told, channel, directory, now())
        deliveries.append(Delivery(channel, wanted[:_MOST]))
        if wanted[_MOST:]:
            lines.append(_MORE % (channel["name"], len(wanted) - _MOST, _MOST))
    return deliveries, lines


def _by_incident(deliveries: Iterable[Delivery]) -> Dict[str, List[Tuple[Message, Incident, str]]]:
    """What is sent of each incident, by its id, and what became of it, if it was tried already."""
    found: Dict[str, List[Tuple[Message, Incident, str]]] = {}
    for each in deliveries:
        for number, request in enumerate(each.requests):
            problem = each.problems[number] if each.problems else ""
            for message, incident in request.told:
                found.setdefault(incident.id, []).append((message, incident, problem))
    return found


def _became(message: Message, problem: str, at: datetime) -> Event:
    return message.event(FAILED, at, why=problem, run=this_run()) if problem else message.event(SENT, at)


def _both(store: Store, hosts: Any) -> Dict[str, List[Incident]]:
    """The open ones, and those closed lately: something may be left to be said of them."""
    found = store.closed_of(hosts, now() - due.OUTDATED)
    for host, incidents in store.open_of(hosts).items():
        found.setdefault(host, []).extend(incidents)
    return found
