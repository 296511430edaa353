# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table: code, cause -> severity, summary, remedy, escalation.

Codes and causes are API: none is renamed without a changelog entry. Summaries are one line that a tired person can
read; where no remedy is safe, they say what to do by hand. ``{names}`` come from the answer's values.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, TypedDict

from .._model.answers import CRITICAL, EMERGENCY, OK, WARNING, Answer, Values

NONE, DBA, EMERGENCY_CALL = "none", "dba", "emergency"
UNRESOLVED_MINUTES = 20


class Verdict(TypedDict):
    """``verdict`` in triage's result."""

    code: str
    cause: Optional[str]
    question: Optional[str]
    severity: str
    summary: str
    evidence: List[str]
    remedy: Optional[Dict[str, Any]]
    escalation: Dict[str, Any]


@dataclass(frozen=True)
class Remedy:
    """A playbook and its variables, taken from the answer's values: only if these, and ``when``, are set.

    ``optional``: variables that it carries where their value is set. What a person permits by pasting the command is
    among them (``Variable.permission``), and the summary says so.
    """

    playbook: str
    variables: Tuple[Tuple[str, str], ...] = ()  # (variable, the value's name)
    constants: Tuple[Tuple[str, str], ...] = ()  # (variable, what it is)
    when: Optional[str] = None
    optional: Tuple[Tuple[str, str], ...] = ()  # (variable, the value's name)

    def helps(self, values: Values) -> bool:
        """A variable left empty could mean everything, so none is."""
        needed = [key for _variable, key in self.variables] + ([self.when] if self.when else [])
        return all(getattr(values, key) for key in needed)


@dataclass(frozen=True)
class Escalation:
    to: str
    after_minutes: Optional[int]
    reason: str
    or_if: Optional[str] = None  # sooner, if this happens


@dataclass(frozen=True)
class Row:
    severity: str
    summary: str
    remedy: Optional[Remedy]
    escalation: Escalation
    otherwise: Optional[str] = None  # the summary where the remedy does not help


UNRESOLVED = Escalation(DBA, UNRESOLVED_MINUTES, "not resolved within %d minutes" % UNRESOLVED_MINUTES)
AFTER_RESET = replace(UNRESOLVED, or_if="it comes back after a pool reset")
NO_CAUSE = Escalation(DBA, 0, "no cause found")
SUSPECTED = Escalation(DBA, 0, "data corruption suspected")
CONFIRMED = Escalation(EMERGENCY_CALL, 0, "data corruption confirmed: data loss possible, a restore may be needed")
SHARED = Escalation(EMERGENCY_CALL, 0, "two servers on one data directory: data loss possible")
COMPLETE_FAILURE = Escalation(
    EMERGENCY_CALL, UNRESOLVED_MINUTES, "complete outage, not resolved within %d minutes" % UNRESOLVED_MINUTES
)
WRAPAROUND = Escalation(DBA, 0, "transaction ID wraparound risk")
LAG = Escalation(DBA, 0, "replication is lagging")
NOBODY = Escalation(NONE, None, "")

_PREFIX = "oncall.postgresql."
START = Remedy("start")
RESET_AND_START = Remedy("start", (("oncall_reset_settings", "reset_settings"),))
_MORE = (("oncall_max_sessions", "max_sessions"),)
POOL_RESET = Remedy("pool_reset", when="pool_helps", optional=_MORE)
_ASK_WHO = "; pool_reset may end none of these sessions: ask who holds them"
NETWORK_REPAIR = Remedy("network_repair", when="repair_helps")
MOVES_SERVER = ("start", "graceful_restart")

