# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes really in the wrong order are rebuilt beside their users; what is not safe is refused before anything is
touched; and nothing that a rebuild leaves goes unmentioned."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    OptionsError,
    RefusedError,
    UnprovenError,
)
from ansible_collections.oncall.postgresql.plugins.modules import integrity_info, reindex, triage
from tests.embedded import Server
from tests.integration.servers import PASSWORD as SERVERS_PASSWORD
from tests.integration.servers import start, until

from .results import held
from .test_baseline import MALLORY
from .test_integrity import BY_NUMBER, BY_TEXT, administrator

PASSWORD = "not-a-secret"
ODD = 'quo"ted.na%me'  # as the name of a database, a schema and an index
QUOTED = '"quo""ted.na%me"'
BY_LABEL = "shop.public.by_label"
ODD_INDEX = "%s.%s.%s" % (ODD, QUOTED, QUOTED)
LABELS = (
    "CREATE COLLATION moved (provider = icu, locale = '%s')" % BY_NUMBER,
    "CREATE TABLE labels (label text COLLATE moved, n int)",
    "INSERT INTO labels SELECT 'label ' || n, n FROM generate_series(1, 3000) n",
    "CREATE INDEX by_label ON labels (label)",
)
# Its order is the old rule's: as an image rebuilt on another ICU leaves it.
MOVED = (
    "UPDATE pg_collation SET colliculocale = '%s' WHERE collname = 'moved'" % BY_TEXT,
    "UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'moved'",
)


@pytest.fixture
def db() -> Iterator[Server]:
    with Server(version=15, listen="127.0.0.1") as server:
        server.sql("ALTER ROLE postgres PASSWORD '%s'" % PASSWORD)
        server.sql("CREATE DATABASE shop")
        for statement in ("CREATE EXTENSION amcheck", *LABELS, *MOVED):
            server.sql(statement, database="shop")
        yield server


def run(check_mode: bool = False, module: Any = reindex, **options: Any) -> dict[str, Any]:
    checked = ArgumentSpecValidator(**module.WORK.spec.arguments()).validate(options)
    assert not checked.error_messages, checked.error_messages
    with held(module.__name__.rpartition(".")[2]) as fitting:
        return fitting(module.WORK.do(checked.validated_parameters, check_mode))


def beside(server: Server, check_mode: bool = False, module: Any = reindex, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "runtime": "pg_ctl",
        "data_directory": str(server.data),
        "login_user": "postgres",
        "host": "db1",
    }
    return run(check_mode, module, **given, **options)


def by_wire(server: Server, user: str = "postgres", check_mode: bool = False, **options: Any) -> dict[str, Any]:
    login = {"login_host": "127.0.0.1", "login_port": server.port, "login_user": user, "login_password": PASSWORD}
    return run(check_mode, runtime="remote", login_db="shop", **login, **options)


def session(server: Server, *statements: str, database: str = "shop") -> Any:
    login = "host=127.0.0.1 port=%d user=postgres password=%s dbname=%s" % (server.port, PASSWORD, database)
    connection = psycopg2.connect(login)
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    return contextlib.closing(connection)


def states(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in found["indexes"]}


def invalid(server: Server, database: str = "shop") -> str:
    return server.sql(
        "SELECT relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE NOT indisvalid", database
    )


def version(server: Server, database: str = "shop") -> str:
    return server.sql("SELECT collversion FROM pg_collation WHERE collname = 'moved'", database)


