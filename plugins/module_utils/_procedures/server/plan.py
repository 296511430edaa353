# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server may be stopped or started now, and by which steps. Pure: facts in, a plan or a RefusedError out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from ..._core.errors import RefusedError
from ..._core.text import duration, line, names
from ..._judge.checks import accepting, running
from ..._judge.checks.readings import down
from ..._judge.checks.restart import (
    BACKUPS,
    LONG_TRANSACTIONS,
    STARTABLE,
    backups,
    file_errors,
    in_the_way,
    interrupts,
    transaction,
    without_past,
)
from ..._judge.verdicts import render
from ..._model.answers import NO, YES, Answer, Thresholds
from ..._model.facts import Facts, ServerFacts
from ..._model.identity import sentence
from ..procedure import Change
from .altering import Altering, altering, shown
from .probe import REFUSED, Probe, advice

STARTED, STOPPED, RESTARTED = "started", "stopped", "restarted"
VERBS = {STARTED: "Start", STOPPED: "Stop", RESTARTED: "Restart"}
# What a server can be found as.
RUNNING, STARTING, SHUTTING_DOWN, DOWN, UNRESPONSIVE = "running", "starting", "shutting_down", "stopped", "unresponsive"
# The steps, in this order.
CHECKPOINT, STOP, WAIT_STOPPED, START, WAIT_READY = "checkpoint", "stop", "wait_stopped", "start", "wait_ready"
ALTER = "alter_settings"  # before the start
INTERRUPTIBLE = (LONG_TRANSACTIONS, BACKUPS)
# Causes of a server's end that leave nothing to read once they are fixed: a person has to say so.
ACKNOWLEDGEABLE = ("out_of_memory", "port_conflict", "directory_in_use", "unknown")
# Those that can be read now, and are no reason any more when they read well.
_READABLE = ("disk_full", "permission_denied", "too_many_open_files", "invalid_configuration", "stale_lock_file")
WHICH = "Find out which one is meant: compare data_directory and the login_ options with the server that answers."


@dataclass(frozen=True)
class Reading:
    """What was found. ``preflight``: the answers that only SQL gives (``_sql.service``), or why there are none."""

    facts: Facts
    thresholds: Thresholds
    obstacle: Optional[str] = None
    preflight: Optional[Mapping[str, Any]] = None
    preflight_error: Optional[str] = None
    probe: Optional[Probe] = None  # None: not asked
    altered: Optional[Mapping[str, str]] = None  # what ALTER SYSTEM has set of a server that is down; None: not read


@dataclass(frozen=True)
class Wanted:
    state: str
    interrupt: Sequence[str] = ()
    acknowledged_causes: Sequence[str] = ()
    stop_timeout_seconds: float = 120
    start_timeout_seconds: float = 60
    reset_settings: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)  # in postgresql.auto.conf; None to reset it

    @property
    def alters(self) -> bool:
        return bool(self.settings or self.reset_settings)


@dataclass(frozen=True)
class Plan:
    wanted: Wanted
    steps: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()
    before: Dict[str, Any] = field(default_factory=dict)
    after: Dict[str, Any] = field(default_factory=dict)
    started_at: Optional[str] = None  # of the server as it was found
    waiting: Tuple[Mapping[str, Any], ...] = ()  # settings that it will apply, with their places
    altering: Altering = field(default_factory=Altering)

    @property
    def empty(self) -> bool:
        return not self.steps

    @property
    def changes(self) -> bool:
        return any(step in (STOP, START) for step in self.steps)

    def details(self) -> Dict[str, Any]:
        """The result's keys before anything is done."""
        return {
            "state": self.before["state"],
            "steps": list(self.steps),
            "notes": list(self.warnings),
            "clean_shutdown": None,
            "downtime_seconds": None,
            "started_at": self.started_at,
            "applied": [],
            "pending_restart": list(self.before["pending_restart"]),
            "reset_settings": [],
            "undo": {},
        }

    def foreseen(self) -> Change:
        details = self.details()
        if self.changes:
            details.update(state=self.after["state"], pending_restart=list(self.after["pending_restart"]))
            details["applied"] = list(self.before["pending_restart"]) if STOP in self.steps else []
            details["reset_settings"] = [{"name": name, "value": None} for name in self.altering.reset]
            details["undo"] = shown(self.altering.before)
        return Change(self.changes, self.before, self.after, details)


