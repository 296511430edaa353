# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short-lived containers of an image that is there already, to look from where nothing of ours runs."""

from __future__ import annotations

import functools
import json
import secrets
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Set

from ...._core import numbers
from ...._core.deadline import Deadline
from ...._core.errors import OncallError
from ...._core.side_by_side import side_by_side
from ..base import Completed
from .api import EngineError

if TYPE_CHECKING:
    from .api import Api

TOOLBOX = "oncall.postgresql"  # the label that marks our own containers, value "toolbox"
TOOLBOX_UNTIL = "oncall.postgresql.until"  # when nobody waits for it any more, seconds of the epoch


class Toolboxes:
    """They change nothing: volumes are read-only, and each container is gone again whatever happens."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._open: Set[str] = set()  # names of those that are not removed yet

    def run(
        self,
        image: str,
        argv: Sequence[str],
        deadline: Deadline,
        stdin: str = "",
        volumes_from: Optional[str] = None,
        network_mode: str = "none",
        networks: Sequence[str] = (),
        user: str = "0:0",
        environment: Optional[Mapping[str, str]] = None,
        capabilities: Sequence[str] = (),
        hosts: Sequence[str] = (),
        limits: Optional[Mapping[str, Any]] = None,
        pid_mode: str = "",
        writable: bool = False,
        mounts: Sequence[Mapping[str, Any]] = (),
    ) -> Completed:
        """Run a command in a container of its own, which is gone again whatever happens.

        ``volumes_from`` (a container's id) mounts its volumes read-only, unless ``writable`` (never by what looks).
        ``mounts`` are further ones, for whoever makes sure that they are read-only. ``networks`` are joined besides
        ``network_mode``. ``limits`` are those of a host configuration (memory, ulimits). ``pid_mode`` "host" shows it
        the processes of the engine's host.
        What must stay secret goes by ``stdin``: arguments and environment can be inspected.
        """
        self._sweep(deadline)
        name = "oncall-toolbox-%s" % secrets.token_hex(6)
        what = "run %s in a toolbox container of image %s" % (argv[0], image[:19])
        body = {
            "Image": image,
            "Entrypoint": [argv[0]],
            "Cmd": list(argv[1:]),
            "User": user,
            "WorkingDir": "/",
            "Env": ["%s=%s" % item for item in (environment or {}).items()],
            "Labels": {TOOLBOX: "toolbox", TOOLBOX_UNTIL: str(int(time.time() + deadline.left() + 60))},
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "OpenStdin": True,
            "StdinOnce": True,
            "Tty": False,
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "NetworkMode": network_mode,
                "VolumesFrom": [volumes_from + ("" if writable else ":ro")] if volumes_from else [],
                "Mounts": [*self._covers(image, volumes_from, deadline), *mounts],
                "CapDrop": ["ALL"],
                "CapAdd": list(capabilities),
                "SecurityOpt": ["no-new-privileges", "label=disable", *_confinement(pid_mode)],
                "PidMode": pid_mode,
                "LogConfig": {"Type": "none"},  # what it prints is for us, not for the engine's disk
                "PidsLimit": 256,
                "ExtraHosts": list(hosts),
                **(limits or {}),
            },
        }
        created = False
        self._open.add(name)
        try:
            container = self._api.request("POST", "/containers/create", deadline, body, name=name)["Id"]
            created = True
            for network in networks:
                self._api.request("POST", "/networks/%s/connect" % network, deadline, {"Container": container})
            stream = self._api.hijack(
                "/containers/%s/attach" % container,
                deadline,
                {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1},
                None,
                what,
            )
            try:
                self._api.request("POST", "/containers/%s/start" % container, deadline)
            except OncallError:
                stream.close()
                raise
            out, err = stream.talk(stdin.encode("utf-8", "surrogateescape"), deadline)
            code = self._api.request("POST", "/containers/%s/wait" % container, deadline)["StatusCode"]
            return Completed(code, _text(out), _text(err))
        finally:
            self._remove(name, created)
            self._open.discard(name)

    def close(self) -> None:
        """Remove those that a thread is still waiting for, past its deadline."""
        deadline = Deadline(1.5)
        left = self._open.copy()
        side_by_side({name: functools.partial(self._abandon, name, deadline) for name in left}, deadline)

    def _covers(self, image: str, volumes_from: Optional[str], deadline: Deadline) -> List[Dict[str, Any]]:
        """Memory mounts over each volume that the image declares and nothing else covers.

        So a toolbox never owns an anonymous volume, and can be removed *without* its volumes: removing them would be
        a way to lose the server's, should its container be removed meanwhile.
        """
        declared = (self._api.get("/images/%s/json" % image, deadline).get("Config") or {}).get("Volumes") or {}
        if not declared:
            return []
        mounts = self._api.get("/containers/%s/json" % volumes_from, deadline)["Mounts"] if volumes_from else []
        covered = {mount["Destination"].rstrip("/") for mount in mounts if mount.get("Type") != "tmpfs"}
        return [{"Type": "tmpfs", "Target": path} for path in declared if path.rstrip("/") not in covered]

    def _remove(self, name: str, created: bool = True) -> None:
        """Remove our own container, never its volumes. What an engine in trouble keeps, the next toolbox sweeps.

        An engine that did not confirm in time that it is ``created`` may still be at it.
        """
        deadline = Deadline(2)
        while True:
            try:
                self._api.request("DELETE", "/containers/%s" % name, deadline, force="true", v="false")
                return
            except EngineError as error:
                wait = error.status == 409 or (error.status == 404 and not created)  # 409: removal is under way
                if not wait or deadline.passed():
                    return
                time.sleep(0.05)
            except OncallError:
                return

    def _abandon(self, name: str, deadline: Deadline) -> None:
        while name in self._open and not deadline.passed():  # its own thread sees it go, and gives up
            self._remove(name)
            time.sleep(0.05)

    def _sweep(self, deadline: Deadline) -> None:
        """Remove toolboxes whose time is over: left behind by a run that was itself killed."""
        filters = json.dumps({"label": [TOOLBOX + "=toolbox"]})
        for left in self._api.get("/containers/json", deadline, all=1, filters=filters):
            until = left["Labels"].get(TOOLBOX_UNTIL, "")
            if (numbers.whole(until) or time.time()) < time.time():
                self._remove(left["Id"])


def _confinement(pid_mode: str) -> List[str]:
    """SELinux forbids another container's volumes (``label``), AppArmor to see where a process of the host works."""
    return ["apparmor=unconfined"] if pid_mode == "host" else []


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
