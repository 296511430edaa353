# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the time goes, on real servers: by statement (pg_stat_statements), by wait, by table; or why it is not told."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OptionsError
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.work import opened
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.load.databases import databases
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.load.pressure import PRESSURE_SH, parsed
from ansible_collections.oncall.postgresql.plugins.modules import load_info, statements_info
from tests.embedded import Server
from tests.integration.results import held
from tests.integration.servers import PASSWORD, AnyServer, Client, start, until

COUNTED = {"shared_preload_libraries": "pg_stat_statements", "autovacuum": "off"}
ROLES = "CREATE ROLE app LOGIN PASSWORD '%(p)s'; CREATE ROLE watcher LOGIN PASSWORD '%(p)s' IN ROLE pg_monitor" % {
    "p": PASSWORD
}
WORDS = "SELECT count(*) FROM orders WHERE number = 4711"
SLOW = "SELECT count(*) FROM orders a, orders b WHERE a.number < 150"


def run(module: Any, **options: Any) -> dict[str, Any]:
    checked = ArgumentSpecValidator(**module.WORK.spec.arguments()).validate({"deadline_seconds": 60, **options})
    assert not checked.error_messages, checked.error_messages
    with held(module.__name__.rpartition(".")[2]) as fitting:
        return fitting(module.WORK.do(checked.validated_parameters, False))


def by_wire(server: Any, module: Any, user: str = "postgres", **options: Any) -> dict[str, Any]:
    login = {"login_host": server.host, "login_port": server.port, "login_user": user, "login_password": PASSWORD}
    return run(module, runtime="remote", **login, **options)


def client(server: Any, user: str = "postgres", database: str = "postgres") -> Client:
    return Client(host=server.host, port=server.port, user=user, password=PASSWORD, dbname=database)


def fill(server: Any) -> None:
    """A large table without an index, in a database that nobody has to name."""
    admin = client(server)
    admin.run(*ROLES.split("; "), "CREATE DATABASE shop OWNER app")
    admin.close()
    shop = client(server, database="shop")
    shop.run(
        "CREATE TABLE orders (number int, note text)",
        "CREATE TABLE small AS SELECT 1 AS n",
        "INSERT INTO orders SELECT n, repeat('x', 400) FROM generate_series(1, 4000) n",
        "DELETE FROM orders WHERE number > 3000",
        "GRANT SELECT ON orders TO app",
        *["SELECT * FROM small"] * 3,
    )
    shop.close()


@pytest.fixture(scope="module", params=[13, 18])
def counted(request: pytest.FixtureRequest) -> Iterator[AnyServer]:
    """With the library loaded; the extension itself is in database shop only."""
    server = start(request.param, contrib=True, **COUNTED)
    try:
        fill(server)
        yield server
    finally:
        server.remove()


