# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's container, driven by the engine: started, asked to end, and asked how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Mapping, Optional

from ..._core.deadline import Deadline
from ..._core.errors import DeadlineError, TargetError
from ..._core.mask import mask
from ..._gather.client.health import check_health, page_command, read_page
from ..._gather.client.place import in_namespace
from ..._gather.runtime.compose import containers
from ..._gather.runtime.compose.api import EngineError
from ..._gather.runtime.compose.project import Inspection, View, container_name
from . import engine
from .base import Life

if TYPE_CHECKING:
    from ..._model.facts import Health

_CHECK_SECONDS = 30.0  # the engine's own default of a health check's time-out
_MARGIN_SECONDS = 0.25


class DrivenContainer:
    """See ``Container``. Looks anew each time; what it was at first is only its name."""

    def __init__(self, view: View, service: str, inspected: Inspection) -> None:
        self.service, self.name = service, container_name(inspected)
        self._view, self._engine, self._id = view, view.engine, str(inspected["Id"])

    def look(self, deadline: Deadline) -> Life:
        try:
            found = containers.lifecycle(self._inspect(deadline), self._engine.now())
        except EngineError as error:
            if error.status == 404:
                return Life("missing")
            raise
        return Life(
            found["state"],
            found["exit_code"],
            found["health"],
            found["engine_error"],
            found["started_at"],
            found["finished_at"],
        )

    def start(self, deadline: Deadline) -> None:
        engine.start(self._engine, self._id, deadline)

    def stop(self, deadline: Deadline) -> None:
        engine.stop(self._engine, self._id, deadline)

    def check(self, deadline: Deadline) -> Optional[str]:
        inspected = self._inspect(deadline)
        argv = health_command(inspected)
        if argv is None:
            return None
        if ((inspected["State"].get("Health")) or {}).get("Status") == "healthy":
            return "healthy"
        # Not its turn yet: the engine begins to count the interval, often 30 s, when the container starts.
        nanoseconds = (inspected["Config"].get("Healthcheck") or {}).get("Timeout") or 0
        try:
            done = self._engine.run(self._id, argv, deadline.sooner(nanoseconds / 1e9 or _CHECK_SECONDS))
        except DeadlineError:
            return "unhealthy: its health check did not finish in time"
        if done.code == 0:
            return "healthy"
        said = " ".join((done.err or done.out).split())
        return "unhealthy: its health check ended with exit code %d: %s" % (done.code, mask(said[-200:]))

    def page(self, url: str, deadline: Deadline) -> Health:
        inner = Deadline(deadline.left() - _MARGIN_SECONDS)
        pid = self._view.enterable(self._inspect(deadline))
        if pid is not None:
            return in_namespace(pid, lambda: check_health(url, "/proc/%d/root" % pid, inner), deadline)
        server, argv = self._view.server, page_command(url, inner.left())
        if server is None or argv is None:
            raise TargetError(
                "%s cannot be requested from the network of %s: the server's image can only request http://"
                % (mask(url), self.name),
                "Run as root beside the engine (become: true).",
            )
        done = self._engine.toolbox(server["Image"], argv, deadline, network_mode="container:" + self._id)
        return read_page(url, done.out, done.err)

    def _inspect(self, deadline: Deadline) -> Inspection:
        return self._engine.inspect(self._id, deadline)


def health_command(inspected: Mapping[str, Any]) -> Optional[List[str]]:
    """The command of a container's health check, as the engine runs it; None where it has none."""
    test = (inspected["Config"].get("Healthcheck") or {}).get("Test") or []
    if len(test) < 2 or test[0] not in ("CMD", "CMD-SHELL"):
        return None
    if test[0] == "CMD":
        return [str(word) for word in test[1:]]
    shell = inspected["Config"].get("Shell") or ["/bin/sh", "-c"]
    return [*shell, str(test[1])]
