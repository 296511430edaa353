# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine says about a container, as facts. Pure: an inspection (GET /containers/{id}/json) in, values out."""

from __future__ import annotations

import posixpath
import re
import signal
from calendar import timegm
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple, TypedDict

from ...._core import numbers

if TYPE_CHECKING:
    from ...._model.facts import Mount, Network, Process, Published

PROJECT, SERVICE, ONE_OFF = ("com.docker.compose.project", "com.docker.compose.service", "com.docker.compose.oneoff")
NUMBER = "com.docker.compose.container-number"
CONFIG_FILES, WORKING_DIR = "com.docker.compose.project.config_files", "com.docker.compose.project.working_dir"
_NOT_NETWORKS = ("default", "bridge", "host", "none", "")
_STATES = ("running", "paused", "restarting", "exited", "created", "dead")


class Lifecycle(TypedDict):
    """The part of ServerFacts that the container's state gives."""

    state: str
    exit_code: Optional[int]
    signal: Optional[int]
    out_of_memory: Optional[bool]
    engine_error: Optional[str]
    started_at: Optional[str]
    finished_at: Optional[str]
    uptime_seconds: Optional[float]
    restart_count: Optional[int]
    restart_policy: Optional[str]
    restart_loop: bool
    health: Optional[str]


def lifecycle(inspected: Mapping[str, Any], now: float) -> Lifecycle:
    """``now``: seconds of the epoch by the engine's clock."""
    state = inspected["State"]
    name = state["Status"] if state["Status"] in _STATES else "dead"  # "removing" is as good as gone
    live = name in ("running", "paused")
    started = seconds(state.get("StartedAt"))
    uptime = max(0.0, now - started) if live and started is not None else None
    code = None if live or (name == "created" and not state.get("Error")) else state.get("ExitCode")
    restarts = inspected.get("RestartCount")
    health = (state.get("Health") or {}).get("Status")
    return {
        "state": name,
        "exit_code": code,
        "signal": code - 128 if code and 128 < code <= 192 else None,
        "out_of_memory": state.get("OOMKilled"),
        "engine_error": state.get("Error") or None,
        "started_at": _time(state.get("StartedAt")),
        "finished_at": _time(state.get("FinishedAt")),
        "uptime_seconds": None if uptime is None else round(uptime, 1),
        "restart_count": restarts,
        "restart_policy": (inspected["HostConfig"].get("RestartPolicy") or {}).get("Name") or None,
        "restart_loop": bool(name == "restarting" or ((restarts or 0) >= 2 and uptime is not None and uptime < 10)),
        "health": health if health in ("starting", "healthy", "unhealthy") else None,
    }


def environment(inspected: Mapping[str, Any]) -> Dict[str, str]:
    pairs = (entry.partition("=") for entry in inspected["Config"].get("Env") or [])
    return {name: value for name, equals, value in pairs if equals}


def arguments(inspected: Mapping[str, Any]) -> List[str]:
    """The arguments of ``postgres`` in the container's command line, [] when it names none."""
    words = [inspected.get("Path") or ""] + list(inspected.get("Args") or [])
    for place, word in enumerate(words):
        if posixpath.basename(word) in ("postgres", "postmaster"):
            return words[place + 1 :]
    # the official entry point puts the program's name before a line that begins with an option
    named = posixpath.basename(words[0]) == "docker-entrypoint.sh"
    return words[1:] if named and len(words) > 1 and words[1].startswith("-") else []


def official(inspected: Mapping[str, Any]) -> bool:
    """Whether the program that it begins with is PostgreSQL's own, or that of the official image."""
    names = {posixpath.basename(word) for word in [inspected.get("Path") or "", *(inspected.get("Args") or [])]}
    return not names.isdisjoint(("postgres", "postmaster", "docker-entrypoint.sh"))


def setting(words: Sequence[str], option: str, name: str) -> Optional[str]:
    """The value that a command line of postgres gives: ``-p 1``, ``-p1``, ``-c port=1``, ``--port=1``; last wins."""
    found = None
    following: Optional[str] = None
    for word in words:
        if following == option:
            found, following = word, None
            continue
        text = word if following == "-c" else ""
        following = None
        if word in (option, "-c"):
            following = word
        elif word.startswith(("--", "-c")):
            text = word[2:]
        elif word.startswith(option):
            found = word[len(option) :]
        key, equals, value = text.partition("=")
        if equals and key.strip().lower().replace("-", "_") == name:
            found = value.strip()
    return found


def data_directory(inspected: Mapping[str, Any]) -> Optional[str]:
    words = arguments(inspected)
    return setting(words, "-D", "data_directory") or environment(inspected).get("PGDATA") or None


def port(inspected: Mapping[str, Any]) -> int:
    """Where the server would listen by its command line and environment (its configuration file may say otherwise)."""
    text = setting(arguments(inspected), "-p", "port") or environment(inspected).get("PGPORT") or ""
    return numbers.port(text) or 5432


