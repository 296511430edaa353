# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``settings``: ALTER SYSTEM, one verified reload, each value read back; or all as it was."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional

from ..._core import mask
from ..._core.deadline import Deadline
from ..._core.errors import OncallError, OptionsError, RefusedError, SessionError, UnprovenError
from ..._core.interrupt import Interrupted, interruptible, undisturbed
from ..._core.spec import Spec
from ..._core.text import line, names
from ..._gather.session.bind import literal
from ..._gather.sql import rights
from ..._judge.checks.restart import error_line
from ..configuration import values
from ..configuration.plan import Plan as ReloadPlan
from ..configuration.run import Reload
from ..pooler import refuse_pooled
from ..procedure import Change, Options
from . import sql
from .plan import (
    SSL_FILES,
    TOGETHER,
    Plan,
    State,
    Step,
    change,
    decide,
    hidden,
    libraries,
    ssl_files,
    unproven,
    written,
)

if TYPE_CHECKING:
    from ..._gather.session.base import Session
    from ..._gather.target import Target

OPTIONS = Spec(
    {
        "settings": {"type": "dict"},
        "names": {"type": "list", "elements": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "timeout_seconds": {"type": "float", "default": 10.0},
    },
    required_if=(("state", "present", ("settings",)), ("state", "absent", ("names",))),
    mutually_exclusive=(("settings", "names"),),
)
_BACK_SECONDS = 10.0
_INSUFFICIENT_PRIVILEGE = "42501"


@dataclass
class Done:
    """``altered``: steps of which a statement was sent, whatever became of it."""

    altered: List[Step] = field(default_factory=list)
    reloaded: bool = False
    load_time: Optional[str] = None


class Settings:
    def read(self, target: Target, options: Options) -> State:
        asked = sorted(name.lower() for name in _asked(options))
        deadline = Deadline(target.deadline_seconds)
        who = target.session.query(sql.WHO, deadline, names=asked)[0]
        refuse_pooled(target, "Changing settings", "each of its connections may have loaded them at another time")
        if who["missing"]:
            return State(who)
        try:
            files = target.session.query(sql.FILES, deadline)[0]
            now = sql.now(target.session, deadline, sorted({*asked, *TOGETHER, "ssl", *SSL_FILES}))
        except SessionError as error:
            if error.sqlstate != _INSUFFICIENT_PRIVILEGE:
                raise
            return State({**who, "missing": [rights.SERVER_FILES]})
        if not who["superuser"]:
            return State(who, files, now)
        wanted = libraries(_asked(options))
        missing = target.session.query(sql.MISSING_LIBRARIES, deadline, libraries=wanted) if wanted else []
        started = target.session.query(sql.COMMAND_LINE, deadline)[0]["text"] if hidden(now["rows"]) else None
        paths = ssl_files(_asked(options), now["rows"])
        given = {"names": list(paths), "paths": list(paths.values())}
        gone = target.session.query(sql.MISSING_FILES, deadline, **given) if paths else []
        return State(
            who, files, now, [each["name"] for each in missing], started or "", [each["name"] for each in gone]
        )

    def plan(self, state: State, options: Options) -> Plan:
        return decide(state, _asked(options), options["timeout_seconds"])

    def apply(self, target: Target, plan: Plan) -> Done:
        work = _Work(target, plan)
        if written(plan, work.now(), former=True):
            raise RefusedError("postgresql.auto.conf was changed by somebody else meanwhile", "Run it again.")
        with work.or_as_it_was():
            work.alter()
            work.reload()
        return work.done

    def prove(self, target: Target, plan: Plan, done: Done) -> Change:
        work = _Work(target, plan, done)
        with work.or_as_it_was():
            wrong = unproven(plan, work.now())
            if wrong:
                raise UnprovenError("After the reload %s" % names(wrong), "Read the server's log.")
            pending = work.files()["pending_restart"]
        return change(plan, pending, done.load_time)


@dataclass
class _Work:
    target: Target
    plan: Plan
    done: Done = field(default_factory=Done)

    def alter(self) -> None:
        with self._session() as session:
            for step in self.plan.steps:
                if step.alter:
                    self.done.altered.append(step)
                    self._alter(session, step, step.text)

    def reload(self) -> None:
        """Only what carries no error is loaded: neither ours nor anybody else's."""
        left = written(self.plan, self.now())
        if left:
            raise UnprovenError(
                "ALTER SYSTEM was carried out, but %s does not say so of %s" % (self.plan.auto_file, names(left)),
                "Does this server read that file? Whoever manages its configuration may replace it.",
            )
        found = self.files()
        errors = _errors(found)
        if errors:
            raise UnprovenError("The files now contain an error: %s" % names(errors, 3), "Correct it.")
        self.done.load_time = self._load(found["load_time"], self.plan.timeout_seconds)

    def _load(self, load_time: Optional[str], seconds: float) -> str:
        self.done.reloaded = True
        sent = ReloadPlan(True, files=(self.plan.auto_file,), load_time=load_time, timeout_seconds=seconds)
        return Reload().apply(self.target, sent)

    @contextlib.contextmanager
    def or_as_it_was(self) -> Iterator[None]:
        """What fails or is interrupted within is taken back, and told."""
        try:
            with interruptible():
                yield
        except (OncallError, Interrupted) as error:
            with undisturbed():
                self._put_back(error)

    def _put_back(self, error: BaseException) -> None:
        failed: Dict[str, str] = {}
        with self._session() as session:
            for step in reversed(self.done.altered):
                try:
                    self._alter(session, step, step.former)
                except OncallError as another:
                    failed[step.name] = line(str(another))
        try:
            wrong = written(self.plan, self.now(), former=True)
            # Where the statement failed to begin with, so does the one that would take it back, and has nothing to.
            failed = {name: failed.get(name, "it is not as it was") for name in wrong}
            found = self.files()
            # Somebody else may have had it loaded meanwhile.
            if self.done.altered and (self.done.reloaded or not _errors(found)):
                self._load(found["load_time"], max(_BACK_SECONDS, self.plan.timeout_seconds))
        except OncallError as another:
            left = failed or {step.name: "" for step in self.done.altered}
            failed = {name: why or line(str(another)) for name, why in left.items()}
        back = [step.name for step in self.done.altered if step.name not in failed]
        why = "interrupted (%s)" % error
        if isinstance(error, OncallError):
            why = ". ".join(filter(None, [error.msg.rstrip("."), error.hint.rstrip(".")]))
        what = "Settings not changed: %s" % why
        if failed:
            what += ". NOT restored: %s" % names(["%s (%s)" % each for each in failed.items()])
        elif back:
            what += ". All former values of postgresql.auto.conf were put back"
        raise UnprovenError(
            what,
            "Put them back by hand: %s" % names([_by_hand(s) for s in self.done.altered if s.name in failed], 50)
            if failed
            else "",
            sqlstate=getattr(error, "sqlstate", None),
            details=dict(
                self.plan.foreseen().details, changed=bool(failed), put_back=back, not_put_back=sorted(failed)
            ),
        ) from None

    def _alter(self, session: Session, step: Step, text: Optional[str]) -> None:
        query, params = sql.alter(step.name, values.parts(step.row, text))
        session.execute(query, Deadline(self.target.deadline_seconds), **params)

    def now(self) -> Mapping[str, Any]:
        """By a new session: one that is open takes what is of a session's begin from there."""
        asked = [step.name.lower() for step in self.plan.steps]
        with self._session() as session:
            return sql.now(session, Deadline(self.target.deadline_seconds), asked)

    def files(self) -> Mapping[str, Any]:
        with self._session() as session:
            return session.query(sql.FILES, Deadline(self.target.deadline_seconds))[0]

    @contextlib.contextmanager
    def _session(self) -> Iterator[Session]:
        session = self.target.session.in_database(self.plan.database)
        try:
            yield session
        finally:
            with contextlib.suppress(Exception):
                session.close()


def _errors(found: Mapping[str, Any]) -> List[str]:
    return [
        error_line(dict(each, error=mask.mask(each["error"]))) for each in found["file_errors"] + found["hba_errors"]
    ]


def _by_hand(step: Step) -> str:
    if step.former is None:
        return "ALTER SYSTEM RESET %s;" % step.name
    words = values.parts(step.row, mask.setting(step.name, step.former)) or []
    return "ALTER SYSTEM SET %s = %s;" % (step.name, ", ".join(map(literal, words)))


def _asked(options: Options) -> Dict[str, Any]:
    """By name; None to reset. Raises OptionsError for what cannot be meant."""
    wanted = options["settings"] if options["state"] == "present" else dict.fromkeys(options["names"])
    if not wanted:
        raise OptionsError("No setting is named", "Name some in settings (or in names, with state=absent).")
    asked = {str(name): value for name, value in wanted.items()}
    small = [name.lower() for name in asked]
    twice = sorted({name for name in small if small.count(name) > 1})
    if twice or any(not name.strip() or "\0" in name for name in small):
        raise OptionsError("settings names %s twice" % names(twice) if twice else "A setting has no name")
    if not 0 < options["timeout_seconds"] <= 3600:
        raise OptionsError("timeout_seconds is %s: it must be from 0 to 3600" % options["timeout_seconds"])
    return asked
