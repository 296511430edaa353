# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of which nothing can be seen but the wire: it cannot be moved, and each attempt says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence

from ..._core.errors import TargetError

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._gather.runtime.remote import RemoteRuntime
    from ..._model.facts import DirectoryUser
    from .base import Container, Trial


class RemoteDrive:
    """See ``Drive``."""

    def __init__(self, runtime: RemoteRuntime) -> None:
        self._host = runtime.host

    def start(self, deadline: Deadline) -> None:
        raise self._unseen("started")

    def used_by(self, deadline: Deadline) -> List[DirectoryUser]:
        raise self._unseen("watched")

    def stop(self, deadline: Deadline) -> bool:
        raise self._unseen("stopped")

    def alive(self, deadline: Deadline) -> bool:
        raise self._unseen("watched")

    def trial(self, deadline: Deadline) -> Trial:
        raise self._unseen("probed")

    def altered(self, deadline: Deadline) -> Dict[str, str]:
        raise self._unseen("examined")

    def alter(self, taken: Sequence[str], added: Mapping[str, str], deadline: Deadline) -> List[Dict[str, str]]:
        raise self._unseen("changed")

    def containers(self, deadline: Deadline) -> Optional[List[Container]]:
        return None

    def _unseen(self, what: str) -> TargetError:
        return TargetError(
            "%s cannot be %s: runtime=remote sees it over the network only" % (self._host, what),
            "Use runtime=compose or runtime=pg_ctl on the server's own host for that.",
        )
