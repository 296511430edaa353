# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which networks the Compose files give each service, as Compose itself reads them. Nothing secret is kept.

Variables are not filled in: the environment that the project was started with is not ours, and may hold passwords.
"""

from __future__ import annotations

import json
import os
import posixpath
import subprocess
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ...._core.errors import DeadlineError
from ...._model.places import Wanted
from . import containers

if TYPE_CHECKING:
    from ...._core.deadline import Deadline

_COMMANDS = (("docker", "compose"), ("docker-compose",))
_ADDRESSES = (("ipv4_address", "IPv4Address"), ("ipv6_address", "IPv6Address"), ("link_local_ips", "LinkLocalIPs"))


def networks_of_services(
    labels: Mapping[str, str], project: str, deadline: Deadline
) -> Optional[Dict[str, List[Wanted]]]:
    """Networks by service; None where Compose 2 is not here (version 1 speaks no JSON), or the files are not.

    ``labels`` are those of one of the project's containers. Raises DeadlineError: late is not the same as not here.
    """
    directory = labels.get(containers.WORKING_DIR, "")
    files = [posixpath.join(directory, name) for name in labels.get(containers.CONFIG_FILES, "").split(",") if name]
    if not files or not all(os.access(name, os.R_OK) for name in files):
        return None
    words = ["--project-name", project, "--project-directory", directory]
    words += [word for name in files for word in ("--file", name)]
    for command in _COMMANDS:
        try:
            done = subprocess.run(
                [*command, *words, "config", "--format", "json", "--no-interpolate"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=deadline.left(),
                check=False,
            )
            document = json.loads(done.stdout) if done.returncode == 0 else None
        except subprocess.TimeoutExpired:
            raise DeadlineError(
                "%s did not read the Compose file of project %s in time" % (" ".join(command), project),
                "This host may be overloaded: run it again, or set deadline_seconds higher.",
            ) from None
        except (OSError, ValueError):
            continue
        if isinstance(document, dict):
            return read(document, project)
    return None


def read(document: Mapping[str, Any], project: str) -> Optional[Dict[str, List[Wanted]]]:
    """From ``docker compose config --format json``; None where a name still holds a variable."""
    names: Dict[str, str] = {}
    for key, network in (document.get("networks") or {}).items():
        names[key] = str((network or {}).get("name") or "%s_%s" % (project, key))
    names.setdefault("default", project + "_default")
    found: Dict[str, List[Wanted]] = {}
    for service, row in (document.get("services") or {}).items():
        if (row or {}).get("network_mode"):
            found[service] = []
            continue
        rows = (row or {}).get("networks") or {"default": None}
        pairs: Sequence[Tuple[str, Any]] = (
            [(key, None) for key in rows] if isinstance(rows, list) else list(rows.items())
        )
        if any("$" in names.get(key, key) for key, _more in pairs):
            return None
        found[service] = [_wanted(names.get(key, key), row or {}, more or {}, len(pairs) == 1) for key, more in pairs]
    return found or None


def _wanted(network: str, row: Mapping[str, Any], more: Mapping[str, Any], only: bool) -> Wanted:
    addresses = {theirs: more[ours] for ours, theirs in _ADDRESSES if more.get(ours)}
    given = {
        "IPAMConfig": addresses,
        "MacAddress": more.get("mac_address") or (row.get("mac_address") if only else None),
        "DriverOpts": {name: str(value) for name, value in (more.get("driver_opts") or {}).items()},
    }
    aliases, links, external = (
        tuple(str(one) for one in each or ())
        for each in (more.get("aliases"), row.get("links"), row.get("external_links"))
    )
    known = {**given, "aliases": aliases, "links": (*links, *external)}
    unknown = tuple(name for name, value in known.items() if "$" in str(value))
    settings = tuple((name, value) for name, value in given.items() if value)
    return Wanted(network, tuple(one for one in aliases if "$" not in one), settings, links, external, unknown)
