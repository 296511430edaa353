# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a setting's text means, by tables; and what is changed, refused and proved, from what was read."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._core.mask import MASK
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.configuration import values
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.settings.plan import (
    Plan,
    State,
    change,
    decide,
    libraries,
    unproven,
    written,
)

AUTO, CONF = "/data/postgresql.auto.conf", "/data/postgresql.conf"
INT: Dict[str, Any] = {"type": "integer", "unit": None, "min": "-1", "max": "2147483647"}


def of(name: str, type: str = "string", **more: Any) -> Dict[str, Any]:
    row = {
        "name": name,
        "setting": "",
        "unit": None,
        "type": type,
        "context": "sighup",
        "min": None,
        "max": None,
        "enum": None,
        "default": "",
        "source": "default",
        "file": None,
        "line": None,
        "pending_restart": False,
    }
    return {**row, **more}


# (unit, text, in that unit)
NUMBERS = [
    ("8kB", "256MB", 32768),
    ("8kB", "32768", 32768),
    ("8kB", " 256 MB ", 32768),
    ("8kB", "1GB", 131072),
    ("8kB", "0.5GB", 65536),
    ("8kB", "1TB", 134217728),
    ("8kB", "65536B", 8),
    ("8kB", "12kB", 2),  # 1.5, rounded to even
    ("8kB", "4kB", 0),
    ("8kB", "20kB", 2),  # 2.5
    ("8kB", "28kB", 4),  # 3.5
    ("16kB", "256MB", 16384),
    ("kB", "64MB", 65536),
    ("kB", "4096", 4096),
    ("kB", "1.5MB", 1536),
    ("kB", "30.1GB", 31561728),  # 30822 MB
    ("kB", "2048B", 2),
    ("MB", "1GB", 1024),
    ("MB", "1TB", 1048576),
    ("MB", "1536kB", 2),  # 1.5
    ("MB", "512kB", 0),
    ("16MB", "1GB", 64),
    ("B", "1kB", 1024),
    ("B", "1MB", 1048576),
    ("ms", "30s", 30000),
    ("ms", "30000", 30000),
    ("ms", "1min", 60000),
    ("ms", "1h", 3600000),
    ("ms", "1d", 86400000),
    ("ms", "1.5s", 1500),
    ("ms", "1500us", 2),
    ("ms", "500us", 0),
    ("s", "5min", 300),
    ("s", "1h", 3600),
    ("s", "1d", 86400),
    ("s", "1500ms", 2),
    ("s", "2500ms", 2),
    ("min", "1d", 1440),
    ("min", "90s", 2),
    ("min", "2h", 120),
    (None, "100", 100),
    (None, "+100", 100),
    (None, "-1", -1),
    (None, "0x64", 100),
    (None, "0600", 384),
    (None, "0", 0),
    (None, "1e2", 100),
    (None, "99.6", 100),
    (None, "0.4", 0),
    (None, ".6", 1),
    (None, "2147483647", 2147483647),
]
REALS = [
    (None, "0.9", 0.9),
    (None, ".9", 0.9),
    (None, "9e-1", 0.9),
    (None, "1", 1),
    (None, "010", 10),
    (None, "0x10", 16),
    (None, "4.0", 4),
    ("ms", "2ms", 2),
    ("ms", "2", 2),
    ("ms", "1500us", 1.5),
    ("ms", "0.1s", 100),
]
NO_NUMBERS = [
    ("integer", "8kB", "256mb", "did you mean MB"),
    ("integer", "8kB", "256Mb", "did you mean MB"),
    ("integer", "8kB", "256KB", "did you mean kB"),
    ("integer", "8kB", "256MiB", "use TB, GB, MB, kB, B"),
    ("integer", "8kB", "30s", "use TB"),
    ("integer", "ms", "30S", "did you mean s"),
    ("integer", "ms", "30sec", "use d, h, min, s, ms, us"),
    ("integer", "ms", "1MB", "use d"),
    ("integer", None, "10MB", "parameter has none"),
    ("integer", None, "", "not a number"),
    ("integer", None, "much", "not a number"),
    ("integer", None, "1 2", "parameter has none"),
    ("integer", None, "1,5", "parameter has none"),
    ("integer", None, "09", "not a number"),
    ("integer", None, "--1", "not a number"),
    ("integer", None, "3000000000", "out of range"),
    ("integer", None, "1e999", "out of range"),
    ("integer", "8kB", "1e300TB", "out of range"),
    ("integer", None, "0x" + 300 * "f", "out of range"),
    ("real", None, "1e999", "out of range"),
    ("integer", None, "on", "not a number"),
    ("real", None, "nan", "not a number"),
    ("real", None, "inf", "not a number"),
]


