# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules: by promtool on series made up for it, and on real faults, seen by a real exporter and Prometheus."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.rules import FILES, RULES, rules
from tests.embedded import Server
from tests.integration.servers import Client, until
from tests.prometheus import Prometheus, exporter, program, prometheus, promtool

RULES_FILE = FILES / "oncall_postgresql.rules.yml"
QUERIES = FILES / "postgres_exporter_queries.yml"
MINUTES = 30  # of each series
PROMETHEUS_QUERY = "grafana_foundation_sdk.models.prometheus"

# A server on which nothing is wrong, each value as high as it may be: series -> values, a minute apart.
WELL = {
    'up{job="pg", instance="db1:9187"}': "1",
    "pg_up{}": "1",
    'pg_stat_activity_count{datname="shop", state="idle"}': "61",
    'pg_stat_activity_count{datname="shop", state="active", backend_type="client backend"}': "10",
    'pg_stat_activity_count{datname="shop", state="active", backend_type="parallel worker"}': "8",
    "pg_settings_max_connections{}": "100",
    "pg_settings_superuser_reserved_connections{}": "3",
    "pg_settings_reserved_connections{}": "2",
    'pg_oncall_role_connections{rolname="app"}': "6",
    'pg_oncall_role_connection_limit{rolname="app"}': "8",
    'pg_oncall_database_connections{datname="shop"}': "6",
    'pg_oncall_database_connection_limit{datname="shop"}': "8",
    'pg_stat_activity_max_tx_duration{datname="shop", state="idle in transaction"}': "300",
    'pg_stat_activity_max_tx_duration{datname="shop", state="active"}': "5000",
    "pg_oncall_sessions_blocked_seconds{}": "30",
    "pg_oncall_sessions_blocked{}": "3",
    "pg_oncall_sessions_sync_rep_seconds{}": "10",
    "pg_oncall_sessions_sync_rep{}": "3",
    'pg_stat_database_deadlocks{datname="shop"}': "7",
    'pg_oncall_checksum_failures{datname="shop"}': "0",
    'pg_oncall_age_transactions{datname="shop"}': "1000000000",
    'pg_oncall_age_multixacts{datname="shop"}': "1000000000",
    'pg_stat_replication_pg_wal_lsn_diff{application_name="standby1", state="streaming"}': "52428800",
    'pg_stat_replication_pg_wal_lsn_diff{application_name="pg_basebackup", state="backup"}': "5e9",
    "pg_oncall_standby_replay_lag_seconds{}": "300",
    "pg_stat_archiver_failed_count{}": "7",
    "pg_stat_archiver_archived_count{}": "0+1x%d" % MINUTES,
}
NONE = "_"  # a series that is not there
BOTH = ["warning", "critical"]
DATABASE, STATES = '{datname="shop"}', '{datname="shop", state="%s"}'
# Rule, what differs from WELL, severities that fire.
CASES: list[tuple[str, Mapping[str, str], list[str]]] = [
    ("PostgresqlDown", {"pg_up{}": "0"}, ["critical"]),
    ("PostgresqlExporterDown", {'up{job="pg", instance="db1:9187"}': "0", "pg_up{}": "1 _x40"}, ["critical"]),
    ("PostgresqlQueriesMissing", {"pg_oncall_sessions_blocked{}": NONE}, ["warning"]),
    ("PostgresqlConnections", {"pg_stat_activity_count" + STATES % "idle": "62"}, ["warning"]),
    ("PostgresqlConnections", {"pg_stat_activity_count" + STATES % "idle": "76"}, BOTH),
    ("PostgresqlConnections", {"pg_stat_activity_count" + STATES % "idle": "76x26 61x9"}, BOTH),  # until a while ago
    ("PostgresqlConnections", {"pg_stat_activity_count" + STATES % "idle": "76x20 61x9"}, []),
    ("PostgresqlDown", {"pg_up{}": "0x28 1x9"}, []),  # over is over
    ("PostgresqlConnections", {"pg_settings_reserved_connections{}": "6"}, ["warning"]),
    ("PostgresqlConnections", {"pg_settings_reserved_connections{}": NONE}, []),  # before PostgreSQL 16
    (
        "PostgresqlConnections",
        {"pg_settings_max_connections{}": "75", "pg_settings_reserved_connections{}": NONE},
        BOTH,
    ),
    ("PostgresqlConnectionsFilling", {"pg_stat_activity_count" + STATES % "idle": "40+0.7x%d" % MINUTES}, ["warning"]),
    ("PostgresqlConnectionsFilling", {"pg_stat_activity_count" + STATES % "idle": "40+0.3x%d" % MINUTES}, []),
    ("PostgresqlConnectionsFilling", {"pg_stat_activity_count" + STATES % "idle": "0+1x%d" % MINUTES}, []),  # room
    (
        "PostgresqlConnectionsFilling",
        {"pg_stat_activity_count" + STATES % "idle": "40x20 60x10"},
        [],
    ),  # one step
    ("PostgresqlRoleConnections", {'pg_oncall_role_connections{rolname="app"}': "7"}, ["warning"]),
    ("PostgresqlRoleConnections", {'pg_oncall_role_connections{rolname="app"}': "8"}, BOTH),
    ("PostgresqlDatabaseConnections", {"pg_oncall_database_connections" + DATABASE: "7"}, ["warning"]),
    ("PostgresqlDatabaseConnections", {"pg_oncall_database_connections" + DATABASE: "8"}, BOTH),
    (
        "PostgresqlIdleInTransaction",
        {"pg_stat_activity_max_tx_duration" + STATES % "idle in transaction": "301"},
        ["warning"],
    ),
    (
        "PostgresqlIdleInTransaction",
        {"pg_stat_activity_max_tx_duration" + STATES % "idle in transaction (aborted)": "901"},
        BOTH,
    ),
    ("PostgresqlBlockedSessions", {"pg_oncall_sessions_blocked_seconds{}": "31"}, ["warning"]),
    ("PostgresqlBlockedSessions", {"pg_oncall_sessions_blocked_seconds{}": "301"}, BOTH),
    (
        "PostgresqlBlockedSessions",
        {"pg_oncall_sessions_blocked_seconds{}": "0 0 301x0 0x40"},
        [],
    ),  # over at the next look
    ("PostgresqlDeadlocks", {"pg_stat_database_deadlocks" + DATABASE: "7x27 8x9"}, ["warning"]),
    ("PostgresqlDeadlocks", {"pg_stat_database_deadlocks" + DATABASE: "7x27 27x9"}, BOTH),
    ("PostgresqlDeadlocks", {"pg_stat_database_deadlocks" + DATABASE: "7x9 27x40"}, []),  # long ago
    ("PostgresqlSynchronousReplicationWait", {"pg_oncall_sessions_sync_rep_seconds{}": "11"}, ["warning"]),
    ("PostgresqlSynchronousReplicationWait", {"pg_oncall_sessions_sync_rep_seconds{}": "31"}, BOTH),
    ("PostgresqlChecksumFailures", {"pg_oncall_checksum_failures" + DATABASE: "1"}, ["emergency"]),
    ("PostgresqlTransactionAge", {"pg_oncall_age_transactions" + DATABASE: "1010000000"}, ["warning"]),
    ("PostgresqlTransactionAge", {"pg_oncall_age_transactions" + DATABASE: "1510000000"}, BOTH),
    ("PostgresqlMultixactAge", {"pg_oncall_age_multixacts" + DATABASE: "1010000000"}, ["warning"]),
    ("PostgresqlMultixactAge", {"pg_oncall_age_multixacts" + DATABASE: "1510000000"}, BOTH),
    (
        "PostgresqlReplicationLag",
        {'pg_stat_replication_pg_wal_lsn_diff{application_name="standby1", state="streaming"}': "52428801"},
        ["warning"],
    ),
    (
        "PostgresqlReplicationLag",
        {'pg_stat_replication_pg_wal_lsn_diff{application_name="standby1", state="streaming"}': "104857601"},
        BOTH,
    ),
    ("PostgresqlStandbyBehind", {"pg_oncall_standby_replay_lag_seconds{}": "301"}, ["warning"]),
    ("PostgresqlStandbyBehind", {"pg_oncall_standby_replay_lag_seconds{}": "901"}, BOTH),
    (
        "PostgresqlArchiveFailing",
        {"pg_stat_archiver_failed_count{}": "7x27 10+3x9", "pg_stat_archiver_archived_count{}": "9"},
        ["warning"],
    ),
    (
        "PostgresqlArchiveFailing",
        {"pg_stat_archiver_failed_count{}": "0+3x%d" % MINUTES, "pg_stat_archiver_archived_count{}": "9"},
        BOTH,
    ),
    ("PostgresqlArchiveFailing", {"pg_stat_archiver_failed_count{}": "0+1x%d" % MINUTES}, []),  # it gets through
]


