# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restart while the clients are away: whom it stops and starts, and what is said in the end. Pure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..._core.errors import OncallError, RefusedError, UnprovenError
from ..._model.note import Note, Noted
from ..clients import plan as clients_
from ..clients.plan import Order, Record, Seen, flat
from ..procedure import Change
from ..server import plan as server_


@dataclass(frozen=True)
class State:
    """``seen`` is empty where there are no clients, or they are no containers."""

    server: server_.Reading
    declared: Tuple[str, ...]
    seen: Tuple[Seen, ...]
    note: Note
    where: str  # the note's path
    engine: str = "docker"  # the command of the clients' engine


@dataclass(frozen=True)
class Plan:
    """``refusal``: the server stays as it is, and those in ``left`` and ``ending`` are started nevertheless."""

    server: Optional[server_.Plan]
    order: Order
    records: Tuple[Record, ...]
    left: Tuple[str, ...]  # whom an interrupted run has left stopped
    ending: Tuple[str, ...]  # whom it has asked to stop, and who has not ended yet
    former: Tuple[Noted, ...]  # both, and those that cannot be seen, as that run wrote them down
    notes: Tuple[Noted, ...]
    where: str
    grace_seconds: float
    patience_seconds: float
    refusal: Optional[OncallError] = None

    @property
    def empty(self) -> bool:
        return False  # a restart is asked for

    def before(self) -> Dict[str, Any]:
        clients = {row["name"]: row["before"] for row in self.records}
        return dict(self.server.before if self.server else {}, clients=clients)

    def after(self) -> Dict[str, Any]:
        clients = clients_.change(self.order, {row["name"]: row for row in self.records}, None).after
        return dict(self.server.after if self.server else {}, clients=clients)

    def foreseen(self) -> Change:
        if self.server is None and self.refusal is not None:
            raise RefusedError(
                self.refusal.msg,
                " ".join(
                    [self.refusal.hint, "A run without check mode starts %s." % _listed(flat(self.order.start))]
                ).strip(),
                details=self.refusal.details,
            )
        details = self.server.foreseen().details if self.server else {}
        return Change(True, self.before(), self.after(), dict(details, clients=list(self.records)))


def decide(
    state: State, wanted: server_.Wanted, server: Optional[str], grace_seconds: float, patience_seconds: float
) -> Plan:
    """Raises RefusedError where the server cannot be restarted now, before anybody is stopped."""
    left, ending = clients_.left_stopped(state.note, state.seen), clients_.still_ending(state.note, state.seen)
    former = clients_.still_true(state.note, state.seen)
    order = Order()
    if state.seen:
        stop = clients_.decide(state.seen, state.declared, clients_.STOPPED, None, None, server, state.engine).stop
        mine = [one for one in state.seen if one.name in flat(stop) or one.name in left]
        up = clients_.grouped(state.declared, mine)[::-1]
        order = Order(stop, up, up, state.engine)
    try:
        plan: Optional[server_.Plan] = server_.decide(state.server, wanted)
        refusal = None
    except RefusedError as refused:
        if not left and not ending:
            raise
        plan, refusal = None, refused
    made = Plan(
        plan,
        order,
        clients_.records(state.seen, order),
        tuple(left),
        tuple(ending),
        former,
        clients_.notes(former, state.seen, order),
        state.where,
        grace_seconds,
        patience_seconds,
    )
    return made if refusal is None else only_former(made, refusal)


def only_former(plan: Plan, refusal: OncallError) -> Plan:
    """The server stays as it is, no client is stopped; those that a former run has asked to stop are started."""
    mine = [*plan.left, *plan.ending]
    groups = (tuple(name for name in group if name in mine) for group in plan.order.start)
    start = tuple(group for group in groups if group)
    order = dataclasses.replace(plan.order, stop=(), start=start, wait=start)
    foreseen = tuple(
        dict(row, asked=False, stopped=False, started=row["name"] in mine, after="running")
        if row["name"] in mine
        else dict(row, asked=False, stopped=False, started=False, after=row["before"])
        for row in plan.records
    )
    return dataclasses.replace(plan, server=None, order=order, records=foreseen, notes=plan.former, refusal=refusal)


@dataclass
class Done:
    """How far it got."""

    rows: Dict[str, Record]
    server: Dict[str, Any] = field(default_factory=dict)  # the details of the module server
    moved: bool = False  # the server: from here on it is not as it was
    restarted: bool = False
    error: Optional[OncallError] = None
    interrupted: Optional[str] = None  # by which signal


def concluded(plan: Plan, done: Done) -> Change:
    """Raises UnprovenError with all that was done, the last words being those who are not back."""
    touched = clients_.touched(done.rows) or done.moved
    details = dict(done.server, clients=clients_.change(plan.order, done.rows, None).details["containers"])
    if not done.moved:
        details["steps"] = []
    said, hints = _told(plan, done)
    if not said:
        return Change(True, plan.before(), plan.after(), details)
    if done.interrupted:
        details["interrupted"] = done.interrupted
    raise UnprovenError(
        ". ".join(text.rstrip(".") for text in said),
        " ".join([*filter(None, hints), *clients_.last_words(plan.order, done.rows)]),
        details=dict(details, changed=touched, diff={"before": plan.before(), "after": plan.after()}),
    )


def _told(plan: Plan, done: Done) -> Tuple[List[str], List[str]]:
    said, hints = [], []
    error = plan.refusal or done.error
    if done.interrupted:
        how = "was restarted" if done.restarted else "could not be restarted" if done.moved else "was not restarted"
        said.append("Interrupted (%s): the server %s" % (done.interrupted, how))
    elif error is None and not done.restarted:
        said.append("Restart aborted: the server was not restarted")
    if error is not None:
        said.append(error.msg)
        hints.append(error.hint)
        if plan.refusal is not None and done.error is not None:
            said.append(done.error.msg)
        elif plan.refusal is not None and done.restarted:
            said.append("The server was started")
        started = [name for name in flat(plan.order.start) if done.rows[name]["started"]]
        if plan.refusal is not None and started:
            hints.append("Started %s, which an interrupted restart had left stopped." % _listed(started))
    failed = clients_.failed(done.rows)
    if failed:
        said.append("Clients: %s" % "; ".join("%s: %s" % (row["name"], row["error"]) for row in failed))
    elif said and plan.order.start:
        said.append("The clients are running")
    return said, hints


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def recovery(plan: Plan, how: str) -> Plan:
    """After the process that carried it out was killed: what it had stopped is started, server and clients alike."""
    made = only_former(
        plan,
        UnprovenError(clients_.killed("restart", how), "Run triage, then graceful_restart again."),
    )
    is_down = plan.server is not None and server_.CHECKPOINT not in plan.server.steps
    return dataclasses.replace(made, server=plan.server if is_down else None)
