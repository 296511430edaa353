# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``server``: a server is shut down cleanly, started, and both are proved."""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from ..._core import mask
from ..._core.deadline import Deadline
from ..._core.errors import (
    AnotherServerError,
    DeadlineError,
    OncallError,
    RefusedError,
    SessionError,
    TargetError,
    UnprovenError,
)
from ..._core.interrupt import held_back
from ..._core.spec import Spec
from ..._core.wait import wait_for
from ..._gather import gather
from ..._gather.snapshot import take
from ..._judge.checks import running
from ..drive import auto_conf
from ..drive.base import refuse_shared
from ..drive.choose import drive_of
from ..procedure import Change, Options
from . import outcome
from . import probe as probing
from .altering import shown
from .plan import (
    ACKNOWLEDGEABLE,
    ALTER,
    CHECKPOINT,
    DOWN,
    INTERRUPTIBLE,
    RUNNING,
    SHUTTING_DOWN,
    START,
    STOP,
    VERBS,
    WAIT_READY,
    WAIT_STOPPED,
    Plan,
    Reading,
    Wanted,
    decide,
    state_of,
)
from .sql import CHECKPOINT as CHECKPOINT_NOW
from .sql import STARTED

if TYPE_CHECKING:
    from ..._gather.target import Target
    from ..._model.facts import Facts

_GONE_SECONDS = 2.0  # a server that was launched and shows no process for so long has given up
_ASK_SECONDS = 3.0
_PROBE_SECONDS = 30.0  # for a server with nothing in it
_PROBE_ALL_SECONDS = 75.0  # with initdb, and its end
_ANSWERED = ("accepting", "rejecting")
_CANNOT_CONNECT_NOW = "57P03"
_INSUFFICIENT_PRIVILEGE = "42501"

# What a restart needs to know, whoever does it.
RESTART = Spec(
    {
        "stop_timeout_seconds": {"type": "float", "default": 120},
        "start_timeout_seconds": {"type": "float", "default": 60},
        "interrupt": {"type": "list", "elements": "str", "choices": list(INTERRUPTIBLE), "default": []},
        "acknowledged_causes": {"type": "list", "elements": "str", "choices": list(ACKNOWLEDGEABLE), "default": []},
    }
)
OPTIONS = RESTART + Spec(
    {
        "state": {"type": "str", "choices": ["started", "stopped", "restarted"], "required": True},
        "reset_settings": {"type": "list", "elements": "str", "default": []},
        "settings": {"type": "dict"},
    }
)


def wanted(state: str, options: Options) -> Wanted:
    return Wanted(
        state,
        tuple(options["interrupt"] or ()),
        tuple(options["acknowledged_causes"] or ()),
        float(options["stop_timeout_seconds"]),
        float(options["start_timeout_seconds"]),
        tuple(options.get("reset_settings") or ()),
        {str(name): value for name, value in (options.get("settings") or {}).items()},
    )


@dataclass
class Done:
    """How far it got: ``details`` are the result's keys, also where it fails."""

    details: Dict[str, Any]
    stopping_since: Optional[float] = None  # on the monotonic clock


class Server:
    """The state read is all that ``decide`` wants to know."""

    def read(self, target: Target, options: Options) -> Reading:
        wished = wanted(options["state"], options)
        found = look(target)
        if wished.alters and state_of(found)[0] == DOWN:
            with contextlib.suppress(OncallError):
                found = replace(found, altered=drive_of(target).altered(Deadline(target.deadline_seconds)))
        return probed(target, found, wished)

    def plan(self, state: Reading, options: Options) -> Plan:
        return decide(state, wanted(options["state"], options))

    def apply(self, target: Target, plan: Plan) -> Done:
        moving = Moving(target, plan)
        with _told(plan):
            moving.prepare()
            moving.carry_out()
        return moving.done

    def prove(self, target: Target, plan: Plan, done: Done) -> Change:
        """What waited for a restart is applied, and the shutdown was a clean one."""
        with _told(plan):
            prove(target, plan, done.details)
        return Change(plan.changes, plan.before, plan.after, done.details)


