# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules for Prometheus and a dashboard for Grafana, made from the verdict table and what shows each verdict.

Metric names are those of postgres_exporter 0.11 to 0.20 (``pg_*``) and of our queries file for it (``pg_oncall_*``).
The pairs of thresholds are those of pgmonitor 5.1.1 where it has them (github.com/CrunchyData/pgmonitor,
crunchy-alert-rules-pg.yml), else triage's.

python -m scripts.rules     # write them anew; a unit test compares
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ansible_collections.oncall.postgresql.plugins.module_utils._core.text import duration, size
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import VERDICTS, Row, filled
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import (
    CRITICAL,
    EMERGENCY,
    WARNING,
    Thresholds,
    Values,
)
from scripts.tables import escalated

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
FILES = CHECKOUT / "roles" / "monitoring" / "files"
GUIDE = CHECKOUT / "docs" / "alert-rules.md"
RUNBOOK_URL = "%s/blob/main/docs/verdicts.md#%s"
HOST = "{{ $labels.instance | reReplaceAll `:\\d+$` `` }}"  # the name in the inventory: docs/alert-rules.md
MIB = 1024**2
TRIAGE = Thresholds()
# What goes up and down around its threshold is one alert. Not a yes or no, whose end is news, nor a count of 5 minutes.
KEPT = {"percent": "5m", "s": "5m", "bytes": "5m"}


@dataclass(frozen=True)
class Level:
    severity: str
    above: float
    minutes: int = 1  # for so long


def pair(warning: float, critical: float, minutes: int = 1) -> tuple[Level, ...]:
    return Level(WARNING, warning, minutes), Level(CRITICAL, critical, minutes)


@dataclass(frozen=True)
class Rule:
    """``code`` and ``causes``: the rows of the verdict table that triage may find then; the first one says who is told.

    ``measure``: PromQL, compared with each level. ``{window}`` is what a slope is computed from.
    ``says``: the summary, after the host. ``values`` fill the first row's summary, which is then the description.
    """

    alert: str
    title: str
    code: str
    causes: tuple[str | None, ...]
    measure: str
    unit: str  # Grafana's
    levels: tuple[Level, ...]
    says: str
    values: Values | None = None
    only: str = ""  # and this holds, too
    remedy: str = ""  # where it is not for triage to say
    escalate: str = ""  # where the verdict's is more than it is worth
    legend: str = "{{instance}}"

    @property
    def rows(self) -> list[Row]:
        return [VERDICTS[(self.code, cause)] for cause in self.causes]


# Every label that a version of the exporter gives to a session: what is left tells one server from another.
_SESSION = "datname, state, usename, application_name, backend_type, wait_event_type, wait_event"
# Exporters before 0.17 do not tell clients from parallel workers and autovacuum: both are counted then.
USED = 'sum without (%s) (pg_stat_activity_count{backend_type=~"|client backend"})' % _SESSION
# reserved_connections is new in PostgreSQL 16.
USABLE = (
    "(pg_settings_max_connections - pg_settings_superuser_reserved_connections"
    " - (pg_settings_reserved_connections or pg_settings_max_connections * 0))"
)
USED_PERCENT = "100 * %s / %s" % (USED, USABLE)
WRAPAROUND = "100 * max without (datname) (pg_oncall_age_%s) / 2e9"  # as pgmonitor counts: of two thousand million
PERCENT = '{{ $value | printf "%.0f" }} %'
LASTS = "{{ $value | humanizeDuration }}"
SLOTS = ("idle_connections", "idle_in_transaction", "active_overload")

