# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a container would be another when Compose makes it anew, by name."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, List

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.recreation.same import (
    Described,
    but_passwords,
    but_variables,
    changed_since,
    differing,
    with_own,
)

# As ``docker compose config --format json`` and the engine's inspection show one and the same service.
SERVICE: Dict[str, Any] = {
    "command": ["serve", "--price", "$$5"],
    "cpus": 0.5,
    "environment": {"DATABASE_URL": "postgresql://app:new$$1@db/shop", "MODE": "a$$b"},
    "healthcheck": {"test": ["CMD", "true"], "interval": "1m30s", "retries": 3},
    "hostname": "shop",
    "labels": {"team": "shop"},
    "links": ["db:database"],
    "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
    "mem_limit": "67108864",
    "networks": {"front": {"ipv4_address": "10.7.0.9", "aliases": ["store"]}},
    "mac_address": "02:aa:bb:cc:dd:01",
    "ports": [{"host_ip": "127.0.0.1", "target": 8000, "published": "8123", "protocol": "tcp"}],
    "restart": "unless-stopped",
    "ulimits": {"nofile": {"soft": 1000, "hard": 2000}},
    "volumes": [
        {"type": "volume", "source": "data", "target": "/data"},
        {"type": "bind", "source": "/srv/here", "target": "/here", "read_only": True},
    ],
}
CONTAINER: Dict[str, Any] = {
    "Id": "c" * 64,
    "Name": "/shop-api-1",
    "Config": {
        "Cmd": ["serve", "--price", "$5"],
        "Entrypoint": ["entry"],
        "Env": ["DATABASE_URL=postgresql://app:old@db/shop", "MODE=a$b", "PATH=/bin"],
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 90000000000, "Retries": 3},
        "Hostname": "shop",
        "MacAddress": "02:aa:bb:cc:dd:01",
        "Labels": {"team": "shop", "com.docker.compose.service": "api"},
        "StopSignal": "SIGINT",
        "Tty": False,
    },
    "HostConfig": {
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        "Memory": 67108864,
        "NanoCpus": 500000000,
        "NetworkMode": "shop_front",
        "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8123"}]},
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "Ulimits": [{"Name": "nofile", "Soft": 1000, "Hard": 2000}],
        "PidsLimit": None,
    },
    "Mounts": [
        {"Type": "volume", "Name": "shop_data", "Source": "/var/lib/x", "Destination": "/data", "RW": True},
        {"Type": "bind", "Source": "/srv/here", "Destination": "/here", "RW": False},
        {"Type": "volume", "Name": "f" * 64, "Source": "/var/lib/y", "Destination": "/cache", "RW": True},
    ],
    "NetworkSettings": {
        "Networks": {
            "shop_front": {
                "IPAMConfig": {"IPv4Address": "10.7.0.9"},
                "Links": ["shop-db-1:database", "shop-db-1:db-1", "shop-db-1:shop-db-1"],
                "Aliases": ["shop-api-1", "api", "store", "c" * 12],
            }
        }
    },
}
IMAGE = {
    "Config": {
        "Entrypoint": ["entry"],
        "Cmd": ["x"],
        "Env": ["PATH=/bin"],
        "StopSignal": "SIGINT",
        "Volumes": {"/cache": {}},
    }
}


def described(**changes: Any) -> Described:
    service = {key: value for key, value in {**SERVICE, **changes}.items() if value is not None}
    return Described(service, {"front": "shop_front", "back": "shop_back"}, {"data": "shop_data"})


