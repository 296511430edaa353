# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of real servers: predicted, changed, read back by plain SQL, undone; and all as it was where that fails."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    OptionsError,
    RefusedError,
    UnprovenError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.configuration import values
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.configuration.allowed import (
    ELSEWHERE,
    OF_A_TRANSACTION,
)
from ansible_collections.oncall.postgresql.plugins.modules import configuration, settings, triage
from tests.embedded import Server
from tests.integration import servers
from tests.integration.servers import until

from .results import held

PASSWORD = "not-a-secret"
COLUMNS = "name, setting, unit, vartype AS type, min_val AS min, max_val AS max, enumvals AS enum"
# A reload, a restart, new sessions; a unit, a number, a truth value, a choice, a list, a real number.
ASKED: dict[str, Any] = {
    "checkpoint_completion_target": 0.8123456,
    "idle_in_transaction_session_timeout": "60s",
    "log_connections": True,
    "log_line_prefix": "%m [%p] it's ",
    "max_connections": 120,
    "random_page_cost": "1.1",
    "search_path": ["$user", "public"],
    "shared_buffers": "24MB",
    "statement_timeout": "30s",
    "TimeZone": "Europe/Vienna",
    "wal_compression": "yes",
    "wal_level": "logical",
    "work_mem": "65536",
}
SHOWN = {
    "checkpoint_completion_target": "0.812346",
    "idle_in_transaction_session_timeout": "1min",
    "log_line_prefix": "%m [%p] it's ",
    "max_connections": "100",  # until it is restarted
    "random_page_cost": "1.1",
    "search_path": '"$user", public',
    "shared_buffers": "16MB",
    "statement_timeout": "30s",
    "TimeZone": "Europe/Vienna",
    "wal_level": "replica",
    "work_mem": "64MB",
}
WAITS = ["max_connections", "shared_buffers", "wal_level"]


def run(check_mode: bool = False, module: Any = settings, **options: Any) -> dict[str, Any]:
    checked = ArgumentSpecValidator(**module.WORK.spec.arguments()).validate(options)
    assert not checked.error_messages, checked.error_messages
    with held(module.__name__.rpartition(".")[2]) as fitting:
        return fitting(module.WORK.do(checked.validated_parameters, check_mode))


def beside(server: Server, asked: Any = None, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"runtime": "pg_ctl", "data_directory": str(server.data), "login_user": "postgres"}
    return run(check_mode, **{**given, "host": "db1", **({} if asked is None else {"settings": asked}), **options})


