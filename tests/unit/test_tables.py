# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of verdicts in the documentation say what the code says."""

from __future__ import annotations

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._verdicts import VERDICTS
from scripts.tables import CHECKOUT, renewed


@pytest.mark.parametrize("name", ["README.md", "docs/verdicts.md"])
def test_the_tables_are_those_of_the_code(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    assert text == renewed()[CHECKOUT / name], "run: .venv/bin/python -m scripts.tables"
    for code, cause in VERDICTS:
        assert "`%s`" % code in text
        assert cause is None or "`%s`" % cause in text
