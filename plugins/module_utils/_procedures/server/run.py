# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``server``: a server is stopped in order, started, and both are proved. The plan is ``_server_plan``'s."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from ..._core.deadline import Deadline
from ..._core.errors import DeadlineError, OncallError, RefusedError, SessionError, TargetError, UnprovenError
from ..._core.interrupt import held_back
from ..._core.mask import mask
from ..._core.spec import Spec
from ..._core.wait import wait_for
from ..._gather import gather
from ..._gather.snapshot import take
from ..._judge.checks import accepting, running
from ..._judge.checks.readings import log_lines, this_run
from ..._judge.verdicts import render
from ..drive.choose import drive_of
from ..procedure import Change
from . import plan as plan_
from .plan import CHECKPOINT, START, STOP, WAIT_READY, WAIT_STOPPED, Plan, Reading, Wanted
from .sql import CHECKPOINT as CHECKPOINT_NOW
from .sql import PREFLIGHT, STARTED

if TYPE_CHECKING:
    from ..._gather.target import Target
    from ..._model.answers import Answer
    from ..._model.facts import Facts

_GONE_SECONDS = 2.0  # a server that was launched and shows no process for so long has given up
_ASK_SECONDS = 3.0
_CLEAN = ("shut down", "shut down in recovery")
_ANSWERED = ("accepting", "rejecting")
_CANNOT_CONNECT_NOW = "57P03"
_INSUFFICIENT_PRIVILEGE = "42501"

OPTIONS = Spec(
    {
        "state": {"type": "str", "choices": ["started", "stopped", "restarted"], "required": True},
        "stop_timeout_seconds": {"type": "float", "default": 120},
        "start_timeout_seconds": {"type": "float", "default": 60},
        "interrupt": {
            "type": "list",
            "elements": "str",
            "choices": ["long_transactions", "backups"],
            "default": [],
        },
        "mended": {
            "type": "list",
            "elements": "str",
            "choices": ["out_of_memory", "port_conflict", "unknown"],
            "default": [],
        },
    }
)


def change(target: Target, options: Mapping[str, Any], check_mode: bool) -> Change:
    """Raises RefusedError before anything was touched, UnprovenError (with all that is known) after."""
    reading = read(target)
    plan = plan_.decide(reading, Wanted(options["state"], options["interrupt"] or (), options["mended"] or ()))
    details: Dict[str, Any] = {
        "state": plan.before["state"],
        "steps": list(plan.steps),
        "notes": list(plan.warnings),
        "clean_shutdown": None,
        "downtime_seconds": None,
        "started_at": _started_at(reading.facts),
        "applied": [],
        "pending_restart": plan_.pending(reading.facts),
    }
    if plan.steps and not check_mode:
        try:
            _Work(target, reading, options, details).do(plan)
        except UnprovenError as error:
            error.details.update(changed=plan.changes, diff={"before": plan.before, "after": plan.after})
            raise
    if check_mode and plan.changes:
        details.update(state=plan.after["state"], pending_restart=plan.after["pending_restart"])
        details["applied"] = plan.before["pending_restart"] if STOP in plan.steps else []
    return Change(plan.changes, plan.before, plan.after, details)


def read(target: Target) -> Reading:
    """Everything that ``decide`` wants to know. Changes nothing."""
    obstacle = drive_of(target).obstacle(Deadline(target.deadline_seconds))
    facts, _elapsed = gather.gather(target, (gather.SERVER, gather.WIRE, gather.SNAPSHOT))
    preflight: Optional[Dict[str, Any]] = None
    error = facts["snapshot_error"]["message"] if facts["snapshot_error"] else None
    if facts["snapshot"] is not None:
        try:
            preflight = target.session.query(
                PREFLIGHT,
                Deadline(target.deadline_seconds),
                long_transaction_seconds=target.thresholds.long_query_seconds,
            )[0]
            for each in preflight["transactions"]:
                each["query"] = mask(each["query"] or "")[:200]
        except (SessionError, DeadlineError) as failed:
            error = str(failed)
    return Reading(facts, target.thresholds, obstacle, preflight, error)


def _started_at(facts: Facts) -> Optional[str]:
    return facts["snapshot"]["started_at"] if facts["snapshot"] else None


