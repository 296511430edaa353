# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL that fails because the target is down, while another server has its place: that one is named."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Iterator

from .._core.deadline import Deadline
from .._core.errors import AnotherServerError, DownError, SessionError
from .._model.identity import sentence

if TYPE_CHECKING:
    from .target import Target


@contextlib.contextmanager
def naming(target: Target) -> Iterator[None]:
    """Raises AnotherServerError in place of a DownError or SessionError from inside."""
    try:
        yield
    except (DownError, SessionError):
        found = target.runtime.in_its_place(Deadline(target.deadline_seconds))
        if found is None:
            raise
        hint = "Find out who started it: both are configured for this place."
        raise AnotherServerError(sentence(found), hint, found) from None
