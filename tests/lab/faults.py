# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault of the lab: how it is made, for real, and what triage must say of it.

A fault's ``prove`` (where making it is not proof enough) fails when the fault is not there, before triage is asked.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .images import image
from .stack import ADMIN_PASSWORD, PASSWORD, Stack, docker, run, wait_for

Act = Callable[[Stack], Any]
RUNNING, ACCEPTING, NETWORK, CONNECTIONS, LOGIN, ACTIVITY, SOUNDNESS = QUESTIONS = (
    "running",
    "accepting",
    "network",
    "connections",
    "login",
    "activity",
    "soundness",
)
ADMIN_DSN = "postgresql://postgres:%s@postgres:5432/shop" % ADMIN_PASSWORD


@dataclass(frozen=True)
class Fault:
    id: str
    make: Act
    code: str
    cause: str | None
    evidence: str  # a regular expression that one line of the verdict's evidence matches
    question: str | None = None  # the one answered with "no"
    remedy: str | None = None  # playbook, without the collection's name
    also: tuple[str, ...] = ()  # codes of other findings that may be there
    override: Mapping[str, Any] | str = ""  # of the Compose file
    options: Mapping[str, Any] = field(default_factory=dict)  # of the target
    before: Act | None = None  # makes what ``override`` needs
    version: str = "17"
    variables: Mapping[str, str | bool] = field(default_factory=dict)  # what ``extra_vars`` of the remedy must hold
    moves: bool = False  # the fault goes on by itself: states before and after may differ


def server(**settings: Any) -> dict[str, Any]:
    """An override of the server's service."""
    return {"services": {"postgres": settings}}


def client_url(rest: str) -> dict[str, Any]:
    """An override of what the API connects to."""
    url = "postgresql://app:%s@%s" % (PASSWORD, rest)
    return {"services": {"api": {"environment": {"DATABASE_URL": url}}}}


def command(*settings: str) -> dict[str, Any]:
    given = ["max_connections=30", "max_prepared_transactions=5", *settings]
    return server(command=["postgres", *(word for one in given for word in ("-c", one))])


def client_stopped(stack: Stack) -> None:
    docker("stop", stack.name(stack.client))


def client_paused(stack: Stack) -> None:
    docker("pause", stack.name(stack.client))


# --- 1. Is PostgreSQL running? ------------------------------------------------------------------


def killed(stack: Stack) -> None:
    docker("kill", stack.name())
    stack.wait_exited()


def out_of_memory(stack: Stack) -> None:
    """The kernel's choice is the postmaster: something else in the container takes all memory."""
    stack.execute("sh", "-c", "echo 1000 > /proc/1/oom_score_adj")
    # tail keeps its whole input, which has no line end, in memory.
    stack.execute("sh", "-c", "echo -900 > /proc/self/oom_score_adj; tail /dev/zero", check=False)
    stack.wait_exited()
    assert stack.state()["OOMKilled"], stack.state()


def altered(name: str, value: str) -> Act:
    def act(stack: Stack) -> None:
        stack.sql("ALTER SYSTEM SET %s = '%s'" % (name, value))
        docker("restart", "-t", "20", stack.name())
        stack.wait_exited()

    return act


def restarted_with(*lines: str) -> Act:
    def act(stack: Stack) -> None:
        stack.configure(*lines)
        docker("restart", "-t", "5", stack.name())
        stack.wait_exited()

    return act


def restart_loop(stack: Stack) -> None:
    stack.configure("shared_buffers = banana")
    docker("restart", "-t", "5", stack.name())
    wait_for(lambda: stack.inspect()["RestartCount"] >= 3)


def wrong_mode(stack: Stack) -> None:
    stack.stop()
    stack.data().chmod(0o777)
    stack.start_server()
    stack.wait_exited()


def wrong_owner(stack: Stack) -> None:
    stack.stop()
    run(["chown", "-R", "1234:1234", str(stack.data())])
    stack.start_server()
    stack.wait_exited()