@pytest.mark.parametrize(("unit", "text", "number"), NUMBERS)
def test_an_integer_is_read_as_the_server_reads_it(unit: Optional[str], text: str, number: float) -> None:
    assert values.number(text, "integer", unit) == number
    assert values.same(of("x", **{**INT, "unit": unit}), text, str(number))


@pytest.mark.parametrize(("unit", "text", "number"), REALS)
def test_a_real_number_is_read_as_the_server_reads_it(unit: Optional[str], text: str, number: float) -> None:
    assert values.number(text, "real", unit) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize(("kind", "unit", "text", "why"), NO_NUMBERS)
def test_what_is_no_number_is_told(kind: str, unit: Optional[str], text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        values.number(text, kind, unit)


@pytest.mark.parametrize("text", ["on", "ON", "true", "True", "t", "tr", "yes", "y", "1"])
def test_true_has_many_words(text: str) -> None:
    assert values.boolean(text) == "on"


@pytest.mark.parametrize("text", ["off", "OFF", "of", "false", "f", "no", "n", "0"])
def test_false_has_many_words(text: str) -> None:
    assert values.boolean(text) == "off"


@pytest.mark.parametrize("text", ["", "o", "2", " on", "onn", "yess", "-1", "truely", "null"])
def test_what_is_neither_true_nor_false(text: str) -> None:
    assert values.boolean(text) is None
    with pytest.raises(ValueError, match="not on or off"):
        values.meaning(of("x", "bool"), text)


@pytest.mark.parametrize(
    ("name", "kind", "enum", "one", "other", "same"),
    [
        ("wal_level", "enum", ["minimal", "replica", "logical"], "Replica", "replica", True),
        ("wal_level", "enum", ["minimal", "replica", "logical"], "logical", "replica", False),
        ("synchronous_commit", "enum", ["local", "on", "off"], "true", "on", True),
        ("wal_compression", "enum", ["pglz", "lz4", "on", "off"], "yes", "pglz", True),
        ("synchronous_commit", "enum", ["local", "on", "off"], "0", "off", True),
        ("huge_pages", "enum", ["off", "on", "try"], "yes", "on", True),
        ("log_statement", "enum", ["none", "ddl", "mod", "all"], "none", "ddl", False),
        ("shared_preload_libraries", "string", None, "a, b", "a,b", True),
        ("shared_preload_libraries", "string", None, '"a", b', "a, b", True),
        ("shared_preload_libraries", "string", None, "a, b", "b, a", False),
        ("shared_preload_libraries", "string", None, "a, b", '"a, b"', False),
        ("shared_preload_libraries", "string", None, "A", "a", False),
        ("search_path", "string", None, '"$user", public', '"$user",public', True),
        ("search_path", "string", None, "Public", "public", True),
        ("search_path", "string", None, '"Public"', "public", False),
        ("listen_addresses", "string", None, "localhost, 10.0.0.1", "localhost,10.0.0.1", True),
        ("log_destination", "string", None, "csvlog,stderr", "stderr", False),
        ("DateStyle", "string", None, "ISO, MDY", "iso,mdy", True),
        ("log_line_prefix", "string", None, "%m [%p] ", "%m [%p]", False),
        ("log_line_prefix", "string", None, "%m ", "%M ", False),
        ("cluster_name", "string", None, "a", "a", True),
    ],
)
def test_texts_that_mean_the_same(name: str, kind: str, enum: Any, one: str, other: str, same: bool) -> None:
    assert values.same(of(name, kind, enum=enum), one, other) is same


@pytest.mark.parametrize(
    ("unit", "setting", "shown"),
    [
        ("8kB", "32768", "256MB"),
        ("8kB", "131072", "1GB"),
        ("8kB", "3", "24kB"),
        ("8kB", "-1", "-1"),
        ("8kB", "0", "0"),
        ("kB", "4096", "4MB"),
        ("kB", "4097", "4097kB"),
        ("MB", "1024", "1GB"),
        ("B", "1024", "1kB"),
        ("ms", "30000", "30s"),
        ("ms", "60000", "1min"),
        ("ms", "1500", "1500ms"),
        ("s", "300", "5min"),
        ("s", "86400", "1d"),
        ("min", "1440", "1d"),
        (None, "100", "100"),
        (None, "0600", "0600"),
    ],
)
def test_a_number_is_shown_as_by_show(unit: Optional[str], setting: str, shown: str) -> None:
    assert values.shown(of("x", **{**INT, "unit": unit}), setting) == shown


@pytest.mark.parametrize("words", [["a"], ["a", "b"], ["$user", "public"], ["A b", 'c"d', "e,f"], ["$libdir/x"], ["9"]])
def test_a_list_is_written_so_that_it_is_read_back(words: List[str]) -> None:
    assert values.elements("shared_preload_libraries", values.listed(words)) == words
    assert values.elements("search_path", values.listed(words)) == words


slow = hypothesis(deadline=None)


@slow
@given(st.integers(-1, 2**31 - 1), st.sampled_from(["B", "kB", "8kB", "16kB", "MB", "16MB", "ms", "s", "min", None]))
def test_any_number_is_shown_so_that_it_is_read_back(number: int, unit: Optional[str]) -> None:
    row = of("x", **{**INT, "unit": unit})
    assert values.meaning(row, values.shown(row, str(number))) == number


@slow
@given(st.lists(st.text(min_size=1)))
def test_any_list_is_written_so_that_it_is_read_back(words: List[str]) -> None:
    assert values.elements("shared_preload_libraries", values.listed(words)) == words


@slow
@given(st.text(), st.sampled_from(["integer", "real", "bool", "enum", "string"]), st.sampled_from(["kB", "ms", None]))
def test_any_text_has_a_meaning_or_a_reason(text: str, kind: str, unit: Optional[str]) -> None:
    for name in ("x", "search_path"):
        row = of(name, kind, unit=unit, enum=["on", "off"], setting="")
        try:
            values.meaning(row, text)
        except ValueError as error:
            assert str(error)
        values.shown(row, text)
        assert values.same(row, text, text)


@pytest.mark.parametrize("text", ["a,", "a,,b", ",a", '"a', 'a"b', '"a"b'])
def test_what_is_no_list_of_names(text: str) -> None:
    with pytest.raises(ValueError, match=r"list of names|comma"):
        values.elements("search_path", text)


WORK_MEM = of(
    "work_mem", "integer", context="user", setting="4096", unit="kB", min="64", max="2147483647", default="4096"
)
SHARED_BUFFERS = of(
    "shared_buffers",
    "integer",
    context="postmaster",
    setting="16384",
    unit="8kB",
    min="16",
    max="1073741823",
    default="16384",
)
TIMEOUT = of(
    "statement_timeout", "integer", context="user", setting="0", unit="ms", min="0", max="2147483647", default="0"
)
TARGET = of("checkpoint_completion_target", "real", setting="0.5", min="0", max="1", default="0.5")
WAL_LEVEL = of(
    "wal_level",
    "enum",
    context="postmaster",
    setting="replica",
    enum=["minimal", "replica", "logical"],
    default="replica",
)
TOGETHER = [
    WAL_LEVEL,
    of("archive_mode", "enum", context="postmaster", setting="off", enum=["always", "on", "off"], default="off"),
    of("max_connections", context="postmaster", setting="100", default="100", **{**INT, "min": "1", "max": "262143"}),
    of("max_wal_senders", context="postmaster", setting="10", default="10", **{**INT, "min": "0", "max": "262143"}),
    of("reserved_connections", context="postmaster", setting="0", default="0", **{**INT, "min": "0"}),
    of("superuser_reserved_connections", context="postmaster", setting="3", default="3", **{**INT, "min": "0"}),
]
ROWS = [
    WORK_MEM,
    SHARED_BUFFERS,
    TIMEOUT,
    TARGET,
    *TOGETHER,
    of("fsync", "bool", setting="on", default="on"),
    of("log_checkpoints", "bool", setting="off", default="off"),
    of("log_connections", "bool", context="superuser-backend", setting="off", default="off"),
    of("archive_command", setting="(disabled)"),
    of("primary_conninfo"),
    of("hba_file", context="postmaster", setting="/data/pg_hba.conf", source="override"),
    of("shared_preload_libraries", context="postmaster"),
    of("search_path", context="user", setting='"$user", public', default='"$user", public'),
    of("server_version", context="internal", setting="18.0"),
    of("data_directory", context="postmaster", setting="/data", source="override"),
    of("transaction_isolation", "enum", context="user", setting="read committed", source="override"),
    of("wal_buffers", context="postmaster", setting="512", default="-1", source="override", **{**INT, "unit": "8kB"}),
]


def entry(name: str, value: str, file: str = AUTO, line: int = 3) -> Dict[str, Any]:
    return {"name": name, "value": value, "file": file, "line": line}


def state(*rows: Dict[str, Any], who: Any = (), files: Any = (), command_line: str = "", **now: Any) -> State:
    """``rows``: instead of those of the same name."""
    replaced = {each["name"]: each for each in [*ROWS, *rows]}
    us = {
        "user": "postgres",
        "database": "postgres",
        "superuser": True,
        "system_identifier": "7",
        "in_recovery": False,
        "version_num": 180000,
        "allow_alter_system": "on",
        "missing": [],
        "may_not_alter": [],
        **dict(who),
    }
    loaded = {
        "load_time": "2026-11-29T01:00:00+00:00",
        "file_errors": [],
        "hba_errors": [],
        "settings": [],
        "pending_restart": [],
        "changed_files": [],
        **dict(files),
    }
    found = {
        "known": sorted(replaced),
        "auto_file": AUTO,
        "of_standbys": {"max_connections": 100},
        "rows": list(replaced.values()),
        "entries": [],
        "levels": [],
        "unloaded": [],
        **now,
    }
    return State(us, loaded, found, command_line=command_line)


def planned(found: State, **asked: Any) -> Plan:
    return decide(found, asked, 10.0)


def refused(found: State, **asked: Any) -> RefusedError:
    with pytest.raises(RefusedError) as raised:
        planned(found, **asked)
    return raised.value


def test_many_at_once() -> None:
    change = planned(
        state(), work_mem="64MB", shared_buffers="256MB", checkpoint_completion_target=0.9, statement_timeout="30s"
    ).foreseen()
    assert change.changed
    assert change.before == {
        "checkpoint_completion_target": "0.5",
        "shared_buffers": "128MB",
        "statement_timeout": "0",
        "work_mem": "4MB",
    }
    assert change.after == {
        "checkpoint_completion_target": "0.9",
        "shared_buffers": "256MB",
        "statement_timeout": "30s",
        "work_mem": "64MB",
    }
    assert change.details["pending_restart"] == ["shared_buffers"]
    assert change.details["undo"] == dict.fromkeys(change.after)
    assert change.details["msg"] == (
        "4 settings changed: checkpoint_completion_target 0.5 -> 0.9, shared_buffers 128MB -> 256MB, statement_timeout"
        " 0 -> 30s, work_mem 4MB -> 64MB; waiting for a restart: shared_buffers"
    )


FROM_CONF = {"source": "configuration file", "file": CONF, "line": 7}
FROM_AUTO = {"source": "configuration file", "file": AUTO, "line": 3}


@pytest.mark.parametrize(
    ("name", "value", "row", "entries"),
    [
        ("work_mem", "4MB", {}, []),
        ("work_mem", 4096, {}, []),
        ("work_mem", "0.00390625GB", {}, []),
        ("Work_Mem", "4MB", {}, []),
        ("work_mem", "64MB", {"setting": "65536", **FROM_CONF}, [entry("work_mem", "65536kB", CONF)]),
        ("work_mem", "64MB", {"setting": "65536", **FROM_AUTO}, [entry("work_mem", "64MB")]),
        # Hidden by our own role: the files decide.
        ("work_mem", "64MB", {"setting": "8", "source": "user"}, [entry("work_mem", "64MB")]),
        ("work_mem", "4MB", {"setting": "8", "source": "database user"}, []),
        ("log_checkpoints", False, {}, []),
        ("log_checkpoints", "no", {}, []),
        ("wal_level", "Replica", {}, []),
        ("checkpoint_completion_target", "5e-1", {}, []),
        ("search_path", ["$user", "public"], {}, []),
        # It waits for a restart already.
        ("shared_buffers", "256MB", {"pending_restart": True}, [entry("shared_buffers", "256MB")]),
        # Computed from the default that was asked for.
        ("wal_buffers", -1, {}, []),
        ("wal_buffers", "4MB", {}, []),
        # Shown otherwise than it was given.
        ("archive_command", "cp %p /a", {**FROM_AUTO}, [entry("archive_command", "cp %p /a")]),
        # The command line says the same.
        ("work_mem", "4MB", {"source": "command line"}, []),
        ("work_mem", None, {}, []),
    ],
)
def test_nothing_to_do(name: str, value: Any, row: Dict[str, Any], entries: Any) -> None:
    base = next(each for each in ROWS if each["name"] == name.lower())
    plan = planned(state({**base, **row}, entries=entries), **{name: value})
    assert plan.empty
    change = plan.foreseen()
    assert (change.changed, change.before, change.after) == (False, {}, {})
    assert change.details["undo"] == {}
    assert change.details["settings"][0]["waits_for_restart"] is bool(row.get("pending_restart"))


@pytest.mark.parametrize(
    ("name", "value", "row", "entries", "undo"),
    [
        ("work_mem", "64MB", {}, [], None),
        ("work_mem", "64MB", {"setting": "8192", **FROM_CONF}, [entry("work_mem", "8MB", CONF)], None),
        ("work_mem", "64MB", {"setting": "8192", **FROM_AUTO}, [entry("work_mem", "8MB")], "8MB"),
        # The running value is the asked one, and the next start would take another.
        ("shared_buffers", "128MB", {"pending_restart": True}, [entry("shared_buffers", "1GB")], "1GB"),
        ("work_mem", "4MB", {"setting": "4096"}, [entry("work_mem", "8MB")], "8MB"),
        ("work_mem", "64MB", {"setting": "65536", "source": "user"}, [], None),
        ("archive_command", "cp %p /b", {**FROM_AUTO}, [entry("archive_command", "cp %p /a")], "cp %p /a"),
        ("work_mem", None, {"setting": "8192", **FROM_AUTO}, [entry("work_mem", "8MB")], "8MB"),
        # Taken out of the file, and not loaded yet.
        ("work_mem", "8MB", {"setting": "8192", **FROM_CONF}, [], None),
    ],
)
def test_changed(name: str, value: Any, row: Dict[str, Any], entries: Any, undo: Optional[str]) -> None:
    base = next(each for each in ROWS if each["name"] == name)
    change = planned(state({**base, **row}, entries=entries), **{name: value}).foreseen()
    assert change.changed
    assert change.details["undo"] == {name: undo}


def test_a_file_that_says_so_and_is_not_loaded_is_reloaded() -> None:
    plan = planned(state({**WORK_MEM, **FROM_CONF}, entries=[entry("work_mem", "64MB", CONF)]), work_mem="64MB")
    assert [(step.alter, step.load) for step in plan.steps] == [(False, True)]
    assert plan.foreseen().changed
    assert plan.foreseen().details["undo"] == {}


def test_a_reset_says_what_counts_then() -> None:
    auto, conf = entry("work_mem", "8MB"), entry("work_mem", "16MB", CONF, 9)
    row = {**WORK_MEM, "setting": "8192", **FROM_AUTO}
    shown = planned(state(row, entries=[conf, auto]), work_mem=None).foreseen().details["settings"][0]
    assert (shown["before"], shown["before_source"]) == ("8MB", AUTO + " line 3")
    assert (shown["after"], shown["after_source"]) == ("16MB", CONF + " line 9")
    shown = planned(state(row, entries=[auto]), work_mem=None).foreseen().details["settings"][0]
    assert (shown["after"], shown["after_source"]) == ("4MB", "default")


def test_a_reset_of_what_needs_a_restart_waits() -> None:
    row = {**SHARED_BUFFERS, "setting": "32768", **FROM_AUTO}
    found = planned(state(row, entries=[entry("shared_buffers", "256MB")]), shared_buffers=None).foreseen()
    assert found.details["pending_restart"] == ["shared_buffers"]


def test_a_setting_of_an_extension_that_is_gone_can_be_reset() -> None:
    found = planned(state(entries=[entry("old.knob", "1")]), **{"old.knob": None}).foreseen()
    assert found.details["undo"] == {"old.knob": "1"}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("work_memm", "64MB", r"no such parameter. Did you mean work_mem\?$"),
        ("foo.bar", "1", "shared_preload_libraries, loaded by a restart"),
        ("nonsense_at_all", "1", "This server's version may not have it"),
        ("nonsense_at_all", None, "no such parameter"),
        ("work_mem", "1kB", "1kB is out of range: 64kB to 2147483647kB"),
        ("work_mem", "64mb", "did you mean MB"),
        ("work_mem", True, "not a number"),
        ("work_mem", {"a": 1}, "a value is a text"),
        ("checkpoint_completion_target", 1.1, "out of range: 0 to 1"),
        ("wal_level", "archive", "'archive' is none of minimal, replica, logical"),
        ("log_checkpoints", "maybe", "not on or off"),
        ("server_version", "19", "it cannot be set"),
        ("data_directory", "/else", "belongs into postgresql.conf"),
        ("transaction_isolation", "serializable", "default_transaction_isolation"),
        ("search_path", "", "empty list"),
        ("search_path", [], "empty list"),
        ("search_path", "a,,b", "not a list of names"),
        ("shared_preload_libraries", '""', "empty list"),
        ("archive_command", "a\nb", "more than one line"),
        ("archive_command", True, "put it in quotes"),
        ("primary_conninfo", "host=a password=" + MASK, "stands for a secret"),
        ("hba_file", "/else", "would not start again"),
        ("fsync", "off", "beyond repair"),
        ("fsync", False, "beyond repair"),
    ],
)
def test_refused(name: str, value: Any, why: str) -> None:
    error = refused(state(), **{name: value})
    assert [each["name"] for each in error.details["problems"]] == [name]
    assert re.search(why, error.details["problems"][0]["problem"])
    assert "nothing was touched" in error.hint