VERDICTS: Dict[Tuple[str, Optional[str]], Row] = {
    # 1. Is PostgreSQL running?
    ("server_down", "stopped"): Row(CRITICAL, "{server} was shut down cleanly: start it", START, UNRESOLVED),
    ("server_down", "killed"): Row(
        CRITICAL, "{server} was killed (SIGKILL){loop}: start it; it recovers from its WAL by itself", START, UNRESOLVED
    ),
    ("server_down", "out_of_memory"): Row(
        CRITICAL,
        "{server} ran out of memory{loop}: raise its memory limit (or lower shared_buffers or work_mem), then start it",
        None,
        COMPLETE_FAILURE,
    ),
    ("server_down", "disk_full"): Row(
        CRITICAL,
        "{server} is down because its disk is full{loop}: enlarge the volume or move other files away (never anything "
        "in {directory}), then start it",
        None,
        COMPLETE_FAILURE,
    ),
    ("server_down", "permission_denied"): Row(
        CRITICAL,
        "{server} cannot access its data directory{loop}: correct owner and mode (chmod 0700) of {directory}, "
        "then start it",
        None,
        COMPLETE_FAILURE,
    ),
    ("server_down", "data_corruption"): Row(
        EMERGENCY,
        "{server} cannot start because its data is damaged{loop}: touch nothing, copy {directory}, restore from backup",
        None,
        CONFIRMED,
    ),
    ("server_down", "too_many_open_files"): Row(
        CRITICAL,
        "{server} cannot start because its open-file limit is too low{loop}: raise it (ulimit nofile, at least 1024), "
        "then start it",
        None,
        COMPLETE_FAILURE,
    ),
    ("server_down", "invalid_configuration"): Row(
        CRITICAL,
        "{server} rejects {name}{loop}, which ALTER SYSTEM has set: reset it and start the server",
        RESET_AND_START,
        COMPLETE_FAILURE,
        "{server} rejects its configuration{loop}: correct the setting named in the evidence, then start it",
    ),
    ("server_down", "stale_lock_file"): Row(
        CRITICAL,
        "{server} is blocked by a stale postmaster.pid{loop}: make sure that no postmaster uses {directory}, then move "
        "that file away and start the server",
        None,
        COMPLETE_FAILURE,
    ),
    ("server_down", "port_conflict"): Row(
        CRITICAL,
        "{server} cannot bind its port{loop}: stop the process that holds it (ss -ltnp), then start the server",
        None,
        COMPLETE_FAILURE,
    ),
    ("server_down", "missing_container"): Row(
        CRITICAL,
        "{service} has no container: create it from its Compose file ({engine} compose up -d {service}); its data is "
        "in the volume",
        None,
        COMPLETE_FAILURE,
    ),
    ("server_down", "incompatible_version"): Row(
        CRITICAL,
        "{server} cannot start{loop}: its data is PostgreSQL {data_version}, the program {program_version}. Go back to "
        "{data_version}, or dump and restore, or pg_upgrade; the data is not damaged",
        None,
        UNRESOLVED,
    ),
    ("server_down", "not_initialised"): Row(
        CRITICAL,
        "{server} has no database cluster in {directory}{loop}: check which volume is mounted there; initialise it "
        "only if it is new",
        None,
        UNRESOLVED,
    ),
    ("server_down", "directory_in_use"): Row(EMERGENCY, "{what}: {advice}", None, SHARED),
    ("server_down", "unknown"): Row(CRITICAL, "{server} is down for {why}", None, NO_CAUSE),
    # 2. Is it accepting connections?
    ("not_accepting", "starting_up"): Row(
        CRITICAL,
        "{server} is starting up: wait and check again in a minute; a restart would start over",
        None,
        UNRESOLVED,
    ),
    ("not_accepting", "recovering"): Row(
        CRITICAL,
        "{server} is replaying WAL and not accepting connections yet: wait, do not restart it (it would start over)",
        None,
        UNRESOLVED,
    ),
    ("not_accepting", "shutting_down"): Row(
        CRITICAL,
        "{server} is shutting down: wait until it is down, find out who stopped it, then start it",
        None,
        UNRESOLVED,
    ),
    ("not_accepting", "unresponsive"): Row(
        CRITICAL, "{server} is running but not responding: {advice}", None, COMPLETE_FAILURE
    ),
    ("not_accepting", "not_listening"): Row(
        CRITICAL,
        "{server} listens on {where}, not where its clients connect; the corrected setting takes effect after a "
        "restart",
        Remedy("graceful_restart", when="restart_helps"),
        UNRESOLVED,
        "{server} listens on {where}, not where its clients connect: {advice}",
    ),
    ("not_accepting", "unknown"): Row(
        CRITICAL, "{server} is running, but no PostgreSQL answers at its addresses: read its log", None, NO_CAUSE
    ),
    # 3. Can clients reach it?
    ("network_unreachable", "dns_failure"): Row(
        CRITICAL,
        "{client} cannot resolve {host}: the server has lost that name on the network",
        NETWORK_REPAIR,
        UNRESOLVED,
        "{client} cannot resolve {host}, {advice}",
    ),
    ("network_unreachable", "no_shared_network"): Row(
        CRITICAL,
        "{client} and {server} share no network: reattach them",
        NETWORK_REPAIR,
        UNRESOLVED,
        "{client} and {server} share no network, and one of them belongs to none of the project's (network_mode): give "
        "both a common network in the Compose file",
    ),
    ("network_unreachable", "refused"): Row(
        CRITICAL,
        "{client} is refused at {address} although the server is listening: look for a firewall that rejects, or a "
        "wrong port in the client's settings",
        None,
        UNRESOLVED,
    ),
    ("network_unreachable", "timeout"): Row(
        CRITICAL,
        "{client} gets no answer from {address}: look for a firewall that drops packets, a missing route or a host "
        "that is down",
        None,
        UNRESOLVED,
    ),
    ("network_unreachable", "packet_loss"): Row(
        CRITICAL,
        "{client} loses {loss} % of its connection attempts to {address}: check the network between them",
        None,
        UNRESOLVED,
    ),
    ("client_down", "stopped"): Row(
        CRITICAL,
        "{client} is stopped: unless somebody stopped it on purpose, {engine} start {client}",
        None,
        UNRESOLVED,
    ),
    ("client_down", "crashed"): Row(
        CRITICAL,
        "{client} has crashed: read its log ({engine} logs --tail 50 {client}), then {engine} start {client}",
        None,
        UNRESOLVED,
    ),
    ("client_down", "restarting"): Row(
        CRITICAL, "{client} is in a restart loop: read its log ({engine} logs --tail 50 {client})", None, UNRESOLVED
    ),
    ("client_down", "paused"): Row(
        CRITICAL, "{client} is paused: find out who paused it, then {engine} unpause {client}", None, UNRESOLVED
    ),
    # 4. Are connection slots available?
    ("pool_exhausted", "idle_connections"): Row(
        CRITICAL,
        "No connection slots left ({counts} in use): most are idle (connection leak){allowed}",
        POOL_RESET,
        AFTER_RESET,
        "No connection slots left ({counts} in use): most are idle" + _ASK_WHO,
    ),
    ("pool_exhausted", "idle_in_transaction"): Row(
        CRITICAL,
        "No connection slots left ({counts} in use): most are idle in transaction{allowed}",
        Remedy("pool_reset", constants=(("oncall_state", "idle_in_transaction"),), when="pool_helps", optional=_MORE),
        AFTER_RESET,
        "No connection slots left ({counts} in use): most are idle in transaction" + _ASK_WHO,
    ),
    ("pool_exhausted", "active_overload"): Row(
        CRITICAL,
        "No connection slots left ({counts} in use): most are busy; cancel the longest queries, blockers first"
        "{allowed}",
        Remedy("cancel_queries", variables=(("oncall_query_seconds", "query_seconds"),), optional=_MORE),
        UNRESOLVED,
        "No connection slots left ({counts} in use): most are busy; {advice}",
    ),
    ("pool_exhausted", "role_limit"): Row(
        CRITICAL,
        "Role {name} has reached its connection limit ({counts}){allowed}",
        Remedy("pool_reset", variables=(("oncall_user", "name"),), when="pool_helps", optional=_MORE),
        AFTER_RESET,
        "Role {name} has reached its connection limit ({counts})" + _ASK_WHO,
    ),
    ("pool_exhausted", "database_limit"): Row(
        CRITICAL,
        "Database {name} has reached its connection limit ({counts}){allowed}",
        Remedy("pool_reset", variables=(("oncall_database", "name"),), when="pool_helps", optional=_MORE),
        AFTER_RESET,
        "Database {name} has reached its connection limit ({counts})" + _ASK_WHO,
    ),
    # 5. Can clients log in?
    ("authentication_failed", "wrong_password"): Row(
        CRITICAL,
        "{client} uses a wrong password for role {role}{allowed}",
        Remedy(
            "credentials_reset",
            variables=(("oncall_role", "role"), ("oncall_client", "service")),
            when="reset_helps",
            optional=(("oncall_allow_superuser", "allow_superuser"),),
        ),
        UNRESOLVED,
        "{client} uses a wrong password for role {role}: {advice}",
    ),
    ("authentication_failed", "role_missing"): Row(
        CRITICAL,
        "{client} logs in as role {role}, which does not exist: create it or correct the client's setting",
        None,
        UNRESOLVED,
    ),
    ("authentication_failed", "login_not_permitted"): Row(
        CRITICAL,
        "Role {role} ({client}) is not allowed to log in: find out who locked it, then ALTER ROLE ... LOGIN",
        None,
        UNRESOLVED,
    ),
    ("authentication_failed", "password_expired"): Row(
        CRITICAL,
        "The password of role {role} ({client}) has expired: ALTER ROLE ... VALID UNTIL a new date",
        None,
        UNRESOLVED,
    ),
    ("authentication_failed", "no_hba_entry"): Row(
        CRITICAL,
        "pg_hba.conf allows {client}, but the file was not loaded after the change: reload",
        Remedy("reload", when="reload_helps", optional=(("oncall_force", "force"),)),
        UNRESOLVED,
        "No pg_hba.conf line allows {client} ({role} on {database} from {address}): {advice}",
    ),
    ("authentication_failed", "ssl_required"): Row(
        CRITICAL,
        "{client} and the server disagree about TLS for role {role}: adjust the client's sslmode (require) or the "
        "server's ssl setting",
        None,
        UNRESOLVED,
    ),
    ("authentication_failed", "database_missing"): Row(
        CRITICAL,
        "{client} connects to database {database}, which does not exist: find out whether it was dropped (restore it) "
        "or misspelled",
        None,
        UNRESOLVED,
    ),
    ("authentication_failed", "connect_privilege"): Row(
        CRITICAL,
        "Role {role} ({client}) may not connect to database {database}: GRANT CONNECT ON DATABASE ... TO the role",
        None,
        UNRESOLVED,
    ),
    ("authentication_failed", "unknown"): Row(
        CRITICAL,
        "{client} cannot log in as {role} and the catalog does not show why: read the server's log",
        None,
        NO_CAUSE,
    ),
    # 6. Are queries getting through?
    ("queries_hanging", "blocked_by_lock"): Row(
        CRITICAL,
        "{sessions} blocked; root blocker: {root}{allowed}",
        Remedy("cancel_queries", variables=(("oncall_pids", "pids"),), optional=_MORE),
        UNRESOLVED,
        "{sessions} blocked; root blocker: {root}",
    ),
    ("queries_hanging", "sync_replication_wait"): Row(
        CRITICAL,
        "{sessions} waiting for synchronous standby {standby}: bring it back. Cancel none of them; whether to go on "
        "without it is the DBA's decision",
        None,
        Escalation(DBA, 0, "commits are waiting for a synchronous standby"),
    ),
    ("queries_hanging", "prepared_transaction"): Row(
        CRITICAL,
        "{sessions} blocked; root blocker: {root}, never finished; ask its owner, then roll it back",
        Remedy("rollback_prepared", variables=(("oncall_gid", "gid"),), when="rollback_helps"),
        UNRESOLVED,
        "{sessions} blocked; root blocker: {root}, not finished: {advice}",
    ),
    ("queries_hanging", "long_running"): Row(
        WARNING,
        "{sessions} running for a long time, up to {longest}",
        Remedy("cancel_queries", variables=(("oncall_pids", "pids"),)),
        UNRESOLVED,
        "{sessions} running for a long time, up to {longest}: {root}",
    ),
    # 7. Are data, disk and replication healthy?
    ("data_corruption", "checksum_failure"): Row(
        EMERGENCY,
        "Data checksum failures ({database}): stop writing, keep the files, prepare a restore",
        None,
        CONFIRMED,
    ),
    ("data_corruption", "damaged_page"): Row(
        CRITICAL,
        "The server read damaged data: no VACUUM FULL, no restart; take a backup now and ask a DBA to investigate",
        None,
        SUSPECTED,
    ),
    ("data_corruption", "damaged_index"): Row(
        CRITICAL,
        "The server hit a damaged index: ask a DBA to check its table (amcheck) before REINDEX",
        None,
        SUSPECTED,
    ),
    ("storage_full", "data_directory"): Row(
        CRITICAL,
        "{path} is full ({free} left): enlarge the volume; never delete anything in it",
        None,
        COMPLETE_FAILURE,
    ),
    ("storage_full", "wal"): Row(
        CRITICAL,
        "The WAL disk {path} is full ({free} left): look for a failing archiver or an inactive replication slot; "
        "never delete anything in it",
        None,
        COMPLETE_FAILURE,
    ),
    ("storage_full", "inodes"): Row(
        CRITICAL, "{path} has no inodes left: move other files away, never the server's own", None, COMPLETE_FAILURE
    ),
    ("wraparound_risk", "transaction_age"): Row(
        CRITICAL,
        "Transaction age of {database} is {age}: find what holds it back (old or prepared transactions, replication "
        "slots), then VACUUM (FREEZE)",
        None,
        WRAPAROUND,
    ),
    ("wraparound_risk", "multixact_age"): Row(
        CRITICAL,
        "Multixact age of {database} is {age}: find what holds it back, then VACUUM (FREEZE)",
        None,
        WRAPAROUND,
    ),
    ("replication_lag", "standby_behind"): Row(
        WARNING, "Replication to {standby} is lagging: check its load, its disk and the network", None, LAG
    ),
    ("replication_lag", "receiver_down"): Row(
        WARNING, "This standby receives no WAL: check the primary, the network and the replication role", None, LAG
    ),
    # All yes, or nothing shows why
    ("healthy", None): Row(OK, "Healthy: {detail}", None, NOBODY),
    ("unknown", None): Row(CRITICAL, "{what}", None, NO_CAUSE),
}


