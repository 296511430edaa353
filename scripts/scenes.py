# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers whose results stand in the documentation: real ones, each with what its modules are for.

What a task registers is named after its module; ``module__something`` is another run of it, such as one that fails.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2

from scripts.samples import play, task
from tests.embedded import Server

PASSWORD = "not-a-secret"
SETTINGS = {"max_connections": 20, "max_prepared_transactions": 2, "log_line_prefix": "%m [%p] %e "}
LOOKING = ("server_info", "readiness_info", "network_info", "connections_info", "login_info", "activity_info")


@contextlib.contextmanager
def shop() -> Iterator[Server]:
    """A shop's database; Debian's build: it stands where users have it."""
    with Server(tls=True, settings=SETTINGS) as server:
        server.sql("CREATE ROLE shop LOGIN PASSWORD '%s'; CREATE DATABASE shop OWNER shop" % PASSWORD)
        server.sql("CREATE TABLE prices (article int, cents int); GRANT ALL ON prices TO shop", database="shop")
        yield server


def login(server: Server) -> dict[str, Any]:
    return {"host": server.host, "port": server.port, "user": "shop", "password": PASSWORD, "database": "shop"}


def target(server: Server) -> dict[str, Any]:
    return {
        "runtime": "pg_ctl",
        "data_directory": str(server.data),
        "bin_directory": str(server.bin),
        "log_file": str(server.log_file),
        "login_user": "postgres",
        "blocked_seconds": 1,
        "clients": [{"service": "shop", "application_name": "shop-api", "login": login(server)}],
    }


def connect(server: Server) -> Any:
    known = login(server)
    known["dbname"] = known.pop("database")
    return psycopg2.connect(**known, application_name="shop-api")


@contextlib.contextmanager
def blocked(server: Server) -> Iterator[None]:
    """Somebody has waited for a table for more than a second."""
    waiting = server.background("SET application_name = 'shop-api'; SELECT * FROM prices;", "shop", "postgres")
    try:
        time.sleep(2)
        yield
    finally:
        waiting.kill()
        waiting.communicate()


def no_slot_left() -> dict[str, Any]:
    with shop() as server, contextlib.ExitStack() as stack:
        for _unused in range(15):
            stack.callback(connect(server).close)
        root = stack.enter_context(contextlib.closing(connect(server)))
        root.cursor().execute("LOCK TABLE prices")
        stack.enter_context(blocked(server))
        asked = target(server)
        return play([*(task(name, asked) for name in LOOKING), task("triage", {**asked, "host": "shop-db"})])


def whole() -> dict[str, Any]:
    with shop() as server:
        for statement in (
            "CREATE EXTENSION amcheck",
            "CREATE SEQUENCE invoice MAXVALUE 1000",
            "SELECT setval('invoice', 950)",
        ):
            server.sql(statement, database="shop")
        asked = target(server)
        return play([task("integrity_info", asked), task("look", {**asked, "verb": "integrity_check"})])


def busy() -> dict[str, Any]:
    """A table without an index, an update of all its rows, and who waits for it."""
    settings = {**SETTINGS, "shared_preload_libraries": "pg_stat_statements", "track_io_timing": "on"}
    with Server(tls=True, settings=settings) as server, contextlib.ExitStack() as stack:
        server.sql("CREATE ROLE shop LOGIN PASSWORD '%s'" % PASSWORD)
        server.sql("CREATE DATABASE shop OWNER shop")
        for statement in (
            "CREATE EXTENSION pg_stat_statements",
            "CREATE TABLE prices (article int, cents int)",
            "GRANT ALL ON prices TO shop",
            "CREATE TABLE orders (number int, price int, note text)",
            "INSERT INTO orders SELECT n, n, repeat('x', 400) FROM generate_series(1, 50000) n",
            "UPDATE orders SET price = price + 1 WHERE number % 10 = 0",
            "SELECT count(*) FROM orders WHERE number = 4711",
        ):
            server.sql(statement, database="shop")
        asked = target(server)
        root = stack.enter_context(contextlib.closing(connect(server)))
        root.cursor().execute("LOCK TABLE prices")
        stack.enter_context(blocked(server))
        return play([task("load_info", asked), task("statements_info", {**asked, "top": 3})])


def beforehand() -> dict[str, Any]:
    with shop() as server, contextlib.closing(connect(server)) as root:
        root.cursor().execute("SELECT * FROM prices WHERE article = 4711")
        return play([task("evidence_info", target(server))])


def having() -> dict[str, Any]:
    with shop() as server:
        return play([task("capacity_info", target(server))])


def pressed() -> dict[str, Any]:
    with shop() as server, contextlib.closing(connect(server)):
        asked = target(server)
        watched = {**asked, "before": "{{ pressure_info }}", "minutes": 0.1, "interval_seconds": 1}
        return play([task("pressure_info", asked), task("soak", watched)])