def test_all_that_is_wrong_is_told_at_once() -> None:
    error = refused(state(), work_mem="1kB", fsync="off", nonsense_at_all=1, statement_timeout="30s")
    assert sorted(each["name"] for each in error.details["problems"]) == ["fsync", "nonsense_at_all", "work_mem"]
    assert str(error).count("; ") == 2


@pytest.mark.parametrize(
    ("row", "now", "why"),
    [
        ({"source": "command line", "setting": "8192"}, {}, "the server's command line sets it to 8MB, which wins"),
        (
            {"source": "global", "setting": "8192"},
            {"levels": [{"name": "work_mem", "value": "8MB", "role": None, "database": None}]},
            "ALTER ROLE ALL sets it to 8MB, which wins: ALTER ROLE ALL RESET work_mem",
        ),
        (
            FROM_CONF,
            {"entries": [entry("work_mem", "1MB"), entry("work_mem", "2MB", "/data/last.conf", 4)]},
            "/data/last.conf line 4 sets it to 2MB, and is read last",
        ),
    ],
)
def test_what_would_win_is_named(row: Dict[str, Any], now: Dict[str, Any], why: str) -> None:
    assert why in str(refused(state({**WORK_MEM, **row}, **now), work_mem="64MB"))


STARTED = '/usr/bin/postgres "-D" "/data" "-c" "%s"\n'