def control_file(stack: Stack) -> None:
    stack.stop()
    with open(stack.data() / "global" / "pg_control", "r+b") as file:
        file.write(b"\xff" * 200)
    stack.start_server()
    stack.wait_exited()


def of_another_major(version: str, **settings: Any) -> Act:
    """The image's tag was changed, the volume is the same."""

    def act(stack: Stack) -> None:
        stack.environment["LAB_POSTGRES_IMAGE"] = image("postgres:" + version)
        stack.start(server(**settings) if settings else None)
        stack.wait_exited()

    return act


# As the official images do from 18 on: another PGDATA, on a volume of its own, and no start beside an older cluster.
MOVED = {
    "environment": {"PGDATA": "/var/lib/postgresql/17/docker"},
    "volumes": ["/var/lib/postgresql"],
    "entrypoint": ["sh", "-c", "echo 'Error: there appears to be PostgreSQL data in /var/lib/postgresql/data'; exit 1"],
}


def half_initialised(stack: Stack) -> None:
    """initdb was killed before it made the control file."""
    stack.stop()
    (stack.data() / "global" / "pg_control").unlink()
    for database in (stack.data() / "base").iterdir():
        if database.name != "1":
            shutil.rmtree(database)
    stack.start_server()
    stack.wait_exited()


def damaged_wal(stack: Stack) -> None:
    """The segments that crash recovery needs are full of noise."""
    stack.sql("CREATE TABLE noise AS SELECT generate_series(1, 10000) n")
    killed(stack)
    for segment in (stack.data() / "pg_wal").iterdir():
        if re.fullmatch("[0-9A-F]{24}", segment.name):
            with open(segment, "r+b") as file:
                file.write(b"\xa5" * segment.stat().st_size)
    stack.start_server()
    stack.wait_exited()


def lost_wal(stack: Stack) -> None:
    stack.stop()
    for segment in (stack.data() / "pg_wal").iterdir():
        if segment.is_file():
            segment.unlink()
    stack.start_server()
    stack.wait_exited()


def _filler(stack: Stack) -> str:
    """Everything that is free on the data directory's file system."""
    file = stack.data().parent / "other-files"
    run(["sh", "-c", "cat /dev/zero > %s" % file], check=False)
    return str(file)


def on_a_small_disk(stack: Stack) -> dict[str, Any]:
    place = stack.small_disk(110)
    (place / "data").mkdir()
    mount = {"type": "bind", "source": str(place / "data"), "target": "/var/lib/postgresql/data"}
    return server(volumes=[mount])


def disk_full(stack: Stack) -> None:
    """WAL cannot be written: PANIC, and recovery cannot go on either."""
    _filler(stack)
    wal = "SELECT pg_logical_emit_message(true, 'lab', repeat('x', 1000000)) FROM generate_series(1, 40)"
    stack.sql(wal, check=False)
    wait_for(lambda: _panicked(stack))
    stack.wait_exited()


def _panicked(stack: Stack) -> bool:
    return "PANIC" in stack.log()


def few_files(stack: Stack) -> None:
    stack.compose("up", "-d", "--no-build", "postgres", override=server(ulimits={"nofile": 40}))
    stack.wait_exited()


def removed(stack: Stack) -> None:
    docker("rm", "-f", stack.name())


def taken_port(stack: Stack) -> None:
    """Somebody else holds the published port when the server comes back."""
    bound = stack.inspect()["NetworkSettings"]["Ports"]["5432/tcp"][0]["HostPort"]
    stack.stop()
    stack.compose("rm", "-f", "postgres")
    squatter = [stack.environment["LAB_POSTGRES_IMAGE"], "sleep", "600"]
    labels = ["--label", "com.docker.compose.project=" + stack.project, "--label", "com.docker.compose.service=other"]
    docker("run", "-d", *labels, "-p", "127.0.0.1:%s:5432" % bound, *squatter)
    ports = {"services": {"postgres": {"ports": ["127.0.0.1:%s:5432" % bound]}}}
    stack.compose("up", "-d", "--no-build", "postgres", override=ports, check=False)
    assert stack.state()["Status"] in ("created", "exited"), stack.state()