def render(answer: Answer, host: str, playbook_options: Sequence[str] = ()) -> Verdict:
    """The verdict that ``answer`` (with its code) stands for, ready for the result."""
    code, cause = answer.code or "unknown", answer.cause
    row = VERDICTS[(code, cause)]
    helps = row.remedy is not None and row.remedy.helps(answer.values)
    template = row.summary if helps or row.otherwise is None else row.otherwise
    return {
        "code": code,
        "cause": cause,
        "question": answer.question if code not in ("healthy", "unknown") else None,
        "severity": answer.severity or row.severity,
        "summary": filled(template, answer.values),
        "evidence": list(answer.evidence),
        "remedy": _remedy(row.remedy, answer.values, host, playbook_options) if row.remedy and helps else None,
        "escalation": {
            "to": row.escalation.to,
            "after_minutes": row.escalation.after_minutes,
            "reason": row.escalation.reason,
            "or_if": row.escalation.or_if,
        },
    }


def start_command(host: str, playbook_options: Sequence[str] = (), reset_settings: Sequence[str] = ()) -> str:
    """What starts a server, without these settings of ALTER SYSTEM."""
    remedy = RESET_AND_START if reset_settings else START
    return str(_remedy(remedy, Values(reset_settings=tuple(reset_settings)), host, playbook_options)["command"])


