# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of roles on real servers: check mode, the real run, again, undone; what stands is read by plain SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError, UnprovenError
from ansible_collections.oncall.postgresql.plugins.modules import role_settings
from tests.integration.results import held
from tests.integration.servers import PASSWORD, AnyServer, Client, start

NAMES = ['we"ird', "reports"]


@pytest.fixture(scope="module", params=[13, 16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[AnyServer]:
    made = start(request.param)
    try:
        admin = client(made)
        admin.run('CREATE ROLE "we""ird" LOGIN', "CREATE ROLE reports LOGIN", "CREATE ROLE root SUPERUSER")
        admin.run("CREATE ROLE maker LOGIN CREATEROLE PASSWORD '%s'" % PASSWORD)
        admin.run("ALTER ROLE reports SET statement_timeout = '5min'")
        admin.close()
        yield made
    finally:
        made.remove()


def client(server: AnyServer) -> Client:
    return Client(host=server.host, port=server.port, user="postgres", password=PASSWORD, dbname="postgres")


def run(server: AnyServer, check: bool = False, user: str = "postgres", **options: Any) -> dict[str, Any]:
    login = {"login_host": server.host, "login_port": server.port, "login_user": user, "login_password": PASSWORD}
    given = {"runtime": "remote", "deadline_seconds": 60, **login, **options}
    checked = ArgumentSpecValidator(**role_settings.WORK.spec.arguments()).validate(given)
    assert not checked.error_messages, checked.error_messages
    with held("role_settings") as fitting:
        return fitting(role_settings.WORK.do(checked.validated_parameters, check))


def stands(server: AnyServer) -> dict[str, Any]:
    admin = client(server)
    rows = admin.run("SELECT rolname, rolconfig FROM pg_roles WHERE rolconfig IS NOT NULL")
    admin.close()
    return dict(rows)


def test_set_and_reset(server: AnyServer) -> None:
    before = stands(server)
    asked: dict[str, Any] = {"roles": NAMES, "settings": {"statement_timeout": "30s", "jit": False}}
    foreseen = run(server, check=True, **asked)
    assert stands(server) == before == {"reports": ["statement_timeout=5min"]}
    done = run(server, **asked)
    assert (done["changed"], done["diff"], done["settings"]) == (True, foreseen["diff"], foreseen["settings"])
    assert {name: sorted(stands(server)[name]) for name in NAMES} == {
        name: ["jit=off", "statement_timeout=30s"] for name in NAMES
    }
    again = run(server, **asked)
    assert not again["changed"] and again["msg"] == "All roles are as asked"
    run(server, roles=NAMES, settings={"statement_timeout": None, "jit": None})
    assert stands(server) == {}
    run(server, roles=["reports"], settings={"statement_timeout": "5min"})
    assert stands(server) == before


def test_values_are_compared_by_what_they_mean_and_a_list_is_one(server: AnyServer) -> None:
    before = stands(server)
    asked: dict[str, Any] = {"statement_timeout": 30000, "search_path": ["shop", "Public"], "random_page_cost": 1.10}
    admin = client(server)
    admin.run('ALTER ROLE "we""ird" SET statement_timeout = \'30s\'')
    admin.run('ALTER ROLE "we""ird" IN DATABASE postgres SET search_path = other')
    done = run(server, roles=NAMES[:1], settings=asked)
    assert sorted(done["diff"]["after"][NAMES[0]]) == ["random_page_cost", "search_path"]
    assert [each["hidden_by"] for each in done["settings"]] == [[], ["database postgres: other"], []]
    assert 'search_path=shop, "Public"' in stands(server)[NAMES[0]]
    asked = {"statement_timeout": "0.5min", "search_path": 'shop,"Public"', "random_page_cost": "1.1"}
    assert not run(server, roles=NAMES[:1], settings=asked)["changed"]
    run(server, roles=NAMES[:1], settings=dict.fromkeys(asked))
    admin.run('ALTER ROLE "we""ird" IN DATABASE postgres RESET ALL')
    admin.close()
    assert stands(server) == before


def test_a_value_that_the_server_refuses_leaves_all_as_it_was(server: AnyServer) -> None:
    before = stands(server)
    with pytest.raises(UnprovenError, match=r"timezone of role .* All former values were put back") as raised:
        run(server, roles=NAMES, settings={"jit": True, "timezone": "Nowhere/Land"})
    assert raised.value.details["changed"] is False and raised.value.sqlstate == "22023"
    assert stands(server) == before


def test_what_a_login_may_not_do_is_refused_before_the_server_is_asked(server: AnyServer) -> None:
    for roles, settings, said in (
        (["root"], {"jit": False}, "maker may not change role root"),
        (["maker"], {"log_statement": "all"}, "maker may not set log_statement"),
        (["postgres", "nemo"], {"jit": False}, "there is no role nemo"),
    ):
        with pytest.raises(RefusedError, match=said):
            run(server, user="maker", roles=roles, settings=settings)
    assert run(server, user="maker", roles=["maker"], settings={"jit": False})["changed"]
    assert run(server, user="maker", roles=["maker"], settings={"jit": None})["changed"]
    made = server.version < 16  # from 16 on, CREATEROLE alone is for those that it has made
    if made:
        assert run(server, user="maker", roles=["reports"], settings={"jit": False})["changed"]
        assert run(server, user="maker", roles=["reports"], settings={"jit": None})["changed"]
    else:
        with pytest.raises(RefusedError, match="maker may not change role reports"):
            run(server, user="maker", roles=["reports"], settings={"jit": False})
    refused = [line for line in server.log().splitlines() if "permission denied" in line or "must be" in line]
    assert refused == []


def test_it_counts_from_the_next_login_on(server: AnyServer) -> None:
    run(server, roles=["maker"], settings={"statement_timeout": "100ms"})
    maker = psycopg2.connect(host=server.host, port=server.port, user="maker", password=PASSWORD, dbname="postgres")
    try:
        with pytest.raises(psycopg2.errors.QueryCanceled):
            maker.cursor().execute("SELECT pg_sleep(60)")
    finally:
        maker.close()
    run(server, roles=["maker"], settings={"statement_timeout": None})
