# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that take turns in one task (``throttle: 1``). Ansible forks the worker of the next one before it has read what
the one before returned: what that one's worker says here, the next one knows at once."""

from __future__ import annotations

import mmap

_SIZE = 4096
_SHARED = mmap.mmap(-1, _SIZE)  # an action plugin is loaded in the parent: with all of its workers


def failed(task: str, host: str) -> None:
    """``task``: its id; the last one that is said counts."""
    said = ("%s\n%s" % (task, host)).encode()[: _SIZE - 1]
    _SHARED[: len(said) + 1] = said + b"\0"


def failed_before(task: str) -> str:
    """The host on which this task has failed, as far as is known."""
    last, _newline, host = _SHARED[:_SIZE].partition(b"\0")[0].decode(errors="replace").partition("\n")
    return host if last == task else ""
