# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run imports: in the parent all that a fleet's workers share, and nothing that they do not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import CHANGING, READING, WORKS

LOADED = """
import sys
import ansible_collections.oncall.postgresql.plugins.action.preflight
import ansible_collections.oncall.postgresql.plugins.action.report
import ansible_collections.oncall.postgresql.plugins.action.triage
import ansible_collections.oncall.postgresql.plugins.filter.respond
print("\\n".join(sys.modules))
"""


@pytest.mark.parametrize("name", READING + CHANGING)
def test_every_module_can_do_its_work_here(name: str) -> None:
    assert "runtime" in WORKS[name].spec.options
    assert callable(WORKS[name].do)


def test_another_module_has_no_work() -> None:
    with pytest.raises(KeyError):
        WORKS["report"]


def test_the_parent_imports_what_every_worker_would_and_no_procedure() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout.split()
    utils = "ansible_collections.oncall.postgresql.plugins.module_utils."
    for name in ("_gather.runtime.remote", "_gather.session.libpq", "_gather.runtime.compose.runtime", "_judge.tree"):
        assert utils + name in loaded
    assert "psycopg2.extensions" in loaded
    assert not [name for name in loaded if name.startswith(utils + "_procedures.")]