@pytest.mark.parametrize(
    ("option", "sets"),
    [("work_mem=8MB", "8MB"), ("WORK-MEM=9MB", "9MB"), ("work_mem_else=8MB", None), ("other=1 work_mem=8MB", None)],
)
def test_what_our_own_role_hides_of_the_command_line_wins_all_the_same(option: str, sets: Optional[str]) -> None:
    found = state({**WORK_MEM, "source": "user", "setting": "3072"}, command_line=STARTED % option)
    if sets is None:
        (step,) = planned(found, work_mem="64MB").steps
        assert step.changed and step.shown(step.row["setting"]) == "4MB"  # the default, and not our own 3 MB
    else:
        assert "the server's command line sets it to %s, which wins" % sets in refused(found, work_mem="64MB").msg
        assert planned(found, work_mem=sets).empty


def test_what_a_role_or_a_database_has_for_itself_is_no_reason_to_refuse() -> None:
    levels = [
        {"name": "work_mem", "value": "8MB", "role": "app", "database": None},
        {"name": "work_mem", "value": "16384", "role": "app", "database": "shop"},
        {"name": "work_mem", "value": "1GB", "role": None, "database": "shop"},
    ]
    found = planned(state(levels=levels), work_mem="64MB").foreseen().details["settings"][0]["hidden_by"]
    assert found == ["role app: 8MB", "role app in database shop: 16MB", "database shop: 1GB"]


