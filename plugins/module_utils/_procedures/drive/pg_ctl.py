# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on this host, started and stopped by pg_ctl, unless systemd has it in its care."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence

from ..._core.errors import TargetError
from ..._core.wait import wait_for
from ..._gather.runtime import processes as _processes
from . import auto_conf
from .base import Trial, placed, refuse_shared

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._gather.runtime.pg_ctl.runtime import PgCtlRuntime
    from ..._model.facts import DirectoryUser
    from .base import Container


class PgCtlDrive:
    """See ``Drive``."""

    def __init__(self, runtime: PgCtlRuntime) -> None:
        self._runtime, self._directory = runtime, runtime.directory

    def start(self, deadline: Deadline) -> None:
        directory, words = placed(self._runtime.arguments(), self._directory)
        refuse_shared(self.used_by(deadline))
        options = ["-o", " ".join(shlex.quote(word) for word in words)] if words else []
        self._pg_ctl(["start", "-W", "-D", directory, "-l", self._start_log(), *options], deadline)

    def used_by(self, deadline: Deadline) -> List[DirectoryUser]:
        return self._runtime.used_by()

    def stop(self, deadline: Deadline) -> bool:
        postmaster = _processes.postmaster(_processes.of_directory(self._directory))
        if postmaster is not None:
            self._runtime.standard_error = _processes.standard_error(postmaster.pid)
            try:
                # It sends one SIGINT and returns. Its own waiting would end with nothing more than a message, too.
                self._pg_ctl(["stop", "-W", "-m", "fast", "-D", self._directory], deadline)
            except TargetError:
                if _processes.postmaster(_processes.of_directory(self._directory)) is not None:
                    raise
        waited = wait_for(lambda: self.alive(deadline), lambda alive: not alive, deadline.left(), 0.02)
        self._runtime.forget()
        return waited.ok

    def alive(self, deadline: Deadline) -> bool:
        return bool(_processes.of_directory(self._directory))

    def trial(self, deadline: Deadline) -> Trial:
        configuration, words = placed(self._runtime.arguments(), self._directory)
        programs = os.path.dirname(self._runtime.program("postgres") or "")
        return Trial(programs, configuration, self._directory, words, self._runtime.run_beside)

    def altered(self, deadline: Deadline) -> Dict[str, str]:
        return auto_conf.read(self._beside(deadline), self._directory)

    def alter(self, taken: Sequence[str], added: Mapping[str, str], deadline: Deadline) -> List[Dict[str, str]]:
        return auto_conf.alter(self._beside(deadline), self._directory, taken, added)

    def _beside(self, deadline: Deadline) -> auto_conf.Run:
        return lambda words: self._runtime.run_beside(words, deadline)

    def containers(self, deadline: Deadline) -> Optional[List[Container]]:
        return None

    def _pg_ctl(self, words: Sequence[str], deadline: Deadline) -> None:
        program = self._runtime.program("pg_ctl")
        if program is None:
            raise TargetError("pg_ctl was not found beside the server", "Set bin_directory.")
        done = self._runtime.run_beside([program, *words], deadline, environment={"LC_ALL": "C"})
        self._runtime.forget()
        if done.code:
            said = " ".join((done.err or done.out).split())[:300]
            raise TargetError("pg_ctl %s failed: %s" % (words[0], said or "exit code %d" % done.code))

    def _start_log(self) -> str:
        """Where standard error goes: to the file it went to before. Never into the collector's own."""
        if self._runtime.log_file or self._runtime.standard_error:
            return str(self._runtime.log_file or self._runtime.standard_error)
        collected = [os.path.join(self._directory, folder) for folder in ("log", "pg_log")]
        known = [path for path in self._runtime.log_files(None, False) if os.path.dirname(path) not in collected]
        return known[0] if known else os.path.join(self._directory, "logfile")