def taken_port_inside(stack: Stack) -> None:
    """In the network namespace that the two share, the port is taken before the server starts."""
    stack.stop()
    listener = "import socket,time; s=socket.socket(socket.AF_INET6); s.bind(('::',5432)); s.listen(); time.sleep(600)"
    docker("exec", "-d", stack.name("api"), "/usr/bin/python3", "-c", listener)
    listening = re.compile(r":1538 \S+ 0A ")  # 5432, as the kernel writes it
    wait_for(lambda: listening.search(Path("/proc/%d/net/tcp6" % stack.pid("api")).read_text()))
    stack.start_server()
    stack.wait_exited()


def empty_lock_file(stack: Stack) -> None:
    killed(stack)
    (stack.data() / "postmaster.pid").write_text("")
    stack.start_server()
    stack.wait_exited()


# --- 2. Is it accepting connections? ----------------------------------------------------------------------------------


def used_by_another(stack: Stack) -> None:
    """Shut down cleanly, then another container mounted its volume."""
    stack.stop()
    stack.second_server()


def removed_and_used(stack: Stack) -> None:
    """Nothing but the volume is left of it: created anew from its Compose file it would be the second one."""
    stack.stop()
    stack.second_server()
    docker("rm", stack.name())


def two_servers(stack: Stack) -> None:
    """The lock file keeps none out: each postmaster is process 1 of its own container."""
    stack.second_server()


def frozen(stack: Stack) -> None:
    run(["kill", "-STOP", str(stack.pid())])


def closed_standby(stack: Stack) -> None:
    stack.stop()
    (stack.data() / "standby.signal").touch()
    stack.configure("hot_standby = off")
    stack.start_server()
    wait_for(lambda: "startup" in stack.execute("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'"))
    wait_for(lambda: "consistent recovery state" in stack.log())


def slow_restore(stack: Stack) -> None:
    stack.stop()
    (stack.data() / "recovery.signal").touch()
    stack.configure("restore_command = 'sleep 600'")
    stack.start_server()
    wait_for(lambda: "sleep" in docker("top", stack.name()))


def shutting_down(stack: Stack) -> None:
    """A smart shutdown waits for the last session to go."""
    stack.call("leak", connections=1)
    docker("kill", "-s", "TERM", stack.name())
    wait_for(lambda: "received smart shutdown request" in stack.log())
    assert stack.state()["Running"]


def listens(*lines: str) -> Act:
    def act(stack: Stack) -> None:
        stack.configure(*lines)
        docker("restart", "-t", "5", stack.name())
        lock_file = stack.data() / "postmaster.pid"
        wait_for(lambda: lock_file.exists() and lock_file.read_text().strip().endswith("ready"))

    return act


def corrected_listener(stack: Stack) -> None:
    listens("listen_addresses = 'localhost'")(stack)
    stack.configure("listen_addresses = '*'")
    stack.reload()


# --- 3. Can clients reach it? -----------------------------------------------------------------------------------------


def detached(service: str) -> Act:
    return lambda stack: docker("network", "disconnect", stack.network(), stack.name(service))


def lost_alias(stack: Stack) -> None:
    docker("network", "disconnect", stack.network(), stack.name())
    docker("network", "connect", stack.network(), stack.name())


def filtered(*rule: str) -> Act:
    """A packet filter in the client's network namespace."""
    words = ("iptables", "-w", "-A", "OUTPUT", "-p", "tcp", "--dport", "5432", *rule)
    return lambda stack: stack.netns(*words, service="api")


# --- 4. Are connection slots available? -------------------------------------------------------------------------------


