# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server stands on, read by one POSIX shell script: where the server runs, or beside its stopped files."""
from __future__ import annotations

from typing import Dict, List, Optional, Sequence, TypedDict

from .._facts import Configuration, ControlData, DataDirectory, Disk, Listening, LockFile


class Look(TypedDict):
    """What the script brought back; null or empty where a reading failed (``errors``: reading -> what it said)."""

    data_directory: Optional[DataDirectory]
    disks: List[Disk]
    lock_file: Optional[LockFile]
    control: Optional[ControlData]
    configuration: Optional[Configuration]  # null unless asked with ``stopped``
    listening: Optional[List[Listening]]
    nofile_soft: Optional[int]
    nofile_hard: Optional[int]
    log_text: Optional[str]  # the last lines of the collector's log file, unmasked: give it to _log.classify only
    log_path: Optional[str]
    postmaster_cwd: Optional[str]  # the data directory of the running postmaster, by /proc
    errors: Dict[str, str]


def script(data_directory: Optional[str], bin_directory: Optional[str], stopped: bool,
           arguments: Sequence[str] = (), log_lines: int = 100) -> str:
    """The text for ``sh -c`` (dash, busybox, bash); it changes nothing, and always exits 0.

    ``data_directory`` None: that of the running postmaster, else ``$PGDATA``. ``stopped`` adds what only a server that
    is down needs (is the checkpoint readable, is the configuration valid), with the server's own ``arguments``.
    """
    raise NotImplementedError


def parse(out: str) -> Look:
    """The script's output as facts; whatever is missing or strange becomes null, never an exception."""
    raise NotImplementedError
