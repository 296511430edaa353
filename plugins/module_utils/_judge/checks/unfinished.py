# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that did not finish: whom it has left stopped, whose password it was changing, by its note on the host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Tuple

from ..._core.text import names
from ..._model.answers import CRITICAL, WARNING, Finding
from ..._model.note import Noted

if TYPE_CHECKING:
    from ..._model.facts import ClientFacts, Facts, NotedRole, RestartNote

CODE, RESET = "restart_unfinished", "reset_unfinished"


def findings(facts: Facts) -> List[Finding]:
    """None while it is still running, nor where somebody has seen to its clients since."""
    unread, note = facts["errors"].get("restart_note"), facts["restart_note"]
    if unread:
        return [Finding(CODE, WARNING, "The note of a restart cannot be read: clients may be STILL STOPPED", (unread,))]
    if note is None or note["running"]:
        return []
    return _of_clients(note, facts) + [_of_role(note, one) for one in note["roles"]]


def _of_role(note: RestartNote, of: NotedRole) -> Finding:
    text = (
        "credentials_reset of role %s did not finish: role, files and clients may have different passwords" % of["role"]
    )
    evidence = [*reset_of(note, of["role"]), *("it was to change %s" % file for file in of["files"])]
    return Finding(RESET, WARNING, "%s; run it again with the same variables" % text, tuple(evidence))


def reset_of(note: Optional[RestartNote], role: str) -> List[str]:
    """Why a password of ``role`` may be wrong."""
    if note is None or note["running"]:
        return []
    return [
        "credentials_reset of role %s, begun at %s, did not finish (its note: %s): run it again"
        % (role, one["begun_at"], note["path"])
        for one in note["roles"]
        if one["role"] == role
    ]


def _of_clients(note: RestartNote, facts: Facts) -> List[Finding]:
    down, ending, unseen = _left(note, facts)
    evidence = tuple(_evidence(note, [*down.values(), *ending.values(), *unseen.values()]))
    if down:
        are, start = "is" if len(down) == 1 else "are", "%s start %s" % (_engine(facts), " ".join(down))
        text = "%s %s STILL STOPPED: %s did not finish; %s" % (names(down), are, note["why"], start)
        return [Finding(CODE, CRITICAL, text, evidence)]
    if ending:
        return [Finding(CODE, WARNING, "%s did not finish: %s may STOP LATER" % (note["why"], names(ending)), evidence)]
    if unseen:
        text = "%s did not finish: %s may be STILL STOPPED" % (note["why"], names(unseen))
        return [Finding(CODE, WARNING, text, evidence)]
    return []


def evidence_of(facts: Facts, name: str) -> List[str]:
    """Why client ``name`` is down, where that is a restart's doing."""
    note = facts["restart_note"]
    down = _left(note, facts)[0] if note else {}
    if note is None or name not in down:
        return []
    if note["running"]:
        return ["%s has stopped %s and is still running: it starts it again" % (_begun(note), name)]
    return _evidence(note, [down[name]])


def _left(note: RestartNote, facts: Facts) -> Tuple[Dict[str, str], Dict[str, str], Dict[str, str]]:
    """By name, a line for each: who is down, who has not ended yet, who was not looked at."""
    down: Dict[str, str] = {}
    ending: Dict[str, str] = {}
    unseen: Dict[str, str] = {}
    seen = {client["name"]: client for client in facts["clients"]}
    services = {client["service"] for client in facts["clients"]}
    for row in note["clients"]:
        noted, client = Noted(**row), seen.get(row["name"]) or _half_made(row["name"], seen)
        name = client["name"] if client else noted.name
        start = "%s start %s" % (_engine(facts), name)
        if client is None:  # of a service that was looked at: it was removed, which is somebody else's decision
            if noted.asked and noted.service not in services:
                unseen[noted.name] = "%s was asked to stop by it and is no declared client: not looked at" % noted.name
        elif noted.left_stopped(client["state"], client["started_at"], client["finished_at"]):
            down[name] = _stopped(name, client, start)
        elif noted.still_ending(client["state"], client["started_at"]):
            ending[name] = "%s was asked to stop by it and may STOP LATER. When it has: %s" % (name, start)
    return down, ending, unseen


def _stopped(name: str, client: ClientFacts, start: str) -> str:
    if client["state"] == "created":
        return "%s was to be recreated by it, and its new container was never started: %s" % (name, start)
    return "%s was stopped by it and ended at %s: %s" % (name, client["finished_at"], start)


def _half_made(name: str, seen: Mapping[str, ClientFacts]) -> Optional[ClientFacts]:
    """The container that was to take its place: Compose gives it the name in the end."""
    return next((one for each, one in seen.items() if re.match("[0-9a-f]{12}_%s$" % re.escape(name), each)), None)


def _evidence(note: RestartNote, lines: List[str]) -> List[str]:
    return ["%s did not finish (its note: %s)" % (_begun(note), note["path"]), *lines]


def _begun(note: RestartNote) -> str:
    return "%s, begun at %s," % (note["why"], note["written_at"])


def _engine(facts: Facts) -> str:
    server = facts["server"]
    return (server and server["engine_command"]) or "docker"
