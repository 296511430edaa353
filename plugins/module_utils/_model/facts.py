# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of the facts: what the runtimes, sessions and probes fill in, and the checks read.

Plain JSON values only. A key is always there; null means "could not be known" and a step that failed says so
in ``Facts["errors"]``. Times are UTC, ISO 8601; durations and sizes carry their unit in the name.
No fact holds a secret: passwords and verifiers are compared where they are read, and only the answer is kept.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, TypedDict


class Process(TypedDict):
    """One process of the server as the operating system shows it; a backend's title says who it serves."""

    pid: int  # as seen from where the runtime looks (the host's number for a container)
    state: str  # first letter of ps's STAT: R S D T Z
    title: str  # e.g. "postgres: app shop 10.0.0.7(51234) idle in transaction"


class DataDirectory(TypedDict):
    path: str
    exists: bool
    mode: Optional[str]  # octal, "0700"
    owner_uid: Optional[int]
    expected_uid: Optional[int]  # the user that the server runs as (or would)
    version: Optional[str]  # text of PG_VERSION, "17"
    entries: Optional[int]  # names in it; 0 is an empty directory
    standby_signal: bool
    recovery_signal: bool


class Disk(TypedDict):
    """A file system that the server writes to. ``role`` is ``data`` or ``wal`` (its own row only if elsewhere)."""

    role: str
    path: str
    total_bytes: int
    free_bytes: int  # what the server's (unprivileged) user can still use
    total_inodes: Optional[int]  # null where the file system has no fixed number
    free_inodes: Optional[int]


class Mount(TypedDict):
    type: str  # bind | volume | tmpfs
    source: str
    destination: str
    read_only: bool


class LockFile(TypedDict):
    """postmaster.pid. Lines: PostgreSQL, src/include/utils/pidfile.h."""

    pid: Optional[int]  # null: empty or unreadable number
    pid_alive: Optional[bool]  # the process it names exists (in the server's own pid namespace)
    port: Optional[int]
    socket_directory: Optional[str]
    listen_address: Optional[str]
    status: Optional[str]  # starting | stopping | ready | standby


class ControlData(TypedDict):
    """What ``pg_controldata`` says (run with LC_ALL=C, so the texts are fixed)."""

    readable: bool
    crc_ok: Optional[bool]
    state: Optional[str]  # "in production", "shut down", "in crash recovery", "in archive recovery", "starting up" ...
    checkpoint_lsn: Optional[str]
    checkpoint_wal_file: Optional[str]
    checkpoint_readable: Optional[bool]  # of a stopped server: pg_waldump can read the checkpoint's record
    message: Optional[str]  # what the tool said when it failed


class Configuration(TypedDict):
    """Whether ``postgres -C`` accepts the configuration of a server that is down (its own arguments included)."""

    valid: Optional[bool]
    message: Optional[str]


class Listening(TypedDict):
    """A TCP socket in state LISTEN in the server's network namespace."""

    address: str  # "0.0.0.0", "127.0.0.1", "::"
    port: int
    ours: Optional[bool]  # held by the server's own processes; null when that cannot be told


class LogEntry(TypedDict):
    """A FATAL, PANIC or ERROR line of the server's log (or one that names a known cause), newest last."""

    at: Optional[str]
    severity: str  # FATAL PANIC ERROR or OTHER (another language, or a cause named by an ordinary line)
    sqlstate: Optional[str]  # only where log_line_prefix has %e
    cause: Optional[str]  # a cause of question 1, where the text names one beyond doubt
    text: str  # secrets masked, at most 300 characters


class Published(TypedDict):
    port: int  # inside
    host_address: str
    host_port: int


class Network(TypedDict):
    name: str
    address: Optional[str]
    aliases: List[str]
    attached: bool  # false: the service should be on it (the Compose file's configuration, or its replicas) and is not


class ServerFacts(TypedDict):
    """Question 1: the server process and what it stands on."""

    name: str  # the container's name, or the data directory
    service: Optional[str]
    image: Optional[str]
    state: str  # running | paused | restarting | exited | created | dead | missing | unknown (remote)
    exit_code: Optional[int]
    signal: Optional[int]  # the signal that ended it, from the exit code (137 -> 9)
    out_of_memory: Optional[bool]  # the engine's OOM flag
    engine_error: Optional[str]
    started_at: Optional[str]
    finished_at: Optional[str]
    uptime_seconds: Optional[float]
    restart_count: Optional[int]
    restart_policy: Optional[str]
    restart_loop: bool  # restarting, or restarted at least twice and up for less than 10 s
    health: Optional[str]  # the container's own health check: starting | healthy | unhealthy
    postmaster_pid: Optional[int]
    postmaster_state: Optional[str]  # Process.state of the postmaster
    processes: List[Process]
    data_directory: Optional[DataDirectory]
    disks: List[Disk]
    mounts: List[Mount]
    nofile_soft: Optional[int]
    nofile_hard: Optional[int]
    memory_limit_bytes: Optional[int]
    lock_file: Optional[LockFile]
    control: Optional[ControlData]
    configuration: Optional[Configuration]  # only of a server that is down
    listening: Optional[List[Listening]]
    published: List[Published]
    networks: List[Network]
    log: List[LogEntry]
    log_lines_read: int
    log_source: Optional[str]  # "container log", a path, or null


