# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose runtime on real containers: what it finds, sees and refuses. The lab has the faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import DeadlineError, TargetError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.base import ClientOption
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose import containers
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.compose_file import (
    networks_of_services,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.runtime import ComposeRuntime
from ansible_collections.oncall.postgresql.plugins.module_utils._model.places import Wanted
from tests.integration.containers import PASSWORD, Project, docker, inspect, over_tcp, project, wait_for
from tests.lab.looks import toolboxes

Open = Callable[..., ComposeRuntime]


@pytest.fixture(scope="module")
def stack() -> Iterator[Project]:
    """A server and two replicas of a client, one without a shell; a one-off run of each service, and one by hand."""
    with project() as made:
        made.server = made.postgres("-p", "127.0.0.1::5432", "--ulimit", "nofile=4096:8192")  # type: ignore[attr-defined]
        made.replicas = sorted([made.api(), made.api("api-shellless")])  # type: ignore[attr-defined]
        made.run("postgres", "api", "--entrypoint", "sleep", command=("100",), one_off=True)
        made.run("api", "api", "--entrypoint", "sleep", command=("100",), one_off=True)
        made.run("postgres", "api", "--entrypoint", "sleep", command=("100",), by_compose=False)
        made.run("api", "api", "--entrypoint", "sleep", command=("100",), by_compose=False)
        yield made


@pytest.fixture(params=["beside", "remote"])
def place(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    with over_tcp() as address:
        yield {} if request.param == "beside" else {"docker_host": address}


@pytest.fixture
def opened() -> Iterator[Open]:
    runtimes: list[ComposeRuntime] = []

    def open_runtime(project: Project, *clients: str, **options: Any) -> ComposeRuntime:
        runtimes.append(ComposeRuntime(project.name, clients=[ClientOption(name) for name in clients], **options))
        return runtimes[-1]

    yield open_runtime
    for runtime in runtimes:
        runtime.close()


class TestHealthy:
    def test_server(self, stack: Any, place: dict[str, Any], opened: Open) -> None:
        runtime = opened(stack, **place)
        facts = runtime.server(Deadline(10))
        assert runtime.errors == {}
        assert (facts["name"], facts["service"], facts["state"]) == (stack.server, "postgres", "running")
        assert (facts["exit_code"], facts["restart_loop"], facts["out_of_memory"]) == (None, False, False)
        assert facts["postmaster_pid"] and facts["postmaster_state"] in ("S", "R", "D")
        assert any("checkpointer" in process["title"] for process in facts["processes"])
        data = facts["data_directory"]
        assert data is not None
        assert (data["path"], data["mode"], data["version"]) == ("/var/lib/postgresql/data", "0700", "17")
        assert data["owner_uid"] == data["expected_uid"]
        assert [disk["role"] for disk in facts["disks"]] == ["data"] and facts["disks"][0]["free_bytes"] > 0
        assert (facts["nofile_soft"], facts["nofile_hard"]) == (4096, 8192)
        assert facts["lock_file"] is not None and facts["lock_file"]["status"] == "ready"
        assert facts["control"] is not None and facts["control"]["state"] == "in production"
        assert [(one["port"], one["ours"]) for one in facts["listening"] or [] if one["address"] == "0.0.0.0"] == [
            (5432, True)
        ]
        assert [(one["port"], one["host_address"]) for one in facts["published"]] == [(5432, "127.0.0.1")]
        assert [(one["name"], one["attached"]) for one in facts["networks"]] == [(stack.name + "_default", True)]
        assert "postgres" in facts["networks"][0]["aliases"]
        assert [mount["destination"] for mount in facts["mounts"]] == ["/var/lib/postgresql/data"]
        assert facts["log_source"] == "container log" and facts["log_lines_read"] > 0
        assert PASSWORD not in json.dumps(facts)

    def test_wire(self, stack: Any, place: dict[str, Any], opened: Open) -> None:
        answers = opened(stack, **place).wire(Deadline(5))
        kinds = ["socket", "loopback", "network"] + ([] if place else ["published"])
        assert [(one["kind"], one["outcome"]) for one in answers] == [(kind, "accepting") for kind in kinds]
        assert answers[0]["address"] == "/var/run/postgresql/.s.PGSQL.5432"

    def test_clients(self, stack: Any, place: dict[str, Any], opened: Open) -> None:
        clients = opened(stack, "api", **place).clients()
        facts = [client.examine(Deadline(10)) for client in clients]
        assert [one["name"] for one in facts] == stack.replicas  # the other two runs are none of them
        for one in facts:
            assert (one["state"], one["place"], one["error"]) == ("running", "toolbox" if place else "namespace", None)
            assert one["shared_networks"] == [stack.name + "_default"]
            assert one["resolution"] is not None and len(one["resolution"]["addresses"]) == 1
            assert one["reach"] is not None and (one["reach"]["outcome"], one["reach"]["loss_percent"]) == ("open", 0)
            assert one["attempt"] is not None and one["attempt"]["succeeded"]
            assert one["login"] is not None and one["login"]["source"] == "DATABASE_URL"
        assert PASSWORD not in json.dumps(facts)
        assert not toolboxes(stack.name, "--filter", "status=exited")

    def test_beside(self, stack: Any, place: dict[str, Any], opened: Open) -> None:
        runtime = opened(stack, **place)
        assert runtime.run_beside(["id", "-un"], Deadline(5)).out == "postgres\n"
        settings = runtime.session_settings()
        assert settings == {
            "data_directory": "/var/lib/postgresql/data",
            "user": "postgres",
            "database": "postgres",
            "bin_directory": "/usr/lib/postgresql/17/bin",
        }
        argv, sql = [settings["bin_directory"] + "/psql", "-XAtf", "-"], "SELECT current_setting('application_name')"
        done = runtime.run_beside(argv, Deadline(5), stdin=sql, environment={"PGAPPNAME": "oncall"})
        assert (done.code, done.out) == (0, "oncall\n")

    def test_nothing_is_left_in_the_servers_log(self, stack: Any, place: dict[str, Any], opened: Open) -> None:
        runtime = opened(stack, "api", **place)
        runtime.wire(Deadline(5))
        for client in runtime.clients():
            client.examine(Deadline(10))
        assert [entry["text"] for entry in runtime.server(Deadline(10))["log"]] == []


class TestFaults:
    def test_paused(self, stack: Any, place: dict[str, Any], opened: Open) -> None:
        docker("pause", stack.server)
        try:
            runtime = opened(stack, **place)
            facts, answers = runtime.server(Deadline(10)), runtime.wire(Deadline(5))
        finally:
            docker("unpause", stack.server)
        assert facts["state"] == "paused"
        assert facts["postmaster_pid"] and facts["data_directory"] and facts["disks"]
        assert facts["lock_file"] is not None and facts["lock_file"]["pid_alive"]
        assert {one["outcome"] for one in answers} == {"silent"}
        kinds = [one["kind"] for one in answers]
        # Where the socket is silent, no other is asked: each would hold a slot where log-ins hang.
        assert kinds == ["socket"] if "socket" in kinds else "network" in kinds
        with pytest.raises(TargetError, match="is paused"):
            docker("pause", stack.server)
            try:
                opened(stack, **place).run_beside(["true"], Deadline(5))
            finally:
                docker("unpause", stack.server)

    def test_killed(self, place: dict[str, Any], opened: Open) -> None:
        with project() as made:
            server, client = made.postgres(), made.api()
            docker("kill", server, client)
            wait_for(lambda: inspect(server)["State"]["Status"] == "exited")
            runtime = opened(made, "api", **place)
            facts = runtime.server(Deadline(10))
            assert (facts["state"], facts["exit_code"], facts["signal"]) == ("exited", 137, 9)
            assert facts["control"] is not None
            assert (facts["control"]["state"], facts["control"]["checkpoint_readable"]) == ("in production", True)
            assert facts["configuration"] == {"valid": True, "message": None}
            assert facts["lock_file"] is not None and facts["lock_file"]["pid_alive"] is False
            assert facts["listening"] is None and facts["processes"] == []
            assert runtime.wire(Deadline(5)) == []
            examined = runtime.clients()[0].examine(Deadline(10))
            assert (examined["state"], examined["place"]) == ("exited", "toolbox")
            assert examined["resolution"] is not None and examined["resolution"]["error"] == "not_found"
            assert inspect(server)["Mounts"][0]["Name"] in docker("volume", "ls", "-q").split()

    def test_restart_loop(self, opened: Open) -> None:
        with project() as made:
            server = made.postgres("--restart", "always", command=("postgres", "-c", "work_mem=lots"), ready=False)
            wait_for(lambda: inspect(server)["RestartCount"] >= 2)
            facts = opened(made).server(Deadline(10))
            assert facts["restart_loop"] and facts["state"] in ("restarting", "running")
            assert facts["configuration"] is not None and facts["configuration"]["valid"] is False
            assert "work_mem" in (facts["configuration"]["message"] or "")

    def test_detached(self, opened: Open) -> None:
        with project() as made:
            server, _client = made.postgres(), made.api()
            docker("network", "disconnect", made.name + "_default", server)
            runtime = opened(made, "api")
            assert [(one["name"], one["attached"]) for one in runtime.server(Deadline(10))["networks"]] == [
                (made.name + "_default", False)
            ]
            assert runtime.clients()[0].examine(Deadline(10))["shared_networks"] == []

    def test_data_on_no_volume(self, opened: Open) -> None:
        with project() as made:
            server = made.postgres("-e", "PGDATA=/srv/cluster")
            docker("stop", server)
            runtime = opened(made)
            data = runtime.server(Deadline(10))["data_directory"]
            assert data is not None and (data["exists"], data["mode"], data["version"]) == (True, "0700", "17")
            assert "not on a volume" in runtime.errors["server.control"]

    def test_other_port_and_socket_directory(self, place: dict[str, Any], opened: Open) -> None:
        with project() as made:
            made.postgres(command=("postgres", "-p", "6543", "-k", "/tmp"), ready=False)
            runtime = opened(made, **place)
            wait_for(lambda: [one["outcome"] for one in opened(made, **place).wire(Deadline(5))][:1] == ["accepting"])
            answers = runtime.wire(Deadline(5))
            assert answers[0]["address"] == "/tmp/.s.PGSQL.6543"
            assert {one["outcome"] for one in answers} == {"accepting"}


class TestFinding:
    def test_unknown_project(self, stack: Any) -> None:
        runtime = ComposeRuntime("no-such-project")
        with pytest.raises(TargetError, match="knows no Compose project no-such-project") as raised:
            runtime.clients()
        assert stack.name in raised.value.hint

    def test_removed_container(self, opened: Open) -> None:
        with project() as made:
            made.api()
            runtime = opened(made, "api")
            facts = runtime.server(Deadline(5))
            assert facts["state"] == "missing"
            assert "services with containers: api" in runtime.errors["server.container"]
            assert runtime.wire(Deadline(5)) == []
            with pytest.raises(TargetError, match="has no container"):
                runtime.run_beside(["true"], Deadline(5))

    def test_nothing_but_a_network_left(self, opened: Open) -> None:
        with project() as made:
            assert opened(made).server(Deadline(5))["state"] == "missing"

    def test_service_that_the_compose_file_does_not_define(self, tmp_path: Path) -> None:
        file = tmp_path / "compose.yaml"
        file.write_text("services:\n  db:\n    image: postgres\n  api:\n    image: api\n")
        with project(labels={"project.config_files": str(file)}) as made:
            made.api()
            with pytest.raises(TargetError, match="has no service postgres") as raised:
                ComposeRuntime(made.name).clients()
            assert raised.value.hint == "Its services: api, db."
            runtime = ComposeRuntime(made.name, service="db")  # defined, so that its container is what is missing
            assert runtime.server(Deadline(5))["state"] == "missing"
            runtime.close()

    def test_client_without_a_container(self, stack: Any, opened: Open) -> None:
        (client,) = opened(stack, "worker").clients()
        facts = client.examine(Deadline(5))
        assert (facts["state"], facts["place"]) == ("missing", "none")

    def test_of_two_servers_the_running_one(self, opened: Open) -> None:
        with project() as made:
            running = made.postgres()
            stopped = made.postgres()
            docker("stop", stopped)
            runtime = opened(made)
            assert runtime.server(Deadline(10))["name"] == running
            assert stopped in runtime.errors["server.replicas"]


def test_a_compose_file_read_late_is_not_a_compose_file_that_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  api:\n    image: api\n")
    labels = {containers.CONFIG_FILES: str(file), containers.WORKING_DIR: str(tmp_path)}
    assert networks_of_services(labels, "shop", Deadline(60)) == {"api": [Wanted("shop_default")]}
    with pytest.raises(DeadlineError, match="compose did not read the Compose file of project shop in time"):
        networks_of_services(labels, "shop", Deadline(0))
    assert networks_of_services({containers.CONFIG_FILES: "gone.yaml"}, "shop", Deadline(60)) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert networks_of_services(labels, "shop", Deadline(60)) is None
