# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new password takes, and when nothing may be done."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.verifier import md5_verifier
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.others import named_in
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.role_users import Gate
from ansible_collections.oncall.postgresql.plugins.module_utils._model.user import User
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials.plan import (
    ClientSeen,
    Request,
    Seen,
    decide,
    diff,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials.scram import make_verifier
from tests.unit.facts import hba

OLD, OTHER, NEW = "old-Secret", "other-Secret", "new-Secret"
VERIFIERS = {one: make_verifier(one, 1) for one in (OLD, OTHER, NEW)}
SESSION = {
    "name": "postgres",
    "superuser": True,
    "createrole": True,
    "in_recovery": False,
    "reads_verifiers": True,
    "own": None,
    "iterations": 4096,
    "writes": None,
}
ROLE = {
    "can_login": True,
    "superuser": False,
    "verifier": VERIFIERS[OLD],
    "valid_until": "infinity",
    "expired": False,
    "asked_past": False,
    "asked_same": True,
    "asked": None,
}
API = ClientSeen("api", "shop-api-1", OLD, container=True, running=True, healthy=True)
WORKER = ClientSeen("worker", "shop-worker-1", OLD, container=True, running=True)
HERE = ClientSeen("shop", "here", OLD)
TEXT = "# x\nPW=%s\n" % OLD
ENV = Request("app", env_file="/srv/.env", env_keys=("PW",))


def seen(*clients: ClientSeen, text: Optional[str] = None, secret: Optional[str] = None, **changes: Any) -> Seen:
    role: Dict[str, Any] = {**ROLE, **{key: value for key, value in changes.items() if key in ROLE}}
    session = {**SESSION, **{key: value for key, value in changes.items() if key in SESSION and key not in ROLE}}
    described = changes.get("described", {one.service: ("app", OLD) for one in clients if one.container} or None)
    return Seen(session, role, clients, "postgres", text, secret, described if text else None)


def test_everything_is_changed() -> None:
    plan = decide(ENV, seen(API, WORKER, text=TEXT), NEW)
    assert (plan.password, plan.alter, plan.valid_until) == (NEW, True, None)
    assert plan.env_text == "# x\nPW=%s\n" % NEW
    assert list(plan.recreate) == ["api", "worker"]
    assert not plan.warnings


@pytest.mark.parametrize(
    ("request_", "scene", "alter", "file", "recreate"),
    [
        pytest.param(
            replace(ENV, password=OLD), seen(API, text=TEXT), False, False, [], id="given, and so it is everywhere"
        ),
        pytest.param(
            replace(ENV, password=OLD), seen(API, text=TEXT, verifier=VERIFIERS[OTHER]), True, False, [], id="role only"
        ),
        pytest.param(
            replace(ENV, password=OLD),
            seen(replace(API, password=OTHER), text=TEXT),
            False,
            False,
            ["api"],
            id="a container of before the last edit",
        ),
        pytest.param(
            replace(ENV, password=NEW),
            seen(API, replace(WORKER, password=NEW), text=TEXT, verifier=VERIFIERS[NEW]),
            False,
            True,
            ["api"],
            id="half done before",
        ),
        pytest.param(
            Request("app", password_of="api"),
            seen(API, WORKER, verifier=VERIFIERS[OTHER]),
            True,
            False,
            [],
            id="the clients' own",
        ),
        pytest.param(Request("app", password_of="api"), seen(API), False, False, [], id="the clients' own fits"),
        pytest.param(Request("app", password=NEW), seen(HERE), True, False, [], id="a client that is no container"),
        pytest.param(
            replace(ENV, password=NEW), seen(HERE, text=TEXT), True, True, [], id="its file, and nothing to make anew"
        ),
        pytest.param(
            Request("app", password=OLD), seen(API, verifier=md5_verifier(OLD, "app")), False, False, [], id="md5 fits"
        ),
        pytest.param(
            Request("app", password_of="api", valid_until="infinity"),
            seen(API, expired=True, valid_until="2020-01-01 00:00:00+00", asked_same=False, asked="infinity"),
            True,
            False,
            [],
            id="only its end",
        ),
    ],
)
def test_only_what_must_be(request_: Request, scene: Seen, alter: bool, file: bool, recreate: Any) -> None:
    plan = decide(request_, scene, "generated-Secret")
    assert (plan.alter, plan.env_text is not None, list(plan.recreate)) == (alter, file, recreate)
    assert plan.empty is not (alter or file or bool(recreate))
    before, after = diff(request_, scene, plan)
    assert (before != after) is not plan.empty
    for secret in (OLD, OTHER, NEW, "generated-Secret", *VERIFIERS.values()):
        assert secret not in json.dumps([before, after]) + repr(plan) + repr(scene) + repr(request_)


@pytest.mark.parametrize(
    ("request_", "scene", "why"),
    [
        pytest.param(ENV, replace(seen(API, text=TEXT), role=None), "There is no role app", id="no role"),
        pytest.param(ENV, seen(API, text=TEXT, can_login=False), "is not allowed to log in", id="nologin"),
        pytest.param(
            ENV, replace(seen(API, text=TEXT), role={**ROLE, "superuser": True}), "is a superuser", id="superuser"
        ),
        pytest.param(ENV, seen(API, text=TEXT, expired=True), "a new one would be expired", id="expired"),
        pytest.param(
            replace(ENV, valid_until="2020-01-01"),
            seen(API, text=TEXT, asked_past=True, asked="2020-01-01"),
            "not in the future",
            id="an end in the past",
        ),
        pytest.param(ENV, seen(API, text=TEXT, in_recovery=True), "is a standby", id="standby"),
        pytest.param(ENV, seen(API, text=TEXT, reads_verifiers=False), "could not be restored", id="cannot undo"),
        pytest.param(
            ENV,
            replace(seen(API, text=TEXT), session={**SESSION, "superuser": False, "createrole": False}),
            "may not change passwords",
            id="nobody",
        ),
        pytest.param(ENV, seen(text=TEXT), "could not be verified", id="no client"),
        pytest.param(
            ENV, seen(replace(API, service="postgres"), text=TEXT), "the server's own service", id="the server itself"
        ),
        pytest.param(Request("app"), seen(API), "nowhere to write it", id="nowhere to write"),
        pytest.param(Request("app", password=NEW), seen(API), "api would be locked out", id="nothing for the client"),
        pytest.param(
            Request("app", password_file="/x"), seen(API), "api would be locked out", id="only a password file"
        ),
        pytest.param(Request("app", password=""), seen(API), "is empty", id="empty"),
        pytest.param(Request("app", password="a\nb"), seen(API), "line break", id="two lines"),
        pytest.param(
            Request("app", password_of="web"), seen(API), "web does not log in as role app", id="another client"
        ),
        pytest.param(
            Request("app", password_of="api"),
            seen(API, replace(WORKER, password=OTHER)),
            "different passwords (shop-api-1, shop-worker-1)",
            id="clients that differ",
        ),
        pytest.param(
            Request("app", password_of="api"), seen(replace(API, password=None)), "not known here", id="unknown"
        ),
        pytest.param(
            Request("app", env_file="/srv/.env"), seen(API, text=TEXT), "without env_keys", id="no key is named"
        ),
        pytest.param(
            ENV,
            seen(API, text=TEXT, described={"api": ("app", OTHER)}),
            "Compose does not give api the password that PW of /srv/.env holds",
            id="another key",
        ),
        pytest.param(
            ENV,
            seen(API, text=TEXT, described={"api": ("web", OLD)}),
            "it would log in as web",
            id="another role by now",
        ),
        pytest.param(ENV, seen(API, text="OTHER=1\n"), "has no line PW=", id="no such key"),
    ],
)
def test_refuses(request_: Request, scene: Seen, why: str) -> None:
    with pytest.raises(RefusedError) as refused:
        decide(request_, scene, NEW)
    assert why in str(refused.value)
    for secret in (OLD, OTHER, NEW, *VERIFIERS.values()):
        assert secret not in str(refused.value)


def test_a_superuser_if_asked() -> None:
    scene = replace(seen(API, text=TEXT), role={**ROLE, "superuser": True})
    assert decide(replace(ENV, allow_superuser=True), scene, NEW).alter


def test_warns_of_old_drivers() -> None:
    scene = seen(API, text=TEXT, verifier=md5_verifier(OLD, "app"))
    assert "md5" in " ".join(decide(ENV, scene, NEW).warnings)


@pytest.mark.parametrize(
    ("secret", "wanted"),
    [(None, NEW + "\n"), (OLD, NEW), (OLD + "\n", NEW + "\n"), (OLD + "\r\n", NEW + "\r\n"), (NEW + "\n", None)],
)
def test_a_password_file_keeps_its_end(secret: Optional[str], wanted: Optional[str]) -> None:
    scene = seen(HERE, secret=secret)
    assert decide(Request("app", password_file="/x"), scene, NEW).secret_text == wanted


USER = User("shop-cron-1", "its environment (PG*)", OLD, "cron", ("10.0.0.9",))
SESSIONS: Any = [{"client_address": "10.0.0.9", "database": "shop", "application": "", "sessions": 1}]


@pytest.mark.parametrize("allowed", [["shop-cron-1"], ["cron"], ["all"]])
def test_others_are_locked_out_only_if_that_is_permitted(allowed: List[str]) -> None:
    scene = replace(seen(API, text=TEXT), users=[USER], sessions=SESSIONS)
    with pytest.raises(RefusedError, match=r"shop-cron-1 \(its environment \(PG\*\)\)"):
        decide(replace(ENV, may_lock_out=["other"]), scene, NEW)
    plan = decide(replace(ENV, may_lock_out=allowed), scene, NEW)
    assert plan.warnings == ("shop-cron-1 may be locked out, as permitted",)


def test_whoever_has_the_new_password_is_no_hindrance() -> None:
    scene = replace(seen(API, text=TEXT), users=[replace(USER, password=NEW)], sessions=SESSIONS)
    assert decide(replace(ENV, password=NEW), scene, "").alter
    assert decide(replace(ENV, password=OLD), replace(seen(API, text=TEXT), users=[USER]), "").empty


def test_whoever_has_a_wrong_password_anyway_is_no_hindrance() -> None:
    scene = replace(seen(API, text=TEXT), users=[replace(USER, password=OTHER)], sessions=SESSIONS)
    assert decide(ENV, scene, NEW).alter


def test_a_container_is_known_by_its_sessions_alone() -> None:
    scene = replace(seen(API, text=TEXT), users=[replace(USER, how=None, password=None)], sessions=SESSIONS)
    with pytest.raises(RefusedError, match=r"shop-cron-1 \(1 session\)"):
        decide(ENV, scene, NEW)


LOCAL: Any = {"client_address": None, "database": "shop", "application": "psql", "sessions": 1}
HBA = "/data/pg_hba.conf"
PEER: Any = hba(1, "local", "all", "all", None, "peer", file_name=HBA)
TRUST: Any = hba(2, "host", "all", "all", "10.0.0.0/8", "trust", file_name=HBA)
SCRAM: Any = hba(3, "host", "all", "all", "all", "scram-sha-256", file_name=HBA)


@pytest.mark.parametrize(
    ("session", "rules", "more", "free"),
    [
        ({}, (PEER, SCRAM), {}, True),
        ({"client_address": "10.0.0.9"}, (TRUST, SCRAM), {}, True),
        ({"client_address": "172.18.0.9"}, (TRUST, SCRAM), {}, False),
        ({"client_address": "10.0.0.9"}, ({**TRUST, "type": "hostssl"}, SCRAM), {}, False),  # with TLS or without?
        ({"client_address": "10.0.0.9"}, ({**TRUST, "address": "db.example"}, PEER), {}, False),  # a name
        ({"client_address": "10.0.0.9", "database": None}, (TRUST,), {}, False),  # a standby: no line of its own
        ({}, ({**PEER, "auth_method": "md5"},), {}, False),
        ({}, ({**PEER, "auth_method": "reject"},), {}, False),  # it came in by another file
        ({}, (), {}, False),
        ({}, (PEER,), {"loaded": False}, False),
        ({}, (PEER,), {"loaded": None}, False),
        ({}, (PEER,), {"rules": None}, False),
        ({}, (PEER,), {"hba_file": "/etc/pg_hba.conf"}, False),  # an included file
        ({}, (PEER, {**SCRAM, "type": None, "error": "syntax"}), {}, False),  # refused as a whole at the next reload
    ],
)
def test_a_session_that_needs_no_password_is_no_hindrance(session: Any, rules: Any, more: Any, free: bool) -> None:
    gate = Gate("app", (), rules, HBA, True)._replace(**more)
    sessions: Any = [{**LOCAL, **session}]
    scene = replace(seen(API, verifier=VERIFIERS[OTHER]), sessions=sessions, gate=gate)
    if free:
        assert decide(Request("app", password_of="api"), scene, "").alter
    else:
        with pytest.raises(RefusedError, match="of application psql"):
            decide(Request("app", password_of="api"), scene, "")


@pytest.mark.parametrize("rejected", [True, False])
def test_an_md5_verifier_that_the_server_does_not_take_is_stored_anew(rejected: bool) -> None:
    scene = seen(replace(API, rejected=rejected), verifier=md5_verifier(OLD, "app"))
    plan = decide(Request("app", password_of="api"), scene, "")
    assert (plan.alter, plan.store) == (rejected, rejected)
    before, after = diff(Request("app", password_of="api"), scene, plan)
    assert (before != after) is rejected


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("B=" + OLD, True),
        ("B='postgresql://app:old%2DSecret@db/shop'", True),
        ("B=postgresql://app:${PW}@db/shop", False),
        ("B='host=db user=app password=old-Secret'", True),
        ("B=postgresql://other:old-Secret@db/shop", False),
        ("B='host=db user=other password=old-Secret'", False),
        ("B=old-Secret-too", False),
    ],
)
def test_keys_that_hold_the_old_password(line: str, found: bool) -> None:
    for scene in (seen(API, text=TEXT + line + "\n"), replace(seen(API, text=TEXT), beside={"/srv/x.env": line})):
        if found:
            with pytest.raises(RefusedError, match=r"B \(a key of /srv/.*that holds the old password"):
                decide(ENV, scene, NEW)
        else:
            assert decide(ENV, scene, NEW).alter
        assert decide(replace(ENV, may_lock_out=["B"]), scene, NEW).alter


@pytest.mark.parametrize(
    ("env", "by"),
    [
        ({"DATABASE_URL": "postgresql://other:x@db/a", "REPORTS_URL": "postgresql://app:x@db/a"}, ["REPORTS_URL"]),
        ({"PGUSER": "app"}, ["PG*"]),
        ({"PGUSER": "other", "PGPASSWORD": OLD}, []),
        ({"APP_DB_SECRET": OLD}, ["APP_DB_SECRET"]),
        ({"DATABASE_URL": "postgresql://app:x@reports-db/a"}, []),
        ({"DB_USER_X": "app"}, []),
    ],
)
def test_an_environment_that_names_the_role(env: Dict[str, str], by: List[str]) -> None:
    found = named_in(env, lambda path: None, "app", [OLD], ["reports-db"])
    assert [variables for variables, _password in found] == by