@pytest.mark.parametrize(
    ("asked", "row", "why"),
    [
        ({"max_connections": 3}, {}, "max_connections 3 and 3 reserved"),
        ({"superuser_reserved_connections": 100}, {}, "max_connections 100 and 100 reserved"),
        ({"reserved_connections": 97}, {}, "max_connections 100 and 100 reserved"),
        ({"wal_level": "minimal"}, {}, "wal_level minimal and archive_mode off, max_wal_senders 10"),
        (
            {"wal_level": "minimal", "max_wal_senders": 0, "archive_mode": True},
            {},
            "archive_mode on, max_wal_senders 0",
        ),
    ],
)
def test_what_would_keep_the_server_down_is_refused(asked: Dict[str, Any], row: Any, why: str) -> None:
    assert why in str(refused(state(), **asked))


@pytest.mark.parametrize(
    "asked",
    [
        {"max_connections": 4},
        {"max_connections": 200, "superuser_reserved_connections": 100},
        {"wal_level": "minimal", "max_wal_senders": 0},
        {"wal_level": "logical"},
    ],
)
def test_what_goes_together_is_not(asked: Dict[str, Any]) -> None:
    assert planned(state(), **asked).foreseen().changed


def test_a_library_that_is_not_there_is_refused() -> None:
    found = state()
    gone = State(found.who, found.files, found.now, ["pg_gone"])
    assert "no library pg_gone" in str(refused(gone, shared_preload_libraries="pg_gone"))


