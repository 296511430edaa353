# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of the facts: what the runtimes, sessions and probes fill in, and the checks read.

Plain JSON values only. A key is always there; null means "could not be known" and a step that failed says so
in ``Facts["errors"]``. Times are UTC, ISO 8601; durations and sizes carry their unit in the name.
No fact holds a secret: passwords and verifiers are compared where they are read, and only the answer is kept.

The documentation is made from this file (``scripts/returns.py``): the docstring says what a shape is, the comment
behind or above a field says what the field is. Users read both. A field that may be null says when, unless it is
merely unknown.
"""

from __future__ import annotations

from typing import Dict, List, Optional, TypedDict


class TargetFacts(TypedDict):
    """The server that was checked."""

    host: str  # name of the host
    runtime: str  # the value of the option `runtime`
    version: Optional[str]  # the server's version, such as "17.5"; null when SQL did not get through
    in_recovery: Optional[bool]  # whether it is a standby (or still recovering); null when SQL did not get through


class Process(TypedDict):
    """One process of the server as the operating system shows it."""

    pid: int  # as seen from the host, also for a process in a container
    state: str  # first letter of `ps`'s STAT: R running, S sleeping, D waiting for I/O, T stopped, Z zombie
    title: str  # a backend's title names its client: "postgres: app shop 10.0.0.7(51234) idle in transaction"


class DataDirectory(TypedDict):
    """The data directory."""

    path: str  # its path, as the server sees it
    exists: bool  # whether it exists
    mode: Optional[str]  # its permissions in octal, such as "0700"
    owner_uid: Optional[int]  # the user who owns it
    expected_uid: Optional[int]  # the user the server runs as (or would)
    version: Optional[str]  # text of `PG_VERSION`, such as "17"
    entries: Optional[int]  # number of names in it; 0 is an empty directory
    cluster_files: Optional[List[str]]  # those of `global`, `global/pg_control`, `base`, `pg_wal` that it holds
    databases: Optional[int]  # number of databases in `base`; a cluster that initdb has finished has at least 2
    standby_signal: bool  # whether it holds `standby.signal`
    recovery_signal: bool  # whether it holds `recovery.signal`
    backup_label: bool  # whether it holds `backup_label`: a base backup that no server has started from


class Cluster(TypedDict):
    """A database cluster that the server does not use."""

    path: str  # its directory, as the server sees it
    version: str  # text of its `PG_VERSION`, such as "17"


class Disk(TypedDict):
    """A file system the server writes to."""

    role: str  # `data`, or `wal` where pg_wal is on a file system of its own
    path: str  # the directory whose file system this is
    total_bytes: int  # its size
    free_bytes: int  # what the server's unprivileged user can still use
    total_inodes: Optional[int]  # null where the file system has no fixed number
    free_inodes: Optional[int]  # null where the file system has no fixed number


class Mount(TypedDict):
    """What the engine mounted into the server's container."""

    type: str  # `bind`, `volume` or `tmpfs`
    source: str  # the path on the host, or the volume's name
    destination: str  # the path in the container
    read_only: bool  # whether it can only be read


class DirectoryUser(TypedDict):
    """Another server that uses the data directory, or that may."""

    container: Optional[
        str
    ]  # the container it lives in, by name or id (empty when unknown); null for a process of the host
    pid: Optional[int]  # its postmaster's pid as seen from the host; null when its processes cannot be seen
    title: Optional[str]  # its postmaster's command line, or why its processes cannot be seen
    seen: bool  # whether it was seen in the data directory; false: it may be there, and that cannot be seen


class LockFile(TypedDict):
    """What `postmaster.pid` says."""

    # Its lines: PostgreSQL, src/include/utils/pidfile.h.

    pid: Optional[int]  # the postmaster's pid; null when the file is empty or holds no number
    pid_alive: Optional[bool]  # whether a process with that pid exists (where the server lives)
    started_at: Optional[str]  # when the server that wrote it was started
    port: Optional[int]  # the port
    socket_directory: Optional[str]  # the directory of the Unix socket
    listen_address: Optional[str]  # the first address it listens on
    status: Optional[str]  # `starting`, `stopping`, `ready` or `standby`


