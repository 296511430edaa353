# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that change the settings of a fleet: a row each, as the procedures have one; and what is wrong with their
variables. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ...module_utils._core.spec import Spec
from ...module_utils._model.verb import Row, Variable
from ...module_utils._procedures.clients.run import PATIENCE
from ...module_utils._procedures.server.run import RESTART
from .._run.checking import Problem
from .fleet import SERIAL, serial
from .outcomes import RESTORE, TUNE
from .snapshots import KEPT
from .window import windows

_ROLLOUT = Spec(
    {
        "serial": {"type": "raw", "default": SERIAL},
        "restart": {"type": "bool", "default": False},
        "approve": {"type": "bool", "default": False},
        "window": {"type": "raw"},
        "soak_minutes": {"type": "float", "default": 5},
        "ready_standbys": {"type": "list", "elements": "str", "default": []},
        "rollout_dir": {"type": "str", "default": KEPT},
    }
)
_VARIABLES = (
    Variable("serial", "how many hosts a batch has, the last for all that follow"),
    Variable("restart", "restart the servers that need it, gracefully"),
    Variable("window", "restart within this time only: 'Sun 02:00-04:00', '22:00-04:00', or a list", default="none"),
    Variable("approve", "restart now, whatever the window is", permission=True),
    Variable("soak_minutes", "how long a batch is watched before the next"),
    Variable("ready_standbys", "application_name of what streams from a server and is no standby to be raised first"),
    Variable("rollout_dir", "where the former settings are kept, on the controller"),
    Variable("interrupt", "what the stop may interrupt"),
    Variable("acknowledged_causes", "causes that have been fixed"),
    Variable("stop_timeout_seconds", "how long to wait for the shutdown; nothing is ever killed"),
    Variable("start_timeout_seconds", "how long to wait until the server answers"),
    Variable("grace_seconds", "how long a client may take to stop; it is never killed"),
    Variable("health_timeout_seconds", "how long a client may take to reconnect"),
)
_OPTIONS = PATIENCE + RESTART + _ROLLOUT

ROLLOUTS: Dict[str, Row] = {
    TUNE: Row(
        "settings",
        "Gives servers the settings that fit them, batch by batch: looks before and after, watches, puts a batch back "
        "that is worse, and stops.",
        _OPTIONS,
        _VARIABLES,
        "oncall.postgresql.tune_restore puts back what each server had.",
    ),
    RESTORE: Row(
        "settings",
        "Lists what rollouts have kept of each host, and puts one back, in the same careful way.",
        _OPTIONS + Spec({"snapshot": {"type": "str"}}),
        (Variable("snapshot", "its time, or latest", default="none, they are listed"), *_VARIABLES),
        "Put back the snapshot that it keeps itself.",
    ),
}
_NO_WINDOW = (
    "oncall_restart=true cuts clients off at any time: give oncall_window, such as 'Sun 02:00-04:00', "
    "or -e oncall_approve=true to restart now."
)


def problems(verb: str, variables: Mapping[str, Any]) -> List[Problem]:
    """Of what the spec cannot tell. ``variables``: as given, of the types that the spec has."""
    if verb not in ROLLOUTS:
        return []
    found = []
    for name, check in (("oncall_serial", serial), ("oncall_window", windows)):
        try:
            if variables.get(name) not in (None, ""):
                check(variables[name])
        except ValueError as error:
            found.append(Problem(name, str(error)))
    if _yes(variables.get("oncall_restart")) and not (
        variables.get("oncall_window") or _yes(variables.get("oncall_approve"))
    ):
        found.append(Problem("oncall_restart", _NO_WINDOW))
    return found


def _yes(given: Any) -> bool:
    return str(given).strip().lower() in ("true", "yes", "on", "1", "t", "y")
