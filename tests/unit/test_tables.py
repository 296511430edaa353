# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of verdicts in the documentation say what the code says."""

from __future__ import annotations

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import UNRESOLVED_MINUTES, VERDICTS
from ansible_collections.oncall.postgresql.plugins.plugin_utils._notify.due import DBA_AFTER, RESPOND_WITHIN
from scripts import verbs
from scripts.tables import CHECKOUT, FILES, PLAYBOOKS, RUNBOOK, renewed


@pytest.mark.parametrize("name", FILES)
def test_the_tables_are_those_of_the_code(name: str) -> None:
    text = FILES[name].read_text()
    assert "<!-- end -->" in text
    assert text == renewed(text), "run: .venv/bin/python -m scripts.tables"


def test_every_verdict_and_every_playbook_is_in_the_documentation() -> None:
    readme, verdicts, playbooks, _causes, _incident = (file.read_text() for file in FILES.values())
    for code, cause in VERDICTS:
        assert "`%s`" % code in readme and "`%s`" % code in verdicts
        assert cause is None or ("`%s`" % cause in readme and "`%s`" % cause in verdicts)
    for file in (CHECKOUT / "playbooks").glob("*.yml"):
        assert "`oncall.postgresql.%s`" % file.stem in readme and "`oncall.postgresql.%s`" % file.stem in playbooks


def test_the_runbooks_levels_and_minutes_are_in_the_documentation() -> None:
    text = FILES["docs/incident.md"].read_text().partition("## Who is told, and when")[2]
    lines = [line for line in text.partition("<!--")[0].splitlines() if " | " in line]
    rows = {line.strip("| ").split()[0]: line for line in lines}
    assert set(rows) == {"runbook", *RUNBOOK.values()}
    for severity, level in RUNBOOK.items():
        codes = {code for (code, _cause), row in VERDICTS.items() if row.severity == severity}
        assert "| `%s`" % severity in rows[level]
        assert level == "CRITICAL" or [code for code in codes if "`%s`" % code not in rows[level]] == []  # most are
    waits = "within %d minutes" % (RESPOND_WITHIN.seconds // 60), "after %d minutes" % (DBA_AFTER.seconds // 60)
    assert [each for each in waits if each not in rows["CRITICAL"]] == []
    assert DBA_AFTER.seconds == UNRESOLVED_MINUTES * 60


@pytest.mark.parametrize("verb", PLAYBOOKS)
def test_a_playbook_is_its_row(verb: str) -> None:
    assert PLAYBOOKS[verb].read_text() == verbs.playbook(verb), "run: .venv/bin/python -m scripts.tables"
