# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each subject of the snapshot against a truth made by real sessions, on every version."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.snapshot import take
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Snapshot
from scripts.tables import CHECKOUT
from tests.integration import servers
from tests.integration.servers import PASSWORD, AnyServer, Client, until

EXPORTER_QUERIES = CHECKOUT / "roles" / "monitoring" / "files" / "postgres_exporter_queries.yml"

Connect = Callable[..., Client]
Take = Callable[..., Snapshot]


def works(admin: Client, client: Client, event: str) -> None:
    """Until its statement has begun and waits in ``event``."""
    until(lambda: admin.run("SELECT wait_event FROM pg_stat_activity WHERE pid = %d" % client.pid) == [(event,)])


def waits(admin: Client, *clients: Client) -> None:
    """Until all of them wait for a lock."""
    pids = [client.pid for client in clients]
    until(
        lambda: (
            admin.run("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid = ANY (ARRAY%s)" % pids)
            == [(len(pids),)]
        )
    )


def edges(taken: Snapshot) -> list[tuple[int, int, str | None]]:
    return sorted(
        (edge["blocked_pid"], edge["blocking_pid"], edge["blocking_gid"]) for edge in taken["activity"]["blocking"]
    )


def test_both_ways_bring_the_same_document(server: AnyServer, snapshot: Take, connect: Connect) -> None:
    connect()
    taken: list[Any] = [
        snapshot(session, roles=("app", "nobody"), databases=("shop", "nowhere"))
        for session in (servers.psql(server), servers.libpq(server))
    ]
    for each in taken:  # what moves by itself between the two
        del each["at"]
        for group in each["connections"]["groups"] + each["connections"]["idle"]:
            for name in ("longest_state_seconds", "state_seconds"):
                group.pop(name, None)
    assert taken[0] == taken[1]
    assert taken[0]["version_num"] // 10000 == server.version == int(taken[0]["version"].split(".")[0])
    assert taken[0]["in_recovery"] is False and taken[0]["limited"] is False


def test_who_holds_the_slots(snapshot: Take, connect: Connect, admin: Client) -> None:
    idle, second = connect(), connect()
    sleeping = connect(application_name="sleeper")
    sleeping.run("BEGIN", "SELECT 1")
    broken = connect(dbname="shop")
    broken.run("BEGIN")
    with pytest.raises(Exception, match="division by zero"):
        broken.run("SELECT 1 / 0")
    active = connect("postgres", application_name="admin-tool").start("SELECT pg_sleep(20)")
    connect(application_name="oncall")  # another of our own sessions
    works(admin, active, "PgSleep")
    time.sleep(0.3)
    taken = snapshot(idle_minutes=0.2 / 60, idle_in_transaction_seconds=0.2)
    connections = taken["connections"]
    assert (connections["max_connections"], connections["superuser_reserved"], connections["reserved"]) == (60, 4, 0)
    assert connections["used"] == 5
    assert (connections["long_idle"], connections["long_idle_in_transaction"]) == (2, 2)
    later = snapshot()["connections"]
    assert (later["used"], later["long_idle"], later["long_idle_in_transaction"]) == (5, 0, 0)
    assert [row["pid"] for row in connections["idle"]] == [idle.pid, second.pid]
    assert [row["pid"] for row in connections["idle_in_transaction"]] == [sleeping.pid, broken.pid]
    address = admin.run("SELECT host(client_addr) FROM pg_stat_activity WHERE pid = %d" % idle.pid)[0][0]
    groups = {
        (g["state"], g["database"], g["user"], g["application"], g["client_address"]): g["sessions"]
        for g in connections["groups"]
    }
    assert groups == {
        ("idle", "postgres", "app", "shop-api", address): 2,
        ("idle in transaction", "postgres", "app", "sleeper", address): 1,
        ("idle in transaction (aborted)", "shop", "app", "shop-api", address): 1,
        ("active", "postgres", "postgres", "admin-tool", address): 1,
    }
    (row,) = [row for row in connections["idle_in_transaction"] if row["pid"] == sleeping.pid]
    assert 0.25 < (row["state_seconds"] or 0) <= (row["transaction_seconds"] or 0) < 10
    assert (row["query"], row["query_seconds"], row["superuser"]) == ("SELECT ?", None, False)
    (start,) = admin.run(
        "SELECT backend_start FROM pg_stat_activity WHERE pid = %d AND backend_start = '%s'"
        % (sleeping.pid, row["backend_start"])
    )  # good enough to name the session again
    assert start
    assert {"type": "Timeout", "event": "PgSleep", "sessions": 1} in taken["activity"]["wait_events"]
    assert active.pid not in [row["pid"] for row in connections["idle"]]