class ControlData(TypedDict):
    """What `pg_controldata` says."""

    readable: bool  # whether `pg_controldata` could read the control file
    crc_ok: Optional[bool]  # whether its checksum is right
    system_identifier: Optional[str]  # of the cluster; a standby and a copy have that of their primary
    state: Optional[str]  # the cluster's state, such as "in production", "shut down" or "in crash recovery"
    written_at: Optional[str]  # when the control file was last written
    checkpoint_lsn: Optional[str]  # where the last checkpoint's record starts
    checkpoint_wal_file: Optional[str]  # the WAL file that recovery would need first
    checkpoint_readable: Optional[bool]  # whether `pg_waldump` can read that record; null unless the server is stopped
    message: Optional[str]  # its error message when it failed, else null


class Configuration(TypedDict):
    """Whether `postgres -C` accepts the configuration, with the server's own arguments."""

    valid: Optional[bool]  # whether it does
    message: Optional[str]  # its error message when it does not, else null


class Listening(TypedDict):
    """A TCP socket that listens in the server's network namespace."""

    address: str  # such as "0.0.0.0", "127.0.0.1" or "::"
    port: int  # its port
    ours: Optional[bool]  # whether it is held by the server's own processes; null when that cannot be told


class LogEntry(TypedDict):
    """A line of the server's log that is a FATAL, PANIC or ERROR, or names a known cause."""

    at: Optional[str]  # its time, as written in the log; null where the line has none
    severity: str  # `FATAL`, `PANIC`, `ERROR`, or `OTHER` (another language, or an ordinary line that names a cause)
    sqlstate: Optional[str]  # null unless log_line_prefix has `%e`
    cause: Optional[str]  # the cause of a `server_down` that the text names beyond doubt, else null
    pid: Optional[int]  # of the process that wrote it; null unless log_line_prefix has `[%p]`
    own: Optional[bool]  # whether the postmaster or its startup process wrote it; null where that cannot be told
    text: str  # the message, secrets masked, at most 300 characters


class Published(TypedDict):
    """A port that the engine publishes on the host."""

    port: int  # the port in the container
    host_address: str  # the host's address
    host_port: int  # the host's port


class Network(TypedDict):
    """A network of a container."""

    name: str  # its name
    address: Optional[str]  # the container's address in it; null when it has none, as when it is stopped
    aliases: List[str]  # the names by which others in this network find the container
    attached: bool  # false when the service belongs on it (Compose file, or the service's replicas) and is not on it


class ServerFacts(TypedDict):
    """The server's process, storage and log."""

    name: str  # the container's name, or the data directory
    service: Optional[str]  # the Compose service; null without Compose
    image: Optional[str]  # the container's image; null without a container
    engine_command: Optional[str]  # command of the container engine: `docker` or `podman`; null without an engine
    # `running`, `paused`, `restarting`, `exited`, `created`, `dead`, `missing`; `unknown` with `runtime=remote`
    state: str
    exit_code: Optional[int]  # how it exited; null when it runs
    signal: Optional[int]  # the signal that ended it, from the exit code (137 is 9); null when none did
    out_of_memory: Optional[bool]  # whether the OOM killer ended it
    engine_error: Optional[str]  # why the engine could not start the container; null when it says nothing
    started_at: Optional[str]  # when it was last started
    finished_at: Optional[str]  # when it last ended; null when it never did
    uptime_seconds: Optional[float]  # for how long it has been up; null when it is down
    restart_count: Optional[int]  # how often the engine has restarted it
    restart_policy: Optional[str]  # the container's restart policy
    restart_loop: bool  # whether it is restarting, or was restarted at least twice and has been up for less than 10 s
    health: Optional[str]  # the container's own health check: `starting`, `healthy` or `unhealthy`; null without one
    postmaster_pid: Optional[int]  # the postmaster's pid as seen from the host; null when there is none
    postmaster_state: Optional[str]  # the postmaster's process state, as in `processes`
    processes: List[Process]  # the postmaster and all its children
    data_directory: Optional[DataDirectory]  # the data directory
    program_version: Optional[str]  # version of the program that would start it; null unless the server is down
    other_clusters: List[Cluster]  # what its mounts hold instead; looked for where its data directory holds no cluster
    directory_used_by: List[DirectoryUser]  # other servers on the same data directory: there must never be one
    # what was not looked at for other servers on it, in words; null when everything was, and with `runtime=remote`
    directory_unseen: Optional[str]
    obstacle: Optional[str]  # why it can be neither started nor stopped from here; null when nothing is in the way
    disks: List[Disk]  # the file systems it writes to
    mounts: List[Mount]  # the container's mounts
    nofile_soft: Optional[int]  # soft limit of open files
    nofile_hard: Optional[int]  # hard limit of open files
    memory_limit_bytes: Optional[int]  # the container's or the cgroup's limit; null when there is none
    lock_file: Optional[LockFile]  # what `postmaster.pid` says; null when there is no such file
    control: Optional[ControlData]  # what `pg_controldata` says
    configuration: Optional[Configuration]  # whether its configuration is accepted; null unless the server is down
    # names of the settings in `postgresql.auto.conf` (`ALTER SYSTEM`); null unless the server is down, or unreadable
    altered_settings: Optional[List[str]]
    listening: Optional[List[Listening]]  # the TCP sockets that listen where the server lives
    published: List[Published]  # the ports that the engine publishes
    networks: List[Network]  # the networks of the container
    log: List[LogEntry]  # what the last lines of the log say, newest last
    log_lines_read: int  # how many lines of the log were read
    log_source: Optional[str]  # "container log", or the path of the file; null when no log was found