@pytest.mark.parametrize("way", ["beside", "by_wire"])
def test_wrong_order_is_healed_and_the_version_written_down(db: Server, way: str) -> None:
    """Triage finds it, the integrity check proves it, check mode foretells it, the run heals it in every database."""
    db.sql('CREATE DATABASE "%s"' % ODD.replace('"', '""'))
    for statement in (
        *LABELS[:3],
        "CREATE SCHEMA %s" % QUOTED,
        "ALTER TABLE labels SET SCHEMA %s" % QUOTED,
        "CREATE UNIQUE INDEX %s ON %s.labels (label)" % (QUOTED, QUOTED),
        *MOVED,
    ):
        db.sql(statement, database=ODD)
    (finding,) = [
        each
        for each in beside(db, module=triage, login_db="shop")["findings"]
        if each["code"] == "collation_version_moved"
    ]
    assert finding["severity"] == "warning"
    assert "shop: collation moved was 1.0, is " in finding["evidence"][0], finding
    assert "1 index (" in finding["evidence"][0] and "public.by_label" in finding["evidence"][0], finding
    assert finding["evidence"][-1].endswith("ansible-playbook oncall.postgresql.reindex --limit db1"), finding
    assert beside(db, module=integrity_info)["grade"] == "no_go"
    if way == "beside":
        planned, done = beside(db, check_mode=True), None
        assert version(db) == "1.0"
        done = beside(db)
    else:
        planned = by_wire(db, check_mode=True, disk_checked=True)
        assert version(db) == "1.0"
        done = by_wire(db, disk_checked=True)
    assert states(done) == {BY_LABEL: "rebuilt", ODD_INDEX: "rebuilt"} == states(planned)
    assert (done["diff"], done["msg"], done["refreshed"]) == (planned["diff"], planned["msg"], planned["refreshed"])
    by_label, odd = done["indexes"][1], done["indexes"][0]
    if by_label["name"] != BY_LABEL:
        by_label, odd = odd, by_label
    assert by_label["proved_by"] == "amcheck" and odd["proved_by"] == "rebuild" and by_label["bytes_after"] > 0, done
    assert sorted(done["refreshed"]) == sorted(["shop.moved", ODD + ".moved"])
    assert version(db) == version(db, ODD) != "1.0"
    found = beside(db, module=integrity_info)
    assert {each["check"]: each["grade"] for each in found["checks"]}["collations"] == "go", found["checks"]
    assert beside(db, module=triage, login_db="shop")["findings"] == []
    again = beside(db)
    assert (again["changed"], again["indexes"], again["refreshed"]) == (False, [], [])


HIDDEN = (
    "CREATE TYPE span AS RANGE (subtype = text, collation = moved)",
    "CREATE TYPE pair AS (name text COLLATE moved)",
    'CREATE TABLE hidden (span span, pair pair, name text COLLATE "C", n int)',
    "CREATE INDEX in_range ON hidden (span)",
    "CREATE INDEX in_array ON hidden ((ARRAY[span]))",
    "CREATE INDEX in_pair ON hidden (pair)",
    "CREATE INDEX in_expression ON hidden ((name < 'x' COLLATE moved))",
    "CREATE INDEX in_condition ON hidden (n) WHERE name < 'x' COLLATE moved",
    "CREATE INDEX apart ON hidden (name, n) WHERE name < 'x'",
)


def test_an_order_within_a_type_an_expression_or_a_condition_is_found(db: Server) -> None:
    """Else the version would be written down anew while they are in the old order. Times out of range are said."""
    for statement in HIDDEN:
        db.sql(statement, "shop")
    hidden = ("range", "array", "pair", "expression", "condition")
    mine = {BY_LABEL, *("shop.public.in_%s" % each for each in hidden)}
    looked = beside(db, module=integrity_info, databases=["shop"])
    (item,) = [each for each in looked["checks"] if each["check"] == "collations"]
    assert {each.partition(" on ")[0] for each in item["evidence"] if " on " in each} == mine, item
    seen = beside(db, module=triage, login_db="shop")["findings"]
    (finding,) = [each for each in seen if each["code"] == "collation_version_moved"]
    assert "6 indexes (" in finding["evidence"][0], finding
    found = beside(db)
    assert set(states(found)) == mine and set(states(found).values()) == {"rebuilt"}, found
    assert found["refreshed"] == ["shop.moved"]
    for odd in (float("nan"), float("inf"), 0.0001):
        with pytest.raises(OptionsError, match=r"lock_timeout_seconds must be from 0\.001 to 1000000"):
            beside(db, lock_timeout_seconds=odd)