def command(playbook: str, host: str, playbook_options: Sequence[str] = (), **variables: Any) -> Dict[str, Any]:
    """A remedy of its own: one of our playbooks, with those of the variables that say something."""
    extra = {"oncall_%s" % name: value for name, value in variables.items() if value}
    return _remedy(Remedy(playbook, constants=tuple(extra.items())), Values(), host, playbook_options)


def _remedy(remedy: Remedy, values: Values, host: str, playbook_options: Sequence[str]) -> Dict[str, Any]:
    extra: Dict[str, Any] = dict(remedy.constants)
    extra.update((name, _plain(getattr(values, key))) for name, key in remedy.variables)
    extra.update((name, _plain(getattr(values, key))) for name, key in remedy.optional if getattr(values, key))
    words = ["ansible-playbook", _PREFIX + remedy.playbook, *playbook_options, "--limit", host]
    if extra:
        words += ["-e", _extra_vars(extra)]
    return {
        "playbook": _PREFIX + remedy.playbook,
        "extra_vars": extra,
        "command": " ".join(shlex.quote(word) for word in words),
    }


def _extra_vars(extra: Mapping[str, Any]) -> str:
    """JSON keeps lists lists, and blanks and quotes whole. Names chosen by somebody else must not become templates."""
    pairs = []
    for name, value in extra.items():
        text = "[%s]" % ", ".join(map(_text, value)) if isinstance(value, list) else _text(value)
        pairs.append("%s: %s" % (json.dumps(name), text))
    return "{%s}" % ", ".join(pairs)


def _text(value: Any) -> str:
    unsafe = isinstance(value, str) and any(mark in value for mark in _TEMPLATE_MARKS)
    return "%s%s" % ("!unsafe " if unsafe else "", json.dumps(value))


_TEMPLATE_MARKS = ("{{", "{%", "{#")


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, tuple):
        return list(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def filled(template: str, values: Values) -> str:
    """On one line. Raises KeyError for a placeholder whose value was not set."""
    given = {name: value for name, value in vars(values).items() if value is not None}
    return " ".join(template.format_map(given).split())