def series(different: Mapping[str, str]) -> list[dict[str, str]]:
    """As promtool takes them, with the labels of a target."""
    found = []
    for name, values in {**WELL, **different}.items():
        metric, _brace, labels = name.rstrip("}").partition("{")
        target = (
            'job="pg", instance="db1:9187"'
            if metric in ("up", "pg_up")
            else 'job="pg", instance="db1:9187", server="db1:5432"'
        )
        labels = target if metric == "up" else ", ".join(filter(None, (target, labels)))
        values = values if "x" in values else "%sx%d" % (values, MINUTES)
        found.append({"series": "%s{%s}" % (metric, labels), "values": values})
    return found


def test_each_rule_fires_and_does_not_fire(tmp_path: Path) -> None:
    """And no other with it."""
    promtool("check", "rules", RULES_FILE)
    assert {name for name, _different, severities in CASES if severities} == {rule.alert for rule in RULES}
    tests: list[dict[str, Any]] = []
    for alert, different, severities in [("nothing", {}, []), *CASES]:
        expected = [{"labels": '{alertname="%s", severity="%s"}' % (alert, each), "value": 1} for each in severities]
        query = 'count by (alertname, severity) (ALERTS{alertstate="firing"})'
        tests.append(
            {
                "name": alert,
                "interval": "1m",
                "input_series": series(different),
                "promql_expr_test": [{"expr": query, "eval_time": "%dm" % MINUTES, "exp_samples": expected}],
            }
        )
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES_FILE)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", file)