class WireAnswer(TypedDict):
    """What one address answered to a start-up packet (``_wire.probe``)."""

    kind: str  # socket | network (the server's own address) | loopback | published | login_host
    address: str  # "/var/run/postgresql/.s.PGSQL.5432" or "172.18.0.2:5432"
    # accepting: asked for a password or let us in; rejecting: an ErrorResponse; silent: connected, nothing came;
    # refused, unreachable, timeout: no connection; missing: no such socket; not_postgresql: something else answered
    outcome: str
    severity: Optional[str]  # never localised (field V): FATAL ...
    sqlstate: Optional[str]
    message: Optional[str]  # localised text, for the eye only
    elapsed_ms: float


class Resolution(TypedDict):
    name: str
    addresses: List[str]
    nameserver: Optional[str]  # null: a literal address or /etc/hosts
    error: Optional[str]  # null | not_found | timeout | no_nameserver
    elapsed_ms: float


class Reach(TypedDict):
    """TCP connections opened and closed without a word: no slot is taken. Ten probes, twenty when one was lost."""

    address: Optional[str]  # host:port that was tried
    probes: int
    answered: int
    loss_percent: float
    latency_ms: Optional[float]  # median of those answered
    outcome: str  # open | refused | timeout | unreachable


class LoginAttempt(TypedDict):
    """A real login with the client's own settings from the client's own place."""

    succeeded: bool
    # ok | rejected | timeout | no_tls (demanded, and not offered) | bad_certificate | closed | failed
    outcome: str
    severity: Optional[str]
    sqlstate: Optional[str]
    message: Optional[str]
    method: Optional[str]  # trust | password | md5 | scram-sha-256 | ... as the server asked
    tls: bool
    source_address: Optional[str]  # the client's address as pg_hba.conf sees it (null on a Unix socket)
    elapsed_ms: float


class ClientLogin(TypedDict):
    """The settings the client uses; the password itself stays behind."""

    host: str
    port: int
    user: str
    database: str
    ssl_mode: str
    password_given: bool
    source: str  # where they came from: "options", "DATABASE_URL", "POSTGRES_*", "PG*", "DB_*", "target"


class Health(TypedDict):
    url: str
    status: Optional[int]
    ok: bool
    body: Optional[str]  # at most 300 characters
    error: Optional[str]


class ClientFacts(TypedDict):
    """Questions 3 and 5, one per container of a declared client (replicas apart), or one for "here"."""

    service: str
    name: str  # the container's name, or "here"
    state: str  # running | exited | missing | ... as ServerFacts.state
    place: str  # namespace | toolbox | here | none
    application_name: Optional[str]
    networks: List[Network]
    shared_networks: List[str]  # networks that both this client and the server are attached to
    login: Optional[ClientLogin]
    resolution: Optional[Resolution]
    reach: Optional[Reach]
    startup: Optional[WireAnswer]
    attempt: Optional[LoginAttempt]
    password_matches: Optional[bool]  # against the stored verifier; null when either is not to be had
    health: Optional[Health]
    error: Optional[str]  # why this client could not be examined


class Facts(TypedDict):
    target: Dict[str, Any]  # {host, runtime, version: "17.5" or null, in_recovery: bool or null}
    server: Optional[ServerFacts]
    wire: List[WireAnswer]
    clients: List[ClientFacts]
    snapshot: Optional["Snapshot"]
    snapshot_error: Optional[Dict[str, Any]]  # {sqlstate, message, kind: connection|statement|deadline|unavailable}
    errors: Dict[str, str]  # step -> why it brought nothing


# --- the snapshot: one statement, one JSON document ------------------------------------------------------------------


class SessionRow(TypedDict):
    """A client backend. Ages are seconds at the snapshot's time; the query is masked and cut to 200 characters."""

    pid: int
    backend_start: str
    user: Optional[str]
    database: Optional[str]
    application: str
    client_address: Optional[str]  # null: Unix socket
    state: Optional[str]  # active | idle | idle in transaction | idle in transaction (aborted) | ...
    state_seconds: Optional[float]
    transaction_seconds: Optional[float]
    query_seconds: Optional[float]
    wait_event_type: Optional[str]
    wait_event: Optional[str]
    superuser: bool
    query: Optional[str]