class WireAnswer(TypedDict):
    """What one address answered to a start-up packet. That needs no driver and no login.

    Where a login has got through already, it is asked only whether it is there, which no server logs.
    """

    kind: str  # `socket`, `network` (the server's own address), `loopback`, `published` or `login_host`
    address: str  # such as "/var/run/postgresql/.s.PGSQL.5432" or "172.18.0.2:5432"
    # `accepting` (asked for a password, logged us in, or is there where a login got through), `rejecting` (answered
    # with an error), `silent` (connected, nothing came), `refused`, `unreachable`, `timeout` (no connection), `missing`
    # (no such socket), `not_postgresql`
    outcome: str
    severity: Optional[str]  # of the error, never localised, such as "FATAL"; null without an error
    sqlstate: Optional[str]  # of the error, such as "53300"; null without an error
    message: Optional[str]  # the error's text, in the server's language; null without an error
    elapsed_ms: float  # how long the answer took


class Resolution(TypedDict):
    """How the name of the server resolved."""

    name: str  # the name that was looked up
    addresses: List[str]  # what it resolved to
    nameserver: Optional[str]  # who answered; null for a literal address or a line in /etc/hosts
    error: Optional[str]  # `not_found`, `timeout` or `no_nameserver`; null when it resolved
    elapsed_ms: float  # how long it took


class Reach(TypedDict):
    """TCP connections opened and closed without a word, so that no slot is taken: ten, or twenty when one was lost."""

    address: Optional[str]  # the address and port that were tried
    probes: int  # how many connections were tried
    answered: int  # how many were answered
    loss_percent: float  # how many were not, in percent
    latency_ms: Optional[float]  # median of those that were answered; null when none was
    outcome: str  # `open`, `refused`, `timeout` or `unreachable`


class LoginAttempt(TypedDict):
    """A real login with the client's own settings from the client's own place."""

    succeeded: bool  # whether it did
    # `ok`, `rejected`, `timeout`, `no_tls` (required, but not offered), `bad_certificate`, `closed` or `failed`
    outcome: str
    severity: Optional[str]  # of the server's error, never localised; null without an error
    sqlstate: Optional[str]  # of the server's error; null without an error
    message: Optional[str]  # the error's text; null without an error
    method: Optional[str]  # the authentication method: `trust`, `password`, `md5`, `scram-sha-256`, ...
    tls: bool  # whether the connection was encrypted
    source_address: Optional[str]  # the client's address as pg_hba.conf sees it; null on a Unix socket
    elapsed_ms: float  # how long it took


class ClientLogin(TypedDict):
    """The settings the client logs in with. The password itself is not kept."""

    host: str  # the host, or the directory of a Unix socket
    port: int  # the port
    user: str  # the role
    database: str  # the database
    ssl_mode: str  # libpq's sslmode
    password_given: bool  # whether a password was found
    source: str  # where they come from: "options", "DATABASE_URL", "POSTGRES_*", "PG*", "DB_*" or "target"


