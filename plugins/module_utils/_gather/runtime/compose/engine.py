# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine, or one that speaks as it does: containers listed and read, commands run in them or beside them."""

from __future__ import annotations

import json
import os
import tarfile
import time
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ...._core.deadline import Deadline
from ...._core.errors import DeadlineError, OncallError, TargetError
from ..base import Completed
from .address import DEFAULT, Way, way_to
from .api import Api, EngineError
from .stream import MAX_OUTPUT, Frames
from .toolbox import Toolboxes

OLDEST_API, NEWEST_API = (1, 41), (1, 44)  # Engine 20.10; the newest form of the answers that this file knows

# Podman would run the image's own ps, where it has one, unless it is asked for the columns that it knows itself.
_PS_ARGS = {"docker": "-eo pid,ppid,uid,stat,args", "podman": "hpid,pid,ppid,huser,state,args"}

# Podman's own: asked to end, ended and not yet tidied up, about to start.
_STATUS = {"stopping": "running", "stopped": "exited", "initialized": "created"}


def connect(docker_host: Optional[str], deadline: Deadline) -> "Engine":
    """The engine at ``docker_host`` (unix://, tcp://, ssh://); None: ``DOCKER_HOST``, else the default socket.

    TLS by the docker command's own variables. Raises OptionsError where the address is not valid, TargetError where
    no engine answers, DeadlineError where it takes too long.
    """
    host = docker_host or os.environ.get("DOCKER_HOST") or DEFAULT
    engine = Engine(host, way_to(host))
    try:
        engine.negotiate(deadline)
    except OncallError:
        engine.close()
        raise
    return engine


class File(NamedTuple):
    """A file of a container: its permission bits, its owner, what is in it (at most 64 KiB), where it links to."""

    mode: int
    uid: int
    text: str
    link: str = ""