def decide(reading: Reading, wanted: Wanted) -> Plan:
    """Raises RefusedError where it is not safe now; its text says why and what would make it safe."""
    found, answer = state_of(reading)
    if wanted.alters and (wanted.state, found) != (STARTED, DOWN):
        raise RefusedError(
            "%s refused: settings and reset_settings are for the start of a server that is down; this one is %s"
            % (VERBS[wanted.state], found.replace("_", " ")),
            "On a server that runs: the module settings.",
            details=_details(reading),
        )
    if wanted.state != STOPPED and (found != DOWN or reading.obstacle):
        _refuse_two(reading, wanted)
    another = reading.facts["another_server"]
    if another is not None and not _as_wanted(found, wanted.state):
        raise RefusedError(
            "%s refused: %s" % (VERBS[wanted.state], sentence(another)), WHICH, details=_details(reading)
        )
    if reading.obstacle and not _as_wanted(found, wanted.state):
        raise RefusedError("%s refused: %s" % (VERBS[wanted.state], reading.obstacle))
    if found == UNRESPONSIVE:
        raise _refused(reading, wanted, answer, "It is not responding, so the impact of a stop is unknown")
    if wanted.state == STARTED:
        return _plan(reading, wanted, found, *_to_start(reading, wanted, found, answer))
    if found == STARTING:
        raise _refused(reading, wanted, answer, "A stop now would make the next start repeat its recovery")
    if wanted.state == STOPPED:
        steps, warnings = _to_stop(reading, wanted, found, answer)
        return _plan(reading, wanted, found, steps, warnings)
    if found == DOWN:
        return _plan(reading, wanted, found, *_to_start(reading, wanted, found, answer))
    steps, warnings = _to_stop(reading, wanted, found, answer)
    return _plan(reading, wanted, found, (*steps, START, WAIT_READY), warnings)


def state_of(reading: Reading) -> Tuple[str, Answer]:
    """How the server was found, and the answer of the check that says so."""
    facts = reading.facts
    first = running.check(facts, reading.thresholds)
    if first.answer == NO and (facts["server"] is None or down(facts)):
        return DOWN, first
    second = accepting.check(facts, reading.thresholds)
    if second.answer == NO and second.cause in ("starting_up", "recovering"):
        return STARTING, second
    if second.answer == NO and second.cause == "shutting_down":
        return SHUTTING_DOWN, second
    if facts["snapshot"] or second.answer == YES or second.cause == "not_listening":
        return RUNNING, second
    return UNRESPONSIVE, second


def pending(facts: Facts) -> List[str]:
    """Names of the settings that wait for a restart."""
    snapshot = facts["snapshot"]
    return [str(each["name"]) for each in snapshot["configured"]["pending_restart"]] if snapshot else []


# --- steps -----------------------------------------------------------------------------------------------------------


def _as_wanted(found: str, state: str) -> bool:
    return (found, state) in ((RUNNING, STARTED), (DOWN, STOPPED), (STARTING, STARTED))


def _plan(reading: Reading, wanted: Wanted, found: str, steps: Tuple[str, ...], warnings: List[str]) -> Plan:
    after = {STARTED: RUNNING, RESTARTED: RUNNING, STOPPED: DOWN}[wanted.state]
    waiting = pending(reading.facts)
    snapshot = reading.facts["snapshot"]
    started = snapshot["started_at"] if snapshot else None
    stops = STOP in steps
    before = {"state": found, "restarted": False, "pending_restart": waiting}
    if not stops and START not in steps:
        return Plan(wanted, steps, tuple(warnings), before, before, started)
    rows = _altering(reading, wanted)
    if not rows.empty:
        steps = (ALTER, *steps)
    changing = tuple(reading.preflight["waiting"]) if reading.preflight else ()
    changed = {
        "state": after,
        "restarted": stops and START in steps,
        "pending_restart": [] if stops else waiting,
    }
    if not rows.empty:
        before = dict(before, altered_settings=shown(rows.before))
        changed["altered_settings"] = shown(rows.after)
    return Plan(wanted, steps, tuple(warnings), before, changed, started, changing, rows)