@dataclass
class _Work:
    """The plan carried out; ``details`` say how far it got, also where it fails."""

    target: Target
    reading: Reading
    options: Mapping[str, Any]
    details: Dict[str, Any]
    stopping_since: Optional[float] = None

    def do(self, plan: Plan) -> None:
        if CHECKPOINT in plan.steps:
            self._checkpoint()
        # From here to the start nothing but a power failure may end us: the server would stay down.
        with held_back() if START in plan.steps else contextlib.nullcontext():
            if STOP in plan.steps or WAIT_STOPPED in plan.steps:
                self._stop(ask=STOP in plan.steps)
            if START in plan.steps:
                self._start()
        if WAIT_READY in plan.steps:
            self._ready(plan)

    # --- the stop --------------------------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        """The stop's own checkpoint then has little left to write, and the server is back the sooner."""
        seconds = self.options["stop_timeout_seconds"]
        try:
            self.target.session.execute(CHECKPOINT_NOW, Deadline(seconds))
        except DeadlineError:
            raise RefusedError(
                "The server was not stopped: a CHECKPOINT did not end within %d s, and neither would the stop"
                % seconds,
                "Look at its storage (iostat), or raise stop_timeout_seconds.",
                details=self.details,
            ) from None
        except SessionError as error:
            if error.sqlstate != _INSUFFICIENT_PRIVILEGE:
                raise RefusedError(
                    "The server was not stopped: the CHECKPOINT before it failed: %s" % error.msg,
                    "Read the server's log before any restart.",
                    details=self.details,
                ) from None
            self.details["notes"].append("No CHECKPOINT before the stop: the login role may not do it.")

    def _stop(self, ask: bool) -> None:
        seconds = float(self.options["stop_timeout_seconds"])
        drive = drive_of(self.target)
        self.stopping_since = time.monotonic()
        try:
            if ask:
                ended = drive.stop(Deadline(seconds))
            else:
                look = Deadline(seconds + self.target.deadline_seconds)
                ended = wait_for(lambda: drive.alive(look), lambda alive: not alive, seconds, 0.05).ok
        except OncallError as error:
            raise UnprovenError(
                "The shutdown was asked for, and then: %s" % error.msg,
                "%s The server may be going down: ask triage, and start it when it is down." % error.hint,
                details=self.details,
            ) from error
        if not ended:
            raise self._held()
        self.details["state"] = plan_.DOWN
        self._prove_clean()

    def _held(self) -> UnprovenError:
        """Rule 6: nobody is killed, however long it takes."""
        found: List[Dict[str, Any]] = []
        try:
            server = self.target.runtime.server(Deadline(self.target.deadline_seconds))
            found = plan_.holders(server["processes"], server["postmaster_pid"])
            told = "held by %s" % plan_.held_by(found)
        except OncallError as error:
            told = "who holds it cannot be seen (%s)" % error.msg
        self.details.update(state=plan_.SHUTTING_DOWN, held_by=found)
        return UnprovenError(
            "PostgreSQL has not shut down within %d s: %s. Nothing was killed, and it goes on shutting down"
            % (self.options["stop_timeout_seconds"], told),
            "New connections are refused until it is down. See to what holds it (never kill -9), then run this again.",
            details=self.details,
        )

    def _prove_clean(self) -> None:
        try:
            server = self.target.runtime.server(Deadline(self.target.deadline_seconds))
        except OncallError as error:
            self.details["notes"].append("The shutdown's proof could not be read: %s" % error.msg)
            return
        control = server["control"]
        if control is not None and control["state"] is not None:
            self.details["clean_shutdown"] = control["state"] in _CLEAN
        elif server["exit_code"] is not None:  # the postmaster's is 0 only when its last checkpoint is written
            self.details["clean_shutdown"] = server["exit_code"] == 0
        if self.details["clean_shutdown"] is None:
            self.details["notes"].append("The shutdown's proof could not be read (pg_controldata).")

    # --- the start -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        drive = drive_of(self.target)
        try:
            drive.start(Deadline(max(self.target.deadline_seconds, float(self.options["start_timeout_seconds"]))))
        except OncallError as error:
            with contextlib.suppress(OncallError):
                if drive.alive(Deadline(self.target.deadline_seconds)):
                    return  # somebody else was faster
            raise self._down(error.msg) from error

    def _ready(self, plan: Plan) -> None:
        before = _started_at(self.reading.facts) if STOP in plan.steps else None
        patience = float(self.options["start_timeout_seconds"])
        seen = _Seen()
        wait_for(lambda: self._observe(seen, before), lambda each: each.ready or each.gone, patience, 0.05)
        if not seen.ready:
            raise self._down("", seen)
        if self.stopping_since is not None:
            self.details["downtime_seconds"] = round(time.monotonic() - self.stopping_since, 3)
        if seen.started_at is None:  # it answered a moment after SQL was tried
            self._observe(seen, before)
        self.details.update(state=plan_.RUNNING, started_at=seen.started_at)
        self._prove(plan)

    def _observe(self, seen: "_Seen", before: Optional[str]) -> "_Seen":
        try:
            row = self.target.session.query(STARTED, Deadline(_ASK_SECONDS))[0]
            seen.started_at, seen.ready = row["started_at"], row["started_at"] != before
            return seen
        except (SessionError, TargetError, DeadlineError) as error:
            seen.error = str(error)
        now = time.monotonic()
        with contextlib.suppress(OncallError):
            if drive_of(self.target).alive(Deadline(_ASK_SECONDS)):
                seen.missing_since = None
            elif seen.missing_since is None:
                seen.missing_since = now
            else:
                seen.gone = now - seen.missing_since >= _GONE_SECONDS
        if before is None and seen.missing_since is None:  # it may be that only we cannot log in
            with contextlib.suppress(OncallError):
                wire = self.target.runtime.wire(Deadline(_ASK_SECONDS))
                answered = [each for each in wire if each["outcome"] in _ANSWERED and each["kind"] != "published"]
                seen.ready = any(each["sqlstate"] != _CANNOT_CONNECT_NOW for each in answered)
        return seen

    def _down(self, launch: str, seen: Optional["_Seen"] = None) -> UnprovenError:
        """It does not come up: the cause by question 1 or 2, and what a person must do."""
        was = self.details["state"]
        facts: Optional[Facts] = None
        try:
            facts = gather.gather(self.target, (gather.SERVER, gather.WIRE))[0]
        except OncallError as error:
            launch = launch or error.msg
        answer: Optional[Answer] = None
        evidence: List[str] = []
        if facts is not None:
            answer = running.check(facts, self.target.thresholds)
            if answer.code is None:
                answer = accepting.check(facts, self.target.thresholds)
            self.details["state"] = plan_.state_of(Reading(facts, self.target.thresholds))[0]
            evidence = list(answer.evidence)
            # Nothing that is known speaks against a start that has just failed: its last words have to say it.
            blind = answer.cause in plan_.STARTABLE
            if blind and facts["server"] is not None:
                answer = replace(answer, cause="unknown")
                evidence = log_lines(this_run(facts["server"])) + evidence
        self.details.update(
            code=answer.code if answer else None, cause=answer.cause if answer else None, evidence=evidence
        )
        told = (
            "; ".join(part for part in [launch, *evidence[:4]] if part) or (seen.error if seen else "") or "no reason"
        )
        todo = render(answer, self.target.host)["summary"] if answer and answer.code else "Ask triage."
        if seen is not None and not seen.gone and seen.missing_since is None:
            text = "PostgreSQL was started and does not answer after %d s" % self.options["start_timeout_seconds"]
        else:
            text = "PostgreSQL does not start%s" % (" again" if was == plan_.DOWN and self.stopping_since else "")
        return UnprovenError("%s: %s" % (text, told), "%s." % todo.rstrip("."), details=self.details)

    def _prove(self, plan: Plan) -> None:
        """What waited for a restart is applied, and the stop was a clean one."""
        waited = plan.before["pending_restart"]
        try:
            snapshot = take(self.target.session, Deadline(self.target.deadline_seconds), self.target.thresholds, [], [])
            still = [str(each["name"]) for each in snapshot[0]["configured"]["pending_restart"]]
        except OncallError as error:
            self.details["notes"].append("What still waits for a restart could not be read: %s" % error.msg)
            return
        self.details["pending_restart"] = still
        if STOP not in plan.steps:
            return
        self.details["applied"] = [name for name in waited if name not in still]
        if [name for name in waited if name in still]:
            raise UnprovenError(
                "PostgreSQL was restarted and answers, but %s still wait for a restart" % ", ".join(still),
                "Were the files changed meanwhile? Look at pg_file_settings.",
                details=self.details,
            )
        if self.details["clean_shutdown"] is False:
            raise UnprovenError(
                "PostgreSQL was restarted and answers, but it had not shut down in order and recovered from its WAL",
                "Read its log: something crashed while it was stopping.",
                details=self.details,
            )


@dataclass
class _Seen:
    """What was seen while waiting for a server to answer."""

    ready: bool = False
    gone: bool = False
    started_at: Optional[str] = None
    missing_since: Optional[float] = None
    error: str = ""
