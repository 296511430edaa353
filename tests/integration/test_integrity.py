# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The integrity check on real servers: what is damaged is named, what is sound passes, what was not read is said."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OptionsError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.integrity import amcheck, leftovers
from ansible_collections.oncall.postgresql.plugins.modules.integrity_info import WORK
from tests.embedded import Server, binaries
from tests.integration.servers import PASSWORD as SERVERS_PASSWORD
from tests.integration.servers import AnyServer, start, until

PASSWORD = "not-a-secret"
# Numbers in a text sort as numbers by the first rule, and as text by the second.
BY_NUMBER, BY_TEXT = "en-u-kn-true", "en"
SHOP = (
    """CREATE EXTENSION amcheck; CREATE COLLATION moved (provider = icu, locale = '%s');
CREATE TABLE items (id int PRIMARY KEY, name text, note text);
INSERT INTO items SELECT n, 'name ' || n, repeat('x', 100) FROM generate_series(1, 5000) n;
CREATE INDEX by_note ON items (note, id); CREATE TABLE labels (label text COLLATE moved);
INSERT INTO labels SELECT 'label ' || n FROM generate_series(1, 2000) n; CREATE INDEX by_label ON labels (label);
CREATE TABLE orders (id bigserial PRIMARY KEY, item int REFERENCES items, price int);
INSERT INTO orders (item, price) SELECT n, n FROM generate_series(1, 3000) n; VACUUM FREEZE ANALYZE"""
    % BY_NUMBER
)


@pytest.fixture
def db() -> Iterator[Server]:
    with Server(version=15, listen="127.0.0.1") as server:
        server.sql("ALTER ROLE postgres PASSWORD '%s'" % PASSWORD)
        server.sql("CREATE DATABASE shop")
        for statement in SHOP.split(";"):
            server.sql(statement, database="shop")
        yield server


def run(**options: Any) -> dict[str, Any]:
    checked = ArgumentSpecValidator(**WORK.spec.arguments()).validate(options)
    assert not checked.error_messages, checked.error_messages
    return WORK.do(checked.validated_parameters, False)


def beside(server: Server, **options: Any) -> dict[str, Any]:
    return run(runtime="pg_ctl", data_directory=str(server.data), login_user="postgres", **options)


def by_wire(server: Server, user: str = "postgres", **options: Any) -> dict[str, Any]:
    login = {"login_host": "127.0.0.1", "login_port": server.port, "login_user": user, "login_password": PASSWORD}
    return run(runtime="remote", login_db="shop", **login, **options)


@contextlib.contextmanager
def holding(server: Server, text: str) -> Iterator[None]:
    """A transaction that has done this, and goes on."""
    login = "host=127.0.0.1 port=%d user=postgres password=%s dbname=shop" % (server.port, PASSWORD)
    with contextlib.closing(psycopg2.connect(login)) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        yield


