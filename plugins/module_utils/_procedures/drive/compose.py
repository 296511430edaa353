# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server in a container: started and stopped by its engine, never by SIGKILL."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import DeadlineError, OncallError, TargetError
from ..._core.wait import wait_for
from ..._gather.runtime.compose import containers
from ..._gather.runtime.compose.api import EngineError
from ..._gather.runtime.compose.project import container_name
from ..._gather.runtime.compose.runtime import STOP_SIGNALS, plain_environment
from ..._gather.shell import RUNS_IN_PART
from . import auto_conf, engine
from .base import Trial, placed, refuse_shared
from .containers import DrivenContainer

if TYPE_CHECKING:
    from ..._gather.runtime.base import Completed
    from ..._gather.runtime.compose.project import Inspection
    from ..._gather.runtime.compose.runtime import ComposeRuntime
    from ..._model.facts import DirectoryUser
    from .base import Container

_LIVE = ("running", "paused")
_INTERRUPT_SH = (
    RUNS_IN_PART
    + r"""
data=${1:-$PGDATA}
read -r pid <"$data/postmaster.pid" || exit 3
runs_in "$pid" "$data" || { echo "postmaster.pid names no server of $data"; exit 3; }
[ -n "$2" ] || { kill -INT "$pid"; exit; }
(sleep "$2"; kill -INT "$pid") </dev/null >/dev/null 2>&1 &
"""
)
_EARLY_SECONDS = 3  # for Podman to note that it stops the container: if it ended before, its policy would restart it
_LOOK_SECONDS = 5.0
# What a container of ours has in common with the server's, so that what it can start the server can.
_LIMITS = (
    "Memory",
    "MemorySwap",
    "ShmSize",
    "GroupAdd",
    "NanoCpus",
    "CpuPeriod",
    "CpuQuota",
    "CpusetCpus",
    "CgroupParent",
    "UsernsMode",
    "Tmpfs",
)
_RUNTIME_FILES = ("/tmp", "/run", "/var/run", "/var/log", "/var/tmp", "/var/cache", "/root", "/dev", "/proc", "/sys")


