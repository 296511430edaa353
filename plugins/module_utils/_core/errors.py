# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One tree of exceptions. ``_module.run()`` is the only place that turns one into ``fail_json``."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence


class OncallError(Exception):
    """What was tried and what came back (``msg``), and what to do next (``hint``); one line when printed.

    ``sqlstate`` is the five-character code where PostgreSQL gave one, else None. ``details`` is what had been
    gathered or done when it went wrong; the module returns it, so that nothing is lost. ``touched``: something may have
    been changed before it was raised.
    """

    touched = False

    def __init__(
        self, msg: str, hint: str = "", sqlstate: Optional[str] = None, details: Optional[Mapping[str, Any]] = None
    ) -> None:
        super().__init__(msg)
        self.msg = msg
        self.hint = hint
        self.sqlstate = sqlstate
        self.details = dict(details or {})

    def __str__(self) -> str:
        code = " (SQLSTATE %s)" % self.sqlstate if self.sqlstate else ""
        hint = " %s" % self.hint if self.hint else ""
        end = "" if not code and self.msg.endswith("?") else "."
        return "%s%s%s%s" % (self.msg.rstrip("."), code, end, hint)


class OptionsError(OncallError):
    """The options contradict each other, or something they need is missing on this host."""


class TargetError(OncallError):
    """The target cannot be examined: no engine, no permission, no such project or service."""


class DownError(TargetError):
    """The target does not run: there is nobody to ask."""


class AnotherServerError(OncallError):
    """Another server answers than the one that is meant; it was told and asked nothing. ``found``: as in the facts."""

    def __init__(self, msg: str, hint: str, found: Any) -> None:
        super().__init__(msg, hint)
        self.found = found


class SessionError(OncallError):
    """SQL did not get through: no connection, or the statement failed (``sqlstate`` says which)."""


class RightsError(SessionError):
    """Not sent, for the server would refuse it and log an error. ``missing``: what we may not read."""

    def __init__(self, msg: str, missing: Sequence[str]) -> None:
        super().__init__(msg, sqlstate="42501")
        self.missing = tuple(missing)


class DeadlineError(OncallError):
    """A step did not answer before its deadline."""


class VersionError(OncallError):
    """The server is older than the oldest PostgreSQL this collection knows."""


class RefusedError(OncallError):
    """A change that is not safe now; nothing was touched. The message says why, the hint what would make it safe."""


class UnprovenError(OncallError):
    """A change was made but its proof failed; the message says what was restored and what was not."""

    touched = True
