# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an integrity check is graded: what is proved, what is only suspected, and what was not looked at."""

from __future__ import annotations

import copy
from typing import Any, Callable, Dict, Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.integrity.data import covered
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.integrity.grade import grade
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds

GIB = 1024**3
CONTROL = {"readable": True, "crc_ok": True, "state": "in production", "message": None}
DAMAGE = {"name": "public.items_pkey", "kind": "index", "sqlstate": "XX002", "message": "item order invariant violated"}
STALE = {"name": "public.items_pkey", "table": "public.items", "unique": True, "bytes": GIB, "collations": ["default"]}
MOVED = {"name": "default", "recorded_version": "2.31", "actual_version": "2.36"}

AS_IT_WAS: Dict[str, Any] = {
    "taken_at": "2026-11-24T02:00:00.000Z",
    "why_not": None,
    "tables": 3,
    "counted": 1,
    "changes": [],
    "sizes": [],
    "not_covered": [],
}
EMPTIED = {
    "kind": "emptied",
    "what": "shop: table public.items",
    "counted": True,
    "before": "5 rows",
    "after": "0 rows",
    "percent": -100.0,
}

ARCHIVER = {
    "mode": "on",
    "failing": False,
    "last_wal": "000000010000000000000007",
    "last_at": "2026-11-24T02:00:00Z",
    "failed_wal": "000000010000000000000008",
    "failed_at": "2026-11-24T02:01:00Z",
    "failures": 3,
}


def slot(**values: Any) -> Dict[str, Any]:
    found = {"name": "standby_1", "type": "physical", "active": True, "retained_bytes": 0, "wal_status": "reserved"}
    return {**found, **values}


def share(kind: str, size: int = GIB, checked: Optional[int] = None) -> Dict[str, Any]:
    done = size if checked is None else checked
    return {
        "kind": kind,
        "objects": 2,
        "bytes": size,
        "checked_objects": 2 if done == size else 1,
        "checked_bytes": done,
    }


def sound() -> Dict[str, Any]:
    read = {"version": "1.4", "damage": [], "coverage": [share("index"), share("table")], "not_covered": []}
    shop = {
        "name": "shop",
        "bytes": GIB,
        "collation": "en_US.utf8",
        "xid_age": 1000,
        "multixact_age": 10,
        "collations": [],
        "stale_indexes": [],
        "invalid_indexes": [],
        "unchecked_constraints": [],
        "sequences": [],
        "unseen_sequences": 0,
        "short_files": [],
        "unlogged_tables": [],
        "user_tables": 3,
        "oldest_tables": [],
        "vacuums": [],
        "amcheck": read,
    }
    empty = {**copy.deepcopy(shop), "name": "postgres", "user_tables": 0}
    empty["amcheck"] = {"version": None, "damage": [], "coverage": [], "not_covered": ["amcheck: it is not installed"]}
    return {
        "control": CONTROL,
        "checksums": True,
        "checksum_failures": [],
        "at_rest": None,
        "damaged_files": [],
        "leftovers": [],
        "archiver": ARCHIVER,
        "backups": [],
        "slots": [slot()],
        "horizon": [],
        "databases": [shop, empty],
        "baseline": AS_IT_WAS,
        "errors": {},
    }


def shop(**values: Any) -> Callable[[Dict[str, Any]], None]:
    return lambda facts: facts["databases"][0].update(values)


def read(**values: Any) -> Callable[[Dict[str, Any]], None]:
    return lambda facts: facts["databases"][0]["amcheck"].update(values)


def whole(**values: Any) -> Callable[[Dict[str, Any]], None]:
    return lambda facts: facts.update(values)


def judged(*alterations: Callable[[Dict[str, Any]], None]) -> Dict[str, Any]:
    facts: Any = sound()
    for alter in alterations:
        alter(facts)
    return grade(facts, Thresholds(), {})


def unread(name: Optional[str], sound: bool) -> Dict[str, Any]:
    said = "invalid page in block 1 of relation base/5/16384"
    return {"path": "base/5/16384", "database": "shop", "name": name, "message": said, "sound": sound}


FAILURES = [{"database": "shop", "count": 2, "last_failure": "2026-11-24T02:00:00Z"}]
INVALID = {"name": "public.failed", "table": "public.items", "ready": True, "bytes": 8192}
UNCHECKED = {"name": "positive", "table": "public.items", "type": "c"}


def near(percent: float, days: Optional[int] = None) -> Dict[str, Any]:
    paced = {"days_left": days, "seconds_counted": None if days is None else 5400}
    return {"name": "public.ids", "last": 95, "limit": 100, "used_percent": percent, **paced}


