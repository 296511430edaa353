# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as ``triage`` returns them, for the tests of what is made of them. Typed, so that they keep their shape."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import (
    Activity,
    Blocker,
    ClientFacts,
    Connections,
    Facts,
    Network,
    ServerFacts,
    SessionGroup,
    SessionRow,
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
) -> SessionRow:
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
        "superuser": False,
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
            "standby_signal": False,
            "recovery_signal": False,
        },
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


def connections(groups: Sequence[SessionGroup], idle: Sequence[SessionRow] = ()) -> Connections:
    return {
        "max_connections": 100,
        "superuser_reserved": 3,
        "reserved": 0,
        "used": sum(each["sessions"] for each in groups),
        "groups": list(groups),
        "idle": list(idle),
        "idle_in_transaction": [],
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
            "load_time": "2026-11-20T08:00:00Z",
            "file_errors": [],
            "pending_restart": [],
            "hba_rules": [],
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
        },
    }


def facts(host: str = "db1", taken: Optional[Snapshot] = None) -> Facts:
    return {
        "target": {"host": host, "runtime": "compose", "version": "17.5", "in_recovery": False},
        "server": server(),
        "wire": wire(),
        "clients": [client()],
        "snapshot": taken or snapshot(),
        "snapshot_error": None,
        "errors": {},
    }


DETAILS = (
    "shop-postgres-1 is running since 2026-11-20 08:00 UTC, never restarted",
    "its socket and 172.18.0.2:5432 accept",
    "api: 10 of 10 probes, 0.2 ms",
    "12 of 97 ordinary slots are taken (12 %)",
    "api logs in as shop in 9 ms",
    "nothing waits for longer than 30 s",
    "no checksum failure, oldest transaction age 81,234,567, 60.0 GiB free",
)


def path(no_at: Optional[int] = None, detail: str = "") -> List[Dict[str, str]]:
    """The path of a tree whose question ``no_at`` is answered with no (None: all yes)."""
    steps = []
    for number, (question, fine) in enumerate(zip(QUESTIONS, DETAILS)):
        if no_at is None or number < no_at:
            steps.append({"question": question, "answer": "yes", "detail": fine})
        elif number == no_at:
            steps.append({"question": question, "answer": "no", "detail": detail})
        else:
            first = "not asked: that of %s comes first" % QUESTIONS[no_at]
            steps.append({"question": question, "answer": "not_asked", "detail": first})
    return steps


def result(
    of: Facts, verdict: Dict[str, Any], steps: List[Dict[str, str]], findings: Sequence[Dict[str, Any]] = ()
) -> Result:
    return {
        "changed": False,
        "schema": 1,
        "target": of["target"],
        "verdict": verdict,
        "path": steps,
        "findings": list(findings),
        "facts": of,
        "elapsed_ms": {"server": 61.0, "wire": 2.4, "snapshot": 118.3, "client 0": 14.1, "total": 121.9},
    }


def _verdict(
    code: str, cause: Optional[str], question: Optional[str], severity: str, summary: str, **more: Any
) -> Dict[str, Any]:
    return {
        "code": code,
        "cause": cause,
        "question": question,
        "severity": severity,
        "summary": summary,
        "evidence": more.get("evidence", []),
        "remedy": more.get("remedy"),
        "escalation": more.get("escalation", {"to": "none", "after_minutes": None, "reason": None}),
    }


def _healthy() -> Dict[str, Any]:
    return _verdict("healthy", None, None, "ok", "Healthy: all 7 questions answered yes", evidence=list(DETAILS))


def healthy(host: str = "db1") -> Result:
    return result(facts(host), _healthy(), path())


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
    of["clients"] = [client(succeeded=False)]
    verdict = _verdict(
        "pool_exhausted",
        "idle_connections",
        "connections",
        "critical",
        "No ordinary slot is left: 90 of 97 are held by idle sessions, most of them of %s." % application,
        evidence=[
            "97 of 97 ordinary slots are taken (max_connections 100, 3 reserved for superusers)",
            "90 idle, 4 idle in transaction, 3 active",
            "71 sessions of %s are idle for more than 30 minutes, the longest for 1 h 30 min" % application,
            "api's login was refused: 53300 sorry, too many clients already",
        ],
        remedy={
            "playbook": "oncall.postgresql.pool_reset",
            "extra_vars": {"oncall_application": application},
            "command": "ansible-playbook oncall.postgresql.pool_reset --limit %s -e oncall_application=%s"
            % (host, application),
        },
        escalation={
            "to": "dba",
            "after_minutes": 20,
            "reason": "not resolved within 20 minutes",
            "or_if": "it comes back after a pool reset",
        },
    )
    findings = [
        {
            "code": "long_idle_in_transaction",
            "severity": "warning",
            "summary": "4 sessions are idle in a transaction for more than 5 minutes.",
            "evidence": ["pid 700, shop@shop, %s, for 15 min 11 s" % application],
        }
    ]
    return result(of, verdict, path(3, "97 of 97 ordinary slots are taken, 90 by idle sessions"), findings)


