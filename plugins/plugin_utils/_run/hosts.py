# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a run is for. A run for no host is a mistake, and not one that a scheduler may take for success."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ansible import constants
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader


class NoHosts(ValueError):
    """No host matches; the message says what was asked for and how to name other hosts."""


def hosts_of(pattern: Any, groups: Mapping[str, Any], limit: Any = None) -> List[str]:
    """The hosts of ``pattern`` (as ``hosts:`` takes it) within ``limit`` (as ``--limit`` does). Raises NoHosts."""
    mismatch = constants.HOST_PATTERN_MISMATCH
    constants.HOST_PATTERN_MISMATCH = (
        "ignore"  # the play itself warns of a name that matches nothing; or NoHosts says it
    )
    try:
        return _hosts_of(pattern, groups, limit)
    finally:
        constants.HOST_PATTERN_MISMATCH = mismatch


def _hosts_of(pattern: Any, groups: Mapping[str, Any], limit: Any) -> List[str]:
    given = pattern if isinstance(pattern, str) else ",".join(str(each) for each in pattern)
    inventory = InventoryManager(loader=DataLoader(), sources=None, parse=False)
    for group, hosts in groups.items():
        inventory.add_group(str(group))
        for host in hosts:
            inventory.add_host(str(host), group=str(group))
    found = [str(host) for host in inventory.list_hosts(given)] if groups.get("all") else []
    if not found:
        names = sorted(str(each) for each in groups if each not in ("all", "ungrouped") and groups[each])
        known = "The inventory has: %s." % ", ".join(names) if names else "Is the inventory given (-i inventory.yml)?"
        raise NoHosts(
            "no host is in '%s'. Name another group, host or pattern with -e oncall_hosts=NAME. %s" % (given, known)
        )
    if limit:
        inventory.subset(limit)
        found = [str(host) for host in inventory.list_hosts(given)]
        if not found:
            raise NoHosts(
                "no host of '%s' is within --limit %s. Name others with -e oncall_hosts=NAME." % (given, limit)
            )
    return found


def same_server(targets: Mapping[str, Mapping[str, Any]]) -> Dict[str, List[str]]:
    """Inventory names that describe one and the same server: what it is -> their names, where there are several.

    ``targets``: host -> {**oncall_target, "ansible_host": ...}.
    """
    found: Dict[str, List[str]] = {}
    for host, options in targets.items():
        runtime = options.get("runtime", "compose")
        place = options.get("ansible_host") or host
        if runtime == "remote":
            what = "%s:%s" % (options.get("login_host"), options.get("login_port") or 5432)
        elif runtime == "compose":
            engine = options.get("docker_host") or place
            what = "service %s of project %s at %s" % (
                options.get("service", "postgres"),
                options.get("project"),
                engine,
            )
        else:
            what = "%s on %s" % (options.get("data_directory"), place)
        found.setdefault(what, []).append(host)
    return {what: hosts for what, hosts in found.items() if len(hosts) > 1}
