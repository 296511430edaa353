# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reindex would do, by tables; and whom integrity_check sends there."""

from __future__ import annotations

import json
import shlex
from typing import Any, Dict, Optional

import pytest
import yaml

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.integrity.rebuild import remedies
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import command
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.reindex.plan import (
    Database,
    Plan,
    State,
    decide,
)

from .facts import healthy
from .test_integrity import DAMAGE, MOVED, sound

MIB = 1024**2
DIRECTORY = "/var/lib/postgresql/data"
OPTIONS: Dict[str, Any] = {
    "indexes": [],
    "lock_timeout_seconds": 10.0,
    "timeout_seconds": 3600.0,
    "transaction_minutes": 5.0,
    "refresh": True,
    "disk_checked": False,
    "block_writers": False,
}
COLLATION = {"name": "german", "schema": "public", "recorded_version": "1", "actual_version": "2", "ours": True}


def index(**changes: Any) -> Dict[str, Any]:
    found = {
        "oid": 20000,
        "name": "public.by_label",
        "table": "public.labels",
        "exclusion": False,
        "leftover": False,
        "collations": ["german"],
        "catalog": False,
        "toast": False,
        "ours": True,
        "tablespace": "",
        "bytes": 100 * MIB,
    }
    return {**found, **changes}


def decided(
    *indexes: Dict[str, Any],
    twice: Any = (),
    server: Optional[Dict[str, Any]] = None,
    free: Optional[int] = 1000 * MIB,
    pooled: bool = False,
    options: Optional[Dict[str, Any]] = None,
    **document: Any,
) -> Plan:
    rows = list(indexes) or [index()]
    found = {
        "named": [],
        "collations": [COLLATION],
        "stale": sum(1 for row in rows if row["collations"] and not row["leftover"]),
        "partitioned_by": [],
        "amcheck": None,
        "open": [],
        "prepared": [],
        "indexes": rows,
        **document,
    }
    state = State(
        {"in_recovery": False, "directory": DIRECTORY, "database": "shop", **(server or {})},
        [Database("shop", found, {20000: list(twice)})],
        {DIRECTORY: None if free is None else (free, 10000 * MIB), "/fast": (10 * MIB, 10000 * MIB)},
        pooled,
    )
    return decide(state, {**OPTIONS, **(options or {})})


def test_all_that_depends_is_rebuilt_then_the_version_is_refreshed() -> None:
    plan = decided()
    assert [(step.name, step.what) for step in plan.steps] == [("shop.public.by_label", "rebuild")]
    assert [each.shown for each in plan.refreshes] == ["shop.german"] and plan.needed_bytes == 200 * MIB
    assert plan.foreseen().changed and not plan.empty


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"server": {"in_recovery": True}}, "is a standby"),
        ({"pooled": True}, "through a connection pooler"),
        (
            {"free": None},
            "how much is free there is not known. Check it on the server, then add -e oncall_disk_checked",
        ),
        ({"free": 399 * MIB}, "needs 200 MiB on the disk of %s (and 200 MiB have to stay free), and 399" % DIRECTORY),
        ({"options": {"indexes": ["shop.public.x"]}}, "There is no index shop.public.x"),
        ({"collations": [{**COLLATION, "ours": False}]}, "Only the owner of collation shop.german"),
        ({"prepared": ["order-7"]}, "prepared transaction 'order-7'"),
        (
            {"open": [{"pid": 7, "user": "app", "application": "", "seconds": 900}]},
            "open for more than 5 min: pid 7 (app, no name), open for 15 min",
        ),
        ({"twice": [{"key": ["a", "NULL"], "rows": 2}]}, "holds values twice that it has to hold once ((a, NULL): 2"),
    ],
)
def test_refused_before_anything_is_touched(given: Dict[str, Any], says: str) -> None:
    with pytest.raises(RefusedError) as refused:
        decided(**given)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"catalog": True}, "REINDEX INDEX public.other; as a superuser"),
        ({"toast": True}, "REINDEX TABLE CONCURRENTLY"),
        ({"exclusion": True}, "exclusion constraint"),
        ({"ours": False}, "only the owner of public.labels"),
        ({"bytes": None}, "it is locked"),
    ],
)
def test_one_that_is_refused_keeps_the_version(changes: Dict[str, Any], says: str) -> None:
    plan = decided(index(), index(oid=20001, name="public.other", **changes))
    assert [step.what for step in plan.steps] == ["rebuild", "refuse"] and says in plan.steps[1].why
    assert plan.refreshes == () and "not every index" in plan.kept[0]


def test_an_exclusion_constraint_is_rebuilt_where_writers_may_wait() -> None:
    plan = decided(
        index(), index(oid=20001, name="public.other", exclusion=True), options={"block_writers": True}, stale=2
    )
    assert [step.what for step in plan.steps] == ["rebuild", "rebuild"] and len(plan.refreshes) == 1


def test_what_keeps_a_version() -> None:
    assert "wrong partition" in decided(partitioned_by=["public.parts"]).kept[0]
    assert "refresh is false" in decided(options={"refresh": False}).kept[0]
    assert "not every index" in decided(stale=2).kept[0]


def test_a_leftover_is_dropped_and_takes_no_room() -> None:
    plan = decided(index(name="public.by_label_ccnew", leftover=True, tablespace="/fast"), collations=[])
    assert [step.what for step in plan.steps] == ["drop"] and plan.needed_bytes == 0
    with pytest.raises(RefusedError, match="on the disk of /fast"):
        decided(index(tablespace="/fast"))
    assert decided(index(tablespace="/fast"), options={"disk_checked": True}).steps


def test_who_is_sent_there() -> None:
    facts: Any = sound()
    assert remedies(facts, healthy()) == {}
    shop = facts["databases"][0]
    shop["collations"] = [MOVED]
    shop["amcheck"]["damage"] = [DAMAGE]
    shop["invalid_indexes"] = [{"name": 'public."a b_ccnew1"', "table": "public.t", "ready": False, "bytes": 1}]
    found = remedies(facts, healthy())
    assert (
        found["collations"]["command"]
        == "ansible-playbook oncall.postgresql.reindex --limit db1"
        == (found["schema"]["command"])
    )
    assert found["amcheck"]["extra_vars"] == {"oncall_indexes": ["shop.public.items_pkey"]}
    index = {"kind": "index", "name": "public.by_gin", "bytes": 8192, "counted_bytes": 16384}
    shop["short_files"] = [index]
    assert remedies(facts, healthy())["schema"]["extra_vars"] == {"oncall_indexes": ["shop.public.by_gin"]}
    shop["short_files"] = [index, {**index, "kind": "table"}]
    assert remedies(facts, healthy()) == {}, "its indexes may be all that still tells of its rows"
    shop["short_files"] = []
    shop["amcheck"]["damage"] = [DAMAGE, {**DAMAGE, "kind": "table"}]
    assert remedies(facts, healthy()) == {}


def test_names_of_somebody_else_are_no_templates() -> None:
    words = shlex.split(command("reindex", "db1", indexes=["shop.public.{{ 1 }}", "b"])["command"])
    assert words[-1] == '{"oncall_indexes": [!unsafe "shop.public.{{ 1 }}", "b"]}'
    assert yaml.compose(words[-1]) and json.loads(words[-1].replace("!unsafe ", ""))
