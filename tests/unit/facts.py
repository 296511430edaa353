# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts as a healthy Compose stack gives them, and functions that break one thing, as the real fault would show."""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import (
    Blocker,
    ClientFacts,
    Disk,
    Facts,
    HbaRule,
    LogEntry,
    PreparedTransaction,
    Process,
    SeenSession,
    ServerFacts,
    SessionGroup,
    Snapshot,
    WireAnswer,
)

Alter = Callable[[Facts], Any]
GIB, MIB = 1024**3, 1024**2
DATA = "/var/lib/postgresql/data"


def change(shape: Any, **values: Any) -> None:
    """``dict.update`` that a TypedDict allows."""
    shape.update(values)


def process(pid: int, title: str, state: str = "S") -> Process:
    return {"pid": pid, "state": state, "title": title}


AUXILIARY = [
    process(100, "postgres"),
    process(110, "postgres: checkpointer "),
    process(111, "postgres: background writer "),
    process(112, "postgres: walwriter "),
    process(113, "postgres: autovacuum launcher "),
    process(114, "postgres: logical replication launcher "),
]


def hba(number: int, kind: str, database: str, user: str, address: Optional[str], method: str, **more: Any) -> HbaRule:
    rule: HbaRule = {
        "rule_number": number,
        "file_name": DATA + "/pg_hba.conf",
        "line_number": number,
        "type": kind,
        "database": database.split(","),
        "user_name": user.split(","),
        "address": address,
        "netmask": None,
        "auth_method": method,
        "options": None,
        "error": None,
    }
    change(rule, **more)
    return rule


def wire(
    kind: str, address: str, outcome: str = "accepting", sqlstate: Optional[str] = None, message: Optional[str] = None
) -> WireAnswer:
    return {
        "kind": kind,
        "address": address,
        "outcome": outcome,
        "severity": "FATAL" if sqlstate else None,
        "sqlstate": sqlstate,
        "message": message,
        "elapsed_ms": 0.8,
    }