def test_one_that_is_named_is_rebuilt_and_the_version_stays(db: Server) -> None:
    """Not every index that depends on it was: so it is never refreshed alone."""
    db.sql("CREATE INDEX second ON labels (label, n)", database="shop")
    db.sql("CREATE TABLE parts (n int) PARTITION BY RANGE (n)", database="shop")
    db.sql("CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9); CREATE INDEX whole ON parts (n)", "shop")
    found = beside(db, indexes=[BY_LABEL, "shop.public.whole"])
    assert states(found) == {BY_LABEL: "rebuilt", "shop.public.part_n_idx": "rebuilt"}
    assert found["refreshed"] == [] and "not every index" in found["not_refreshed"][0] and version(db) == "1.0"
    with pytest.raises(RefusedError, match=r"There is no index shop\.public\.by_lable"):
        beside(db, indexes=["shop.public.by_lable"])


def test_values_that_are_there_twice_refuse_that_index_and_nothing_is_deleted(db: Server) -> None:
    for statement in (
        "CREATE UNIQUE INDEX once ON labels (n, label)",
        "UPDATE pg_index SET indisunique = false WHERE indexrelid = 'once'::regclass",
        "INSERT INTO labels VALUES ('label 7', 7), ('label 7', 7)",
        "UPDATE pg_index SET indisunique = true WHERE indexrelid = 'once'::regclass",
    ):
        db.sql(statement, database="shop")
    before = db.sql("SELECT relfilenode FROM pg_class WHERE relname = 'once'", database="shop")
    planned, found = beside(db, check_mode=True), beside(db)
    assert states(found) == {BY_LABEL: "rebuilt", "shop.public.once": "refused"} == states(planned)
    (once,) = [each for each in found["indexes"] if each["state"] == "refused"]
    assert once["duplicates"] == [{"key": ["7", "label 7"], "rows": 3}] and "(7, label 7): 3 rows" in found["msg"], once
    assert found["refreshed"] == [] and version(db) == "1.0"
    assert db.sql("SELECT relfilenode FROM pg_class WHERE relname = 'once'", database="shop") == before
    assert db.sql("SELECT count(*) FROM labels", database="shop") == "3002"
    with pytest.raises(RefusedError, match="holds values twice"):
        beside(db, indexes=["shop.public.once"])


def test_nobody_elses_code_runs_as_us_and_a_child_has_its_own_values(db: Server) -> None:
    """A cast to text, or a function in another index of the table, is whoever made it: only the rebuild runs it, as its
    owner does. A unique index is of its own table, not of those that inherit from it."""
    db.sql(MALLORY, "shop")
    for statement in (
        "CREATE TYPE mood AS ENUM ('fine')",
        "CREATE FUNCTION told(mood) RETURNS text LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE LOG 'run as %', current_user; RETURN 'x'; END $$",
        "CREATE CAST (mood AS text) WITH FUNCTION told(mood)",
        "CREATE TABLE moods (label text COLLATE moved, mood mood)",
        "INSERT INTO moods VALUES ('a', 'fine'), ('a', 'fine')",
        "CREATE INDEX moods_once ON moods (label, mood)",
        "UPDATE pg_index SET indisunique = true WHERE indexrelid = 'moods_once'::regclass",
        "CREATE TABLE parent (label text COLLATE moved CONSTRAINT parent_once UNIQUE)",
        "CREATE TABLE heir () INHERITS (parent)",
        "INSERT INTO parent VALUES ('a')",
        "INSERT INTO heir VALUES ('a')",
        "ALTER TABLE by_function ADD label text COLLATE moved CONSTRAINT by_function_once UNIQUE",
    ):
        db.sql(statement, "shop")
    found = beside(db)
    moods, rebuilt = "shop.public.moods_once", ("parent_once", "by_function_once")
    assert states(found) == {
        **{"shop.public.%s" % name: "rebuilt" for name in rebuilt},
        BY_LABEL: "rebuilt",
        moods: "refused",
    }
    (refused,) = [each for each in found["indexes"] if each["name"] == moods]
    assert refused["duplicates"] == [{"key": ["a", "fine"], "rows": 2}], refused
    assert "run as postgres" not in db.log, db.log


