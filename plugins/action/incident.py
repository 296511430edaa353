# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the controller: the record of what happens to the play's hosts. What cannot be recorded stops no recovery."""

from __future__ import annotations

import os
import pwd
from typing import Any, Dict, List, Mapping, Optional

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils._core.times import now
from ..module_utils._entry.looks import CLOSING
from ..plugin_utils._incident import frame, timeline
from ..plugin_utils._incident.closing import close
from ..plugin_utils._incident.state import Incident
from ..plugin_utils._incident.store import Store, is_over, this_run
from ..plugin_utils._report.model import raw_variables, registered

OPEN, NOTED, ACKNOWLEDGED, CLOSED = "open", "noted", "acknowledged", "closed"
_OPTIONS: Dict[str, Any] = {
    "state": {"type": "str", "choices": [OPEN, NOTED, ACKNOWLEDGED, CLOSED], "default": NOTED},
    "directory": {"type": "path", "required": True},
    "text": {"type": "str"},
    "code": {"type": "str"},
    "severity": {"type": "str", "choices": ["warning", "critical", "emergency"], "default": "critical"},
    "verb": {"type": "str", "default": "triage"},
    "triage": {"type": "str"},
    "response": {"type": "str"},
    "done": {"type": "str"},
    "integrity": {"type": "str"},
    "statements": {"type": "str"},
    **CLOSING.options,
}


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True  # once for the whole play
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(argument_spec=_OPTIONS)[1]
        variables = task_vars or {}
        found = raw_variables(variables["hostvars"], variables["ansible_play_batch"])
        store = Store(options["directory"])
        result.update(changed=False, msg="", incidents=[], hosts={})
        try:
            if options["state"] == CLOSED:
                closed = close(store, options, found, _by(variables), now(), self._task.check_mode)
                return {**result, "msg": "\n".join(store.problems()), **closed}
            incidents = self._recorded(store, options, found, _by(variables))
            told = frame.told(incidents, str(store.directory), this_run())
            result["msg"] = "\n".join(filter(None, [told, *store.problems()]))
            result["incidents"] = [_entry(each) for mine in incidents.values() for each in mine]
        except OSError as error:
            result["msg"] = (
                "Incident: not recorded, %s cannot be written (%s). Give another directory with "
                "-e oncall_incident_dir=DIR." % (store.directory, error.strerror or error)
            )
            result["failed"] = options["state"] == CLOSED
        return result

    def _recorded(
        self, store: Store, options: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], by: str
    ) -> Dict[str, List[Incident]]:
        """The hosts' open incidents, when all has been written."""
        looks = registered(found, options["triage"]) if options["triage"] else {}
        opening = {host for host, look in looks.items() if options["state"] == OPEN and frame.opens(look)}
        if options["state"] == OPEN and not options["triage"]:
            opening = set(found)
        concerned = opening | set(store.open_of(found))  # of a healthy fleet: none, and nothing is locked or written
        if not concerned or self._task.check_mode:
            return store.open_of(concerned)
        with store.locked():
            incidents = store.open_of(concerned)
            errors: List[OSError] = []
            for host in sorted(concerned):
                mine = incidents.setdefault(host, [])
                try:
                    if host in opening:
                        first = _opened(host, looks.get(host), options, by)
                        if not any(each.code == first["code"] for each in mine):
                            mine.append(store.opened(first))
                    events = _events(found[host], looks.get(host), options, by)
                    for index, each in enumerate(mine):
                        if options["code"] in (None, each.code):
                            news = frame.interrupted(each, is_over, this_run(), now())
                            news += [one for one in events if frame.is_news(each, one)]
                            mine[index] = store.append(each.id, news) if news else each
                except OSError as error:  # the other hosts have theirs
                    errors.append(error)
                    store.unwritten["the record of %s" % host] = error.strerror or str(error)
            if len(errors) == len(concerned):
                raise errors[0]
        return incidents


def _opened(host: str, look: Optional[Mapping[str, Any]], options: Mapping[str, Any], by: str) -> timeline.Event:
    if look is not None:
        return frame.opened(host, look, now())
    told = {"code": options["code"] or "unknown", "cause": None, "severity": options["severity"]}
    at = timeline.written(now())
    impact = {"start": at, "source": frame.DETECTION}
    return timeline.event(now(), timeline.OPENED, host=host, **told, summary=options["text"], by=by, impact=impact)


def _events(
    mine: Mapping[str, Any], look: Optional[Mapping[str, Any]], options: Mapping[str, Any], by: str
) -> List[timeline.Event]:
    """What this task has to say about a host, in order."""
    events = []
    decided = mine.get(options["response"] or "")
    verb = decided.get("verb") if isinstance(decided, Mapping) else None
    if verb and not boolean(mine.get("oncall_only_plan", False)):
        done = mine.get(options["done"] or "")
        if options["state"] == ACKNOWLEDGED:
            events.append(frame.begins(verb, this_run(), by, now()))
        elif isinstance(done, Mapping):
            events.append(frame.ended(verb, this_run(), done, now()))
    if options["triage"]:
        events.append(frame.look(look, options["verb"], now()))
    if options["text"] is not None and options["state"] != OPEN:
        kind = timeline.ACKNOWLEDGED if options["state"] == ACKNOWLEDGED else timeline.NOTE
        events.append(timeline.event(now(), kind, by=by, text=options["text"]))
    return events


def _entry(each: Incident) -> Dict[str, Any]:
    return {"id": each.id, "host": each.host, "code": each.code, "open": each.closed is None}


def _by(variables: Mapping[str, Any]) -> str:
    """Who runs this: a person's name where AWX or sudo knows it."""
    for name in (variables.get("awx_user_name"), variables.get("tower_user_name"), os.environ.get("SUDO_USER")):
        if isinstance(name, str) and name:
            return str(name)
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
