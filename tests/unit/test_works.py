# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run imports: in the parent all that a fleet's workers share, and nothing that they do not use."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import CHANGING, READING, WORKS, spec

LOADED = """
import sys
from ansible_collections.oncall.postgresql.plugins.filter.respond import targets
hosts = %s
if hosts:
    assert targets("postgresql", {"all": hosts, "postgresql": hosts}) == "postgresql"
import ansible_collections.oncall.postgresql.plugins.action.preflight
import ansible_collections.oncall.postgresql.plugins.action.report
import ansible_collections.oncall.postgresql.plugins.action.triage
print("\\n".join(sys.modules))
"""

LOOKED = """
import sys
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.checking import check
from ansible_collections.oncall.postgresql.plugins.plugin_utils._run.works import WORKS, spec
import ansible_collections.oncall.postgresql.plugins.action.triage
before = set(sys.modules)
checked = check(spec("triage"), {"runtime": "remote", "login_host": "127.0.0.1", "login_port": %d})
assert WORKS["triage"].do(checked.options, False)["verdict"]["code"] == "server_down"
print("\\n".join(name for name in set(sys.modules) - before if name.startswith("ansible_collections.")))
"""


@pytest.mark.parametrize("name", READING + CHANGING)
def test_every_module_can_do_its_work_here(name: str) -> None:
    assert "runtime" in WORKS[name].spec.options
    assert callable(WORKS[name].do)
    assert spec(name) is WORKS[name].spec or name in CHANGING


def test_another_module_has_no_work() -> None:
    with pytest.raises(KeyError):
        WORKS["report"]


def imported(hosts: list[str]) -> list[str]:
    code = LOADED % hosts
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    utils = "ansible_collections.oncall.postgresql.plugins.module_utils."
    assert not [name for name in loaded if name.startswith(utils + "_procedures.")]
    return [name.replace(utils, "") for name in loaded]


@pytest.mark.parametrize("hosts", [["db1", "db2"], []], ids=["ours", "a play of one's own"])
def test_for_a_fleet_the_parent_imports_what_every_worker_would(hosts: list[str]) -> None:
    loaded = imported(hosts)
    for name in ("_gather.runtime.remote", "_gather.session.libpq", "_gather.runtime.compose.runtime", "_judge.tree"):
        assert name in loaded
    assert "psycopg2.extensions" in loaded


def test_a_worker_of_a_fleet_imports_nothing() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        code = LOOKED % nobody.getsockname()[1]
        looked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert looked.split() == []


def test_for_one_host_nothing_is_imported_that_may_be_needed_there() -> None:
    loaded = imported(["db1"])
    assert "_judge.tree" not in loaded
    assert "psycopg2" not in loaded