def test_what_cannot_be_rebuilt_beside_its_users_is_refused_with_what_to_do(db: Server) -> None:
    db.sql("CREATE TABLE spans (span int4range, EXCLUDE USING gist (span WITH &&))", database="shop")
    for name, words in (
        ("shop.pg_catalog.pg_class_oid_index", r"system catalog .* REINDEX INDEX pg_catalog\.pg_class_oid_index;"),
        ("shop.public.spans_span_excl", r"exclusion constraint.* -e oncall_block_writers=true"),
    ):
        with pytest.raises(RefusedError, match=words):
            beside(db, indexes=[name])


def test_an_exclusion_constraint_keeps_the_version_until_writers_may_wait(db: Server) -> None:
    db.sql("CREATE TABLE once (label text COLLATE moved, EXCLUDE USING btree (label WITH =))", database="shop")
    db.sql("INSERT INTO once SELECT DISTINCT label FROM labels", database="shop")
    once = "shop.public.once_label_excl"
    found = beside(db)
    assert states(found) == {BY_LABEL: "rebuilt", once: "refused"} and version(db) == "1.0", found
    planned, found = beside(db, check_mode=True, block_writers=True), beside(db, block_writers=True)
    assert states(found) == {BY_LABEL: "rebuilt", once: "rebuilt"} == states(planned) and version(db) != "1.0"
    assert states(beside(db, block_writers=True)) == {}
    with pytest.raises(RuntimeError, match="conflicting key value"):
        db.sql("INSERT INTO once SELECT label FROM once LIMIT 1", database="shop")


def test_a_rebuild_that_waits_too_long_leaves_nothing_unmentioned(db: Server) -> None:
    """The leftover is dropped at once; where the table is locked it is named, and the next run drops it."""
    with (
        session(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1"),
        pytest.raises(
            UnprovenError, match=r"lock timeout.*leftover shop\.public\.by_label_ccnew was dropped"
        ) as failed,
    ):
        beside(db, lock_timeout_seconds=0.5)
    assert invalid(db) == "" and version(db) == "1.0"
    assert states(failed.value.details) == {BY_LABEL: "failed"} and failed.value.details["changed"] is False
    with (
        session(db, "LOCK TABLE labels IN ROW EXCLUSIVE MODE"),
        pytest.raises(UnprovenError, match=r"invalid index shop\.public\.by_label_ccnew, which could not be dropped"),
    ):
        beside(db, lock_timeout_seconds=0.5)
    assert invalid(db) == "by_label_ccnew"
    planned, found = beside(db, check_mode=True), beside(db)
    assert states(found) == {BY_LABEL: "rebuilt", BY_LABEL + "_ccnew": "dropped"} == states(planned)
    assert invalid(db) == "" and version(db) != "1.0"


def test_what_a_rebuild_of_somebody_else_has_made_is_not_left_over(db: Server) -> None:
    with session(db, "INSERT INTO labels VALUES ('x', 1)"):
        argv = [db.bin / "psql", "-X", "-h", db.directory, "-p", str(db.port), "-U", "postgres", "shop"]
        other = subprocess.Popen([*map(str, argv), "-c", "REINDEX INDEX CONCURRENTLY by_label"])
        until(lambda: invalid(db) == "by_label_ccnew")
        planned = beside(db, check_mode=True)
        looked = beside(db, module=integrity_info, databases=["shop"])
    assert other.wait(60) == 0
    assert states(planned) == {BY_LABEL: "rebuilt"}
    (item,) = [each for each in looked["checks"] if each["check"] == "schema"]
    assert item["grade"] == "go", item


def test_an_old_transaction_is_named_and_nobody_is_cut_off(db: Server) -> None:
    with session(db, "SELECT count(*) FROM labels") as connection:
        until(lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE xact_start < now() - interval '1 s'") == "1")
        pid = connection.info.backend_pid
        with pytest.raises(RefusedError, match=r"open for more than .*pid %d \(postgres" % pid):
            beside(db, transaction_minutes=1 / 60)
        connection.cursor().execute("SELECT 1")
    assert version(db) == "1.0"


def test_no_room_no_right_no_view_of_the_disk(db: Server) -> None:
    with pytest.raises(RefusedError, match=r"how much is free there is not known.*oncall_disk_checked=true"):
        by_wire(db)
    db.sql("CREATE ROLE owner LOGIN PASSWORD '%s'; CREATE ROLE other LOGIN PASSWORD '%s'" % (PASSWORD, PASSWORD))
    db.sql("ALTER TABLE labels OWNER TO owner", database="shop")
    with pytest.raises(RefusedError, match=r"Only the owner of collation shop\.moved"):
        by_wire(db, "owner", disk_checked=True)
    with pytest.raises(RefusedError, match=r"only the owner of public\.labels or a superuser"):
        by_wire(db, "other", disk_checked=True, refresh=False)
    assert "ERROR" not in db.log, db.log
    found = by_wire(db, "owner", disk_checked=True, refresh=False)
    assert states(found) == {BY_LABEL: "rebuilt"} and found["refreshed"] == [] and version(db) == "1.0"
    directory = db.directory / "small"
    directory.mkdir()
    options = "size=320k,mode=0700,uid=%d" % db.data.stat().st_uid
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(directory)], check=True)
    try:
        db.sql("CREATE TABLESPACE small LOCATION '%s'" % directory)
        db.sql("CREATE INDEX far ON labels (label, n) TABLESPACE small", database="shop")
        size = int(db.sql("SELECT pg_relation_size('far')", database="shop"))
        with pytest.raises(RefusedError, match=r"needs .* on the disk of %s .* are free" % directory):
            beside(db, indexes=["shop.public.far"])
        assert size > 0
        db.sql("DROP INDEX far", database="shop")
        db.sql("DROP TABLESPACE small")
    finally:
        db.stop()
        subprocess.run(["umount", str(directory)], check=True)


