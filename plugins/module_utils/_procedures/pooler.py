# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be done safely through a connection pooler is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core.errors import RefusedError

if TYPE_CHECKING:
    from .._gather.target import Target


def refuse_pooled(target: Target, what: str, why: str) -> None:
    """Raises RefusedError where the target's session goes through one; it is known once a query was answered."""
    if target.session.pooled:
        raise refusal(what, why)


def refusal(what: str, why: str) -> RefusedError:
    """``what``: of this the pooler is in the way; ``why``: a clause."""
    return RefusedError(
        "%s is refused through a connection pooler: %s" % (what, why),
        "Log in to the server itself (login_host, login_port).",
    )