class Engine(Api):
    """One engine, shared by all threads. ``command``: the name of its own command, docker or podman."""

    def __init__(self, host: str, way: Way) -> None:
        super().__init__(host, way)
        self.command = "docker"
        self._ahead = 0.0
        self._toolboxes = Toolboxes(self)
        self.toolbox = self._toolboxes.run

    def negotiate(self, deadline: Deadline) -> None:
        """Agree on the API's version: one that this file knows, unless the engine is too new to speak it."""
        try:
            answer = self.ask("GET", "/version", deadline)
            version = json.loads(answer.body)
            newest, oldest = _version(version["ApiVersion"]), _version(version.get("MinAPIVersion"))
        except (EngineError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise TargetError(
                "What answers at %s is not a container engine: %s" % (self.host, error), "Check docker_host."
            ) from error
        if newest < OLDEST_API:
            raise TargetError(
                "The engine at %s is %s (API %d.%d)" % ((self.host, version.get("Version")) + newest),
                "Docker Engine 20.10 (or Podman's API 1.41) or newer is required.",
            )
        self.prefix = "/v%d.%d" % max(min(newest, NEWEST_API), oldest)
        components = version.get("Components") or []
        if any(str(part.get("Name")).startswith("Podman") for part in components):
            self.command = "podman"
        date = parsedate_tz(answer.headers.get("Date") or "")
        if date and not self.local:
            self._ahead = mktime_tz(date) - time.time()

    def now(self) -> float:
        """Seconds of the epoch by the engine's clock."""
        return time.time() + self._ahead

    def inspect(self, container: str, deadline: Deadline) -> Dict[str, Any]:
        """A container, its status in Docker's words."""
        found: Dict[str, Any] = self.get("/containers/%s/json" % container, deadline)
        found["State"]["Status"] = _STATUS.get(found["State"]["Status"], found["State"]["Status"])
        return found

    def top(self, container: str, deadline: Deadline) -> Dict[str, Any]:
        """The processes of a running container, for ``containers.rows``."""
        found: Dict[str, Any] = self.get("/containers/%s/top" % container, deadline, ps_args=_PS_ARGS[self.command])
        return found

    def logs(
        self,
        container: str,
        tail: Optional[int],
        deadline: Deadline,
        tty: bool = False,
        since: float = 0,
        until: float = 0,
        stamped: bool = False,
    ) -> str:
        """The last lines of both streams, as text; with ``tail`` None all, as far as MAX_OUTPUT goes.

        A container with a terminal has no framing (``tty``). ``stamped``: each line begins with the engine's time.
        """
        path = "/containers/%s/logs" % container
        params = {"stdout": 1, "stderr": 1, "tail": "all" if tail is None else tail, "since": int(since)}
        params.update({"until": int(until)} if until else {}, timestamps=int(stamped))
        with self.answer("GET", path, deadline, None, params) as answer:
            content = answer.read(MAX_OUTPUT)
        if not tty:
            frames = Frames()
            frames.feed(content)
            content = frames.both()
        return _text(content)

    def run(
        self,
        container: str,
        argv: Sequence[str],
        deadline: Deadline,
        stdin: str = "",
        environment: Optional[Mapping[str, str]] = None,
        user: str = "",
    ) -> Completed:
        """Run a command in a running container (``user`` empty: the image's). EngineError 409 where it is not running.

        At the deadline the command is left to itself: its input and output end, which ends whatever we send.
        """
        what = "run %s in container %s" % (argv[0], container[:12])
        created = self.request(
            "POST",
            "/containers/%s/exec" % container,
            deadline,
            {
                "Cmd": list(argv),
                "User": user,
                "Env": ["%s=%s" % item for item in (environment or {}).items()],
                "AttachStdin": True,
                "AttachStdout": True,
                "AttachStderr": True,
                "Tty": False,
            },
        )
        path = "/exec/%s" % created["Id"]
        stream = self.hijack(path + "/start", deadline, {}, {"Detach": False, "Tty": False}, what)
        out, err = stream.talk(stdin.encode("utf-8", "surrogateescape"), deadline)
        while True:  # the streams end a moment before the engine notes the exit code
            state = self.get(path + "/json", deadline)
            if not state["Running"] and state["ExitCode"] is not None:
                return Completed(state["ExitCode"], _text(out), _text(err))
            if deadline.passed():
                raise DeadlineError("Tried to %s: its output ended, but the command is still running" % what)
            time.sleep(0.005)

    def containers(self, deadline: Deadline, *labels: str) -> List[Dict[str, Any]]:
        """All containers (stopped ones too) that carry all ``labels``."""
        filters = json.dumps({"label": labels})
        found: List[Dict[str, Any]] = self.get("/containers/json", deadline, all=1, filters=filters)
        return found

    def volumes(self, deadline: Deadline, label: str) -> List[Dict[str, Any]]:
        answer = self.get("/volumes", deadline, filters=json.dumps({"label": [label]}))
        return list(answer.get("Volumes") or [])

    def networks(self, deadline: Deadline, label: str) -> List[Dict[str, Any]]:
        return list(self.get("/networks", deadline, filters=json.dumps({"label": [label]})))

    def file(self, container: str, path: str, deadline: Deadline) -> Optional[File]:
        """A file or directory of a container that may be stopped; None when it is not there."""
        try:
            with self.answer("GET", "/containers/%s/archive" % container, deadline, None, {"path": path}) as answer:
                return _first(answer)
        except tarfile.TarError as error:
            raise TargetError("The engine at %s returned no archive of %s" % (self.host, path)) from error
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def close(self) -> None:
        """Hang up. Toolboxes that a thread is still waiting for, past its deadline, are removed before."""
        self._toolboxes.close()
        super().close()


def _first(archive: Any) -> Optional[File]:
    """The thing itself; what is in a directory is not read."""
    with tarfile.open(fileobj=archive, mode="r|", bufsize=tarfile.BLOCKSIZE) as opened:
        entry = opened.next()
        if entry is None:
            return None
        content = opened.extractfile(entry) if entry.isfile() else None
        text = _text(content.read(65536)) if content else ""
        return File(entry.mode, entry.uid, text, entry.linkname if entry.issym() else "")


def _version(text: Any) -> Tuple[int, int]:
    major, _dot, minor = str(text or "0.0").partition(".")
    return int(major), int(minor)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