def test_it_is_loaded_but_nowhere_until_it_is_created_where_nobody_logs_in(counted: AnyServer) -> None:
    found = by_wire(counted, statements_info)
    assert found["statements"] is None and "CREATE EXTENSION pg_stat_statements in one" in found["reason"]

    shop, app = client(counted, database="shop"), client(counted, "app", "shop")
    shop.run("CREATE EXTENSION pg_stat_statements", "SELECT pg_stat_statements_reset()")
    app.run(*[WORDS] * 5)
    shop.run(SLOW)
    shop.run("ALTER ROLE app PASSWORD 'hidden-secret-7'", "ALTER ROLE app PASSWORD '%s'" % PASSWORD)
    found = by_wire(counted, statements_info, top=3)
    counts = found["statements"]
    assert found["reason"] is None and found["not_covered"] == [] and counts["database"] == "shop"
    assert len(counts["by_mean"]) == len(counts["by_total"]) == 3
    assert counts["by_mean"] == sorted(counts["by_mean"], key=lambda each: -float(each["mean_ms"]))
    assert counts["by_total"] == sorted(counts["by_total"], key=lambda each: -float(each["total_ms"]))
    assert (counts["since"] is None, counts["evicted"] is None) == (counted.version < 14,) * 2

    every = by_wire(counted, statements_info, top=1000)["statements"]
    assert SLOW.replace("150", "$1") in {each["query"] for each in every["by_mean"]}
    (ours,) = [each for each in every["by_total"] if each["query"] == WORDS.replace("4711", "$1")]
    assert (ours["user"], ours["database"], ours["calls"], ours["rows"]) == ("app", "shop", 5, 5)
    assert ours["cache_hit_percent"] > 0 and ours["temp_blocks"] == 0 and ours["read_ms"] is None
    assert (ours["since"] is None) == (counted.version < 17)
    (truth,) = shop.run(
        "SELECT total_exec_time, mean_exec_time, stddev_exec_time FROM pg_stat_statements WHERE query LIKE '%= $1' "
        "AND calls = 5"
    )
    assert [ours[key] for key in ("total_ms", "mean_ms", "stddev_ms")] == [round(each, 3) for each in truth]
    assert "hidden-secret" not in str(every) and any("PASSWORD" in (each["query"] or "") for each in every["by_total"])

    # A role that may not see others' statements; one that may not see anything; and no error of ours in the log.
    partly = by_wire(counted, statements_info, user="app", top=1000)
    texts = {each["query"] for each in partly["statements"]["by_total"]}
    assert WORDS.replace("4711", "$1") in texts and None in texts and SLOW.replace("150", "$1") not in texts
    assert partly["not_covered"] == [
        "statements of other roles are shown without their text: GRANT pg_read_all_stats TO app, as a superuser"
    ]
    assert None not in {
        each["query"] for each in by_wire(counted, statements_info, "watcher")["statements"]["by_total"]
    }
    shop.run("REVOKE SELECT ON pg_stat_statements FROM PUBLIC")
    none = by_wire(counted, statements_info, user="app")
    assert none["statements"] is None and none["reason"].startswith("role app may not read pg_stat_statements in")
    assert "ERROR" not in counted.log().partition("ready to accept connections")[2]
    app.close()
    shop.close()


def test_where_the_library_is_not_loaded_and_where_it_is_not_installed(db: Server) -> None:
    found = by_wire(db, statements_info)
    assert found["statements"] is None and "add it to shared_preload_libraries" in found["reason"]
    db.sql("CREATE EXTENSION pg_stat_statements")  # to read it would be an error
    assert by_wire(db, statements_info)["reason"] == found["reason"]
    assert "ERROR" not in db.log
    with Server() as bare:  # the wheel has no contrib modules
        found = run(statements_info, runtime="pg_ctl", data_directory=str(bare.data), login_user="postgres")
        assert found["statements"] is None and "install the package" in found["reason"]
        assert "ERROR" not in bare.log


@pytest.fixture(scope="module")
def db() -> Iterator[Server]:
    with Server(version=15, settings={"autovacuum": "off"}) as server:
        server.sql("ALTER ROLE postgres PASSWORD '%s'" % PASSWORD)
        server.hba("host all all 127.0.0.1/32 scram-sha-256")
        fill(server)
        yield server


def beside(server: Server, **options: Any) -> dict[str, Any]:
    return run(load_info, runtime="pg_ctl", data_directory=str(server.data), login_user="postgres", **options)


