# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server has logged since a moment, from wherever it logs to: a container's log, a file, the collector's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional

from ..._core.errors import TargetError
from ..runtime import processes
from ..runtime.log import counts

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.pressure import LogCounts
    from ..runtime.compose.runtime import ComposeRuntime
    from ..runtime.pg_ctl.runtime import PgCtlRuntime
    from ..target import Target

MOST_BYTES = 4 * 1024 * 1024  # of one log; what is older counts for nothing
_LINES = 20000


def logged(
    target: Target, collected: Mapping[str, str], since: float, until: float, deadline: Deadline
) -> Optional[LogCounts]:
    """Seconds of the epoch. ``collected``: the collector's log by its path, as far as it was read beside the server.

    None where no line has a time. Raises TargetError where there is no log to be read from here.
    """
    from ..runtime.compose.runtime import ComposeRuntime
    from ..runtime.pg_ctl.runtime import PgCtlRuntime

    runtime = target.runtime
    if isinstance(runtime, ComposeRuntime):
        texts = [*_of_container(runtime, since, deadline), *collected.values()]
    elif isinstance(runtime, PgCtlRuntime):
        texts = list(_of_files(runtime, collected).values())
    else:
        raise TargetError("runtime=%s sees the server over the network only" % runtime.name)
    if not texts:
        raise TargetError("no file of the server was found: set log_file")
    return counts(texts, since, until)


def _of_container(runtime: ComposeRuntime, since: float, deadline: Deadline) -> List[str]:
    view = runtime.view(deadline)
    if view.server is None:
        return []
    tty = bool(view.server["Config"].get("Tty"))
    return [view.engine.logs(view.server["Id"], _LINES, deadline, tty, since, stamped=True)]


def _of_files(runtime: PgCtlRuntime, collected: Mapping[str, str]) -> Dict[str, str]:
    postmaster = processes.postmaster(processes.of_directory(runtime.directory))
    texts = {os.path.realpath(path): text for path, text in collected.items()}
    for path in runtime.log_files(postmaster, bool(texts)):
        if os.path.realpath(path) not in texts:
            texts[os.path.realpath(path)] = _end(path)
    return texts


def _end(path: str) -> str:
    """The last whole lines."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_BYTES))
            data = file.read(MOST_BYTES)
    except OSError as error:
        raise TargetError("%s: %s" % (path, error.strerror or error)) from None
    return (data.partition(b"\n")[2] if size > MOST_BYTES else data).decode("utf-8", "replace")