def leak(number: int, **more: Any) -> Act:
    def act(stack: Stack) -> None:
        stack.call("leak", connections=number, **more)

    return act


def leak_everything(stack: Stack) -> None:
    said = stack.call("leak", connections=40, dsn=ADMIN_DSN)
    assert said["error"], said
    assert "too many" in stack.sql("SELECT 1", check=False) or not stack.sql("SELECT 1", check=False)


def in_transaction(stack: Stack) -> None:
    stack.call("transaction", connections=27)


def overload(stack: Stack) -> None:
    stack.call("load", connections=27)
    _at_work(stack, 27, 1.6)


def role_limit(stack: Stack) -> None:
    stack.sql("ALTER ROLE app CONNECTION LIMIT 6")
    stack.call("leak", connections=6)


def database_limit(stack: Stack) -> None:
    stack.sql("ALTER DATABASE shop CONNECTION LIMIT 6")
    stack.call("leak", connections=6)


# --- 5. Can clients log in? -------------------------------------------------------------------------------------------


def statement(text: str, database: str = "shop") -> Act:
    return lambda stack: stack.sql(text, database=database)


def password_in_use(stack: Stack) -> None:
    """Its owner has changed it, and uses it: the client is what is wrong."""
    stack.sql("ALTER ROLE postgres PASSWORD 'another-one'")
    login = ["-e", "PGHOST=postgres", "-e", "PGUSER=postgres", "-e", "PGPASSWORD=another-one", "-e", "PGDATABASE=shop"]
    image = stack.environment["LAB_POSTGRES_IMAGE"]
    stack.beside("--network", stack.network(), *login, image, "psql", "-c", "SELECT pg_sleep(600)")
    there = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'"
    wait_for(lambda: int(stack.sql(there)))


def superusers_password(stack: Stack) -> None:
    """The runbook's own case, while somebody is looking around in psql on the server's host."""
    stack.session("SELECT 1", user="postgres")
    stack.sql("ALTER ROLE postgres PASSWORD 'another-one'")


def hba(*lines: str) -> Act:
    def act(stack: Stack) -> None:
        stack.hba(*lines)
        stack.reload()

    return act


def unloaded_hba(stack: Stack) -> None:
    hba("host all postgres all scram-sha-256")(stack)
    stack.hba("host all all all scram-sha-256")


