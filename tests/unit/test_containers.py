# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's inspections read as facts: the cases that a real engine does not show on demand."""

from __future__ import annotations

from calendar import timegm
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose import containers

NOW = float(timegm((2026, 11, 24, 12, 0, 0)))
NEVER = "0001-01-01T00:00:00Z"


def inspected(**state: Any) -> dict[str, Any]:
    restarts = state.pop("restarts", 0)
    return {
        "State": {"Status": "running", "ExitCode": 0, "Error": "", "StartedAt": NEVER, "FinishedAt": NEVER, **state},
        "HostConfig": {"RestartPolicy": {"Name": "always"}},
        "RestartCount": restarts,
    }


@pytest.mark.parametrize(
    "state, expected",
    [
        (
            {"StartedAt": "2026-11-24T11:59:00.123456789Z"},
            {"state": "running", "exit_code": None, "uptime_seconds": 59.9, "restart_loop": False},
        ),
        ({"StartedAt": "2026-11-24T13:59:55+02:00"}, {"uptime_seconds": 5.0}),
        ({"StartedAt": "2026-11-24T11:59:55Z", "restarts": 2}, {"restart_loop": True}),
        ({"StartedAt": "2026-11-24T11:59:55Z", "restarts": 1}, {"restart_loop": False}),
        ({"StartedAt": "2026-11-24T11:59:45Z", "restarts": 9}, {"restart_loop": False}),
        ({"StartedAt": "2026-11-24T12:00:09Z"}, {"uptime_seconds": 0.0}),  # their clock is ahead
        ({"Status": "restarting", "ExitCode": 1}, {"restart_loop": True, "exit_code": 1, "uptime_seconds": None}),
        ({"Status": "exited", "ExitCode": 137}, {"exit_code": 137, "signal": 9}),
        ({"Status": "exited", "ExitCode": 0}, {"exit_code": 0, "signal": None}),
        ({"Status": "exited", "ExitCode": 255}, {"exit_code": 255, "signal": None}),
        ({"Status": "created"}, {"exit_code": None, "started_at": None}),
        (
            {"Status": "created", "ExitCode": 128, "Error": "port is already allocated"},
            {"exit_code": 128, "signal": None, "engine_error": "port is already allocated"},
        ),
        ({"Status": "removing"}, {"state": "dead"}),
        ({"Health": {"Status": "none"}}, {"health": None}),
        ({"Health": {"Status": "unhealthy"}}, {"health": "unhealthy"}),
        ({"Status": "exited", "OOMKilled": True}, {"out_of_memory": True}),
    ],
)
def test_lifecycle(state: dict[str, Any], expected: dict[str, Any]) -> None:
    found = containers.lifecycle(inspected(**state), NOW)
    assert {key: found[key] for key in expected} == expected  # type: ignore[literal-required]


@pytest.mark.parametrize(
    "path, args, expected",
    [
        ("docker-entrypoint.sh", ["postgres"], []),
        ("docker-entrypoint.sh", ["postgres", "-c", "work_mem=1MB"], ["-c", "work_mem=1MB"]),
        ("docker-entrypoint.sh", ["-c", "work_mem=1MB"], ["-c", "work_mem=1MB"]),
        ("/usr/lib/postgresql/17/bin/postgres", ["-D", "/data"], ["-D", "/data"]),
        ("tini", ["--", "/usr/local/bin/postgres", "-p", "1"], ["-p", "1"]),
        ("/run.sh", [], []),
    ],
)
def test_arguments(path: str, args: list[str], expected: list[str]) -> None:
    assert containers.arguments({"Path": path, "Args": args}) == expected


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], None),
        (["-p", "1"], "1"),
        (["-p1"], "1"),
        (["-c", "port=1"], "1"),
        (["-cport=1"], "1"),
        (["--port=1"], "1"),
        (["-c", "port = 1"], "1"),
        (["-c", "PORT=1", "-p", "2"], "2"),
        (["-p", "2", "--port=1"], "1"),
        (["-c", "-p"], None),
        (["-c", "support=1"], None),
        (["-p"], None),
    ],
)
def test_setting(words: list[str], expected: str | None) -> None:
    assert containers.setting(words, "-p", "port") == expected


def test_data_directory_by_both_spellings() -> None:
    config = {"Config": {"Env": ["PGDATA=/env"]}, "Path": "postgres"}
    assert containers.data_directory({**config, "Args": []}) == "/env"
    assert containers.data_directory({**config, "Args": ["-D", "/arg"]}) == "/arg"
    assert containers.data_directory({**config, "Args": ["--data-directory=/long"]}) == "/long"


@pytest.mark.parametrize(
    "path, expected",
    [("/a/b/c", "/a/b"), ("/a/bc", "/a"), ("/a/b", "/a/b"), ("/z", None)],
)
def test_mount_of(path: str, expected: str | None) -> None:
    found = containers.mount_of({"Mounts": [{"Destination": "/a"}, {"Destination": "/a/b/"}]}, path)
    assert (found["Destination"].rstrip("/") if found else None) == expected