def server() -> ServerFacts:
    return {
        "name": "shop-postgres-1",
        "service": "postgres",
        "image": "postgres:17",
        "engine_command": "docker",
        "state": "running",
        "exit_code": 0,
        "signal": None,
        "out_of_memory": False,
        "engine_error": None,
        "started_at": "2026-11-20T08:00:00.123456789Z",
        "finished_at": None,
        "uptime_seconds": 324000.0,
        "restart_count": 0,
        "restart_policy": "unless-stopped",
        "restart_loop": False,
        "health": "healthy",
        "postmaster_pid": 100,
        "postmaster_state": "S",
        "processes": [*AUXILIARY, process(201, "postgres: app shop 172.18.0.3(41000) idle")],
        "data_directory": {
            "path": DATA,
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
        "disks": [disk(100 * GIB, 60 * GIB)],
        "mounts": [{"type": "volume", "source": "shop_data", "destination": DATA, "read_only": False}],
        "nofile_soft": 1048576,
        "nofile_hard": 1048576,
        "memory_limit_bytes": None,
        "lock_file": {
            "pid": 1,
            "pid_alive": True,
            "started_at": "2026-11-20T08:00:00.000Z",
            "port": 5432,
            "socket_directory": "/var/run/postgresql",
            "listen_address": "*",
            "status": "ready",
        },
        "control": None,
        "configuration": None,
        "altered_settings": None,
        "listening": [
            {"address": "0.0.0.0", "port": 5432, "ours": True},
            {"address": "::", "port": 5432, "ours": True},
        ],
        "published": [],
        "networks": [
            {
                "name": "shop_backend",
                "address": "172.18.0.2",
                "aliases": ["postgres", "shop-postgres-1"],
                "attached": True,
            }
        ],
        "log": [],
        "log_lines_read": 100,
        "log_source": "container log",
    }


def disk(
    total: int, free: int, role: str = "data", inodes: Optional[int] = 6_000_000, free_inodes: Optional[int] = 5_000_000
) -> Disk:
    path = DATA if role == "data" else DATA + "/pg_wal"
    return {
        "role": role,
        "path": path,
        "total_bytes": total,
        "free_bytes": free,
        "total_inodes": inodes,
        "free_inodes": free_inodes,
    }


def client(name: str = "api") -> ClientFacts:
    return {
        "service": name,
        "name": "shop-%s-1" % name,
        "state": "running",
        "exit_code": None,
        "started_at": "2026-11-28T09:00:00Z",
        "finished_at": None,
        "out_of_memory": False,
        "place": "namespace",
        "application_name": "api",
        "networks": [{"name": "shop_backend", "address": "172.18.0.3", "aliases": ["api"], "attached": True}],
        "shared_networks": ["shop_backend"],
        "login": {
            "host": "postgres",
            "port": 5432,
            "user": "app",
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
            "elapsed_ms": 0.4,
        },
        "reach": {
            "address": "172.18.0.2:5432",
            "probes": 10,
            "answered": 10,
            "loss_percent": 0.0,
            "latency_ms": 0.1,
            "outcome": "open",
        },
        "startup": wire("network", "172.18.0.2:5432"),
        "attempt": {
            "succeeded": True,
            "outcome": "ok",
            "severity": None,
            "sqlstate": None,
            "message": None,
            "method": "scram-sha-256",
            "tls": False,
            "source_address": "172.18.0.3",
            "elapsed_ms": 6.0,
        },
        "password_matches": True,
        "health": {
            "url": "http://api:8000/api/v1/db/health",
            "status": 200,
            "ok": True,
            "body": '{"database": "connected"}',
            "error": None,
        },
        "error": None,
    }


def session(pid: int, state: str = "active", seconds: float = 5, **more: Any) -> SeenSession:
    row: SeenSession = {
        "pid": pid,
        "backend_start": "2026-11-24T02:00:00Z",
        "user": "app",
        "database": "shop",
        "application": "api",
        "client_address": "172.18.0.3",
        "state": state,
        "state_seconds": seconds,
        "transaction_seconds": seconds,
        "query_seconds": seconds,
        "wait_event_type": None,
        "wait_event": None,
        "backend_type": "client backend",
        "superuser": False,
        "spared": None,
        "query": "UPDATE orders SET total = 1 WHERE id = 1",
    }
    change(row, **more)
    return row


def prepared(gid: str, **more: Any) -> PreparedTransaction:
    row: PreparedTransaction = {
        "gid": gid,
        "owner": "app",
        "database": "shop",
        "age_seconds": 4000.0,
        "ours": True,
        "here": True,
    }
    change(row, **more)
    return row


def group(sessions: int, state: Optional[str] = "idle", user: str = "app", database: str = "shop") -> SessionGroup:
    return {
        "state": state,
        "database": database,
        "user": user,
        "application": "api",
        "client_address": "172.18.0.3",
        "sessions": sessions,
        "longest_state_seconds": 4000.0,
    }


def edge(blocked: int, blocking: int, seconds: float = 60, gid: Optional[str] = None) -> Blocker:
    return {
        "blocked_pid": blocked,
        "blocking_pid": blocking,
        "blocking_gid": gid,
        "blocked_seconds": seconds,
        "relation": "public.orders",
        "lock_type": "transactionid",
        "lock_mode": "ShareLock",
    }


def log(
    text: str,
    cause: Optional[str] = None,
    severity: str = "FATAL",
    sqlstate: Optional[str] = None,
    at: Optional[str] = None,
    pid: Optional[int] = None,
    own: Optional[bool] = True,
) -> LogEntry:
    return {
        "at": at,
        "severity": severity,
        "sqlstate": sqlstate,
        "cause": cause,
        "pid": pid,
        "own": own,
        "text": text,
    }


def snapshot() -> Snapshot:
    return {
        "at": "2026-11-24T02:00:00Z",
        "version": "17.5",
        "version_num": 170005,
        "started_at": "2026-11-20T08:00:01Z",
        "in_recovery": False,
        "limited": False,
        "pooled": False,
        "connections": {
            "max_connections": 100,
            "superuser_reserved": 3,
            "reserved": 0,
            "used": 8,
            "groups": [group(6), group(2, "active")],
            "idle": [],
            "idle_in_transaction": [],
            "active": [],
            "long_idle": 0,
            "long_idle_in_transaction": 0,
        },
        "limits": {"roles": [], "databases": []},
        "activity": {
            "long_queries": [],
            "blocking": [],
            "involved": [],
            "prepared": [],
            "wait_events": [],
            "sync_replication": {"waiting": 0, "longest_seconds": None, "standby_names": ""},
            "deadlocks": [{"database": "shop", "count": 0}],
            "conflicts": [],
        },
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
            "load_time": "2026-11-20T08:00:01Z",
            "file_errors": [],
            "pending_restart": [],
            "hba_rules": [
                hba(1, "local", "all", "all", None, "trust"),
                hba(2, "host", "all", "all", "127.0.0.1", "trust", netmask="255.255.255.255"),
                hba(3, "host", "replication", "all", "127.0.0.1", "trust", netmask="255.255.255.255"),
                hba(4, "host", "all", "all", "all", "scram-sha-256"),
            ],
            "hba_loaded": True,
            "may_reload": True,
            "hba_file": DATA + "/pg_hba.conf",
        },
        "roles": [
            {
                "name": "app",
                "exists": True,
                "can_login": True,
                "superuser": False,
                "valid_until": None,
                "expired": False,
                "connection_limit": -1,
                "verifier": "scram-sha-256",
                "settable": True,
                "member_of": [],
                "own": None,
                "sessions": [
                    {"client_address": "172.18.0.3", "database": "shop", "application": "api", "sessions": 10}
                ],
            }
        ],
        "databases": [
            {
                "name": "shop",
                "exists": True,
                "allows_connections": True,
                "connection_limit": -1,
                "connect_privilege": {"app": True},
            }
        ],
        "soundness": {
            "checksum_failures": [{"database": "shop", "count": 0, "last_failure": None}],
            "transaction_age": [{"database": "shop", "xid_age": 1_234_567, "multixact_age": 1}],
            "autovacuum_freeze_max_age": 200_000_000,
            "standbys": [],
            "slots": [],
            "receiver": None,
            "collations": [],
        },
    }