def item(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [each for each in found["checks"] if each["check"] == name]
    return dict(one)


def damage(found: dict[str, Any], database: str = "shop") -> dict[str, str]:
    (one,) = [each for each in found["integrity"]["databases"] if each["name"] == database]
    return {each["name"]: each["message"] for each in one["amcheck"]["damage"]}


def unread(found: dict[str, Any]) -> dict[str, str]:
    """But for backups, whose programs this machine may have, and what only a superuser reads, and on a primary."""
    errors: dict[str, str] = found["integrity"]["errors"]
    return {step: why for step, why in errors.items() if not step.startswith(("backups", "leftovers"))}


def file_of(server: Server, relation: str) -> Path:
    return server.data / server.sql("SELECT pg_relation_filepath('%s')" % relation, database="shop")


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.parametrize("look", [beside, by_wire])
def test_a_sound_server_is_go(db: Server, look: Any) -> None:
    found = look(db)
    assert found["grade"] == "go", found["checks"]
    graded = [each for each in found["checks"] if each["check"] not in ("backups", "baseline")]
    assert all(each["grade"] == "go" for each in graded if look is beside), found["checks"]
    read = item(found, "amcheck")["evidence"]
    assert any(re.fullmatch(r"100 % of .* of indexes", each) for each in read) and len(read) == 5, read
    # What else is said was not covered is the databases with nothing in them, what nothing reads, and checksums.
    unread = [each.partition(":")[0] for each in found["not_covered"] if "amcheck" in each]
    assert unread == ["postgres", "template1", "amcheck"], found["not_covered"]


def test_a_table_that_has_lost_its_end_is_a_caution(db: Server) -> None:
    """amcheck takes what is there for all: a table that is empty, or without its last segment, is sound to it."""
    for kind, name in (("UNLOGGED", "scratch"), ("", "queue")):
        db.sql("CREATE %s TABLE %s AS SELECT generate_series(1, 3000) AS id; ANALYZE" % (kind, name), database="shop")
    db.sql("TRUNCATE queue; DELETE FROM orders WHERE id > 10; VACUUM orders", database="shop")
    db.sql("ALTER ROLE postgres SET work_mem = '64kB'; ALTER ROLE postgres SET temp_file_limit = 0")
    sound = beside(db)
    assert (sound["grade"], item(sound, "schema")["grade"]) == ("go", "go"), sound["checks"]
    items, scratch, labels = file_of(db, "items"), file_of(db, "scratch"), file_of(db, "labels")
    db.sql("CHECKPOINT")
    db.stop()
    os.truncate(items, 0)
    os.truncate(scratch, 0)
    labels.write_bytes(labels.read_bytes()[:-8192])  # so it may be on a standby: the last pages were never written
    db.start()
    found = beside(db)
    told = item(found, "schema")
    assert (found["grade"], told["grade"]) == ("caution", "caution"), found["checks"]
    assert told["summary"].startswith("shop: table public.items has 0 B, and had "), told
    assert [each["name"] for one in found["integrity"]["databases"] for each in one["short_files"]] == ["public.items"]


def broken(server: Server) -> dict[str, str]:
    """Damages it while it is down -> what is damaged, and how that is told."""
    index, table = file_of(server, "items_pkey"), file_of(server, "orders")
    catalog, note = file_of(server, "pg_catalog.pg_description_o_c_o_index"), file_of(server, "by_note")
    server.sql("UPDATE pg_collation SET colliculocale = '%s' WHERE collname = 'moved'" % BY_TEXT, database="shop")
    server.sql("UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'moved'", database="shop")
    for statement in (
        "CREATE TABLE documents (body text); ALTER TABLE documents ALTER body SET STORAGE EXTERNAL",
        "INSERT INTO documents SELECT repeat('x', 6000) FROM generate_series(1, 20)",
    ):
        server.sql(statement, database="shop")
    name = server.sql("SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'documents'", database="shop")
    values = file_of(server, name)
    server.sql("CHECKPOINT")
    server.stop()
    os.truncate(index, 2 * 8192)
    overwrite(note, 3 * 8192 + 4096, b"\x5a" * 64)
    overwrite(catalog, 2 * 8192 + 16, b"\xff" * 8)  # its special space is nowhere
    # The first tuple of the second page: its header is said to be longer than it can be.
    page = table.read_bytes()[8192:16384]
    tuple_at = int.from_bytes(page[24:28], "little") & 0x7FFF
    overwrite(table, 8192 + tuple_at + 22, b"\xf8")
    # The first chunk of a value says that it is another one.
    chunk_at = int.from_bytes(values.read_bytes()[24:28], "little") & 0x7FFF
    overwrite(values, chunk_at + 24 + 4, b"\x07")
    server.start()
    return {
        "public.items_pkey": "",
        "public.by_note": "",
        "pg_catalog.pg_description_o_c_o_index": "",
        "public.orders": "block 1: ",
        "public.documents": "toast value ",
        "public.by_label": "order",
    }


def test_what_is_damaged_is_named_and_pg_amcheck_agrees(db: Server) -> None:
    expected = broken(db)
    found = beside(db)
    assert found["grade"] == "no_go" and found["summary"].startswith("No-go: "), found["summary"]
    said = damage(found)
    assert sorted(said) == sorted(expected), said
    for name, words in expected.items():
        assert words in said[name], said[name]
    collations = item(found, "collations")
    assert collations["grade"] == "no_go" and "amcheck proves shop.public.by_label damaged" in collations["summary"]
    assert sorted(damage(by_wire(db))) == sorted(said)
    asked = [str(db.bin / "pg_amcheck"), "-h", str(db.directory), "-p", str(db.port), "-U", "postgres", "-d", "shop"]
    theirs = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    named = re.findall(r'^(?:btree index|heap table) "shop\.([^"]+)"', theirs, re.MULTILINE)
    assert sorted(set(named)) == sorted(expected), theirs


def test_a_file_that_the_server_could_not_read_is_named(db: Server) -> None:
    path = file_of(db, "orders")
    db.sql("CHECKPOINT")
    db.stop()
    page = path.read_bytes()[8192:16384]
    overwrite(path, 8192, b"\x55" * 24)
    db.start()
    with pytest.raises(RuntimeError, match="invalid page in block 1"):
        db.sql("SELECT sum(price) FROM orders", database="shop")
    looking = {"log_file": str(db.log_file)}
    told = item(beside(db, **looking), "log")
    assert (told["grade"], told["summary"]) == (
        "caution",
        "the log says that the server could not read shop.public.orders",
    )
    db.stop()
    overwrite(path, 8192, page)
    db.start()
    told = item(beside(db, **looking), "log")
    assert (told["grade"], told["summary"]) == ("caution", "the server could not read 1 file, which is over"), told


def test_a_moved_collation_alone_is_a_caution(db: Server) -> None:
    db.sql("UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'moved'", database="shop")
    found = beside(db)
    told = item(found, "collations")
    assert (found["grade"], told["grade"]) == ("caution", "caution"), found["checks"]
    assert "1 index may be in the wrong order" in told["summary"]
    assert any("public.by_label on public.labels" in each for each in told["evidence"])


def test_a_constraint_that_is_not_enforced_is_meant_so() -> None:
    with Server(version=18) as server:
        server.sql("CREATE TABLE ages (age int CONSTRAINT adult CHECK (age > 17) NOT ENFORCED)")
        assert item(beside(server), "schema")["grade"] == "go"
        server.sql("ALTER TABLE ages ADD CONSTRAINT born CHECK (age >= 0) NOT VALID")
        told = item(beside(server), "schema")
        assert (told["grade"], told["summary"]) == (
            "caution",
            "postgres: constraint born of public.ages is not validated",
        )


def test_what_the_catalogs_tell(db: Server) -> None:
    for statement in (
        "ALTER TABLE orders ADD CONSTRAINT positive CHECK (price > 0) NOT VALID",
        "CREATE UNLOGGED TABLE scratch (n int)",
        "CREATE SEQUENCE near MAXVALUE 100; SELECT setval('near', 95)",
        "CREATE SEQUENCE round MAXVALUE 100 CYCLE; SELECT setval('round', 99)",
        "CREATE TABLE twice AS SELECT 1 AS n UNION ALL SELECT 1",
    ):
        db.sql(statement, database="shop")
    with pytest.raises(RuntimeError, match="could not create unique index"):
        db.sql("CREATE UNIQUE INDEX CONCURRENTLY failed ON twice (n)", database="shop")
    found = beside(db)
    told = item(found, "schema")
    assert told["grade"] == "caution"
    assert any("index public.failed on public.twice is not" in each for each in told["evidence"]), told
    assert any("constraint positive of public.orders is not validated" in each for each in told["evidence"])
    assert any("table public.scratch is unlogged" in each for each in told["evidence"])
    near = item(found, "sequences")
    assert near["grade"] == "caution" and near["evidence"] == ["shop.public.near: 95.0 % used, 95 of 100"]


@pytest.mark.parametrize("release", [13, 18])
def test_how_long_a_sequence_lasts(release: int) -> None:
    """A table and a partitioned one draw from it: 10 rows each, and some two billion values are left."""
    server = start(release, contrib=True)
    try:
        with contextlib.closing(administrator(server)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for statement in (
                "CREATE TABLE ids (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
                "CREATE TABLE parts (id int DEFAULT nextval('ids_id_seq'), day int) PARTITION BY LIST (day)",
                "CREATE TABLE one PARTITION OF parts FOR VALUES IN (1)",
                "INSERT INTO ids SELECT FROM generate_series(1, 10)",
                "INSERT INTO parts (day) SELECT 1 FROM generate_series(1, 10)",
            ):
                cursor.execute(statement)

            def counted() -> bool:
                cursor.execute("SELECT sum(n_tup_ins) FROM pg_stat_user_tables")
                return bool(cursor.fetchall() == [(20,)])

            until(counted)
        login: dict[str, Any] = {"login_host": server.host, "login_port": server.port, "login_user": "postgres"}
        found = run(runtime="remote", login_password=SERVERS_PASSWORD, sequence_percent=1e-9, **login)
        (near,) = next(each["sequences"] for each in found["integrity"]["databases"] if each["name"] == "postgres")
        seconds, per_second = near["seconds_counted"], (2**31 - 1 - 20) / 20 / 86400
        assert near["last"] == 20 and seconds > 0, near
        assert (seconds - 0.5) * per_second - 1 <= near["days_left"] <= (seconds + 0.5) * per_second, near
        assert "more days at the average pace of inserts (over " in item(found, "sequences")["summary"]
    finally:
        server.remove()


def test_archiving_that_fails_and_a_slot_that_has_lost_its_wal() -> None:
    settings = {"archive_mode": "on", "archive_command": "false", "max_slot_wal_keep_size": "16MB"}
    with Server(version=15, settings=settings) as server:
        server.sql("SELECT pg_create_physical_replication_slot('standby_1', true); CREATE TABLE t (n int)")
        for number in range(4):
            server.sql("INSERT INTO t VALUES (%d); SELECT pg_switch_wal()" % number)
        until(lambda: server.sql("SELECT failed_count > 0 FROM pg_stat_archiver") == "t")
        server.sql("ALTER SYSTEM SET archive_command = 'true'; SELECT pg_reload_conf()")
        until(lambda: server.sql("SELECT last_archived_wal IS NOT NULL FROM pg_stat_archiver") == "t")
        assert item(beside(server), "archiving")["grade"] == "go"
        server.sql("ALTER SYSTEM SET archive_command = 'false'; SELECT pg_reload_conf()")
        server.sql("INSERT INTO t VALUES (9); SELECT pg_switch_wal()")
        asked = "SELECT last_failed_time > last_archived_time FROM pg_stat_archiver"
        until(lambda: server.sql(asked) == "t")
        server.sql("CHECKPOINT")
        found = beside(server)
        assert item(found, "archiving")["grade"] == "caution" and "fails: 0000" in item(found, "archiving")["summary"]
        assert item(found, "slots")["evidence"] == [
            "slot standby_1 has lost WAL that its reader needs: it has to be made anew"
        ]


def test_age_with_what_holds_it_back(db: Server) -> None:
    with holding(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM items"):
        for _each in range(3):
            db.sql("INSERT INTO orders (price) VALUES (1)", database="shop")
        found = beside(db, xid_age=5)
        told = item(found, "age")
        assert told["grade"] == "caution", told
        assert any(re.search("held back by session [0-9]+: ", each) for each in told["evidence"]), told


def test_without_rights_it_says_what_it_lacks_and_logs_no_error(db: Server) -> None:
    db.sql("CREATE ROLE looker LOGIN PASSWORD '%s'" % PASSWORD)
    db.sql("CREATE DATABASE shut; REVOKE CONNECT ON DATABASE shut FROM PUBLIC")
    found = by_wire(db, "looker")
    assert found["grade"] == "caution", found["checks"]
    assert "the data was not read" in found["summary"] or "Not looked at: " in found["summary"], found["summary"]
    assert any("may not execute its functions" in each for each in found["not_covered"]), found["not_covered"]
    assert any("database shut: the login role may not connect" in each for each in found["not_covered"])
    assert "ERROR" not in db.log and "FATAL" not in db.log, db.log


def test_nothing_is_waited_for(db: Server) -> None:
    with holding(db, "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"):
        found = beside(db)
        assert found["grade"] == "caution" and damage(found) == {}
        assert any("public.orders" in each and "locked" in each for each in found["not_covered"]), found["not_covered"]
        assert "lock timeout" not in db.log


@pytest.mark.parametrize("version", [13, 17, 18])
def test_by_the_extension_of_other_versions(version: int) -> None:
    """13's reads no table; 17's knows whether a value is there twice; 18's reads GIN indexes."""
    server = start(version, contrib=True)
    try:
        with contextlib.closing(administrator(server)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("CREATE EXTENSION amcheck; CREATE TABLE items (id int); INSERT INTO items VALUES (1), (2)")
            cursor.execute("CREATE TABLE words (word int[]); CREATE INDEX gin ON words USING gin (word)")
            cursor.execute("INSERT INTO words SELECT ARRAY[n, n % 7] FROM generate_series(1, 3000) n")
            cursor.execute("CREATE UNIQUE INDEX one_of_each ON items (id)")
            cursor.execute("UPDATE pg_index SET indisunique = false WHERE indexrelid = 'one_of_each'::regclass")
            cursor.execute("INSERT INTO items VALUES (2)")
            cursor.execute("UPDATE pg_index SET indisunique = true WHERE indexrelid = 'one_of_each'::regclass")
        login = {"login_host": server.host, "login_port": server.port, "login_user": "postgres"}
        found = run(runtime="remote", login_password=SERVERS_PASSWORD, **login)
        told = " ".join(found["not_covered"])
        if version >= 17:
            assert ("public.gin" in told) == (version < 18), told
            assert found["grade"] == "no_go" and "uniqueness" in damage(found, "postgres")["public.one_of_each"], found[
                "checks"
            ]
        else:
            assert found["grade"] == "caution" and damage(found, "postgres") == {}
            assert any("amcheck 1.2 cannot read a table" in each for each in found["not_covered"]), found["not_covered"]
    finally:
        server.remove()


def administrator(server: AnyServer) -> Any:
    login = {"host": server.host, "port": server.port, "user": "postgres", "password": SERVERS_PASSWORD}
    return psycopg2.connect(dbname="postgres", **login)  # type: ignore[call-overload]


def test_a_database_that_there_is_not_is_refused(db: Server) -> None:
    with pytest.raises(OptionsError, match=r"There is no database shopp\. Did you mean shop\?"):
        beside(db, databases=["shopp"])
    found = beside(db, databases=["shop"])
    assert [each["name"] for each in found["integrity"]["databases"]] == ["shop"]


def test_what_no_time_was_left_for_is_not_covered(db: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amcheck, "_FIRST_RATE", 10000.0)
    found = beside(db, check_seconds=30)
    assert found["grade"] == "caution"
    assert any("no time was left" in each for each in found["not_covered"]), found["not_covered"]
    assert not any(each.startswith("100 %") and "catalog tables" in each for each in item(found, "amcheck")["evidence"])


def test_a_database_whose_name_looks_like_a_connection_string(db: Server) -> None:
    name = 'sh o\'p = 100%s \\ "x"'
    db.sql('CREATE DATABASE "%s"' % name.replace('"', '""'))
    for look in (beside, by_wire):
        found = look(db)
        assert name in [each["name"] for each in found["integrity"]["databases"]], found["integrity"]["errors"]


def test_what_amcheck_cannot_read_is_said(db: Server) -> None:
    db.sql("CREATE TABLE places (at point); CREATE INDEX by_place ON places USING gist (at)", database="shop")
    db.sql("CREATE INDEX by_hash ON labels USING hash (label)", database="shop")
    found = beside(db)
    assert found["grade"] == "caution"
    for text in (
        "public.by_place: amcheck 1.3 cannot read a gist index",
        "by_hash: amcheck 1.3 cannot read a hash index",
    ):
        assert any(text in each for each in found["not_covered"]), found["not_covered"]


def test_a_library_that_is_gone_is_no_damage(db: Server) -> None:
    db.sql("UPDATE pg_proc SET probin = '$libdir/gone' WHERE probin = '$libdir/amcheck'", database="shop")
    found = beside(db)
    assert found["grade"] == "caution" and damage(found) == {}, found["summary"]
    assert any("could not access file" in each for each in found["not_covered"]), found["not_covered"]


def test_functions_that_somebody_put_beside_those_of_amcheck_are_not_called(db: Server) -> None:
    db.sql("CREATE ROLE mallory LOGIN; GRANT CREATE ON SCHEMA public TO mallory", database="shop")
    body = "LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'called' USING ERRCODE = 'XX001'; END$$"
    out = "blkno bigint, OUT offnum int, OUT attnum int, OUT msg text) RETURNS SETOF record"
    for signature in (
        "bt_index_check(oid) RETURNS void",
        "bt_index_check(oid, boolean) RETURNS void",
        "verify_heapam(relation oid, on_error_stop boolean, OUT %s" % out,
        "verify_heapam(relation regclass, on_error_stop boolean, OUT %s" % out,
    ):
        db.sql("SET ROLE mallory; CREATE FUNCTION public.%s %s" % (signature, body), database="shop")
    found = beside(db)
    assert found["grade"] == "go", found["summary"]
    assert "called" not in db.log


def test_a_schema_that_may_not_be_used_is_told_without_an_error(db: Server) -> None:
    schema = '"A\'m 100%s \\ ""z"'
    db.sql(
        "DROP EXTENSION amcheck; CREATE SCHEMA %s; CREATE EXTENSION amcheck SCHEMA %s" % (schema, schema),
        database="shop",
    )
    for look in (beside, by_wire):
        assert look(db)["grade"] == "go"
    db.sql("CREATE ROLE looker LOGIN PASSWORD '%s'" % PASSWORD)
    db.sql("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %s TO looker" % schema, database="shop")
    found = by_wire(db, "looker")
    assert any("may not execute its functions" in each for each in found["not_covered"]), found["not_covered"]
    assert "ERROR" not in db.log, db.log


@pytest.mark.parametrize(
    ("statements", "grade", "evidence"),
    [
        ("CREATE SEQUENCE s MAXVALUE 10000; SELECT setval('s', 9996)", "caution", "99.9 % used, 9,996 of 10,000"),
        ("CREATE SEQUENCE s MAXVALUE 10000; SELECT setval('s', 10000)", "no_go", "100.0 % used, 10,000 of 10,000"),
        ("CREATE SEQUENCE s INCREMENT 10 MAXVALUE 100; SELECT setval('s', 91)", "no_go", "100.0 % used, 91 of 100"),
        (
            "CREATE SEQUENCE s; CREATE TABLE t (id int DEFAULT nextval('s')); SELECT setval('s', 2147483647)",
            "no_go",
            "100.0 % used, 2,147,483,647 of 2,147,483,647",
        ),
        (
            "CREATE SEQUENCE s INCREMENT -1; CREATE TABLE t (id int2 DEFAULT nextval('s')); SELECT setval('s', -32768)",
            "no_go",
            "100.0 % used, -32,768 of -32,768",
        ),
    ],
)
def test_a_sequence_is_used_up_when_it_has_no_next_value(
    db: Server, statements: str, grade: str, evidence: str
) -> None:
    db.sql(statements, database="shop")
    told = item(beside(db, databases=["shop"]), "sequences")
    assert (told["grade"], told["evidence"]) == (grade, ["shop.public.s: %s" % evidence]), told


def test_tools_of_another_major_version_prove_nothing(db: Server) -> None:
    theirs = str(binaries(18))
    told = item(beside(db, bin_directory=theirs), "control_file")
    assert told["grade"] == "caution" and "is bin_directory of its version?" in told["summary"], told
    db.stop()
    found = beside(db, bin_directory=theirs)
    told = item(found, "control_file")
    assert found["grade"] == "caution" and told["grade"] is None, told
    assert "is of PostgreSQL 15, the program is 18" in told["not_covered"][0], told


def test_a_database_that_a_drop_left_invalid_is_not_entered(db: Server) -> None:
    db.sql("CREATE DATABASE half")
    db.sql("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'")
    found = beside(db)
    assert "database half: it is invalid: a DROP DATABASE of it did not end" in found["not_covered"]
    assert "FATAL" not in db.log


def test_it_keeps_no_connection_for_each_database(db: Server) -> None:
    """The limit leaves room for some that are just ending."""
    for number in range(6):
        db.sql("CREATE DATABASE more_%d" % number)
    db.sql("CREATE ROLE looker LOGIN CONNECTION LIMIT 5 PASSWORD '%s'" % PASSWORD)
    db.sql("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO looker", database="shop")
    found = by_wire(db, "looker", jobs=2)
    assert unread(found) == {} and len(found["integrity"]["databases"]) == 9, found["integrity"]["errors"]
    assert item(found, "amcheck")["grade"] == "go", found["not_covered"]
    assert "FATAL" not in db.log, db.log


@contextlib.contextmanager
def stopped(*arguments: str) -> Iterator[Server]:
    """Shut down cleanly, with a table in it. ``arguments``: of initdb."""
    with Server(version=15, initdb=arguments) as server:
        server.sql("CREATE TABLE items AS SELECT n, repeat('x', 100) AS note FROM generate_series(1, 3000) n")
        server.sql("CHECKPOINT")
        server.table = server.data / server.sql("SELECT pg_relation_filepath('items')")  # type: ignore[attr-defined]
        server.stop()
        yield server


def test_the_checksums_of_a_stopped_server() -> None:
    with stopped("--data-checksums") as server:
        found = beside(server)
        told = item(found, "checksums")
        assert (found["grade"], told["grade"]) == ("caution", "go"), found["checks"]
        assert found["integrity"]["at_rest"]["blocks"] > 100 and "pages in " in told["summary"], told
        assert item(found, "control_file")["summary"] == 'cluster state "shut down"'
        assert "amcheck: no database was looked into" in found["not_covered"]
        path = server.table  # type: ignore[attr-defined]
        overwrite(path, 8192 + 5000, b"\x5a\x5a")
        overwrite(path, 3 * 8192 + 5000, b"\x5a\x5a")
        before = {each: each.stat().st_mtime_ns for each in server.data.rglob("*") if each.is_file()}
        found = beside(server)
        told = item(found, "checksums")
        below = str(path.relative_to(server.data))
        assert (found["grade"], told["grade"]) == ("no_go", "no_go"), told
        assert told["evidence"] == ["%s: 2 pages with a wrong checksum" % below]
        assert any("known only to a running server" in each for each in told["not_covered"]), told
        assert before == {each: each.stat().st_mtime_ns for each in server.data.rglob("*") if each.is_file()}
        proved = subprocess.run(
            [str(server.bin / "pg_checksums"), "--check", "-D", str(server.data)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert proved.returncode == 1 and "Bad checksums:  2" in proved.stdout, proved


def test_a_stopped_server_without_checksums_or_not_shut_down_proves_nothing(tmp_path: Path) -> None:
    with stopped() as server:
        told = item(beside(server), "checksums")
        assert told["grade"] is None and "data checksums are off" in told["not_covered"][0], told
        told = item(beside(server, bin_directory=str(tmp_path)), "checksums")
        assert told["grade"] is None and told["not_covered"], told
    with stopped("--data-checksums") as server:
        overwrite(server.table, 8192 + 5000, b"\x5a\x5a")  # type: ignore[attr-defined]
        control = server.data / "global" / "pg_control"
        sound = control.read_bytes()
        server.start()
        running = control.read_bytes()
        server.stop()
        after = control.read_bytes()
        control.write_bytes(running)  # as after a crash
        told = item(beside(server), "checksums")
        assert told["grade"] is None and "was not shut down cleanly" in told["not_covered"][0], told
        control.write_bytes(after)
        assert sound != after and item(beside(server), "checksums")["grade"] == "no_go"


def test_a_server_that_was_started_meanwhile_is_not_called_damaged() -> None:
    """Its pages change while pg_checksums reads them."""
    with stopped("--data-checksums") as server:
        overwrite(server.table, 8192 + 5000, b"\x5a\x5a")  # type: ignore[attr-defined]
        tools = server.directory / "tools"
        tools.mkdir()
        for program in server.bin.iterdir():
            (tools / program.name).symlink_to(program)
        reader = tools / "pg_checksums"
        reader.unlink()
        command = '"%s" "$@"; done=$?; "%s" -D "%s" -w -l "%s" start >&2; exit $done' % (
            server.bin / "pg_checksums",
            server.bin / "pg_ctl",
            server.data,
            server.log_file,
        )
        reader.write_text("#!/bin/sh\n%s\n" % command)
        reader.chmod(0o755)
        try:
            found = beside(server, bin_directory=str(tools))
            told = item(found, "checksums")
            assert (found["grade"], told["grade"]) == ("caution", None), told
            assert "was started while its files were read" in told["not_covered"][0], told
        finally:
            server.stop()


def test_the_age_of_the_last_backup(tmp_path: Path) -> None:
    """A real pgBackRest's of this server; a limit far shorter than a month makes its age that of last month."""
    with Server(version=15, settings={"archive_mode": "on", "wal_level": "replica"}) as server:
        config = server.directory / "pgbackrest.conf"
        places = {"repo1-path": "repo", "lock-path": "lock", "log-path": "log", "spool-path": "spool"}
        lines = ["[global]", "start-fast=y", "compress-type=none", "log-level-file=off", "repo1-retention-full=2"]
        for option, name in places.items():
            lines.append("%s=%s" % (option, server.directory / name))
        lines += ["[shop]", "pg1-path=%s" % server.data, "pg1-port=%d" % server.port, "pg1-user=postgres"]
        config.write_text("\n".join([*lines, "pg1-socket-path=%s" % server.directory, ""]))
        tool = server.directory / "tools"
        tool.mkdir()
        (tool / "pgbackrest").write_text('#!/bin/sh\nexec /usr/bin/pgbackrest --config="%s" "$@"\n' % config)
        (tool / "pgbackrest").chmod(0o755)
        command = "%s --stanza=shop archive-push %%p" % (tool / "pgbackrest")
        server.sql("ALTER SYSTEM SET archive_command = '%s'" % command)
        server.sql("SELECT pg_reload_conf()")
        before = os.environ["PATH"]
        os.environ["PATH"] = "%s:%s" % (tool, before)
        try:
            server.run(str(tool / "pgbackrest"), "--stanza=shop", "stanza-create")
            told = item(beside(server), "backups")
            assert (told["grade"], "no valid backups" in told["summary"]) == ("caution", True), told
            server.run(str(tool / "pgbackrest"), "--stanza=shop", "backup", "--type=full")
            told = item(beside(server), "backups")
            assert told["grade"] == "go" and re.search("pgBackRest .*F of stanza shop: finished", told["evidence"][0])
            # Both clocks tell whole seconds: within the first one its age is none.
            until(lambda: item(beside(server, backup_hours=1e-9), "backups")["grade"] == "caution")
            told = item(beside(server, backup_hours=1e-9), "backups")
            assert told["grade"] == "caution" and "backup_hours is 1e-09" in told["summary"], told
            with Server(
                version=15, initdb=["--data-checksums"]
            ) as another:  # no copy of the same template: its system identifier is another
                config.write_text(config.read_text().replace(str(server.data), str(another.data)))
                told = item(beside(another), "backups")
                assert told["grade"] is None, told
        finally:
            os.environ["PATH"] = before
        for age, grade in ((20, "go"), (30 * 24, "caution")):
            file = tmp_path / ("%d.dump" % age)
            file.write_text("x")
            at = time.time() - age * 3600
            os.utime(file, (at, at))
            told = item(beside(server, backup_file=str(file)), "backups")
            assert told["grade"] == grade, told
        assert item(beside(server, backup_file=str(tmp_path / "*.dump")), "backups")["grade"] == "go"
        told = item(beside(server, backup_file=str(tmp_path / "none*")), "backups")
        assert told["grade"] == "caution" and "there is no such file" in told["summary"], told


def test_the_last_backup_by_barman() -> None:
    """A real one of today and, by its catalogue, of last month; one that failed; none."""
    with Server(version=15, settings={"archive_mode": "on", "wal_level": "replica"}) as server:
        home, tools = server.directory / "barman", server.directory / "tools"
        for each in (home, home / "shop" / "incoming", tools):
            server.run("/bin/mkdir", "-p", str(each))
        config, owner = server.directory / "barman.conf", server.data.owner()
        place = "host=%s port=%d user=postgres" % (server.directory, server.port)
        common = {"barman_user": owner, "barman_home": home, "barman_lock_directory": home, "path_prefix": server.bin}
        lines = ["[barman]", "log_file=%s" % (home / "log"), "configuration_files_directory=%s" % (home / "d")]
        lines += ["%s=%s" % pair for pair in common.items()]
        lines += ["[shop]", "description=shop", "archiver=on", "backup_method=postgres", "conninfo=%s" % place]
        config.write_text("\n".join([*lines, "streaming_conninfo=%s" % place, ""]))
        program = tools / "barman"
        program.write_text('#!/bin/sh\nexec /usr/bin/barman -c "%s" "$@"\n' % config)
        program.chmod(0o755)
        server.hba("local replication postgres trust")
        server.sql("ALTER SYSTEM SET archive_command = 'cp %%p %s/%%f'" % (home / "shop" / "incoming"))
        server.sql("SELECT pg_reload_conf()")
        before = os.environ["PATH"]
        os.environ["PATH"] = "%s:%s" % (tools, before)
        try:
            told = item(beside(server), "backups")
            assert (told["grade"], "it holds no backup" in told["summary"]) == ("caution", True), told
            assert any("Barman does not tell which server shop is" in each for each in told["not_covered"]), told
            server.sql("SELECT pg_switch_wal()")
            until(lambda: server.sql("SELECT archived_count > 0 FROM pg_stat_archiver") == "t")
            server.run(str(program), "archive-wal", "shop")
            server.run(str(program), "backup", "shop")
            told = item(beside(server), "backups")
            assert told["grade"] == "go" and re.search("Barman .* of server shop: finished", told["evidence"][0]), told
            (info,) = home.glob("shop/base/*/backup.info")
            month = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%d")
            info.write_text(re.sub(r"(?m)^(begin|end)_time=\S+", r"\1_time=" + month, info.read_text()))
            told = item(beside(server), "backups")
            assert told["grade"] == "caution" and re.search("30 d|29 d", told["summary"]), told
            unreadable = server.data / "unreadable"
            server.run("/usr/bin/touch", str(unreadable))
            unreadable.chmod(0)  # the copy of the data directory fails
            with pytest.raises(RuntimeError):
                server.run(str(program), "backup", "shop")
            told = item(beside(server), "backups")
            assert any("its status is FAILED" in each for each in told["evidence"]), told
        finally:
            os.environ["PATH"] = before


@contextlib.contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    primary.hba("local replication postgres trust", "host all all all scram-sha-256")
    standby = Server(version=15)
    try:
        shutil.rmtree(standby.data)
        where = ["-h", str(primary.directory), "-p", str(primary.port), "-U", "postgres"]
        standby.run("pg_basebackup", *where, "-D", standby.data, "-R", "-c", "fast")
        standby.conf(port=standby.port, unix_socket_directories=standby.directory)
        standby.start()
        yield standby
    finally:
        standby.remove()


def test_a_standby_reads_its_own_files(db: Server) -> None:
    """Of many databases, and without an error in its log."""
    for number in range(30):
        db.sql("CREATE DATABASE more_%d" % number)
    db.sql("CREATE UNLOGGED TABLE scratch (n int)", database="shop")
    with standby_of(db) as standby:
        at = db.sql("SELECT pg_current_wal_lsn()")
        until(lambda: standby.sql("SELECT pg_last_wal_replay_lsn() >= '%s'" % at) == "t")
        for look in (beside, by_wire):
            found = look(standby)
            assert found["grade"] == "go" and found["target"]["in_recovery"], found["summary"]
            assert len(found["integrity"]["databases"]) == 33 and unread(found) == {}, found["integrity"]["errors"]
            assert any(each.startswith("100 % of ") for each in item(found, "amcheck")["evidence"])
        assert item(beside(standby), "control_file")["summary"] == 'cluster state "in archive recovery"'
        assert "ERROR" not in standby.log and "FATAL" not in standby.log, standby.log
        index = standby.data / standby.sql("SELECT pg_relation_filepath('items_pkey')", database="shop")
        standby.stop()
        found = beside(standby)
        assert item(found, "control_file")["summary"] == 'cluster state "shut down in recovery"'
        os.truncate(index, 2 * 8192)
        standby.start()
        found = beside(standby, databases=["shop"])
        assert found["grade"] == "no_go" and list(damage(found)) == ["public.items_pkey"], found["summary"]
    assert beside(db, databases=["shop"])["grade"] == "go"


def aged(path: Path, content: bytes = b"x" * 8192) -> Path:
    path.write_bytes(content)
    os.utime(path, (time.time() - 7200,) * 2)
    return path


@pytest.mark.parametrize("look", [beside, by_wire])
def test_what_a_crash_has_left(db: Server, look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what an open transaction has made, however long ago, nor what is empty until the next checkpoint."""
    base = db.data / "base" / db.sql("SELECT oid FROM pg_database WHERE datname = 'shop'")
    (db.data / "base" / "pgsql_tmp").mkdir(exist_ok=True)
    left = [aged(base / "999999001"), aged(base / "999999001.1"), aged(base / "999999001_fsm")]
    left.append(aged(db.data / "base" / "pgsql_tmp" / "pgsql_tmp2147483.0"))
    others = [aged(base / "999999002", b""), base / "999999003"]
    others[1].write_bytes(b"x" * 8192)  # young
    try:
        found = item(look(db), "leftovers")
        assert found["grade"] == "caution" and "4 files with 32 KiB" in found["summary"], found
        assert {each.split(" ")[0] for each in found["evidence"]} == {
            *(str(each.relative_to(db.data)) for each in left[:3]),
            left[3].name,
        }
        others[1].unlink()
        with holding(db, "CREATE TABLE half_done AS SELECT generate_series(1, 1000)"):
            # Its name is in no catalog that others see. Old enough is what is older than this transaction.
            monkeypatch.setattr(leftovers, "OLD_SECONDS", 0.0)
            evidence = item(look(db), "leftovers")["evidence"]
            assert len(evidence) == 4, evidence
    finally:
        for each in [*left, *others]:
            each.unlink(missing_ok=True)
    assert item(look(db), "leftovers")["grade"] == "go"


def test_what_vacuum_does_now(db: Server) -> None:
    db.sql("CREATE TABLE dusty AS SELECT generate_series(1, 200000) AS id", database="shop")
    db.sql("DELETE FROM dusty", database="shop")
    db.sql("ALTER ROLE postgres SET vacuum_cost_delay = 100; ALTER ROLE postgres SET vacuum_cost_limit = 1")
    vacuum = db.background("VACUUM dusty;", database="shop")
    try:
        until(lambda: db.sql("SELECT count(*) FROM pg_stat_progress_vacuum") == "1")
        age = item(by_wire(db), "age")
        assert age["grade"] == "go" and any(
            re.search(r"^VACUUM of shop.public.dusty is running: .* \(pid \d+\)$", each) for each in age["evidence"]
        ), age
    finally:
        db.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum")
        vacuum.communicate()
