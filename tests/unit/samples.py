# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as ``triage`` returns them, for the tests of what is made of them: invented facts, judged for real."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.tree import judge
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import (
    Activity,
    Blocker,
    ClientFacts,
    Connections,
    Facts,
    Network,
    SeenSession,
    ServerFacts,
    SessionGroup,
    Snapshot,
    WireAnswer,
)

Result = Dict[str, Any]
QUESTIONS = ("running", "accepting", "network", "connections", "login", "activity", "soundness")
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}{% raw %}\x1b[31mred\x1b]0;t\x07"
NETWORK: Network = {"name": "shop_backend", "address": "172.18.0.2", "aliases": ["postgres"], "attached": True}


def session(
    pid: int,
    state: str = "idle",
    seconds: float = 60.0,
    user: str = "shop",
    application: str = "api",
    query: str = "SELECT id, total FROM orders WHERE customer_id = $1",
) -> SeenSession:
    active = state == "active"
    return {
        "pid": pid,
        "backend_start": "2026-11-24T02:10:00.123456Z",
        "user": user,
        "database": "shop",
        "application": application,
        "client_address": "172.18.0.7",
        "state": state,
        "state_seconds": seconds,
        "transaction_seconds": None if state == "idle" else seconds,
        "query_seconds": seconds,
        "wait_event_type": "Lock" if active else "Client",
        "wait_event": "transactionid" if active else "ClientRead",
        "backend_type": "client backend",
        "superuser": False,
        "spared": None,
        "query": query,
    }


def group(
    state: str, sessions: int, user: str = "shop", application: str = "api", seconds: float = 60.0
) -> SessionGroup:
    return {
        "state": state,
        "database": "shop",
        "user": user,
        "application": application,
        "client_address": "172.18.0.7",
        "sessions": sessions,
        "longest_state_seconds": seconds,
    }


def server(name: str = "shop-postgres-1") -> ServerFacts:
    return {
        "name": name,
        "service": "postgres",
        "image": "postgres:17",
        "engine_command": "docker",
        "state": "running",
        "exit_code": None,
        "signal": None,
        "out_of_memory": False,
        "engine_error": None,
        "started_at": "2026-11-20T08:00:00Z",
        "finished_at": None,
        "uptime_seconds": 324000.0,
        "restart_count": 0,
        "restart_policy": "unless-stopped",
        "restart_loop": False,
        "health": "healthy",
        "postmaster_pid": 4711,
        "postmaster_state": "S",
        "processes": [],
        "data_directory": {
            "path": "/var/lib/postgresql/data",
            "exists": True,
            "mode": "0700",
            "owner_uid": 999,
            "expected_uid": 999,
            "version": "17",
            "entries": 24,
            "cluster_files": ["global", "global/pg_control", "base", "pg_wal"],
            "databases": 4,
            "standby_signal": False,
            "recovery_signal": False,
            "backup_label": False,
        },
        "program_version": None,
        "other_clusters": [],
        "directory_used_by": [],
        "directory_unseen": None,
        "obstacle": None,
        "disks": [
            {
                "role": "data",
                "path": "/var/lib/postgresql/data",
                "total_bytes": 107374182400,
                "free_bytes": 64424509440,
                "total_inodes": 6553600,
                "free_inodes": 6500000,
            }
        ],
        "mounts": [
            {
                "type": "volume",
                "source": "shop_pgdata",
                "destination": "/var/lib/postgresql/data",
                "read_only": False,
            }
        ],
        "nofile_soft": 1048576,
        "nofile_hard": 1048576,
        "memory_limit_bytes": 2147483648,
        "lock_file": None,
        "control": None,
        "configuration": None,
        "altered_settings": None,
        "listening": [{"address": "0.0.0.0", "port": 5432, "ours": True}],
        "published": [{"port": 5432, "host_address": "127.0.0.1", "host_port": 5432}],
        "networks": [NETWORK],
        "log": [],
        "log_lines_read": 100,
        "log_source": "container log",
    }