def of_roles() -> dict[str, Any]:
    with shop() as server:
        asked = {**target(server), "roles": ["shop"], "settings": {"statement_timeout": "30s"}}
        return play([task("role_settings", asked)])


def watching() -> dict[str, Any]:
    with shop() as server:
        return play([task("monitoring_role", {**target(server), "password": PASSWORD})])


def kept() -> dict[str, Any]:
    with shop() as server:
        asked = {**target(server), "directory": "baselines", "tables": ["prices"]}
        return play([task("baseline", asked)])


def sessions() -> dict[str, Any]:
    with shop() as server, contextlib.ExitStack() as stack:
        asked = target(server)
        first = [stack.enter_context(contextlib.closing(connect(server))) for _unused in range(3)]
        time.sleep(1)
        refused = task(
            "sessions", {**asked, "state": "absent", "idle_seconds": 1, "max_sessions": 1}, "sessions__refused", True
        )
        found = play([refused, task("sessions", {**asked, "state": "absent", "pids": [first[0].get_backend_pid()]})])
        for _unused in range(14):
            stack.callback(connect(server).close)
        return {**found, **play([task("pool_reset", asked)])}


def locks() -> dict[str, Any]:
    with shop() as server:
        asked = target(server)
        with contextlib.closing(connect(server)) as root:
            root.cursor().execute("LOCK TABLE prices")
            with blocked(server):
                found = play([task("cancel_queries", asked)])
        server.sql("BEGIN; LOCK TABLE prices; PREPARE TRANSACTION 'payment-4711'", database="shop")
        with blocked(server):
            return {**found, **play([task("prepared_transaction", {**asked, "gid": "payment-4711"})])}


def moved() -> dict[str, Any]:
    with shop() as server:
        for statement in (
            "CREATE EXTENSION amcheck",
            "CREATE COLLATION german (provider = icu, locale = 'de')",
            "CREATE TABLE labels (label text COLLATE german UNIQUE)",
            "INSERT INTO labels SELECT 'label ' || n FROM generate_series(1, 1000) n",
            "UPDATE pg_collation SET collversion = '153.14' WHERE collname = 'german'",
        ):
            server.sql(statement, database="shop")
        return play([task("reindex", target(server))])


def passwords() -> dict[str, Any]:
    with shop() as server:
        file = server.directory / "password"
        file.write_text(PASSWORD + "\n")
        reset = {**target(server), "role": "shop", "password_file": str(file)}
        found = play([task("credentials", reset)])
        known = file.read_text().strip()
        reset["clients"][0]["login"]["password"] = known
        server.hba("host all shop 127.0.0.1/32 reject")
        return {**found, **play([task("credentials", reset, "credentials__not_proved", True)])}


def settings() -> dict[str, Any]:
    with shop() as server:
        asked = target(server)
        server.conf(work_mem="64MB", max_connections=40)
        found = play([task("procedure", {**asked, "verb": "reload"})])
        server.conf(work_mem="32MB")
        found.update(play([task("configuration", asked)]))
        server.conf(work_mem="a lot")
        return {**found, **play([task("configuration", asked, "configuration__refused", True)])}


def altered() -> dict[str, Any]:
    """Changed; refused for two reasons; without the right; and a value that the server does not take, all put back."""
    with shop() as server:
        asked = target(server)

        def change(**given: Any) -> dict[str, Any]:
            return {**asked, "settings": given}

        server.sql("ALTER SYSTEM SET work_mem = '8MB'")
        server.reload()
        lacking = {**change(work_mem="16MB"), "login_user": "shop", "login_password": PASSWORD}
        wrong = change(work_memory="16MB", shared_buffers="256mb")
        failing = change(log_checkpoints="off", log_destination="nowhere")
        return play(
            [
                task("settings", change(work_mem="64MB", shared_buffers="24MB")),
                task("settings", wrong, "settings__refused", True),
                task("settings", lacking, "settings__lacking", True),
                task("settings", failing, "settings__failed", True),
            ]
        )


def restart() -> dict[str, Any]:
    """Restarted; refused while a transaction is open; held up by a session that is stopped; not started again."""
    with shop() as server:
        asked = {**target(server), "state": "restarted", "long_query_seconds": 1}
        server.conf(max_connections=40)
        found = play([task("server", asked)])
        with contextlib.closing(connect(server)) as open_one:
            open_one.cursor().execute("SELECT * FROM prices")
            time.sleep(1.5)
            found.update(play([task("server", asked, "server__refused", True)]))
        client = server.background("SELECT pg_backend_pid();")
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        os.kill(pid, signal.SIGSTOP)
        try:
            found.update(play([task("server", {**asked, "stop_timeout_seconds": 2}, "server__held", True)]))
        finally:
            os.kill(pid, signal.SIGCONT)
            client.kill()
            client.communicate()
        found.update(play([task("server", {**asked, "state": "stopped"}, "server_stopped")]))
        server.conf(work_mem="a lot")
        failing = task("server", {**asked, "state": "started"}, "server__not_started", True)
        return {**found, **play([failing])}