@pytest.mark.parametrize(
    ("alterations", "expected", "check", "words"),
    [
        ((), "go", "amcheck", "4 objects read, no damage"),
        ((read(damage=[DAMAGE]),), "no_go", "amcheck", "1 object damaged: shop.public.items_pkey"),
        ((whole(checksum_failures=FAILURES),), "no_go", "checksums", "checksum failures in shop"),
        ((whole(control={**CONTROL, "crc_ok": False}),), "caution", "control_file", "but the server runs"),
        (
            (whole(control={**CONTROL, "crc_ok": False}, checksums=None),),
            "no_go",
            "control_file",
            "fails its CRC check",
        ),
        ((whole(control={**CONTROL, "state": "in crash recovery"}),), "caution", "control_file", "check again"),
        ((whole(damaged_files=[unread("public.a", False)]),), "caution", "log", "could not read shop.public.a"),
        ((whole(damaged_files=[unread("public.a", True)]),), "caution", "log", "could not read 1 file, which is over"),
        ((whole(damaged_files=[unread(None, False)]),), "caution", "log", "which is over"),
        ((whole(archiver={**ARCHIVER, "mode": "off"}),), "go", "archiving", "not archived"),
        ((whole(archiver={**ARCHIVER, "failing": True}),), "caution", "archiving", "archiving fails: 00000001"),
        ((whole(baseline={**AS_IT_WAS, "changes": [EMPTIED]}),), "caution", "baseline", "table public.items is empty"),
        ((whole(baseline={**AS_IT_WAS, "why_not": "there is none"}),), "go", "baseline", "not compared"),
        ((whole(slots=[slot(wal_status="lost")]),), "caution", "slots", "has lost WAL"),
        ((whole(slots=[slot(active=False, retained_bytes=3 * GIB)]),), "caution", "slots", "holds 3 GiB of WAL"),
        ((whole(slots=[slot(retained_bytes=3 * GIB)]),), "go", "slots", "1 replication slot, none holds"),
        ((whole(checksums=False),), "go", "checksums", "data checksums are off"),
        ((shop(collations=[MOVED], stale_indexes=[STALE]),), "caution", "collations", "1 index may be in the wrong"),
        ((shop(collations=[MOVED]),), "caution", "collations", "no index sorts by them"),
        (
            (shop(collations=[MOVED], stale_indexes=[STALE]), read(damage=[DAMAGE])),
            "no_go",
            "collations",
            "amcheck proves shop.public.items_pkey damaged",
        ),
        ((read(not_covered=["2 objects: no time was left"]),), "caution", "amcheck", "no damage in what was read"),
        ((shop(invalid_indexes=[INVALID]),), "caution", "schema", "public.failed on public.items is not valid"),
        ((shop(unchecked_constraints=[UNCHECKED]),), "caution", "schema", "positive of public.items is not validated"),
        ((shop(unlogged_tables=["public.scratch"]),), "go", "schema", "all indexes are valid"),
        ((shop(sequences=[near(95.0)]),), "caution", "sequences", "95.0 % used"),
        ((shop(sequences=[near(95.0, 12)]),), "caution", "sequences", "lasts 12 more days at the average pace"),
        ((shop(sequences=[near(95.0, 0)]),), "caution", "sequences", "lasts less than a day at the average pace"),
        ((shop(sequences=[near(100.0)]),), "no_go", "sequences", "100.0 % used"),
        ((shop(xid_age=1_200_000_000),), "caution", "age", "shop is 1,200,000,000 transactions"),
        ((shop(multixact_age=2_050_000_000),), "no_go", "age", "2,050,000,000"),
    ],
)
def test_grades(alterations: Any, expected: str, check: str, words: str) -> None:
    found = judged(*alterations)
    (one,) = [each for each in found["checks"] if each["check"] == check]
    assert (found["grade"], words in one["summary"]) == (expected, True), (found["grade"], one)
    assert found["summary"].startswith({"go": "Go: ", "caution": "Caution: ", "no_go": "No-go: "}[expected])


def test_what_holds_the_horizon_back_is_named() -> None:
    held = {"kind": "slot", "name": "standby_1", "age": 1_100_000_000, "detail": "physical"}
    found = judged(shop(xid_age=1_200_000_000), whole(horizon=[held]))
    assert "held back by slot standby_1" in found["summary"]


@pytest.mark.parametrize(
    "alterations",
    [
        (whole(databases=[], checksums=None, control=None, archiver=None, errors={"snapshot": "no connection"}),),
        (read(coverage=[], not_covered=["amcheck: it is not installed"]),),
        (read(coverage=[share("index", checked=0)], not_covered=["no time was left"]),),
    ],
)
def test_what_was_not_looked_at_is_never_a_go(alterations: Any) -> None:
    """Rule 13."""
    found = judged(*alterations)
    assert found["grade"] == "caution" and found["not_covered"], found


def test_a_log_that_was_not_read_is_no_go_ahead() -> None:
    for what in ("server", "log"):
        told = next(
            each for each in judged(whole(errors={what: "no answer in time"}))["checks"] if each["check"] == "log"
        )
        assert (told["grade"], told["not_covered"]) == (None, ["log: no answer in time"])


def test_a_database_that_could_not_be_opened_is_said() -> None:
    found = judged(whole(errors={"database hr": "the login role may not connect"}))
    assert "database hr: the login role may not connect" in found["not_covered"]
    assert found["grade"] == "caution", "its data was not read"


def test_coverage_is_never_rounded_to_all_of_it() -> None:
    assert covered([share("index", 10 * GIB, 10 * GIB - 1)]) == ("99.9 % of 10 GiB of indexes",)  # type: ignore[list-item]
    assert covered([share("table", 0, 0)]) == ("100 % of 0 B of tables",)  # type: ignore[list-item]
