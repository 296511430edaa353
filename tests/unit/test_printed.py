# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No verdict prints a command that its procedure would refuse; what is printed instead says whom to ask."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, List, Optional, Tuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.checks import spared
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.declared import Declared
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.tree import judge
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Facts
from ansible_collections.oncall.postgresql.plugins.module_utils._model.note import Note
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.clients.plan import Seen
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.graceful_restart.plan import State
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.graceful_restart.plan import (
    decide as restart,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.server.plan import Reading, Wanted, decide
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.sessions.guard import (
    CANCELLED,
    Request,
    Rules,
    forbidden,
)
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.response import respond
from tests.unit.facts import (
    Alter,
    change,
    client,
    control,
    disk,
    down,
    edge,
    group,
    hba,
    healthy,
    log,
    login_fails,
    no_sql,
    of,
    prepared,
    process,
    session,
    set_activity,
    set_client,
    set_configured,
    set_connections,
    set_directory,
    set_login,
    set_reach,
    set_role,
    set_rules,
    set_server,
    set_wire,
    sql,
    titles,
    wire,
)

USER: Dict[str, Any] = {
    "role": "app",
    "name": "shop-cron-1",
    "how": "its environment (PG*)",
    "service": "cron",
    "addresses": ["172.18.0.9"],
    "declared": False,
    "same_password": False,
    "password_matches": True,
}
PSQL = {"client_address": None, "database": "shop", "application": "psql", "sessions": 1}
CRON = {"client_address": "172.18.0.9", "database": "shop", "application": "cron", "sessions": 2}
WRONG = (login_fails("rejected", "28P01", "password authentication failed"), set_client(password_matches=False))


def users(*changes: Dict[str, Any]) -> Alter:
    return lambda facts: change(facts, role_users=[{**USER, **each} for each in changes])


def verdict(*alterations: Alter) -> Any:
    return judge(healthy(*alterations), Thresholds(), "db1")["verdict"]


def standby(facts: Facts) -> None:
    sql(facts)["in_recovery"] = True


def pooled(facts: Facts) -> None:
    sql(facts)["pooled"] = True


def unread(facts: Facts) -> None:
    facts["errors"]["role_users"] = "no answer"


@pytest.mark.parametrize(
    ("alterations", "says"),
    [
        pytest.param((), None, id="nobody else"),
        pytest.param((set_role(sessions=[PSQL]),), None, id="a local session, by trust"),
        pytest.param(
            (set_role(sessions=[PSQL]), set_rules(hba(1, "local", "all", "all", None, "scram-sha-256"))),
            "lock out a local session (1 session of application psql); ask them",
            id="a local session, by password",
        ),
        pytest.param(
            (set_role(sessions=[PSQL]), set_configured(hba_loaded=False)),
            "lock out a local session",
            id="by a line that is not known to be loaded",
        ),
        pytest.param((set_role(sessions=[CRON]),), "lock out 172.18.0.9 (2 sessions", id="somebody elsewhere"),
        pytest.param((users({}),), "lock out shop-cron-1 (its environment (PG*)); ask them", id="a container"),
        pytest.param((users({"same_password": True}),), None, id="with the same password"),
        pytest.param((users({"password_matches": False}),), None, id="with a third one, wrong as well"),
        pytest.param(
            (users({"same_password": None, "password_matches": None}),),
            "lock out shop-cron-1",
            id="with an unknown one",
        ),
        pytest.param(
            (users({"how": None, "same_password": None}), set_role(sessions=[CRON])),
            "lock out shop-cron-1 (2 sessions of application cron)",
            id="a container by its sessions",
        ),
        pytest.param((users({"declared": True}),), "shop-cron-1 has another one", id="another declared client"),
        pytest.param((unread,), "could not be read; ask", id="not looked at"),
        pytest.param((set_role(settable=False),), "ask a superuser to reset it", id="no right"),
        pytest.param((standby,), "change it on the primary", id="a standby"),
        pytest.param((pooled,), "log in to the server itself (login_host, login_port)", id="through a pooler"),
        pytest.param(
            (set_client(password_matches=None), set_login(password_given=False)), "it sends none", id="none to give it"
        ),
    ],
)
@pytest.mark.parametrize("superuser", [False, True])
def test_credentials_reset(alterations: Tuple[Alter, ...], says: Optional[str], superuser: bool) -> None:
    found = verdict(*WRONG, set_role(superuser=superuser), *alterations)
    assert (found["code"], found["cause"]) == ("authentication_failed", "wrong_password")
    if says is not None:
        assert found["remedy"] is None and says in found["summary"], found["summary"]
        assert "command" not in found["summary"]
    else:
        asked = {"oncall_role": "app", "oncall_client": "api"}
        allowed = {"oncall_allow_superuser": True} if superuser else {}
        assert found["remedy"]["extra_vars"] == {**asked, **allowed}
        assert ("the command allows changing its password" in found["summary"]) is superuser


@pytest.mark.parametrize(
    ("changes", "more", "says"),
    [
        ({}, (), None),
        ({"ours": False, "owner": "payments"}, (), "only its owner payments or a superuser can; ask them"),
        ({"age_seconds": 2.0}, (), "check again in a minute"),
        ({}, (standby,), "finish it on the primary"),
        ({}, (pooled,), None),
        ({"here": False}, (), None),
        ({"here": False}, (pooled,), "log in to database shop or to the server itself, not to its pooler"),
    ],
)
def test_rollback_prepared(changes: Dict[str, Any], more: Tuple[Alter, ...], says: Optional[str]) -> None:
    waits: Dict[str, Any] = {
        "blocking": [edge(2, 0, 90, "g")],
        "involved": [session(2)],
        "prepared": [prepared("g", **changes)],
    }
    found = verdict(set_activity(**waits), *more)
    assert (found["remedy"] is None) is (says is not None) and (says or "") in found["summary"]


def full(*idle: Any, runtime: str = "pg_ctl", beside: str = "", **more: Any) -> Alter:
    """No slot left; ``idle``: (seconds, role, application) of the sessions that are seen; ``beside``: how another
    client of the server is found."""

    def alter(facts: Facts) -> None:
        change(facts["target"], runtime=runtime)
        if beside:
            facts["clients"].append({**client("cron"), "state": beside, "attempt": None, "reach": None, "health": None})
        connections: Any = sql(facts)["connections"]
        connections["used"] = connections["max_connections"]
        rows = [
            session(number, "idle", seconds, user=user, application=name, client_address=None, query=None, **more)
            for number, (seconds, user, name) in enumerate(idle)
        ]
        connections["idle"] = rows

    return alter


LONG, SHORT = 3600.0, 60.0


@pytest.mark.parametrize(
    ("alteration", "printed"),
    [
        pytest.param(full(runtime="compose"), True, id="a client's container may be restarted"),
        pytest.param(full(runtime="compose", beside="paused"), False, id="one beside it is paused: none is restarted"),
        pytest.param(full(runtime="compose", beside="missing"), False, id="one beside it has no container"),
        pytest.param(full(runtime="compose", beside="exited"), True, id="one beside it is stopped"),
        pytest.param(full(), False, id="nobody"),
        pytest.param(full((LONG, "x", "report")), True, id="idle for long, whoever it is"),
        pytest.param(full((SHORT, "x", "report")), False, id="somebody else's, and not for long"),
        pytest.param(full((SHORT, "app", "api")), True, id="a declared client's"),
        pytest.param(full((SHORT, "app", "psql")), False, id="its role alone"),
        pytest.param(full((LONG, "postgres", "psql"), superuser=True), False, id="a superuser's"),
        pytest.param(full((LONG, "x", "report"), spared="no_right"), False, id="not ours to signal"),
        pytest.param(full((LONG, "x", "pg_dump")), False, id="a backup's"),
    ],
)
def test_pool_reset(alteration: Alter, printed: bool) -> None:
    found = verdict(alteration)
    assert found["code"] == "pool_exhausted" and (found["remedy"] is not None) is printed, found
    assert printed or "ask who holds them" in found["summary"]


@pytest.mark.parametrize(
    ("idle", "long_idle", "most"),
    [(1000, 1000, None), (1200, 10, None), (1200, 1001, 1200)],
)
@pytest.mark.parametrize("unseen", [False, True], ids=["by SQL", "by titles"])
def test_pool_reset_of_more_than_it_may_end(idle: int, long_idle: int, most: Optional[int], unseen: bool) -> None:
    """Where SQL finds no slot, for how long they have been idle is not known."""
    if unseen:
        rows = ["postgres: app shop 172.18.0.3(%d) idle" % (10000 + number) for number in range(idle)]
        refused = wire("socket", "/run/s", "rejecting", "53300", "sorry, too many clients already")
        found = verdict(set_server(processes=titles(*rows)), set_wire(refused), no_sql("53300", "too many clients"))
        most = idle if idle > 1000 else None
    else:
        counted = {"max_connections": idle + 3, "used": idle, "groups": [group(idle)], "long_idle": long_idle}
        found = verdict(set_connections(**counted))
    assert found["remedy"]["extra_vars"] == ({"oncall_max_sessions": most} if most else {}), found
    assert ("; the command allows ending up to %s sessions" % most in found["summary"]) is (most is not None)


def test_only_a_person_permits_more_sessions() -> None:
    counted = {"max_connections": 1503, "used": 1500, "groups": [group(1500)], "long_idle": 1500}
    chosen = respond({"verdict": verdict(set_connections(**counted)), "findings": []}, "respond", ["pool_reset"])
    assert (chosen["verb"], chosen["variables"]) == ("pool_reset", {})


def busy(*active: Any, seconds: float = 60.0, most: int = 97, **activity: Any) -> Alter:
    """No slot left, all at work; ``active``: (role, application) of those that have been for ``seconds``."""

    def alter(facts: Facts) -> None:
        rows = [
            session(number, "active", seconds, user=user, application=name, superuser=user == "root")
            for number, (user, name) in enumerate(active)
        ]
        counted = {"max_connections": most + 3, "used": most, "groups": [group(most, "active")], "active": rows}
        change(sql(facts)["connections"], **counted)
        change(sql(facts)["activity"], **activity)

    return alter


@pytest.mark.parametrize(
    ("alteration", "says", "extra"),
    [
        pytest.param(busy(("app", "api")), None, {}, id="a client's"),
        pytest.param(busy(("root", "psql"), ("app", "api")), None, {}, id="a client's, after a superuser's"),
        pytest.param(
            busy(("root", "psql")), "pid 0 (root), a superuser's session: ask that person", {}, id="superuser"
        ),
        pytest.param(busy(("app", "pg_dump")), "pg_dump: let it finish, or ask who runs it", {}, id="a backup"),
        pytest.param(busy(), "none has run for 30 s: check again", {}, id="short ones"),
        pytest.param(
            busy(blocking=[edge(2, 1, 9)], involved=[session(1), session(2)]), None, {}, id="a root blocker at work"
        ),
        pytest.param(
            busy(blocking=[edge(2, 1, 9)], involved=[session(1, "idle in transaction"), session(2)]),
            "none has run for 30 s",
            {},
            id="a root blocker in between two statements",
        ),
        pytest.param(
            busy(*[("app", "api")] * 50, most=1100), None, {"oncall_max_sessions": 1150}, id="more than it may cancel"
        ),
    ],
)
def test_cancel_queries_of_an_overload(alteration: Alter, says: Optional[str], extra: Dict[str, Any]) -> None:
    found = verdict(alteration)
    assert (found["code"], found["cause"]) == ("pool_exhausted", "active_overload")
    if says is None:
        assert found["remedy"]["extra_vars"] == {"oncall_query_seconds": 30, **extra}, found
        assert ("the command allows cancelling up to" in found["summary"]) is bool(extra)
    else:
        assert found["remedy"] is None and says in found["summary"], found["summary"]


def test_no_query_is_cancelled_where_no_slot_is_left() -> None:
    """Busy sessions hold them all, by their processes' titles."""
    rows = ["postgres: app shop 172.18.0.3(%d) SELECT" % port for port in range(50000, 50097)]
    refused = wire("socket", "/run/s", "rejecting", "53300", "sorry, too many clients already")
    found = verdict(set_server(processes=titles(*rows)), set_wire(refused), no_sql("53300", "too many clients"))
    assert (found["code"], found["cause"], found["remedy"]) == ("pool_exhausted", "active_overload", None), found
    assert "none is left for us either: stop a client that holds them" in found["summary"]


ERROR = {"file": "postgresql.conf", "line": 3, "name": "x", "error": "no such"}


@pytest.mark.parametrize(
    ("configured", "says"),
    [
        ({"hba_loaded": False}, None),
        ({"hba_loaded": True}, None),  # changed in the second in which it was loaded
        ({"hba_loaded": False, "file_errors": [ERROR]}, "correct the errors in the configuration files, then reload"),
        ({"hba_loaded": None}, "a superuser has to reload it"),
        ({"hba_loaded": False, "may_reload": False}, "a superuser has to reload it"),
    ],
)
def test_reload(configured: Dict[str, Any], says: Optional[str]) -> None:
    found = verdict(login_fails("rejected", "28000", "no entry"), set_configured(**configured))
    assert found["cause"] == "no_hba_entry" and (found["remedy"] is None) is (says is not None)
    if says is None:  # what pg_stat_file does not show as changed would not be loaded otherwise
        assert found["remedy"]["extra_vars"] == ({"oncall_force": True} if configured["hba_loaded"] else {})
    assert (says or "") in found["summary"]


ROWS = st.fixed_dictionaries(
    {
        "backend_type": st.sampled_from([None, "client backend", "walsender", "autovacuum worker", "slotsync worker"]),
        "user": st.sampled_from(["app", "postgres", None]),
        "application": st.sampled_from(["", "api", "psql", "pg_dump", "pgBackRest [backup]", "patroni"]),
        "client_address": st.sampled_from([None, "172.18.0.3", "10.1.1.1"]),
        "superuser": st.booleans(),
        "query": st.sampled_from([None, "SELECT 1", "VACUUM t", "COMMIT"]),
    }
)
SIGNALS = st.fixed_dictionaries(
    {
        "sync": st.sampled_from([None, None, "waits", "commits"]),
        "may_signal": st.booleans(),
        "replication": st.booleans(),
    }
)
CLIENTS = st.lists(
    st.tuples(
        st.sampled_from(["app", "postgres"]),
        st.sampled_from([None, "", "api"]),
        st.sampled_from([(), ("172.18.0.3",)]),
        st.sampled_from(["options", "DATABASE_URL", "target"]),
    ),
    max_size=2,
)


@given(ROWS, SIGNALS, CLIENTS)
def test_a_pid_that_is_printed_is_not_refused(row: Any, signals: Any, declared: List[Any]) -> None:
    """``spared`` over what triage's snapshot says of a session, against ``guard`` over the procedure's own look."""
    replication = signals["replication"] and not row["superuser"]
    refused = signals["sync"] or (None if signals["may_signal"] else "no_right")
    spares = refused or ("replication" if replication else None)
    seen: Any = {**session(7), **row, "spared": spares}
    clients = []
    for user, application, addresses, source in declared:
        one = client()
        networks = [
            {"name": "n", "address": address, "aliases": [], "attached": True} for address in addresses or [None]
        ]
        change(one, application_name=application, networks=networks)
        change(one["login"], user=user, source=source)
        clients.append(one)
    # As look.rules_of makes them: a client whose role is only the target's default is known by none.
    known = tuple(
        Declared(user, application, frozenset(addresses))
        for user, application, addresses, source in declared
        if source != "target"
    )
    task = "VACUUM" if (row["query"] or "").startswith("VACUUM") else None
    looked: Any = {**seen, **signals, "replication": replication, "own": False, "task": task}
    if spared.why(seen, clients) is None:
        assert forbidden(looked, Request(CANCELLED, frozenset([7])), Rules(known)) is None


@pytest.mark.parametrize("name", ["shared_buffers", "ssl_passphrase_command"])
def test_a_start_without_a_setting_that_is_refused(name: str) -> None:
    """What may be secret is not taken out by any procedure."""
    wrong = down(configuration={"valid": False, "message": "invalid %s" % name}, altered_settings=[name, "work_mem"])
    facts = healthy(wrong)
    found = judge(facts, Thresholds(), "db1")["verdict"]
    assert (found["cause"], found["remedy"] is None) == ("invalid_configuration", name != "shared_buffers")
    wanted = Wanted("started", reset_settings=(name,))
    with contextlib.ExitStack() as refused:
        if found["remedy"] is None:
            refused.enter_context(pytest.raises(RefusedError, match="may hold a secret"))
        found_down = Reading(facts, Thresholds(), None, None, "", altered={name: "1", "work_mem": "2"})
        assert decide(found_down, wanted).altering.reset == (name,)


LISTENER = {"name": "listen_addresses", "file": None, "line": None, "setting": "*", "current": "localhost"}
QUIET: Dict[str, Any] = {
    "backups": [],
    "exclusive_backup": False,
    "transactions": [],
    "missing_libraries": [],
    "checkpoint_at": "2026-11-24T01:55:00Z",
    "waiting": [LISTENER],
}
OPEN = {
    "pid": 9,
    "user": "app",
    "database": "shop",
    "application": "etl",
    "state": "active",
    "transaction_seconds": 99.0,
    "query": "",
}


def failing(facts: Facts) -> None:
    """Its last checkpoint."""
    said = 'could not open file "base/5/1234": Permission denied'
    change(
        of(facts),
        processes=[process(110, "postgres: checkpointer ")],
        started_at="2026-11-20T08:00:00Z",
        log=[log(said, severity="ERROR", at="2026-11-24T01:58:00Z", pid=110, own=False)],
    )


# What a start or a restart may be refused for.
IN_THE_WAY: Dict[str, Alter] = {
    "obstacle": set_server(obstacle="the server belongs to the systemd unit postgresql.service: use systemctl for it"),
    "its directory is gone": set_directory(exists=False),
    "its directory is empty": set_directory(entries=0, version=None, cluster_files=False),
    "its directory is open": set_directory(mode="0755"),
    "a full disk": set_server(disks=[disk(10**9, 0)]),
    "a disk that is nearly full": set_server(disks=[disk(10**9, 20_000_000)]),
    "used by another": set_server(
        directory_used_by=[{"container": "b", "pid": None, "title": "restarting", "seen": False}]
    ),
    "files that are refused": set_server(configuration={"valid": False, "message": "no such setting"}),
    "another server": lambda facts: change(
        facts,
        another_server={
            "where": "port 5432",
            **{
                name: {"data_directory": name, "system_identifier": "1", "port": 5432, "started_at": None}
                for name in ("answers", "expected")
            },
        },
    ),
    "a backup": lambda facts: change(facts, restart={**QUIET, "backups": [{**OPEN, "phase": None}]}),
    "a transaction": lambda facts: change(facts, restart={**QUIET, "transactions": [OPEN]}),
    "a failed checkpoint": failing,
    "a library": lambda facts: change(facts, restart={**QUIET, "missing_libraries": ["nowhere"]}),
    "no right": lambda facts: change(facts, restart=None),
    "no right to see pg_hba.conf": set_configured(hba_rules=None),
    "an error in a file": set_configured(file_errors=[{"file": "f", "line": 1, "name": "x", "error": "wrong"}]),
    "a standby is missing": set_activity(
        sync_replication={"waiting": 2, "longest_seconds": 9.0, "standby_names": "s1"}
    ),
    "a paused client": set_client(state="paused"),
}
DEAF = (
    set_server(listening=[{"address": "127.0.0.1", "port": 5432, "ours": True}]),
    set_wire(wire("socket", "/run/s"), wire("network", "172.18.0.2:5432", "refused")),
    set_reach(outcome="refused"),
    set_configured(
        listen_addresses="localhost", pending_restart=[{"name": "listen_addresses", "setting": "localhost"}]
    ),
    lambda facts: change(facts, restart=QUIET),
)
CLEAN = (down(control=control("shut down"), exit_code=0),)
KILLED = (down(exit_code=137, signal=9),)


@pytest.mark.parametrize(("base", "verb"), [(DEAF, "graceful_restart"), (CLEAN, "start"), (KILLED, "start")])
@given(more=st.sets(st.sampled_from(sorted(IN_THE_WAY)), max_size=2))
def test_a_start_that_is_printed_is_not_refused(base: Tuple[Alter, ...], verb: str, more: Any) -> None:
    """What triage says, against the plan over the same facts."""
    alterations = [IN_THE_WAY[name] for name in sorted(more) if base is DEAF or not _of_sql(name)]
    facts = healthy(*base, *alterations)
    remedy = judge(facts, Thresholds(), "db1")["verdict"]["remedy"]
    if not more:
        assert remedy is not None and remedy["playbook"] == "oncall.postgresql." + verb
    if remedy is None or not remedy["playbook"].endswith((".start", ".graceful_restart")):
        return
    obstacle = facts["server"]["obstacle"] if facts["server"] else None
    reading = Reading(facts, Thresholds(), obstacle, cast("Any", facts["restart"]), "no right")
    clients = tuple(
        Seen(one["service"], one["name"], one["state"], one["started_at"], one["finished_at"])
        for one in facts["clients"]
    )
    wanted = Wanted("restarted" if verb == "graceful_restart" else "started")
    state = State(reading, tuple(one.service for one in clients), clients, Note(), "/root/.oncall/note.json")
    if verb == "graceful_restart":
        assert restart(state, wanted, "postgres", 30, 60).refusal is None
    else:
        assert decide(reading, wanted).steps


def _of_sql(name: str) -> bool:
    """It says something of a server that runs."""
    return name in (
        "a backup",
        "a transaction",
        "a library",
        "a failed checkpoint",
        "no right",
        "no right to see pg_hba.conf",
        "an error in a file",
        "a standby is missing",
    )