def test_interrupted_in_the_middle_it_clears_away_and_says_so(db: Server) -> None:
    program = textwrap.dedent(
        """
        import json, sys
        from tests.integration.test_reindex import run
        from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OncallError
        try:
            run(**json.loads(sys.argv[1]))
        except OncallError as error:
            print(error)
        """
    )
    given = (
        '{"runtime": "pg_ctl", "data_directory": "%s", "login_user": "postgres", "lock_timeout_seconds": 300}' % db.data
    )
    with session(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1"):
        child = subprocess.Popen([sys.executable, "-c", program, given], stdout=subprocess.PIPE, text=True)
        until(lambda: invalid(db) == "by_label_ccnew")
        os.kill(child.pid, signal.SIGTERM)
        said, _unused = child.communicate(timeout=120)
    assert "interrupted (SIGTERM)" in said and "by_label_ccnew was dropped" in said, said
    assert invalid(db) == "" and version(db) == "1.0"


@pytest.mark.parametrize("release", [13, 18])
def test_on_the_oldest_and_the_newest(release: int) -> None:
    server = start(release, contrib=True)
    try:
        with contextlib.closing(administrator(server)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for statement in ("CREATE EXTENSION amcheck", *LABELS, MOVED[1]):
                cursor.execute(statement)
            login: dict[str, Any] = {"login_host": server.host, "login_port": server.port, "login_user": "postgres"}
            found = run(runtime="remote", login_password=SERVERS_PASSWORD, disk_checked=True, **login)
            assert states(found) == {"postgres.public.by_label": "rebuilt"}
            assert found["refreshed"] == ["postgres.moved"] and found["indexes"][0]["proved_by"] == "amcheck"
            cursor.execute(
                "SELECT collversion = pg_collation_actual_version(oid) FROM pg_collation WHERE collname = 'moved'"
            )
            assert cursor.fetchone() == (True,)
    finally:
        server.remove()
