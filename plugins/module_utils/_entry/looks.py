# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that only look, but for triage: a row each, as the procedures have one (``_procedures/_registry.py``)."""

from __future__ import annotations

from typing import Dict

from .._core.spec import Spec
from .._model.verb import Row, Variable
from .options import BASELINE, INTEGRITY, RESTORE_PROOF

# What a person says of an incident that is to be closed.
CLOSING = Spec(
    {
        "root_cause": {"type": "str"},
        "corrective_actions": {
            "type": "list",
            "elements": "dict",
            "options": {
                "what": {"type": "str", "required": True},
                "owner": {"type": "str", "required": True},
                "due": {"type": "str"},
            },
        },
        "slow_queries_reviewed": {"type": "bool", "default": False},
        "accept_caution": {"type": "str"},
        "pool_sizes": {"type": "dict"},
        "monitoring": {"type": "str"},
        "close_anyway": {"type": "dict"},
    }
)
_COMPARED = INTEGRITY + Spec({"baseline_dir": {"type": "str"}})  # the look task reads the newest one there
_INTEGRITY = (
    Variable("backup_file", "the file of the last backup, or a pattern: the newest", default="none"),
    Variable("backup_hours", "how old the last backup may be"),
    Variable("check_seconds", "how long the whole check may take"),
    Variable("databases", "only these databases", default="all that allow connections"),
    Variable("jobs", "in how many databases catalogs are read side by side"),
    Variable("sequence_percent", "name sequences of which this share is used up"),
    Variable("baseline_dir", "compare with the newest baseline there"),
    Variable("tolerance_percent", "name what has grown or shrunk by more than this since"),
)

LOOKS: Dict[str, Row] = {
    "integrity_check": Row(
        "integrity_info",
        "Is the data whole? Go, caution or no-go, with what proves it and what was not looked at. Changes nothing.",
        _COMPARED,
        _INTEGRITY,
    ),
    "restore_proof": Row(
        "restore_proof",
        "Restores a dump or base backup into a throw-away container of the server's image, checks it there, compares "
        "it with the baseline, removes it. Never touches the server or the backup.",
        RESTORE_PROOF + Spec({"baseline_dir": {"type": "str"}}),
        (
            Variable("backup", "the file or directory, as the engine's host sees it"),
            Variable("databases", "only these databases; a plain dump of one needs its name", default="all"),
            Variable("restore_seconds", "how long the restore may take"),
            Variable("check_seconds", "how long the check of the restored databases may take"),
            Variable("memory_mib", "how much memory the throw-away container may have"),
            Variable("jobs", "in how many databases catalogs are read side by side"),
            Variable("baseline_dir", "compare with the newest baseline there"),
            Variable("tolerance_percent", "name what has more or fewer rows by more than this"),
        ),
    ),
    "close_incident": Row(
        "incident",
        "Closes the open incidents of a host once everything on the checklist is done; says what is not. "
        "Changes no server.",
        _COMPARED + CLOSING + Spec({"incident_dir": {"type": "str", "required": True}}),
        (
            Variable("incident_dir", "where the records are"),
            Variable("root_cause", "what caused it"),
            Variable("corrective_actions", "what is done so that it does not happen again, and by whom"),
            Variable("slow_queries_reviewed", "somebody has"),
            Variable("accept_caution", "the reason why an integrity check that is a caution will do"),
            Variable("pool_sizes", "the most connections that each client's pool may open"),
            Variable("monitoring", "what watches the server, where its own settings do not show it"),
            Variable("close_anyway", "items to be left open, with the reason"),
            *_INTEGRITY,
        ),
    ),
    "baseline": Row(
        "baseline",
        "Keeps what the server is like: sizes, counts, settings, roles, definitions; says what changed since the last.",
        BASELINE,
        (
            Variable("directory", "where baselines are kept, on the controller", name="baseline_dir"),
            Variable("keep", "how many are kept of each host", name="baseline_keep"),
            Variable("tables", "count the rows of these tables"),
            Variable("estimate", "of the others, keep what the planner believes"),
            Variable("databases", "only these databases", default="all that allow connections"),
            Variable("jobs", "how many tables are counted side by side"),
            Variable("count_seconds", "how long one count may take"),
            Variable("check_seconds", "how long it may take as a whole"),
        ),
    ),
}