def containers() -> dict[str, Any]:
    """With clients that are containers."""
    from tests.lab.driving import LIGHT
    from tests.lab.stack import Stack, docker

    with Stack("shop") as stack:
        stack.up({"services": LIGHT})
        asked = stack.target()
        docker("network", "disconnect", stack.network(), stack.name())
        found = play([task("network", asked)])
        stack.wait_api()
        found.update(play([task("clients", {**asked, "state": "restarted"}), task("graceful_restart", asked)]))
        return found


def pools() -> dict[str, Any]:
    """Of another size; and of one that the application does not start with."""
    from tests.lab.pooled import MOST, Pooled

    stack = Pooled()
    with stack:
        stack.begin()
        asked = {**stack.target(), "env_file": str(stack.env), "pool_size": 3, "max_overflow": 4}
        failing = {**asked, "pool_size": MOST + 1, "pool_reserve": 0}
        return play([task("client_pool", asked), task("client_pool", failing, "client_pool__failed", True)])


def proved() -> dict[str, Any]:
    """Last night's dump, of a shop with a role that it does not hold; and one that is empty."""
    from tests.lab.driving import LIGHT
    from tests.lab.stack import Stack, docker

    with Stack("shop") as stack, tempfile.TemporaryDirectory(prefix="backup-") as place:
        stack.up({"services": LIGHT})
        dump, empty = Path(place, "shop.dump"), Path(place, "empty.dump")
        stack.execute("pg_dump", "-U", "postgres", "-Fc", "-f", "/tmp/shop.dump", "shop")
        docker("cp", "%s:/tmp/shop.dump" % stack.name(), str(dump))
        empty.touch()
        refused = task("restore_proof", {**stack.target(), "backup": str(empty)}, "restore_proof__refused", fails=True)
        kept = task("baseline", {**stack.target(), "directory": "kept", "tables": ["items"]}, "kept")
        asked = {**stack.target(), "backup": str(dump), "baseline": "{{ kept.baseline }}"}
        return play([kept, task("restore_proof", asked), refused])


def reporting() -> dict[str, Any]:
    with shop() as server:
        asked = {**target(server), "host": "shop-db"}
        decided = {"ansible.builtin.set_fact": {"oncall_response": {"verb": "reload"}, "oncall_only_plan": False}}
        looked = task("triage", asked, "oncall_triage")
        opened = task(
            "incident", {"state": "open", "directory": "incidents", "code": "slow", "text": "Checkout is slow"}
        )
        shown = task("report", {"report_dir": "reports"})
        told = task("notification", {"state": "told", "directory": "incidents"})
        return play([looked, decided, task("evidence", {}), opened, told, shown])


def rolled() -> dict[str, Any]:
    with shop() as server:
        asked, wanted = {**target(server), "host": "shop-db"}, {"work_mem": "8MB", "shared_buffers": "24MB"}
        foreseen = {**task("settings", {**asked, "settings": wanted}, "oncall_foreseen"), "check_mode": True}
        decided = {"ansible.builtin.set_fact": {"oncall_wanted": {"settings": wanted, "roles": {}}}}
        planned = task("rollout", {"state": "planned", "verb": "tune", "directory": "kept"})
        facts = {"oncall_rollout": "{{ rollout.hosts['shop-db'] }}", "oncall_planned": "{{ rollout }}"}
        noted = {"ansible.builtin.set_fact": facts}
        begun = task("rollout", {"state": "begun", "verb": "tune", "directory": "kept"}, "begun")
        listed = task("snapshots", {"directory": "kept", "snapshot": "latest"})
        looked = task("triage", asked, "oncall_triage")
        return play([looked, foreseen, decided, planned, noted, begun, listed])


SCENES: dict[tuple[str, ...], Callable[[], dict[str, Any]]] = {
    (*LOOKING, "triage"): no_slot_left,
    ("integrity_info", "look"): whole,
    ("statements_info", "load_info"): busy,
    ("evidence_info",): beforehand,
    ("capacity_info",): having,
    ("pressure_info", "soak"): pressed,
    ("role_settings",): of_roles,
    ("monitoring_role",): watching,
    ("baseline",): kept,
    ("sessions", "pool_reset"): sessions,
    ("cancel_queries", "prepared_transaction"): locks,
    ("reindex",): moved,
    ("restore_proof",): proved,
    ("credentials",): passwords,
    ("procedure", "configuration"): settings,
    ("settings",): altered,
    ("server",): restart,
    ("network", "clients", "graceful_restart"): containers,
    ("client_pool",): pools,
    ("report", "evidence", "incident", "notification"): reporting,
    ("rollout", "snapshots"): rolled,
}
