# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in texts are those of the engine that runs the containers: podman where it is Podman."""

from __future__ import annotations

import dataclasses
import re
from typing import Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError, UnprovenError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.address import way_to
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.api import Api
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.attaching import decide
from ansible_collections.oncall.postgresql.plugins.module_utils._judge.tree import judge
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.note import Note
from ansible_collections.oncall.postgresql.plugins.module_utils._model.places import (
    Attached,
    Endpoint,
    Net,
    Scene,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.clients import plan as clients
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.clients.plan import Seen
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.graceful_restart import plan as restart
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.network import plan as network
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.server.plan import Wanted

from .facts import Alter, down, healthy, set_server
from .test_server_plan import reading

ENGINES = ["docker", "podman"]
API = Seen("api", "api-1", "running", "t1", "t0")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("fault", "command"),
    [
        (set_server(state="paused"), "{} unpause shop-postgres-1"),
        (
            down("missing", None, control=None, data_directory=None, disks=[], networks=[]),
            "({} compose up -d postgres)",
        ),
    ],
)
def test_a_verdict(fault: Alter, command: str, engine: str) -> None:
    facts = healthy(fault, set_server(engine_command=engine))
    summary = judge(facts, Thresholds(), "db1")["verdict"]["summary"]
    assert command.format(engine) in summary


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("state", "command"),
    [
        ("paused", "{} unpause api-1"),
        ("dead", "{} compose up -d api"),
        (None, "{} compose up -d api"),
    ],
)
def test_a_refusal_to_move_clients(state: Optional[str], command: str, engine: str) -> None:
    seen = [dataclasses.replace(API, state=state)] if state else []
    with pytest.raises(RefusedError, match=re.escape(command.format(engine))):
        clients.decide(seen, ["api"], "started", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_clients_that_did_not_come_back(engine: str) -> None:
    order = clients.decide([API], ["api"], "restarted", engine=engine)
    plan = clients.Plan("restarted", order, clients.records([API], order))
    rows = clients.untouched(plan.records)
    rows["api-1"].update(asked=True, stopped=True, after="exited", error="it ended again with exit code 1")
    with pytest.raises(UnprovenError) as told:
        clients.proved(plan, rows, 1.0)
    assert "Check their logs: %s logs NAME." % engine in told.value.hint
    assert told.value.hint.endswith("api-1 is STILL STOPPED: %s start api-1" % engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_restart_that_left_clients_stopped(engine: str) -> None:
    state = restart.State(reading(), ("api",), (API,), Note(), "/note", engine)
    plan = restart.decide(state, Wanted("restarted"), "postgres", 30, 60)
    rows = clients.untouched(plan.records)
    rows["api-1"].update(asked=True, after="running")
    with pytest.raises(UnprovenError, match="WILL STOP LATER. When it has: %s start api-1" % engine):
        restart.concluded(plan, restart.Done(rows))
    assert restart.recovery(plan, "SIGKILL").order.engine == engine


@pytest.mark.parametrize("engine", ENGINES)
def test_networks(engine: str) -> None:
    with pytest.raises(RefusedError, match="%s compose up -d SERVICE" % engine):
        decide(Scene("shop", None, (), (), engine=engine), None)
    ours, other = (Endpoint("shop_default", ("api",)),), (Net("shop_default", "default"),)
    server = Attached("postgres", "db", "d" * 64, "running", "shop_default", ours)
    client = Attached("api", "api-1", "a" * 64, "running", "shop_default")
    there = Scene("shop", server, (client,), other, ("proxy",), engine=engine)
    with pytest.raises(RefusedError, match="By hand: %s network connect" % engine):
        decide(there, None, ["proxy"])
    plan = network.Plan(**vars(decide(there, None)), engine=engine)
    (line,) = network.by_hand(plan, [{"done": False}])
    assert line.startswith("%s network connect " % engine) and line.endswith(" shop_default api-1")


@pytest.mark.parametrize(
    ("socket", "what", "start"),
    [
        ("/run/docker.sock", "Docker", "systemctl start docker."),
        ("/run/podman/podman.sock", "Podman", "systemctl start podman.socket."),
    ],
)
def test_an_engine_that_does_not_answer(socket: str, what: str, start: str) -> None:
    api = Api("unix://" + socket, way_to("unix://" + socket))
    gone = api.explain(FileNotFoundError(), "GET /version")
    assert str(
        gone
    ) == "No container engine at unix://%s: no such socket. Start %s on that host, or set docker_host." % (
        socket,
        what,
    )
    assert str(api.explain(ConnectionRefusedError(), "GET /version")).endswith("Start %s there: %s" % (what, start))