def by_wire(server: Server, asked: Any = None, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    given = {"runtime": "remote", "login_host": "127.0.0.1", "login_port": server.port, "login_password": PASSWORD}
    given = {"login_user": "postgres", **given}
    return run(check_mode, **{**given, **({} if asked is None else {"settings": asked}), **options})


WAYS: dict[str, Callable[..., dict[str, Any]]] = {"beside": beside, "by_wire": by_wire}


def started(version: int) -> Server:
    server = Server(version)
    server.start()
    server.sql("ALTER ROLE postgres PASSWORD '%s'" % PASSWORD)
    server.sql("CREATE ROLE plain LOGIN PASSWORD '%s'" % PASSWORD)
    server.hba("local all plain trust", "host all all 127.0.0.1/32 scram-sha-256")
    return server


@pytest.fixture(params=[15, 18])
def db(request: pytest.FixtureRequest) -> Iterator[Server]:
    server = started(request.param)
    yield server
    server.remove()


@pytest.fixture
def newest() -> Iterator[Server]:
    server = started(18)
    yield server
    server.remove()


def auto(server: Server) -> str:
    return (server.data / "postgresql.auto.conf").read_text()


def loaded(server: Server) -> str:
    return server.sql("SET TimeZone = 'UTC'; SELECT pg_conf_load_time(), pg_postmaster_start_time()")


@pytest.mark.parametrize("way", WAYS)
def test_many_settings_at_once_and_back(db: Server, way: str) -> None:
    """As predicted, by the server's own word; a second time nothing; and what is returned undoes it."""
    do, before, was = WAYS[way], auto(db), loaded(db)
    planned = do(db, ASKED, check_mode=True)
    assert (auto(db), loaded(db)) == (before, was)
    done = do(db, ASKED)
    assert (planned["changed"], planned["diff"], planned["settings"]) == (True, done["diff"], done["settings"])
    assert planned["pending_restart"] == done["pending_restart"] == WAITS
    assert done["undo"] == dict.fromkeys(sorted(set(ASKED) - {"search_path"}, key=str.lower))  # it was so before
    for name, shown in SHOWN.items():
        assert db.sql("SHOW %s" % name, user="plain") == shown, name
    assert db.sql("SHOW log_connections", user="plain") in ("on", "all")
    assert loaded(db).split("|")[1] == was.split("|")[1]  # not restarted
    again = do(db, ASKED)
    assert (again["changed"], again["undo"], again["pending_restart"]) == (False, {}, WAITS)
    assert (
        run(module=configuration, runtime="pg_ctl", data_directory=str(db.data), login_user="postgres")["changed"]
        is False
    )

    db.stop()
    db.start()
    assert db.sql("SHOW shared_buffers") == "24MB" and db.sql("SHOW wal_level") == "logical"
    assert do(db, ASKED)["pending_restart"] == []
    back = do(db, done["undo"])
    assert back["changed"] and auto(db) == before
    assert db.sql("SHOW work_mem") == "4MB"
    assert do(db, back["undo"])["changed"]
    assert db.sql("SHOW work_mem") == "64MB"


def test_the_oldest_release_and_what_its_command_line_says() -> None:
    server = servers.start(13, work_mem="8MB")
    login: dict[str, Any] = {"runtime": "remote", "login_host": server.host, "login_port": server.port}
    login.update(login_user="postgres", login_password=servers.PASSWORD)
    asked = {
        "statement_timeout": "30s",
        "wal_buffers": "8MB",
        "checkpoint_completion_target": 0.9,
        "vacuum_cost_delay": 2,
    }
    try:
        done = run(settings=asked, **login)
        assert (done["changed"], done["pending_restart"]) == (True, ["wal_buffers"])
        assert run(settings={**asked, "work_mem": "8192kB"}, **login)["changed"] is False
        with pytest.raises(RefusedError, match="work_mem: the server's command line sets it to 8MB, which wins"):
            run(settings={"work_mem": "64MB", "statement_timeout": "10s"}, **login)
        admin = {"host": server.host, "port": server.port, "user": "postgres", "password": servers.PASSWORD}
        assert servers.Client(**admin).run("SHOW statement_timeout") == [("30s",)]
        assert run(settings=done["undo"], **login)["changed"] is True
        assert "statement_timeout" not in server.read("postgresql.auto.conf")
    finally:
        server.remove()


# What a superuser's own session may set: the server reads a text as it would from a file.
# fmt: off
TEXTS = {
    "work_mem": [
        "64MB", "64 MB", "1.5MB", "30.1GB", "65536B", "64mb", "64", "63kB", "64.4", "64.5", "65.5", "1e3", "0x80",
        "0100", "09", "", "2147483647", "2147483648", "3TB", "-1", "on", "5 s", "1GB ", " 1GB", "1,5MB", ".5GB",
    ],
    "effective_cache_size": ["12kB", "20kB", "28kB", "1GB", "1", "4kB", "8kB", "0.1GB", "16TB", "17592186044408kB"],
    "lock_timeout": [
        "30s", "500us", "1500us", "1.5s", "1min", "1h", "1d", "24.8d", "25d", "30S", "30sec", "0", "-1",
    ],
    "vacuum_cost_delay": ["2", "1500us", "2ms", "0.1s", "101", "-1", "1e-3s", "nan", "0x10", "010", "1.5.2"],
    "random_page_cost": ["1.1", "-0.1", "1e3", ".5", "1MB", "inf", "0.123456789"],
    "geqo_threshold": ["12", "1", "2", "2.4", "1.5", "1.4", "12kB"],
    "enable_seqscan": ["on", "of", "o", "t", "TRU", "y", "no", "1", "2", "", " on", "yess"],
    "synchronous_commit": ["on", "true", "0", "LOCAL", "remote_apply", "t", "2", "always"],
    "log_min_messages": ["warning", "DEBUG5", "off", "nonsense"],
    "bytea_output": ["hex", "Escape", "hexa"],
}
# fmt: on


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_means_what_the_server_takes_it_for(newest: Server, name: str) -> None:
    row = json.loads(
        newest.sql("SELECT row_to_json(s) FROM (SELECT %s FROM pg_settings WHERE name = '%s') s" % (COLUMNS, name))
    )
    for text in TEXTS[name]:
        script = "SET %s = '%s'; SELECT setting FROM pg_settings WHERE name = '%s'; SHOW %s" % (name, text, name, name)
        try:
            setting, shown = newest.sql(script).split("\n")
        except RuntimeError:
            with pytest.raises(ValueError, match=r"number|range|unit|on or off|none of"):
                values.meaning(row, text)
            continue
        assert values.in_use({**row, "setting": setting}, text), (text, setting)
        if row["type"] != "real":
            assert values.shown(row, text) == shown, text


def test_what_the_command_line_or_everyone_has_wins_and_is_named(newest: Server) -> None:
    newest.sql("ALTER ROLE ALL SET random_page_cost = 2")
    newest.stop()
    newest.run("pg_ctl", "start", "-D", newest.data, "-l", newest.log_file, "-w", "-o", "-c work_mem=8MB")
    before = auto(newest)
    with pytest.raises(RefusedError) as raised:
        beside(newest, {"work_mem": "64MB", "random_page_cost": 1.1, "statement_timeout": "1s", "no_such_thing": 1})
    assert [each["name"] for each in raised.value.details["problems"]] == [
        "work_mem",
        "random_page_cost",
        "no_such_thing",
    ]
    assert "command line sets it to 8MB" in str(raised.value) and "ALTER ROLE ALL sets it to 2" in str(raised.value)
    assert auto(newest) == before
    assert beside(newest, {"work_mem": "8192kB", "random_page_cost": 2})["changed"] is False
    newest.sql("ALTER ROLE postgres SET work_mem = '3MB'")
    for way in (beside, by_wire):
        with pytest.raises(RefusedError, match="command line sets it to 8MB, which wins"):
            way(newest, {"work_mem": "64MB"})
        assert way(newest, {"work_mem": "8192kB"})["changed"] is False


@pytest.mark.parametrize("way", WAYS)
def test_what_our_own_role_has_set_does_not_hide_the_servers(newest: Server, way: str) -> None:
    newest.sql("ALTER ROLE postgres SET statement_timeout = '5s'; ALTER DATABASE postgres SET work_mem = '5MB'")
    asked = {"statement_timeout": "30s", "work_mem": "64MB"}
    done = WAYS[way](newest, asked)
    assert {each["name"]: each["hidden_by"] for each in done["settings"]} == {
        "statement_timeout": ["role postgres: 5s"],
        "work_mem": ["database postgres: 5MB"],
    }
    assert {each["name"]: each["in_use"] for each in done["settings"]} == {"statement_timeout": "0", "work_mem": "4MB"}
    assert newest.sql("SHOW statement_timeout", user="plain", database="template1") == "30s"
    assert newest.sql("SHOW work_mem", user="plain", database="template1") == "64MB"
    assert WAYS[way](newest, asked)["changed"] is False


def test_postgresql_conf_counts_again_after_a_reset(newest: Server) -> None:
    newest.conf(work_mem="16MB")
    newest.reload()
    beside(newest, {"work_mem": "64MB", "log_checkpoints": False})
    assert newest.sql("SHOW work_mem") == "64MB"
    done = beside(newest, state="absent", names=["work_mem", "Log_Checkpoints", "statement_timeout"])
    assert done["undo"] == {"log_checkpoints": "off", "work_mem": "64MB"}
    row = next(each for each in done["settings"] if each["name"] == "work_mem")
    assert (row["after"], row["after_source"].startswith(str(newest.data / "postgresql.conf line "))) == ("16MB", True)
    assert newest.sql("SHOW work_mem") == "16MB" and "work_mem" not in auto(newest)
    assert beside(newest, state="absent", names=["work_mem"])["changed"] is False
    with pytest.raises(OptionsError, match="No setting is named"):
        beside(newest, state="absent", names=[])


def test_a_setting_that_was_taken_out_and_waits_for_a_restart_is_no_error_in_the_files(newest: Server) -> None:
    beside(newest, {"max_connections": 57})
    newest.stop()
    newest.start()
    done = beside(newest, state="absent", names=["max_connections"])
    assert done["pending_restart"] == ["max_connections"]
    reloaded = run(
        module=configuration, runtime="pg_ctl", data_directory=str(newest.data), login_user="postgres", force=True
    )
    assert (reloaded["changed"], reloaded["pending_restart"]) == (True, ["max_connections"])
    assert beside(newest, {"work_mem": "64MB"})["changed"]
    looked = run(module=triage, runtime="pg_ctl", data_directory=str(newest.data), login_user="postgres")
    assert "configuration_error" not in [each["code"] for each in looked["findings"]]


def test_what_is_taken_back_before_a_restart_does_not_wait_for_one(newest: Server) -> None:
    """PostgreSQL goes on calling it pending, and a restart would change nothing."""
    asked = {"cluster_name": "shop", "huge_pages": "off", "wal_buffers": "1MB"}
    done = beside(newest, asked)
    assert done["pending_restart"] == list(asked)
    foreseen = beside(newest, done["undo"], check_mode=True)
    assert beside(newest, done["undo"])["pending_restart"] == foreseen["pending_restart"] == []
    assert newest.sql("SELECT count(*) FROM pg_file_settings, pg_settings WHERE pending_restart") != "0"
    assert beside(newest, {"work_mem": "64MB"})["pending_restart"] == []


def test_a_file_that_cannot_be_replaced_is_left_as_it_was_and_said_so(newest: Server) -> None:
    """As where a container has it mounted by itself."""
    path = newest.data / "postgresql.auto.conf"
    subprocess.run(["mount", "--bind", path, path], check=True)
    before = auto(newest)
    try:
        with pytest.raises(UnprovenError, match=r"could not rename file .* All former values .* put back") as raised:
            beside(newest, {"work_mem": "64MB"})
    finally:
        subprocess.run(["umount", path], check=True)
    assert raised.value.details["changed"] is False and raised.value.details["not_put_back"] == []
    assert auto(newest) == before


def test_what_others_changed_is_not_loaded_in_passing(newest: Server) -> None:
    newest.conf(log_statement="all")
    before = auto(newest)
    with pytest.raises(RefusedError, match="would also load what others have changed: log_statement"):
        beside(newest, {"work_mem": "64MB"})
    newest.conf(nonsense="1")
    with pytest.raises(RefusedError, match="configuration files contain 1 error"):
        beside(newest, {"work_mem": "64MB"})
    assert auto(newest) == before and newest.sql("SHOW log_statement") == "none"


def test_where_the_archive_is_off_its_command_is_no_perpetual_change(newest: Server) -> None:
    """The server shows "(disabled)", and the time zone in its own words."""
    asked = {"archive_command": "cp %p /archive/%f", "DateStyle": "iso", "timezone": "utc", "tcp_keepalives_idle": 60}
    for way in (beside, by_wire):
        way(newest, asked)
        assert way(newest, asked)["changed"] is False
        done = run(module=configuration, runtime="pg_ctl", data_directory=str(newest.data), login_user="postgres")
        assert (done["changed"], done["not_applied"]) == (False, [])
    assert "cp %p /archive/%f" in auto(newest)


def test_libraries_are_names_and_the_server_starts_with_them(newest: Server) -> None:
    directory = pathlib.Path(newest.run("pg_config", "--pkglibdir", check=False).stdout.strip() or "/nowhere")
    known = sorted(each.stem for each in directory.glob("auto_explain.so")) + ["plpgsql"]
    with pytest.raises(RefusedError, match=r"there is no library pg_gone: the server would not start again"):
        beside(newest, {"shared_preload_libraries": "plpgsql, pg_gone"})
    done = beside(newest, {"shared_preload_libraries": known})
    assert done["pending_restart"] == ["shared_preload_libraries"]
    newest.stop()
    newest.start()
    assert newest.sql("SHOW shared_preload_libraries") == ", ".join(known)
    assert beside(newest, {"shared_preload_libraries": ",".join(known)})["changed"] is False


def test_ssl_is_not_switched_on_without_its_files() -> None:
    """The server would take it, answer nobody who asks for TLS, and not start again."""
    server = started(15)
    try:
        before = auto(server)
        with pytest.raises(RefusedError, match=r"no file of ssl_cert_file: .* would not start again") as raised:
            beside(server, {"ssl": True})
        assert "no file of ssl_key_file" in str(raised.value) and auto(server) == before
        assert beside(server, {"ssl": "off", "ssl_cert_file": "elsewhere.crt"})["changed"]
        for name in ("elsewhere.crt", "server.key"):
            (server.data / name).write_text("")
        assert beside(server, {"ssl": "off", "work_mem": "9MB"})["changed"]
        with pytest.raises(RefusedError, match="no file of ssl_ca_file"):
            beside(server, {"ssl": "yes", "ssl_ca_file": "/nowhere/ca.crt"})
    finally:
        server.remove()


def test_one_value_that_is_not_taken_undoes_all(db: Server) -> None:
    beside(db, {"log_checkpoints": "on"})
    before, was = auto(db), loaded(db)
    with pytest.raises(UnprovenError, match=r"All former values of postgresql\.auto\.conf were put back") as raised:
        beside(db, {"log_checkpoints": "off", "checkpoint_timeout": "10min", "log_destination": "nonsense"})
    assert raised.value.details["changed"] is False and raised.value.sqlstate == "22023"
    assert raised.value.details["put_back"] == ["checkpoint_timeout", "log_checkpoints", "log_destination"]
    assert (auto(db), db.sql("SHOW log_checkpoints"), db.sql("SHOW checkpoint_timeout")) == (before, "on", "5min")
    assert loaded(db).split("|")[1] == was.split("|")[1]


# So many that somebody else gets in between the first and the reload.
MANY: dict[str, Any] = {
    "cpu_index_tuple_cost": 0.006,
    "cpu_operator_cost": 0.003,
    "cpu_tuple_cost": 0.02,
    **{
        "enable_%s" % each: "off" for each in ("bitmapscan", "hashagg", "hashjoin", "material", "mergejoin", "nestloop")
    },
    **{"log_%s" % each: "on" for each in ("duration", "executor_stats", "lock_waits", "parser_stats", "planner_stats")},
    "work_mem": "64MB",
}


def test_an_error_that_comes_into_the_files_meanwhile_undoes_all(newest: Server) -> None:
    before, conf = auto(newest), (newest.data / "postgresql.conf").read_text()

    def meddle() -> None:
        until(lambda: auto(newest) != before)
        newest.conf(nonsense="1")

    meddling = threading.Thread(target=meddle)
    meddling.start()
    with pytest.raises(UnprovenError, match=r"files now contain an error: .*nonsense.* put back"):
        beside(newest, MANY)
    meddling.join()
    assert auto(newest) == before and newest.sql("SHOW cpu_tuple_cost") == "0.01"
    (newest.data / "postgresql.conf").write_text(conf)
    assert beside(newest, MANY)["changed"]


def test_interrupted_in_the_middle_it_puts_everything_back(newest: Server) -> None:
    program = textwrap.dedent(
        """
        import json, sys
        from tests.integration.test_settings import run
        from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OncallError
        try:
            run(**json.loads(sys.argv[1]))
        except OncallError as error:
            print(error)
        """
    )
    before = auto(newest)
    given = {"runtime": "pg_ctl", "data_directory": str(newest.data), "login_user": "postgres", "settings": MANY}
    child = subprocess.Popen([sys.executable, "-c", program, json.dumps(given)], stdout=subprocess.PIPE, text=True)
    until(lambda: auto(newest) != before)
    os.kill(child.pid, signal.SIGTERM)
    said, _unused = child.communicate(timeout=60)
    assert "interrupted (SIGTERM). All former values" in said, said
    assert auto(newest) == before and newest.sql("SHOW cpu_tuple_cost") == "0.01"


def test_without_the_right_it_says_what_to_grant_and_that_will_do(db: Server) -> None:
    db.sql("CREATE ROLE \"tu ner\" LOGIN PASSWORD '%s'" % PASSWORD)
    before, asked = auto(db), {"work_mem": "64MB", "log_connections": "on"}
    with pytest.raises(RefusedError) as raised:
        by_wire(db, asked, login_user="tu ner")
    assert auto(db) == before
    for grant in raised.value.details["grants"]:
        db.sql(grant)
    assert by_wire(db, asked, login_user="tu ner")["changed"]
    assert db.sql("SHOW work_mem") == "64MB"
    with pytest.raises(RefusedError) as raised:
        by_wire(db, {**asked, "statement_timeout": "30s"}, login_user="tu ner")
    assert raised.value.details["grants"] == ['GRANT ALTER SYSTEM ON PARAMETER statement_timeout TO "tu ner"']


def test_files_outside_of_the_data_directory_take_a_right_more(newest: Server) -> None:
    hba = newest.directory / "hba.conf"
    shutil.copy(newest.data / "pg_hba.conf", hba)
    hba.chmod(0o644)
    newest.conf(hba_file=hba)
    newest.stop()
    newest.start()
    newest.sql("GRANT pg_read_all_settings TO plain; GRANT ALTER SYSTEM ON PARAMETER work_mem TO plain")
    newest.sql("GRANT SELECT ON pg_file_settings, pg_hba_file_rules TO plain")
    newest.sql("GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_hba_file_rules(), pg_reload_conf() TO plain")
    newest.sql("GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean) TO plain")
    with pytest.raises(RefusedError) as raised:
        by_wire(newest, {"work_mem": "64MB"}, login_user="plain")
    assert raised.value.details["grants"] == ['GRANT pg_read_server_files TO "plain"']
    newest.sql("GRANT pg_read_server_files TO plain")
    assert by_wire(newest, {"work_mem": "64MB"}, login_user="plain")["changed"]


def test_where_alter_system_is_switched_off_it_is_refused(newest: Server) -> None:
    newest.conf(allow_alter_system="off")
    newest.reload()
    with pytest.raises(RefusedError, match="allow_alter_system is off"):
        beside(newest, {"work_mem": "64MB"})
    assert beside(newest, {"work_mem": "4MB"})["changed"] is False


SECRETS = {"primary_conninfo": "host=primary password=hunter22", "archive_command": "AWS_TOKEN=hunter33 push %p"}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_refused_before_it_is_in_any_log(newest: Server, way: str) -> None:
    newest.sql("ALTER SYSTEM SET log_statement = 'all'; ALTER SYSTEM SET log_min_duration_statement = 0")
    newest.reload()
    until(lambda: newest.sql("SHOW log_statement") == "all")
    with pytest.raises(RefusedError, match="its value is a secret") as raised:
        WAYS[way](newest, {**SECRETS, "work_mem": "64MB"})
    assert "hunter" not in repr([str(raised.value), raised.value.details]) and "hunter" not in newest.log
    assert WAYS[way](newest, {"primary_conninfo": "host=primary passfile=/etc/pass"})["changed"]
    assert newest.sql("SHOW primary_conninfo") == "host=primary passfile=/etc/pass"
    assert 'ALTER SYSTEM SET "primary_conninfo" = ' in newest.log  # as an auditor expects


def test_a_standby_has_settings_of_its_own(newest: Server) -> None:
    standby = Server(18)
    try:
        newest.hba("local all all trust", "local replication all trust", "host all all 127.0.0.1/32 scram-sha-256")
        shutil.rmtree(standby.data)
        login = ["-h", str(newest.directory), "-p", str(newest.port), "-U", "postgres"]
        newest.run("pg_basebackup", "-D", standby.data, "-R", "-c", "fast", "--no-sync", *login)
        standby.conf(port=standby.port, unix_socket_directories=standby.directory)
        standby.start()
        connecting = auto(standby)
        done = beside(standby, {"hot_standby_feedback": True, "work_mem": "64MB"})
        assert done["changed"] and standby.sql("SHOW hot_standby_feedback") == "on"
        assert newest.sql("SHOW work_mem") == "4MB"
        assert beside(standby, done["undo"])["changed"] and auto(standby) == connecting
    finally:
        standby.remove()


@pytest.mark.parametrize("version", [15, 18])
def test_what_alter_system_refuses_whatever_the_value_is_refused_before(version: int) -> None:
    """Parameter by parameter, by the server's own word: SQLSTATE 55P02."""
    with Server(version) as server:
        rows = json.loads(server.sql("SELECT json_agg(s) FROM (SELECT context, %s FROM pg_settings) s" % COLUMNS))
        script = "".join(
            "ALTER SYSTEM SET \"%s\" = '%s';\n\\echo :LAST_ERROR_SQLSTATE\n\\set LAST_ERROR_SQLSTATE\n"
            % (row["name"], (row["setting"] or "").replace("'", "''"))
            for row in rows
        )
        login = ["-h", str(server.directory), "-p", str(server.port), "-U", "postgres"]
        said = server.run("psql", "-X", "-qAt", *login, stdin=script).stdout.split("\n")
        refused = {row["name"] for row, code in zip(rows, said) if code == "55P02"}
        assert len(said) > 300 and {"server_version", "config_file", "transaction_isolation"} <= refused
        ours = {row["name"] for row in rows if row["context"] == "internal"} | {*ELSEWHERE, *OF_A_TRANSACTION}
        assert refused == ours & {row["name"] for row in rows}