class ComposeDrive:
    """See ``Drive``. What goes wrong beside the point is told in the runtime's ``errors``."""

    def __init__(self, runtime: ComposeRuntime) -> None:
        self._runtime = runtime

    def start(self, deadline: Deadline) -> None:
        inspected = self._runtime.look_again(deadline)
        if inspected is None:
            raise TargetError(
                "Service %s of project %s has no container to start" % (self._runtime.service, self._runtime.project),
                "Create it from its Compose file: %s compose up -d %s."
                % (self._runtime.engine_command, self._runtime.service),
            )
        refuse_shared(self._runtime.used_by(deadline))
        if inspected["State"]["Status"] == "restarting":
            self._end_waiting(inspected, deadline)
        try:
            engine.start(self._runtime.view(deadline).engine, inspected["Id"], deadline)
        finally:
            self._runtime.look_again(deadline)

    def _end_waiting(self, inspected: Inspection, deadline: Deadline) -> None:
        """Of the engine, which lets up to a minute pass before its restart policy tries again. No process is there."""
        own = containers.stop_signal(inspected)
        if own is None or own not in STOP_SIGNALS:
            return
        with contextlib.suppress(OncallError):
            engine.ask(self._runtime.view(deadline).engine, inspected["Id"], int(own), deadline)
        wait_for(self._waiting, lambda waiting: not waiting, min(_LOOK_SECONDS, deadline.left()), 0.05)

    def _waiting(self) -> bool:
        inspected = self._runtime.look_again(Deadline(_LOOK_SECONDS))
        return inspected is not None and inspected["State"]["Status"] == "restarting"

    def used_by(self, deadline: Deadline) -> List[DirectoryUser]:
        return self._runtime.used_by(deadline)

    def stop(self, deadline: Deadline) -> bool:
        """The stop signal tells the engine that no restart policy is to bring the container back."""
        inspected = self._runtime.look_again(deadline)
        if inspected is not None and inspected["State"]["Status"] in _LIVE:
            container, own = inspected["Id"], containers.stop_signal(inspected)
            number = own if own in STOP_SIGNALS else signal.SIGINT
            direct = number == signal.SIGINT and self._is_first_process(inspected, deadline)
            served = self._runtime.view(deadline).engine
            early = not direct and served.command == "podman"  # runs no command in a container that it is stopping
            if early:
                self._interrupt(deadline, _EARLY_SECONDS)
            with contextlib.suppress(DeadlineError):  # what counts is whether it ends
                (engine.ask if number == own else engine.send)(served, container, int(number), deadline)
            if not direct and not early:
                self._interrupt(deadline)
        return wait_for(self._still_alive, lambda alive: not alive, deadline.left(), 0.05).ok

    def alive(self, deadline: Deadline) -> bool:
        inspected = self._runtime.look_again(deadline)
        return inspected is not None and inspected["State"]["Status"] in _LIVE

    def trial(self, deadline: Deadline) -> Trial:
        """In a toolbox of the same image and limits, where it takes no memory from the server, in its network."""
        inspected = self._runtime.look_again(deadline)
        settings = self._runtime.session_settings()
        directory = settings["data_directory"]
        if inspected is None or directory is None:
            raise TargetError("the data directory of service %s is not known" % self._runtime.service)
        view = self._runtime.view(deadline)
        words = self._runtime.server_arguments(inspected, directory, deadline)
        configuration, words = placed(words, directory)
        if containers.mount_of(inspected, directory) is None:
            raise TargetError("the data is not on a volume, but in container %s" % container_name(inspected))
        user = next(self._runtime.users(view, inspected, deadline))

        def run(argv: Sequence[str], within: Deadline) -> Completed:
            return view.engine.toolbox(
                inspected["Image"],
                argv,
                within,
                volumes_from=inspected["Id"],
                network_mode="container:" + inspected["Id"],
                user=user,
                environment=plain_environment(inspected),
                limits=_limits(inspected),
            )

        changed = self._changed(inspected, deadline)
        inside = self._runtime.run_beside if changed else None
        return Trial(settings["bin_directory"] or "", configuration, directory, words, run, inside)

    def altered(self, deadline: Deadline) -> Dict[str, str]:
        return auto_conf.read(*self._at_rest(False, deadline))

    def alter(self, taken: Sequence[str], added: Mapping[str, str], deadline: Deadline) -> List[Dict[str, str]]:
        return auto_conf.alter(*self._at_rest(True, deadline), taken, added)

    def _at_rest(self, writable: bool, deadline: Deadline) -> Tuple[auto_conf.Run, str]:
        """In a toolbox of the same image, as the server's user: its own container is down. (what runs, directory)"""
        inspected = self._runtime.look_again(deadline)
        directory = self._runtime.session_settings()["data_directory"]
        if inspected is None or directory is None:
            raise TargetError("the data directory of service %s is not known" % self._runtime.service)
        if containers.mount_of(inspected, directory) is None:
            raise TargetError("the data is not on a volume, but in container %s" % container_name(inspected))
        view = self._runtime.view(deadline)
        container, image = inspected["Id"], inspected["Image"]
        user, environment = next(self._runtime.users(view, inspected, deadline)), plain_environment(inspected)

        def run(words: Sequence[str]) -> Completed:
            return view.engine.toolbox(
                image, words, deadline, volumes_from=container, writable=writable, user=user, environment=environment
            )

        return run, directory

    def _changed(self, inspected: Inspection, deadline: Deadline) -> bool:
        """Whether its file system has programs, libraries or configuration that its image lacks."""
        changes = self._runtime.view(deadline).engine.get("/containers/%s/changes" % inspected["Id"], deadline) or []
        own = (*_RUNTIME_FILES, *(mount["Destination"] for mount in inspected.get("Mounts") or []))
        paths = [each["Path"] for each in changes]
        above = {parent for path in paths for parent in _parents(path)}
        return any(path not in above and not any((path + "/").startswith(each + "/") for each in own) for path in paths)

    def containers(self, deadline: Deadline) -> Optional[List[Container]]:
        view = self._runtime.view(deadline)
        return [
            DrivenContainer(view, option.service, inspected)
            for option in self._runtime.declared
            for inspected in view.clients.get(option.service, [])
        ]

    def _still_alive(self) -> bool:
        """While waiting for its end: an engine that says nothing for a moment is no reason to give up half way. The
        last look comes after the deadline, so each has its own."""
        try:
            return self.alive(Deadline(_LOOK_SECONDS))
        except OncallError as error:
            self._runtime.errors["stop"] = str(error)
            return True

    def _is_first_process(self, inspected: Inspection, deadline: Deadline) -> bool:
        try:
            top = self._runtime.view(deadline).engine.top(inspected["Id"], deadline)
        except EngineError:
            return False
        found = containers.postmaster(containers.rows(top))
        return found is not None and found["pid"] == inspected["State"].get("Pid")

    def _interrupt(self, deadline: Deadline, after_seconds: Optional[int] = None) -> None:
        """SIGINT to the postmaster itself: SIGTERM waits for every session, and a shell in front passes on none.

        What goes wrong is no reason to give up: the stop signal was sent, and whether the server ends is waited for.
        """
        directory = self._runtime.known_directory(deadline) or ""
        later = "" if after_seconds is None else str(after_seconds)
        try:
            done = self._runtime.run_beside(["sh", "-c", _INTERRUPT_SH, "oncall", directory, later], deadline)
        except OncallError as error:
            self._runtime.errors["stop"] = str(error)
            return
        if done.code:  # 137: the container has ended around it
            self._runtime.errors["stop"] = (done.err or done.out).strip()[:200] or "exit code %d" % done.code


def _limits(inspected: Inspection) -> Dict[str, Any]:
    host = inspected["HostConfig"]
    limits = {name: host[name] for name in _LIMITS if host.get(name)}
    limits["Ulimits"] = containers.ulimits(inspected)
    kernel = {name: value for name, value in (host.get("Sysctls") or {}).items() if name.startswith(("kernel.", "fs."))}
    return {**limits, **({"Sysctls": kernel} if kernel else {})}


def _parents(path: str) -> List[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]