RULES = (
    Rule(
        "PostgresqlDown",
        "postgres_exporter cannot log in",
        "server_down",
        tuple(cause for code, cause in VERDICTS if code == "server_down"),
        "1 - pg_up",
        "bool",
        (Level(CRITICAL, 0),),
        "postgres_exporter cannot log in: the server is down, has no connection slot left, or refuses its role",
    ),
    Rule(
        "PostgresqlExporterDown",
        "postgres_exporter does not answer",
        "unknown",
        (None,),
        "((1 - up) and on (job, instance) last_over_time(pg_up[7d]))",
        "bool",
        (Level(CRITICAL, 0),),
        "postgres_exporter does not answer: nobody watches this server",
        remedy="if triage finds the server healthy, start postgres_exporter (systemctl status, its log)",
    ),
    Rule(
        "PostgresqlQueriesMissing",
        "Our queries are missing",
        "unknown",
        (None,),
        "(pg_up unless on (job, instance) pg_oncall_sessions_blocked)",
        "bool",
        (Level(WARNING, 0, 5),),
        "postgres_exporter runs without our queries (--extend.query-path), or they fail: some alerts cannot fire",
        remedy="start postgres_exporter with the queries file, give its role pg_monitor, and read its log",
        escalate="DBA, in working hours",
    ),
    Rule(
        "PostgresqlConnections",
        "Usable connection slots in use",
        "pool_exhausted",
        SLOTS,
        USED_PERCENT,
        "percent",
        pair(75, 90),
        PERCENT + " of the usable connection slots are in use",
    ),
    Rule(
        "PostgresqlConnectionsFilling",
        "Connection slots in use in an hour, at this rate",
        "pool_exhausted",
        SLOTS,
        "predict_linear((%s)[{window}:], 3600) / %s * 100" % (USED, USABLE),
        "percent",
        (Level(WARNING, 100, 20),),  # longer than the window: one step, such as a deployment, is no slope
        "at this rate no connection slot is left within the hour",
        only=USED_PERCENT + " > 50",
    ),
    Rule(
        "PostgresqlRoleConnections",
        "Connections of a role, of its limit",
        "pool_exhausted",
        ("role_limit",),
        "100 * pg_oncall_role_connections / pg_oncall_role_connection_limit",
        "percent",
        pair(75, 90),
        "role {{ $labels.rolname }} uses " + PERCENT + " of its CONNECTION LIMIT",
        legend="{{instance}} {{rolname}}",
    ),
    Rule(
        "PostgresqlDatabaseConnections",
        "Connections to a database, of its limit",
        "pool_exhausted",
        ("database_limit",),
        "100 * pg_oncall_database_connections / pg_oncall_database_connection_limit",
        "percent",
        pair(75, 90),
        "database {{ $labels.datname }} uses " + PERCENT + " of its CONNECTION LIMIT",
        legend="{{instance}} {{datname}}",
    ),
    Rule(
        "PostgresqlIdleInTransaction",
        "Age of a transaction that is idle",
        "pool_exhausted",
        ("idle_in_transaction",),
        'max without (%s) (pg_stat_activity_max_tx_duration{state=~"idle in transaction.*"})' % _SESSION,
        "s",
        pair(TRIAGE.idle_in_transaction_seconds, 900),
        "a session is idle in a transaction that began " + LASTS + " ago",
    ),
    Rule(
        "PostgresqlBlockedSessions",
        "Longest wait for a lock",
        "queries_hanging",
        ("blocked_by_lock", "prepared_transaction"),
        "pg_oncall_sessions_blocked_seconds",
        "s",
        pair(TRIAGE.blocked_seconds, 300),
        "a session has been waiting for a lock for " + LASTS,
    ),
    Rule(
        "PostgresqlDeadlocks",
        "Deadlocks in 5 minutes",
        "queries_hanging",
        ("blocked_by_lock",),
        "increase(pg_stat_database_deadlocks[5m])",
        "short",
        tuple(Level(severity, above, 0) for severity, above in ((WARNING, 0), (CRITICAL, 10))),
        "deadlocks in database {{ $labels.datname }} within 5 minutes: " + '{{ $value | printf "%.0f" }}',
        legend="{{instance}} {{datname}}",
    ),
    Rule(
        "PostgresqlSynchronousReplicationWait",
        "Longest wait for a synchronous standby",
        "queries_hanging",
        ("sync_replication_wait",),
        "pg_oncall_sessions_sync_rep_seconds",
        "s",
        pair(TRIAGE.blocked_seconds / 3, TRIAGE.blocked_seconds),
        "a commit has been waiting for a synchronous standby for " + LASTS,
        Values(sessions="Sessions are", standby="(synchronous_standby_names)"),
    ),
    Rule(
        "PostgresqlChecksumFailures",
        "Checksum failures",
        "data_corruption",
        ("checksum_failure",),
        "pg_oncall_checksum_failures",
        "short",
        (Level(EMERGENCY, 0, 0),),
        "data checksum failures in {{ $labels.datname }}: {{ $value }}",
        Values(database="{{ $labels.datname }}"),
        legend="{{instance}} {{datname}}",
    ),
    Rule(
        "PostgresqlTransactionAge",
        "Transaction age, of the way to wraparound",
        "wraparound_risk",
        ("transaction_age",),
        WRAPAROUND % "transactions",
        "percent",
        pair(50, 75),
        "transaction age is " + PERCENT + " of the way to wraparound",
        Values(database="the oldest database", age=PERCENT + " of the way to wraparound"),
    ),
    Rule(
        "PostgresqlMultixactAge",
        "Multixact age, of the way to wraparound",
        "wraparound_risk",
        ("multixact_age",),
        WRAPAROUND % "multixacts",
        "percent",
        pair(50, 75),
        "multixact age is " + PERCENT + " of the way to wraparound",
        Values(database="the oldest database", age=PERCENT + " of the way to wraparound"),
    ),
    Rule(
        "PostgresqlReplicationLag",
        "WAL that a standby has not replayed",
        "replication_lag",
        ("standby_behind",),
        'pg_stat_replication_pg_wal_lsn_diff{state!="backup"}',
        "bytes",
        pair(50 * MIB, 100 * MIB),
        "standby {{ $labels.application_name }} is {{ $value | humanize1024 }}B behind",
        Values(standby="{{ $labels.application_name }} {{ $labels.client_addr }}"),
        legend="{{instance}} {{application_name}} {{client_addr}}",
    ),
    Rule(
        "PostgresqlStandbyBehind",
        "Standby behind its primary",
        "replication_lag",
        ("standby_behind",),
        "pg_oncall_standby_replay_lag_seconds",
        "s",
        pair(TRIAGE.replication_lag_seconds, 900),
        "this standby is " + LASTS + " behind its primary",
        Values(standby="this standby"),
    ),
    Rule(
        "PostgresqlArchiveFailing",
        "Failed attempts to archive WAL in 5 minutes",
        "storage_full",
        ("wal",),
        "increase(pg_stat_archiver_failed_count[5m])",
        "short",
        (Level(WARNING, 0, 1), Level(CRITICAL, 0, 5)),
        "archive_command (or archive_library) fails; WAL piles up until the disk is full",
        only="increase(pg_stat_archiver_archived_count[5m]) == 0",
    ),
)


