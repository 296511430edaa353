# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A baseline of real servers: it counts what SQL counts, says what it could not read, and names what changed."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OptionsError, SessionError
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.work import opened
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.baseline.exported import exported
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.baseline.names import names
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.bind import identifier
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.sql.baseline import COUNT
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.baseline import changes, foreign, told
from ansible_collections.oncall.postgresql.plugins.modules.baseline import WORK
from ansible_collections.oncall.postgresql.plugins.modules.integrity_info import WORK as INTEGRITY
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.baselines import keep, newest
from tests.embedded import Server
from tests.integration.servers import until

PASSWORD = "not-a-secret"
PROGRAM = "/usr/lib/nagios/plugins/check_pgactivity"
ODD = 'Odd "x".y:z'
TABLES = ["public.vendor_equipment", "threat_intelligence", "shop:public.compliance_frameworks"]
SHOP = """CREATE TABLE vendor_equipment (id int PRIMARY KEY, name text CHECK (name <> ''));
INSERT INTO vendor_equipment SELECT n, 'name ' || n FROM generate_series(1, 5000) n;
CREATE TABLE threat_intelligence (id bigint, seen timestamptz DEFAULT now());
INSERT INTO threat_intelligence SELECT n FROM generate_series(1, 300) n;
CREATE TABLE compliance_frameworks (id int) PARTITION BY RANGE (id);
CREATE TABLE compliance_1 PARTITION OF compliance_frameworks FOR VALUES FROM (0) TO (100);
INSERT INTO compliance_frameworks SELECT n FROM generate_series(1, 99) n;
CREATE VIEW seen AS SELECT id FROM threat_intelligence; VACUUM ANALYZE"""


@pytest.fixture
def db() -> Iterator[Server]:
    with Server(version=15, listen="127.0.0.1", settings={"autovacuum": "off"}) as server:
        server.sql("ALTER ROLE postgres PASSWORD '%s'; CREATE ROLE looker LOGIN PASSWORD '%s'" % (PASSWORD, PASSWORD))
        server.sql("CREATE DATABASE shop")
        for statement in SHOP.split(";"):
            server.sql(statement, database="shop")
        yield server


def options(work: Any, **given: Any) -> dict[str, Any]:
    checked = ArgumentSpecValidator(**work.spec.arguments()).validate(given)
    assert not checked.error_messages, checked.error_messages
    found: dict[str, Any] = checked.validated_parameters
    return found


def beside(server: Server, **given: Any) -> dict[str, Any]:
    return {"runtime": "pg_ctl", "data_directory": str(server.data), "login_user": "postgres", **given}


def by_wire(server: Server, **given: Any) -> dict[str, Any]:
    login = {"login_host": "127.0.0.1", "login_port": server.port, "login_password": PASSWORD, "login_db": "shop"}
    return {"runtime": "remote", "login_user": "postgres", **login, **given}


