# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table: complete, readable, and each remedy a command that can be pasted."""

from __future__ import annotations

import json
import re
import shlex
import string
from dataclasses import fields, replace
from typing import Any, Dict, List, Optional, Tuple

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.checks import login, network, running
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.tree import QUESTIONS, judge
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import VERDICTS, filled, render
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import (
    NO,
    SEVERITIES,
    Answer,
    Thresholds,
    Values,
)
from tests.unit.facts import healthy
from tests.unit.faults import ALL, Fault
from tests.unit.values import FILLED

# The design's table. Codes and causes are API: a change here wants a changelog entry.
DESIGN: Dict[str, List[Optional[str]]] = {
    "server_down": [
        "stopped",
        "killed",
        "out_of_memory",
        "disk_full",
        "permission_denied",
        "data_corruption",
        "too_many_open_files",
        "invalid_configuration",
        "stale_lock_file",
        "port_conflict",
        "missing_container",
        "incompatible_version",
        "not_initialised",
        "directory_in_use",
        "unknown",
    ],
    "not_accepting": ["starting_up", "recovering", "shutting_down", "unresponsive", "not_listening", "unknown"],
    "network_unreachable": ["dns_failure", "no_shared_network", "refused", "timeout", "packet_loss"],
    "client_down": ["stopped", "crashed", "restarting", "paused"],
    "pool_exhausted": ["idle_connections", "idle_in_transaction", "active_overload", "role_limit", "database_limit"],
    "authentication_failed": [
        "wrong_password",
        "role_missing",
        "login_not_permitted",
        "password_expired",
        "no_hba_entry",
        "ssl_required",
        "database_missing",
        "connect_privilege",
        "unknown",
    ],
    "queries_hanging": ["blocked_by_lock", "prepared_transaction", "sync_replication_wait", "long_running"],
    "data_corruption": ["checksum_failure", "damaged_page", "damaged_index"],
    "storage_full": ["data_directory", "wal", "inodes"],
    "wraparound_risk": ["transaction_age", "multixact_age"],
    "replication_lag": ["standby_behind", "receiver_down"],
    "healthy": [None],
    "unknown": [None],
}
PLAYBOOKS = {
    "pool_reset",
    "reload",
    "graceful_restart",
    "start",
    "network_repair",
    "credentials_reset",
    "cancel_queries",
    "rollback_prepared",
}
ROWS = [pytest.param(key, id="/".join(word or "-" for word in key)) for key in VERDICTS]


def test_the_table_is_the_designs() -> None:
    assert set(VERDICTS) == {(code, cause) for code, causes in DESIGN.items() for cause in causes}


def test_the_checks_name_only_causes_of_the_table() -> None:
    for code, causes in (
        ("server_down", running.CAUSES),
        ("network_unreachable", network.CAUSES),
        ("authentication_failed", login.CAUSES),
    ):
        assert sorted(causes) == sorted(str(cause) for cause in DESIGN[code])


@pytest.mark.parametrize("key", ROWS)
def test_rows_can_be_read(key: Tuple[str, Optional[str]]) -> None:
    row = VERDICTS[key]
    assert row.severity in SEVERITIES
    for text in (row.summary, row.otherwise or "x"):
        assert 0 < len(text) < 200
        assert "\n" not in text
        assert not text.endswith(".")
    assert row.escalation.to in ("none", "dba", "emergency")
    if row.remedy:
        assert row.remedy.playbook in PLAYBOOKS
    # a template without the condition's text would promise a remedy that is not given
    if row.remedy and row.remedy.when:
        assert row.otherwise


def test_every_playbook_mends_something() -> None:
    assert {row.remedy.playbook for row in VERDICTS.values() if row.remedy} == PLAYBOOKS


def test_nobody_is_called_for_nothing_and_somebody_for_everything_else() -> None:
    for (code, _unused), row in VERDICTS.items():
        assert (row.escalation.to == "none") == (code == "healthy")
        if row.remedy and row.remedy.when is None:
            assert row.escalation.after_minutes == 20  # first the remedy
    assert VERDICTS["server_down", "data_corruption"].severity == "emergency"
    assert VERDICTS["data_corruption", "checksum_failure"].escalation.to == "emergency"
    assert VERDICTS["unknown", None].escalation.to == "dba"


def _remedies() -> Dict[str, Dict[str, Any]]:
    found = {}
    for _unused, fault in ALL:
        verdict = judge(fault.facts, Thresholds(), "db1")["verdict"]
        if verdict["remedy"]:
            found[fault.name] = verdict["remedy"]
    return found


