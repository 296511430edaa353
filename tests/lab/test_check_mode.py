# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook with ``--check``, and with ``oncall_plan``: it says what it would change, and nothing is changed.

One stack on which each of them has something to do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import remedy
from .stack import FILES, Stack, docker, wait_for

VERBS = {
    "triage": "",
    "respond": "-e oncall_auto_remedies=" + remedy.ALLOW_ALL,
    "reload": "",
    "pool_reset": "-e oncall_idle_minutes=0.001 -e oncall_restart_clients=always",
    "cancel_queries": "",
    "reindex": """-e '{"oncall_indexes": ["shop.public.items_pkey"], "oncall_transaction_minutes": 600}'""",
    "rollback_prepared": "-e oncall_gid=import-42",
    "credentials_reset": "-e oncall_role=app -e oncall_client=api",
    "network_repair": "",
    "graceful_restart": """-e '{"oncall_interrupt": ["long_transactions"]}'""",
}
CHANGES_NOTHING = ("triage",)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("lab-check") as made:
        made.up()
        made.sql("ALTER SYSTEM SET checkpoint_timeout = '1h'")  # none but what a procedure makes
        made.reload()
        made.call("leak", connections=4)
        made.sql("BEGIN; UPDATE items SET name = 'x' WHERE id = 1; PREPARE TRANSACTION 'import-42'")
        made.call("load", connections=1, sql="UPDATE items SET name = 'y' WHERE id = 1")
        made.call("load", connections=1)
        made.configure("work_mem = '8MB'", "shared_buffers = '64MB'")
        made.sql("ALTER ROLE app PASSWORD 'another-one'")
        # It has lost its name on the network.
        docker("network", "disconnect", made.network(), made.name())
        docker("network", "connect", made.network(), made.name())
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE query_start < now() - interval '2 s' AND state = 'active'"
        )
        wait_for(lambda: int(made.sql(waiting)) >= 2, every=0.2)
        yield made


def world(stack: Stack) -> dict[str, Any]:
    """Everything that a procedure changes: containers, networks, volumes, sessions, roles, settings, files."""
    label = "label=com.docker.compose.project=" + stack.project
    inspected = json.loads(docker("inspect", *docker("ps", "-aq", "--filter", label).split()))
    for one in inspected:
        one["State"].pop("Health", None)  # the engine's own checks go on
        one.pop("ExecIDs", None)
    networks = json.loads(docker("network", "inspect", *docker("network", "ls", "-q", "--filter", label).split()))
    return {
        "containers": {one["Name"]: one for one in inspected},
        "toolboxes": docker("ps", "-aq", "--filter", "label=oncall.postgresql", "--filter", label),
        "networks": networks,
        "volumes": docker("volume", "ls", "-q", "--filter", label),
        # A pool's own connections come and go with each health check; these are held.
        "sessions": _sql(
            stack,
            "SELECT pid, backend_start, usename, state, state_change, query FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND query !~ 'version|pg_stat_activity' ORDER BY pid",
        ),
        "prepared": _sql(stack, "SELECT * FROM pg_prepared_xacts"),
        "roles": _sql(stack, "SELECT rolname, md5(rolpassword), rolcanlogin, rolvaliduntil FROM pg_authid ORDER BY 1"),
        "loaded": _sql(stack, "SELECT pg_postmaster_start_time(), pg_conf_load_time(), current_setting('work_mem')"),
        "checkpoints": _sql(stack, "SELECT checkpoint_lsn FROM pg_control_checkpoint()"),
        "rows": _sql(stack, "SELECT md5(string_agg(items::text, ',' ORDER BY id)) FROM items"),
        "files": _files(stack.data(), live=True),
        "project": _files(FILES, live=False),
        "home": sorted(path.name for path in remedy.home(stack).glob(".oncall*")),
    }


def _sql(stack: Stack, query: str) -> str:
    return stack.sql(query)


def _files(place: Path, live: bool) -> dict[str, tuple[int, int, str]]:
    """Mode, owner and content of the files that are an operator's, not the running server's."""
    found = {}
    for path in sorted(place.glob("*") if live else place.rglob("*")):
        if path.is_file() and path.name != "postmaster.pid":
            found[str(path)] = (path.stat().st_mode, path.stat().st_uid, path.read_bytes().hex())
    return found


HOW = {"check": "--check --diff", "plan": "-e oncall_plan=true"}
# Triage has no plan: there is nothing that it would do.
CASES = [(verb, name) for verb in VERBS for name in HOW if not (verb in CHANGES_NOTHING and name == "plan")]


@pytest.mark.parametrize("verb, how", [pytest.param(verb, HOW[name], id=verb + "-" + name) for verb, name in CASES])
def test_nothing_is_changed(stack: Stack, verb: str, how: str) -> None:
    before = world(stack)
    said = remedy.carry_out(stack, "ansible-playbook oncall.postgresql.%s %s %s" % (verb, VERBS[verb], how))
    after = world(stack)
    for what, was in before.items():
        assert after[what] == was, "%s: %s\n%s" % (verb, what, said)
    changed = re.search(r"changed=(\d+)", said)
    assert changed and bool(int(changed[1])) == (verb not in CHANGES_NOTHING), said


def test_a_stopped_server_stays_stopped() -> None:
    with Stack("lab-check-down") as stack:
        stack.up()
        stack.stop()
        before = stack.inspect()["State"], _files(stack.data(), live=False)
        for how in HOW.values():
            said = remedy.carry_out(stack, "ansible-playbook oncall.postgresql.start " + how)
            assert (stack.inspect()["State"], _files(stack.data(), live=False)) == before
            assert re.search(r"changed=[1-9]", said), said
