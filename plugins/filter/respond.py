# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the playbooks: which hosts, what to do about a verdict, what to say about it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from ansible import context
from ansible.errors import AnsibleFilterError

from ..plugin_utils._run import response
from ..plugin_utils._run.hosts import NoHosts, hosts_of
from ..plugin_utils._run.variables import RESPOND
from ..plugin_utils._run.works import expect


def targets(pattern: Any, groups: Any, limit: Any = None) -> Any:
    try:
        expect(len(hosts_of(pattern, groups, limit)))
    except NoHosts as error:
        if context.CLIARGS.get("syntax"):  # needs no inventory
            return pattern
        raise AnsibleFilterError(str(error)) from error
    return pattern


def awaiting(pattern: Any, groups: Any, hostvars: Any, verb: str, way: str) -> List[str]:
    if not hostvars:  # --syntax-check and --list-*: nothing has been decided
        return []
    hosts = hosts_of(pattern, groups)  # not those of an earlier import of the same playbook: they keep its decision
    decided = {host: hostvars.raw_get(host).get("oncall_response") or {} for host in hosts}
    return [host for host, each in decided.items() if (each.get("asked"), each.get("way")) == (verb, way)]


def respond(triage: Any, verb: str = RESPOND, auto_remedies: Any = ()) -> Dict[str, Any]:
    try:
        return response.respond(triage, verb, auto_remedies)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def outcome(decided: Any, done: Any, after: Any) -> List[Dict[str, Any]]:
    return response.outcome(decided, done, after)


def failure(decided: Any, done: Any, after: Any) -> str:
    return response.failure(decided, done, after)


def going(pattern: Any, groups: Any, hostvars: Any) -> List[str]:
    return _planned(pattern, groups, hostvars).get("order") or []


def going_in(pattern: Any, groups: Any, hostvars: Any) -> List[int]:
    return _planned(pattern, groups, hostvars).get("batches") or [1]


def _planned(pattern: Any, groups: Any, hostvars: Any) -> Dict[str, Any]:
    """What the rollout of these hosts has decided; nothing where it was only planned, or has not begun."""
    if not hostvars:  # --syntax-check and --list-*
        return {}
    for host in hosts_of(pattern, groups):
        mine = hostvars.raw_get(host)
        if "oncall_planned" in mine:
            return {} if mine.get("oncall_only_plan") else dict(mine["oncall_planned"])
    return {}


class FilterModule:
    def filters(self) -> Dict[str, Callable[..., Any]]:
        return {
            "targets": targets,
            "awaiting": awaiting,
            "respond": respond,
            "outcome": outcome,
            "failure": failure,
            "going": going,
            "going_in": going_in,
        }
