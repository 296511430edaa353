# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``configuration``: the files are loaded when they carry no error and say something new; proved after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from ..._core.deadline import Deadline
from ..._core.errors import RefusedError, RightsError, SessionError, UnprovenError
from ..._core.spec import Spec
from ..._core.text import names
from ..._core.wait import wait_for
from ..._gather.sql import rights
from ..._judge.checks.restart import error_line
from ..pooler import refuse_pooled
from ..procedure import Change, Options
from .plan import Plan, decide, unapplied
from .sql import FILES, LOADED, NEXT_SECOND, RELOAD

if TYPE_CHECKING:
    from ..._gather.target import Target

OPTIONS = Spec(
    {
        "state": {"type": "str", "choices": ["reloaded"], "default": "reloaded"},
        "force": {"type": "bool", "default": False},
        "timeout_seconds": {"type": "float", "default": 10},
    }
)
_INSUFFICIENT_PRIVILEGE = "42501"


class Reload:
    """The state read is the row of ``sql.FILES``; what was done is pg_conf_load_time() afterwards."""

    def read(self, target: Target, options: Options) -> Dict[str, Any]:
        try:
            found = target.session.query(FILES, Deadline(target.deadline_seconds))[0]
            refuse_pooled(target, "Reload", "its connections may have loaded the files later than the server did")
            return found
        except SessionError as error:
            if error.sqlstate == _INSUFFICIENT_PRIVILEGE:
                missing = error.missing if isinstance(error, RightsError) else rights.TO_RELOAD
                raise RefusedError(
                    "Reload refused: the login role may not read %s" % names(missing)
                    if rights.RELOAD not in missing
                    else "Reload refused: the login role may not run pg_reload_conf()",
                    "Set login_user to a superuser.",
                    error.sqlstate,
                ) from None
            raise

    def plan(self, state: Dict[str, Any], options: Options) -> Plan:
        return decide(state, bool(options["force"]), float(options["timeout_seconds"]))

    def apply(self, target: Target, plan: Plan) -> str:
        if plan.files:
            target.session.execute(NEXT_SECOND, Deadline(target.deadline_seconds))
        if not target.session.query(RELOAD, Deadline(target.deadline_seconds))[0]["sent"]:
            raise UnprovenError("The server could not be signalled to reload", "Run triage: is its postmaster healthy?")
        waited = wait_for(
            lambda: target.session.query(LOADED, Deadline(target.deadline_seconds))[0]["load_time"],
            lambda load_time: load_time != plan.load_time,
            plan.timeout_seconds,
        )
        if not waited.ok:
            raise UnprovenError(
                "The server was signalled to reload, but pg_conf_load_time() has not changed within %d s"
                % plan.timeout_seconds,
                "Read its log; is its postmaster hanging (state T or D)?",
                details=plan.foreseen().details,
            )
        return str(waited.last)

    def prove(self, target: Target, plan: Plan, done: str) -> Change:
        change = plan.foreseen()
        after = self.read(target, {})
        change.details.update(
            load_time=done, pending_restart=list(after["pending_restart"]), not_applied=unapplied(after, plan)
        )
        details = dict(change.details, changed=True)
        if after["file_errors"] or after["hba_errors"]:
            errors = [error_line(each) for each in after["file_errors"] + after["hba_errors"]]
            raise UnprovenError(
                "The configuration was reloaded, but its files were changed meanwhile and now contain an error: %s"
                % "; ".join(errors[:3]),
                "Correct them and reload again.",
                details=details,
            )
        if change.details["not_applied"]:
            raise UnprovenError(
                "The configuration was reloaded, but the server does not use the new value of %s"
                % ", ".join(change.details["not_applied"]),
                "Compare pg_file_settings with pg_settings, and read the server's log.",
                details=details,
            )
        return change
