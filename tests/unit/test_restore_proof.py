# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be restored, and what a restore says of a backup, by tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OptionsError, RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.restore_proof.plan import (
    Outcome,
    item,
    plan,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.restore_proof.run import mounted
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.graded import proved

GIB_IN_KIB = 1024 * 1024
SAID: Dict[str, Any] = {
    "program": "postgres (PostgreSQL) 17.5 (Debian 17.5-1)",
    "uid": "999",
    "gid": "999",
    "os_name": "postgres",
    "total_kib": 100 * GIB_IN_KIB,
    "free_kib": 50 * GIB_IN_KIB,
    "modified": "1764000000",
    "kib": GIB_IN_KIB,
    "kind": "custom",
    "zipped": "",
    "version": "17.4",
    "database": "shop",
}


def said(**given: Any) -> str:
    return "\n".join("%s %s" % each for each in {**SAID, **given}.items())


def test_a_dump_that_may_be_restored() -> None:
    backup, place = plan(said(), "/b/shop.dump", [])
    assert (backup.kind, backup.version, backup.database, backup.makes) == ("custom", "17.4", "shop", True)
    assert (place.program, place.os_name, place.reserve) == ("17.5", "postgres", 5 * 1024**3)
    facts = backup.facts(1764000060, "then")
    assert (facts["age_seconds"], facts["bytes"], facts["modified_at"]) == (60, 1024**3, "then")


PLAIN = {"kind": "plain", "database": "", "version": "16.1"}


@pytest.mark.parametrize(
    ("given", "databases", "expected"),
    [
        ({}, ["shop"], ("shop", False)),
        ({"connects": "shop"}, [], ("shop", True)),
        ({"connects": "-reuse-previous=on \"dbname='Odd shop'\""}, [], ("Odd shop", True)),
        ({"cluster": "yes", "connects": "template1"}, [], (None, True)),
    ],
)
def test_whose_a_plain_dump_is(given: Dict[str, Any], databases: List[str], expected: Any) -> None:
    backup, _place = plan(said(**{**PLAIN, **given}), "/b/shop.sql", databases)
    assert (backup.database, backup.makes) == expected


BASE = {"kind": "base_directory", "version": "17", "database": ""}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (PLAIN, "does not say which database it is of"),
        ({"kind": "unknown"}, "is no backup that is known here"),
        ({"kind": "empty"}, "is empty"),
        ({"kind": "unreadable"}, "cannot be read in a container"),
        ({"version": "18.1"}, r"is of a newer PostgreSQL \(18.1\) than the server's image, 17.5"),
        ({"version": "", "trouble": "pg_restore: error: unsupported version (1.17)"}, "is of a newer PostgreSQL"),
        ({**BASE, "version": "16"}, "is a base backup of PostgreSQL 16, the server's image is 17.5"),
        ({**BASE, "running": "1"}, "has a postmaster.pid"),
        ({**BASE, "tablespace": "/oncall_backup/pg_tblspc/16385"}, "has tablespaces of its own"),
        ({"program": ""}, "has no postgres to be found"),
        ({"os_name": ""}, "its OS user has no name"),
        ({"free_kib": 10 * GIB_IN_KIB}, "No room to restore .* it may need 6.2 GiB, the engine's disk has 10 GiB free"),
        ({"kib": 2 * GIB_IN_KIB, "zipped": "yes"}, "No room to restore"),
    ],
)
def test_what_must_not_be_restored(given: Dict[str, Any], says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        plan(said(**given), "/b/shop.dump", [])


def test_where_the_backup_is() -> None:
    assert (mounted("/b/tar/base.tar.gz"), mounted("/b/shop.dump/")) == ("/b/tar", "/b/shop.dump")
    with pytest.raises(OptionsError, match="must be an absolute path"):
        mounted("shop.dump")


DONE = Outcome(4.2)
ROLE = 'pg_restore: error: could not execute query: ERROR:  role "seller" does not exist'
LOST = "pg_restore: error: could not read from input file: end of file"
OTHER = 'ERROR:  extension "postgis" is not available'


@pytest.mark.parametrize(
    ("outcome", "grade", "says"),
    [
        (None, None, "not restored in check mode"),
        (DONE, "go", "restored in 4.2 s"),
        (replace(DONE, said=(ROLE, ROLE)), "go", "restored in 4.2 s, without the roles seller"),
        (replace(DONE, said=('ERROR:  role "postgres" already exists',)), "go", "restored in 4.2 s"),
        (replace(DONE, said=(ROLE, OTHER)), "caution", "restored in 4.2 s, with 1 error: %s" % " ".join(OTHER.split())),
        (replace(DONE, said=(OTHER, LOST)), "no_go", "2 errors, the first one: %s" % LOST),
        (replace(DONE, manifest=()), "go", "restored in 4.2 s"),
        (
            replace(DONE, manifest=("checksum mismatch",)),
            "no_go",
            "1 file: not as its manifest says: checksum mismatch",
        ),
        (replace(DONE, failed="PostgreSQL does not start"), "no_go", "cannot be restored: PostgreSQL does not start"),
        (replace(DONE, hindered="no time was left"), None, "no time was left"),
    ],
)
def test_what_it_says_of_the_backup(outcome: Optional[Outcome], grade: Optional[str], says: str) -> None:
    backup, _place = plan(said(), "/b/shop.dump", [])
    found = item(backup.facts(1764000060, "then"), outcome)
    assert (found.grade, found.summary) == (grade, says)
    assert found.evidence[0] == "custom-format dump /b/shop.dump: 1 GiB, 1 min old"
    assert (grade is None) == bool(found.not_covered)


@pytest.mark.parametrize(
    ("grade", "severity", "to"), [("go", "ok", "none"), ("caution", "warning", "none"), ("no_go", "critical", "dba")]
)
def test_a_bad_backup_is_no_damaged_server(grade: str, severity: str, to: str) -> None:
    one: Dict[str, Any] = {
        "check": "amcheck",
        "grade": grade,
        "summary": "said",
        "evidence": [],
        "not_covered": [],
        "remedy": None,
    }
    checks: Sequence[Dict[str, Any]] = [one]
    verdict = proved({"grade": grade, "summary": "said", "checks": checks, "not_covered": [], "integrity": {}})[
        "verdict"
    ]
    assert (verdict["code"], verdict["cause"]) == ("restore_proof", grade)
    assert (verdict["severity"], verdict["escalation"]["to"]) == (severity, to)