def tls_on(stack: Stack) -> None:
    """A server with TLS that takes nothing else, and a client that does not want it."""
    key, certificate = stack.data() / "server.key", stack.data() / "server.crt"
    subject = ["-subj", "/CN=postgres", "-days", "2", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", *subject])
    for file in (key, certificate):
        file.chmod(0o600)
        run(["chown", "999:999", str(file)])
    stack.configure("ssl = on")
    stack.hba("hostssl all all all scram-sha-256")
    stack.reload()


def without_database(stack: Stack) -> None:
    kick = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop';\n"
    stack.sql(kick + "ALTER DATABASE shop RENAME TO shop_old", database="postgres")


# --- 6. Are queries getting through? ----------------------------------------------------------------------------------


def lock_chain(stack: Stack) -> None:
    stack.call("transaction", connections=1, sql="LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
    for _unused in range(2):
        stack.call("load", connections=1, sql="SELECT count(*) FROM items")
    stack.session("BEGIN; LOCK TABLE items IN EXCLUSIVE MODE;")
    _blocked_for(stack, 3, 1.2)


def orphan(stack: Stack) -> None:
    stack.sql("BEGIN; UPDATE items SET name = 'x' WHERE id = 1; PREPARE TRANSACTION 'import-42'")
    stack.call("load", connections=2, sql="UPDATE items SET name = 'y' WHERE id = 1")
    _blocked_for(stack, 2, 1.2)


def _blocked_for(stack: Stack, sessions: int, seconds: float) -> None:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND now() - query_start > interval '%s s'" % seconds
    )
    wait_for(lambda: int(stack.sql(waiting)) >= sessions, every=0.2)


def long_query(stack: Stack) -> None:
    stack.call("load", connections=1)
    _at_work(stack, 1, 1.6)


def _at_work(stack: Stack, sessions: int, seconds: float) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND now() - query_start > interval '%s s'"
    wait_for(lambda: int(stack.sql(query % ("'SELECT pg_sleep%'", seconds))) >= sessions, every=0.2)


# --- 7. Are data, disk and replication healthy? -----------------------------------------------------------------------


def checksum_failure(stack: Stack) -> None:
    """A page of a table is overwritten on the disk, then read."""
    path = stack.sql("CHECKPOINT; SELECT pg_relation_filepath('items')")
    stack.stop()
    with open(stack.data() / path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 512)
    stack.start_server()
    stack.wait_ready()
    stack.sql("SELECT count(*) FROM items", check=False)
    failures = "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database"
    wait_for(lambda: int(stack.sql(failures)) > 0)


OLD_AGE = 1_200_000_000


def old_age(stack: Stack) -> None:
    """A throw-away server's next transaction number is set far ahead; vacuum is too slow to help."""
    stack.stop()
    segment = stack.data() / "pg_xact" / ("%04X" % (OLD_AGE // 1048576))
    segment.write_bytes(b"\0" * 262144)
    run(["chown", "999:999", str(segment)])
    image = stack.environment["LAB_POSTGRES_IMAGE"]
    place = "%s:/var/lib/postgresql/data" % stack.data()
    reset = ["pg_resetwal", "-x", str(OLD_AGE), "-D", "/var/lib/postgresql/data"]
    docker("run", "--rm", "--network", "none", "-u", "postgres", "-v", place, image, *reset)
    stack.start_server()
    stack.wait_ready()
    assert int(stack.sql("SELECT max(age(datfrozenxid)) FROM pg_database")) > 1_000_000_000


SLOW_VACUUM = command("autovacuum=off", "autovacuum_vacuum_cost_delay=100ms", "autovacuum_vacuum_cost_limit=1")


def full_while_running(stack: Stack) -> None:
    _filler(stack)


# --- healthy ----------------------------------------------------------------------------------------------------------


def nothing(stack: Stack) -> None:
    pass


def busy(stack: Stack) -> None:
    """40 % of the usable slots, working."""
    stack.call("load", connections=11, sql="DO $$ BEGIN LOOP PERFORM pg_sleep(0.01); END LOOP; END $$")


def two_networks(stack: Stack) -> None:
    label = "com.docker.compose.project=" + stack.project
    docker("network", "create", "--label", label, stack.project + "_second")
    for service in ("postgres", "api"):
        docker("network", "connect", stack.project + "_second", stack.name(service))


OTHER_PORT = {
    "services": {
        "postgres": {
            "command": ["postgres", "-p", "6000"],
            "environment": {"PGPORT": "6000"},
            "healthcheck": {"disable": True},
        },
        "api": {"environment": {"DATABASE_URL": "postgresql://app:%s@postgres:6000/shop" % PASSWORD}},
    }
}
GERMAN = command("lc_messages=de_DE.UTF-8")
UNREADY = ("health", "client_down")
KEEPS_MODE = server(
    entrypoint=[
        "sh",
        "-c",
        '[ ! -s "$$PGDATA/PG_VERSION" ] || exec setpriv --reuid=postgres --regid=postgres --init-groups postgres\n'
        "exec docker-entrypoint.sh postgres",
    ],
    command=[],
)
# One network namespace for both. YAML, for only its tags take away what the file says.
SHARED_NAMESPACE = (
    """
services:
  postgres:
    network_mode: service:api
    ports: !reset []
    command: [postgres]
  api:
    environment:
      DATABASE_URL: postgresql://app:%s@localhost:5432/shop
"""
    % PASSWORD
)
NO_TLS = client_url("postgres:5432/shop?sslmode=disable")
WANTS_TLS = client_url("postgres:5432/shop?sslmode=require")


def _down(id: str, make: Act, cause: str, evidence: str, remedy: str | None = None, **more: Any) -> Fault:
    return Fault(id, make, "server_down", cause, evidence, RUNNING, remedy, **more)


def _deaf(id: str, make: Act, cause: str, evidence: str, remedy: str | None = None, **more: Any) -> Fault:
    return Fault(id, make, "not_accepting", cause, evidence, ACCEPTING, remedy, **more)


def _cut_off(id: str, make: Act, cause: str, evidence: str, remedy: str | None = None, **more: Any) -> Fault:
    return Fault(id, make, "network_unreachable", cause, evidence, NETWORK, remedy, **more)


def _full(id: str, make: Act, cause: str, evidence: str, remedy: str | None = "pool_reset", **more: Any) -> Fault:
    return Fault(id, make, "pool_exhausted", cause, evidence, CONNECTIONS, remedy, **more)


def _locked_out(id: str, make: Act, cause: str, evidence: str, remedy: str | None = None, **more: Any) -> Fault:
    return Fault(id, make, "authentication_failed", cause, evidence, LOGIN, remedy, **more)


def _hanging(
    id: str, make: Act, cause: str, evidence: str, remedy: str | None = "cancel_queries", **more: Any
) -> Fault:
    return Fault(id, make, "queries_hanging", cause, evidence, ACTIVITY, remedy, **more)


def _healthy(id: str, make: Act = nothing, **more: Any) -> Fault:
    return Fault(id, make, "healthy", None, "running", **more)


FAULTS = (
    _down("stopped", Stack.stop, "stopped", "exit code 0|exited", "start"),
    _down("used_by_another", used_by_another, "directory_in_use", "container .*-second-0 runs PostgreSQL.*pid [0-9]+"),
    _down(
        "removed_and_used", removed_and_used, "directory_in_use", "container .*-second-0 runs PostgreSQL.*pid [0-9]+"
    ),
    _down("two_servers", two_servers, "directory_in_use", "container .*-second-0 runs PostgreSQL.*pid [0-9]+"),
    _down("killed", killed, "killed", "SIGKILL|137|signal 9", "start"),
    _down("oom", out_of_memory, "out_of_memory", "(?i)oom|memory", override=server(mem_limit="160m")),
    _down("bad_setting", restarted_with("shared_buffers = banana"), "invalid_configuration", "shared_buffers|banana"),
    _down("altered", altered("shared_buffers", "500GB"), "invalid_configuration", "ALTER SYSTEM has set", "start"),
    _down("bad_setting_name", restarted_with("no_such_setting = 1"), "invalid_configuration", "no_such_setting"),
    _down(
        "bad_setting_german",
        restarted_with("lc_messages = 'de_DE.UTF-8'", "shared_buffers = banana"),
        "invalid_configuration",
        "shared_buffers|banana",
    ),
    _down(
        "bad_hba_file", restarted_with("hba_file = '/nowhere/pg_hba.conf'"), "invalid_configuration", "pg_hba|nowhere"
    ),
    _down(
        "restart_loop",
        restart_loop,
        "invalid_configuration",
        "shared_buffers|banana",
        override=server(restart="always"),
        moves=True,
    ),
    _down("wrong_mode", wrong_mode, "permission_denied", "0?777", override=KEEPS_MODE),
    _down("wrong_owner", wrong_owner, "permission_denied", "1234", override=server(user="999:999")),
    _down("control_file", control_file, "data_corruption", "(?i)pg_control|control file|checksum|CRC"),
    _down("newer_image", of_another_major("17"), "incompatible_version", "cluster of PostgreSQL 15", version="15"),
    _down("older_image", of_another_major("15"), "incompatible_version", "program is PostgreSQL 15"),
    _down(
        "moved_directory",
        of_another_major("17", **MOVED),
        "incompatible_version",
        "/var/lib/postgresql/data is a cluster of PostgreSQL 15",
        version="15",
    ),
    _down("half_initialised", half_initialised, "not_initialised", "initdb did not finish"),
    _down("damaged_wal", damaged_wal, "data_corruption", "(?i)checkpoint|WAL"),
    _down("lost_wal", lost_wal, "data_corruption", "(?i)checkpoint|WAL"),
    _down("disk_full", disk_full, "disk_full", "(?i)free|space", before=on_a_small_disk),
    _down("few_files", few_files, "too_many_open_files", "40"),
    _down("removed", removed, "missing_container", "(?i)no container"),
    _down("taken_port", taken_port, "port_conflict", "(?i)port is already|address already in use"),
    _down(
        "taken_port_inside",
        taken_port_inside,
        "port_conflict",
        "(?i)address already in use|port|5432",
        override=SHARED_NAMESPACE,
    ),
    _down("empty_lock_file", empty_lock_file, "stale_lock_file", "postmaster.pid"),
    _deaf("paused", lambda stack: docker("pause", stack.name()), "unresponsive", "paused"),
    _deaf("frozen", frozen, "unresponsive", "stopped by a signal|state T"),
    _deaf("closed_standby", closed_standby, "recovering", "standby.signal|recover|57P03"),
    _deaf("slow_restore", slow_restore, "recovering", "recovery.signal|recover|57P03"),
    _deaf("shutting_down", shutting_down, "shutting_down", "stopping"),
    _deaf("local_only", listens("listen_addresses = 'localhost'"), "not_listening", r"listen_addresses = 'localhost'"),
    _deaf("moved_port", listens("port = 5433"), "not_listening", "5433"),
    _deaf(
        "corrected_listener",
        corrected_listener,
        "not_listening",
        "pending restart",
        "graceful_restart",
        also=("pending_restart",),
    ),
    _cut_off("client_detached", detached("api"), "no_shared_network", "(?i)network", "network_repair"),
    _cut_off("server_detached", detached("postgres"), "no_shared_network", "(?i)network", "network_repair"),
    _cut_off("lost_alias", lost_alias, "dns_failure", "(?i)resolve|alias|name", "network_repair"),
    _cut_off("dropped", filtered("-j", "DROP"), "timeout", "(?i)timeout|timed out|no answer"),
    _cut_off("refused", filtered("-j", "REJECT", "--reject-with", "tcp-reset"), "refused", "(?i)refused"),
    _cut_off(
        "loss",
        filtered("-m", "statistic", "--mode", "random", "--probability", "0.6", "-j", "DROP"),
        "packet_loss",
        "(?i)loss|lost|of [12]0",
    ),
    Fault("client_stopped", client_stopped, "client_down", "stopped", "api-1 is exited, exit code", NETWORK),
    Fault("client_paused", client_paused, "client_down", "paused", "api-1 is paused", NETWORK),
    _full("idle_leak", leak(27), "idle_connections", "27 of 27 usable"),
    _full("superuser_leak", leak_everything, "idle_connections", "53300", also=("no_sql_facts",)),
    _full(
        "superuser_leak_german", leak_everything, "idle_connections", "53300", override=GERMAN, also=("no_sql_facts",)
    ),
    _full("in_transaction", in_transaction, "idle_in_transaction", "27 of 27 usable"),
    _full("overload", overload, "active_overload", "27 of 27 usable", "cancel_queries", also=("queries_hanging",)),
    _full("role_limit", role_limit, "role_limit", "role app.*6", variables={"oncall_user": "app"}),
    _full(
        "database_limit", database_limit, "database_limit", "database shop.*6", variables={"oncall_database": "shop"}
    ),
    _locked_out(
        "wrong_password",
        statement("ALTER ROLE app PASSWORD 'another-one'"),
        "wrong_password",
        "(?i)password",
        "credentials_reset",
        variables={"oncall_role": "app", "oncall_client": "api"},
    ),
    _locked_out(
        "wrong_password_superuser",
        superusers_password,
        "wrong_password",
        "(?i)password",
        "credentials_reset",
        variables={"oncall_role": "postgres", "oncall_allow_superuser": True},
        override={"services": {"api": {"environment": {"DATABASE_URL": ADMIN_DSN}}}},
    ),
    _locked_out(
        "password_in_use",
        password_in_use,
        "wrong_password",
        "(?i)password",
        override={"services": {"api": {"environment": {"DATABASE_URL": ADMIN_DSN}}}},
        options={"long_query_seconds": 300},
    ),
    _locked_out("role_missing", statement("ALTER ROLE app RENAME TO app_old"), "role_missing", "app"),
    _locked_out("nologin", statement("ALTER ROLE app NOLOGIN"), "login_not_permitted", "(?i)nologin|log in"),
    _locked_out(
        "expired", statement("ALTER ROLE app VALID UNTIL '2020-01-01 00:00:00+00'"), "password_expired", "2020-01-01"
    ),
    _locked_out("no_hba", hba("host all postgres all scram-sha-256"), "no_hba_entry", "pg_hba"),
    _locked_out("hba_reject", hba("host all all all reject"), "no_hba_entry", "reject"),
    _locked_out("unloaded_hba", unloaded_hba, "no_hba_entry", "pg_hba", "reload"),
    _locked_out("tls_demanded", tls_on, "ssl_required", "(?i)hostssl|tls", override=NO_TLS),
    _locked_out("tls_missing", nothing, "ssl_required", "(?i)tls|ssl", override=WANTS_TLS),
    _locked_out("database_missing", without_database, "database_missing", "shop"),
    _locked_out("no_connect", statement("REVOKE CONNECT ON DATABASE shop FROM PUBLIC"), "connect_privilege", "CONNECT"),
    _hanging("lock_chain", lock_chain, "blocked_by_lock", "idle in transaction.*blocks 3 sessions"),
    _hanging(
        "orphan",
        orphan,
        "prepared_transaction",
        "import-42.*blocks 2 sessions",
        "rollback_prepared",
        variables={"oncall_gid": "import-42"},
    ),
    _hanging("long_query", long_query, "long_running", "pg_sleep"),
    Fault("checksum", checksum_failure, "data_corruption", "checksum_failure", "(?i)checksum", SOUNDNESS),
    Fault("old_age", old_age, "wraparound_risk", "transaction_age", "1,[12]", SOUNDNESS, override=SLOW_VACUUM),
    Fault(
        "full_while_running",
        full_while_running,
        "storage_full",
        "data_directory",
        "(?i)free|full",
        SOUNDNESS,
        before=on_a_small_disk,
    ),
    _healthy("idle"),
    _healthy("busy", busy, options={"long_query_seconds": 300}),
    _healthy("german", override=GERMAN),
    _healthy("other_port", override=OTHER_PORT),
    _healthy("two_networks", two_networks),
    _healthy("shared_namespace", override=SHARED_NAMESPACE),
    _healthy("v13", version="13"),
    _healthy("v15", version="15"),
    _healthy("v18", version="18"),
    _full("idle_leak_v13", leak(27), "idle_connections", "27 of 27 usable", version="13"),
    _hanging("lock_chain_v15", lock_chain, "blocked_by_lock", "blocks 3 sessions", version="15"),
    _full("superuser_leak_v18", leak_everything, "idle_connections", "53300", version="18", also=("no_sql_facts",)),
    _locked_out(
        "wrong_password_v13",
        statement("ALTER ROLE app PASSWORD 'another-one'"),
        "wrong_password",
        "(?i)password",
        "credentials_reset",
        version="13",
    ),
)