@pytest.mark.parametrize(
    ("value", "found"),
    [(["a", "b"], ["a", "b"]), ("a, b", ["a", "b"]), ("", []), (None, []), ("a,", []), (True, [])],
)
def test_the_libraries_that_are_looked_for(value: Any, found: List[str]) -> None:
    assert libraries({"Shared_Preload_Libraries": value}) == found


ERROR = {"file": CONF, "line": 7, "name": "port", "error": "setting could not be applied"}
OTHER = {
    "name": "log_statement",
    "value": "all",
    "setting": "none",
    "type": "enum",
    "unit": None,
    "context": "superuser",
    "source": "default",
    "default": "none",
}


@pytest.mark.parametrize(
    ("files", "now", "why"),
    [
        ({"file_errors": [ERROR]}, {}, "postgresql.conf line 7: port: setting could not be applied"),
        ({"hba_errors": [{**ERROR, "file": "/data/pg_hba.conf"}]}, {}, "pg_hba.conf line 7"),
        ({"settings": [OTHER]}, {}, "would also load what others have changed: log_statement"),
        ({}, {"unloaded": ["/data/pg_hba.conf"]}, "would also load what others have changed: /data/pg_hba.conf"),
    ],
)
def test_a_reload_that_would_do_more_is_refused(files: Any, now: Any, why: str) -> None:
    assert why in str(refused(state(files=files, **now), work_mem="64MB"))
    assert planned(state(files=files, **now), work_mem="4MB").empty  # nothing is loaded, so nothing is in the way