def taken(way: dict[str, Any], **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = WORK.do(options(WORK, directory="unused", host="db", **{**way, **given}), False)
    return found


def shop(found: dict[str, Any]) -> dict[str, Any]:
    (one,) = [each for each in found["baseline"]["databases"] if each["name"] == "shop"]
    return dict(one)


def counts(found: dict[str, Any]) -> dict[str, int]:
    return {each["name"]: each["rows"] for each in shop(found)["tables"] if each["exact"]}


def checked(way: dict[str, Any], before: Any, **given: Any) -> dict[str, Any]:
    found = INTEGRITY.do(options(INTEGRITY, **way, baseline=before, **given), False)
    (one,) = [each for each in found["checks"] if each["check"] == "baseline"]
    return dict(one)


@contextlib.contextmanager
def holding(server: Server, text: str) -> Iterator[None]:
    """A transaction that has done this, and goes on."""
    login = "host=127.0.0.1 port=%d user=postgres password=%s dbname=shop" % (server.port, PASSWORD)
    with contextlib.closing(psycopg2.connect(login)) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        yield


@pytest.mark.parametrize("way", [beside, by_wire])
def test_counts_are_those_of_sql(db: Server, way: Any) -> None:
    db.sql('CREATE SCHEMA "Odd s"; CREATE TABLE "Odd s"."%s" AS SELECT 1 AS n' % ODD.replace('"', '""'), "shop")
    odd = {"database": "shop", "schema": "Odd s", "table": ODD}
    found = taken(way(db), tables=[*TABLES, odd, "nowhere"], jobs=3)
    expected = {name: int(db.sql("SELECT count(*) FROM %s" % name, database="shop")) for name in counts(found)}
    assert counts(found) == expected and len(expected) == 4, found
    assert found["not_covered"] == ["nowhere: there is no such table"], found
    assert shop(found)["bytes"] == int(db.sql("SELECT pg_database_size('shop')"))
    assert found["baseline"]["system_identifier"] == db.sql("SELECT system_identifier FROM pg_control_system()")
    sizes = {each["name"]: each["bytes"] for each in shop(found)["tables"]}
    assert sizes["public.vendor_equipment"] == int(
        db.sql("SELECT pg_total_relation_size('vendor_equipment')", database="shop")
    )
    assert "ERROR" not in db.log and "FATAL" not in db.log, db.log
    until(lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^oncall'") == "0")


@pytest.mark.parametrize("way", [beside, by_wire])
def test_all_is_of_one_snapshot(db: Server, way: Any) -> None:
    """What is written meanwhile by others is not seen by who counts later."""
    with opened(options(WORK, directory="unused", **way(db))) as target:
        where = {"schema": identifier("public"), "table": identifier("threat_intelligence")}

        def open_session() -> Any:
            return target.session.in_database("shop")

        with exported(open_session, Deadline(60)) as snapshot:
            db.sql("DELETE FROM threat_intelligence", database="shop")
            session = open_session()
            assert session.query(COUNT, Deadline(20), snapshot=snapshot, **where)[0]["rows"] == 300
            session.close()
    held = "SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
    until(lambda: db.sql(held) == "0")
    assert "ERROR" not in db.log and "FATAL" not in db.log, db.log


def test_what_changed_is_named_and_graded(db: Server) -> None:
    before = taken(beside(db), tables=TABLES)["baseline"]
    assert checked(beside(db), before)["grade"] == "go"
    db.sql("TRUNCATE threat_intelligence; DROP TABLE compliance_frameworks; CREATE TABLE fresh (n int)", "shop")
    db.sql("DELETE FROM vendor_equipment WHERE id > 3000", database="shop")
    found = checked(beside(db), before)
    assert found["grade"] == "caution" and "shop: table public.threat_intelligence is empty" in found["summary"], found
    assert "shop: table public.compliance_frameworks is gone" in found["summary"], found
    assert "~ shop: table public.vendor_equipment: 3,000 rows, was 5,000 rows (-40.0 %)" in found["evidence"], found
    assert any(each.startswith("+ shop: table public.fresh") for each in found["evidence"]), found
    said = checked(beside(db), before, tolerance_percent=50)
    assert not any("vendor_equipment: 3,000" in each for each in said["evidence"]), said
    assert checked(by_wire(db), before)["evidence"] == found["evidence"]


def test_a_definition_that_changed(db: Server) -> None:
    before = taken(beside(db))["baseline"]
    for statement, what in (
        ("ALTER TABLE vendor_equipment ALTER name TYPE varchar(50)", "table public.vendor_equipment"),
        ("CREATE INDEX by_seen ON threat_intelligence (seen)", "table public.threat_intelligence"),
        ("CREATE OR REPLACE VIEW seen AS SELECT id FROM threat_intelligence WHERE id > 1", "view public.seen"),
    ):
        db.sql(statement, database="shop")
        now = taken(beside(db))["baseline"]
        assert ["~ shop: %s: its definition has changed" % what] == list(map(told, changes(before, now)))
        before = now
    assert before["databases"] == taken(by_wire(db))["baseline"]["databases"]


def test_a_table_that_is_locked_is_not_waited_for(db: Server) -> None:
    before = taken(beside(db), tables=TABLES)["baseline"]
    with holding(db, "LOCK TABLE vendor_equipment IN ACCESS EXCLUSIVE MODE"):
        found = taken(beside(db), tables=TABLES)
        said = checked(by_wire(db), before)
    assert "shop:public.vendor_equipment: not counted: it is locked" in found["not_covered"], found
    assert any(
        "fingerprint: not computed while public.vendor_equipment is locked" in each for each in found["not_covered"]
    )
    assert counts(found) == {"public.threat_intelligence": 300, "public.compliance_frameworks": 99}
    lost = "~ shop: table public.vendor_equipment: not counted, was 5,000 rows"
    assert list(map(told, changes(before, found["baseline"]))) == [lost]
    assert said["grade"] == "go" and any("it is locked" in each for each in said["not_covered"]), said
    assert "lock timeout" not in db.log


MALLORY = """
CREATE ROLE mallory;
GRANT CREATE ON SCHEMA public TO mallory;
SET ROLE mallory;
CREATE FUNCTION public.logs(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
  BEGIN RAISE LOG 'run as %', current_user; RETURN i; END $$;
CREATE OPERATOR public.### (rightarg = int, function = public.logs);
CREATE TABLE by_function (n int); CREATE INDEX ON by_function ((public.logs(1)));
CREATE TABLE by_operator (n int); CREATE INDEX ON by_operator (n) WHERE ### 1 = 1;
CREATE TABLE by_statistics (n int); CREATE STATISTICS told ON (public.logs(1)), n FROM by_statistics;
CREATE TABLE by_part (n int) PARTITION BY LIST ((n + public.logs(1)));
CREATE TABLE by_child (n int); CREATE TABLE child () INHERITS (by_child); CREATE INDEX ON child ((public.logs(1)));
CREATE TABLE plain (n int CHECK (public.logs(1) = 1)); CREATE INDEX ON plain (abs(n));
RESET ROLE;
CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
CREATE TABLE abroad (n int) PARTITION BY LIST (n);
CREATE FOREIGN TABLE far PARTITION OF abroad FOR VALUES IN (1) SERVER elsewhere"""


@pytest.mark.parametrize("way", [beside, by_wire])
def test_nobody_elses_code_runs_as_us(db: Server, way: Any) -> None:
    """Who plans a query of a table runs what its owner has put into its indexes: a superuser's count would do that."""
    db.sql(MALLORY, "shop")
    wanted = ["by_function", "by_operator", "by_statistics", "by_part", "by_child", "plain", "abroad"]
    found = taken(way(db), tables=wanted)
    assert counts(found) == {"public.plain": 0}
    assert len([each for each in found["not_covered"] if "functions of another role" in each]) == 5, found
    assert [each for each in found["not_covered"] if "abroad: not counted: a part of it is a foreign table" in each]
    assert "run as postgres" not in db.log, db.log
    with opened(options(WORK, directory="unused", host="db", **way(db))) as target, contextlib.ExitStack() as stack:
        open_session = functools.partial(target.session.in_database, "shop")
        snapshot = stack.enter_context(exported(open_session, Deadline(30)))
        with pytest.raises(SessionError, match="non-system view"):  # one that took a table's place meanwhile
            target.session.in_database("shop").query(
                COUNT, Deadline(30), schema=identifier("public"), table=identifier("seen"), snapshot=snapshot
            )


def test_without_rights(db: Server) -> None:
    db.sql(
        "CREATE POLICY mine ON threat_intelligence USING (id < 10); GRANT SELECT ON threat_intelligence TO looker",
        "shop",
    )
    db.sql("ALTER TABLE threat_intelligence ENABLE ROW LEVEL SECURITY", database="shop")
    db.sql("GRANT SELECT ON compliance_frameworks TO looker", database="shop")
    found = taken(by_wire(db, login_user="looker"), tables=TABLES)
    assert counts(found) == {"public.compliance_frameworks": 99}, found
    assert "shop:public.vendor_equipment: not counted: the login role may not read it" in found["not_covered"], found
    assert any("row security hides rows" in each for each in found["not_covered"])
    assert found["baseline"]["hba"] is None and any("pg_hba_file_rules" in each for each in found["not_covered"])
    assert "ERROR" not in db.log, db.log


def test_secrets_are_masked(db: Server) -> None:
    db.sql("ALTER SYSTEM SET primary_conninfo = 'host=a password=tooth-paste'")
    db.sql("ALTER ROLE looker SET shop.api_token = 'tooth-paste'")
    db.hba("host all all 127.0.0.1/32 ldap ldapserver=a ldapbasedn=b ldapbinddn=c ldapbindpasswd=tooth-paste")
    found = taken(beside(db))
    assert found["baseline"]["settings"]["primary_conninfo"] == "********"
    assert "tooth-paste" not in json.dumps(found) and "SCRAM" not in json.dumps(found)
    assert any("ldapbindpasswd=********" in each for each in found["baseline"]["hba"]), found["baseline"]["hba"]


def test_a_count_that_takes_too_long(db: Server) -> None:
    db.sql("CREATE TABLE big AS SELECT 1 AS n FROM generate_series(1, 1000000)", database="shop")
    found = taken(beside(db), tables=["big"], count_seconds=0.01)
    (said,) = found["not_covered"]
    assert said.startswith("shop:public.big: not counted: no answer within "), said
    assert len(shop(found)["tables"]) == 5 and counts(found) == {}


def test_on_a_standby(db: Server) -> None:
    """Its own counts, of the same cluster."""
    db.sql("CREATE UNLOGGED TABLE scratch (n int)", database="shop")
    before = taken(beside(db), tables=TABLES)["baseline"]
    db.hba("local replication all trust")
    standby = Server(version=15)
    try:
        shutil.rmtree(standby.data)
        db.run("pg_basebackup", "-D", standby.data, "-R", "-h", db.directory, "-p", str(db.port), "-U", "postgres")
        standby.conf(port=standby.port, unix_socket_directories=standby.directory)
        standby.start()
        found = taken(beside(standby), tables=[*TABLES, "scratch"])
    finally:
        standby.remove()
    assert counts(found)["public.vendor_equipment"] == 5000 and found["baseline"]["in_recovery"]
    assert "shop:public.scratch: not counted: it is unlogged, and this is a standby" in found["not_covered"]
    assert foreign(before, found["baseline"]) is None


def kept(result: dict[str, Any], directory: Path, most: int = 10, check_mode: bool = False) -> dict[str, Any]:
    return keep(result, str(directory), "db", most, check_mode)


def test_what_is_kept(db: Server, tmp_path: Path) -> None:
    result = taken(beside(db), tables=TABLES)
    predicted = kept(result, tmp_path / "kept", check_mode=True)
    assert predicted["changed"] and not (tmp_path / "kept").exists()
    first = kept(result, tmp_path / "kept")
    path = Path(first["path"])
    assert (predicted["path"], path.parent) == (first["path"], tmp_path / "kept" / "db")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    again = kept(taken(beside(db), tables=TABLES), tmp_path / "kept")
    assert not again["changed"] and again["path"] == str(path) and again["msg"].startswith("Unchanged since"), again
    for number in range(4):
        db.sql("INSERT INTO threat_intelligence VALUES (%d)" % number, database="shop")
        last = kept(taken(beside(db), tables=TABLES), tmp_path / "kept", most=3)
        assert list(map(told, last["changes"])) == [
            "~ shop: table public.threat_intelligence: %d rows, was %d rows (+0.3 %%)" % (301 + number, 300 + number)
        ]
    files = sorted(path.parent.iterdir())
    assert len(files) == 3 and str(files[-1]) == last["path"] and not path.exists()
    assert newest(str(tmp_path / "kept"), "db")["taken_at"] == json.loads(files[-1].read_text())["taken_at"]


def test_what_cannot_be_compared_is_said(db: Server, tmp_path: Path) -> None:
    result = taken(beside(db), tables=TABLES)
    assert "there is no baseline of db in" in newest(str(tmp_path), "db")["why_not"]
    assert checked(beside(db), newest(str(tmp_path), "db"))["grade"] is None
    path = Path(kept(result, tmp_path)["path"])
    other = copy.deepcopy(result)
    other["baseline"]["system_identifier"] = "4711"
    refused = kept(other, tmp_path)
    assert refused["failed"] and "it is of another cluster: its system identifier is" in refused["msg"], refused
    said = checked(beside(db), other["baseline"])
    assert said["grade"] is None and "not compared: it is of another cluster" in said["not_covered"][0]
    path.write_text("{")
    assert "cannot be read" in newest(str(tmp_path), "db")["why_not"]
    result["baseline"]["taken_at"] = "2027-01-01T00:00:00.000Z"
    anew = kept(result, tmp_path)
    assert anew["changed"] and "Nothing to compare with: %s cannot be read" % path in anew["msg"], anew
    path = Path(anew["path"])
    for key, edited in (
        ("databases", [1]),
        ("databases", [{"name": "shop"}]),
        ("roles", None),
        ("settings", [1]),
        ("hba", 5),
    ):
        path.write_text(json.dumps({**result["baseline"], key: edited}))
        refused = kept(result, tmp_path)
        assert refused["failed"] and "not a baseline that this version can read" in refused["msg"], refused
    path.write_text("[" * 100000)
    assert "cannot be read" in newest(str(tmp_path), "db")["why_not"]
    (tmp_path / "file").write_text("")
    for check_mode in (True, False):
        refused = kept(result, tmp_path / "file", check_mode=check_mode)
        assert refused["failed"] and "\n" not in refused["msg"] and "directory" in refused["msg"], refused


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("orders", (None, None, "orders")),
        ("Public.Orders", (None, "public", "orders")),
        ('Shop:"Odd.s"."a""b"', ("Shop", "Odd.s", 'a"b')),
        ({"database": "a:b", "table": "C"}, ("a:b", None, "C")),
    ],
)
def test_names(given: Any, means: Any) -> None:
    assert names([given])[0][:3] == means