def _url() -> str:
    return str(yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))["repository"])


def _remedy(rule: Rule) -> str:
    """The playbooks of its rows. Their variables are for triage to say, which has looked."""
    if rule.remedy:
        return rule.remedy
    names = dict.fromkeys(row.remedy.playbook for row in rule.rows if row.remedy)
    if not names:
        return "by hand, as triage says"
    return "%s, as triage says" % " or ".join("oncall.postgresql.%s" % name for name in names)


def alert(rule: Rule, level: Level, hold: str | None, window: str) -> dict[str, Any]:
    condition = "%s > %s" % (
        rule.measure.replace("{window}", window),
        "%g" % level.above if level.above < MIB else int(level.above),
    )
    labels = {"severity": level.severity, "code": rule.code}
    if len(rule.causes) == 1 and rule.causes[0]:
        labels["cause"] = rule.causes[0]
    annotations = {"summary": "%s: %s" % (HOST, rule.says)}
    if rule.values:
        annotations["description"] = filled(rule.rows[0].summary, rule.values)
    annotations.update(
        command="ansible-playbook oncall.postgresql.triage --limit %s" % HOST,
        remedy=_remedy(rule),
        escalate=rule.escalate or escalated(rule.rows[0]),
        runbook_url=RUNBOOK_URL % (_url(), rule.code),
    )
    return {
        "alert": rule.alert,
        "expr": "(%s) and (%s)" % (condition, rule.only) if rule.only else condition,
        "for": hold or "%dm" % level.minutes,
        **({"keep_firing_for": KEPT[rule.unit]} if rule.unit in KEPT else {}),
        "labels": labels,
        "annotations": annotations,
    }