def test_published_ports_of_a_running_and_of_a_stopped_container() -> None:
    configured = {"5432/tcp": [{"HostIp": "", "HostPort": "55432"}], "9/udp": [{"HostIp": "", "HostPort": "9"}]}
    live = {
        "5432/tcp": [{"HostIp": "0.0.0.0", "HostPort": "40001"}, {"HostIp": "::", "HostPort": "40001"}],
        "1/tcp": None,
    }
    running = {"NetworkSettings": {"Ports": live}, "HostConfig": {"PortBindings": configured}}
    stopped = {"NetworkSettings": {"Ports": {}}, "HostConfig": {"PortBindings": configured}}
    assert containers.published(running) == [
        {"port": 5432, "host_address": "0.0.0.0", "host_port": 40001},
        {"port": 5432, "host_address": "::", "host_port": 40001},
    ]
    assert containers.published(stopped) == [{"port": 5432, "host_address": "0.0.0.0", "host_port": 55432}]


def _on(mode: str, *names: str) -> dict[str, Any]:
    return {
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": {name: {"IPAddress": "", "Aliases": None} for name in names}},
    }


@pytest.mark.parametrize(
    "mode, names, replicas, missing",
    [
        ("shop_default", ["shop_default"], [], []),
        ("shop_default", [], [], ["shop_default"]),
        ("shop_default", ["shop_default"], [["shop_default", "shop_back"]], ["shop_back"]),
        ("bridge", [], [], []),
        ("default", ["bridge"], [], []),
        ("host", ["host"], [], []),
        ("container:0123", [], [], []),
    ],
)
def test_networks_it_should_be_on(mode: str, names: list[str], replicas: list[list[str]], missing: list[str]) -> None:
    found = containers.networks(_on(mode, *names), [_on(mode, *each) for each in replicas])
    assert [network["name"] for network in found if not network["attached"]] == missing
    assert [network["name"] for network in found if network["attached"]] == sorted(names)


def _row(pid: int, ppid: int, args: str, state: str = "Ss") -> list[str]:
    return [str(pid), str(ppid), "999", state, args]


def test_the_postmaster_is_the_server_process_whose_parent_is_none() -> None:
    top = {
        "Titles": ["PID", "PPID", "UID", "STAT", "COMMAND"],
        "Processes": [
            _row(10, 1, "/usr/bin/dumb-init postgres"),
            _row(11, 10, "/usr/lib/postgresql/17/bin/postgres -D /data", "T"),
            _row(12, 11, "postgres: shop: checkpointer "),
            _row(13, 11, "postgres: app shop 10.0.0.7(51234) idle"),
            _row(20, 10, "postgres -C data_directory"),
            _row(21, 10, "psql -U postgres"),
        ],
    }
    rows = containers.rows(top)
    postmaster = containers.postmaster(rows)
    assert postmaster is not None and (postmaster["pid"], postmaster["state"], postmaster["uid"]) == (11, "T", "999")
    assert [process["pid"] for process in containers.processes(rows)] == [11, 12, 13, 20]
    assert containers.postmaster([]) is None


def test_podman_names_parents_by_the_containers_own_numbers() -> None:
    top = {
        "Titles": ["HPID", "PID", "PPID", "HUSER", "STATE", "COMMAND"],
        "Processes": [
            ["458", "1", "0", "999", "S", "postgres -c max_connections=30"],
            ["2040", "61", "1", "999", "S", "postgres: checkpointer"],
        ],
    }
    assert [(row["pid"], row["ppid"], row["uid"], row["state"]) for row in containers.rows(top)] == [
        (458, 0, "999", "S"),
        (2040, 458, "999", "S"),
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("services:\n  db:\n    image: x\n  api: {image: y}\nvolumes:\n  data:\n", ["db", "api"]),
        (
            "# c\nname: shop\nservices: # all\n    'db':\n      image: x\n\n    # no\n    \"a-b.c\":\n      x: 1\n",
            ["db", "a-b.c"],
        ),
        ("x-base: &base\n  restart: always\nservices:\n  db:\n    <<: *base\n", ["db"]),
        ("version: '3'\nservices:\n  db:\n    command: |\n      services:\n        fake: 1\n", ["db"]),
        ("include:\n  - other.yaml\nservices:\n  db:\n    image: x\n", None),  # more may be defined there
        ("services: {db: {image: x}}\n", None),
        ("services:\n  ? db\n  : {image: x}\n", None),
        ("services:\n", None),
        ("db:\n  image: x\n", None),
        ('{"services": {"db": {}}}', None),
    ],
)
def test_services_of_a_compose_file(text: str, expected: list[str] | None) -> None:
    assert containers.services_of(text) == expected