@pytest.mark.parametrize("given", ["a.b.c", "", "a:", {"schema": "public"}, {"table": "a", "shema": "b"}])
def test_names_that_are_none(given: Any) -> None:
    with pytest.raises(OptionsError, match="tables: "):
        names([given])


def test_sizes_and_ages_are_those_of_check_pgactivity(db: Server) -> None:
    """Debian's check-pgactivity (scripts/install-postgresql.sh)."""
    for number in range(20):
        db.sql("INSERT INTO threat_intelligence VALUES (%d)" % number, database="shop")
    taken(beside(db))  # the first session in a database leaves a file there
    found = taken(beside(db))
    sizes = asked(db, "database_size", "--warning", "1000GB", "--critical", "1000GB")
    ours = {each["name"]: each["bytes"] for each in found["baseline"]["databases"]}
    assert {name: sizes[name] for name in ours} == ours
    ages = asked(db, "max_freeze_age", "--warning", "90%", "--critical", "95%")
    facts = INTEGRITY.do(options(INTEGRITY, **beside(db)), False)["integrity"]["databases"]
    assert {each["name"]: each["xid_age"] for each in facts} == {each["name"]: ages[each["name"]] for each in facts}


def asked(server: Server, service: str, *arguments: str) -> dict[str, int]:
    """By database, from its performance data."""
    program = [
        PROGRAM,
        "--service",
        service,
        *arguments,
        "--status-file",
        str(server.directory / "pga.data"),
    ]
    login = [
        "--host",
        str(server.directory),
        "--port",
        str(server.port),
        "--username",
        "postgres",
        "--dbname",
        "postgres",
    ]
    done = subprocess.run(
        [*program, *login, "--path", str(server.bin / "psql")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"'?([\w-]+)'?=(\d+)", done.stdout.partition("|")[2])
    return {name: int(value) for name, value in found}