def test_long_queries_and_no_secret_in_them(server: AnyServer, snapshot: Take, connect: Connect, admin: Client) -> None:
    secret = "hunter2-of-the-query"
    padding = "/* %s */" % ("x" * 300)
    slow = connect("postgres").start(
        "DO $$ BEGIN PERFORM pg_sleep(20); EXECUTE 'ALTER ROLE app PASSWORD ''%s'''; END $$; %s" % (secret, padding)
    )
    quick = connect("postgres", application_name="quick")
    quick.run("SELECT 'postgresql://app:%s@db/shop'" % secret)
    works(admin, slow, "PgSleep")
    time.sleep(0.3)
    for session in (None, servers.psql(server)):
        taken = snapshot(session, long_query_seconds=0.2)
        (row,) = taken["activity"]["long_queries"]
        assert (row["pid"], row["user"], row["superuser"], row["state"]) == (slow.pid, "postgres", True, "active")
        assert (row["query_seconds"] or 0) >= 0.2
        assert row["query"] == "DO ?;  "
        (idle,) = taken["connections"]["idle"]
        assert idle["pid"] == quick.pid and idle["query"] == "SELECT ?"
        assert secret not in json.dumps(taken)
        assert not snapshot(session, long_query_seconds=15)["activity"]["long_queries"]
    session = servers.psql(server)
    as_written, _unused = take(session, Deadline(10), Thresholds(long_query_seconds=0.2), [], [], "masked")
    (row,) = as_written["activity"]["long_queries"]
    assert row["query"] and "ALTER ROLE app PASSWORD" in row["query"] and len(row["query"]) <= 200
    assert as_written["connections"]["idle"][0]["query"] == "SELECT 'postgresql://app:********@db/shop'"
    assert secret not in json.dumps(as_written)


def test_a_chain_of_three(server: AnyServer, snapshot: Take, connect: Connect, admin: Client) -> None:
    root, middle, last, bystander = connect(), connect(), connect(), connect()
    root.run("BEGIN", "UPDATE orders SET state = 'root' WHERE id = 1")
    middle.run("BEGIN", "UPDATE orders SET state = 'middle' WHERE id = 2")
    middle.start("UPDATE orders SET state = 'middle' WHERE id = 1")
    waits(admin, middle)
    last.start("UPDATE orders SET state = 'last' WHERE id = 2")
    waits(admin, middle, last)
    time.sleep(0.2)
    for session in (None, servers.psql(server)):
        taken = snapshot(session)
        assert edges(taken) == sorted([(middle.pid, root.pid, None), (last.pid, middle.pid, None)])
        for edge in taken["activity"]["blocking"]:
            assert edge["relation"] == "public.orders" and edge["lock_mode"] == "ShareLock"
            assert 0.2 <= edge["blocked_seconds"] < 10
        assert sorted(row["pid"] for row in taken["activity"]["involved"]) == sorted([root.pid, middle.pid, last.pid])
        assert bystander.pid in [row["pid"] for row in taken["connections"]["idle"]]


