# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""New passwords on a server without containers, which logs all that it is told."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import (
    RefusedError,
    SessionError,
    UnprovenError,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.options import TARGET
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.target import open_target
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.bind import identifier
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials import run
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials.run import OPTIONS
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials.scram import make_verifier
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials.sql import (
    SESSION,
    SET_VERIFIER,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.procedure import Change, carry_out
from tests.embedded import Server
from tests.integration.results import held
from tests.integration.servers import until

OLD, NEW = "old-Secret-4711", "new-Secret-4712"
ROLE = 'we"ird; role'


@pytest.fixture(scope="module", params=[16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    logging = {"log_statement": "all", "log_min_duration_statement": 0, "log_connections": "on"}
    with Server(request.param, settings=logging) as started:
        yield started


@pytest.fixture(autouse=True)
def role(server: Server) -> None:
    """As before each test; set up by its verifier, so that the log holds no password of ours."""
    server.hba("host all all all scram-sha-256")
    for name in ('"app"', '"we""ird; role"'):
        server.sql("DROP ROLE IF EXISTS %s" % name)
        server.sql("CREATE ROLE %s LOGIN PASSWORD '%s'" % (name, make_verifier(OLD)))


@pytest.fixture
def env(tmp_path: Path) -> Path:
    file = tmp_path / "environment"
    file.write_text("# the shop\nexport URL='postgres://app:%s@127.0.0.1/shop'\nPW=\"%s\"\n" % (OLD, OLD))
    file.chmod(0o604)
    return file


def options(server: Server, **more: Any) -> dict[str, Any]:
    name = more.get("role", "app")
    login = {"host": server.host, "port": server.port, "user": name, "password": OLD, "database": "postgres"}
    given = {
        "runtime": "pg_ctl",
        "data_directory": str(server.data),
        "login_user": "postgres",
        "role": "app",
        "clients": [
            {"service": "shop", "login": {**login, "ssl_mode": None}, "health_url": None, "application_name": None}
        ],
    }
    defaults = {name: rule.get("default") for name, rule in (TARGET + OPTIONS).options.items()}
    return {**defaults, **given, **more}


def change(server: Server, check_mode: bool = False, **more: Any) -> Change:
    given = options(server, **more)
    target = open_target(given, "here")
    try:
        with held("credentials") as fitting:
            done = carry_out(run.Reset(), target, given, check_mode)
            fitting(done.result())
        return done
    finally:
        target.close()


def logs_in(server: Server, password: str, role: str = "app") -> bool:
    environment = {"PGPASSWORD": password}
    words = ("-h", server.host, "-p", str(server.port), "-U", role, "-d", "postgres", "-XAtc", "SELECT 1")
    return server.run("psql", *words, check=False, environment=environment).stdout == "1\n"


def stored(server: Server, role: str = "app") -> str:
    return server.sql(
        "SELECT rolpassword || ' ' || coalesce(rolvaliduntil::text, '-') FROM pg_authid WHERE rolname = '%s'" % role
    )


@pytest.mark.parametrize("name", ["app", ROLE])
def test_the_server_takes_the_verifier_and_sees_no_password(server: Server, name: str) -> None:
    result = change(server, role=name, password=NEW).result()
    assert logs_in(server, NEW, name) and not logs_in(server, OLD, name)
    assert result["logins"][0]["method"] == "scram-sha-256" and result["logins"][0]["succeeded"]
    assert result["restart_needed"] == ["shop"]
    for secret in (OLD, NEW):
        assert secret not in server.log and secret not in json.dumps(result)
    assert NEW not in stored(server, name.replace("'", "''"))
    again = change(server, role=name, password=NEW)
    assert (again.changed, again.before) == (False, again.after)


@pytest.mark.parametrize("beside", [True, False], ids=["psql", "libpq"])
def test_a_superusers_session_keeps_the_verifier_out_of_the_log(server: Server, beside: bool) -> None:
    """Whatever the server logs; and what is logged otherwise is logged again afterwards."""
    server.hba("host all postgres all trust\nhost all all all scram-sha-256")
    where: dict[str, Any] = {} if beside else {"login_host": server.host, "login_port": server.port}
    begin = len(server.log)
    server.sql("DO $$ BEGIN EXECUTE $q$ALTER ROLE app PASSWORD '%s'$q$; END $$" % make_verifier(OLD))
    assert "SCRAM-SHA-256$" in server.log[begin:]  # this server does log them
    begin = len(server.log)
    done = change(server, password=NEW, valid_until="2099-01-01", **where)
    said = server.log[begin:]
    assert logs_in(server, NEW) and done.details["warnings_found"] == []
    assert "SCRAM-SHA-256$" not in said and "VALID UNTIL" not in said
    assert "rolpassword AS verifier" in said  # what came after it is logged as before


@pytest.mark.parametrize("beside", [True, False], ids=["psql", "libpq"])
def test_a_statement_with_a_verifier_that_fails_is_not_logged_either(server: Server, beside: bool) -> None:
    server.hba("host all postgres all trust")
    where: dict[str, Any] = {} if beside else {"login_host": server.host, "login_port": server.port}
    target = open_target(options(server, **where), "here")
    verifier, begin = make_verifier(NEW), len(server.log)
    try:
        with pytest.raises(SessionError, match="does not exist"):
            target.session.execute(SET_VERIFIER, Deadline(10), role=identifier("nobody"), verifier=verifier)
        assert (
            target.session.query(SESSION, Deadline(10), role="app")[0]["superuser"] is True
        )  # and the session goes on
    finally:
        target.close()
    assert "does not exist" in server.log[begin:] and "SCRAM-SHA-256$" not in server.log[begin:]


@pytest.mark.parametrize("beside", [True, False], ids=["psql", "libpq"])
def test_whoever_is_no_superuser_is_told_that_the_log_may_hold_the_verifier(server: Server, beside: bool) -> None:
    server.sql("DROP ROLE IF EXISTS keeper")
    server.sql("CREATE ROLE keeper LOGIN CREATEROLE; GRANT SELECT ON pg_authid TO keeper")
    if server.sql("SHOW server_version_num") >= "160000":
        server.sql("GRANT app TO keeper WITH ADMIN TRUE")
    server.hba("local all keeper trust\nhost all keeper all trust\nhost all all all scram-sha-256")
    where: dict[str, Any] = {} if beside else {"login_host": server.host, "login_port": server.port}
    try:
        done = change(server, password=NEW, login_user="keeper", **where)
    finally:
        server.sql("DROP OWNED BY keeper; DROP ROLE keeper")
    assert logs_in(server, NEW)
    assert [one for one in done.details["warnings_found"] if "log_statement = all" in one], done.details


@pytest.mark.parametrize(
    "password", ["\u00fcml\u00e4ut \uff46\uff55\uff4c\uff4c", "it's \\ \" $x %s %(role)s", "\u00a0", "x" * 200]
)
def test_any_given_password_logs_in(server: Server, password: str) -> None:
    change(server, password=password)
    assert logs_in(server, password)
    assert password not in server.log


def test_a_generated_one_is_in_the_files_only(server: Server, env: Path, tmp_path: Path) -> None:
    place = tmp_path / "password"
    more: dict[str, Any] = {"env_file": str(env), "env_keys": ["URL", "PW"], "password_file": str(place)}
    planned = change(server, check_mode=True, **more)
    assert not place.exists() and OLD in env.read_text() and logs_in(server, OLD)
    real = change(server, **more)
    assert (planned.before, planned.after) == (real.before, real.after)
    password = place.read_text().rstrip("\n")
    assert env.read_text() == "# the shop\nexport URL='postgres://app:%s@127.0.0.1/shop'\nPW=\"%s\"\n" % (
        password,
        password,
    )
    assert (place.stat().st_mode & 0o777, env.stat().st_mode & 0o777) == (0o600, 0o604)
    assert logs_in(server, password)
    assert password not in server.log and password not in json.dumps(real.result())


def test_the_servers_iterations_count(server: Server) -> None:
    server.sql("ALTER SYSTEM SET scram_iterations = 5000")
    server.reload()
    try:
        change(server, password=NEW)
        assert stored(server).startswith("SCRAM-SHA-256$5000:") and logs_in(server, NEW)
    finally:
        server.sql("ALTER SYSTEM RESET scram_iterations")
        server.reload()


def test_an_md5_role_behind_an_md5_line(server: Server) -> None:
    from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.verifier import md5_verifier

    server.sql("ALTER ROLE app PASSWORD '%s'" % md5_verifier(OLD, "app"))
    server.hba("host all all all md5")
    assert logs_in(server, OLD)
    result = change(server, password=NEW).result()
    assert logs_in(server, NEW) and "md5" in result["warnings_found"][0]
    server.sql("ALTER ROLE app PASSWORD '%s'" % md5_verifier(OLD, "app"))
    assert not change(server, password=OLD).changed


def test_an_md5_role_behind_a_scram_line(server: Server) -> None:
    """What triage prints for it: the same password, stored so that the server takes it."""
    from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.verifier import md5_verifier

    server.sql("ALTER ROLE app PASSWORD '%s'" % md5_verifier(OLD, "app"))
    assert not logs_in(server, OLD)
    foreseen = change(server, check_mode=True, password_of="shop")
    assert foreseen.changed and not logs_in(server, OLD)
    assert change(server, password_of="shop").changed
    assert logs_in(server, OLD) and "SCRAM-SHA-256$" in stored(server)
    assert not change(server, password_of="shop").changed


def test_a_refused_login_puts_everything_back(server: Server, env: Path, tmp_path: Path) -> None:
    server.sql("ALTER ROLE app VALID UNTIL '2042-01-01 00:00:00+00'")
    before, content, inode = stored(server), env.read_bytes(), sorted(tmp_path.iterdir())
    server.hba("host all app all reject", "host all all all scram-sha-256")
    with pytest.raises(UnprovenError) as failed:
        change(
            server,
            env_file=str(env),
            env_keys=["URL", "PW"],
            password_file=str(tmp_path / "password"),
            valid_until="2050-01-01",
        )
    assert failed.value.details["not_put_back"] == []
    assert len(failed.value.details["put_back"]) == 3
    assert "restored: " in str(failed.value) and OLD not in str(failed.value)
    assert (stored(server), env.read_bytes(), sorted(tmp_path.iterdir())) == (before, content, inode)


def test_a_file_that_cannot_be_written_puts_the_role_back(server: Server, env: Path) -> None:
    """The kernel refuses to write on, as on a disk that got full after it was looked at."""
    before, content, seen = stored(server), env.read_bytes(), len(server.log)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limit[1]))
    try:
        with pytest.raises(UnprovenError) as failed:
            change(server, env_file=str(env), env_keys=["URL", "PW"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "could not be written: File too large" in str(failed.value)
    assert "restored: the password of role app" in str(failed.value)
    assert "SCRAM-SHA-256$" not in server.log[seen:]
    assert (stored(server), env.read_bytes()) == (before, content)
    assert [one.name for one in env.parent.iterdir()] == [env.name]


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of something that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(20)
        yield listener.getsockname()[1]


def test_a_password_that_somebody_else_has_set_meanwhile_is_theirs(server: Server, mute: int) -> None:
    given = options(server, password=NEW, deadline_seconds=4)
    given["clients"][0]["login"]["port"] = mute
    before, theirs = stored(server), make_verifier("theirs")

    def interfere() -> None:
        until(lambda: stored(server) != before)
        server.sql("ALTER ROLE app PASSWORD '%s'" % theirs)

    thread = threading.Thread(target=interfere)
    thread.start()
    with pytest.raises(UnprovenError) as failed:
        change(server, **given)
    thread.join()
    assert "NOT restored: the password of role app (someone else has changed it meanwhile.)" in str(failed.value)
    assert stored(server).startswith(theirs)


def test_a_hang_up_in_the_middle_puts_back(server: Server, env: Path, mute: int) -> None:
    """A process of its own gets SIGTERM while it waits for the proof."""
    before, content = stored(server), env.read_bytes()
    given = options(server, env_file=str(env), env_keys=["URL", "PW"], deadline_seconds=20)
    given = {option: value for option, value in given.items() if value is not None}
    given["clients"] = [
        {"service": "shop", "login": {**given["clients"][0]["login"], "port": mute, "ssl_mode": "prefer"}}
    ]
    name = "ansible_collections.oncall.postgresql.plugins.modules.credentials"
    process = subprocess.Popen([sys.executable, "-m", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
    process.stdin.close()
    until(lambda: env.read_bytes() != content, 30)
    process.send_signal(signal.SIGTERM)
    said = process.stdout.read()
    process.wait(30)
    assert json.loads(said)["failed"] and "interrupted (" in said, said
    assert (stored(server), env.read_bytes()) == (before, content)


@pytest.mark.parametrize(
    ("setup", "more", "why"),
    [
        ("ALTER ROLE app NOLOGIN", {}, "is not allowed to log in"),
        ("ALTER ROLE app SUPERUSER", {}, "is a superuser"),
        ("ALTER ROLE app VALID UNTIL '2020-01-01'", {}, "a new one would be expired"),
        ("SELECT 1", {"valid_until": "2020-01-01"}, "not in the future"),
        ("SELECT 1", {"role": "nobody"}, "There is no role nobody"),
        ("SELECT 1", {"env_file": "/nowhere/.env", "env_keys": ["PW"]}, "does not exist"),
        ("SELECT 1", {"clients": []}, "could not be verified"),
    ],
)
def test_refuses_before_anything_is_touched(server: Server, setup: str, more: dict[str, Any], why: str) -> None:
    server.sql(setup)
    before = stored(server)
    with pytest.raises(RefusedError, match=why):
        change(server, password=NEW, **more)
    assert stored(server) == before


@pytest.mark.parametrize(
    "line", ["local all app scram-sha-256", "host all app all scram-sha-256", "local all app trust"]
)
def test_it_does_not_lock_itself_out(server: Server, line: str) -> None:
    """Through the socket each of psql's connections logs in anew: also the one that would put everything back."""
    server.sql("ALTER ROLE app SUPERUSER")
    server.hba(line, "host all all all scram-sha-256")
    before = stored(server)
    own: dict[str, Any] = {"login_user": "app", "login_password": OLD, "allow_superuser": True, "password": NEW}
    if line.startswith("host"):
        own["login_host"], own["login_port"] = server.host, server.port
    if line.endswith("trust"):
        assert change(server, **own).changed and logs_in(server, NEW)
    else:
        with pytest.raises(RefusedError, match="oncall itself logs in as role app"):
            change(server, **own)
        assert stored(server) == before


def test_expired_with_a_new_end(server: Server) -> None:
    server.sql("ALTER ROLE app VALID UNTIL '2020-01-01'")
    assert not logs_in(server, OLD)
    result = change(server, password=OLD, valid_until="infinity")
    assert logs_in(server, OLD) and stored(server).endswith(" infinity")
    assert result.changed and result.before["password"] == result.after["password"] == "present"
    assert not change(server, password=OLD, valid_until="infinity").changed