def blocked(host: str = "db3") -> Result:
    def edge(waits: int, holds: int, seconds: float, gid: Optional[str] = None) -> Blocker:
        return {
            "blocked_pid": waits,
            "blocking_pid": holds,
            "blocking_gid": gid,
            "blocked_seconds": seconds,
            "relation": "public.orders",
            "lock_mode": "ShareLock",
        }

    taken = snapshot([group("active", 7), group("idle", 12), group("idle in transaction", 1)])
    taken["activity"]["prepared"] = [
        {"gid": "payment-2026-11-23-0042", "owner": "payments", "database": "shop", "age_seconds": 41221.0}
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
    verdict = _verdict(
        "queries_hanging",
        "prepared_transaction",
        "activity",
        "critical",
        "5 sessions wait behind the prepared transaction payment-2026-11-23-0042 of payments, the longest for 15 min.",
        evidence=["payment-2026-11-23-0042 was prepared 11 h 27 min ago and holds up pids 810, 811, 820, 821, 830"],
        remedy={
            "playbook": "oncall.postgresql.unblock",
            "extra_vars": {},
            "command": "ansible-playbook oncall.postgresql.unblock --limit %s" % host,
        },
        escalation={
            "to": "dba",
            "after_minutes": 0,
            "reason": "whether the prepared transaction is committed or rolled back is the application's decision",
        },
    )
    return result(facts(host, taken), verdict, path(5, "6 sessions wait for a lock, the longest for 904 s"))


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
            "text": 'could not write to file "pg_wal/xlogtemp.29": No space left on device',
        }
    ]
    of["server"] = down
    verdict = _verdict(
        "server_down",
        "disk_full",
        "running",
        "emergency",
        "PostgreSQL is down because its disk is full.",
        evidence=[
            "/var/lib/postgresql/data: 0 B of 100.0 GiB free",
            "exited with code 1 at 03:58:12 UTC, 4 minutes ago",
        ],
        remedy={
            "playbook": "oncall.postgresql.restart",
            "extra_vars": {},
            "command": "ansible-playbook oncall.postgresql.restart --limit %s" % host,
        },
        escalation={"to": "emergency", "after_minutes": 0, "reason": "complete failure"},
    )
    return result(of, verdict, path(0, "shop-postgres-1 exited with code 1 at 03:58:12 UTC"))


def nearly_exhausted(host: str = "db5") -> Result:
    taken = snapshot([group("idle", 70), group("active", 12)])
    found = {
        "code": "pool_nearly_exhausted",
        "severity": "warning",
        "summary": "82 of 97 ordinary slots are taken (85 %).",
        "evidence": ["70 idle, 12 active"],
    }
    return result(facts(host, taken), _healthy(), path(), [found])


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
    verdict = _verdict(
        "replication_lag",
        "standby_behind",
        "soundness",
        "warning",
        "Replication to standby1 lags: look at its load, its disk and the network",
        evidence=["standby1 (172.18.0.9) is 812 s and 4.0 GiB behind"],
        escalation={"to": "dba", "after_minutes": 0, "reason": "replication lag growing"},
    )
    return result(facts(host, taken), verdict, path(6, "standby1 is 812 s behind"))


def hostile(host: str = "db6") -> Result:
    """Every string that a stranger may choose is an attack."""
    of = pool_exhausted(host, application=HOSTILE)
    blocks = blocked(host)["facts"]["snapshot"]["activity"]
    for row in blocks["involved"]:
        row.update(user=HOSTILE, application=HOSTILE, database=HOSTILE, query=HOSTILE)
    blocks["prepared"][0].update(gid=HOSTILE, owner=HOSTILE)
    for each in blocks["blocking"]:
        each.update(relation=HOSTILE, blocking_gid=HOSTILE if each["blocking_gid"] else None)
    of["facts"]["snapshot"]["activity"] = blocks
    of["facts"]["clients"][0].update(service=HOSTILE, name=HOSTILE, error=HOSTILE)
    of["facts"]["server"]["log"] = [{"at": None, "severity": "OTHER", "sqlstate": None, "cause": None, "text": HOSTILE}]
    return of


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
    }


def fleet(size: int = 200) -> Dict[str, Any]:
    hosts: Dict[str, Any] = {"pg-%03d.example.net" % n: healthy("pg-%03d" % n) for n in range(size)}
    for n, made in ((17, pool_exhausted), (44, server_down), (101, nearly_exhausted), (150, blocked)):
        hosts["pg-%03d.example.net" % n] = made("pg-%03d" % n)
    hosts["pg-120.example.net"] = unreachable()
    hosts["pg-121.example.net"] = failed()
    return hosts
