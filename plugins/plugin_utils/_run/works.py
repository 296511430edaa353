# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module does, by its name: importable on the controller, so that a worker can do it itself."""

from __future__ import annotations

import contextlib
import importlib
from typing import Dict, Optional

from ...module_utils._core.spec import Spec
from ...module_utils._entry.options import BASELINE, EVIDENCE, INTEGRITY, LOAD, PRESSURE, STATEMENTS, TARGET, TRIAGE
from ...module_utils._entry.work import Work
from .checking import validator

READING = (
    "triage",
    "server_info",
    "readiness_info",
    "network_info",
    "connections_info",
    "login_info",
    "activity_info",
    "integrity_info",
    "statements_info",
    "load_info",
    "capacity_info",
    "pressure_info",
    "evidence_info",
    "baseline",
)
CHANGING = (
    "cancel_queries",
    "client_pool",
    "clients",
    "configuration",
    "credentials",
    "graceful_restart",
    "monitoring_role",
    "network",
    "pool_reset",
    "prepared_transaction",
    "reindex",
    "restore_proof",
    "role_settings",
    "server",
    "sessions",
    "settings",
)
_MODULES = __name__.rpartition(".plugins.")[0] + ".plugins.modules."
_UTILS = __name__.rpartition(".plugins.")[0] + ".plugins.module_utils."


class _Play:
    hosts: Optional[int] = None  # how many it is for, where that was said


class _Works(Dict[str, Work]):
    """Imported at its first use: Ansible compiles a collection's files anew in every run, and all of them take long."""

    def __missing__(self, name: str) -> Work:
        if name not in READING + CHANGING:
            raise KeyError(name)
        self[name] = importlib.import_module(_MODULES + name).WORK
        return self[name]


WORKS = _Works()
# Of what only looks, where it is not the target's alone.
SPECS = {
    "triage": TRIAGE,
    "integrity_info": INTEGRITY,
    "statements_info": STATEMENTS,
    "load_info": LOAD,
    "pressure_info": PRESSURE,
    "evidence_info": EVIDENCE,
    "baseline": BASELINE,
}


def spec(name: str) -> Spec:
    """Of what only looks without importing all that it takes to look: that may be needed on the host, and not here."""
    if name in READING:
        return SPECS.get(name, TARGET)
    return WORKS[name].spec


def expect(hosts: int) -> None:
    """How many hosts a play is for; said before its action plugins are loaded, or not at all."""
    _Play.hosts = hosts


def preload() -> None:
    """Import what a fleet's workers are going to need. Ansible loads action plugins in the parent, before it forks.

    Where the play is known to be for one host, it would only be in the way: that may need it there, and not here.
    What changes something runs on few hosts, and a cluster of ``pg_ctl`` is reached from here on this machine alone:
    their workers import what they use by themselves.
    """
    if _Play.hosts == 1:
        return
    importlib.import_module(_MODULES + "triage")
    validator(TRIAGE)
    for name in (
        "_gather.runtime.remote",
        "_gather.session.libpq",
        "_gather.session.proved",
        "_gather.runtime.compose.runtime",
        "_judge.tree",
    ):
        importlib.import_module(_UTILS + name)
    importlib.import_module(_UTILS + "_gather.sql.snapshot").snapshot((), asked=False)
    with contextlib.suppress(ImportError):
        importlib.import_module("psycopg2")
        importlib.import_module("psycopg2.extensions")
