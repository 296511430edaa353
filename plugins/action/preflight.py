# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before any server is checked: what was given to the run, for all of its hosts, on the controller."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ..plugin_utils._run import response
from ..plugin_utils._run import variables as known
from ..plugin_utils._run.checking import NO_DICTIONARY, Problem
from ..plugin_utils._run.hosts import same_server

_BLANKS = (
    "-e contains '%s', which belongs to no variable: a blank ends a value. Give it as JSON, such as "
    '-e \'{"oncall_state": "idle_in_transaction"}\'.'
)
_RECORDS = (
    "oncall_incident_dir is not the same for all hosts: %s. A run keeps its record in one directory: give it to the "
    "whole group, or run them apart (--limit)."
)
_BLANK_NAME = (
    "the name has a blank: --limit and the printed commands would take it for two hosts. Rename it in the "
    "inventory, and give its address as ansible_host."
)
_NO_VERB = "This is only what our playbooks have in common. Run one of them: %s."


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True  # once for the whole play
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(argument_spec={"verb": {"type": "str", "required": True}})[1]
        verb = options["verb"]
        if not known.is_verb(verb):
            return dict(
                result, failed=True, msg=_NO_VERB % ", ".join("oncall.postgresql.%s" % each for each in known.verbs())
            )
        problems = self._problems(verb, task_vars or {})
        if problems:  # returned, not raised: Ansible 2.18 prints a traceback's remains instead of the message
            return dict(result, failed=True, msg="Nothing was done. %s" % " ".join(_said(problems)))
        result["changed"] = False
        return result

    def _problems(self, verb: str, task_vars: Dict[str, Any]) -> List[Tuple[str, str]]:
        """(host, problem); host empty: the run's own."""
        hostvars, hosts = task_vars["hostvars"], task_vars["ansible_play_hosts_all"]
        extra = dict(load_extra_vars(self._loader))
        first = hostvars.raw_get(task_vars["inventory_hostname"])
        # Variables of the play, or of a playbook that imports ours: a host's own do not hold them.
        play = {key: task_vars[key] for key in task_vars if key.startswith("oncall_") and key not in first}
        problems: List[Tuple[str, str]] = []
        stray = extra.pop("_raw_params", None)  # where Ansible puts what follows a blank
        if stray:
            problems.append(("", _BLANKS % stray))
        targets: Dict[str, Mapping[str, Any]] = {}
        records: Dict[str, List[str]] = {}
        said: Dict[str, List[Problem]] = {}  # the same values are checked once, for a thousand hosts
        problems += [(host, _BLANK_NAME) for host in hosts if len(host.split()) != 1]
        for host in hosts:
            mine = hostvars.raw_get(host)
            raw = {**{key: mine[key] for key in mine if key.startswith("oncall_")}, **play}
            values, unknown = self._evaluated(verb, raw, functools.partial(hostvars.__getitem__, host), play)
            problems += [(host, line) for line in unknown]
            key = repr(sorted((name, value) for name, value in values.items() if name != "oncall_target"))
            if key not in said:
                said[key] = known.check_names(verb, raw, extra, _role_options(verb))
                said[key] += known.check_frame(values) + known.check_verb(verb, values)
                said[key] += _remedies(values.get("oncall_auto_remedies")) if verb == known.RESPOND else []
                said[key] += filter(None, (known.evaluated(name, extra[name], values.get(name)) for name in extra))
            # What the command line says, or leaves out, is the same for every host.
            problems += [("" if each.missing or each.name in extra else host, each.text) for each in said[key]]
            records.setdefault(str(values.get("oncall_incident_dir") or "none"), []).append(host)
            target = values.get("oncall_target", {})
            if isinstance(target, Mapping):  # what is in it, its own task checks: one host does not stop the others
                targets[host] = {**target, "ansible_host": mine.get("ansible_host")}
            else:
                problems.append((host, NO_DICTIONARY % (target,)))
        if len(records) > 1:
            each = ", ".join("%s (%s)" % (place, _names(names)) for place, names in sorted(records.items()))
            problems.append(("", _RECORDS % each))
        for what, names in same_server(targets).items():
            line = "%s are the same server (%s)." % (" and ".join(names), what)
            if known.only_looks(verb):
                self._display.warning(line)
            else:
                problems.append(("", line + " Leave one of them out: --limit %s." % names[0]))
        return problems

    def _evaluated(
        self, verb: str, raw: Mapping[str, Any], host: Callable[[], Mapping[str, Any]], play: Mapping[str, Any]
    ) -> Tuple[Dict[str, Any], List[str]]:
        """``host``: its variables, which are put together anew for it: dear, so only where there is a template."""
        values: Dict[str, Any] = {}
        problems = []
        for name, value in raw.items():
            if not known.is_ours(verb, name):
                continue
            if known.is_plain(value):
                values[name] = value
                continue
            try:
                values[name] = self._templar.template(play[name]) if name in play else host()[name]
                _whole(values[name])
            except AnsibleError as error:
                values.pop(name, None)
                if name != "oncall_target":  # its own task says it, and the other hosts go on
                    problems.append("%s cannot be evaluated: %s" % (name, " ".join(str(error).split())))
        return values, problems


@functools.lru_cache(maxsize=None)
def _role_options(verb: str) -> Tuple[str, ...]:
    """Of the role that a playbook takes its settings from."""
    if verb != "tune":
        return ()
    specs = Path(__file__).resolve().parents[2] / "roles" / "tuning" / "meta" / "argument_specs.yml"
    return tuple(yaml.safe_load(specs.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"])


def _whole(value: Any) -> None:
    """Evaluate nested templates now, where an error still has its place."""
    for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        _whole(each)


def _remedies(given: Any) -> List[Problem]:
    try:
        response.allowed(given)
    except ValueError as error:
        return [Problem("oncall_auto_remedies", str(error))]
    return []


def _said(problems: List[Tuple[str, str]]) -> List[str]:
    """Each problem once, with the hosts that have it."""
    hosts: Dict[str, List[str]] = {}
    for host, line in problems:
        hosts.setdefault(line, [])
        if host and host not in hosts[line]:
            hosts[line].append(host)
    return ["%s%s" % (_names(names) + ": " if names else "", line) for line, names in hosts.items()]


def _names(hosts: List[str]) -> str:
    return ", ".join(hosts) if len(hosts) <= 3 else "%s and %d more" % (", ".join(hosts[:2]), len(hosts) - 2)