class ClientPool(TypedDict):
    """How many connections a client's pool may open."""

    size: int  # connections that it keeps
    overflow: int  # connections that it may open beside them
    replicas: Optional[int]  # how many such pools there are, as declared; null: one for each running container
    source: str  # where that comes from: "options", or the variable of the container's environment that gives the size


class Health(TypedDict):
    """What the client's health page says."""

    url: str  # its address
    status: Optional[int]  # the HTTP status; null when there was no answer
    ok: bool  # whether the status is 200, and a JSON answer does not report a problem
    body: Optional[str]  # at most 300 characters of the answer, secrets masked
    error: Optional[str]  # why there was no answer, else null


class ClientFacts(TypedDict):
    """A client from its own place in the network: one for each container of a declared client, or one for "here"."""

    service: str  # the service's name
    name: str  # the container's name, or "here"
    state: str  # `running`, `exited`, `missing`, ... as the server's state
    exit_code: Optional[int]  # how it exited; null when it runs, or is no container
    started_at: Optional[str]  # when it was last started; null when it never was, or is no container
    finished_at: Optional[str]  # when it last ended; null when it never did
    out_of_memory: Optional[bool]  # whether the kernel ended it for want of memory
    # where it was examined from: `namespace` (the container's own), `toolbox` (a container beside it), `here` or `none`
    place: str
    application_name: Optional[str]  # the application_name it is known by; null when none was declared
    networks: List[Network]  # the container's networks
    shared_networks: List[str]  # the networks that both the client and the server are attached to
    login: Optional[ClientLogin]  # its settings; null when none were found
    pool: Optional[ClientPool]  # its pool of connections; null when it is neither declared nor in its environment
    resolution: Optional[Resolution]  # how the server's name resolved; null without a lookup
    reach: Optional[Reach]  # whether TCP connections open; null when there was no address to try
    startup: Optional[WireAnswer]  # what came back from the start-up packet or the login; null without an answer
    attempt: Optional[LoginAttempt]  # how a login went; null when none was tried
    # whether its password matches the stored verifier; null when either cannot be read
    password_matches: Optional[bool]
    health: Optional[Health]  # its health page; null when none was declared, or it could not be asked
    error: Optional[str]  # why this client could not be examined, else null


class NotedClient(TypedDict):
    """A container that a restart stops. The times are those of before: another start since is somebody else's."""

    service: str  # its service
    name: str  # its name
    started_at: Optional[str]  # when it was last started
    finished_at: Optional[str]  # when it last ended; null when it never did
    asked: bool  # whether it was about to be asked to stop


class NotedRole(TypedDict):
    """A role whose password a reset was changing."""

    role: str  # the role
    begun_at: str  # when, UTC
    files: List[str]  # the files that were to get the password, too


class RestartNote(TypedDict):
    """What a restart wrote down of the clients that it stops. It is removed when all of them are up again."""

    path: str  # the file, on the host where the restart ran
    written_at: str  # when the restart began
    why: str  # the procedure and its server, such as "graceful_restart of db1"
    running: bool  # whether that restart is still running
    clients: List[NotedClient]  # those that it has not seen running again
    roles: List[NotedRole]  # those whose new password was not proved by the end


class RoleUser(TypedDict):
    """Somebody else who knows, or uses, a role whose password a client gets wrong."""

    role: str  # the role
    name: str  # the container's name
    how: Optional[str]  # what shows it, such as "its environment (PG*)"; null where only its sessions do
    service: Optional[str]  # its Compose service; null when it is of none
    addresses: List[str]  # its addresses
    declared: bool  # whether it is a declared client
    same_password: Optional[bool]  # whether it has the password of that client; null when it is not known
    password_matches: Optional[bool]  # whether its password matches the stored verifier; null as `same_password`


class SnapshotError(TypedDict):
    """Why SQL did not get through."""

    sqlstate: Optional[str]  # the server's SQLSTATE; null when it never answered
    message: str  # the error message
    kind: str  # `connection`, `statement`, `deadline` or `unavailable`