def test_a_crowd_keeps_a_way_to_its_root(snapshot: Take, connect: Connect, admin: Client) -> None:
    root = connect()
    root.run("BEGIN", "LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
    crowd = []
    for _unused in range(12):
        crowd.append(connect())
        crowd[-1].run("BEGIN")
        crowd[-1].start("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        waits(admin, *crowd)
    taken = snapshot()
    blockers: dict[int, set[int]] = {}
    for edge in taken["activity"]["blocking"]:
        blockers.setdefault(edge["blocked_pid"], set()).add(edge["blocking_pid"])
        assert edge["relation"] == "public.items" and edge["lock_mode"] == "AccessExclusiveLock"
    assert sorted(blockers) == sorted(client.pid for client in crowd)
    assert all(root.pid in each and len(each) <= 5 for each in blockers.values())


def test_a_prepared_transaction_blocks(server: AnyServer, snapshot: Take, connect: Connect, admin: Client) -> None:
    owner = connect()
    owner.run("BEGIN", "UPDATE orders SET state = 'x' WHERE id = 3", "PREPARE TRANSACTION 'orphan ''1'''")
    owner.run("BEGIN", "SELECT count(*) FROM orders", "PREPARE TRANSACTION 'harmless'")  # hinders nobody
    try:
        row, table = connect(), connect()
        row.start("UPDATE orders SET state = 'y' WHERE id = 3")
        waits(admin, row)
        table.run("BEGIN")
        table.start("LOCK TABLE orders IN SHARE MODE")  # conflicts with the writers only
        waits(admin, row, table)
        for session in (None, servers.psql(server)):
            taken = snapshot(session)
            assert (row.pid, 0, "orphan '1'") in edges(taken)
            assert (table.pid, 0, "orphan '1'") in edges(taken)
            assert "harmless" not in [gid for _unused, _unused, gid in edges(taken)]
            assert 0 not in [each["pid"] for each in taken["activity"]["involved"]]
            prepared = [(each["gid"], each["owner"], each["database"]) for each in taken["activity"]["prepared"]]
            assert prepared == [("orphan '1'", "app", "postgres"), ("harmless", "app", "postgres")]
            assert all(0 <= each["age_seconds"] < 30 for each in taken["activity"]["prepared"])
    finally:
        owner.run("ROLLBACK PREPARED 'orphan ''1'''")
        owner.run("ROLLBACK PREPARED 'harmless'")


def test_a_block_in_another_database(snapshot: Take, connect: Connect, admin: Client) -> None:
    root, blocked = connect(dbname="shop"), connect(dbname="shop")
    root.run("CREATE TABLE IF NOT EXISTS far (id int)")
    ((oid,),) = root.run("SELECT 'far'::regclass::oid::int")
    root.run("BEGIN", "LOCK TABLE far")
    blocked.start("SELECT * FROM far")
    waits(admin, blocked)
    (edge,) = snapshot()["activity"]["blocking"]
    assert (edge["blocked_pid"], edge["blocking_pid"]) == (blocked.pid, root.pid)
    assert (edge["relation"], edge["lock_mode"]) == ("oid %d in database shop" % oid, "AccessShareLock")


def test_a_deadlock_is_counted(snapshot: Take, connect: Connect) -> None:
    one, two = connect(), connect()
    one.run("BEGIN", "UPDATE orders SET state = 'x' WHERE id = 5")
    two.run("BEGIN", "UPDATE orders SET state = 'x' WHERE id = 6")
    one.start("UPDATE orders SET state = 'x' WHERE id = 6")
    two.start("UPDATE orders SET state = 'x' WHERE id = 5")
    failed = 0
    for client in (one, two):
        try:
            client.finish()
        except Exception as error:
            assert "deadlock" in str(error)
            failed += 1
            client.run("ROLLBACK")
    assert failed == 1
    one.close()
    two.close()  # their statistics are handed over at the end
    until(lambda: snapshot()["activity"]["deadlocks"] == [{"database": "postgres", "count": 1}])


def test_limits_of_roles_and_databases(snapshot: Take, connect: Connect, admin: Client) -> None:
    admin.run(
        "CREATE ROLE few LOGIN CONNECTION LIMIT 3 PASSWORD '%s'" % PASSWORD,
        "CREATE ROLE boss SUPERUSER LOGIN CONNECTION LIMIT 3",  # superusers have none in truth
        "CREATE ROLE grp NOLOGIN CONNECTION LIMIT 0",
        "ALTER DATABASE shop CONNECTION LIMIT 7",
    )
    try:
        few = [connect("few"), connect("few", dbname="shop"), connect("app", dbname="shop")]
        assert snapshot()["limits"] == {
            "roles": [{"name": "few", "limit": 3, "used": 2}],
            "databases": [{"name": "shop", "limit": 7, "used": 2}],
        }
        for client in few:
            client.close()
    finally:
        admin.run("ALTER DATABASE shop CONNECTION LIMIT -1", "DROP ROLE boss", "DROP ROLE grp")
        until(lambda: admin.run("SELECT count(*) FROM pg_stat_activity WHERE usename = 'few'") == [(0,)])
        admin.run("DROP ROLE few")


def test_roles_and_databases_asked_for(server: AnyServer, snapshot: Take, admin: Client) -> None:
    admin.run(
        "CREATE ROLE inner_group",
        "CREATE ROLE outer_group",
        "GRANT outer_group TO inner_group",
        "CREATE ROLE old LOGIN CONNECTION LIMIT 4 PASSWORD '%s' VALID UNTIL '2020-01-01 00:00+00' "
        "IN ROLE inner_group" % PASSWORD,
        "CREATE ROLE forever LOGIN VALID UNTIL 'infinity'",
        "CREATE ROLE nologin",
        "SET password_encryption = 'md5'",
        "CREATE ROLE legacy LOGIN PASSWORD '%s'" % PASSWORD,
        "CREATE DATABASE closed",
        "REVOKE CONNECT ON DATABASE closed FROM public",
        "GRANT CONNECT ON DATABASE closed TO old",
        "ALTER DATABASE closed ALLOW_CONNECTIONS false CONNECTION LIMIT 9",
    )
    asked = ("old", "forever", "nologin", "legacy", "o'clock", "postgres")
    databases = ("closed", "postgres", "nowhere")
    try:
        taken, verifiers = take(servers.psql(server), Deadline(10), Thresholds(), asked, databases)
        other = snapshot(roles=asked, databases=databases)
        both: Any = (taken, other)
        own = [[role.pop("own") for role in each["roles"]] for each in both]
        assert taken == {**other, "at": taken["at"]}
        roles: dict[str, Any] = {role["name"]: {**role} for role in taken["roles"]}
        assert all(role.pop("name") == name for name, role in roles.items())
        assert list(roles) == list(asked)
        # psql comes through the socket, libpq does not; both as postgres, who was asked for last.
        assert [each[:-1] for each in own] == [[None] * 5] * 2
        assert own[0][-1] == {"client_address": None, "database": "postgres", "application": "oncall", "sessions": 1}
        assert own[1][-1]["client_address"] is not None
        assert roles["old"] == {
            "exists": True,
            "can_login": True,
            "superuser": False,
            "valid_until": "2020-01-01T00:00:00+00:00",
            "expired": True,
            "connection_limit": 4,
            "verifier": "scram-sha-256",
            "settable": True,
            "sessions": [],
            "member_of": ["inner_group", "outer_group"],
        }
        assert roles["forever"] == {
            "exists": True,
            "can_login": True,
            "superuser": False,
            "valid_until": None,
            "expired": False,
            "connection_limit": -1,
            "verifier": "none",
            "settable": True,
            "sessions": [],
            "member_of": [],
        }
        assert (roles["nologin"]["can_login"], roles["legacy"]["verifier"]) == (False, "md5")
        assert roles["o'clock"] == {
            "exists": False,
            "can_login": None,
            "superuser": None,
            "valid_until": None,
            "expired": None,
            "connection_limit": None,
            "verifier": None,
            "settable": None,
            "sessions": [],
            "member_of": [],
        }
        assert roles["postgres"]["superuser"] is True
        everyone = dict.fromkeys(asked, True)
        assert taken["databases"] == [
            {
                "name": "closed",
                "exists": True,
                "allows_connections": False,
                "connection_limit": 9,
                "connect_privilege": {
                    "old": True,
                    "forever": False,
                    "nologin": False,
                    "legacy": False,
                    "o'clock": None,
                    "postgres": True,
                },
            },
            {
                "name": "postgres",
                "exists": True,
                "allows_connections": True,
                "connection_limit": -1,
                "connect_privilege": {**everyone, "o'clock": None},
            },
            {
                "name": "nowhere",
                "exists": False,
                "allows_connections": None,
                "connection_limit": None,
                "connect_privilege": dict.fromkeys(asked),
            },
        ]
        assert verifiers == dict(
            admin.run(
                "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL "
                "AND rolname IN ('old', 'legacy', 'postgres')"
            )
        )
        for verifier in verifiers.values():
            assert verifier not in json.dumps(taken)
    finally:
        admin.run(
            "RESET password_encryption",
            "DROP DATABASE closed",
            "DROP ROLE old",
            "DROP ROLE forever",
            "DROP ROLE nologin",
            "DROP ROLE legacy",
            "DROP ROLE inner_group",
            "DROP ROLE outer_group",
        )


@pytest.mark.parametrize("kind", ["psql", "libpq"])
def test_what_a_lesser_role_sees(server: AnyServer, connect: Connect, snapshot: Take, admin: Client, kind: str) -> None:
    def session(user: str) -> Any:
        return servers.psql(server, user=user) if kind == "psql" else servers.libpq(server, user)

    root, blocked = connect(), connect()
    root.run("BEGIN", "UPDATE orders SET state = 'x' WHERE id = 8")
    blocked.start("UPDATE orders SET state = 'x' WHERE id = 8")
    waits(admin, blocked)
    limited, monitor = (snapshot(session(user), roles=("app",), databases=("shop",)) for user in ("watcher", "monitor"))
    assert (limited["limited"], monitor["limited"]) == (True, False)
    for taken in (limited, monitor):
        assert taken["configured"]["hba_rules"] is None and taken["configured"]["file_errors"] == []
        assert taken["roles"][0]["verifier"] is None and taken["roles"][0]["can_login"] is True
        assert taken["databases"][0]["connect_privilege"] == {"app": True}
        assert taken["connections"]["max_connections"] == 60
        assert taken["connections"]["used"] == 2
        assert edges(taken) == [(blocked.pid, root.pid, None)]
    assert (limited["configured"]["hba_file"], limited["configured"]["socket_directories"]) == (None, None)
    assert {group["state"] for group in limited["connections"]["groups"]} == {None}
    assert {row["query"] for row in limited["activity"]["involved"]} == {None}
    assert monitor["configured"]["hba_file"]
    assert {group["state"] for group in monitor["connections"]["groups"]} == {"active", "idle in transaction"}
    opened = session("watcher")
    assert take(opened, Deadline(10), Thresholds(), ["app", "postgres"], [])[1] == {}
    opened.close()


@pytest.mark.parametrize("kind", ["psql", "libpq"])
def test_what_a_role_was_granted_by_itself_is_read(server: AnyServer, snapshot: Take, admin: Client, kind: str) -> None:
    admin.run("GRANT SELECT ON pg_authid TO watcher")
    granted = ["pg_hba_file_rules", "pg_hba_file_rules()"]
    admin.run("GRANT SELECT ON %s TO watcher" % granted[0], "GRANT EXECUTE ON FUNCTION %s TO watcher" % granted[1])
    try:
        session = servers.psql(server, user="watcher") if kind == "psql" else servers.libpq(server, "watcher")
        before = server.log().count("ERROR")
        taken = snapshot(session, roles=("app",))
        assert taken["roles"][0]["verifier"] == "scram-sha-256" and taken["configured"]["hba_rules"]
        session.close()
        assert server.log().count("ERROR") == before
    finally:
        admin.run("REVOKE SELECT ON pg_authid, pg_hba_file_rules FROM watcher")
        admin.run("REVOKE EXECUTE ON FUNCTION pg_hba_file_rules() FROM watcher")


@pytest.mark.parametrize("user", ["postgres", "monitor", "watcher"])
@pytest.mark.parametrize("kind", ["psql", "libpq"])
def test_a_look_leaves_no_error_in_the_servers_log(server: AnyServer, snapshot: Take, kind: str, user: str) -> None:
    session = servers.psql(server, user=user) if kind == "psql" else servers.libpq(server, user)
    before = len(server.log())
    snapshot(session, roles=("app",), databases=("shop",))
    snapshot(session)
    session.close()
    assert "ERROR" not in server.log()[before:] and "FATAL" not in server.log()[before:]


def test_what_is_configured(server: AnyServer, snapshot: Take, admin: Client) -> None:
    hba, conf = server.read("pg_hba.conf"), server.read("postgresql.conf")
    before = snapshot()["configured"]
    assert (before["file_errors"], before["pending_restart"]) == ([], [])
    assert (before["port"], before["ssl"], before["password_encryption"]) == (server.port, False, "scram-sha-256")
    try:
        server.write(
            "pg_hba.conf",
            hba + "host shop,sales +staff 10.1.0.0/16 radius radiusservers=10.0.0.1 "
            "radiussecrets=hunter2\nhost nonsense\n",
        )
        server.write(
            "postgresql.conf", conf + "\nwork_mem = 'lots'\nmax_wal_senders = 11\nmax_worker_processes = 'no'\n"
        )
        for _unused in range(2):  # before the reload, and after it
            now = snapshot()["configured"]
            assert now["pending_restart"] == [{"name": "max_wal_senders", "setting": "10"}]
            assert [error["name"] for error in now["file_errors"]] == ["work_mem", "max_worker_processes"]
            assert all(
                (error["file"] or "").endswith("postgresql.conf") and error["line"] and error["error"]
                for error in now["file_errors"]
            )
            *_before, good, bad = now["hba_rules"] or []
            assert bad["error"] and bad["type"] is None and bad["line_number"] == len(hba.splitlines()) + 2
            assert (good["type"], good["database"], good["user_name"]) == ("host", ["shop", "sales"], ["+staff"])
            assert (good["address"], good["netmask"], good["auth_method"]) == ("10.1.0.0", "255.255.0.0", "radius")
            assert good["options"] == ["radiusservers=10.0.0.1", "radiussecrets=********"]
            assert (good["rule_number"] is not None) == (server.version >= 16)
            assert good["file_name"] == now["hba_file"]
            admin.run("SELECT pg_reload_conf()")
    finally:
        server.write("pg_hba.conf", hba)
        # Back to the old value, not just out of the file: PostgreSQL would go on calling it pending.
        server.write("postgresql.conf", conf + "\nmax_wal_senders = 10\n")
        admin.run("SELECT pg_reload_conf()")
    until(lambda: snapshot(servers.psql(server))["configured"]["pending_restart"] == [])
    assert len(snapshot()["configured"]["hba_rules"] or []) == len(before["hba_rules"] or [])


def test_is_it_sound(server: AnyServer, snapshot: Take, admin: Client) -> None:
    admin.run("SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        admin.run(
            "SELECT pg_switch_wal()", "CREATE TABLE filler AS SELECT generate_series(1, 1000)", "DROP TABLE filler"
        )
        sound = snapshot(servers.psql(server))["soundness"]
        (slot,) = sound["slots"]
        assert (slot.pop("retained_bytes") or 0) > 10000  # type: ignore[misc]
        assert slot == {"name": "forgotten", "type": "physical", "active": False, "wal_status": "reserved"}
    finally:
        admin.run("SELECT pg_drop_replication_slot('forgotten')")
    assert sound["checksum_failures"] == [] and sound["standbys"] == [] and sound["receiver"] is None
    assert {row["database"] for row in sound["transaction_age"]} == {"postgres", "shop", "template0", "template1"}
    ages = dict(admin.run("SELECT datname, age(datfrozenxid) FROM pg_database"))
    assert all(0 < ages[row["database"]] - row["xid_age"] + 100 < 200 for row in sound["transaction_age"])
    assert sound["autovacuum_freeze_max_age"] == 200_000_000


def test_what_postgres_exporter_asks_for_us(connect: Connect, admin: Client) -> None:
    """The queries file of the role monitoring, by a role with no more than pg_monitor."""
    admin.run("ALTER ROLE app CONNECTION LIMIT 7", "ALTER DATABASE shop CONNECTION LIMIT 9")
    holder, waiter, queue, first = connect(), connect(), connect(dbname="shop"), connect(dbname="shop")
    first.run("SELECT pg_advisory_lock(1)")
    queue.start("SELECT pg_advisory_lock(1)")
    holder.run("BEGIN", "LOCK TABLE orders")
    waiter.start("SELECT * FROM orders")
    waits(admin, waiter, queue)
    monitor = connect("monitor")
    found = {}
    for name, query in yaml.safe_load(EXPORTER_QUERIES.read_text(encoding="utf-8")).items():
        rows = monitor.run(query["query"])
        columns = monitor.columns
        assert columns == [name for metric in query["metrics"] for name in metric], name
        found[name] = [dict(zip(columns, row, strict=True)) for row in rows]
    (sessions,) = found["pg_oncall_sessions"]
    assert (sessions["blocked"], sessions["sync_rep"]) == (1, 0) and 0 < sessions["blocked_seconds"] < 60
    assert found["pg_oncall_role"] == [{"rolname": "app", "connection_limit": 7, "connections": 4}]
    assert found["pg_oncall_database"] == [{"datname": "shop", "connection_limit": 9, "connections": 2}]
    assert {row["datname"] for row in found["pg_oncall_age"]} >= {"postgres", "shop", "template0"}
    assert all(0 < row["transactions"] < 10**6 and 0 <= row["multixacts"] < 10**6 for row in found["pg_oncall_age"])
    assert all(row["failures"] == 0 for row in found["pg_oncall_checksum"])
    assert found["pg_oncall_standby"] == []
    holder.run("ROLLBACK")
    admin.run("ALTER ROLE app CONNECTION LIMIT -1", "ALTER DATABASE shop CONNECTION LIMIT -1")