def healthy(*alterations: Alter) -> Facts:
    """A Compose stack with nothing wrong, altered."""
    facts: Facts = {
        "target": {"host": "db1", "runtime": "compose", "version": "17.5", "in_recovery": False},
        "server": server(),
        "wire": [
            wire("socket", "/var/run/postgresql/.s.PGSQL.5432"),
            wire("network", "172.18.0.2:5432"),
        ],
        "clients": [client()],
        "restart_note": None,
        "role_users": [],
        "restart": None,
        "repair_obstacle": None,
        "snapshot": snapshot(),
        "snapshot_error": None,
        "another_server": None,
        "errors": {},
    }
    facts = copy.deepcopy(facts)
    for alter in alterations:
        alter(facts)
    return facts


def remote(*alterations: Alter) -> Facts:
    """Nothing but the wire."""
    facts = healthy()
    facts["target"]["runtime"] = "remote"
    here = client()
    change(
        here, name="here", service="here", place="here", state="unknown", networks=[], shared_networks=[], health=None
    )
    assert here["login"]
    here["login"]["host"] = "db.example.com"
    facts["clients"] = [here]
    bare = server()
    change(
        bare,
        name="db.example.com:5432",
        service=None,
        state="unknown",
        exit_code=None,
        processes=[],
        disks=[],
        mounts=[],
        networks=[],
        listening=None,
        lock_file=None,
        data_directory=None,
        nofile_soft=None,
        postmaster_pid=None,
        postmaster_state=None,
        uptime_seconds=None,
        started_at=None,
        restart_count=None,
        out_of_memory=None,
    )
    facts["server"] = bare
    facts["wire"] = [wire("login_host", "db.example.com:5432")]
    for alter in alterations:
        alter(facts)
    return facts


def of(facts: Facts) -> ServerFacts:
    assert facts["server"]
    return facts["server"]


def sql(facts: Facts) -> Snapshot:
    assert facts["snapshot"]
    return facts["snapshot"]


def set_server(**values: Any) -> Alter:
    return lambda facts: change(of(facts), **values)


def set_directory(**values: Any) -> Alter:
    return lambda facts: change(of(facts)["data_directory"], **values)


def no_sql(sqlstate: Optional[str] = "08001", message: str = "connection refused", kind: str = "connection") -> Alter:
    def alter(facts: Facts) -> None:
        facts["snapshot"] = None
        facts["snapshot_error"] = {"sqlstate": sqlstate, "message": message, "kind": kind}
        facts["errors"]["snapshot"] = message
        for one in facts["clients"]:
            one["password_matches"] = None

    return alter


def down(state: str = "exited", exit_code: Optional[int] = 1, **values: Any) -> Alter:
    """The server stopped: no wire, no SQL, and a client that cannot even resolve its name."""

    def alter(facts: Facts) -> None:
        change(
            of(facts),
            state=state,
            exit_code=exit_code,
            postmaster_pid=None,
            postmaster_state=None,
            processes=[],
            uptime_seconds=None,
            listening=None,
            lock_file=None,
            finished_at="2026-11-24T01:59:00Z",
            signal=exit_code - 128 if exit_code and exit_code > 128 else None,
        )
        of(facts)["control"] = control("in production")
        change(of(facts), **values)
        facts["wire"] = [wire("socket", "/var/run/postgresql/.s.PGSQL.5432", "missing")]
        no_sql()(facts)
        for one in facts["clients"]:
            one["resolution"] = {
                "name": "postgres",
                "addresses": [],
                "nameserver": "127.0.0.11",
                "error": "not_found",
                "elapsed_ms": 0.5,
            }
            one["reach"] = one["startup"] = None
            failed("failed", None, "could not translate host name")(one)

    return alter