def wire(outcome: str = "accepting", sqlstate: Optional[str] = None, message: Optional[str] = None) -> List[WireAnswer]:
    return [
        {
            "kind": kind,
            "address": address,
            "outcome": outcome,
            "severity": "FATAL" if sqlstate else None,
            "sqlstate": sqlstate,
            "message": message,
            "elapsed_ms": 1.2,
        }
        for kind, address in (("socket", "/var/run/postgresql/.s.PGSQL.5432"), ("network", "172.18.0.2:5432"))
    ]


def client(service: str = "api", succeeded: bool = True) -> ClientFacts:
    return {
        "service": service,
        "name": "shop-%s-1" % service,
        "state": "running",
        "exit_code": None,
        "started_at": "2026-11-24T03:00:00Z",
        "finished_at": None,
        "out_of_memory": False,
        "place": "namespace",
        "application_name": service,
        "networks": [NETWORK],
        "shared_networks": ["shop_backend"],
        "login": {
            "host": "postgres",
            "port": 5432,
            "user": "shop",
            "database": "shop",
            "ssl_mode": "prefer",
            "password_given": True,
            "source": "DATABASE_URL",
        },
        "pool": None,
        "resolution": {
            "name": "postgres",
            "addresses": ["172.18.0.2"],
            "nameserver": "127.0.0.11",
            "error": None,
            "elapsed_ms": 0.6,
        },
        "reach": {
            "address": "172.18.0.2:5432",
            "probes": 10,
            "answered": 10,
            "loss_percent": 0.0,
            "latency_ms": 0.21,
            "outcome": "open",
        },
        "startup": wire()[1],
        "attempt": {
            "succeeded": succeeded,
            "outcome": "ok" if succeeded else "rejected",
            "severity": None if succeeded else "FATAL",
            "sqlstate": None if succeeded else "53300",
            "message": None if succeeded else "sorry, too many clients already",
            "method": "scram-sha-256",
            "tls": False,
            "source_address": "172.18.0.7",
            "elapsed_ms": 9.4,
        },
        "password_matches": True,
        "health": {
            "url": "http://127.0.0.1:8000/api/v1/db/health",
            "status": 200 if succeeded else 503,
            "ok": succeeded,
            "body": '{"database":"ok"}' if succeeded else '{"database":"unreachable"}',
            "error": None,
        },
        "error": None,
    }


def connections(groups: Sequence[SessionGroup], idle: Sequence[SeenSession] = ()) -> Connections:
    return {
        "max_connections": 100,
        "superuser_reserved": 3,
        "reserved": 0,
        "used": sum(each["sessions"] for each in groups),
        "groups": list(groups),
        "idle": list(idle),
        "idle_in_transaction": [],
        "active": [],
        "long_idle": len(idle),
        "long_idle_in_transaction": 0,
    }


def activity() -> Activity:
    return {
        "long_queries": [],
        "blocking": [],
        "involved": [],
        "prepared": [],
        "wait_events": [],
        "sync_replication": {"waiting": 0, "longest_seconds": None, "standby_names": ""},
        "deadlocks": [{"database": "shop", "count": 0}],
        "conflicts": [],
    }


def snapshot(groups: Optional[Sequence[SessionGroup]] = None) -> Snapshot:
    return {
        "at": "2026-11-24T04:02:11Z",
        "version": "17.5",
        "version_num": 170005,
        "started_at": "2026-11-20T08:00:01Z",
        "in_recovery": False,
        "limited": False,
        "pooled": False,
        "connections": connections(groups if groups is not None else [group("idle", 9), group("active", 3)]),
        "limits": {"roles": [], "databases": []},
        "activity": activity(),
        "configured": {
            "listen_addresses": "*",
            "port": 5432,
            "socket_directories": "/var/run/postgresql",
            "ssl": False,
            "password_encryption": "scram-sha-256",
            "log_destination": "stderr",
            "log_lock_waits": True,
            "log_min_duration_ms": 1000,
            "statements_tracked": True,
            "load_time": "2026-11-20T08:00:00Z",
            "file_errors": [],
            "pending_restart": [],
            "hba_rules": [],
            "hba_loaded": True,
            "may_reload": True,
            "hba_file": "/var/lib/postgresql/data/pg_hba.conf",
        },
        "roles": [],
        "databases": [],
        "soundness": {
            "checksum_failures": [],
            "transaction_age": [{"database": "shop", "xid_age": 81234567, "multixact_age": 12}],
            "autovacuum_freeze_max_age": 200000000,
            "standbys": [],
            "slots": [],
            "receiver": None,
            "collations": [],
        },
    }