class ServerIdentity(TypedDict):
    """What tells one server from another."""

    data_directory: Optional[str]  # its data directory; null without the right to see it
    system_identifier: Optional[str]  # of its control file; a standby and a copy have that of their primary
    port: Optional[int]  # the port that it listens on, or would
    started_at: Optional[str]  # when it was started; null when it is not running


class AnotherServer(TypedDict):
    """A server that answers in place of the one that was to be checked."""

    where: str  # where it answers, such as "login_host 10.0.0.7 port 5432" or "port 5432"
    answers: ServerIdentity  # the server that answers
    expected: ServerIdentity  # the server that was to be checked


class Backup(TypedDict):
    """A backup in progress."""

    pid: int  # its session's pid
    application: Optional[str]  # its application_name
    phase: Optional[str]  # as in pg_stat_progress_basebackup; null for one that holds the server in backup mode itself


class OpenTransaction(TypedDict):
    """A transaction that a restart would roll back: a long one, or VACUUM, CREATE INDEX and CLUSTER at any age."""

    pid: int  # its session's pid
    user: Optional[str]  # its role
    database: Optional[str]  # its database
    application: Optional[str]  # its application_name
    state: Optional[str]  # as in pg_stat_activity
    transaction_seconds: float  # since it began
    query: Optional[str]  # its last query, without values


class WaitingSetting(TypedDict):
    """A setting that a restart would apply."""

    name: str  # its name
    file: Optional[str]  # where it is set
    line: Optional[int]  # the line in that file
    setting: Optional[str]  # its value from then on
    current: Optional[str]  # the value that is in force until then


class Restart(TypedDict):
    """What a restart would interrupt and apply, and what would keep the server down."""

    backups: List[Backup]  # the backups in progress
    exclusive_backup: bool  # whether the server is in exclusive backup mode; only before PostgreSQL 15
    transactions: List[OpenTransaction]  # those that would be rolled back
    checkpoint_at: str  # when the last checkpoint that was completed began
    missing_libraries: List[str]  # libraries in shared_preload_libraries whose file is not there
    waiting: List[WaitingSetting]  # the settings that it would apply


class Facts(TypedDict):
    """All that was read."""

    target: TargetFacts  # the server that was checked
    server: Optional[ServerFacts]  # its process, storage and log; null when it could not be examined
    wire: List[WireAnswer]  # what each of the server's own addresses answered
    clients: List[ClientFacts]  # each client from its own place
    restart_note: Optional[RestartNote]  # left by a restart or a password reset on its host; null without one
    role_users: List[RoleUser]  # who else knows the role whose password a client gets wrong; read only then
    # what a restart would do; read only where a changed listen_addresses or port is pending one, and clients need it
    restart: Optional[Restart]
    # why network_repair would refuse, and what to do instead; null where it would not, or nothing recommends it
    repair_obstacle: Optional[str]
    snapshot: Optional["Snapshot"]  # what SQL says; null when SQL did not get through
    snapshot_error: Optional[SnapshotError]  # why SQL did not get through; null when it did
    # the server that answers in place of the one that was to be checked; null when none is known
    another_server: Optional[AnotherServer]
    errors: Dict[str, str]  # the steps that failed, and why


# --- the snapshot: one statement, one JSON document ------------------------------------------------------------------


class SessionRow(TypedDict):
    """A session of a client. Ages are in seconds at the snapshot's time."""

    pid: int  # its backend's pid, as the server sees it
    backend_start: str  # when it connected; empty without the right to see it
    user: Optional[str]  # its role
    database: Optional[str]  # its database
    application: str  # its application_name; empty when it gave none
    client_address: Optional[str]  # where it comes from; null for a Unix socket
    state: Optional[str]  # `active`, `idle`, `idle in transaction`, `idle in transaction (aborted)`, ...
    state_seconds: Optional[float]  # since its state last changed
    transaction_seconds: Optional[float]  # since its transaction began; null when none is open
    query_seconds: Optional[float]  # since its query began; null unless it is active
    wait_event_type: Optional[str]  # what kind of thing it waits for; null when it does not wait
    wait_event: Optional[str]  # what it waits for; null when it does not wait
    # `client backend`, `autovacuum worker`, `walsender`, ...; null without the right to see it
    backend_type: Optional[str]
    superuser: bool  # whether its role is a superuser
    query: Optional[str]  # its last query, without values, at most 200 characters; null without the right to see it


