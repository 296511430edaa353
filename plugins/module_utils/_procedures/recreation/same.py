# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Compose would make the same container again, and what would differ, by name. Pure.

A service as ``docker compose config --format json`` describes it, and a container and its image as the engine inspects
them. Values are shown where they can hold no secret: ports and limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..._core import numbers
from ..._core.mask import mask
from ..._core.text import size
from ..._gather.client.settings import resolve_login
from ..._gather.runtime.compose import containers

_SHORT = 12  # characters of a container's id that are its default host name
_NANOSECONDS = {"h": 3600e9, "m": 60e9, "s": 1e9, "ms": 1e6, "us": 1e3, "µs": 1e3, "ns": 1}
_COMPOSE_LABELS = "com.docker.compose."
_DAEMONS_OWN = ("ContainerIDFile", "Binds", "Mounts", "Links", "NetworkMode", "ConsoleSize")  # or seen elsewhere


@dataclass(frozen=True)
class Described:
    """A service of the Compose files, with the real names of the project's networks and volumes."""

    service: Mapping[str, Any] = field(repr=False)
    networks: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        return self.service.get(name)


Inspection = Mapping[str, Any]
Sides = Tuple[Any, Any]  # what Compose would make, what there is
# (name, value) of a variable -> what of the value is to stay; None: nothing, not even that it is there
Stays = Callable[[str, str], Optional[str]]


def environment(described: Mapping[str, Any]) -> Dict[str, str]:
    """``docker compose config`` writes a dollar sign twice, so that its output can be read as a Compose file."""
    given = described.get("environment") or {}
    return {name: _plain(value) for name, value in given.items() if value is not None}


def but_passwords(described: Mapping[str, Any], inspected: Inspection) -> Stays:
    """Passwords may be others."""
    logins = [
        resolve_login({"host": "?"}, env, {}) for env in (environment(described), containers.environment(inspected))
    ]
    secrets = [login.password for login in logins if login and login.password]
    return but_secrets(secrets)


def but_secrets(secrets: Sequence[str]) -> Stays:
    return lambda _name, value: mask(value, secrets)


def but_variables(names: Collection[str]) -> Stays:
    """These may have other values, come, or go."""
    return lambda name, value: None if name in names else value


def with_own(described: Mapping[str, Any], inspected: Inspection, stays: Stays, unset: bool = False) -> Dict[str, Any]:
    """The service with the container's own value of each variable that differs only in what need not stay.

    One that the container lacks is left out; ``unset``: it stays without a value, as Compose has a bare name.
    """
    then = containers.environment(inspected)
    kept = dict(described.get("environment") or {})
    for name, value in environment(described).items():
        if name in then and stays(name, value) == stays(name, then[name]):
            kept[name] = then[name].replace("$", "$$")
        elif name not in then and stays(name, value) is None:
            kept[name] = None
            if not unset:
                del kept[name]
    return {**described, "environment": kept}


def differing(described: Described, inspected: Inspection, image: Inspection, stays: Stays) -> List[str]:
    """All that would not be as it is."""
    return _environment(described.service, inspected, image, stays) + _compare(_FIXED, described, inspected, image)


def changed_since(described: Described, inspected: Inspection, image: Inspection) -> List[str]:
    """What somebody has changed of a container after it was made: by ``docker update``, ``docker network connect``."""
    return _compare(_CHANGEABLE, described, inspected, image)


def configuration(inspected: Inspection, stays: Stays) -> Dict[str, Any]:
    """All of a container's configuration, as far as the next one made from the same files has it, too."""
    config, host = dict(inspected["Config"]), dict(inspected["HostConfig"])
    if config.get("Hostname") == inspected["Id"][:_SHORT]:
        del config["Hostname"]
    entries = [stays(name, "%s=%s" % (name, value)) for name, value in containers.environment(inspected).items()]
    config["Env"] = sorted(entry for entry in entries if entry is not None)
    config["Labels"] = _labels(inspected)
    for name in _DAEMONS_OWN:
        host.pop(name, None)
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    places = {
        name: {
            "aliases": sorted(_aliases(place, inspected)),
            "links": sorted(place.get("Links") or []),
            "addresses": place.get("IPAMConfig") or {},
            "driver_opts": place.get("DriverOpts") or {},
        }
        for name, place in networks.items()
    }
    mounts = {
        one["Destination"]: (one["Type"], one.get("Name") or one.get("Source"), one.get("RW"))
        for one in inspected.get("Mounts") or []
    }
    return {**config, **host, "networks": places, "mounts": mounts}


# --- pieces ----------------------------------------------------------------------------------------------------------