def control(state: Optional[str], **values: Any) -> Any:
    return dict(
        {
            "readable": True,
            "crc_ok": True,
            "system_identifier": "7577000000000000001",
            "state": state,
            "written_at": None,
            "checkpoint_lsn": "0/1957A80",
            "checkpoint_wal_file": "000000010000000000000001",
            "checkpoint_readable": True,
            "message": None,
        },
        **values,
    )


def failed(
    outcome: str = "rejected", sqlstate: Optional[str] = None, message: Optional[str] = None, **values: Any
) -> Callable[[ClientFacts], None]:
    def alter(one: ClientFacts) -> None:
        assert one["attempt"]
        change(
            one["attempt"],
            succeeded=False,
            outcome=outcome,
            sqlstate=sqlstate,
            message=message,
            severity="FATAL" if sqlstate else None,
        )
        change(one["attempt"], **values)
        if one["health"]:
            change(one["health"], ok=False, status=503, body='{"database": "unreachable"}')

    return alter


def login_fails(
    outcome: str = "rejected", sqlstate: Optional[str] = None, message: Optional[str] = None, **values: Any
) -> Alter:
    def alter(facts: Facts) -> None:
        for one in facts["clients"]:
            failed(outcome, sqlstate, message, **values)(one)

    return alter


def set_client(**values: Any) -> Alter:
    def alter(facts: Facts) -> None:
        for one in facts["clients"]:
            change(one, **copy.deepcopy(values))

    return alter


def set_login(**values: Any) -> Alter:
    def alter(facts: Facts) -> None:
        for one in facts["clients"]:
            assert one["login"]
            change(one["login"], **values)

    return alter


def set_reach(**values: Any) -> Alter:
    """The client's TCP probes: and without a connection nothing else of it comes about either."""

    def alter(facts: Facts) -> None:
        for one in facts["clients"]:
            assert one["reach"]
            reach: Dict[str, Any] = dict(one["reach"], **values)
            change(one, reach=reach)
            if reach["outcome"] != "open":
                one["startup"] = None
                failed("failed", None, "connection failed")(one)

    return alter


def unresolved(error: str = "not_found") -> Alter:
    def alter(facts: Facts) -> None:
        for one in facts["clients"]:
            one["resolution"] = {
                "name": "postgres",
                "addresses": [],
                "nameserver": "127.0.0.11",
                "error": error,
                "elapsed_ms": 0.5,
            }
            one["reach"] = one["startup"] = None
            failed("failed", None, "could not translate host name")(one)

    return alter


def set_wire(*answers: WireAnswer) -> Alter:
    def alter(facts: Facts) -> None:
        facts["wire"] = list(answers)

    return alter


def wire_all(outcome: str, sqlstate: Optional[str] = None, message: Optional[str] = None) -> Alter:
    def alter(facts: Facts) -> None:
        for answer in facts["wire"]:
            change(answer, outcome=outcome, sqlstate=sqlstate, message=message, severity="FATAL" if sqlstate else None)
        for one in facts["clients"]:
            if one["startup"]:
                change(one["startup"], outcome=outcome, sqlstate=sqlstate, message=message)
                failed("rejected" if sqlstate else "timeout", sqlstate, message)(one)

    return alter


def set_groups(*groups: SessionGroup) -> Alter:
    def alter(facts: Facts) -> None:
        connections = sql(facts)["connections"]
        connections["groups"] = list(groups)
        connections["used"] = sum(row["sessions"] for row in groups)

    return alter


def set_connections(**values: Any) -> Alter:
    return lambda facts: change(sql(facts)["connections"], **values)


def set_role(**values: Any) -> Alter:
    return lambda facts: change(sql(facts)["roles"][0], **values)


def set_database(**values: Any) -> Alter:
    return lambda facts: change(sql(facts)["databases"][0], **values)


def set_rules(*rules: HbaRule) -> Alter:
    return lambda facts: change(sql(facts)["configured"], hba_rules=list(rules))


def set_activity(**values: Any) -> Alter:
    return lambda facts: change(sql(facts)["activity"], **values)


def set_soundness(**values: Any) -> Alter:
    return lambda facts: change(sql(facts)["soundness"], **values)


def set_configured(**values: Any) -> Alter:
    return lambda facts: change(sql(facts)["configured"], **values)


def titles(*lines: str) -> List[Process]:
    return [*AUXILIARY, *(process(200 + number, text) for number, text in enumerate(lines))]