class SessionGroup(TypedDict):
    """Client backends counted by all of these together."""

    state: Optional[str]
    database: Optional[str]
    user: Optional[str]
    application: str
    client_address: Optional[str]
    sessions: int
    longest_state_seconds: Optional[float]


class Connections(TypedDict):
    max_connections: int
    superuser_reserved: int
    reserved: int  # reserved_connections, 0 before PostgreSQL 16
    used: int  # client backends, our own session not counted
    groups: List[SessionGroup]
    idle: List[SessionRow]  # idle the longest, at most 50
    idle_in_transaction: List[SessionRow]  # longest first, at most 50
    long_idle: int  # idle for at least idle_minutes
    long_idle_in_transaction: int  # in an open transaction and idle for at least idle_in_transaction_seconds


class RoleLimit(TypedDict):
    name: str
    limit: int  # never -1: only roles and databases with a limit are listed
    used: int


class Blocker(TypedDict):
    """One edge of the blocking tree. A prepared transaction has ``pid`` 0 and its ``gid``."""

    blocked_pid: int
    blocking_pid: int
    blocking_gid: Optional[str]
    blocked_seconds: float
    relation: Optional[str]
    lock_mode: Optional[str]


class PreparedTransaction(TypedDict):
    gid: str
    owner: str
    database: str
    age_seconds: float


class Activity(TypedDict):
    long_queries: List[SessionRow]  # active for at least long_query_seconds, longest first, at most 50
    blocking: List[Blocker]
    involved: List[SessionRow]  # every session that an edge of ``blocking`` names
    prepared: List[PreparedTransaction]  # oldest first, at most 50
    wait_events: List[Dict[str, Any]]  # {type, event, sessions}, active client backends
    deadlocks: List[Dict[str, Any]]  # {database, count} since stats_reset
    conflicts: List[Dict[str, Any]]  # {database, kind, count}, standby only


class HbaRule(TypedDict):
    """A row of pg_hba_file_rules."""

    rule_number: Optional[int]  # PostgreSQL 16
    file_name: Optional[str]
    line_number: int
    type: Optional[str]  # local host hostssl hostnossl hostgssenc hostnogssenc
    database: Optional[List[str]]
    user_name: Optional[List[str]]
    address: Optional[str]
    netmask: Optional[str]
    auth_method: Optional[str]
    options: Optional[List[str]]
    error: Optional[str]


class Role(TypedDict):
    """A role that a client logs in as; ``verifier`` is scram-sha-256 | md5 | none | null (may not be read)."""

    name: str
    exists: bool
    can_login: Optional[bool]
    superuser: Optional[bool]
    valid_until: Optional[str]
    expired: Optional[bool]
    connection_limit: Optional[int]
    verifier: Optional[str]
    member_of: List[str]  # directly or not; pg_hba.conf's "+group"


class Database(TypedDict):
    name: str
    exists: bool
    allows_connections: Optional[bool]
    connection_limit: Optional[int]
    connect_privilege: Dict[str, Optional[bool]]  # role asked about -> has CONNECT


class Configured(TypedDict):
    listen_addresses: str
    port: int
    socket_directories: Optional[str]
    ssl: bool
    password_encryption: Optional[str]
    log_destination: Optional[str]
    load_time: Optional[str]  # pg_conf_load_time()
    file_errors: List[Dict[str, Any]]  # pg_file_settings with an error: {file, line, name, error}
    pending_restart: List[Dict[str, Any]]  # {name, setting}
    hba_rules: Optional[List[HbaRule]]  # null: may not be read
    hba_file: Optional[str]


class Standby(TypedDict):
    """pg_stat_replication row on a primary."""

    application: str
    client_address: Optional[str]
    state: str
    sync_state: str
    replay_lag_seconds: Optional[float]
    replay_lag_bytes: Optional[int]


class Slot(TypedDict):
    name: str
    type: str
    active: bool
    retained_bytes: Optional[int]
    wal_status: Optional[str]


class Soundness(TypedDict):
    checksum_failures: List[Dict[str, Any]]  # {database: null for shared objects, count, last_failure}
    transaction_age: List[Dict[str, Any]]  # {database, xid_age, multixact_age}, oldest first
    autovacuum_freeze_max_age: int
    standbys: List[Standby]
    slots: List[Slot]
    # of a standby: {status, sender_host, replay_lag_seconds (null when caught up or unknown)}
    receiver: Optional[Dict[str, Any]]


class Snapshot(TypedDict):
    """What the one statement returns, whatever the server's version."""

    at: str
    version: str  # "17.5"
    version_num: int
    started_at: str
    in_recovery: bool
    limited: bool  # true: the login role may not see everything (no superuser, no pg_monitor)
    connections: Connections
    limits: Dict[str, List[RoleLimit]]  # {roles, databases}
    activity: Activity
    configured: Configured
    roles: List[Role]  # one for each role a client logs in as
    databases: List[Database]  # one for each database a client asks for
    soundness: Soundness