@pytest.mark.parametrize(
    ("name", "playbook", "extra"),
    [
        ("stopped", "start", {}),
        ("killed", "start", {}),
        ("moved port", None, None),
        ("lost alias", "network_repair", {}),
        ("client detached", "network_repair", {}),
        ("the name leads astray", "network_repair", {}),
        ("refused packets", None, None),
        ("leak", "pool_reset", {}),
        ("idle in transaction", "pool_reset", {"oncall_state": "idle_in_transaction"}),
        ("overload", "cancel_queries", {"oncall_query_seconds": 30}),
        ("role limit", "pool_reset", {"oncall_user": "app"}),
        ("database limit", "pool_reset", {"oncall_database": "shop"}),
        ("wrong password", "credentials_reset", {"oncall_role": "app", "oncall_client": "api"}),
        ("missing role", None, None),
        ("no line", None, None),
        ("line not loaded", "reload", {"oncall_force": True}),
        ("lock chain", "cancel_queries", {"oncall_pids": [1]}),
        ("orphan", "rollback_prepared", {"oncall_gid": "order-7"}),
        ("long query", "cancel_queries", {"oncall_pids": [7]}),
        ("checksum failure", None, None),
    ],
)
def test_remedies(name: str, playbook: Optional[str], extra: Optional[Dict[str, Any]]) -> None:
    remedy = _remedies().get(name)
    if playbook is None:
        assert remedy is None
        return
    assert remedy is not None
    assert remedy["playbook"] == "oncall.postgresql." + playbook
    assert remedy["extra_vars"] == extra
    words = shlex.split(remedy["command"])
    assert words[:4] == ["ansible-playbook", remedy["playbook"], "--limit", "db1"]
    assert (json.loads(words[5]) if extra else {}) == extra
    assert len(words) == (6 if extra else 4)


def test_a_changed_listener_is_mended_by_a_restart() -> None:
    answer = Answer(
        "accepting",
        "no",
        "x",
        "not_accepting",
        "not_listening",
        ("x",),
        values=Values(server="s", where="127.0.0.1:5432", restart_helps=True),
    )
    remedy = render(answer, "db1")["remedy"]
    assert remedy
    assert remedy["command"] == "ansible-playbook oncall.postgresql.graceful_restart --limit db1"


def test_gids_are_never_code() -> None:
    gid = "x'; DROP TABLE orders; -- {role} $(reboot)"
    answer = Answer(
        "activity", "no", "x", "queries_hanging", "prepared_transaction", ("x",), values=replace(FILLED, gid=gid)
    )
    remedy = render(answer, "db1")["remedy"]
    assert remedy
    assert remedy["extra_vars"] == {"oncall_gid": gid}
    assert json.loads(shlex.split(remedy["command"])[-1]) == {"oncall_gid": gid}


def test_gids_are_never_templates() -> None:
    """The command's own reader of -e: PREPARE TRANSACTION takes any text, and Ansible would run it."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

    gid = "{{ lookup('pipe', 'echo owned') }}"
    answer = Answer(
        "activity", "no", "x", "queries_hanging", "prepared_transaction", ("x",), values=replace(FILLED, gid=gid)
    )
    remedy = render(answer, "db1")["remedy"]
    assert remedy
    loader = DataLoader()
    read = loader.load(shlex.split(remedy["command"])[-1])
    assert Templar(loader=loader, variables=read).template(read["oncall_gid"]) == gid


def _placeholders(template: Optional[str]) -> List[str]:
    return [name for _text, name, *_rest in string.Formatter().parse(template or "") if name]


@pytest.mark.parametrize("key", ROWS)
def test_every_placeholder_is_the_name_of_a_value(key: Tuple[str, Optional[str]]) -> None:
    row = VERDICTS[key]
    named = _placeholders(row.summary) + _placeholders(row.otherwise)
    if row.remedy:
        named += [value for _variable, value in row.remedy.variables] + [row.remedy.when or named[0]]
    assert set(named) <= {field.name for field in fields(Values)}


@pytest.mark.parametrize(
    ("question", "fault"), [pytest.param(*one, id="%s: %s" % (one[0], one[1].name)) for one in ALL]
)
def test_every_answer_sets_what_its_row_names(question: str, fault: Fault) -> None:
    """Of every check that says no, not only of the first, and for both of its row's texts."""
    answers = [check(fault.facts, Thresholds()) for _unused, check in QUESTIONS]
    for answer in answers:
        if answer.answer == NO:
            row = VERDICTS[answer.code or "", answer.cause]
            for template in (row.summary, row.otherwise):
                assert filled(template or "-", answer.values)


def test_a_placeholder_that_is_not_set_is_an_error() -> None:
    for template, values in (("{rolle}", FILLED), ("{role}", Values())):
        with pytest.raises(KeyError):
            filled(template, values)


def test_a_remedy_without_its_variable_is_not_recommended() -> None:
    """For an empty one could mean every role's sessions."""
    for name in (None, ""):
        answer = Answer(
            "connections", NO, "x", "pool_exhausted", "role_limit", values=Values(counts="x", name=name or "")
        )
        assert render(answer, "db1")["remedy"] is None


def test_summaries_are_filled() -> None:
    for _unused, fault in ALL:
        summary = judge(fault.facts, Thresholds(), "db1")["verdict"]["summary"]
        assert not re.search(r"[{}]|None", summary.replace('{"', "").replace('"}', "")), summary
    assert judge(healthy(), Thresholds(), "db1")["verdict"]["summary"] == "Healthy: all 7 checks passed"
