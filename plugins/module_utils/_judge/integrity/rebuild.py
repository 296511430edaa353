# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which item ``reindex`` mends, and the command that does it there. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Sequence

from ..verdicts import command

if TYPE_CHECKING:
    from ..._model.facts import Facts
    from ..._model.integrity import IntegrityFacts

_LEFT = re.compile(r"_cc(?:new|old)\d*\"?$")
_NOT_BESIDE = ("pg_catalog.", "pg_toast.")  # what cannot be rebuilt without blocking writers


def remedies(facts: IntegrityFacts, known: Facts, playbook_options: Sequence[str] = ()) -> Dict[str, Dict[str, Any]]:
    """By item. None on a standby, by a pooler, or where a table is damaged or has lost its end: that comes first, and
    its indexes may be all that still tells of its rows."""
    target, snapshot = known["target"], known["snapshot"]
    if snapshot is None or snapshot["in_recovery"] or snapshot["pooled"]:
        return {}
    read = [(one["name"], each) for one in facts["databases"] if one["amcheck"] for each in one["amcheck"]["damage"]]
    short = [(one["name"], each) for one in facts["databases"] for each in one["short_files"] or ()]
    if any(each["kind"] == "table" for _name, each in (*read, *short)):
        return {}
    found: Dict[str, Dict[str, Any]] = {}
    host, unseen = target["host"], target["runtime"] == "remote"  # the disk is not seen there
    everything = command("reindex", host, playbook_options, disk_checked=unseen)
    if any(one["collations"] for one in facts["databases"]):
        found["collations"] = everything
    if any(_LEFT.search(each["name"]) for one in facts["databases"] for each in one["invalid_indexes"]):
        found["schema"] = everything
    ended = ["%s.%s" % (name, each["name"]) for name, each in short if not each["name"].startswith(_NOT_BESIDE)]
    if ended:
        found["schema"] = command("reindex", host, playbook_options, indexes=ended, disk_checked=unseen)
    damaged = ["%s.%s" % (name, each["name"]) for name, each in read if not each["name"].startswith(_NOT_BESIDE)]
    if damaged:
        found["amcheck"] = command("reindex", host, playbook_options, indexes=damaged, disk_checked=unseen)
    return found