def _altering(reading: Reading, wanted: Wanted) -> Altering:
    if not wanted.alters:
        return Altering()

    def refuse(why: str, hint: str) -> RefusedError:
        return RefusedError("Start refused: %s" % why, hint, details=_details(reading))

    if reading.altered is None:
        raise refuse(
            "what ALTER SYSTEM has set (postgresql.auto.conf) could not be read", "Correct it by hand, then start."
        )
    return altering(reading.altered, wanted.settings, wanted.reset_settings, refuse)


def _to_start(reading: Reading, wanted: Wanted, found: str, answer: Answer) -> Tuple[Tuple[str, ...], List[str]]:
    if found == RUNNING:
        return (), []
    if found == STARTING:
        return (WAIT_READY,), ["It is already starting up; only waiting for it."]
    if found == SHUTTING_DOWN:
        return (WAIT_STOPPED, START, WAIT_READY), ["It is shutting down; it is started once it is down."]
    return (START, WAIT_READY), _startable(reading, wanted, answer)


def _to_stop(reading: Reading, wanted: Wanted, found: str, answer: Answer) -> Tuple[Tuple[str, ...], List[str]]:
    if found == DOWN:
        server = reading.facts["server"]
        if server is not None and (server["restart_loop"] or server["state"] == "restarting"):
            raise _refused(reading, wanted, answer, "It is in a restart loop driven by its engine")
        return (), []
    if found == SHUTTING_DOWN:  # SIGINT once more does no harm, and makes a fast shutdown of a smart one
        return (STOP,), ["It is already shutting down."]
    return (CHECKPOINT, STOP), _stoppable(reading, wanted)


def _startable(reading: Reading, wanted: Wanted, answer: Answer) -> List[str]:
    """Question 1 on what can be read now; then whether what ended it is gone. Returns warnings."""
    server = cast(ServerFacts, reading.facts["server"])
    cause = answer.cause or "unknown"
    now = running.check(without_past(reading.facts, server["lock_file"]), reading.thresholds)
    directory = server["data_directory"]
    if directory is not None and (not directory["exists"] or directory["entries"] == 0):
        what = "is empty" if directory["exists"] else "does not exist"
        raise RefusedError(
            "%s refused: the data directory %s %s; a start now could create a new, empty database"
            % (VERBS[wanted.state], directory["path"], what),
            "Is its volume mounted? Restore what was there, or start it by hand if it is meant to be new.",
            details=_details(reading, answer),
        )
    refused = running.refused_settings(server)
    undone = {name.lower() for name in refused} & {name.lower() for name in (*wanted.reset_settings, *wanted.settings)}
    if now.cause not in STARTABLE and not (now.cause == "invalid_configuration" and undone):
        raise _refused(reading, wanted, now if now.cause != "unknown" else answer)
    if cause in STARTABLE or (cause == "invalid_configuration" and undone):
        return []
    if cause == "invalid_configuration" and refused:  # its files are well written
        return ["Its last start failed for %s; whether it was corrected, this start will show." % names(refused)]
    if cause in _READABLE and _read(server, cause):
        return ["It went down because of %s, which is no longer the case." % cause]
    if cause in wanted.acknowledged_causes and cause in ACKNOWLEDGEABLE:
        return ["It went down because of %s, acknowledged as fixed." % cause]
    hint = (
        'Once that is fixed, acknowledge it: -e \'{"oncall_acknowledged_causes": ["%s"]}\'.' % cause
        if cause in ACKNOWLEDGEABLE
        else ""
    )
    raise _refused(reading, wanted, answer, "", hint)


def _read(server: ServerFacts, cause: str) -> bool:
    """The reading that would show ``cause`` was had."""
    directory, configuration = server["data_directory"], server["configuration"]
    return {
        "disk_full": bool(server["disks"]),
        "permission_denied": directory is not None and directory["mode"] is not None,
        "too_many_open_files": server["nofile_soft"] is not None,
        "invalid_configuration": configuration is not None and configuration["valid"] is True,
        "stale_lock_file": True,
    }[cause]


