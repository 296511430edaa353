# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on this host, started and stopped by pg_ctl, unless systemd has it in its care."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING, List, Optional, Sequence

from ..._core.errors import TargetError
from ..._core.wait import wait_for
from ..._gather.runtime import processes as _processes
from ..._gather.runtime.pg_ctl.runtime import user_name
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

    def obstacle(self, deadline: Deadline) -> Optional[str]:
        processes = _processes.of_directory(self._directory)
        postmaster = _processes.postmaster(processes)
        self._runtime.refuse(running=postmaster is not None)
        uid = self._runtime.server_uid(postmaster)
        if uid is None or uid == 0:
            return "cannot determine which user runs the server of %s: set os_user" % self._directory
        if os.geteuid() not in (0, uid):
            return "%s cannot act as %s: use become: true" % (user_name(os.geteuid()), user_name(uid))
        if postmaster is not None and self._runtime.lock_pid() not in (None, postmaster.pid):
            return "postmaster.pid names pid %s, not the server's own (%d): pg_ctl would signal the wrong process" % (
                self._runtime.lock_pid(),
                postmaster.pid,
            )
        service = _processes.unit(postmaster.pid) if postmaster is not None else self._debian_service()
        if service is not None:  # started by us it would be outside of its unit, and end with our session
            return "the server belongs to the systemd unit %s: use systemctl for it" % service
        if self._program("pg_ctl") is None:
            return "pg_ctl was not found beside the server: set bin_directory"
        return None

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
        programs = os.path.dirname(self._program("postgres") or "")
        return Trial(programs, configuration, self._directory, words, self._runtime.run_beside)

    def containers(self, deadline: Deadline) -> Optional[List[Container]]:
        return None

    def _pg_ctl(self, words: Sequence[str], deadline: Deadline) -> None:
        program = self._program("pg_ctl")
        if program is None:
            raise TargetError("pg_ctl was not found beside the server", "Set bin_directory.")
        done = self._runtime.run_beside([program, *words], deadline, environment={"LC_ALL": "C"})
        self._runtime.forget()
        if done.code:
            said = " ".join((done.err or done.out).split())[:300]
            raise TargetError("pg_ctl %s failed: %s" % (words[0], said or "exit code %d" % done.code))

    def _program(self, name: str) -> Optional[str]:
        programs = self._runtime.programs()
        if programs is None:
            return shutil.which(name)
        path = os.path.join(programs, name)
        return path if os.path.exists(path) else None

    def _start_log(self) -> str:
        """Where standard error goes: to the file it went to before. Never into the collector's own."""
        if self._runtime.log_file or self._runtime.standard_error:
            return str(self._runtime.log_file or self._runtime.standard_error)
        collected = [os.path.join(self._directory, folder) for folder in ("log", "pg_log")]
        known = [path for path in self._runtime.log_files(None, False) if os.path.dirname(path) not in collected]
        return known[0] if known else os.path.join(self._directory, "logfile")

    def _debian_service(self) -> Optional[str]:
        version, cluster = self._directory.split(os.sep)[-2:]
        known = os.path.exists(os.path.join("/etc/postgresql", version, cluster, "postgresql.conf"))
        if known and os.path.isdir("/run/systemd/system"):
            return "postgresql@%s-%s.service" % (version, cluster)
        return None
