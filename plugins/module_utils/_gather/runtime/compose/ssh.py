# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to another host's engine: ``ssh HOST docker system dial-stdio``, as the docker command itself goes.

Each connection is one end of a socket pair, so that it is a socket like any other, with time-outs; all share one ssh
session.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from typing import TYPE_CHECKING, List
from urllib.parse import urlsplit

from ...._core.errors import OptionsError

if TYPE_CHECKING:
    from ...._core.deadline import Deadline


class Tunnel:
    """Connections to the engine of ``ssh://[user@]host[:port]``."""

    def __init__(self, url: str) -> None:
        if not shutil.which("ssh"):
            raise OptionsError(
                "docker_host=%s needs the ssh command, which is missing on this host" % url,
                "Install it: apt install openssh-client.",
            )
        parts = urlsplit(url)
        if not parts.hostname:
            raise OptionsError("docker_host=%s names no host" % url, "Write ssh://user@host.")
        # A short path: a Unix socket's name may have 107 bytes, and ssh appends 17 of its own.
        self._directory = tempfile.mkdtemp(prefix="oncall-", dir="/tmp" if os.path.isdir("/tmp") else None)
        self._control = os.path.join(self._directory, "s")
        self._options = [
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=10",
            "-o",
            "ControlMaster=auto",
            "-o",
            "ControlPersist=30",
            "-o",
            "ControlPath=" + self._control,
        ]
        if parts.username:
            self._options += ["-l", parts.username]
        if parts.port:
            self._options += ["-p", str(parts.port)]
        self._host = parts.hostname
        self._stderr = os.path.join(self._directory, "stderr")
        self._processes: List["subprocess.Popen[bytes]"] = []

    def dial(self, deadline: Deadline) -> socket.socket:
        # Whatever goes wrong is seen by the first read: ssh says why, and hangs up.
        ours, theirs = socket.socketpair()
        with theirs, open(self._stderr, "ab") as stderr:
            self._processes.append(
                subprocess.Popen(
                    ["ssh"] + self._options + ["--", self._host, "docker system dial-stdio"],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=stderr,
                    start_new_session=True,
                )
            )
        return ours

    def said(self) -> str:
        """The last line that ssh, or docker over there, has complained with."""
        try:
            with open(self._stderr, encoding="utf-8", errors="replace") as stderr:
                lines = [line.strip() for line in stderr if line.strip() and not line.startswith("Warning: ")]
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""

    def close(self) -> None:
        """End the shared session and every process of it."""
        if os.path.exists(self._control):  # the shared session, which would stay for a while
            self._processes.append(
                subprocess.Popen(
                    ["ssh"] + self._options + ["-O", "exit", "--", self._host],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        for process in self._processes[::-1]:
            try:
                process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
