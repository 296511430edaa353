# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every verdict has a family of root causes, or is said to give no direction; the report shows it."""

from __future__ import annotations

from jinja2 import StrictUndefined
from markupsafe import escape

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.root_causes import (
    FAMILIES,
    ROOT_CAUSES,
    UNEXPLAINED,
    root_cause,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.verdicts import VERDICTS
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report import html, text
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.model import worst_first
from tests.unit import samples

RUNBOOK = {"pool_leak", "database_overwhelmed", "network_instability", "authentication_mismatch", "corruption"}


def test_every_verdict_has_one_and_none_is_made_up() -> None:
    assert set(ROOT_CAUSES) | set(UNEXPLAINED) == set(VERDICTS)
    assert not set(ROOT_CAUSES) & set(UNEXPLAINED)
    assert {row.family for row in ROOT_CAUSES.values()} == set(FAMILIES) and set(FAMILIES) > RUNBOOK


def test_what_is_unknown_has_none() -> None:
    for code, cause in (*UNEXPLAINED, (None, None), ("of tomorrow", "unheard")):
        assert root_cause(code, cause) is None


def test_the_report_shows_it_and_still_does_when_it_is_fixed() -> None:
    broken, well = samples.pool_exhausted("db2"), samples.healthy("db2")
    row = root_cause(broken["verdict"]["code"], broken["verdict"]["cause"])
    assert row is not None and row.family == "pool_leak"
    for hosts in (worst_first({"db2": broken}), worst_first({"db2": well}, {"db2": broken})):
        page = html.render(hosts, "now", StrictUndefined)
        lines = ("Root cause: connection pool leak", *row.investigate, *row.lasting_fix)
        assert all(escape(line) in page for line in lines)
    assert "Root cause" not in html.render(worst_first({"db2": well}), "now", StrictUndefined)
    said = text.plain(text.render(worst_first({"db2": broken}), 80))
    assert "Root cause to investigate: connection pool leak (docs/root-causes.md)" in said
    assert "Root cause" not in text.plain(text.render(worst_first({"db2": well}, {"db2": broken}), 80))