class SeenSession(SessionRow):
    """A session of a client, and what keeps it from being signalled. Ages are in seconds at the snapshot's time."""

    # `waits` (for a synchronous standby), `commits` (it may be about to, and none is connected), `no_right` (the login
    # role may not signal it), `replication` (its role has REPLICATION and is no superuser); null for none of these
    spared: Optional[str]


class SessionGroup(TypedDict):
    """Sessions of clients that have all of these in common."""

    state: Optional[str]  # their state
    database: Optional[str]  # their database
    user: Optional[str]  # their role
    application: str  # their application_name; empty when they gave none
    client_address: Optional[str]  # where they come from; null for a Unix socket
    sessions: int  # how many there are
    longest_state_seconds: Optional[float]  # for how long the longest of them has been in this state


class Connections(TypedDict):
    """The sessions of clients, and the slots there are for them."""

    max_connections: int  # the setting of that name
    superuser_reserved: int  # the setting superuser_reserved_connections
    reserved: int  # the setting reserved_connections; 0 before PostgreSQL 16
    used: int  # sessions of clients, ours not counted
    groups: List[SessionGroup]  # the sessions, counted by what they have in common, the largest group first
    idle: List[SeenSession]  # those idle, the longest first, at most 50
    idle_in_transaction: List[SeenSession]  # those idle in a transaction, the longest first, at most 50
    # those active for 30 s, or for `long_query_seconds` where that is less, the longest first, at most 50
    active: List[SeenSession]
    long_idle: int  # how many have been idle for at least `idle_minutes`
    long_idle_in_transaction: int  # how many have been idle in a transaction for at least `idle_in_transaction_seconds`


class RoleLimit(TypedDict):
    """A role or a database with a connection limit of its own."""

    name: str  # its name
    limit: int  # the limit
    used: int  # the sessions that count against it


class Limits(TypedDict):
    """Roles and databases with a connection limit of their own."""

    roles: List[RoleLimit]  # the roles, superusers apart: they are not held to it
    databases: List[RoleLimit]  # the databases


class Blocker(TypedDict):
    """One session that waits, and one that it waits for."""

    blocked_pid: int  # who waits
    blocking_pid: int  # whom it waits for; 0 for a prepared transaction
    blocking_gid: Optional[str]  # the prepared transaction it waits for; null for a session
    blocked_seconds: float  # for how long it has been waiting
    relation: Optional[str]  # the table that is locked; null when it waits for something else
    lock_type: Optional[str]  # what is locked: `relation`, `transactionid`, `tuple`, `advisory`, ...
    lock_mode: Optional[str]  # the lock that it wants


class PreparedTransaction(TypedDict):
    """A transaction prepared for two-phase commit."""

    gid: str  # its name
    owner: str  # the role that prepared it
    database: str  # its database
    age_seconds: float  # since it was prepared
    ours: bool  # whether the login role may finish it: its owner or a superuser may
    here: bool  # whether it is of the database that the login goes to


class WaitEvent(TypedDict):
    """What active sessions wait for."""

    type: str  # what kind of event
    event: str  # the event
    sessions: int  # how many sessions wait for it


class Deadlocks(TypedDict):
    """Deadlocks in one database."""

    database: Optional[str]  # the database
    count: int  # how many since its statistics were last reset


class Conflicts(TypedDict):
    """Queries on a standby that were cancelled because they conflicted with recovery."""

    database: str  # their database
    kind: str  # what they conflicted with: `tablespace`, `lock`, `snapshot`, `bufferpin`, `deadlock`, ...
    count: int  # how many since the statistics were last reset


class SyncReplication(TypedDict):
    """Commits that wait for a synchronous standby."""

    waiting: int  # number of sessions
    longest_seconds: Optional[float]  # for how long the first of them has been active; null when none waits
    standby_names: Optional[str]  # the setting `synchronous_standby_names`