def _compare(
    rows: Mapping[str, Callable[[Described, Inspection, Inspection], Optional[Sides]]],
    described: Described,
    inspected: Inspection,
    image: Inspection,
) -> List[str]:
    found: List[str] = []
    for name, row in rows.items():
        sides = row(described, inspected, image)
        if sides is not None and (sides[0] or None) != (sides[1] or None):
            show = _SHOWN.get(name)
            found.append("%s: %s, would be %s" % (name, show(sides[1]), show(sides[0])) if show else name)
    return found


def _environment(described: Mapping[str, Any], inspected: Inspection, image: Inspection, stays: Stays) -> List[str]:
    now = {**containers.environment(image), **environment(described)}
    then = containers.environment(inspected)

    def kept(env: Mapping[str, str], name: str) -> Optional[str]:
        return stays(name, env[name]) if name in env else None

    return ["environment %s" % name for name in sorted({*now, *then}) if kept(now, name) != kept(then, name)]


def _config(key: str, name: str) -> Callable[[Described, Inspection, Inspection], Sides]:
    """What the file says, else the image."""

    def sides(described: Described, inspected: Inspection, image: Inspection) -> Sides:
        given = described.get(key)
        wanted = (image.get("Config") or {}).get(name) if given is None else given
        return _texts(wanted), _texts(inspected["Config"].get(name))

    return sides


def _host(key: str, name: str) -> Callable[[Described, Inspection, Inspection], Optional[Sides]]:
    """A list, a mapping, a word or a switch; where the file says nothing, the engine's default is not known here."""

    def sides(described: Described, inspected: Inspection, _image: Inspection) -> Optional[Sides]:
        given = described.get(key)
        return None if given is None else (_bag(given), _bag(inspected["HostConfig"].get(name)))

    return sides


def _limit(key: str, name: str, deployed: str = "", reserved: bool = False) -> Callable[..., Optional[Sides]]:
    def sides(described: Described, inspected: Inspection, _image: Inspection) -> Optional[Sides]:
        resources = ((described.get("deploy") or {}).get("resources") or {}).get(
            "reservations" if reserved else "limits"
        ) or {}
        given = resources.get(deployed) if deployed and resources.get(deployed) is not None else described.get(key)
        wanted = numbers.whole(str(given or 0))
        return None if wanted is None else (max(wanted, 0), max(inspected["HostConfig"].get(name) or 0, 0))

    return sides