def _refuse_two(reading: Reading, wanted: Wanted) -> None:
    """Rule 14: where another server has the directory, too, none is started again."""
    answer = running.check(reading.facts, reading.thresholds)
    if answer.cause == "directory_in_use":
        raise _refused(reading, wanted, answer)
    users = reading.facts["server"]["directory_used_by"] if reading.facts["server"] else []
    if users and wanted.state == RESTARTED:
        raise RefusedError(
            "%s refused: %s" % (VERBS[wanted.state], "; ".join(map(running.user_line, users))),
            "Once it is stopped, a start would be refused. Find out what that is first.",
            details=_details(reading, answer),
        )


def _stoppable(reading: Reading, wanted: Wanted) -> List[str]:
    """Raises RefusedError for the first reason not to stop a running server. Returns warnings."""
    facts, preflight = reading.facts, reading.preflight
    if facts["snapshot"] is None or preflight is None:
        raise RefusedError(
            "%s refused: configuration and sessions cannot be checked (%s)"
            % (VERBS[wanted.state], reading.preflight_error or "no answer to SQL"),
            "Make SQL work first (login_user: a superuser; pool_reset when no connection slot is left).",
            details=_details(reading),
        )
    if facts["snapshot"]["configured"]["hba_rules"] is None:
        raise RefusedError(
            "%s refused: the login role may not read pg_file_settings and pg_hba_file_rules" % VERBS[wanted.state],
            "Set login_user to a superuser: with an error in these files the server would not come back.",
            details=_details(reading),
        )
    probe = reading.probe
    found = in_the_way(facts, reading.thresholds, preflight)
    if probe is not None and probe.status == REFUSED:
        what = "%s." % advice(probe.said, preflight["waiting"]) if preflight["waiting"] else ""
        found.append(("it would not start again: %s" % probe.said, " ".join(filter(None, [probe.hint, what]))))
    for reason, hint in found + interrupts(preflight, wanted.interrupt):
        raise RefusedError("%s refused: %s" % (VERBS[wanted.state], reason), hint, details=_details(reading))
    return _warnings(reading, preflight)


def _warnings(reading: Reading, preflight: Mapping[str, Any]) -> List[str]:
    warnings = ["A backup is interrupted: %s." % each for each in backups(preflight)]
    warnings += ["A long transaction is rolled back: %s." % transaction(each) for each in preflight["transactions"]]
    warnings += reading.probe.notes if reading.probe is not None else ()
    snapshot = reading.facts["snapshot"]
    for each in snapshot["activity"]["prepared"] if snapshot else []:
        warnings.append(
            "Prepared transaction %s (%s, %s old) stays as it is, with its locks."
            % (each["gid"], each["owner"], duration(each["age_seconds"]))
        )
    return warnings


# --- words -----------------------------------------------------------------------------------------------------------


def _refused(reading: Reading, wanted: Wanted, answer: Answer, why: str = "", hint: str = "") -> RefusedError:
    """With the verdict's own words, which say what a person must do, and its proof."""
    summary = render(answer, reading.facts["target"]["host"])["summary"] if answer.code else answer.detail
    proof = "; ".join(line(each) for each in answer.evidence[:3])
    summary = "%s%s%s" % (summary, " (%s)" % proof if proof else "", ". " + why if why else "")
    text = "%s refused: %s" % (VERBS[wanted.state], summary)
    return RefusedError(text, hint, details=_details(reading, answer))


def _details(reading: Reading, answer: Optional[Answer] = None) -> Dict[str, Any]:
    return {
        "code": answer.code if answer else None,
        "cause": answer.cause if answer else None,
        "evidence": list(answer.evidence) if answer else [],
        "backups": list(reading.preflight["backups"]) if reading.preflight else [],
        "transactions": list(reading.preflight["transactions"]) if reading.preflight else [],
        "configuration_errors": file_errors(reading.facts),
    }
