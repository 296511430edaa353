# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to SQL when no slot is left: one is freed, SQL is tried, more are freed where others took it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from ..._core.deadline import Deadline
from ..._core.errors import RefusedError, SessionError, UnprovenError
from . import free_slot, look
from .by_title import Titled
from .guard import Looked, Request
from .plan import NO_SLOT, TOO_MANY_CONNECTIONS, Job, State, first_slot
from .shown import freed

if TYPE_CHECKING:
    from ..._gather.sql.query import Query
    from ..._gather.target import Target

_GET_IN_SECONDS = 2.0  # for a slot that was freed to be ours
_ROUNDS = 8


class Way:
    """``request`` says whose slots may be freed; ``freed``: whose were."""

    def __init__(self, target: Target, job: Job, request: Request) -> None:
        self._target, self._job, self._request = target, job, request
        self.freed: List[Titled] = []

    def look(self, query: Query) -> Looked:
        return Looked.of(self.ask(query)[0], self._target.shown, self._target.session.pooled)

    def ask(self, query: Query, **params: Any) -> List[Dict[str, Any]]:
        """The query's rows. Raises RefusedError, while no session was ended, or UnprovenError where there is no way."""
        patience = 0.0
        for round_ in range(_ROUNDS):
            try:
                return self._get_in(query, params, patience)
            except SessionError as error:
                if look.is_full(self._target):
                    self._free(2**round_, error)
                    patience = _GET_IN_SECONDS
                elif round_:  # not at the first time: a slot may have been freed since
                    raise
        return self._get_in(query, params, patience)

    def _get_in(self, query: Query, params: Mapping[str, Any], seconds: float) -> List[Dict[str, Any]]:
        """Others wait for the freed slot, too: be quick, and try again."""
        patience = Deadline(seconds)
        while True:
            try:
                return self._target.session.query(query, Deadline(self._target.deadline_seconds), **params)
            except SessionError:
                if patience.passed():
                    raise

    def _free(self, number: int, error: SessionError) -> None:
        """Slots of ``number`` sessions: each time more, for others take them at once."""
        number = min(number, self._job.max_sessions - len(self.freed))
        if number < 1:
            raise self._in_vain("others take them at once", "Stop or restart those clients, or raise max_sessions")
        deadline = Deadline(self._target.deadline_seconds)
        titles = free_slot.identified(self._target, free_slot.roll(self._target, deadline))
        state = State(look.rules_of(self._target, self._job), titles=tuple(titles))
        try:
            choice = first_slot(state, self._job, self._request)
        except RefusedError as refused:
            if not self.freed:
                raise
            raise self._in_vain(refused.msg, refused.hint) from error
        if not choice.take:
            raise self._in_vain("no other session matches", "Restart a client") from error
        self.freed += free_slot.terminate(self._target, choice.take[:number], deadline)

    def _in_vain(self, why: str, hint: str) -> UnprovenError:
        return UnprovenError(
            "%s, though %d were freed: %s" % (NO_SLOT, len(self.freed), why),
            hint.rstrip(".") + ".",
            TOO_MANY_CONNECTIONS,
            {"freed": [freed(one) for one in self.freed], "sessions": [], "reached": False, "changed": True},
        )