class Activity(TypedDict):
    """What the sessions do and wait for."""

    long_queries: List[SeenSession]  # those active for at least `long_query_seconds`, the longest first, at most 50
    blocking: List[Blocker]  # who waits for whom
    involved: List[SeenSession]  # every session that is named in `blocking`
    prepared: List[PreparedTransaction]  # prepared transactions, the oldest first, at most 50
    wait_events: List[WaitEvent]  # what active sessions wait for
    sync_replication: SyncReplication  # commits that wait for a synchronous standby
    deadlocks: List[Deadlocks]  # databases in which deadlocks have happened
    conflicts: List[Conflicts]  # conflicts with recovery, only on a standby


class HbaRule(TypedDict):
    """A rule of `pg_hba.conf`."""

    rule_number: Optional[int]  # its number; null before PostgreSQL 16 and for a line with an error
    file_name: Optional[str]  # the file it is in
    line_number: int  # its line in the file
    type: Optional[str]  # `local`, `host`, `hostssl`, `hostnossl`, `hostgssenc` or `hostnogssenc`
    database: Optional[List[str]]  # the databases it is for
    user_name: Optional[List[str]]  # the roles it is for
    address: Optional[str]  # the addresses it is for; null for `local`
    netmask: Optional[str]  # their mask; null for `local` and where the address is a name
    auth_method: Optional[str]  # the authentication method
    options: Optional[List[str]]  # the method's options, secrets masked; null when there are none
    error: Optional[str]  # why the line cannot be used; null when it can


class RoleSessions(TypedDict):
    """Sessions of a role that have all of these in common, those of a standby among them."""

    client_address: Optional[str]  # where they come from; null for a Unix socket
    database: Optional[str]  # their database; null for a standby's
    application: str  # their application_name; empty when they gave none
    sessions: int  # how many there are


class Role(TypedDict):
    """A role that a client logs in as."""

    name: str  # its name
    exists: bool  # whether it exists
    can_login: Optional[bool]  # whether it has LOGIN; null when it does not exist
    superuser: Optional[bool]  # whether it is a superuser; null when it does not exist
    valid_until: Optional[str]  # until when its password is valid; null without an end
    expired: Optional[bool]  # whether that time has passed; null when it does not exist
    connection_limit: Optional[int]  # its connection limit, -1 without one; null when it does not exist
    # how its password is stored: `scram-sha-256`, `md5` or `none`; null without the right to read it
    verifier: Optional[str]
    settable: Optional[bool]  # whether the login role may set its password, and read the one it has; null as `exists`
    member_of: List[str]  # the roles it is a member of, directly or not
    sessions: List[RoleSessions]  # who is logged in as it, ours not counted
    own: Optional[RoleSessions]  # our own session, where it is logged in as this role; else null


class Database(TypedDict):
    """A database that a client asks for."""

    name: str  # its name
    exists: bool  # whether it exists
    allows_connections: Optional[bool]  # whether it allows connections at all; null when it does not exist
    connection_limit: Optional[int]  # its connection limit, -1 without one; null when it does not exist
    connect_privilege: Dict[str, Optional[bool]]  # for each role a client logs in as, whether it has CONNECT


class FileError(TypedDict):
    """An error in a configuration file."""

    file: Optional[str]  # the file
    line: Optional[int]  # the line
    name: Optional[str]  # the setting of that name; null for an error of syntax
    error: str  # what is wrong with it


class PendingSetting(TypedDict):
    """A setting that was changed in a file and waits for a restart."""

    name: str  # the setting of that name
    setting: str  # the value that is in force until then


class Configured(TypedDict):
    """The configuration the server runs with."""

    listen_addresses: str  # the setting of that name
    port: int  # the setting of that name
    socket_directories: Optional[str]  # the setting unix_socket_directories; null without the right to read it
    ssl: bool  # the setting of that name
    password_encryption: Optional[str]  # the setting of that name
    log_destination: Optional[str]  # the setting of that name
    log_lock_waits: bool  # the setting of that name
    log_min_duration_ms: int  # the setting log_min_duration_statement, -1 when it is off
    statements_tracked: bool  # whether the library pg_stat_statements is loaded
    load_time: Optional[str]  # when the configuration files were last loaded
    file_errors: List[FileError]  # errors in the configuration files; empty without the right to read them
    pending_restart: List[PendingSetting]  # changed settings that wait for a restart
    hba_rules: Optional[List[HbaRule]]  # the rules of `pg_hba.conf`; null without the right to read them
    # whether the server has loaded `hba_file` since it last changed, to the second; null without the right to see it
    hba_loaded: Optional[bool]
    may_reload: bool  # whether the login role may reload the files, and see all errors in them
    hba_file: Optional[str]  # the path of `pg_hba.conf`; null without the right to read it