def test_an_error_that_the_change_removes_is_not_in_the_way() -> None:
    error = {"file": AUTO, "line": 3, "name": "work_mem", "error": "setting could not be applied"}
    found = state(files={"file_errors": [error]}, entries=[entry("work_mem", "much")])
    assert planned(found, work_mem="64MB").foreseen().changed
    assert "work_mem" in str(refused(found, statement_timeout="30s"))


def test_alter_system_may_be_switched_off() -> None:
    who = {"allow_alter_system": "off"}
    assert "allow_alter_system is off" in str(refused(state(who=who), work_mem="64MB"))
    assert planned(state(who=who), work_mem="4MB").empty


def test_a_missing_right_is_refused_with_what_to_grant() -> None:
    who = {"user": "tuner", "superuser": False, "may_not_alter": ["shared_buffers", "work_mem"]}
    error = refused(state(who=who), work_mem="64MB", statement_timeout="30s")
    assert error.details["grants"] == ['GRANT ALTER SYSTEM ON PARAMETER work_mem TO "tuner"']
    error = refused(state(who={**who, "missing": ["pg_read_all_settings", "pg_reload_conf"]}), work_mem="64MB")
    assert error.details["grants"] == [
        'GRANT pg_read_all_settings TO "tuner"',
        'GRANT EXECUTE ON FUNCTION pg_reload_conf() TO "tuner"',
        'GRANT ALTER SYSTEM ON PARAMETER shared_buffers, work_mem TO "tuner"',
    ]
    error = refused(state(who={**who, "version_num": 140000}), work_mem="64MB")
    assert (error.details["grants"], error.hint) == ([], "Set login_user to a superuser.")


