# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A prepared transaction that nobody finished, finished: rolled back, or committed where that is asked for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from ..._core.deadline import Deadline
from ..._core.errors import RefusedError, SessionError, UnprovenError
from ..._core.mask import mask
from ..._core.spec import Spec
from ..._core.wait import wait_for
from ..procedure import Change
from .sql import COMMIT, PREPARED, ROLL_BACK, THERE

if TYPE_CHECKING:
    from ..._gather.target import Target

COMMITTED = "committed"
# undefined_object: somebody else has finished it; object_not_in_prerequisite_state: somebody else is at it
_FINISHED, _BUSY = "42704", "55000"
_QUERY_LENGTH = 200

OPTIONS = Spec(
    {
        "gid": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["rolled_back", "committed"], "default": "rolled_back"},
        "min_age_seconds": {"type": "float"},
    }
)


def change(target: Target, options: Mapping[str, Any], check_mode: bool) -> Change:
    gid, state = options["gid"], options["state"]
    least = options["min_age_seconds"]
    found = target.session.query(PREPARED, Deadline(target.deadline_seconds), gid=gid)[0]
    if found["gid"] is None:
        return _nothing(gid, state)
    details = _details(found)
    refusal = refuse(found, target.thresholds.blocked_seconds if least is None else least)
    if refusal:
        raise RefusedError(refusal[0], refusal[1], details=details)
    if not check_mode and not _finish(target, found, state):
        return _nothing(gid, state)
    details["msg"] = "%s was %s; it held up %d sessions" % (
        _named(found),
        state.replace("_", " "),
        len(found["blocks"]),
    )
    return Change(True, {"prepared_transaction": _named(found)}, {"prepared_transaction": None}, details)


def refuse(found: Mapping[str, Any], min_age_seconds: float) -> Any:
    """(why, what would make it safe), or None. Pure."""
    if found["in_recovery"]:
        return "This server is a standby, where no transaction can be finished", "Finish it on the primary."
    if found["age_seconds"] < min_age_seconds:
        return (
            "%s was prepared only %.0f s ago: its transaction manager may be about to finish it"
            % (_named(found), found["age_seconds"]),
            "Wait until it is %g s old, or lower min_age_seconds if its manager is known to be gone." % min_age_seconds,
        )
    if not found["ours"]:
        return (
            "%s is not %s's, and only its owner or a superuser may finish it" % (_named(found), found["us"]),
            "Set login_user.",
        )
    return None


def _finish(target: Target, found: Mapping[str, Any], state: str) -> bool:
    """False where somebody else was faster: then it is not known what became of it."""
    ours = True
    session = target.session.in_database(found["database"])
    try:
        query = COMMIT if state == COMMITTED else ROLL_BACK
        session.execute(query, Deadline(target.deadline_seconds), gid=found["gid"])
    except SessionError as error:
        if error.sqlstate not in (_FINISHED, _BUSY):
            raise
        ours = False
    finally:
        with contextlib.suppress(Exception):
            session.close()
    waited = wait_for(lambda: _there(target, found), lambda there: not there, target.deadline_seconds)
    if not waited.ok:
        raise UnprovenError(
            "%s is still there" % _named(found), "Somebody else may be at it; look again.", details=_details(found)
        )
    return ours


def _there(target: Target, found: Mapping[str, Any]) -> bool:
    """The very same one: its manager may have prepared another one under its name."""
    parameters = {"gid": found["gid"], "prepared": found["prepared"]}
    return bool(target.session.query(THERE, Deadline(target.deadline_seconds), **parameters))


def _nothing(gid: str, state: str) -> Change:
    msg = "There is no prepared transaction '%s'; if there was one, it is not known how it ended" % gid
    empty: Dict[str, Any] = dict.fromkeys(("owner", "database", "prepared", "age_seconds"))
    details = dict(empty, gid=gid, blocks=[], msg=msg)
    return Change(False, {"prepared_transaction": None}, {"prepared_transaction": None}, details)


def _details(found: Mapping[str, Any]) -> Dict[str, Any]:
    blocks = [dict(one, query=_shortened(one["query"])) for one in found["blocks"]]
    kept = ("gid", "owner", "database", "prepared", "age_seconds")
    return dict({name: found[name] for name in kept}, blocks=blocks)


def _shortened(query: Optional[str]) -> Optional[str]:
    return query and mask(query)[:_QUERY_LENGTH]


def _named(found: Mapping[str, Any]) -> str:
    return "Prepared transaction '%s' of %s in database %s" % (found["gid"], found["owner"], found["database"])