def facts(host: str = "db1", taken: Optional[Snapshot] = None) -> Facts:
    return {
        "target": {"host": host, "runtime": "compose", "version": "17.5", "in_recovery": False},
        "server": server(),
        "wire": wire(),
        "clients": [client()],
        "restart_note": None,
        "role_users": [],
        "restart": None,
        "repair_obstacle": None,
        "snapshot": taken or snapshot(),
        "snapshot_error": None,
        "another_server": None,
        "errors": {},
    }


def result(of: Facts, host: str) -> Result:
    """What ``triage`` returns for these facts: the real tree judges them."""
    judgement = judge(of, Thresholds(), host)
    return {
        "changed": False,
        "schema": 1,
        "target": of["target"],
        "verdict": judgement["verdict"],
        "path": judgement["path"],
        "findings": judgement["findings"],
        "facts": of,
        "elapsed_ms": {"server": 61.0, "wire": 2.4, "snapshot": 118.3, "client 0": 14.1, "total": 121.9},
    }


def healthy(host: str = "db1") -> Result:
    return result(facts(host), host)


def pool_exhausted(host: str = "db2", application: str = "api") -> Result:
    groups = [
        group("idle", 88, application=application, seconds=5423.0),
        group("idle in transaction", 4, application=application, seconds=911.0),
        group("active", 3, application=application, seconds=0.1),
        group("idle", 2, user="reporting", application="metabase", seconds=75.0),
    ]
    taken = snapshot(groups)
    taken["connections"]["idle"] = [
        session(600 + n, "idle", 5423.0 - 37 * n, application=application) for n in range(50)
    ]
    taken["connections"]["idle_in_transaction"] = [
        session(
            700 + n, "idle in transaction", 911.0 - n, application=application, query="UPDATE carts SET touched = now()"
        )
        for n in range(4)
    ]
    taken["connections"]["long_idle"] = 71
    taken["connections"]["long_idle_in_transaction"] = 4
    of = facts(host, taken)
    of["clients"] = [client(application, succeeded=False)]
    return result(of, host)


def blocked(host: str = "db3") -> Result:
    def edge(waits: int, holds: int, seconds: float, gid: Optional[str] = None) -> Blocker:
        return {
            "blocked_pid": waits,
            "blocking_pid": holds,
            "blocking_gid": gid,
            "blocked_seconds": seconds,
            "relation": "public.orders",
            "lock_type": "transactionid",
            "lock_mode": "ShareLock",
        }

    taken = snapshot([group("active", 7), group("idle", 12), group("idle in transaction", 1)])
    taken["activity"]["prepared"] = [
        {
            "gid": "payment-2026-11-23-0042",
            "owner": "payments",
            "database": "shop",
            "age_seconds": 41221.0,
            "ours": True,
            "here": True,
        }
    ]
    taken["activity"]["blocking"] = [
        edge(810, 0, 904.0, "payment-2026-11-23-0042"),
        edge(811, 0, 640.0, "payment-2026-11-23-0042"),
        edge(820, 810, 512.0),
        edge(821, 810, 498.0),
        edge(830, 820, 120.0),
        edge(841, 840, 45.0),
    ]
    taken["activity"]["involved"] = [session(pid, "active", 900.0) for pid in (810, 811, 820, 821, 830, 841)] + [
        session(840, "idle in transaction", 66.0, user="admin", application="psql", query="LOCK TABLE invoices")
    ]
    taken["activity"]["long_queries"] = [
        session(810, "active", 904.0, query="UPDATE orders SET paid = true WHERE id = $1")
    ]
    taken["activity"]["wait_events"] = [{"type": "Lock", "event": "transactionid", "sessions": 6}]
    return result(facts(host, taken), host)