def mounts(inspected: Mapping[str, Any]) -> List[Mount]:
    found: List[Mount] = [
        {
            "type": mount.get("Type") or "bind",
            "source": mount.get("Name") or mount.get("Source") or "",
            "destination": mount["Destination"],
            "read_only": not mount.get("RW", True),
        }
        for mount in inspected.get("Mounts") or []
    ]
    known = {mount["destination"] for mount in found}
    for path, options in (inspected["HostConfig"].get("Tmpfs") or {}).items():
        if path not in known:
            found.append(
                {"type": "tmpfs", "source": "", "destination": path, "read_only": "ro" in (options or "").split(",")}
            )
    return found


def mount_of(inspected: Mapping[str, Any], path: str) -> Optional[Dict[str, Any]]:
    """The mount (as inspected) that ``path`` inside the container lies on; None: on the container's own layer."""
    best: Optional[Dict[str, Any]] = None
    for mount in inspected.get("Mounts") or []:
        at = mount["Destination"].rstrip("/")
        inside = path == at or path.startswith(at + "/")
        if inside and (best is None or len(at) > len(best["Destination"].rstrip("/"))):
            best = mount
    return best


def published(inspected: Mapping[str, Any]) -> List[Published]:
    """Published TCP ports: those in effect, else (not running) those configured."""
    ports = (inspected.get("NetworkSettings") or {}).get("Ports") or inspected["HostConfig"].get("PortBindings") or {}
    found: List[Published] = []
    for inside, bindings in sorted(ports.items()):
        number, _slash, protocol = inside.partition("/")
        for binding in bindings or []:
            here, there = numbers.port(number), numbers.port(str(binding.get("HostPort") or ""))
            if protocol in ("", "tcp") and here is not None and there is not None:
                found.append({"port": here, "host_address": binding.get("HostIp") or "0.0.0.0", "host_port": there})
    return found


def chosen_ports(inspected: Mapping[str, Any]) -> Dict[str, str]:
    """Published ports whose number the engine chose (``ports: ["8000"]``), as they are now: inside -> outside.

    It chooses again when the container is made, started or attached anew.
    """
    now = (inspected.get("NetworkSettings") or {}).get("Ports") or {}
    found: Dict[str, str] = {}
    for inside, bindings in sorted((inspected["HostConfig"].get("PortBindings") or {}).items()):
        given = [str(one.get("HostPort") or "0") for one in bindings or []]
        outside = sorted({str(one["HostPort"]) for one in now.get(inside) or []})
        if outside and any(port == "0" or "-" in port for port in given):
            found[inside] = " and ".join(outside)
    return found


def networks(inspected: Mapping[str, Any], replicas: Sequence[Mapping[str, Any]] = ()) -> List[Network]:
    """The networks it is attached to, then those it should be on and is not.

    It should be on the one it was created with (the engine keeps that, whatever is disconnected later), and on those
    that the other containers of its service are on.
    """
    attached = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    found: List[Network] = [
        {
            "name": name,
            "address": network.get("IPAddress") or network.get("GlobalIPv6Address") or None,
            "aliases": sorted(set(network.get("Aliases") or [])),
            "attached": True,
        }
        for name, network in sorted(attached.items())
    ]
    expected = {inspected["HostConfig"].get("NetworkMode") or ""}
    for replica in replicas:
        expected |= set((replica.get("NetworkSettings") or {}).get("Networks") or {})
    for name in sorted(expected - set(attached)):
        if name not in _NOT_NETWORKS and not name.startswith(("container:", "service:")):
            found.append({"name": name, "address": None, "aliases": [], "attached": False})
    return found


def addresses(inspected: Mapping[str, Any]) -> List[str]:
    """All of its addresses in the networks that it is attached to."""
    attached = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    found = [network.get(kind) for network in attached.values() for kind in ("IPAddress", "GlobalIPv6Address")]
    return [address for address in found if address]


