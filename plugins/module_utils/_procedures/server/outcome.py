# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a stop or a start: was it clean, who holds it up, why is it down. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.text import line, names
from ..._judge import titles
from ..._judge.checks import accepting, running
from ..._judge.checks.readings import log_lines, this_run
from ..._judge.checks.restart import STARTABLE
from ..._judge.verdicts import render, start_command
from ..._model.answers import Answer, Thresholds
from ..._model.facts import Facts, Process, ServerFacts
from .plan import Reading, state_of
from .probe import advice, waited_for

_CLEAN = ("shut down", "shut down in recovery")


def clean_shutdown(server: ServerFacts) -> Optional[bool]:
    """Of a server that is down: by its control file, else by its exit code; None: neither could be read."""
    control = server["control"]
    if control is not None and control["state"] is not None:
        return control["state"] in _CLEAN
    if server["exit_code"] is not None:  # the postmaster's is 0 only when its last checkpoint is written
        return server["exit_code"] == 0
    return None


@dataclass(frozen=True)
class Failure:
    """Why a server does not come up. ``state`` and ``cause`` are None where it could not be examined."""

    state: Optional[str] = None
    code: Optional[str] = None
    cause: Optional[str] = None
    evidence: Tuple[str, ...] = ()
    todo: str = "Run triage."
    said: str = ""  # the server's own last words, its FATAL


def failure(
    facts: Optional[Facts],
    thresholds: Thresholds,
    host: str,
    waiting: Sequence[Mapping[str, Any]] = (),
    playbook_options: Sequence[str] = (),
) -> Failure:
    """By question 1 or 2, of what was read after a start that failed. ``waiting``: the settings that it applied."""
    if facts is None:
        return Failure()
    answer: Answer = running.check(facts, thresholds)
    if answer.code is None:
        answer = accepting.check(facts, thresholds)
    evidence = list(answer.evidence)
    if answer.cause in STARTABLE and facts["server"] is not None:
        # Nothing that is known speaks against a start that has just failed: its last words have to say it.
        answer = replace(answer, cause="unknown")
        evidence = log_lines(this_run(facts["server"])) + evidence
    said = _last_words(facts)
    if not waited_for(said, waiting) and answer.cause not in ("unknown", "invalid_configuration"):
        said = ""  # the cause says more
    if said and waiting:
        todo = "%s, then start: %s%s" % (
            advice(said, waiting, "waited"),
            start_command(host, playbook_options),
            _undo(facts, waited_for(said, waiting), host, playbook_options),
        )
    elif answer.code:
        verdict = render(answer, host, playbook_options)
        command = verdict["remedy"]["command"] if verdict["remedy"] else ""
        todo = "%s: %s" % (verdict["summary"], command) if command else "%s." % verdict["summary"].rstrip(".")
    else:
        todo = "Run triage."
    return Failure(state_of(Reading(facts, thresholds))[0], answer.code, answer.cause, tuple(evidence), todo, said)


def _undo(facts: Facts, settings: Sequence[Mapping[str, Any]], host: str, playbook_options: Sequence[str]) -> str:
    """What takes back the settings that it has just refused, where ALTER SYSTEM has set them all."""
    names = [str(each["name"]) for each in settings]
    altered = (facts["server"]["altered_settings"] if facts["server"] else None) or []
    if not names or not all(str(each["file"]).endswith("/postgresql.auto.conf") for each in settings):
        return ""
    if not {name.lower() for name in names} <= {name.lower() for name in altered}:
        return ""
    return ". Or reset what ALTER SYSTEM has set, and start: %s" % start_command(host, playbook_options, names)


def _last_words(facts: Facts) -> str:
    """Of the last start: the first FATAL tells why, those of its children and of the engine's next try follow it."""
    entries = this_run(facts["server"]) if facts["server"] is not None else []
    fatal = [
        entry["text"] for entry in entries if entry["own"] is not False and entry["severity"] in ("FATAL", "PANIC")
    ]
    return "FATAL: %s" % line(fatal[-1], 400) if fatal else ""


def holders(processes: Sequence[Process], postmaster: Optional[int]) -> List[Dict[str, Any]]:
    """Who keeps a server from ending, most telling first: sessions, then senders of WAL, the archiver, the rest.

    A fast shutdown ends all sessions, then writes the last checkpoint, then waits for what has to receive its WAL.
    """
    sessions = {backend.pid: backend for backend in titles.backends(processes)}
    found = []
    for process in processes:
        title = re.sub(r"^postgres: ", "", process["title"].strip())
        if process["pid"] == postmaster or process["state"][:1] == "Z" or not process["title"].startswith("postgres: "):
            continue
        kind = next((word for word in ("walsender", "archiver", "checkpointer", "startup") if word in title), "other")
        if process["pid"] in sessions:
            kind = "session"
        found.append({"pid": process["pid"], "kind": kind, "state": process["state"], "title": line(title)})
    order = ("session", "walsender", "archiver", "checkpointer", "startup", "other")
    return sorted(found, key=lambda each: (order.index(str(each["kind"])), each["pid"]))


def held_by(found: Sequence[Mapping[str, Any]]) -> str:
    """``holders`` for the eye: those of the first kind only."""
    if not found:
        return "no process of the server is visible"
    first = [each for each in found if each["kind"] == found[0]["kind"]]
    told = ["pid %s (%s%s)" % (each["pid"], each["title"], _process_state(str(each["state"]))) for each in first]
    return names(told, 3)


def _process_state(state: str) -> str:
    letter = state[:1].upper()
    return {"T": ", stopped by a signal", "D": ", waiting for its disk"}.get(letter, "")
