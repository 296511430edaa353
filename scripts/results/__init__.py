# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules return, as shapes: ``scripts/returns.py`` writes their RETURN blocks from these and from the facts'.

A new value is a line in its shape, with its comment; every test that runs a module holds the real result to it
(``tests/integration/results.py``).
"""

from __future__ import annotations

from . import looking, repairs, reports, restarts, sessions
from .result import Failed, Refused, Result

FAILURE: dict[str, type] = {"failure": Failed}

RESULTS: dict[str, Result] = {
    "server_info": Result(looking.ServerInfo),
    "readiness_info": Result(looking.ReadinessInfo),
    "network_info": Result(looking.NetworkInfo),
    "connections_info": Result(looking.ConnectionsInfo),
    "login_info": Result(looking.LoginInfo),
    "activity_info": Result(looking.ActivityInfo),
    "integrity_info": Result(looking.IntegrityInfo),
    "statements_info": Result(looking.StatementsInfo),
    "load_info": Result(looking.LoadInfo),
    "capacity_info": Result(looking.CapacityInfo),
    "pressure_info": Result(looking.PressureInfo),
    "evidence_info": Result(looking.EvidenceInfo),
    "baseline": Result(looking.BaselineKept),
    "triage": Result(looking.Triage),
    "sessions": Result(sessions.Sessions, sometimes=FAILURE),
    "pool_reset": Result(sessions.PoolReset, sometimes=FAILURE),
    "cancel_queries": Result(sessions.CancelQueries, sometimes=FAILURE),
    "prepared_transaction": Result(repairs.PreparedTransaction, sometimes=FAILURE),
    "reindex": Result(repairs.Reindex, sometimes=FAILURE),
    "restore_proof": Result(looking.RestoreProof, sometimes=FAILURE),
    "server": Result(restarts.Server, restarts.UNLESS_REFUSED, {**restarts.SOMETIMES, **FAILURE}),
    "graceful_restart": Result(
        restarts.GracefulRestart,
        restarts.UNLESS_REFUSED,
        {"when it was interrupted": restarts.Interrupted, **restarts.SOMETIMES, **FAILURE},
    ),
    "clients": Result(restarts.Clients, restarts.UNLESS_REFUSED, FAILURE),
    "configuration": Result(
        repairs.Configuration,
        restarts.UNLESS_REFUSED,
        {"when the task was refused": repairs.ConfigurationErrors, **FAILURE},
    ),
    "role_settings": Result(repairs.RoleSettings, sometimes=FAILURE),
    "settings": Result(
        repairs.Settings,
        sometimes={
            "when the task was refused": repairs.SettingsRefused,
            "when the role lacks a right": repairs.SettingsRights,
            "when it failed after something was changed": repairs.SettingsRestored,
            **FAILURE,
        },
    ),
    "network": Result(
        repairs.Network,
        restarts.UNLESS_REFUSED,
        {"when a client still does not reach the server": repairs.StillCutOff, **FAILURE},
        elsewhere=frozenset({"clients"}),
    ),
    "credentials": Result(
        repairs.Credentials, sometimes={"when the new password could not be verified": repairs.RolledBack, **FAILURE}
    ),
    "client_pool": Result(
        repairs.ClientPool, sometimes={"when the change could not be verified": repairs.RolledBack, **FAILURE}
    ),
    "monitoring_role": Result(repairs.MonitoringRole, sometimes=FAILURE),
    "procedure": Result(reports.Procedure, "always, unless nothing was run", {"failure": Refused}),
    "look": Result(reports.Look),
    "soak": Result(reports.Soak),
    "report": Result(reports.Report),
    "evidence": Result(reports.Evidence),
    "incident": Result(reports.Incident),
    "notification": Result(reports.Notification),
    "rollout": Result(reports.Rollout),
    "snapshots": Result(reports.Snapshots),
}
