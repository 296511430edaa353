# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The morning after: for each verdict the family of its root cause, what to investigate, and what fixes it for good.

Looked up by code and cause where a result is shown, so no host is sent any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Tuple


@dataclass(frozen=True)
class RootCause:
    """``family``: one of ``FAMILIES``; ``title``: its name for people."""

    family: str
    title: str
    investigate: Tuple[str, ...]
    lasting_fix: Tuple[str, ...]


FAMILIES: Dict[str, RootCause] = {
    row.family: row
    for row in (
        RootCause(
            "pool_leak",
            "Connection pool leak",
            (
                "Which application, role and host hold the slots, and in which state (connections_info)",
                "Does each code path give its connection back, after an error or a time-out too",
                "What sessions idle in transaction ran last: it names the code that leaves the transaction open",
                "Pool size and overflow, times workers and replicas of every client, against the slots of the server",
                "What was released, scaled or restarted just before the number of sessions began to grow",
            ),
            (
                "Use connections only inside a context manager, so that they are given back whatever happens",
                "Limit each client's pool: size, overflow, wait time-out, lifetime, and a test before use",
                "Set idle_in_transaction_session_timeout, and CONNECTION LIMIT for each client's role",
                "Put a pooler (PgBouncer) in front where many processes each need a connection for short",
                "Alert at 80 % of the slots in use",
            ),
        ),
        RootCause(
            "database_overwhelmed",
            "Overwhelmed database",
            (
                "What active sessions wait for: CPU, I/O, locks or LWLocks (load_info)",
                "Which statements take the most time, one by one and in total (statements_info)",
                "Whether CPU, disk or memory of the host or container is at its limit: pressure (load_info)",
                "Large tables that are read whole, for which an index may be missing (load_info)",
                "Dead rows, the last vacuum and analyze (load_info), and what holds vacuum back (integrity_info)",
                "What changed: traffic, a release, a batch job, a plan after new statistics",
            ),
            (
                "Add the missing indexes, and rewrite the statements at the top of the list",
                "Set statement_timeout and lock_timeout for each client's role; batch long changes, in a fixed order",
                "Tune autovacuum for the tables that are written most",
                "Size CPU, memory, disk, shared_buffers and work_mem for the peak, with room to spare",
                "Move reports and batch jobs to a standby or to quiet hours",
            ),
        ),
        RootCause(
            "network_instability",
            "Network instability",
            (
                "When it began, and what changed then: a Compose file, a firewall, a route, DNS, an engine's upgrade",
                "Loss and latency from each client's place (network_info), over time and not once",
                "Errors of the engine's DNS and of the host's interfaces; conntrack or ports used up",
                "Whether connections are cut after a fixed idle time: a firewall or load balancer drops them",
            ),
            (
                "Declare networks, aliases and depends_on in the Compose file, and connect nothing by hand",
                "Connect by a stable name, with connect_timeout, retries with back-off, and TCP keepalives",
                "Set tcp_keepalives_idle below the idle time of every firewall on the way",
                "Watch reachability from each client's place, not from the server's alone",
            ),
        ),
        RootCause(
            "authentication_mismatch",
            "Authentication mismatch",
            (
                "Who changed the password, the role, pg_hba.conf or a client's settings, when, and by which way",
                "Every place where the credentials are kept: Compose file, .env, secret store, CI, a running container",
                "Whether a container still runs with older settings than its file has",
                "Whether a volume that exists made POSTGRES_PASSWORD have no effect",
            ),
            (
                "Keep credentials in one place, and deploy the role and its clients from there together",
                "Rotate by a playbook that proves the log-in (credentials_reset), never by hand",
                "Keep pg_hba.conf and roles under version control; reload only without errors",
                "Alert before a password or certificate expires, and on failed log-ins",
            ),
        ),
        RootCause(
            "corruption",
            "Data corruption",
            (
                "What is damaged, and how far it reaches (integrity_check), on every standby too",
                "Kernel log, SMART, RAID and file system errors; memory errors; what the storage or its provider says",
                "Crashes or power cuts before it; fsync, full_page_writes or write caches switched off",
                "Whether the image, glibc or ICU changed: that moves collations under text indexes",
                "When it was sound for the last time: backups, checksum failures, the log",
            ),
            (
                "Replace the disk, memory or storage that failed before trusting the restored data",
                "Turn on data checksums; keep fsync and full_page_writes on",
                "Back up with archived WAL, and prove a restore regularly",
                "Run integrity_check on a schedule; reindex after each change of the operating system's collations",
                "Pin the image; stop the server cleanly before its host or volume goes away",
            ),
        ),
        RootCause(
            "storage_capacity",
            "Storage used up",
            (
                "What grew, and since when: tables, WAL, temporary files, logs",
                "WAL that is kept: a failing archiver, an inactive slot, max_slot_wal_keep_size, wal_keep_size",
                "Bloat, and long transactions that hold vacuum back",
            ),
            (
                "Alert at 80 % of disk and inodes, and on the growth per day",
                "Limit what can fill it: max_slot_wal_keep_size, temp_file_limit, log rotation",
                "Watch pg_stat_archiver and slots; drop a slot whose standby is gone for good",
                "Partition and expire old data; give WAL and logs volumes of their own",
            ),
        ),
        RootCause(
            "change_or_intervention",
            "Change or intervention",
            (
                "Who or what stopped, killed, changed or removed it: shell history, CI, the engine's events, updates",
                "Whether the change was planned and announced, and tried elsewhere before",
                "Why nothing started it again: restart policy, health check, dependencies",
            ),
            (
                "Make changes by playbooks that check, prove and record (reload, graceful_restart), not by hand",
                "Keep the Compose file, settings and image versions under version control; pin the major version",
                "Set a restart policy, and a stop time-out long enough for a clean shutdown",
                "Alert when the server or a client is down, and announce maintenance",
            ),
        ),
    )
}

