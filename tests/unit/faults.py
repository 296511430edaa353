# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault the tree knows: the facts it leaves behind, the verdict, and the evidence that decides."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Facts
from tests.unit.facts import (
    DATA,
    GIB,
    MIB,
    Alter,
    change,
    client,
    control,
    disk,
    down,
    edge,
    failed,
    group,
    hba,
    healthy,
    log,
    login_fails,
    no_sql,
    of,
    prepared,
    process,
    remote,
    session,
    set_activity,
    set_client,
    set_configured,
    set_connections,
    set_database,
    set_directory,
    set_groups,
    set_login,
    set_reach,
    set_role,
    set_rules,
    set_server,
    set_soundness,
    set_wire,
    sql,
    titles,
    unresolved,
    wire,
    wire_all,
)


class Fault(NamedTuple):
    name: str
    facts: Facts
    code: str
    cause: Optional[str]
    first: str  # the first line of evidence holds it
    findings: Tuple[str, ...] = ()


FAULTS: Dict[str, List[Fault]] = {}


def fault(
    question: str,
    name: str,
    code: str,
    cause: Optional[str],
    first: str,
    *alterations: Alter,
    findings: Tuple[str, ...] = (),
    base: Optional[Facts] = None,
) -> None:
    facts = base or healthy()
    for alter in alterations:
        alter(facts)
    FAULTS.setdefault(question, []).append(Fault(name, facts, code, cause, first, findings))


def lock(**values: object) -> Dict[str, object]:
    return dict(
        {
            "pid": 1,
            "pid_alive": None,
            "started_at": None,
            "port": 5432,
            "socket_directory": None,
            "listen_address": "*",
            "status": "ready",
        },
        **values,
    )