def test_the_same_but_for_its_password() -> None:
    assert differing(described(), CONTAINER, IMAGE, but_passwords(SERVICE, CONTAINER)) == []
    kept = with_own(SERVICE, CONTAINER, but_passwords(SERVICE, CONTAINER))["environment"]
    assert kept == {"DATABASE_URL": "postgresql://app:old@db/shop", "MODE": "a$$b"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mem_limit": "33554432"}, ["mem_limit: 64 MiB, would be 32 MiB"]),
        ({"mem_limit": None}, ["mem_limit: 64 MiB, would be no limit"]),
        ({"mem_limit": None, "deploy": {"resources": {"limits": {"memory": "67108864"}}}}, []),
        ({"cpus": 1}, ["cpus: 0.5, would be 1"]),
        ({"pids_limit": 50}, ["pids_limit: no limit, would be 50"]),
        ({"ports": []}, ["ports: 127.0.0.1:8123:8000/tcp, would be none"]),
        (
            {"ports": [{**SERVICE["ports"][0], "published": "0"}]},
            ["ports: 127.0.0.1:8123:8000/tcp, would be 127.0.0.1:any:8000/tcp"],
        ),
        ({"restart": None}, ["restart: unless-stopped, would be no"]),
        ({"environment": {**SERVICE["environment"], "MODE": "other"}}, ["environment MODE"]),
        (
            {"environment": {"DATABASE_URL": "postgresql://app:x@elsewhere/shop", "MODE": "a$$b"}},
            ["environment DATABASE_URL"],
        ),
        ({"environment": {**SERVICE["environment"], "EXTRA": ""}}, ["environment EXTRA"]),
        ({"command": ["serve"]}, ["command"]),
        ({"entrypoint": ["other"]}, ["entrypoint"]),
        ({"user": "1000"}, ["user"]),
        ({"working_dir": "/srv"}, ["working_dir"]),
        ({"hostname": None}, ["hostname"]),
        ({"labels": {"team": "other"}}, ["labels"]),
        ({"healthcheck": {"test": ["CMD", "true"], "interval": "30s"}}, ["healthcheck"]),
        ({"stop_signal": "SIGQUIT"}, ["stop_signal"]),
        ({"volumes": SERVICE["volumes"][:1]}, ["volumes"]),
        ({"volumes": [{**SERVICE["volumes"][0], "source": "other"}, SERVICE["volumes"][1]]}, ["volumes"]),
        ({"ulimits": {"nofile": 10}}, ["ulimits"]),
        ({"logging": {"driver": "json-file"}}, ["logging"]),
        ({"cap_add": ["NET_ADMIN"]}, ["cap_add"]),
        ({"privileged": True}, ["privileged"]),
        (
            {"networks": {"front": SERVICE["networks"]["front"], "back": None}},
            ["networks: shop_front, would be shop_back and shop_front"],
        ),
        ({"networks": {"front": {"aliases": ["store"]}}}, ["network aliases, addresses or links"]),
        ({"networks": {"front": {"ipv4_address": "10.7.0.9"}}}, ["network aliases, addresses or links"]),
        ({"mac_address": "02:AA:bb:cc:dd:01"}, []),
        (
            {
                "mac_address": None,
                "networks": {"front": {**SERVICE["networks"]["front"], "mac_address": "02:aa:bb:cc:dd:01"}},
            },
            [],
        ),
        ({"mac_address": None}, ["mac_address: 02:aa:bb:cc:dd:01, would be none"]),
        ({"mac_address": "02:aa:bb:cc:dd:02"}, ["mac_address: 02:aa:bb:cc:dd:01, would be 02:aa:bb:cc:dd:02"]),
        ({"links": []}, ["network aliases, addresses or links"]),
    ],
)
def test_what_would_differ_is_named(changes: Dict[str, Any], says: List[str]) -> None:
    would_be = described(**changes)
    assert differing(would_be, CONTAINER, IMAGE, but_passwords(would_be.service, CONTAINER)) == says


def test_the_same_but_for_variables_that_are_meant_to_change() -> None:
    more = {**SERVICE["environment"], "DATABASE_URL": "postgresql://app:old@db/shop"}
    service = {**SERVICE, "environment": {**more, "SIZE": "10"}}
    size = but_variables(["SIZE"])
    assert differing(described(environment=service["environment"]), CONTAINER, IMAGE, size) == []
    assert differing(described(environment={**more, "OTHER": "10"}), CONTAINER, IMAGE, size) == ["environment OTHER"]
    sized = deepcopy(CONTAINER)
    sized["Config"]["Env"].append("SIZE=5")
    assert differing(described(environment=more), sized, IMAGE, size) == []
    assert with_own(service, sized, size)["environment"] == {**more, "SIZE": "5"}
    assert with_own(service, CONTAINER, size)["environment"] == more
    assert with_own(service, CONTAINER, size, unset=True)["environment"] == {**more, "SIZE": None}


def test_what_was_changed_since() -> None:
    """A container that was made from the same files: what can be different all the same."""
    changed = deepcopy(CONTAINER)
    changed["HostConfig"]["Memory"] = 268435456
    changed["Config"]["Cmd"] = ["cannot be changed"]
    changed["NetworkSettings"]["Networks"]["byhand"] = {"Aliases": []}
    assert changed_since(described(), CONTAINER, IMAGE) == []
    assert changed_since(described(), changed, IMAGE) == [
        "mem_limit: 256 MiB, would be 64 MiB",
        "networks: byhand and shop_front, would be shop_front",
    ]
