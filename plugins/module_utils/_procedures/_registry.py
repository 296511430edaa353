# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is said about a verb, in one row: its module, its variables, and what it does to clients meanwhile.

Controller only. Playbook headers and tables in the docs are made from here, and ``respond`` hands on what a row names.
"""

from __future__ import annotations

from typing import Dict

from .._core.spec import Spec
from .._model.verb import Row, Variable
from .cancel_queries.run import OPTIONS as CANCEL_QUERIES
from .configuration.run import OPTIONS as CONFIGURATION
from .credentials.run import OPTIONS as CREDENTIALS
from .graceful_restart.run import OPTIONS as GRACEFUL_RESTART
from .network.run import OPTIONS as NETWORK
from .pool_reset.run import OPTIONS as POOL_RESET
from .prepared_transaction.run import OPTIONS as PREPARED_TRANSACTION
from .reindex.run import OPTIONS as REINDEX
from .server.run import OPTIONS as SERVER

# The target's own, which its verb may set for once.
IDLE_MINUTES = Spec({"idle_minutes": {"type": "float"}})

_GRACE_SECONDS = Variable("grace_seconds", "how long a client may take to stop; it is never killed")
_HEALTH_SECONDS = Variable("health_timeout_seconds", "how long a client may take to reconnect")
_MAX_SESSIONS = Variable("max_sessions", "refuse to end or cancel more", permission=True)
_MAX_PERCENT = Variable("max_percent", "refuse to end or cancel more than this share of all client sessions")

REGISTRY: Dict[str, Row] = {
    "cancel_queries": Row(
        "cancel_queries",
        "Cancels root blockers, ends those that block others without a query, then cancels what runs for too long.",
        CANCEL_QUERIES,
        (
            Variable("pids", "only these sessions", default="all that the rules allow"),
            Variable("query_seconds", "cancel queries that run longer", default="the target's long_query_seconds"),
            Variable("end_blockers", "end a root blocker that is idle in a transaction or ignores the cancel"),
            _MAX_SESSIONS,
            _MAX_PERCENT,
        ),
        "Cannot be undone: a cancelled statement was rolled back, its client may run it again.",
    ),
    "credentials_reset": Row(
        "credentials",
        "Gives a role and its clients the same password and verifies it by a login; restores everything if that fails.",
        CREDENTIALS,
        (
            Variable("role", "the role"),
            Variable(
                "password_of",
                "a client service: the role gets the password that it already uses; no client is touched",
                name="client",
            ),
            Variable("env_file", "a new password is written to this file, its clients' containers are recreated"),
            Variable("env_keys", "the keys in that file that hold the password"),
            Variable("password_file", "write the new password to this file, too"),
            Variable("password", "the new password, better in a vault than on a command line", default="generated"),
            Variable("valid_until", "when it expires; needed where the old one has expired"),
            Variable("allow_superuser", "the role may be a superuser", permission=True),
            Variable(
                "may_lock_out",
                "others who use the role and would keep the old password: their names, or all",
                permission=True,
            ),
            Variable("grace_seconds", "how long a client may take to stop before it is recreated"),
        ),
        "Restored automatically when a login fails; later: run it again with the former password (oncall_password).",
        cuts_off=True,
    ),
    "graceful_restart": Row(
        "graceful_restart",
        "Stops the clients, restarts the server, starts the clients again whatever failed in between.",
        GRACEFUL_RESTART,
        (
            Variable("interrupt", "what the stop may interrupt"),
            Variable("acknowledged_causes", "causes that have been fixed"),
            Variable("stop_timeout_seconds", "how long to wait for the shutdown; nothing is ever killed"),
            Variable("start_timeout_seconds", "how long to wait until the server answers"),
            _GRACE_SECONDS,
            _HEALTH_SECONDS,
        ),
        "Nothing to undo: server and clients run as before.",
        cuts_off=True,
    ),
    "network_repair": Row(
        "network",
        "Reattaches the containers of the server and its clients to their project's networks, under their names.",
        NETWORK,
        (
            Variable("networks", "attach to these networks of the project", default="those of the Compose file"),
            Variable("recreate", "recreate a network of the project that passes no traffic"),
        ),
        "docker network disconnect NETWORK CONTAINER (or podman); the result names each step.",
        cuts_off=True,
    ),
    "pool_reset": Row(
        "pool_reset",
        "Ends sessions that have been idle for long; restarts the clients if that does not free enough slots.",
        POOL_RESET + IDLE_MINUTES,
        (
            Variable("idle_minutes", "how long a session must have been idle", default="the target's own"),
            Variable("session_state", "sessions in this state", name="state"),
            Variable("user", "only sessions of this role"),
            Variable("database", "only sessions in this database"),
            Variable("restart_clients", "whether to restart the clients"),
            _MAX_SESSIONS,
            _MAX_PERCENT,
            _GRACE_SECONDS,
            _HEALTH_SECONDS,
            Variable("most_connections", "how many connections a restarted client may hold"),
        ),
        "Cannot be undone: a client opens a new connection when it needs one.",
        cuts_off=True,
    ),
    "reindex": Row(
        "reindex",
        "Rebuilds damaged indexes, and those of collations that have moved, without blocking writers; verifies each, "
        "and only then writes down the new version.",
        REINDEX,
        (
            Variable("indexes", "only these, as integrity_check names them: database.schema.index", default="see docs"),
            Variable("databases", "only these databases", default="all that allow connections"),
            Variable("lock_timeout_seconds", "how long a step waits for a lock or an older transaction"),
            Variable("timeout_seconds", "how long one index may take"),
            Variable("transaction_minutes", "refuse to begin while a transaction has been open for longer"),
            Variable("refresh", "write down the new versions when all their indexes were rebuilt"),
            Variable("disk_checked", "the room on the disk was checked by hand", permission=True),
            Variable(
                "block_writers",
                "rebuild indexes of exclusion constraints, too: whoever uses their tables waits, readers as well",
                permission=True,
            ),
        ),
        "Nothing to undo: the same index, built anew.",
    ),
    "reload": Row(
        "configuration",
        "Reloads the configuration files if they contain no errors, and verifies it.",
        CONFIGURATION,
        (
            Variable("force", "reload even when nothing has changed"),
            Variable("timeout_seconds", "how long to wait for the server to have reloaded"),
        ),
        "Restore the files and reload again; the result names each setting with its previous value.",
        {"state": "reloaded"},
    ),
    "rollback_prepared": Row(
        "prepared_transaction",
        "Rolls back an abandoned prepared transaction. Ask its owner first.",
        PREPARED_TRANSACTION,
        (
            Variable("gid", "its name, as in pg_prepared_xacts"),
            Variable("min_age_seconds", "refuse one that is younger", default="the target's blocked_seconds"),
        ),
        "Cannot be undone.",
        {"state": "rolled_back"},
    ),
    "start": Row(
        "server",
        "Starts a server that is down, once the cause is gone; otherwise says what to do by hand.",
        SERVER,
        (
            Variable("start_timeout_seconds", "how long to wait until the server answers"),
            Variable("acknowledged_causes", "causes that have been fixed by hand"),
            Variable(
                "reset_settings",
                "settings of ALTER SYSTEM that the server refuses: reset before the start",
                permission=True,
            ),
        ),
        "Stop it again; a setting that was reset: the module settings, with what the result names as undo.",
        {"state": "started"},
    ),
}