def look(target: Target) -> Reading:
    obstacle = target.runtime.obstacle(Deadline(target.deadline_seconds))
    facts, _elapsed = gather.gather(target, (gather.SERVER, gather.WIRE, gather.SNAPSHOT))
    preflight: Optional[Dict[str, Any]] = None
    error = facts["snapshot_error"]["message"] if facts["snapshot_error"] else None
    if facts["snapshot"] is not None:
        try:
            preflight = gather.preflight(target, Deadline(target.deadline_seconds))
        except (SessionError, DeadlineError) as failed:
            error = str(failed)
    return Reading(facts, target.thresholds, obstacle, preflight, error)


def probed(target: Target, reading: Reading, wished: Wanted) -> Reading:
    """With the answer of the server's own binary, where all that is known would let it be restarted."""
    try:
        restarts = {CHECKPOINT, START} <= set(decide(reading, wished).steps)
    except RefusedError:
        return reading
    return replace(reading, probe=_probe(target, reading)) if restarts else reading


def _probe(target: Target, reading: Reading) -> probing.Probe:
    """What goes wrong with the probe itself says nothing about the server; that it was not probed is said."""
    preflight, snapshot = reading.preflight or {}, reading.facts["snapshot"]
    prepared = len(snapshot["activity"]["prepared"]) if snapshot else 0
    deadline = Deadline(_PROBE_ALL_SECONDS)
    try:
        trial = drive_of(target).trial(Deadline(target.deadline_seconds))

        def ask(run: Any, small: str) -> probing.Probe:
            port = str(random.SystemRandom().randrange(20000, 32000))
            words = [trial.programs, trial.configuration, trial.directory, "%d" % _PROBE_SECONDS, port, small]
            done = run(["sh", "-c", probing.PROBE_SH, "oncall", *words, *trial.arguments], deadline)
            return probing.read(done.out or done.err, trial.directory, preflight.get("slots", []), prepared)

        found = ask(trial.run, "")
        if found.status == probing.REFUSED and trial.run_inside is not None and not found.of_memory:
            found = ask(trial.run_inside, "small")
        return found
    except OncallError as error:
        return probing.unprobed(error.msg)


@contextlib.contextmanager
def _told(plan: Plan) -> Iterator[None]:
    try:
        yield
    except UnprovenError as error:
        error.details.update(changed=plan.changes, diff={"before": plan.before, "after": plan.after})
        raise


