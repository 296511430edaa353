# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs and the description of a Compose project's containers, read no further than they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List, NamedTuple, Optional, Set, Tuple

from ..._core.side_by_side import side_by_side
from ..runtime.compose import containers
from ..runtime.compose.files import Files
from ..runtime.compose.project import container_name
from ..runtime.compose.stream import MAX_OUTPUT
from . import redact

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.evidence import Container, LogText
    from ..runtime.compose.engine import Engine
    from ..runtime.compose.project import Inspection, View
    from ..runtime.compose.runtime import ComposeRuntime

_LINES = 1000  # the engine cuts a line at 16 KiB, so that this is never more than MAX_OUTPUT
_WINDOWS = (600, 10)  # seconds before the end of the run before, as long as that is too much


class _Run(NamedTuple):
    name: str
    text: str
    cut: bool


def look(
    runtime: ComposeRuntime, secrets: Set[str], most: int, deadline: Deadline
) -> Tuple[List[LogText], List[Container], List[str]]:
    """The logs (``most`` characters of all of them together), the containers, and what could not be read."""
    view = runtime.view(deadline)
    found = [each for each in [view.server, *(one for all_ in view.clients.values() for one in all_)] if each]
    missing = [
        "%s: service %s has no container; one that was removed left no log" % (what, service)
        for what, service, there in (
            ("server", runtime.service, view.server),
            *(("client", name, all_) for name, all_ in view.clients.items()),
        )
        if not there
    ]
    for each in found:
        secrets.update(redact.secrets_of(containers.environment(each), Files(view, each, deadline).read))
    for client in runtime.clients():
        if client.login is not None and client.login.password:
            secrets.add(client.login.password)
    hidden = sorted(secrets)
    share = most // (2 * max(1, len(found)))
    outcome = side_by_side({each["Id"]: _reading(view, each, deadline) for each in found}, deadline)
    logs: List[LogText] = []
    for each in found:
        name = container_name(each)
        if each["Id"] in outcome.errors:
            missing.append("log of %s: %s" % (name, outcome.errors[each["Id"]]))
            continue
        runs, why_not = outcome.values[each["Id"]]
        missing += ["log of %s: %s" % (name, why_not)] if why_not else []
        for run in runs:
            text, cut = _end(run.text, share)
            logs.append({"name": name, "run": run.name, "cut": cut or run.cut, "text": redact.log(text, hidden)})
    return logs, [{"name": container_name(each), "inspect": redact.inspected(each, hidden)} for each in found], missing


def _reading(view: View, inspected: Inspection, deadline: Deadline) -> Callable[[], Tuple[List[_Run], str]]:
    return lambda: _runs(view.engine, inspected, deadline.sooner(max(0.1, deadline.left() - 0.3)))


def _runs(engine: Engine, inspected: Inspection, deadline: Deadline) -> Tuple[List[_Run], str]:
    """The last run and the one before, and why that is missing. A container has one log for all of its runs."""
    tty = bool(inspected["Config"].get("Tty"))

    def read(tail: Optional[int], since: float = 0, until: float = 0) -> str:
        return engine.logs(inspected["Id"], tail, deadline, tty, since, until, stamped=True)

    border, ended = _border(inspected)
    text = read(_LINES)
    first, last = _split(text, border)
    whole = text.count("\n") < _LINES
    runs = [_Run("last", last, not whole and not first)]
    if border is None:
        return runs, ""
    if first or whole:
        return [
            *runs,
            _Run("before", first, not whole),
        ], "" if first else "there was no run before, or nothing is left of it"
    for seconds in _WINDOWS if ended else ():
        earlier = read(None, ended - seconds, border + 1)
        if len(earlier) < MAX_OUTPUT // 2:
            before = _split(earlier, border)[0]
            why_not = "" if before else "the run before wrote nothing in its last %d seconds" % seconds
            return [*runs, _Run("before", before, True)], why_not
    return runs, "the run before wrote too much, or it is not known when it ended"


def _border(inspected: Inspection) -> Tuple[Optional[float], float]:
    """Seconds of the epoch between two runs, None where there was one only; and when the earlier one ended, or 0."""
    state = inspected["State"]
    started, finished = containers.seconds(state.get("StartedAt")), containers.seconds(state.get("FinishedAt"))
    if started is None or finished is None:  # it runs for the first time
        return None, 0
    if finished < started:  # the engine notes both a moment late
        return (started + finished) / 2, finished
    return started - 0.05, 0


def _split(text: str, border: Optional[float]) -> Tuple[str, str]:
    """What was written before and after."""
    if border is None:
        return "", text
    lines = text.splitlines(True)
    times = (containers.seconds(line.partition(" ")[0]) for line in lines)
    place = next((number for number, at in enumerate(times) if at is not None and at > border), len(lines))
    return "".join(lines[:place]), "".join(lines[place:])


def _end(text: str, most: int) -> Tuple[str, bool]:
    """The last whole lines."""
    if len(text) <= most:
        return text, False
    return text[-most:].partition("\n")[2], True
