# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hard a server is pressed at this moment: its memory, its log, and how it answers. Reads only."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from ..._core.errors import DeadlineError, DownError, OncallError, SessionError, TargetError
from ..._core.times import utc
from ..sql.pressure import PROBE
from .logs import MOST_BYTES, logged
from .used import USED_SH, Used

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.pressure import LogCounts, Sample
    from ..target import Target

PROBE_SECONDS = 5.0  # whoever waits longer for a connection has none
_READ = {"stderr", "csvlog", "jsonlog"}
SINCE_SECONDS = 300.0  # how far back the log is read, where nobody says


def sample(
    target: Target, since: Optional[float], deadline: Deadline
) -> Tuple[Sample, Optional[Dict[str, Any]], List[str]]:
    """(what was read, what the server said of itself, what was not looked at). ``since``: seconds of the epoch.

    Raises AnotherServerError and what is wrong with the options: a server that does not answer is a result.
    """
    missing: List[str] = []
    answer: Optional[Dict[str, Any]] = None
    error: Optional[str] = None
    begun = time.monotonic()
    try:
        answer = target.session.query(PROBE, deadline.sooner(PROBE_SECONDS))[0]
    except (SessionError, DeadlineError, DownError) as failed:
        error = str(failed)
    took = round((time.monotonic() - begun) * 1000, 1)
    used = _beside(target, deadline, missing)
    now = used.now or time.time()
    found: Sample = {
        "at": utc(now) or "",
        "memory": used.memory(),
        "swap": used.swap(),
        "oom_kills": used.oom_kills(),
        "log": _logged(target, used, answer, now - SINCE_SECONDS if since is None else since, now, deadline, missing),
        "probe": {"milliseconds": None if answer is None else took, "error": error},
        "connections": None if answer is None else answer["connections"],
        "started": None if answer is None else answer["started"],
    }
    return found, answer, missing


def _beside(target: Target, deadline: Deadline, missing: List[str]) -> Used:
    directory = target.runtime.session_settings().get("data_directory") or ""
    try:
        done = target.runtime.run_beside(["sh", "-c", USED_SH, "-", directory, str(MOST_BYTES)], deadline)
    except OncallError as error:
        missing.append("memory: %s" % error)
        return Used("")
    used = Used(done.out)
    if done.code:
        said = (done.err.strip().splitlines() or ["no reason given"])[-1]
        missing.append("memory: reading it beside the server failed: %s" % said)
    elif not used.knows_limits:
        missing.append(
            "memory: the server's cgroup cannot be read, so these are its host's: run this as root, or as its OS user"
        )
    return used


def _logged(
    target: Target,
    used: Used,
    answer: Optional[Dict[str, Any]],
    since: float,
    now: float,
    deadline: Deadline,
    missing: List[str],
) -> Optional[LogCounts]:
    # A server that writes nowhere else still has a log, with a few lines of its start.
    if answer and not _READ & set(re.findall(r"\w+", answer["log_destination"].lower())):
        missing.append("log: log_destination is %s, which is not read: add stderr to it" % answer["log_destination"])
        return None
    try:
        found = logged(target, used.collected, since, now, deadline)
    except (TargetError, DeadlineError) as error:
        missing.append("log: %s" % error)
        return None
    if found is None:
        missing.append(
            "log: its lines have no time that can be read: have %m in log_line_prefix, and log_timezone UTC (the "
            "abbreviation of some zones has several meanings)"
        )
    return found