def ulimits(inspected: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """By the names that an engine takes. Podman shows RLIMIT_NOFILE, and refuses it for a container to be made."""
    given = inspected["HostConfig"].get("Ulimits") or []
    return [dict(one, Name=str(one.get("Name")).lower().replace("rlimit_", "")) for one in given]


def nofile(inspected: Mapping[str, Any]) -> Tuple[Optional[int], Optional[int]]:
    for limit in ulimits(inspected):
        if limit["Name"] == "nofile":
            return limit.get("Soft"), limit.get("Hard")
    return None, None


def hardware_addresses(inspected: Mapping[str, Any]) -> List[str]:
    """Those that do not come from the address, as an engine's own do: fixed, or (newer engines) by chance."""
    places = ((inspected.get("NetworkSettings") or {}).get("Networks") or {}).values()
    return [place["MacAddress"].lower() for place in places if is_own_hardware(place)]


def is_own_hardware(place: Mapping[str, Any]) -> bool:
    address, hardware = place.get("IPAddress"), place.get("MacAddress")
    if not address or not hardware:
        return False
    return bool(hardware != "02:42:" + ":".join("%02x" % byte for byte in ip_address(address).packed))


def stop_signal(inspected: Mapping[str, Any]) -> Optional[int]:
    """The number of the signal that the container's author chose to stop it; None for one that has no name here."""
    text = str(inspected["Config"].get("StopSignal") or "SIGTERM").upper()
    if numbers.whole(text) is not None:
        return numbers.whole(text)
    found = getattr(signal, text if text.startswith("SIG") else "SIG" + text, None)
    return int(found) if found is not None else None


def newest(inspections: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Best first: those that live, then the youngest."""
    return sorted(
        inspections,
        key=lambda one: (one["State"]["Status"] in ("running", "paused", "restarting"), one.get("Created") or ""),
        reverse=True,
    )


class Row(TypedDict):
    """A line of ``GET /containers/{id}/top``; pids and user ids are the engine's host's."""

    pid: int
    ppid: int
    uid: str
    state: str
    args: str


def rows(top: Mapping[str, Any]) -> List[Row]:
    """As the host numbers them. Podman names parents by the container's own numbers, and shows both of each process."""
    titles = [title.upper() for title in top.get("Titles") or []]
    lines = [dict(zip(titles, process)) for process in top.get("Processes") or []]
    hosts = {line["PID"]: line["HPID"] for line in lines} if "HPID" in titles and "PID" in titles else {}
    found: List[Row] = []
    for named in lines:
        if hosts:
            named = {**named, "PID": named["HPID"], "PPID": hosts.get(named.get("PPID"), "0")}
        pid, ppid = (numbers.whole(str(named.get(name))) for name in ("PID", "PPID"))
        if pid is not None and ppid is not None:
            found.append(
                {
                    "pid": pid,
                    "ppid": ppid,
                    "uid": named.get("UID") or named.get("HUSER") or "",
                    "state": (named.get("STAT") or named.get("STATE") or "?")[:1],
                    "args": named.get("COMMAND") or named.get("CMD") or named.get("ARGS") or "",
                }
            )
    return found


def is_server(args: str) -> bool:
    first = args.split(" ", 1)[0]
    return first == "postgres:" or posixpath.basename(first) in ("postgres", "postmaster")


def processes(found: Sequence[Row]) -> List[Process]:
    return [{"pid": row["pid"], "state": row["state"], "title": row["args"]} for row in found if is_server(row["args"])]


def postmaster(found: Sequence[Row]) -> Optional[Row]:
    """The server process whose parent is none; of several (a second one being tried) the one with most children."""
    servers = [row for row in found if is_server(row["args"])]
    pids = {row["pid"] for row in servers}
    heads = [row for row in servers if row["ppid"] not in pids]
    return max(heads, key=lambda head: (sum(row["ppid"] == head["pid"] for row in servers), -head["pid"]), default=None)


def services_of(compose_file: str) -> Optional[List[str]]:
    """The services that a Compose file's text defines; None when that cannot be told without a YAML parser.

    Only block style, as people write it: the keys one step inside ``services:``. A file that includes or merges
    others tells nothing for certain.
    """
    lines = [line.rstrip() for line in compose_file.splitlines()]
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if any(re.match(r"(include|<<)\s*:", line) for line in lines) or "services:" not in [
        line.split(" #", 1)[0].rstrip() for line in lines
    ]:
        return None
    names: List[str] = []
    indent: Optional[int] = None
    inside = False
    for line in lines:
        depth = len(line) - len(line.lstrip(" "))
        if depth == 0:
            inside = line.split(" #", 1)[0].rstrip() == "services:"
            continue
        if not inside:
            continue
        indent = depth if indent is None else indent
        if depth > indent:
            continue
        key = re.match(r"""\s*(["']?)([A-Za-z0-9._-]+)\1\s*:""", line)
        if key is None or depth < indent:
            return None
        names.append(key.group(2))
    return names or None


def _time(text: Optional[str]) -> Optional[str]:
    """The engine writes "0001-01-01T00:00:00Z" for never, and nanoseconds."""
    if not text or text.startswith("0001-"):
        return None
    return re.sub(r"(\.\d{1,3})\d*", r"\1", text)


def seconds(text: Optional[str]) -> Optional[float]:
    """Of the epoch; None for the engine's "never"."""
    match = re.match(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))$", text or "")
    if not match or match.group(1) == "0001":
        return None
    try:
        found = timegm(tuple(int(part) for part in match.groups()[:6]) + (0, 0, 0)) + float(match.group(7) or 0)
    except (ValueError, OverflowError):  # no such day
        return None
    if match.group(8):
        offset = int(match.group(9)) * 3600 + int(match.group(10)) * 60
        found -= offset if match.group(8) == "+" else -offset
    return found
