# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the configuration is reloaded, and what is said of it: pure decisions, as tables."""

from __future__ import annotations

from typing import Any, Dict, Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.configuration.plan import decide, same


@pytest.mark.parametrize(
    ("value", "setting", "kind", "unit", "expected"),
    [
        ("128MB", "16384", "integer", "8kB", True),
        ("16384", "16384", "integer", "8kB", True),
        ("0x10", "16", "integer", None, True),
        ("0600", "0600", "integer", None, True),
        ("4MB", "4096", "integer", "kB", True),
        ("5MB", "4096", "integer", "kB", False),
        ("1min", "60000", "integer", "ms", True),
        ("1h", "3600", "integer", "s", True),
        ("1d", "1440", "integer", "min", True),
        ("90s", "2", "integer", "min", True),
        ("1TB", "1048576", "integer", "MB", True),
        ("-1", "-1", "integer", "ms", True),
        (" 4MB ", "4096", "integer", "kB", True),
        ("0.9", "0.9", "real", None, True),
        ("1e1", "10", "real", None, True),
        ("2ms", "2", "real", "ms", True),
        ("1.1", "4", "real", None, False),
        ("true", "on", "bool", None, True),
        ("0", "off", "bool", None, True),
        ("yes", "off", "bool", None, False),
        ("true", "on", "enum", None, True),
        ("Replica", "replica", "enum", None, True),
        ("minimal", "replica", "enum", None, False),
        ("iso,mdy", "ISO, MDY", "string", None, True),
        ("a", "b", "string", None, False),
    ],
)
def test_a_value_means_the_same(value: str, setting: str, kind: str, unit: Optional[str], expected: bool) -> None:
    assert same(value, setting, kind, unit) is expected


def row(name: str, value: Optional[str], setting: str, **more: Any) -> Dict[str, Any]:
    known = {"unit": None, "type": "string", "context": "sighup", "source": "configuration file", "default": ""}
    return {"name": name, "value": value, "setting": setting, **known, **more}


def found(*settings: Dict[str, Any], **values: Any) -> Dict[str, Any]:
    nothing: Dict[str, Any] = {"file_errors": [], "hba_errors": [], "pending_restart": [], "changed_files": []}
    return {"load_time": "2026-11-24T01:00:00+00:00", **nothing, "settings": list(settings), **values}


WORK_MEM = row("work_mem", "64MB", "4096", type="integer", unit="kB", context="user", default="4096")


def test_nothing_new_is_not_loaded_unless_told() -> None:
    nothing = found(row("work_mem", "4MB", "4096", type="integer", unit="kB"))
    assert decide(nothing, False).reload is False
    assert decide(nothing, True).reload is True


def test_a_changed_setting() -> None:
    plan = decide(found(WORK_MEM), False)
    assert plan.reload
    assert plan.changes == ({"name": "work_mem", "before": "4096kB", "after": "64MB"},)


def test_a_setting_that_was_removed_gets_its_default() -> None:
    plan = decide(found(dict(WORK_MEM, value=None, setting="65536")), False)
    assert plan.changes == ({"name": "work_mem", "before": "65536kB", "after": "4096kB (default)"},)


def test_a_changed_file_without_a_changed_setting() -> None:
    plan = decide(found(changed_files=["/data/pg_hba.conf"]), False)
    assert (plan.reload, plan.files, plan.changes) == (True, ("/data/pg_hba.conf",), ())


@pytest.mark.parametrize("source", ["client", "session", "user", "database", "command line"])
def test_what_our_session_sets_for_itself_tells_nothing(source: str) -> None:
    assert decide(found(dict(WORK_MEM, source=source)), False).reload is False


def test_what_needs_a_restart_is_no_reason_to_reload() -> None:
    waiting = row("max_connections", "200", "100", type="integer", context="postmaster")
    plan = decide(found(waiting, pending_restart=["shared_buffers"]), False)
    assert (plan.reload, plan.waiting) == (False, ("max_connections", "shared_buffers"))


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("where", ["file_errors", "hba_errors"])
def test_an_error_is_refused_and_named(where: str, force: bool) -> None:
    error = {"file": "/data/some.conf", "line": 7, "name": None, "error": "syntax error"}
    with pytest.raises(RefusedError, match=r"/data/some\.conf line 7: syntax error") as raised:
        decide(found(WORK_MEM, **{where: [error]}), force)
    assert raised.value.details == {"configuration_errors": ["/data/some.conf line 7: syntax error"]}


def test_no_secret_is_shown() -> None:
    conninfo = row("primary_conninfo", "host=a password=tell-nobody", "host=a password=tell-no-one")
    phrase = row("ssl_passphrase_command", "echo tell-nobody", "echo tell-no-one")
    plan = decide(found(conninfo, phrase), False)
    assert len(plan.changes) == 2
    assert "tell" not in repr(plan)