def server_down(host: str = "db4") -> Result:
    of = facts(host)
    of["target"]["version"] = of["target"]["in_recovery"] = None
    of["snapshot"] = None
    of["snapshot_error"] = {"sqlstate": None, "message": "The container is not running.", "kind": "unavailable"}
    of["errors"] = {"snapshot": "The container shop-postgres-1 is not running."}
    of["wire"] = []
    of["clients"] = []
    down = server()
    down["state"] = "exited"
    down["exit_code"] = 1
    down["started_at"] = "2026-11-24T03:58:10Z"
    down["finished_at"] = "2026-11-24T03:58:12Z"
    down["uptime_seconds"] = None
    down["health"] = None
    down["postmaster_pid"] = None
    down["postmaster_state"] = None
    down["disks"][0]["free_bytes"] = 0
    down["log"] = [
        {
            "at": "2026-11-24T03:58:12Z",
            "severity": "PANIC",
            "sqlstate": None,
            "cause": "disk_full",
            "pid": 1,
            "own": True,
            "text": 'could not write to file "pg_wal/xlogtemp.29": No space left on device',
        }
    ]
    of["server"] = down
    return result(of, host)


def corrupted(host: str = "db11") -> Result:
    taken = snapshot()
    taken["soundness"]["checksum_failures"] = [{"database": "shop", "count": 3, "last_failure": "2026-11-24T03:55:00Z"}]
    return result(facts(host, taken), host)


def nearly_exhausted(host: str = "db5") -> Result:
    return result(facts(host, snapshot([group("idle", 70), group("active", 12)])), host)


def lagging(host: str = "db10") -> Result:
    taken = snapshot()
    taken["soundness"]["standbys"] = [
        {
            "application": "standby1",
            "client_address": "172.18.0.9",
            "state": "streaming",
            "sync_state": "async",
            "replay_lag_seconds": 812.0,
            "replay_lag_bytes": 4294967296,
        }
    ]
    return result(facts(host, taken), host)


def hostile(host: str = "db6") -> Result:
    """Every string that a stranger may choose is an attack."""
    of: Facts = pool_exhausted(host, application=HOSTILE)["facts"]
    blocks = blocked(host)["facts"]["snapshot"]["activity"]
    for row in blocks["involved"]:
        row.update(user=HOSTILE, application=HOSTILE, database=HOSTILE, query=HOSTILE)
    blocks["prepared"][0].update(gid=HOSTILE, owner=HOSTILE)
    for each in blocks["blocking"]:
        each.update(relation=HOSTILE, blocking_gid=HOSTILE if each["blocking_gid"] else None)
    assert of["snapshot"] and of["server"]
    of["snapshot"]["activity"] = blocks
    of["clients"][0]["name"] = of["clients"][0]["error"] = HOSTILE
    of["server"]["log"] = [
        {"at": None, "severity": "OTHER", "sqlstate": None, "cause": None, "pid": None, "own": None, "text": HOSTILE}
    ]
    return result(of, host)


def unreachable() -> Result:
    return {
        "unreachable": True,
        "changed": False,
        "msg": "Failed to connect to the host via ssh: ssh: connect to host db8 port 22: Connection timed out",
    }


def failed() -> Result:
    return {
        "failed": True,
        "changed": False,
        "msg": "No container carries com.docker.compose.project=shopp. Check O(project); this engine has: shop, blog.",
        "sqlstate": None,
    }


def night() -> Dict[str, Any]:
    """A small fleet on a bad night, in no order."""
    return {
        "db1": healthy("db1"),
        "db2": pool_exhausted("db2"),
        "db3": blocked("db3"),
        "db4": server_down("db4"),
        "db5": nearly_exhausted("db5"),
        "db7": failed(),
        "db8": unreachable(),
        "db9": healthy("db9"),
        "db10": lagging("db10"),
        "db11": corrupted("db11"),
    }


def fleet(size: int = 200) -> Dict[str, Any]:
    hosts: Dict[str, Any] = {"pg-%03d.example.net" % n: healthy("pg-%03d" % n) for n in range(size)}
    for n, made in ((17, pool_exhausted), (44, server_down), (101, nearly_exhausted), (150, blocked)):
        hosts["pg-%03d.example.net" % n] = made("pg-%03d" % n)
    hosts["pg-120.example.net"] = unreachable()
    hosts["pg-121.example.net"] = failed()
    return hosts
