# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module does, by its name: importable on the controller, so that a worker can do it itself."""

from __future__ import annotations

import contextlib
import importlib
from typing import Dict

from ...module_utils._entry.work import Work

READING = (
    "triage",
    "server_info",
    "readiness_info",
    "network_info",
    "connections_info",
    "login_info",
    "activity_info",
)
CHANGING = (
    "cancel_queries",
    "clients",
    "configuration",
    "credentials",
    "network",
    "pool_reset",
    "prepared_transaction",
    "server",
    "sessions",
)
_MODULES = __name__.rpartition(".plugins.")[0] + ".plugins.modules."
_UTILS = __name__.rpartition(".plugins.")[0] + ".plugins.module_utils."

WORKS: Dict[str, Work] = {name: importlib.import_module(_MODULES + name).WORK for name in READING + CHANGING}


def preload() -> None:
    """Import what a worker is going to need. Ansible loads action plugins in the parent, before it forks."""
    for name in ("_gather.runtime.remote", "_gather.session.libpq", "_gather.runtime.pg_ctl.runtime"):
        importlib.import_module(_UTILS + name)
    importlib.import_module(_UTILS + "_gather.runtime.compose.runtime")
    with contextlib.suppress(ImportError):
        importlib.import_module("psycopg2")