@dataclass
class Moving:
    """The plan carried out. ``prepare`` may be interrupted, and then nothing is done."""

    target: Target
    plan: Plan
    done: Done = field(init=False)

    def __post_init__(self) -> None:
        self.done = Done(self.plan.details())
        self.details = self.done.details

    def prepare(self) -> None:
        if CHECKPOINT in self.plan.steps:
            self._checkpoint()

    def carry_out(self) -> None:
        steps = self.plan.steps
        # From here to the start nothing but a power failure may end us: the server would stay down.
        with held_back() if START in steps else contextlib.nullcontext():
            if STOP in steps or WAIT_STOPPED in steps:
                self._stop(ask=STOP in steps)
            if ALTER in steps:
                self._alter()
            if START in steps:
                self._start()
        if WAIT_READY in steps:
            self._ready()

    # --- the stop --------------------------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        """The stop's own checkpoint then has little left to write, and the server is back the sooner."""
        seconds, verb = self.plan.wanted.stop_timeout_seconds, VERBS[self.plan.wanted.state]
        try:
            self.target.session.execute(CHECKPOINT_NOW, Deadline(seconds))
        except DeadlineError:
            raise RefusedError(
                "%s refused: a CHECKPOINT did not finish within %d s, and neither would the shutdown" % (verb, seconds),
                "Check its storage (iostat), or raise stop_timeout_seconds.",
                details=self.details,
            ) from None
        except SessionError as error:
            if error.sqlstate != _INSUFFICIENT_PRIVILEGE:
                raise RefusedError(
                    "%s refused: the CHECKPOINT before it failed: %s" % (verb, error.msg),
                    "Read the server's log before any restart.",
                    details=self.details,
                ) from None
            self.details["notes"].append("No CHECKPOINT before the stop: the login role may not run it.")

    def _stop(self, ask: bool) -> None:
        seconds = self.plan.wanted.stop_timeout_seconds
        drive = drive_of(self.target)
        self.done.stopping_since = time.monotonic()
        try:
            if ask:
                ended = drive.stop(Deadline(seconds))
            else:
                look = Deadline(seconds + self.target.deadline_seconds)
                ended = wait_for(lambda: drive.alive(look), lambda alive: not alive, seconds, 0.05).ok
        except OncallError as error:
            raise UnprovenError(
                "The shutdown was requested, then: %s" % error.msg,
                "%s The server may be going down: run triage, and start it once it is down." % error.hint,
                details=self.details,
            ) from error
        if not ended:
            raise self._held()
        self.details["state"] = DOWN
        self._prove_clean()

    def _held(self) -> UnprovenError:
        """Rule 6: nothing is killed, however long it takes."""
        found: List[Dict[str, Any]] = []
        try:
            server = self.target.runtime.server(Deadline(self.target.deadline_seconds))
            found = outcome.holders(server["processes"], server["postmaster_pid"])
            told = "held by %s" % outcome.held_by(found)
        except OncallError as error:
            told = "what holds it up cannot be determined (%s)" % error.msg
        self.details.update(state=SHUTTING_DOWN, held_by=found)
        return UnprovenError(
            "PostgreSQL has not shut down within %d s: %s. Nothing was killed; the shutdown continues"
            % (self.plan.wanted.stop_timeout_seconds, told),
            "New connections are refused until it is down. Fix what holds it up (never kill -9), then run this again.",
            details=self.details,
        )

    def _prove_clean(self) -> None:
        try:
            server = self.target.runtime.server(Deadline(self.target.deadline_seconds))
        except OncallError as error:
            self.details["notes"].append("Whether the shutdown was clean could not be read: %s" % error.msg)
            return
        self.details["clean_shutdown"] = outcome.clean_shutdown(server)
        if self.details["clean_shutdown"] is None:
            self.details["notes"].append("Whether the shutdown was clean could not be read (pg_controldata).")

    def _alter(self) -> None:
        drive = drive_of(self.target)
        deadline = Deadline(max(self.target.deadline_seconds, self.plan.wanted.start_timeout_seconds))
        try:
            refuse_shared(drive.used_by(deadline))
            rows = drive.alter(self.plan.altering.taken, self.plan.altering.added, deadline)
        except RefusedError as error:
            error.msg = "%s refused: %s" % (VERBS[self.plan.wanted.state], error.msg)
            raise
        except OncallError as error:
            raise UnprovenError(error.msg, error.hint, details=self.details) from error
        was = auto_conf.texts(rows)
        undo = shown({name: was.get(name, value) for name, value in self.plan.altering.before.items()})
        self.details["undo"] = undo
        self.details["reset_settings"] = [
            dict(row, value=mask.mask(row["value"])) for row in rows if row["name"] in self.plan.altering.reset
        ]
        for name, value in shown(self.plan.altering.after).items():
            change = name, undo[name] or "not set", value or "not set"
            self.details["notes"].append("postgresql.auto.conf: %s %s -> %s." % change)

    # --- the start -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        drive = drive_of(self.target)
        try:
            drive.start(Deadline(max(self.target.deadline_seconds, self.plan.wanted.start_timeout_seconds)))
        except RefusedError as error:
            if self.done.stopping_since is not None:  # it is down, and by us
                raise self._down(error.msg) from error
            error.msg = "%s refused: %s" % (VERBS[self.plan.wanted.state], error.msg)
            error.details = {**self.details, **error.details}
            raise
        except OncallError as error:
            with contextlib.suppress(OncallError):
                if drive.alive(Deadline(self.target.deadline_seconds)):
                    return  # somebody else was faster
            raise self._down(error.msg) from error

    def _ready(self) -> None:
        before = self.plan.started_at if STOP in self.plan.steps else None
        patience = self.plan.wanted.start_timeout_seconds
        seen = _Seen()
        wait_for(lambda: self._observe(seen, before), lambda each: each.ready or each.gone, patience, 0.05)
        if not seen.ready:
            raise self._down("", seen)
        if self.done.stopping_since is not None:
            self.details["downtime_seconds"] = round(time.monotonic() - self.done.stopping_since, 3)
        if seen.started_at is None:  # it answered a moment after SQL was tried
            self._observe(seen, before)
        self.details.update(state=RUNNING, started_at=seen.started_at)
        self._alone()

    def _alone(self) -> None:
        """Rule 14, once more: another one may have been started in the very moment of it."""
        try:
            users = drive_of(self.target).used_by(Deadline(self.target.deadline_seconds))
        except OncallError as error:
            self.details["notes"].append("Whether another server uses its directory could not be read: %s" % error.msg)
            return
        seen = [running.user_line(user) for user in users if user["seen"]]
        if seen:
            self.details.update(code="server_down", cause="directory_in_use", evidence=seen)
            raise UnprovenError(
                "PostgreSQL was started, and so was another server on its data directory: %s" % "; ".join(seen),
                "Stop all writing now and call a DBA: two servers on one data directory destroy it.",
                details=self.details,
            )

    def _observe(self, seen: "_Seen", before: Optional[str]) -> "_Seen":
        try:
            row = self.target.session.query(STARTED, Deadline(_ASK_SECONDS))[0]
            seen.started_at, seen.ready = row["started_at"], row["started_at"] != before
            return seen
        except (SessionError, TargetError, DeadlineError, AnotherServerError) as error:
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
        target = self.target
        found = outcome.failure(facts, target.thresholds, target.host, self.plan.waiting, target.playbook_options)
        self.details.update(state=found.state or was, code=found.code, cause=found.cause, evidence=list(found.evidence))
        told = found.said or "; ".join(part for part in [launch, *found.evidence[:4]] if part)
        told = told or (seen.error if seen else "") or "no reason found"
        if seen is not None and not seen.gone and seen.missing_since is None:
            text = "PostgreSQL was started but is not responding after %d s" % self.plan.wanted.start_timeout_seconds
        else:
            text = "PostgreSQL does not start%s" % (" again" if was == DOWN and self.done.stopping_since else "")
        return UnprovenError("%s: %s" % (text, told), found.todo, details=self.details)


