# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The throw-away container: it lives as long as we hold its input. Whatever ends us ends it, in PostgreSQL's own time.

The engine removes it when it has ended, with the anonymous volume that is its only one (``AutoRemove``). Nothing of it
is ever ended by force.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence

from ..._core import numbers
from ..._core.deadline import Deadline
from ..._core.errors import OncallError, UnprovenError
from ..._gather.runtime.compose import containers
from ..._gather.runtime.compose.api import EngineError
from ..._gather.runtime.compose.toolbox import TOOLBOX, TOOLBOX_UNTIL
from ..drive import engine as driving
from .scripts import BACKUP, HOME, KEEP_SH

if TYPE_CHECKING:
    from ..._gather.runtime.base import Completed
    from ..._gather.runtime.compose.engine import Engine

KIND = "restore_proof"  # the value of our label
SERVICE = "postgres"
_END_SECONDS = 600.0
_LOOK_SECONDS = 10.0
_MOST_SECONDS = 86400  # whoever stops it by hand does not end it by force either
# To read a backup whatever its mode (not DAC_READ_SEARCH, which opens the host's files), to give the copy to the
# server's user, to become that user, and to ask its server to end.
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETUID", "SETGID")


class Throwaway:
    """One that runs. ``name`` is its Compose project's, too."""

    def __init__(self, engine: Engine, name: str, container: str, user: str) -> None:
        self.name, self._engine, self._container, self._user = name, engine, container, user

    def run(self, script: str, arguments: Sequence[str], deadline: Deadline, root: bool = False) -> Completed:
        return self._engine.run(
            self._container, ["sh", "-c", script, "oncall", *arguments], deadline, user="0:0" if root else self._user
        )

    def out_of_memory(self) -> bool:
        """Whether the limit has cost a process its life."""
        return bool(self._engine.inspect(self._container, Deadline(_LOOK_SECONDS))["State"].get("OOMKilled"))


@contextlib.contextmanager
def throwaway(
    engine: Engine, image: str, backup: str, user: str, memory: int, deadline: Deadline
) -> Iterator[Throwaway]:
    """A container of ``image`` with ``backup`` (a path of the engine's host) and no network; gone afterwards.

    Raises UnprovenError where it is not: it names what is left.
    """
    name = "oncall-restore-proof-%s" % secrets.token_hex(6)
    body: Dict[str, Any] = {
        "Image": image,
        "Entrypoint": ["sh"],
        "Cmd": ["-c", KEEP_SH],
        "User": "0:0",
        "WorkingDir": "/",
        "Env": [],
        "Labels": {
            TOOLBOX: KIND,
            TOOLBOX_UNTIL: str(int(time.time() + deadline.left() + _END_SECONDS)),
            containers.PROJECT: name,
            containers.SERVICE: SERVICE,
            containers.NUMBER: "1",
            containers.ONE_OFF: "False",
        },
        "AttachStdin": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "Tty": False,
        "StopSignal": "SIGTERM",
        "StopTimeout": _MOST_SECONDS,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "AutoRemove": True,
            "NetworkMode": "none",
            "Mounts": [bind(backup), {"Type": "volume", "Target": HOME, "VolumeOptions": {"Labels": {TOOLBOX: KIND}}}],
            "CapDrop": ["ALL"],
            "CapAdd": list(_CAPABILITIES),
            "SecurityOpt": ["no-new-privileges", "label=disable"],
            "LogConfig": {"Type": "none"},
            "PidsLimit": 256,
            "Memory": memory,
            "ShmSize": 256 * 1024 * 1024,
            "CpuShares": 128,  # the servers beside it come first,
            "OomScoreAdj": 500,  # with memory as well
        },
    }
    line, started = None, False
    try:
        container = engine.request("POST", "/containers/create", deadline, body, name=name)["Id"]
        line = engine.hijack(
            "/containers/%s/attach" % container, deadline, {"stream": 1, "stdin": 1}, None, "hold %s" % name
        )
        driving.start(engine, container, deadline)
        started = True
        yield Throwaway(engine, name, container, user)
    finally:
        if line is not None:
            line.close()
        left = _gone(engine, name, Deadline(_END_SECONDS), started)
        if left:
            raise UnprovenError("The throw-away container %s is still there: %s" % (name, left), _REMOVE % name)


_REMOVE = "It ends by itself; else: docker stop -t 600 %s."


def bind(path: str) -> Mapping[str, Any]:
    return {"Type": "bind", "Source": path, "Target": BACKUP, "ReadOnly": True}


def sweep(engine: Engine, deadline: Deadline) -> List[str]:
    """Remove what runs that were killed have left; their names. Those of a run that may still be at it stay."""
    names = []
    for each in engine.containers(deadline, "%s=%s" % (TOOLBOX, KIND)):
        name, state = str(each["Names"][0]).lstrip("/"), each.get("State")
        until = numbers.whole(each["Labels"].get(TOOLBOX_UNTIL, "")) or 0
        if state == "running":
            if until > time.time():
                continue
            with contextlib.suppress(OncallError):
                driving.stop(engine, each["Id"], deadline.sooner(60))
        elif state == "created" and until > time.time() and engine.now() - each.get("Created", 0) < 60:
            continue  # about to be started by another run
        if not _gone(engine, each["Id"], deadline.sooner(10), state == "running"):
            names.append(name)
    return names


def _gone(engine: Engine, container: str, deadline: Deadline, started: bool) -> Optional[str]:
    """Wait until it has ended and the engine has removed it; else why it is still there."""
    asked = False
    while True:
        try:
            state = engine.inspect(container, deadline)["State"]["Status"]
            if not started or (state in ("exited", "dead") and asked):
                # It never ran, or its engine was restarted and has forgotten to. Only with the volumes without a name.
                engine.request("DELETE", "/containers/%s" % container, deadline, v="true")
            asked = state in ("exited", "dead")
        except EngineError as error:
            if error.status == 404:
                return None
            if error.status != 409:  # its removal is under way
                return error.msg
        except OncallError as error:
            return error.msg
        if deadline.passed():
            return "it has not ended in time"
        time.sleep(deadline.left(0.1))