# family -> code -> causes
_OF: Mapping[str, Mapping[str, Tuple[str, ...]]] = {
    "pool_leak": {"pool_exhausted": ("idle_connections", "idle_in_transaction", "role_limit", "database_limit")},
    "database_overwhelmed": {
        "pool_exhausted": ("active_overload",),
        "queries_hanging": ("blocked_by_lock", "long_running", "prepared_transaction"),
        "not_accepting": ("unresponsive",),
        "server_down": ("out_of_memory", "too_many_open_files"),
        "wraparound_risk": ("transaction_age", "multixact_age"),
        "replication_lag": ("standby_behind",),
    },
    "network_instability": {
        "network_unreachable": ("dns_failure", "no_shared_network", "refused", "timeout", "packet_loss"),
        "queries_hanging": ("sync_replication_wait",),
        "replication_lag": ("receiver_down",),
    },
    "authentication_mismatch": {
        "authentication_failed": (
            "wrong_password",
            "role_missing",
            "login_not_permitted",
            "password_expired",
            "no_hba_entry",
            "ssl_required",
            "database_missing",
            "connect_privilege",
            "unknown",
        )
    },
    "corruption": {
        "data_corruption": ("checksum_failure", "damaged_page", "damaged_index"),
        "server_down": ("data_corruption", "directory_in_use"),
    },
    "storage_capacity": {"storage_full": ("data_directory", "wal", "inodes"), "server_down": ("disk_full",)},
    "change_or_intervention": {
        "server_down": (
            "stopped",
            "killed",
            "permission_denied",
            "invalid_configuration",
            "stale_lock_file",
            "port_conflict",
            "missing_container",
            "incompatible_version",
            "not_initialised",
        ),
        "not_accepting": ("starting_up", "recovering", "shutting_down", "not_listening"),
        "client_down": ("stopped", "crashed", "restarting", "paused"),
    },
}
# Verdicts that give no direction: their cause has to be found first.
UNEXPLAINED = (("server_down", "unknown"), ("not_accepting", "unknown"), ("unknown", None), ("healthy", None))
ROOT_CAUSES: Dict[Tuple[str, Optional[str]], RootCause] = {
    (code, cause): FAMILIES[family]
    for family, codes in _OF.items()
    for code, causes in codes.items()
    for cause in causes
}


def root_cause(code: Optional[str], cause: Optional[str]) -> Optional[RootCause]:
    """None for a verdict that gives no direction, and for one that is not known here."""
    return ROOT_CAUSES.get((code or "", cause))