def prove(target: Target, plan: Plan, details: Dict[str, Any]) -> None:
    """Raises UnprovenError for a server that is responding, but not as it should."""
    if WAIT_READY not in plan.steps:
        return
    waited = plan.before["pending_restart"]
    try:
        snapshot = take(target.session, Deadline(target.deadline_seconds), target.thresholds, [], [])
        still = [str(each["name"]) for each in snapshot[0]["configured"]["pending_restart"]]
    except OncallError as error:
        details["notes"].append("Settings that still wait for a restart could not be read: %s" % error.msg)
        return
    details["pending_restart"] = still
    if STOP not in plan.steps:
        return
    details["applied"] = [name for name in waited if name not in still]
    if [name for name in waited if name in still]:
        raise UnprovenError(
            "PostgreSQL was restarted and is responding, but %s still wait for a restart" % ", ".join(still),
            "Have the files changed meanwhile? Check pg_file_settings.",
            details=details,
        )
    if details["clean_shutdown"] is False:
        raise UnprovenError(
            "PostgreSQL was restarted and is responding, but the shutdown was not clean: it recovered from its WAL",
            "Read its log: something crashed while it was stopping.",
            details=details,
        )


@dataclass
class _Seen:
    """What was seen while waiting for a server to answer."""

    ready: bool = False
    gone: bool = False
    started_at: Optional[str] = None
    missing_since: Optional[float] = None
    error: str = ""