@pytest.mark.parametrize(
    ("name", "value", "former"),
    [
        ("primary_conninfo", "host=a password=hunter22", None),
        ("primary_conninfo", "host=a passfile=/etc/pass", "host=a password=hunter22"),
        ("primary_conninfo", None, "host=a password=hunter22"),
        ("archive_command", "AWS_TOKEN=hunter22 push %p", None),
        ("archive_command", "push postgres://me:hunter22@a/ %p", None),
    ],
)
def test_a_secret_is_refused_and_in_no_word_of_it(name: str, value: Any, former: Optional[str]) -> None:
    """The server's log would have it at the reload, whoever has sent it."""
    error = refused(state(entries=[entry(name, former)] if former else []), **{name: value})
    assert "its value is a secret" in str(error) and "hunter22" not in repr([str(error), error.details])


def test_what_may_be_a_secret_is_masked_where_it_is_shown() -> None:
    found = state(entries=[entry("archive_command", "push --stanza=shop key123 %p")])
    told = planned(found, archive_command="pgbackrest --stanza=shop archive-push %p").foreseen().result()
    assert "shop" not in repr(told) and "key123" not in repr(told) and told["changed"]
    assert "stands for a secret" in str(refused(found, **told["undo"]))
    told = planned(state(), primary_conninfo="host=a user=me passfile=/etc/pass").foreseen().result()
    assert told["diff"]["after"] == {"primary_conninfo": MASK}


def after(plan: Plan, *rows: Dict[str, Any], entries: Any = ()) -> List[str]:
    return unproven(plan, state(*rows, entries=list(entries)).now)


def test_what_was_changed_is_read_back() -> None:
    plan = planned(state(), work_mem="64MB", shared_buffers="256MB")
    entries = [entry("work_mem", "64MB"), entry("shared_buffers", "256MB")]
    used = {**WORK_MEM, "setting": "65536", **FROM_AUTO}
    assert after(plan, used, entries=entries) == []
    assert after(plan, entries=entries) == ["work_mem is 4MB, not 64MB"]
    assert after(plan, used, entries=entries[:1]) == ["shared_buffers is not in %s" % AUTO]
    assert after(plan, {**WORK_MEM, "source": "user"}, entries=entries) == []  # by the file alone
    assert written(plan, state(entries=entries).now) == []
    assert written(plan, state(entries=entries).now, former=True) == ["shared_buffers", "work_mem"]
    assert written(plan, state().now, former=True) == []


def test_a_reset_is_read_back() -> None:
    row = {**WORK_MEM, "setting": "8192", **FROM_AUTO}
    plan = planned(state(row, entries=[entry("work_mem", "8MB")]), work_mem=None)
    assert after(plan) == []
    assert after(plan, row) == ["work_mem is still 8MB"]
    assert after(plan, row, entries=[entry("work_mem", "8MB")]) == ["work_mem is not in %s" % AUTO]


def test_what_waits_afterwards_is_what_the_server_says() -> None:
    plan = planned(state(), work_mem="64MB", shared_buffers="256MB")
    details = change(plan, ["max_connections", "shared_buffers"], None).details
    assert [each["waits_for_restart"] for each in details["settings"]] == [True, False]
    assert details["pending_restart"] == ["max_connections", "shared_buffers"]