class _Indented(yaml.SafeDumper):
    """Lists below their key are indented, as yamllint asks for."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def rules(hold: str | None = None, window: str = "15m") -> str:
    """The rules file. ``hold`` and ``window``: other durations, for a test that has no hour."""
    alerts = [alert(rule, level, hold, window) for rule in RULES for level in rule.levels]
    groups = {"groups": [{"name": "oncall_postgresql", "rules": alerts}]}
    return "---\n# Written by scripts/rules.py from the verdict table.\n" + yaml.dump(
        groups, Dumper=_Indented, sort_keys=False, width=110
    )


@dataclass(frozen=True)
class Panel:
    title: str
    unit: str
    queries: Mapping[str, str]  # legend -> PromQL
    levels: tuple[Level, ...] = field(default=())


def panels() -> list[Panel]:
    """What each rule measures, with its thresholds, beside a few numbers that no rule needs."""
    by_name = {rule.alert: rule for rule in RULES}

    def of(name: str) -> Panel:
        rule = by_name[name]
        return Panel(rule.title, rule.unit, {rule.legend: rule.measure.replace("{window}", "15m")}, rule.levels)

    states = "sum by (state) (pg_stat_activity_count)"
    return [
        Panel("Servers up", "short", {"{{instance}}": "pg_up"}),
        of("PostgresqlConnections"),
        Panel("Connection slots", "short", {"{{instance}} used": USED, "{{instance}} usable": USABLE}),
        of("PostgresqlConnectionsFilling"),
        Panel(
            "Sessions by state",
            "short",
            {"{{instance}} {{state}}": states.replace("(state)", "(job, instance, state)")},
        ),
        of("PostgresqlRoleConnections"),
        of("PostgresqlDatabaseConnections"),
        of("PostgresqlIdleInTransaction"),
        Panel(
            "Sessions that wait",
            "short",
            {
                "{{instance}} for a lock": "pg_oncall_sessions_blocked",
                "{{instance}} for a standby": "pg_oncall_sessions_sync_rep",
            },
        ),
        of("PostgresqlBlockedSessions"),
        of("PostgresqlSynchronousReplicationWait"),
        of("PostgresqlDeadlocks"),
        of("PostgresqlTransactionAge"),
        of("PostgresqlMultixactAge"),
        of("PostgresqlChecksumFailures"),
        of("PostgresqlReplicationLag"),
        of("PostgresqlStandbyBehind"),
        of("PostgresqlArchiveFailing"),
    ]


COLOURS = {WARNING: "orange", CRITICAL: "red", EMERGENCY: "dark-red"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    # One line a threshold: where both levels have the same, the higher one.
    steps += [
        {"color": color, "value": above}
        for above, color in {each.above: COLOURS[each.severity] for each in panel.levels}.items()
    ]
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": number % 3 * 8, "y": number // 3 * 8, "w": 8, "h": 8},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": {"thresholdsStyle": {"mode": "line" if panel.levels else "off"}},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": '(%s) and on (job, instance) pg_up{instance=~"$instance"}' % query,
                "legendFormat": legend,
            }
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def dashboard() -> str:
    """What Grafana imports or is provisioned with: for the source and the servers chosen in it."""
    variables = [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "refresh": 1,
            "hide": 0,
            "multi": False,
            "includeAll": False,
            "options": [],
        },
        {
            "name": "instance",
            "label": "Server",
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": "label_values(pg_up, instance)", "refId": "instance"},
            "refresh": 2,
            "sort": 1,
            "hide": 0,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
            "options": [],
        },
    ]
    return (
        json.dumps(
            {
                "uid": "oncall-postgresql",
                "title": "PostgreSQL on call",
                "description": "What the alert rules of oncall.postgresql measure, with their thresholds",
                "tags": ["postgresql", "oncall"],
                "schemaVersion": 39,
                "version": 1,
                "editable": True,
                "timezone": "browser",
                "refresh": "30s",
                "time": {"from": "now-3h", "to": "now"},
                "templating": {"list": variables},
                "annotations": {"list": []},
                "links": [
                    {
                        "title": "What each verdict means",
                        "type": "link",
                        "url": (RUNBOOK_URL % (_url(), "")).rstrip("#"),
                    }
                ],
                "panels": [_panel(number, panel) for number, panel in enumerate(panels())],
            },
            indent=2,
        )
        + "\n"
    )


def _threshold(rule: Rule, level: Level) -> str:
    amounts = {
        "percent": "%g %%" % level.above,
        "s": duration(level.above),
        "bytes": size(level.above),
        "bool": "",
        "short": "%g" % level.above,
    }
    words = [amounts[rule.unit] and "above %s" % amounts[rule.unit], level.minutes and "for %d min" % level.minutes]
    return " ".join(str(word) for word in words if word) or "at once"


def documented() -> str:
    """The guide, with the table of the rules."""
    lines = ["", "| alert | what it measures | warning | critical | verdict |", "|---|---|---|---|---|"]
    for rule in RULES:
        by_severity = {level.severity: _threshold(rule, level) for level in rule.levels}
        emergency = "%s (emergency)" % by_severity[EMERGENCY] if EMERGENCY in by_severity else ""
        causes = " / ".join("`%s`" % cause for cause in rule.causes if cause) if len(rule.causes) < 5 else "any cause"
        verdict = ": ".join(filter(None, ("`%s`" % rule.code, causes)))
        lines.append(
            "| `%s` | %s | %s | %s | %s |"
            % (rule.alert, rule.title, by_severity.get(WARNING, ""), by_severity.get(CRITICAL, emergency), verdict)
        )
    marked = re.compile(r"(?<=<!-- scripts/rules\.py: rules -->\n).*?(?=<!-- end -->)", re.DOTALL)
    return marked.sub(lambda _found: "\n".join([*lines, "", ""]), GUIDE.read_text(encoding="utf-8"))


WRITTEN = {
    FILES / "oncall_postgresql.rules.yml": rules,
    FILES / "oncall_postgresql.dashboard.json": dashboard,
    GUIDE: documented,
}

if __name__ == "__main__":
    for path, made in WRITTEN.items():
        path.write_text(made(), encoding="utf-8")