# 1. running
R = "running"
clean = {"control": control("shut down")}
fault(R, "stopped", "server_down", "stopped", 'exit code 0, control state "shut down"', down(exit_code=0, **clean))
fault(
    R,
    "stopped, an old complaint in its log",
    "server_down",
    "stopped",
    "exit code 0",
    down(exit_code=0, log=[log("could not write: No space left", "disk_full")], **clean),
)
fault(R, "killed by Docker's SIGTERM", "server_down", "stopped", "exit code 143", down(exit_code=143, **clean))
fault(R, "pg_ctl stop", "server_down", "stopped", 'control state is "shut down"', down(exit_code=None, **clean))
SECOND = {"container": "shop-b-1", "pid": 4711, "title": "postgres -c fsync=on", "seen": True}
UNSEEN = {"container": "shop-b-1", "pid": None, "title": "it is restarting", "seen": False}
ENDED = {"finished_at": "2026-11-28T10:00:00.5Z"}
fault(
    R,
    "stopped cleanly, its volume in use by another container",
    "server_down",
    "directory_in_use",
    "container shop-b-1 runs PostgreSQL on this data directory (pid 4711: postgres -c fsync=on)",
    down(exit_code=0, directory_used_by=[SECOND], control=control("in production")),
)
fault(
    R,
    "killed, and a process of the host has its directory",
    "server_down",
    "directory_in_use",
    "pid 99 of the host runs PostgreSQL on this data directory (postgres -D /data)",
    down(exit_code=137, directory_used_by=[{**SECOND, "container": None, "pid": 99, "title": "postgres -D /data"}]),
)
fault(
    R,
    "two servers on one directory",
    "server_down",
    "directory_in_use",
    "container shop-b-1 runs PostgreSQL on this data directory",
    set_server(directory_used_by=[SECOND]),
)
fault(
    R,
    "a container with the directory that is between two starts",
    "server_down",
    "directory_in_use",
    "container shop-b-1 may run PostgreSQL on this data directory (it is restarting)",
    down(exit_code=0, directory_used_by=[UNSEEN], **clean),
)
fault(
    R,
    "exit code 0, and a lock file of a server started since",
    "server_down",
    "directory_in_use",
    "postmaster.pid is of a server started at 2026-11-28T10:05:00Z",
    down(exit_code=0, lock_file=lock(started_at="2026-11-28T10:05:00Z"), **ENDED, **clean),
)
fault(
    R,
    "killed, and a control file of a server started since",
    "server_down",
    "directory_in_use",
    'control state "in production", written at 2026-11-28T10:05:00Z',
    down(exit_code=137, control=control("in production", written_at="2026-11-28T10:05:00Z"), **ENDED),
)
fault(
    R,
    "exit code 0 and control state in production, times unknown",
    "server_down",
    "directory_in_use",
    'exit code 0, but control state "in production"',
    down(exit_code=0, control=control("in production")),
)
fault(
    R,
    "an immediate shutdown: exit code 0, all that it left is older than its end",
    "server_down",
    "stopped",
    'exit code 0, control state "in production"',
    down(exit_code=0, control=control("in production", written_at="2026-11-28T09:58:00Z"), **ENDED),
)
fault(
    R,
    "a base backup put in place since it was stopped",
    "server_down",
    "stopped",
    "exit code 0",
    down(exit_code=0, control=control("in production", written_at="2026-11-28T11:00:00Z"), **ENDED),
    set_directory(backup_label=True),
)
fault(
    R,
    "on a host, the lock file of a container's server",
    "server_down",
    "directory_in_use",
    "postmaster.pid names pid 1",
    down(exit_code=None, engine_command=None, lock_file=lock(pid=1, pid_alive=True), control=control("in production")),
)
fault(R, "never started", "server_down", "stopped", "never started", down("created", 0, control=None))
fault(R, "killed", "server_down", "killed", "SIGKILL", down(exit_code=137, lock_file=lock()))
fault(
    R,
    "killed, pg_ctl",
    "server_down",
    "killed",
    "pid 4711 is dead",
    down(exit_code=None, lock_file=lock(pid=4711, pid_alive=False)),
)
fault(
    R,
    "out of memory",
    "server_down",
    "out_of_memory",
    "exit code 137, OOM flag set, memory limit 64 MiB",
    down(exit_code=137, out_of_memory=True, memory_limit_bytes=64 * MIB),
)
fault(
    R,
    "out of memory in its startup",
    "server_down",
    "out_of_memory",
    "exit code 1, OOM flag set",
    down(exit_code=1, out_of_memory=True, log=[log("terminated by signal 9: Killed", "killed")]),
)
fault(
    R,
    "disk full",
    "server_down",
    "disk_full",
    "free space on %s: 0 B of 190 MiB" % DATA,
    down(disks=[disk(190 * MIB, 0)], log=[log("PANIC: could not write", "disk_full", "PANIC")]),
)
fault(
    R,
    "WAL disk full",
    "server_down",
    "disk_full",
    "free space on %s/pg_wal: 3 MiB" % DATA,
    down(disks=[disk(100 * GIB, 60 * GIB), disk(GIB, 3 * MIB, "wal")]),
)
fault(
    R,
    "no inodes",
    "server_down",
    "disk_full",
    "free inodes on %s: 0 of 1000" % DATA,
    down(disks=[disk(GIB, GIB // 2, inodes=1000, free_inodes=0)]),
)
fault(
    R,
    "open to all",
    "server_down",
    "permission_denied",
    "data directory mode is 0777, must be 0700 or 0750",
    down(),
    set_directory(mode="0777"),
)
fault(
    R,
    "closed to its owner",
    "server_down",
    "permission_denied",
    "data directory mode is 0500",
    down(),
    set_directory(mode="0500"),
)
fault(
    R,
    "another's",
    "server_down",
    "permission_denied",
    "owned by uid 0, but the server runs as uid 999",
    down(),
    set_directory(owner_uid=0),
)
fault(
    R,
    "read-only",
    "server_down",
    "permission_denied",
    "mounted read-only",
    down(mounts=[{"type": "volume", "source": "x", "destination": DATA, "read_only": True}]),
)
fault(
    R,
    "no pg_control",
    "server_down",
    "data_corruption",
    "pg_control cannot be read",
    down(control=control(None, readable=False, crc_ok=None, message="could not open file global/pg_control")),
)
fault(
    R,
    "damaged pg_control",
    "server_down",
    "data_corruption",
    "pg_control fails its CRC check",
    down(control=control("in production", crc_ok=False)),
)
fault(
    R,
    "damaged WAL",
    "server_down",
    "data_corruption",
    "the last checkpoint's WAL record (0/1957A80 in 000000010000",
    down(
        control=control("in production", checkpoint_readable=False),
        log=[log("PANIC: could not locate a valid checkpoint record", "data_corruption", "PANIC")],
    ),
)
fault(R, "no PG_VERSION", "server_down", "data_corruption", "has no PG_VERSION", down(), set_directory(version=None))
fault(R, "few files", "server_down", "too_many_open_files", "open-file limit is 20", down(nofile_soft=20))
fault(
    R,
    "few files, told by the log",
    "server_down",
    "too_many_open_files",
    "log: FATAL: insufficient file",
    down(nofile_soft=None, log=[log("FATAL: insufficient file descriptors", "too_many_open_files")]),
)
fault(
    R,
    "bad setting",
    "server_down",
    "invalid_configuration",
    "invalid value for parameter",
    down(configuration={"valid": False, "message": 'invalid value for parameter "shared_buffers": "much"'}),
)
fault(
    R,
    "bad setting of ALTER SYSTEM",
    "server_down",
    "invalid_configuration",
    "invalid value for parameter",
    down(
        configuration={"valid": False, "message": 'invalid value for parameter "shared_buffers": "much"'},
        altered_settings=["work_mem", "Shared_Buffers"],
    ),
)
fault(
    R,
    "setting of ALTER SYSTEM that fits its type, and not the machine",
    "server_down",
    "invalid_configuration",
    "could not map anonymous shared memory",
    down(
        "exited",
        1,
        configuration={"valid": True, "message": None},
        altered_settings=["huge_pages", "work_mem"],
        log=[log("could not map anonymous shared memory: Cannot allocate memory", "out_of_memory", "FATAL")],
    ),
)
fault(
    R,
    "restart loop",
    "server_down",
    "invalid_configuration",
    "unrecognized configuration parameter",
    down(
        "restarting",
        1,
        restart_loop=True,
        restart_count=7,
        configuration={"valid": False, "message": 'unrecognized configuration parameter "nonsense"'},
    ),
)
fault(
    R,
    "restart loop caught while up",
    "server_down",
    "invalid_configuration",
    "unrecognized",
    down(
        "running",
        0,
        restart_loop=True,
        restart_count=7,
        configuration={"valid": False, "message": 'unrecognized configuration parameter "nonsense"'},
    ),
)
fault(
    R,
    "restart loop caught while up, shut down cleanly before",
    "server_down",
    "invalid_configuration",
    "could not map anonymous shared memory",
    down(
        "running",
        None,
        restart_loop=True,
        restart_count=7,
        started_at="2026-11-24T02:00:00Z",
        control=control("shut down"),
        configuration={"valid": True, "message": None},
        altered_settings=["shared_buffers"],
        log=[log("could not map anonymous shared memory", "out_of_memory", at="2026-11-24T01:59:50Z")],
    ),
)
fault(
    R,
    "killed again and again, after a client had named a setting of ALTER SYSTEM",
    "server_down",
    "killed",
    "killed by signal 9",
    down(
        "restarting",
        137,
        restart_loop=True,
        restart_count=7,
        configuration={"valid": True, "message": None},
        altered_settings=["work_mem"],
        log=[log('invalid value for parameter "work_mem": "lots"', None, "FATAL")],
    ),
)
fault(R, "empty lock file", "server_down", "stale_lock_file", "postmaster.pid is empty", down(lock_file=lock(pid=None)))
fault(
    R,
    "lock file of another's pid",
    "server_down",
    "stale_lock_file",
    "names pid 77, which is alive",
    down(lock_file=lock(pid=77, pid_alive=True)),
)
fault(
    R,
    "port taken",
    "server_down",
    "port_conflict",
    "engine: driver failed",
    down(
        "created",
        128,
        control=None,
        engine_error="driver failed programming external connectivity: Bind for 0.0.0.0:5432 failed: port is already "
        "allocated",
    ),
)
fault(
    R,
    "port taken, pg_ctl",
    "server_down",
    "port_conflict",
    "port 5432 is held by another process (127.0.0.1:5432)",
    down(
        exit_code=None,
        control=control("shut down"),
        listening=[{"address": "127.0.0.1", "port": 5432, "ours": False}],
        log=[
            log('could not bind IPv4 address "127.0.0.1": Address already in use; port 5432', "port_conflict", "OTHER")
        ],
    ),
)
fault(
    R,
    "no container",
    "server_down",
    "missing_container",
    "service postgres has no container",
    down("missing", None, control=None, data_directory=None, disks=[], networks=[]),
)
fault(
    R,
    "for no reason",
    "server_down",
    "unknown",
    "shop-postgres-1 has exited, exit code 1",
    down(log=[log("FATAL: something else")]),
)
fault(
    R,
    "an empty volume",
    "server_down",
    "not_initialised",
    "is empty: is its volume mounted",
    down(control=None),
    set_directory(entries=0, version=None, cluster_files=[], databases=None),
)
fault(
    R,
    "an empty directory, and a container that has never run and would make a new cluster there",
    "server_down",
    "not_initialised",
    "is empty: is its volume mounted",
    down("created", 0, control=None, configuration={"valid": False, "message": "no postgresql.conf"}),
    set_directory(entries=0, version=None, cluster_files=[], databases=None),
)
fault(
    R,
    "lost+found in the data directory",
    "server_down",
    "not_initialised",
    "holds 1 other file, but no cluster",
    down(control=None),
    set_directory(entries=1, version=None, cluster_files=[], databases=None),
)
fault(
    R,
    "initdb did not get to the control file",
    "server_down",
    "not_initialised",
    "initdb did not finish",
    down(control=control(None, readable=False, message="could not open file: No such file or directory")),
    set_directory(cluster_files=["global", "base", "pg_wal"], databases=1),
)
fault(
    R,
    "initdb did not get beyond template1",
    "server_down",
    "not_initialised",
    "initdb did not finish",
    down(),
    set_directory(databases=1),
)
fault(
    R,
    "the control file of a finished cluster is gone",
    "server_down",
    "data_corruption",
    "pg_control cannot be read",
    down(control=control(None, readable=False, message="could not open file: No such file or directory")),
    set_directory(cluster_files=["global", "base", "pg_wal"]),
)
fault(
    R,
    "image of another major version",
    "server_down",
    "incompatible_version",
    "is a cluster of PostgreSQL 17",
    down(program_version="18.1", control=control(None, crc_ok=False, message="CRC checksum does not match")),
)
fault(
    R,
    "image of another major version, with another directory",
    "server_down",
    "incompatible_version",
    "/var/lib/postgresql/data is a cluster of PostgreSQL 15",
    down(program_version="18.1", control=None, other_clusters=[{"path": "/var/lib/postgresql/data", "version": "15"}]),
    set_directory(path="/var/lib/postgresql/18/docker", exists=False, version=None, cluster_files=None, databases=None),
)
fault(
    R,
    "refused, from outside",
    "server_down",
    "unknown",
    "login host db.example.com:5432: refused",
    set_wire(wire("login_host", "db.example.com:5432", "refused")),
    no_sql(),
    set_reach(outcome="refused", latency_ms=None),
    base=remote(),
)

fault(
    R,
    "stopped, its log tells of a full disk long ago",
    "server_down",
    "stopped",
    'control state is "shut down"',
    down(exit_code=None, log=[log("PANIC: could not write: No space left", "disk_full", "PANIC")], **clean),
)

# 2. accepting
A = "accepting"
cannot = wire_all("rejecting", "57P03", "the database system is starting up")
fault(A, "starting", "not_accepting", "starting_up", "57P03", cannot, no_sql("57P03"))
fault(
    A,
    "no socket yet",
    "not_accepting",
    "starting_up",
    "missing",
    set_wire(wire("socket", "/run/s", "missing"), wire("network", "172.18.0.2:5432", "refused")),
    no_sql(),
    set_server(uptime_seconds=2.0, lock_file=lock(status="starting")),
    set_reach(outcome="refused"),
)
fault(
    A,
    "crash recovery",
    "not_accepting",
    "recovering",
    "startup process: recovering 0000",
    cannot,
    no_sql("57P03"),
    set_server(processes=[process(1, "postgres: startup recovering 000000010000000000000003")]),
)
fault(
    A,
    "a standby that never opens",
    "not_accepting",
    "recovering",
    "standby.signal",
    cannot,
    no_sql("57P03"),
    set_directory(standby_signal=True),
)
fault(
    A,
    "recovery by the control file",
    "not_accepting",
    "recovering",
    "in archive recovery",
    cannot,
    no_sql("57P03"),
    set_server(control=control("in archive recovery")),
)
fault(
    A,
    "shutting down",
    "not_accepting",
    "shutting_down",
    'postmaster.pid says "stopping"',
    cannot,
    no_sql("57P03"),
    set_server(lock_file=lock(status="stopping")),
)
fault(
    A,
    "shutting down, from outside",
    "not_accepting",
    "shutting_down",
    "57P03",
    wire_all("rejecting", "57P03", "the database system is shutting down"),
    no_sql("57P03"),
    base=remote(),
)
fault(
    A,
    "in recovery, from outside",
    "not_accepting",
    "recovering",
    "57P03",
    wire_all("rejecting", "57P03", "the database system is in recovery mode"),
    no_sql("57P03"),
    base=remote(),
)
fault(
    A,
    "paused",
    "not_accepting",
    "unresponsive",
    "shop-postgres-1 is paused",
    set_server(state="paused"),
    wire_all("silent"),
    no_sql(None, "no answer", "deadline"),
)
fault(
    A,
    "stopped by a signal",
    "not_accepting",
    "unresponsive",
    "process state T",
    set_server(postmaster_state="T"),
    wire_all("silent"),
    no_sql(None, "no answer", "deadline"),
)
fault(A, "hung", "not_accepting", "unresponsive", "silent", wire_all("silent"), no_sql(None, "no answer", "deadline"))
fault(
    A,
    "hung, backlog full",
    "not_accepting",
    "unresponsive",
    "timeout",
    wire_all("timeout"),
    set_reach(outcome="timeout", answered=0, loss_percent=100.0, latency_ms=None),
    no_sql(None, "no answer", "deadline"),
)
local_only = [{"address": "127.0.0.1", "port": 5432, "ours": True}, {"address": "::1", "port": 5432, "ours": True}]
fault(
    A,
    "only locally",
    "not_accepting",
    "not_listening",
    "network 172.18.0.2:5432: refused",
    set_server(listening=local_only),
    set_configured(listen_addresses="localhost"),
    set_wire(wire("socket", "/run/s"), wire("network", "172.18.0.2:5432", "refused")),
    set_reach(outcome="refused"),
)
fault(
    A,
    "moved port",
    "not_accepting",
    "not_listening",
    "shop-api-1 connects to port 5432, but the server listens on 0.0.0.0:6432",
    set_server(listening=[{"address": "0.0.0.0", "port": 6432, "ours": True}]),
    set_configured(port=6432),
    set_wire(wire("socket", "/run/s"), wire("network", "172.18.0.2:6432")),
    set_reach(outcome="refused"),
)
fault(
    A,
    "no port at all",
    "not_accepting",
    "not_listening",
    "refused",
    set_server(listening=[]),
    set_configured(listen_addresses=""),
    set_wire(wire("socket", "/run/s"), wire("network", "172.18.0.2:5432", "refused")),
    set_reach(outcome="refused"),
)
fault(
    A,
    "something else there",
    "not_accepting",
    "unknown",
    "not postgresql",
    set_wire(wire("login_host", "db.example.com:5432", "not_postgresql")),
    no_sql(),
    login_fails("failed"),
    base=remote(),
)
fault(
    A,
    "nobody there",
    "not_accepting",
    "unknown",
    "missing",
    set_wire(wire("socket", "/run/s", "missing"), wire("network", "172.18.0.2:5432", "refused")),
    no_sql(),
    set_reach(outcome="refused"),
)

fault(
    A,
    "paused behind the engine's proxy",
    "not_accepting",
    "unresponsive",
    "silent",
    set_wire(wire("socket", "/run/s", "silent"), wire("published", "127.0.0.1:5432", "unreachable")),
    login_fails("timeout"),
    no_sql(None, "no answer", "deadline"),
)

# 3. network
N = "network"
apart = set_client(
    networks=[{"name": "shop_other", "address": "172.19.0.3", "aliases": [], "attached": True}], shared_networks=[]
)
fault(
    N,
    "lost alias",
    "network_unreachable",
    "dns_failure",
    "shop-api-1 cannot resolve postgres: not found",
    unresolved(),
    set_server(networks=[{"name": "shop_backend", "address": "172.18.0.2", "aliases": [], "attached": True}]),
)
fault(
    N,
    "the name leads astray",
    "network_unreachable",
    "dns_failure",
    "resolves postgres to 172.18.0.9, but the server has",
    set_server(networks=[{"name": "shop_backend", "address": "172.18.0.2", "aliases": [], "attached": True}]),
    set_reach(outcome="refused"),
    set_client(
        resolution={
            "name": "postgres",
            "addresses": ["172.18.0.9"],
            "nameserver": "127.0.0.11",
            "error": None,
            "elapsed_ms": 1.0,
        }
    ),
)
fault(
    N,
    "client detached",
    "network_unreachable",
    "no_shared_network",
    "shop-api-1 and shop-postgres-1 share no network",
    unresolved(),
    apart,
)
fault(
    N,
    "server detached",
    "network_unreachable",
    "no_shared_network",
    "share no network",
    unresolved("no_nameserver"),
    set_client(shared_networks=[]),
    set_server(networks=[{"name": "shop_backend", "address": None, "aliases": [], "attached": False}]),
    set_wire(wire("socket", "/run/s")),
)
fault(
    N,
    "attached to nothing",
    "network_unreachable",
    "no_shared_network",
    "share no network",
    unresolved("timeout"),
    set_client(shared_networks=[], networks=[]),
)
fault(
    N,
    "refused packets",
    "network_unreachable",
    "refused",
    "shop-api-1 to 172.18.0.2:5432: refused, 10 probes",
    set_reach(outcome="refused", latency_ms=None),
)
fault(
    N,
    "dropped packets",
    "network_unreachable",
    "timeout",
    "timeout, 0 of 10 probes answered (100 % lost)",
    set_reach(outcome="timeout", answered=0, loss_percent=100.0, latency_ms=None),
)
fault(
    N,
    "no route",
    "network_unreachable",
    "timeout",
    "unreachable, 0 of 10",
    set_reach(outcome="unreachable", answered=0, loss_percent=100.0, latency_ms=None),
)
fault(
    N,
    "60 % loss",
    "network_unreachable",
    "packet_loss",
    "8 of 20 probes answered (60 % lost)",
    set_reach(probes=20, answered=8, loss_percent=60.0),
)
fault(
    N,
    "60 % loss, no login",
    "network_unreachable",
    "packet_loss",
    "(60 % lost)",
    set_reach(probes=20, answered=8, loss_percent=60.0, outcome="timeout"),
)
fault(
    N,
    "dns, from outside",
    "network_unreachable",
    "dns_failure",
    "here cannot resolve db.example.com",
    unresolved(),
    no_sql(),
    set_wire(wire("login_host", "db.example.com:5432", "unreachable")),
    base=remote(),
)
fault(
    N,
    "timeout, from outside",
    "network_unreachable",
    "timeout",
    "timeout",
    set_wire(wire("login_host", "db.example.com:5432", "timeout")),
    no_sql(),
    lambda facts: change(facts, clients=[]),
    base=remote(),
)

fault(
    N,
    "a firewall that rejects, at the server itself",
    "network_unreachable",
    "refused",
    "refused, 10 probes",
    set_wire(wire("socket", "/run/s"), wire("network", "172.18.0.2:5432", "refused")),
    set_reach(outcome="refused", latency_ms=None),
)

# 4. connections
C = "connections"
refused = login_fails("rejected", "53300", "remaining connection slots are reserved")
too_many = wire_all("rejecting", "53300", "sorry, too many clients already")
fault(
    C,
    "leak",
    "pool_exhausted",
    "idle_connections",
    "97 of 97 usable connection slots in use",
    set_groups(group(90), group(7, "active")),
    refused,
)
fault(
    C,
    "idle in transaction",
    "pool_exhausted",
    "idle_in_transaction",
    "97 of 97",
    refused,
    set_groups(group(30), group(40, "idle in transaction"), group(27, "idle in transaction (aborted)")),
)
fault(
    C,
    "overload",
    "pool_exhausted",
    "active_overload",
    "97 of 97",
    set_groups(group(3), group(94, "active")),
    set_connections(active=[session(7, seconds=31)]),
    refused,
)
fault(
    C,
    "no slot at all",
    "pool_exhausted",
    "idle_connections",
    "53300",
    too_many,
    no_sql("53300", "sorry, too many"),
    set_server(processes=titles(*["postgres: postgres shop 172.18.0.3(%d) idle" % port for port in range(5000, 5100)])),
)
fault(
    C,
    "no slot at all, in transactions",
    "pool_exhausted",
    "idle_in_transaction",
    "53300",
    too_many,
    no_sql("53300", "sorry, too many"),
    set_server(processes=titles(*["postgres: postgres shop [local] idle in transaction"] * 20)),
)
fault(
    C,
    "no slot at all, from outside",
    "pool_exhausted",
    "idle_connections",
    "53300",
    too_many,
    no_sql("53300", "sorry, too many clients already"),
    base=remote(),
)
fault(
    C,
    "states hidden, titles open",
    "pool_exhausted",
    "active_overload",
    "97 of 97",
    refused,
    set_groups(group(97, None)),
    set_server(processes=titles(*["postgres: app shop [local] SELECT"] * 5, "postgres: app shop [local] idle")),
)
for_role = login_fails("rejected", "53300", 'too many connections for role "app"')
fault(
    C,
    "role limit",
    "pool_exhausted",
    "role_limit",
    "role app: 8 of 8 connections (CONNECTION LIMIT 8)",
    for_role,
    lambda facts: change(sql(facts)["limits"], roles=[{"name": "app", "limit": 8, "used": 8}]),
)
fault(
    C,
    "database limit",
    "pool_exhausted",
    "database_limit",
    "database shop: 8 of 8 connections",
    refused,
    lambda facts: change(sql(facts)["limits"], databases=[{"name": "shop", "limit": 8, "used": 8}]),
)
fault(
    C,
    "role limit, from outside",
    "pool_exhausted",
    "role_limit",
    "53300",
    wire_all("rejecting", "53300", 'too many connections for role "app"'),
    no_sql("53300", 'too many connections for role "app"'),
    base=remote(),
)
fault(C, "a burst that has passed", "pool_exhausted", "idle_connections", "53300", refused)

# 5. login
L = "login"
wrong = login_fails("rejected", "28P01", 'password authentication failed for user "app"')
not_let_in = login_fails("rejected", "28000", "rejected")
by_catalog = login_fails("rejected", None, "rejected")
fault(
    L,
    "wrong password",
    "authentication_failed",
    "wrong_password",
    "does not match the stored verifier of role app",
    wrong,
    set_client(password_matches=False),
)
fault(
    L,
    "wrong password, verifier hidden",
    "authentication_failed",
    "wrong_password",
    "rejects the password",
    wrong,
    set_client(password_matches=None),
    set_role(verifier=None),
)
fault(
    L,
    "no password set",
    "authentication_failed",
    "wrong_password",
    "role app has no password",
    wrong,
    set_client(password_matches=None),
    set_role(verifier="none"),
)
fault(
    L,
    "no password given",
    "authentication_failed",
    "wrong_password",
    "sends no password",
    login_fails("failed"),
    set_client(password_matches=None),
    set_login(password_given=False),
)
fault(
    L,
    "md5 verifier, scram line",
    "authentication_failed",
    "wrong_password",
    "the stored password of role app is md5",
    wrong,
    set_role(verifier="md5"),
)
fault(
    L,
    "missing role",
    "authentication_failed",
    "role_missing",
    "role app does not exist",
    wrong,
    set_role(exists=False, can_login=None, expired=None, verifier=None),
    set_client(password_matches=None),
)
fault(
    L,
    "missing role, trusted",
    "authentication_failed",
    "role_missing",
    "role app does not exist",
    not_let_in,
    set_rules(hba(1, "host", "all", "all", "all", "trust")),
    set_role(exists=False),
)
fault(
    L,
    "NOLOGIN",
    "authentication_failed",
    "login_not_permitted",
    "role app is NOLOGIN",
    not_let_in,
    set_role(can_login=False),
)
fault(
    L,
    "expired",
    "authentication_failed",
    "password_expired",
    "expired (VALID UNTIL 2026-01-01",
    wrong,
    set_role(expired=True, valid_until="2026-01-01T00:00:00Z"),
)
fault(
    L,
    "no line",
    "authentication_failed",
    "no_hba_entry",
    "no pg_hba.conf line matches host (no TLS) shop app 172.18.0.3",
    not_let_in,
    set_rules(hba(1, "local", "all", "all", None, "trust")),
)
fault(
    L,
    "rejecting line",
    "authentication_failed",
    "no_hba_entry",
    "pg_hba.conf line 1: host all app all reject",
    not_let_in,
    set_rules(hba(1, "host", "all", "app", "all", "reject"), hba(2, "host", "all", "all", "all", "scram-sha-256")),
)
fault(
    L,
    "line not loaded",
    "authentication_failed",
    "no_hba_entry",
    "line 4: host all all all scram-sha-256 would allow it",
    not_let_in,
)
fault(
    L,
    "TLS demanded",
    "authentication_failed",
    "ssl_required",
    "no pg_hba.conf line matches host (no TLS)",
    not_let_in,
    set_rules(hba(1, "hostssl", "all", "all", "all", "scram-sha-256")),
)
fault(
    L,
    "TLS not offered",
    "authentication_failed",
    "ssl_required",
    "the server offers no TLS",
    login_fails("no_tls"),
    set_login(ssl_mode="require"),
)
fault(
    L,
    "missing database",
    "authentication_failed",
    "database_missing",
    "database shop does not exist",
    login_fails("rejected", "3D000", 'database "shop" does not exist'),
    set_database(exists=False),
)
fault(
    L,
    "no CONNECT",
    "authentication_failed",
    "connect_privilege",
    "role app has no CONNECT privilege on database shop",
    login_fails("rejected", "42501", "permission denied"),
    set_database(connect_privilege={"app": False}),
)
fault(
    L,
    "untrusted certificate",
    "authentication_failed",
    "unknown",
    "does not trust the server's certificate",
    login_fails("bad_certificate"),
    set_login(ssl_mode="verify-full"),
)
fault(
    L,
    "database closed",
    "authentication_failed",
    "unknown",
    "accepts no connections",
    login_fails("rejected", "55000", "not accepting"),
    set_database(allows_connections=False),
)
fault(
    L,
    "peer",
    "authentication_failed",
    "unknown",
    "look right",
    not_let_in,
    set_rules(hba(1, "host", "all", "all", "all", "ident")),
)
fault(
    L,
    "by the catalog: role",
    "authentication_failed",
    "role_missing",
    "does not exist",
    by_catalog,
    set_role(exists=False, verifier=None),
)
fault(
    L,
    "by the catalog: password",
    "authentication_failed",
    "wrong_password",
    "does not match",
    by_catalog,
    set_client(password_matches=False),
)
fault(
    L,
    "by the catalog: expired",
    "authentication_failed",
    "password_expired",
    "expired",
    by_catalog,
    set_role(expired=True, valid_until="x"),
)
fault(
    L,
    "by the catalog: NOLOGIN",
    "authentication_failed",
    "login_not_permitted",
    "NOLOGIN",
    by_catalog,
    set_role(can_login=False),
)
fault(
    L,
    "by the catalog: database",
    "authentication_failed",
    "database_missing",
    "does not exist",
    by_catalog,
    set_database(exists=False, connect_privilege={}),
)
fault(
    L,
    "by the catalog: CONNECT",
    "authentication_failed",
    "connect_privilege",
    "no CONNECT",
    by_catalog,
    set_database(connect_privilege={"app": False}),
)
fault(
    L, "by the catalog: line", "authentication_failed", "no_hba_entry", "no pg_hba.conf line", by_catalog, set_rules()
)
fault(
    L,
    "no catalog",
    "authentication_failed",
    "unknown",
    "wrong password, missing role or expired password",
    wrong,
    no_sql("28P01", "password authentication failed"),
    base=remote(),
)

# 6. activity
Q = "activity"


def chain(*edges: object) -> Alter:
    return set_activity(blocking=list(edges), involved=[session(1, "idle in transaction", 90), session(2), session(3)])


fault(
    Q,
    "lock chain",
    "queries_hanging",
    "blocked_by_lock",
    "from 172.18.0.3, idle in transaction, blocks 2 sessions (1 directly), the longest for 1 min 30 s",
    chain(edge(2, 1, 90), edge(3, 2, 80)),
)
fault(
    Q,
    "an autovacuum to prevent wraparound blocks",
    "queries_hanging",
    "blocked_by_lock",
    "autovacuum worker, blocks 1 session",
    set_activity(
        blocking=[edge(2, 1, 90)],
        involved=[
            session(1, backend_type="autovacuum worker", query="autovacuum: VACUUM public.t (to prevent wraparound)"),
            session(2),
        ],
    ),
)
fault(
    Q,
    "commits wait for a standby that is gone",
    "queries_hanging",
    "sync_replication_wait",
    "3 commits waiting for a synchronous standby, the longest for 1 min",
    set_activity(
        sync_replication={"waiting": 3, "longest_seconds": 60.0, "standby_names": 'FIRST 1 (here, "there-2")'},
        blocking=[edge(2, 1, 90)],
        involved=[session(1), session(2)],
    ),
)
fault(
    Q,
    "login behind a lock",
    "queries_hanging",
    "blocked_by_lock",
    "pid 1,",
    chain(edge(2, 1, 4)),
    login_fails("timeout"),
)
fault(
    Q,
    "lock on the catalog",
    "queries_hanging",
    "blocked_by_lock",
    "2 new sessions waiting for a lock",
    wire_all("silent"),
    no_sql(None, "no answer", "deadline"),
    set_server(
        processes=titles(
            "postgres: postgres shop [local] idle in transaction",
            "postgres: app shop 172.18.0.3(4000) authentication waiting",
            "postgres: postgres postgres [local] startup waiting",
        )
    ),
)
fault(
    Q,
    "orphan",
    "queries_hanging",
    "prepared_transaction",
    "prepared transaction 'order-7' blocks 1 session",
    set_activity(
        blocking=[edge(2, 0, 90, "order-7")],
        involved=[session(2)],
        prepared=[prepared("order-7")],
    ),
)
fault(
    Q,
    "long query",
    "queries_hanging",
    "long_running",
    "active for 15 min: SELECT pg_sleep(3600)",
    set_activity(long_queries=[session(7, seconds=900, query="SELECT pg_sleep(3600)")]),
)

# 7. soundness
S = "soundness"
fault(
    S,
    "checksum failure",
    "data_corruption",
    "checksum_failure",
    "shop: 3 checksum failures",
    set_soundness(checksum_failures=[{"database": "shop", "count": 3, "last_failure": "2026-11-24T01:00:00Z"}]),
)
fault(
    S,
    "damaged page",
    "data_corruption",
    "damaged_page",
    "invalid page",
    set_server(log=[log("ERROR: invalid page in block 7", None, "ERROR", "XX001")]),
)
fault(
    S,
    "damaged index",
    "data_corruption",
    "damaged_index",
    "unexpected zero page",
    set_server(log=[log("ERROR: index contains unexpected zero page", None, "ERROR", "XX002")]),
)
fault(
    S,
    "old transactions",
    "wraparound_risk",
    "transaction_age",
    "transaction age of database shop: 1,200,000,000",
    set_soundness(transaction_age=[{"database": "shop", "xid_age": 1_200_000_000, "multixact_age": 4}]),
)
fault(
    S,
    "old multixacts",
    "wraparound_risk",
    "multixact_age",
    "multixact age of database shop: 1,200,000,000",
    set_soundness(transaction_age=[{"database": "shop", "xid_age": 7, "multixact_age": 1_200_000_000}]),
)
fault(
    S,
    "disk full",
    "storage_full",
    "data_directory",
    "free space on %s: 0 B of 200 MiB" % DATA,
    set_server(disks=[disk(200 * MIB, 0)]),
)
fault(
    S,
    "300 MB of 1 TB",
    "storage_full",
    "data_directory",
    "300 MiB of 1 TiB",
    set_server(disks=[disk(1024 * GIB, 300 * MIB)]),
)
fault(
    S,
    "WAL disk full",
    "storage_full",
    "wal",
    "pg_wal: 0 B",
    set_server(disks=[disk(100 * GIB, 60 * GIB), disk(GIB, 0, "wal")]),
)
fault(
    S,
    "no inodes",
    "storage_full",
    "inodes",
    "free inodes",
    set_server(disks=[disk(100 * GIB, 60 * GIB, free_inodes=3)]),
)
standby = {
    "application": "standby1",
    "client_address": "172.18.0.9",
    "state": "streaming",
    "sync_state": "async",
    "replay_lag_seconds": 900.0,
    "replay_lag_bytes": 3 * GIB,
}
fault(
    S,
    "standby behind",
    "replication_lag",
    "standby_behind",
    "standby standby1 (172.18.0.9, streaming) is 15 min behind, 3 GiB of WAL",
    set_soundness(standbys=[standby]),
)


def recovery(facts: Facts) -> None:
    facts["target"]["in_recovery"] = sql(facts)["in_recovery"] = True


fault(
    S,
    "I am behind",
    "replication_lag",
    "standby_behind",
    "this standby is 15 min behind its primary",
    recovery,
    set_soundness(receiver={"status": "streaming", "sender_host": "p", "replay_lag_seconds": 900.0}),
)
fault(
    S,
    "primary lost",
    "replication_lag",
    "receiver_down",
    "no WAL receiver is running",
    recovery,
    set_soundness(receiver={"status": None, "sender_host": None, "replay_lag_seconds": None}),
    set_server(log=[log("FATAL: could not connect to the primary server: refused")]),
)


# and when no question says why
def sick(facts: Facts) -> None:
    failed("closed")(facts["clients"][0])


fault("", "a client fails for no reason", "unknown", None, "shop-api-1 cannot log in: closed", sick)
fault(
    "",
    "only its health fails",
    "unknown",
    None,
    "health check of shop-api-1",
    lambda facts: change(
        facts["clients"][0],
        health={"url": "http://api/health", "status": 503, "ok": False, "body": "pool timeout", "error": None},
    ),
)
fault(
    "",
    "SQL hangs",
    "unknown",
    None,
    "no answer in 10 s",
    no_sql(None, "no answer in 10 s", "deadline"),
)
fault(
    "",
    "nothing to be seen",
    "unknown",
    None,
    "no answer in 10 s",
    lambda facts: change(
        facts, server=None, wire=[], clients=[], snapshot=None, errors={"server": "no answer in 10 s"}
    ),
)

ALL = [(question, each) for question, faults in FAULTS.items() for each in faults]


# --- and what is no fault, however it looks ---------------------------------------------------------------------------


class Well(NamedTuple):
    name: str
    facts: Facts
    findings: Tuple[str, ...] = ()


def second(**values: object) -> Alter:
    def alter(facts: Facts) -> None:
        other = client("worker")
        change(other, **values)
        facts["clients"].append(other)

    return alter


def unused_listener(facts: Facts) -> None:
    of(facts)["listening"] = []
    facts["wire"] = [wire("socket", "/run/s"), wire("network", "10.0.0.2:5432", "refused")]


WELL = [
    Well("idle", healthy(set_groups())),
    Well("as it is", healthy()),
    Well("busy at 40 %", healthy(set_groups(group(20), group(19, "active")))),
    Well("at 80 %", healthy(set_groups(group(77)))),
    Well("nearly exhausted", healthy(set_groups(group(90))), ("pool_nearly_exhausted",)),
    Well(
        "a client on the socket",
        healthy(unused_listener, set_login(host="/var/run/postgresql"), set_client(reach=None, resolution=None)),
    ),
    Well(
        "here, on loopback",
        healthy(unused_listener, set_login(host="127.0.0.1"), set_client(name="here", place="here")),
    ),
    Well("nobody asks for the network", healthy(unused_listener, lambda facts: change(facts, clients=[]))),
    Well(
        "behind a proxy",
        healthy(
            set_login(host="pgbouncer", port=6432),
            set_client(
                shared_networks=[],
                resolution={
                    "name": "pgbouncer",
                    "addresses": ["172.20.0.4"],
                    "nameserver": None,
                    "error": None,
                    "elapsed_ms": 1.0,
                },
            ),
        ),
    ),
    Well("no client declared", healthy(lambda facts: change(facts, clients=[]))),
    Well("a little loss", healthy(set_reach(probes=20, answered=17, loss_percent=15.0)), ("packet_loss",)),
    Well(
        "a pool as large as its role's limit",
        healthy(lambda facts: change(sql(facts)["limits"], roles=[{"name": "app", "limit": 8, "used": 8}])),
        ("connection_limit_reached",),
    ),
    Well(
        "a role locked out by limit 0",
        healthy(lambda facts: change(sql(facts)["limits"], roles=[{"name": "old", "limit": 0, "used": 0}])),
    ),
    Well("waits for a lock, briefly", healthy(chain(edge(2, 1, 4)))),
    Well(
        "a backup",
        healthy(set_activity(long_queries=[session(8, seconds=9000, application="pg_dump", query="COPY x")])),
        ("long_maintenance",),
    ),
    Well(
        "a vacuum",
        healthy(set_activity(long_queries=[session(8, seconds=9000, query="VACUUM (FREEZE) orders")])),
        ("long_maintenance",),
    ),
    Well(
        "an open transaction",
        healthy(
            lambda facts: change(
                sql(facts)["connections"],
                idle_in_transaction=[session(9, "idle in transaction", 900)],
                long_idle_in_transaction=1,
            )
        ),
        ("idle_in_transaction",),
    ),
    Well(
        "a short transaction",
        healthy(
            lambda facts: change(sql(facts)["connections"], idle_in_transaction=[session(9, "idle in transaction", 3)])
        ),
    ),
    Well(
        "a prepared transaction",
        healthy(set_activity(prepared=[prepared("g")])),
        ("prepared_transaction",),
    ),
    Well("a small volume", healthy(set_server(disks=[disk(200 * MIB, 100 * MIB)]))),
    Well("a low disk", healthy(set_server(disks=[disk(100 * GIB, 4 * GIB)])), ("storage_low",)),
    Well("no inode count", healthy(set_server(disks=[disk(100 * GIB, 60 * GIB, inodes=None, free_inodes=None)]))),
    Well("inodes of btrfs", healthy(set_server(disks=[disk(100 * GIB, 60 * GIB, inodes=0, free_inodes=0)]))),
    Well(
        "a hot standby",
        healthy(
            recovery,
            set_directory(standby_signal=True),
            set_soundness(receiver={"status": "streaming", "sender_host": "p", "replay_lag_seconds": None}),
        ),
    ),
    Well(
        "a standby fed from an archive",
        healthy(
            recovery,
            set_directory(standby_signal=True),
            set_soundness(receiver={"status": None, "sender_host": None, "replay_lag_seconds": None}),
        ),
        ("no_wal_receiver",),
    ),
    Well("a standby being made", healthy(set_soundness(standbys=[dict(standby, state="backup")]))),
    Well(
        "an inactive slot",
        healthy(
            set_soundness(
                slots=[
                    {
                        "name": "s",
                        "type": "physical",
                        "active": False,
                        "retained_bytes": 3 * GIB,
                        "wal_status": "extended",
                    }
                ]
            )
        ),
        ("inactive_slot",),
    ),
    Well(
        "collations that have moved",
        healthy(
            set_soundness(
                collations=[
                    {
                        "database": "shop",
                        "name": "default",
                        "recorded_version": "2.31",
                        "actual_version": "2.36",
                        "indexes": 2,
                        "bytes": 3 * GIB,
                        "largest": ["public.by_name", "public.by_label"],
                    }
                ]
            )
        ),
        ("collation_version_moved",),
    ),
    Well(
        "a slot in use",
        healthy(
            set_soundness(
                slots=[
                    {
                        "name": "s",
                        "type": "physical",
                        "active": True,
                        "retained_bytes": 3 * GIB,
                        "wal_status": "extended",
                    }
                ]
            )
        ),
    ),
    Well(
        "an error in its files",
        healthy(
            set_configured(file_errors=[{"file": "postgresql.conf", "line": 3, "name": "work_mem", "error": "invalid"}])
        ),
        ("configuration_error",),
    ),
    Well(
        "an error in pg_hba.conf",
        healthy(
            set_rules(
                *(sql(healthy())["configured"]["hba_rules"] or []),
                hba(9, "host", "all", "all", "all", "x", error="invalid authentication method", type=None),
            )
        ),
        ("hba_error",),
    ),
    Well(
        "a line that waits for TLS",
        healthy(
            set_rules(
                hba(
                    1,
                    "hostssl",
                    "all",
                    "all",
                    "all",
                    "md5",
                    error="hostssl record cannot match because SSL is disabled",
                ),
                hba(2, "host", "all", "all", "all", "scram-sha-256"),
            )
        ),
    ),
    Well(
        "waiting for a restart",
        healthy(set_configured(pending_restart=[{"name": "shared_buffers", "setting": "1GB"}])),
        ("pending_restart",),
    ),
    Well("a limited view", healthy(lambda facts: change(sql(facts), limited=True)), ("limited_view",)),
    Well("deadlocks of old", healthy(set_activity(deadlocks=[{"database": "shop", "count": 3}])), ("deadlocks",)),
    Well("a child killed for memory", healthy(set_server(out_of_memory=True)), ("memory_exhausted",)),
    Well("restarted", healthy(set_server(restart_count=1, uptime_seconds=60.0)), ("restarted",)),
    Well("restarted long ago", healthy(set_server(restart_count=4))),
    Well(
        "a log from before",
        healthy(set_server(log=[log("invalid page", None, "ERROR", "XX001", "2026-11-19T00:00:00+00:00")])),
    ),
    Well(
        "a log in German",
        healthy(set_server(log=[log("FEHLER: Relation »x« existiert nicht", None, "OTHER", "42P01")])),
    ),
    Well("from outside", remote()),
]