def test_an_alert_says_what_to_do(tmp_path: Path) -> None:
    role = {
        "exp_labels": {
            "severity": "warning",
            "code": "pool_exhausted",
            "cause": "role_limit",
            "job": "pg",
            "instance": "db1:9187",
            "server": "db1:5432",
            "rolname": "app",
        },
        "exp_annotations": {
            "summary": "db1: role app uses 88 % of its CONNECTION LIMIT",
            "command": "ansible-playbook oncall.postgresql.triage --limit db1",
            "remedy": "oncall.postgresql.pool_reset, as triage says",
            "escalate": "DBA, after 20 min",
            "runbook_url": "https://git.example.org/oncall/postgresql/blob/main/docs/verdicts.md#pool_exhausted",
        },
    }
    corrupt = {
        "exp_labels": {
            "severity": "emergency",
            "code": "data_corruption",
            "cause": "checksum_failure",
            "job": "pg",
            "instance": "db1:9187",
            "server": "db1:5432",
            "datname": "shop",
        },
        "exp_annotations": {
            "summary": "db1: data checksum failures in shop: 4",
            "description": "Data checksum failures (shop): stop writing, keep the files, prepare a restore",
            "command": "ansible-playbook oncall.postgresql.triage --limit db1",
            "remedy": "by hand, as triage says",
            "escalate": "emergency contacts, immediately",
            "runbook_url": "https://git.example.org/oncall/postgresql/blob/main/docs/verdicts.md#data_corruption",
        },
    }
    test = {
        "interval": "1m",
        "input_series": series(
            {'pg_oncall_role_connections{rolname="app"}': "7", "pg_oncall_checksum_failures" + DATABASE: "4"}
        ),
        "alert_rule_test": [
            {"alertname": "PostgresqlRoleConnections", "eval_time": "30m", "exp_alerts": [role]},
            {"alertname": "PostgresqlChecksumFailures", "eval_time": "30m", "exp_alerts": [corrupt]},
        ],
    }
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES_FILE)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", file)