def test_load_names_waits_pressure_scanned_tables_and_dead_rows(db: Server) -> None:
    root, reader, busy = client(db, database="shop"), client(db, "app", "shop"), client(db, "app", "shop")
    reading = client(db, database="shop")
    reading.run(*["SELECT count(*) FROM orders"] * 4)
    reading.close()  # its statistics come now
    root.run("BEGIN", "LOCK TABLE small IN ACCESS EXCLUSIVE MODE")
    reader.start("SELECT pg_sleep(600)")
    admin = client(db, database="shop")
    admin.run("GRANT SELECT ON orders TO app")
    busy.start("SELECT count(*) FROM orders a, orders b, orders c")
    waiting = client(db, database="shop").start("SELECT * FROM small")
    asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event IN ('PgSleep', 'relation') AND state = 'active'"
    until(lambda: admin.run(asked) == [(2,)])

    def seen() -> Any:
        found = beside(db, databases=["shop"], large_table_mib=1)
        (shop,) = found["load"]["databases"]
        return found if shop["scanned"] and shop["dead"] and shop["scanned"][0]["seq_scans"] >= 4 else None

    found = until(seen)
    active = found["load"]["active"]
    assert (active["sessions"], active["lock"], active["other"], active["hidden"]) == (3, 1, 1, 0)
    assert active["cpu"] + active["io"] + active["lwlock"] == 1, active
    assert {"wait_class": "lock", "event": "relation", "sessions": 1} in active["waits"]
    (shop,) = found["load"]["databases"]
    (scanned,) = shop["scanned"]  # not the small one, which is locked besides
    assert scanned["name"] == "public.orders" and scanned["seq_percent"] == 100 and scanned["bytes"] >= 1 << 20
    (dead,) = shop["dead"]
    assert (dead["name"], dead["dead_rows"], dead["last_vacuum"]) == ("public.orders", 1000, None)
    assert beside(db, databases=["shop"], large_table_mib=1000)["load"]["databases"][0]["scanned"] == []

    hidden = by_wire(db, load_info, user="app")
    assert hidden["load"]["active"]["hidden"] > 0 and hidden["load"]["pressure"] == []
    assert [line.partition(":")[0] for line in hidden["not_covered"]] == ["active", "pressure"]
    assert "ERROR" not in db.log
    with pytest.raises(OptionsError, match=r"There is no database shpo\. Did you mean shop\?"):
        beside(db, databases=["shpo"])
    for each in (root, reader, busy, waiting):
        admin.run("SELECT pg_terminate_backend(%d)" % each.pid)
        each.close()
    admin.run("VACUUM ANALYZE orders")
    after = until(lambda: beside(db, databases=["shop"])["load"]["databases"][0]["dead"] == [])
    assert after
    admin.close()


def test_databases_for_which_no_time_is_left_are_one_line(db: Server) -> None:
    options = {"login_host": db.host, "login_port": db.port, "login_user": "postgres", "login_password": PASSWORD}
    checked = ArgumentSpecValidator(**load_info.WORK.spec.arguments()).validate({"runtime": "remote", **options})
    with opened(checked.validated_parameters) as target:
        closed: list[str] = []
        now = time.monotonic()
        left = databases(target, (), Deadline(60, lambda: now), closed)
        next(left)[1].close()
        now += 61
        assert list(left) == []
    assert closed == ["2 databases: no time was left: raise deadline_seconds"]


def test_pressure_is_what_the_kernel_says(db: Server) -> None:
    """Of this kernel: where it has none, the result says so."""
    found = beside(db)
    try:
        with open("/proc/pressure/cpu", encoding="ascii") as file:
            file.read()
        known = {"cpu", "io", "memory"}
    except OSError:
        known = set()
    assert {row["resource"] for row in found["load"]["pressure"]} == known
    said = {line for line in found["not_covered"] if line.startswith("pressure")}
    assert len(said) == 3 - len(known)


def test_pressure_of_a_container_is_read_inside_it(counted: AnyServer) -> None:
    done = counted.run_beside(["sh", "-c", PRESSURE_SH, "-", ""], Deadline(60))
    assert (done.code, done.err) == (0, "")
    assert all(re.match(r"(cgroup|host) (cpu|io|memory) (some|full) avg10=", line) for line in done.out.splitlines())
    assert {row["resource"] for row in parsed(done.out)} in ({"cpu", "io", "memory"}, set())


def test_lines_that_are_none_are_no_pressure() -> None:
    assert parsed("") == [] and parsed("cgroup cpu some avg10=x avg60=1\nnonsense\n") == []
    (row,) = parsed("host cpu some avg10=0.12 avg60=3.40\n")
    assert row["some_percent_10s"] == 0.12 and row["full_percent_60s"] is None and row["source"] == "host"
