# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role ``tuning`` as a user runs it: reviewed, applied, run again, undone; what stands is read by plain SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import Server
from tests.playbooks.test_real_servers import Controller, beside

NAMES = ("max_connections", "shared_buffers", "effective_cache_size", "statement_timeout", "work_mem")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        made.sql("CREATE ROLE shop LOGIN")
        yield made


def tune(tmp_path: Path, server: Server, *arguments: str, **variables: Any) -> tuple[int, str]:
    play = {"hosts": "postgresql", "gather_facts": False, "roles": ["oncall.postgresql.tuning"]}
    (tmp_path / "tune.json").write_text(json.dumps([play]))
    given = {"tuning_" + name: value for name, value in variables.items()}
    controller = Controller(tmp_path, {"db": beside(server, clients=[])})
    return controller.run("ansible-playbook", "tune.json", "-e", json.dumps(given), *arguments)


def changed(out: str) -> int:
    found = re.search(r"changed=(\d+)", out)
    assert found, out
    return int(found[1])


def altered(server: Server) -> dict[str, str]:
    rows = server.sql(
        "SELECT json_object_agg(name, setting) FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'"
    )
    found: dict[str, str] = json.loads(rows or "null") or {}
    return found


def test_review_apply_again_and_undo(tmp_path: Path, server: Server) -> None:
    code, out = tune(tmp_path, server, "--check", "--diff", memory="8GB", storage="ssd", workload="web")
    assert code == 0 and changed(out) == 1, out
    assert "Memory: worst case" in out and "as told" in out and altered(server) == {}
    code, out = tune(tmp_path, server, memory="8GB", storage="ssd", workload="web")
    assert code == 0 and changed(out) == 1, out
    stands = altered(server)
    assert stands["shared_buffers"] == "2GB" and stands["effective_cache_size"] == "6GB", stands
    assert server.sql("SHOW effective_cache_size") == "6GB"
    assert server.sql("SHOW statement_timeout") == "30s"
    assert server.sql("SHOW shared_buffers") != "2GB"  # nobody restarted it
    code, out = tune(tmp_path, server, memory="8GB", storage="ssd", workload="web")
    assert code == 0 and changed(out) == 0, out
    code, out = tune(tmp_path, server, memory="8GB", storage="ssd", workload="web", timeout_scope="roles")
    assert code == 2 and "names none" in out
    code, out = tune(
        tmp_path, server, memory="8GB", storage="ssd", workload="web", timeout_scope="roles", timeout_roles=["shop"]
    )
    assert code == 0 and changed(out) == 2, out
    assert server.sql("SHOW statement_timeout") == "0"
    assert "statement_timeout=30s" in server.sql("SELECT rolconfig::text FROM pg_roles WHERE rolname = 'shop'")
    code, out = tune(tmp_path, server, state="absent", timeout_roles=["shop"])
    assert code == 0 and changed(out) == 2, out
    assert altered(server) == {}
    assert server.sql("SELECT count(*) FROM pg_roles WHERE rolconfig IS NOT NULL") == "0"


def test_what_does_not_fit_is_refused_before_anything_is_touched(tmp_path: Path, server: Server) -> None:
    code, out = tune(tmp_path, server, memory="1GB", overrides={"max_connections": 500})
    assert code == 2 and "does not fit into 1 GiB" in out and "max_connections 500 x" in out, out
    assert altered(server) == {} and changed(out) == 0
    code, out = tune(tmp_path, server, memory="1GB", overrides={"max_connections": 500}, memory_percent=500)
    assert code == 0 and altered(server)["max_connections"] == "500", out


def test_a_slip_of_the_finger_is_refused(tmp_path: Path, server: Server) -> None:
    code, out = tune(tmp_path, server, profile="large")
    assert code == 2 and "value of tuning_profile must be one of" in out, out
    assert altered(server) == {}


def test_the_runbook_to_the_letter(tmp_path: Path, server: Server) -> None:
    code, out = tune(tmp_path, server, profile="runbook")
    assert code == 0, out
    stands = altered(server)
    assert stands["shared_buffers"] == "256MB" and stands["effective_cache_size"] == "1GB"
    assert (stands["statement_timeout"], stands["idle_in_transaction_session_timeout"]) == ("30s", "60s")
    assert "work_mem" not in stands