def _cpus(described: Described, inspected: Inspection, _image: Inspection) -> Sides:
    limits = ((described.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    given = limits.get("cpus") if limits.get("cpus") is not None else described.get("cpus")
    return round(float(given or 0), 3), round((inspected["HostConfig"].get("NanoCpus") or 0) / 1e9, 3)


def _restart(described: Described, inspected: Inspection, _image: Inspection) -> Sides:
    now = inspected["HostConfig"].get("RestartPolicy") or {}
    has = now.get("Name") or "no"
    given = (described.get("deploy") or {}).get("restart_policy")
    if given:
        wanted = {"any": "always", "none": "no"}.get(given.get("condition") or "any", given.get("condition"))
        return wanted, has
    if now.get("MaximumRetryCount"):
        has += ":%d" % now["MaximumRetryCount"]
    return str(described.get("restart") or "no"), has


def _command(described: Described, inspected: Inspection, image: Inspection) -> Sides:
    given, own = described.get("command"), (image.get("Config") or {}).get("Cmd")
    wanted = given if given is not None else None if described.get("entrypoint") is not None else own
    return _texts(wanted), _texts(inspected["Config"].get("Cmd"))


def _hostname(described: Described, inspected: Inspection, _image: Inspection) -> Optional[Sides]:
    has, mode = inspected["Config"].get("Hostname"), inspected["HostConfig"].get("NetworkMode") or ""
    if mode == "host" or mode.startswith("container:"):
        return None
    return described.get("hostname"), None if has == inspected["Id"][:_SHORT] else has


def _label_sides(described: Described, inspected: Inspection, image: Inspection) -> Sides:
    own = (image.get("Config") or {}).get("Labels") or {}
    given = {name: _plain(value) for name, value in (described.get("labels") or {}).items()}
    return {**own, **given}, _labels(inspected)


def _labels(inspected: Inspection) -> Dict[str, str]:
    labels = inspected["Config"].get("Labels") or {}
    return {name: value for name, value in labels.items() if not name.startswith(_COMPOSE_LABELS)}


def _health(described: Described, inspected: Inspection, image: Inspection) -> Sides:
    given = described.get("healthcheck")
    has = inspected["Config"].get("Healthcheck") or {}
    if not given:
        return (image.get("Config") or {}).get("Healthcheck") or {}, has
    if given.get("disable"):
        return ["NONE"], has.get("Test")
    keys = (("interval", "Interval"), ("timeout", "Timeout"), ("start_period", "StartPeriod"))
    wanted = {ours: _nanoseconds(given[ours]) for ours, _theirs in keys if given.get(ours)}
    there = {ours: has.get(theirs) for ours, theirs in keys if given.get(ours)}
    if given.get("retries") is not None:
        wanted["retries"], there["retries"] = given["retries"], has.get("Retries") or 0
    if given.get("test"):
        wanted["test"], there["test"] = _texts(given["test"]), _texts(has.get("Test"))
    return wanted, there


def _ports(described: Described, inspected: Inspection, _image: Inspection) -> Sides:
    wanted = {
        "%s:%s:%s/%s"
        % (
            one.get("host_ip") or "",
            _published(one.get("published")),
            one["target"],
            one.get("protocol") or "tcp",
        )
        for one in described.get("ports") or []
    }
    has = {
        "%s:%s:%s" % (one.get("HostIp") or "", _published(one.get("HostPort")), inside)
        for inside, bindings in (inspected["HostConfig"].get("PortBindings") or {}).items()
        for one in bindings or []
    }
    return wanted, has


def _published(port: Any) -> str:
    return str(port) if port and str(port) != "0" else "any"


def _volumes(described: Described, inspected: Inspection, image: Inspection) -> Sides:
    """Volumes and bind mounts by their place; those without a name are taken over from the container before."""
    wanted: Dict[str, Any] = {}
    for one in described.get("volumes") or []:
        source = one.get("source")
        if one["type"] == "volume" and source:
            source = described.volumes.get(source, source)
        wanted[one["target"].rstrip("/")] = (one["type"], source, bool(one.get("read_only"))) if source else None
    known = {place.rstrip("/") for place in (image.get("Config") or {}).get("Volumes") or {}}
    secret = bool(described.get("secrets") or described.get("configs"))
    has: Dict[str, Any] = {}
    for mount in inspected.get("Mounts") or []:
        place = mount["Destination"].rstrip("/")
        if place in wanted and wanted[place] is None:
            has[place] = None
        elif place in wanted or not (place in known or (secret and mount["Type"] == "bind")):
            has[place] = (mount["Type"], mount.get("Name") or mount.get("Source"), not mount.get("RW", True))
    return wanted, has


def _ulimits(described: Described, inspected: Inspection, _image: Inspection) -> Optional[Sides]:
    given = described.get("ulimits")
    if given is None:
        return None
    wanted = {
        (name, one["soft"], one["hard"]) if isinstance(one, dict) else (name, one, one) for name, one in given.items()
    }
    return wanted, {(one["Name"], one["Soft"], one["Hard"]) for one in containers.ulimits(inspected)}


def _logging(described: Described, inspected: Inspection, _image: Inspection) -> Optional[Sides]:
    given, has = described.get("logging"), inspected["HostConfig"].get("LogConfig") or {}
    if not given:
        return None
    return (given.get("driver") or has.get("Type"), _bag(given.get("options") or {})), (
        has.get("Type"),
        _bag(has.get("Config") or {}),
    )


def _network_names(described: Described, inspected: Inspection, _image: Inspection) -> Optional[Sides]:
    if described.get("network_mode"):
        mode = str(described.get("network_mode"))
        return None if mode.startswith("service:") else (mode, inspected["HostConfig"].get("NetworkMode"))
    wanted = {described.networks.get(key, key) for key in described.get("networks") or ["default"]}
    return wanted, set(_places(inspected))


def _network_places(described: Described, inspected: Inspection, _image: Inspection) -> Optional[Sides]:
    """Fixed addresses, names and links of the networks that it is on, and should be on."""
    if described.get("network_mode"):
        return None
    wanted: Dict[str, Any] = {}
    has: Dict[str, Any] = {}
    own = {str(inspected["Name"]).lstrip("/"), (inspected["Config"].get("Labels") or {}).get(containers.SERVICE)}
    links = {
        link.rpartition(":")[2] for link in [*(described.get("links") or []), *(described.get("external_links") or [])]
    }
    for key, more in (described.get("networks") or {"default": None}).items():
        place, more = _places(inspected).get(described.networks.get(key, key)), more or {}
        if place is None:
            continue
        fixed = place.get("IPAMConfig") or {}
        there = {link.rpartition(":")[2] for link in place.get("Links") or []}
        wanted[key] = (
            more.get("ipv4_address") or "",
            more.get("ipv6_address") or "",
            {*(more.get("aliases") or [])} - own,
            links,
        )
        has[key] = (
            fixed.get("IPv4Address") or "",
            fixed.get("IPv6Address") or "",
            _aliases(place, inspected) - own,
            there & links if links else there,  # Compose adds links by the names of the containers
        )
    return wanted, has


def _hardware(described: Described, inspected: Inspection, _image: Inspection) -> Optional[Sides]:
    """Newer engines give one by chance: then only a file that fixes it tells. What it does not have, it cannot lose."""
    given = [described.get("mac_address"), *((more or {}).get("mac_address") for more in _networks(described).values())]
    wanted = {str(one).lower() for one in given if one}
    fixed = str(inspected["Config"].get("MacAddress") or "").lower()
    has = {fixed} if fixed else set(containers.hardware_addresses(inspected)) if wanted else set()
    return (wanted, has) if has and not has & wanted else None


def _networks(described: Described) -> Mapping[str, Any]:
    given = described.get("networks") or {"default": None}
    return given if isinstance(given, dict) else dict.fromkeys(given)


def _places(inspected: Inspection) -> Mapping[str, Any]:
    return (inspected.get("NetworkSettings") or {}).get("Networks") or {}


def _aliases(place: Mapping[str, Any], inspected: Inspection) -> Set[str]:
    return set(place.get("Aliases") or []) - {inspected["Id"][:_SHORT]}


def _plain(value: Any) -> str:
    return str(value).replace("$$", "$")


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if isinstance(value, (bool, dict)) else _plain(value) if value else None


def _bag(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted(_plain(each) for each in value)
    return value


def _nanoseconds(text: str) -> int:
    return round(
        sum(float(number) * _NANOSECONDS[unit] for number, unit in re.findall(r"([\d.]+)([a-zµ]+)", str(text)))
    )


def _bytes(value: int) -> str:
    return size(value) if value else "no limit"


def _number(value: float) -> str:
    return "%g" % value if value else "no limit"


def _words(value: Any) -> str:
    return " and ".join(sorted(value)) if isinstance(value, (set, list)) and value else str(value or "none")


# By the file's own names. What ``docker update`` and ``docker network`` change in a container that is there:
_CHANGEABLE: Dict[str, Callable[..., Optional[Sides]]] = {
    "mem_limit": _limit("mem_limit", "Memory", "memory"),
    "mem_reservation": _limit("mem_reservation", "MemoryReservation", "memory", True),
    "cpus": _cpus,
    "cpu_shares": _limit("cpu_shares", "CpuShares"),
    "cpu_quota": _limit("cpu_quota", "CpuQuota"),
    "pids_limit": _limit("pids_limit", "PidsLimit", "pids"),
    "cpuset": lambda described, inspected, _image: (described.get("cpuset"), inspected["HostConfig"].get("CpusetCpus")),
    "restart": _restart,
    "networks": _network_names,
    "network aliases, addresses or links": _network_places,
    "mac_address": _hardware,
}
_FIXED: Dict[str, Callable[..., Optional[Sides]]] = {
    "command": _command,
    "entrypoint": _config("entrypoint", "Entrypoint"),
    "user": _config("user", "User"),
    "working_dir": _config("working_dir", "WorkingDir"),
    "stop_signal": _config("stop_signal", "StopSignal"),
    "hostname": _hostname,
    "domainname": lambda described, inspected, _image: (
        described.get("domainname"),
        inspected["Config"].get("Domainname"),
    ),
    "labels": _label_sides,
    "healthcheck": _health,
    "tty": lambda described, inspected, _image: (bool(described.get("tty")), inspected["Config"].get("Tty")),
    "ports": _ports,
    "volumes": _volumes,
    "ulimits": _ulimits,
    "logging": _logging,
    "cap_add": _host("cap_add", "CapAdd"),
    "cap_drop": _host("cap_drop", "CapDrop"),
    "security_opt": _host("security_opt", "SecurityOpt"),
    "dns": _host("dns", "Dns"),
    "dns_search": _host("dns_search", "DnsSearch"),
    "group_add": _host("group_add", "GroupAdd"),
    "sysctls": _host("sysctls", "Sysctls"),
    "ipc": _host("ipc", "IpcMode"),
    "userns_mode": _host("userns_mode", "UsernsMode"),
    "runtime": _host("runtime", "Runtime"),
    "init": _host("init", "Init"),
    "privileged": lambda described, inspected, _image: (
        bool(described.get("privileged")),
        inspected["HostConfig"].get("Privileged"),
    ),
    "read_only": lambda described, inspected, _image: (
        bool(described.get("read_only")),
        inspected["HostConfig"].get("ReadonlyRootfs"),
    ),
    "shm_size": lambda described, inspected, _image: (
        (numbers.whole(str(described.get("shm_size"))), inspected["HostConfig"].get("ShmSize"))
        if described.get("shm_size")
        else None
    ),
    **_CHANGEABLE,
}
_SHOWN: Dict[str, Callable[[Any], str]] = {
    "mem_limit": _bytes,
    "mem_reservation": _bytes,
    "cpus": _number,
    "cpu_shares": _number,
    "cpu_quota": _number,
    "pids_limit": _number,
    "restart": str,
    "ports": _words,
    "networks": _words,
    "mac_address": _words,
}