def test_the_dashboard_is_one_to_grafana() -> None:
    """Its own types for dashboards take every field of it, and give it back."""
    plugins.register_default_plugins()
    board = json.loads((FILES / "oncall_postgresql.dashboard.json").read_text())
    taken: Any = Dashboard.from_json(board)
    again = json.loads(json.dumps(taken, cls=JSONEncoder))
    assert lost(board, again) == []
    assert {type(query).__module__ for panel in taken.panels for query in panel.targets} == {PROMETHEUS_QUERY}


def lost(one: Any, other: Any, where: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        return [each for key in one for each in lost(one[key], other.get(key, NONE), "%s/%s" % (where, key))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            each for n, pair in enumerate(zip(one, other, strict=True)) for each in lost(*pair, "%s/%d" % (where, n))
        ]
    return [] if one == other else [where]


# --- seen firing ------------------------------------------------------------------------------------------------------

MONITOR = "CREATE ROLE %s LOGIN PASSWORD 'monitored' CONNECTION LIMIT 3 IN ROLE pg_monitor"


class Clock:
    """The clock of servers that are started in its environment: it can be put forward while they run."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self._since = time.time()
        self._file.write_text("+0\n")
        self._file.chmod(0o644)
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def forward(self, seconds: int) -> None:
        self._file.write_text("+%d\n" % seconds)

    def remove(self) -> None:
        """What each of its programs has left behind: a name with its number, in no other test."""
        for left in Path("/dev/shm").glob("*faketime_*"):
            if left.stat().st_mtime >= self._since:
                left.unlink(missing_ok=True)


@contextlib.contextmanager
def slots() -> Iterator[Server]:
    """Fifteen slots for ordinary roles: 20 less 3 for superusers and 2 reserved by PostgreSQL 16's setting."""
    with Server(
        16, settings={"max_connections": 20, "superuser_reserved_connections": 3, "reserved_connections": 2}
    ) as server:
        server.sql(MONITOR % "monitor")
        server.sql(MONITOR % "bare")
        server.sql("CREATE ROLE app LOGIN PASSWORD 'x' CONNECTION LIMIT 11")
        server.sql("CREATE DATABASE shop CONNECTION LIMIT 11")
        yield server


@contextlib.contextmanager
def replicated() -> Iterator[tuple[Server, Server, Clock]]:
    settings = {"wal_sender_timeout": 0, "wal_receiver_timeout": 0, "deadlock_timeout": "10ms", "max_wal_size": "1GB"}
    settings.update(archive_mode="on", archive_command="true", autovacuum="off")
    primary, standby = Server(18, settings=settings), Server(18)
    clock = Clock(primary.directory)
    primary.environment = standby.environment = clock.environment
    try:
        primary.start()
        primary.sql(MONITOR % "monitor")
        primary.sql("CREATE TABLE t AS SELECT n FROM generate_series(1, 100) n; CREATE TABLE big (n int)")
        primary.hba("host all all 127.0.0.1/32 scram-sha-256", "local replication all trust")
        shutil.rmtree(standby.data)
        source = ["-h", str(primary.directory), "-p", str(primary.port), "-U", "postgres"]
        primary.run("pg_basebackup", "-D", standby.data, "-R", "-X", "stream", "-c", "fast", "--no-sync", *source)
        standby.conf(port=standby.port, unix_socket_directories=standby.directory)
        standby.start()
        until(lambda: primary.sql("SELECT state FROM pg_stat_replication") == "streaming")
        primary.sql("INSERT INTO big VALUES (1)")  # the first commit that is replayed has a time to count from
        lsn = primary.sql("SELECT pg_current_wal_lsn()")
        until(lambda: standby.sql("SELECT pg_last_wal_replay_lsn() >= '%s'" % lsn) == "t")
        yield primary, standby, clock
    finally:
        standby.remove()
        primary.remove()
        clock.remove()


@contextlib.contextmanager
def aged() -> Iterator[Server]:
    """A server at four fifths of the way to wraparound, which autovacuum may not mend yet."""
    ages = {"autovacuum_freeze_max_age": 2_000_000_000, "autovacuum_multixact_freeze_max_age": 2_000_000_000}
    with Server(18, initdb=("--data-checksums",), settings=ages) as server:
        server.sql(MONITOR % "monitor")
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        yield server


def age(server: Server) -> None:
    """As so many transactions would have left it; this is a throw-away server."""
    next_id = 1_600_000_000
    path = server.data / server.sql("SELECT pg_relation_filepath('t')")
    server.stop()
    server.run("pg_resetwal", "-x", str(next_id), "-m", "%d,1" % next_id, "-D", server.data)
    for directory, ids in (("pg_xact", 32 * 8192 * 4), ("pg_multixact/offsets", 32 * 8192 // 4)):
        segment = server.data / directory / ("%04X" % (next_id // ids))
        segment.write_bytes(bytes(32 * 8192))
        shutil.chown(segment, server.data.owner(), server.data.group())
    with path.open("r+b") as file:
        file.seek(4000)
        file.write(b"damage")
    server.start()
    with contextlib.suppress(RuntimeError):
        server.sql("SELECT count(*) FROM t")


def dsn(server: Server, role: str = "monitor") -> str:
    return "postgresql://%s:monitored@127.0.0.1:%d/postgres?sslmode=disable" % (role, server.port)


def firing(found: Prometheus) -> set[tuple[str, str, str]]:
    return {
        (each["labels"]["instance"], each["labels"]["alertname"], each["labels"]["severity"]) for each in found.alerts()
    }


def deadlock(server: Server) -> None:
    one, other = (
        Client(host=str(server.directory), port=server.port, user="postgres", dbname="postgres") for _each in "12"
    )
    one.run("BEGIN", "UPDATE t SET n = n WHERE n = 1")
    other.run("BEGIN", "UPDATE t SET n = n WHERE n = 2")
    one.start("UPDATE t SET n = n WHERE n = 2")
    other.start("UPDATE t SET n = n WHERE n = 1")
    lost = 0
    for each in (one, other):
        with contextlib.suppress(Exception):
            each.finish()
            continue
        lost += 1
    assert lost == 1
    one.close()
    other.close()


def dashboard_queries() -> list[str]:
    """Of each panel, for all servers."""
    board = json.loads((FILES / "oncall_postgresql.dashboard.json").read_text())
    return [each["expr"].replace("$instance", ".*") for panel in board["panels"] for each in panel["targets"]]


EXPECTED = {
    ("slots", "PostgresqlConnections", "warning"),
    ("slots", "PostgresqlConnections", "critical"),
    ("bare", "PostgresqlConnections", "warning"),
    ("bare", "PostgresqlConnections", "critical"),
    ("slots", "PostgresqlConnectionsFilling", "warning"),
    ("bare", "PostgresqlConnectionsFilling", "warning"),
    ("slots", "PostgresqlRoleConnections", "warning"),
    ("slots", "PostgresqlRoleConnections", "critical"),
    ("slots", "PostgresqlDatabaseConnections", "warning"),
    ("slots", "PostgresqlDatabaseConnections", "critical"),
    ("bare", "PostgresqlQueriesMissing", "warning"),
    ("primary", "PostgresqlIdleInTransaction", "warning"),
    ("primary", "PostgresqlIdleInTransaction", "critical"),
    ("primary", "PostgresqlBlockedSessions", "warning"),
    ("primary", "PostgresqlBlockedSessions", "critical"),
    ("primary", "PostgresqlDeadlocks", "warning"),
    ("primary", "PostgresqlDeadlocks", "critical"),
    ("primary", "PostgresqlSynchronousReplicationWait", "warning"),
    ("primary", "PostgresqlSynchronousReplicationWait", "critical"),
    ("primary", "PostgresqlReplicationLag", "warning"),
    ("primary", "PostgresqlReplicationLag", "critical"),
    ("primary", "PostgresqlArchiveFailing", "warning"),
    ("primary", "PostgresqlArchiveFailing", "critical"),
    ("standby", "PostgresqlStandbyBehind", "warning"),
    ("standby", "PostgresqlStandbyBehind", "critical"),
    ("aged", "PostgresqlTransactionAge", "warning"),
    ("aged", "PostgresqlTransactionAge", "critical"),
    ("aged", "PostgresqlMultixactAge", "warning"),
    ("aged", "PostgresqlMultixactAge", "critical"),
    ("aged", "PostgresqlChecksumFailures", "emergency"),
}


def test_every_rule_is_seen_firing_on_the_real_fault(tmp_path: Path) -> None:
    """And the dashboard's queries bring data. Only the durations are shorter: of a fault, and of a slope's window."""
    program("promtool")
    rules_file = tmp_path / "rules.yml"
    rules_file.write_text(rules(hold="1s", window="30s"))
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(slots())
        primary, standby, clock = stack.enter_context(replicated())
        old = stack.enter_context(aged())
        age(old)
        watched = {"slots": full, "primary": primary, "standby": standby, "aged": old}
        exporters = {
            name: stack.enter_context(exporter(tmp_path, dsn(server), QUERIES)) for name, server in watched.items()
        }
        exporters["bare"] = stack.enter_context(exporter(tmp_path, dsn(full, "bare")))
        targets = {name: address for name, (address, _process) in exporters.items()}
        found = stack.enter_context(prometheus(tmp_path, rules_file, targets))

        until(lambda: len(found.query("pg_up == 1")) == len(targets))
        wrong = {each for each in EXPECTED if each[0] == "aged" or each[1] == "PostgresqlQueriesMissing"}
        until(lambda: firing(found) == wrong)  # nothing else yet

        # The standby stops replaying, archiving fails, a session is idle in transaction, another waits for its lock.
        primary.sql("ALTER SYSTEM SET archive_command = 'false'")
        primary.reload()
        standby.sql("SELECT pg_wal_replay_pause()")
        primary.sql("INSERT INTO big SELECT generate_series(1, 2000000)")
        primary.sql("SELECT pg_switch_wal()")
        for _each in range(11):
            deadlock(primary)
        holder = primary.background("BEGIN; UPDATE t SET n = n WHERE n = 1;")
        until(lambda: primary.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == "1")
        waiter = primary.background("UPDATE t SET n = n WHERE n = 1;")
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        primary.reload()
        committer = primary.background("SET application_name = 'committer'; INSERT INTO t VALUES (1);")
        until(lambda: primary.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1")
        until(lambda: primary.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1")
        clock.forward(1200)

        # One after the other: a slope.
        sessions = []
        for _each in range(10):
            sessions.append(Client(host=full.host, port=full.port, user="app", password="x", dbname="shop"))
        for _each in range(2):  # how many an exporter holds by itself depends on its version
            sessions.append(Client(host=str(full.directory), port=full.port, user="postgres", dbname="postgres"))
        seen: set[tuple[str, str, str]] = set()

        def all_seen() -> bool:
            seen.update(firing(found))
            return seen >= EXPECTED

        with contextlib.suppress(AssertionError):  # below it says which
            until(all_seen, 90)
        assert seen == EXPECTED
        for client in sessions:
            client.close()
        for session in (holder, waiter, committer):
            session.kill()

        empty = [query for query in dashboard_queries() if not found.query(query)]
        assert empty == []
        assert [rule["lastError"] for rule in found.rules() if rule["health"] != "ok"] == []
        lag = next(each for each in found.alerts() if each["labels"]["alertname"] == "PostgresqlReplicationLag")
        assert lag["annotations"]["command"] == "ansible-playbook oncall.postgresql.triage --limit primary"
        assert re.match(r"primary: standby walreceiver is \d+(\.\d+)?MiB behind$", lag["annotations"]["summary"])

        _address, process = exporters["bare"]
        process.terminate()
        full.stop()
        gone = {("slots", "PostgresqlDown", "critical"), ("bare", "PostgresqlExporterDown", "critical")}
        until(lambda: gone <= firing(found))
        every = {(rule.alert, level.severity) for rule in RULES for level in rule.levels}
        assert every == {(name, severity) for _host, name, severity in EXPECTED | gone}