class ChecksumFailures(TypedDict):
    """Data pages of one database whose checksum was wrong."""

    database: Optional[str]  # the database; null for shared objects
    count: int  # how many since the statistics were last reset
    last_failure: Optional[str]  # when one was last seen


class TransactionAge(TypedDict):
    """How far one database is from transaction ID wraparound."""

    database: str  # the database
    xid_age: int  # transactions since its oldest unfrozen transaction ID; the server stops before 2,147,483,647
    multixact_age: int  # the same in multixact IDs


class Standby(TypedDict):
    """A standby of this server, from pg_stat_replication."""

    application: str  # its application_name
    client_address: Optional[str]  # where it comes from; null for a Unix socket
    state: str  # `streaming`, `catchup`, `startup`, `backup`, `stopping` or `unknown`
    sync_state: str  # `sync`, `async`, `quorum`, `potential` or `unknown`
    # how far its replay is behind; null when it has caught up and nothing is written
    replay_lag_seconds: Optional[float]
    replay_lag_bytes: Optional[int]  # how much WAL it has yet to replay


class Slot(TypedDict):
    """A replication slot."""

    name: str  # its name
    type: str  # `physical` or `logical`
    active: bool  # whether it is in use
    retained_bytes: Optional[int]  # WAL that is kept for it; null when it holds none
    wal_status: Optional[str]  # `reserved`, `extended`, `unreserved` or `lost`; null when it holds no WAL


class Receiver(TypedDict):
    """How this standby receives WAL."""

    status: Optional[str]  # the WAL receiver's status, such as "streaming"; null when none runs
    sender_host: Optional[str]  # the server it receives from; null when none runs
    # age of the last replayed transaction; null when all that was received is replayed
    replay_lag_seconds: Optional[float]


class MovedCollation(TypedDict):
    """A collation whose rules may have changed since its indexes were built."""

    database: str  # the database
    name: str  # the collation, or `default` for the database's own
    recorded_version: str  # the version that the server wrote down
    actual_version: Optional[str]  # the version that the operating system has now; null when it has none
    indexes: Optional[int]  # how many indexes sort by it; null in other databases than the session's
    bytes: Optional[int]  # their size, as of their last VACUUM or ANALYZE; null as above
    largest: Optional[List[str]]  # the largest of them, at most three, with their schemas; null as above


class Soundness(TypedDict):
    """The state of data and replication."""

    checksum_failures: List[ChecksumFailures]  # databases in which checksums were wrong
    transaction_age: List[TransactionAge]  # every database's distance to wraparound, the oldest first
    autovacuum_freeze_max_age: int  # the setting of that name
    standbys: List[Standby]  # the standbys of this server
    slots: List[Slot]  # its replication slots
    receiver: Optional[Receiver]  # how it receives WAL; null unless it is a standby
    collations: List[MovedCollation]  # collations whose version has moved


class Snapshot(TypedDict):
    """What SQL says, read by one statement at one point in time, the same for every version of the server."""

    at: str  # when it was taken
    version: str  # the server's version, such as "17.5"
    version_num: int  # the same as a number, such as 170005
    started_at: str  # when the server started
    in_recovery: bool  # whether it is a standby, or still recovering
    limited: bool  # whether the login role may not see everything (it is no superuser and lacks pg_monitor)
    pooled: bool  # whether a connection pooler lent us its connection
    connections: Connections  # the sessions of clients, and the slots there are for them
    limits: Limits  # roles and databases with a limit of their own
    activity: Activity  # what the sessions do and wait for
    configured: Configured  # the configuration the server runs with
    roles: List[Role]  # the roles that the clients log in as
    databases: List[Database]  # the databases that the clients ask for
    soundness: Soundness  # the state of data and replication
