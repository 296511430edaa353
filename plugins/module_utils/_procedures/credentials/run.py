# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new password for a role, the files that hold it and the clients that use it; proved, or everything is restored.

Order: look, decide (``_credentials_plan``), role, files, clients made anew, a login from each client's place. The
server gets a verifier only. Each step says how to undo it before it is begun.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core import atomic
from ..._core.deadline import Deadline
from ..._core.errors import OncallError, RefusedError, RightsError, SessionError, UnprovenError
from ..._core.interrupt import interruptible, undisturbed
from ..._core.mask import mask
from ..._core.side_by_side import side_by_side
from ..._core.spec import Spec
from ..._core.wait import wait_for
from ..._gather.client.verifier import matches
from ..._gather.runtime.base import Client
from ..._gather.session.bind import identifier
from ..._judge.role_users import Gate
from ..._model.note import Note
from ..clients.run import Clients
from ..pooler import refusal
from ..procedure import Change, Options
from ..recreation import files
from ..recreation.anew import COMPOSE_SECONDS, Anew, compose, prepared, recovered, unfinished
from ..recreation.noting import Noting, noting
from ..recreation.same import but_secrets
from ..recreation.undo import Undo
from .env_passwords import password_in
from .plan import ClientSeen, Plan, Request, Seen, check_session, decide, diff
from .scram import make_password, make_verifier
from .sql import GATE, NOTHING, ROLE, SESSION, SESSIONS, SET_BOTH, SET_VERIFIER

if TYPE_CHECKING:
    from ..._gather.target import Target
    from ..._model.facts import ClientFacts
    from ..._model.user import User

_MARGIN_SECONDS = 0.5
_RETRY_SECONDS = 5.0  # for what passes: a slot that is taken, a name that is not resolved
_CLIENTS = Clients("credentials_reset", "password reset")

OPTIONS = Spec(
    {
        "role": {"type": "str", "required": True},
        "password": {"type": "str", "no_log": True},
        "password_of": {"type": "str", "no_log": False},
        "env_file": {"type": "path"},
        "env_keys": {"type": "list", "elements": "str", "no_log": False},
        "password_file": {"type": "path", "no_log": False},
        "valid_until": {"type": "str"},
        "allow_superuser": {"type": "bool", "default": False},
        "may_lock_out": {"type": "list", "elements": "str"},
        "grace_seconds": {"type": "int", "default": 30},
        "timeout_seconds": {"type": "float", "default": 60},
    },
    mutually_exclusive=(("password", "password_of"),),
)


@dataclass(frozen=True)
class _Scene:
    """What was asked and seen, and the handles to change it."""

    request: Request
    options: Options
    seen: Seen
    started: float  # by the monotonic clock
    place: str  # whose files they are
    env: Optional[atomic.Found] = None
    secret: Optional[atomic.Found] = None
    recreation: Any = None  # a Recreation, where containers may be recreated
    unwritable: Mapping[Optional[str], RefusedError] = field(default_factory=dict)  # by path
    note: Note = field(default_factory=Note)  # of a run that has not finished

    @property
    def owing(self) -> bool:
        """A reset of the role's password did not finish."""
        return any(one.role == self.request.role for one in self.note.roles)


@dataclass
class _Done:
    undo: Undo = field(default_factory=Undo)
    logins: List[Dict[str, Any]] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Job:
    """The plan with all that carrying it out takes."""

    scene: _Scene
    plan: Plan

    @property
    def empty(self) -> bool:
        return self.plan.empty and not self.scene.owing

    def foreseen(self) -> Change:
        moving = self.scene.recreation.moving(self.plan.recreate) if self.plan.recreate else []
        return self.change(_Done(warnings=[*self.plan.warnings, *moving]))

    def change(self, done: _Done) -> Change:
        before, after = diff(self.scene.request, self.scene.seen, self.plan)
        return Change(not self.plan.empty, before, after, _details(self.scene, self.plan, done))


class Reset:
    """See the module ``credentials``. The clients' logins are part of ``apply``: when one fails all is undone."""

    def read(self, target: Target, options: Options) -> _Scene:
        request = Request(
            options["role"],
            options["password"],
            options["password_of"],
            options["env_file"],
            tuple(options["env_keys"] or ()),
            options["password_file"],
            options["valid_until"],
            options["allow_superuser"],
            tuple(options["may_lock_out"] or ()),
        )
        return _look(target, options, request)

    def plan(self, state: _Scene, options: Options) -> _Job:
        plan = decide(state.request, state.seen, make_password())
        for path, text in ((state.request.env_file, plan.env_text), (state.request.password_file, plan.secret_text)):
            if text is not None and path in state.unwritable:
                raise state.unwritable[path]
        return _Job(state, plan)

    def apply(self, target: Target, plan: _Job) -> _Done:
        done = _Done(warnings=list(plan.plan.warnings))
        request = plan.scene.request
        paths = [path for path in (request.env_file, request.password_file) if path is not None]
        services, needed = plan.plan.recreate, bool(paths or plan.plan.recreate or plan.scene.owing)
        with noting(target, _CLIENTS.name, services, request.role, paths, needed) as note, interruptible():
            _apply(target, plan.scene.options, request, plan.scene, plan.plan, done, note)
        return done

    def prove(self, target: Target, plan: _Job, done: _Done) -> Change:
        return plan.change(done)

    def recover(self, target: Target, options: Options, how: str) -> Change:
        """The process that did it was killed, and what it knew of the old password with it: clients are started."""
        error = recovered(target, options, _CLIENTS, how)
        hint = "Run it again: it goes on from what it finds. Until then role, files and clients may have different "
        raise UnprovenError(error.msg, ("%spasswords. %s" % (hint, error.hint)).strip())


def _look(target: Target, options: Options, request: Request) -> _Scene:
    started = time.monotonic()
    note = unfinished(target)
    deadline = Deadline(target.deadline_seconds)
    facts = _examine(target, deadline, request.role, None)
    sessions = target.session.query(SESSION, deadline, role=request.role)
    check_session(sessions[0])
    if target.session.pooled:
        _check_pooler(target, deadline)
    roles = target.session.query(ROLE, deadline, role=request.role, valid_until=request.valid_until)
    own = _own_passwords(target)
    clients = tuple(_client_seen(client, one, own) for client, one in facts)
    services = list(dict.fromkeys(one.service for one in clients if one.container))
    if request.env_file and services:
        files.refuse_elsewhere(
            target,
            options["docker_host"],
            request.env_file,
            ", ".join(services),
            "Leave out docker_host and have Ansible reach that host by SSH; or give password_of and no env_file.",
        )
    env = files.read(target, request.env_file) if request.env_file else None
    secret = files.read(target, request.password_file, False) if request.password_file else None
    recreation, described = None, None
    if env is not None and services and own is not None:
        recreation = prepared(target, options, services, note)
        described = recreation.passwords()
    seen = Seen(
        sessions[0],
        roles[0] if roles else None,
        clients,
        options["service"] if own is not None else None,
        env.text if env is not None else None,
        secret.text if secret is not None and secret.data is not None else None,
        described,
        _beside(target, request, clients, env),
        target.session.query(SESSIONS, Deadline(target.deadline_seconds), role=request.role)[0]["sessions"],
        _gate(target, request.role),
        [address for client, _facts in facts for address in client.addresses],
        any(not one.container for one in clients),
        _other_files(request, recreation),
    )
    unwritable: Dict[Optional[str], RefusedError] = {}
    for path, found in ((request.env_file, env), (request.password_file, secret)):
        why = files.unwritable(target, found) if found is not None else None
        if why is not None:
            unwritable[path] = why
    return _Scene(request, options, seen, started, target.place, env, secret, recreation, unwritable, note)


def _check_pooler(target: Target, deadline: Deadline) -> None:
    """Raises RefusedError for one in statement mode: nothing set before a statement would hold for it."""
    try:
        target.session.execute(NOTHING, deadline)
    except SessionError as error:
        why = "it allows no transactions, which keep the verifier out of the server's log (%s)" % error.msg
        raise refusal("A new password", why) from None


def _beside(
    target: Target, request: Request, clients: Sequence[ClientSeen], env: Optional[atomic.Found]
) -> Sequence[User]:
    held = {one.password for one in clients if one.password}
    if env is not None:
        held |= {password_in(env.text, key, request.role, str(request.env_file)) for key in request.env_keys}
    known = {one.name for one in clients if one.container}
    return target.runtime.neighbours(request.role, held, known, Deadline(target.deadline_seconds))


def _gate(target: Target, role: str) -> Optional[Gate]:
    try:
        row = target.session.query(GATE, Deadline(target.deadline_seconds), roles=[role])[0]
    except RightsError:
        return None
    return Gate(role, row["member_of"], row["rules"], row["hba_file"], row["loaded"])


def _other_files(request: Request, recreation: Any) -> Mapping[str, str]:
    """The files that Compose takes variables from, but env_file."""
    texts: Dict[str, str] = {}
    for path in recreation.variable_files() if recreation is not None else ():
        if request.env_file is None or os.path.realpath(path) != os.path.realpath(request.env_file):
            with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:
                texts[path] = file.read()
    return texts


def _examine(
    target: Target, deadline: Deadline, role: str, password: Optional[str]
) -> List[Tuple[Client, ClientFacts]]:
    """The clients that log in as ``role``, each checked from its place, with ``password`` where it is given."""
    clients = [client for client in target.runtime.clients() if client.user == role and client.login is not None]
    for client in clients:
        if password is not None and client.login is not None:
            client.login = dataclasses.replace(client.login, password=password)
    inner = deadline.sooner(max(0.5, deadline.left() - _MARGIN_SECONDS))
    outcome = side_by_side(
        {"%d" % number: functools.partial(client.examine, inner) for number, client in enumerate(clients)}, deadline
    )
    for error in outcome.errors.values():
        raise error
    return [(client, outcome.values["%d" % number]) for number, client in enumerate(clients)]


def _own_passwords(target: Target) -> Optional[Dict[str, Optional[str]]]:
    """Container's name -> the password that it holds itself; None where the clients are no containers. Secret."""
    if target.runtime.name != "compose":
        return None
    logins = {one.container: one.own_login for one in compose(target).clients() if one.container is not None}
    return {name: login.password if login is not None else None for name, login in logins.items()}


def _client_seen(client: Client, facts: ClientFacts, own: Optional[Mapping[str, Optional[str]]]) -> ClientSeen:
    held = (own or {}).get(facts["name"])
    given = client.login.password if client.login is not None else None
    return ClientSeen(
        facts["service"],
        facts["name"],
        held if held is not None else given,
        facts["name"] in (own or {}),
        facts["state"] == "running",
        facts["health"]["ok"] if facts["health"] else None,
        bool(facts["attempt"] and facts["attempt"]["sqlstate"] == "28P01"),
    )


def _apply(
    target: Target, options: Options, request: Request, scene: _Scene, plan: Plan, done: _Done, note: Noting
) -> None:
    try:
        if plan.alter:
            _set_role(target, request, scene, plan, done)
        for what, found, text in (
            (request.env_file, scene.env, plan.env_text),
            (request.password_file, scene.secret, plan.secret_text),
        ):
            if found is not None and text is not None:
                files.write(target, str(what), found, text, done.undo)
        if plan.recreate:
            anew = Anew(target, options, scene.recreation, plan.recreate, _secrets(scene, plan), note)
            done.undo.add("the containers of %s" % ", ".join(plan.recreate), anew.put_back)
            anew.make()
            done.warnings += _unlike(scene, plan)
        _prove(target, options, request, scene, plan, done)
    except BaseException as error:
        with undisturbed():
            text = "The new password of role %s could not be verified" % request.role
            raise done.undo.failed(text, error, [plan.password], {"logins": done.logins}) from None


def _set_role(target: Target, request: Request, scene: _Scene, plan: Plan, done: _Done) -> None:
    old = scene.seen.role or {}
    new = make_verifier(plan.password, scene.seen.session["iterations"]) if plan.store else old["verifier"]
    ours = {"verifier": new, "valid_until": plan.valid_until or old["valid_until"]}
    done.undo.add(
        "the password of role %s" % request.role, functools.partial(_restore_role, target, request.role, old, ours)
    )
    _alter(target, request.role, new, plan.valid_until)


def _alter(target: Target, role: str, verifier: Optional[str], valid_until: Optional[str]) -> None:
    deadline = Deadline(target.deadline_seconds)
    if valid_until is None:
        target.session.execute(SET_VERIFIER, deadline, role=identifier(role), verifier=verifier)
    else:
        target.session.execute(SET_BOTH, deadline, role=identifier(role), verifier=verifier, valid_until=valid_until)


def _restore_role(target: Target, role: str, old: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Only over what we made: a password that someone else has set meanwhile is theirs."""
    rows = target.session.query(ROLE, Deadline(target.deadline_seconds), role=role, valid_until=None)
    now = (rows[0]["verifier"], rows[0]["valid_until"]) if rows else (None, None)
    if now == (old["verifier"], old["valid_until"]):
        return
    if now != (ours["verifier"], ours["valid_until"]):
        raise RefusedError("someone else has changed it meanwhile")
    _alter(target, role, old["verifier"], old["valid_until"] if now[1] != old["valid_until"] else None)


def _unlike(scene: _Scene, plan: Plan) -> List[str]:
    found = scene.recreation.changed(plan.recreate, but_secrets(_secrets(scene, plan)), Deadline(COMPOSE_SECONDS))
    return ["recreated, and not as it was: %s" % one for one in found]


def _prove(target: Target, options: Options, request: Request, scene: _Scene, plan: Plan, done: _Done) -> None:
    """Raises UnprovenError unless the server keeps the password and each client gets in with it from its place."""
    rows = target.session.query(
        ROLE, Deadline(target.deadline_seconds), role=request.role, valid_until=request.valid_until
    )
    if not rows or matches(plan.password, rows[0]["verifier"], request.role) is not True:
        raise UnprovenError("the server does not have the new password of role %s" % request.role)
    wanted = set(scene.recreation.started(plan.recreate)) if plan.recreate else set()
    was_healthy = {one.name for one in scene.seen.clients if one.healthy}
    timeout = options["timeout_seconds"]

    def ask() -> List[Dict[str, Any]]:
        target.runtime.forget()
        try:
            found = _examine(target, Deadline(target.deadline_seconds), request.role, plan.password)
            own = _own_passwords(target) or {}
        except OncallError as error:  # a container that is just being started may be gone again
            return [{**_UNSEEN, "problem": mask(str(error), [plan.password])}]
        return [_login(facts, plan, wanted, was_healthy, own) for _client, facts in found]

    waited = wait_for(ask, _settled, timeout if plan.recreate else min(timeout, _RETRY_SECONDS), 0.5)
    done.logins = [{key: one[key] for key in _SHOWN} for one in waited.last]
    bad = [one for one in waited.last if one["problem"]]
    names = {one.service for one in scene.seen.clients}
    if bad or {one["service"] for one in waited.last} != names:
        raise UnprovenError(
            "; ".join("%s: %s" % (one["name"], one["problem"]) for one in bad) or "a client of the role is gone"
        )
    done.warnings += [
        "%s: its health page does not report healthy yet" % one["name"] for one in waited.last if one["sick"]
    ]


_UNSEEN: Dict[str, Any] = {
    "service": None,
    "name": "the clients",
    "place": "none",
    "succeeded": False,
    "method": None,
    "message": None,
    "final": False,
    "sick": False,
}
_SHOWN = ("service", "name", "place", "succeeded", "method", "message")


def _login(
    facts: ClientFacts, plan: Plan, wanted: Any, was_healthy: Any, own: Mapping[str, Optional[str]]
) -> Dict[str, Any]:
    """One client's login, what speaks against it, and whether waiting could help."""
    attempt, health = facts["attempt"], facts["health"]
    refused = bool(attempt and (attempt["sqlstate"] or "").startswith("28"))
    sick = bool(health and not health["ok"])
    problem, final = None, False
    if facts["service"] in plan.recreate and own.get(facts["name"]) != plan.password:
        problem, final = "its new container did not get the new password", facts["name"] in own
    if problem is None and not (attempt and attempt["succeeded"]):
        said = attempt["message"] if attempt else facts["error"]
        code = " (SQLSTATE %s)" % attempt["sqlstate"] if attempt and attempt["sqlstate"] else ""
        text = mask(said or "no login was possible", [plan.password])
        problem, final = "login with the new password failed: %s%s" % (text, code), refused
    if problem is None and facts["service"] in wanted and facts["state"] != "running":
        problem = "its new container is %s" % facts["state"]
    if problem is None and sick and facts["name"] in was_healthy:
        problem = "its health page was healthy before and is not now"
    return {
        "service": facts["service"],
        "name": facts["name"],
        "place": facts["place"],
        "succeeded": bool(attempt and attempt["succeeded"]),
        "method": attempt["method"] if attempt else None,
        "message": mask(attempt["message"], [plan.password]) if attempt and attempt["message"] else None,
        "problem": problem,
        "final": final,
        "sick": sick,
    }


def _settled(found: Sequence[Mapping[str, Any]]) -> bool:
    return any(one["final"] for one in found) or (
        bool(found) and not any(one["problem"] or one["sick"] for one in found)
    )


def _secrets(scene: _Scene, plan: Plan) -> List[str]:
    found = [plan.password] + [one.password or "" for one in scene.seen.clients]
    found += [password or "" for _role, password in (scene.seen.described or {}).values()]
    return [one for one in dict.fromkeys(found) if one]


def _details(scene: _Scene, plan: Plan, done: _Done) -> Dict[str, Any]:
    request = scene.request
    paths = ((request.env_file, plan.env_text), (request.password_file, plan.secret_text))
    given = [path for path, _text in paths if path is not None]
    here = [one.service for one in scene.seen.clients if not one.container]
    return {
        "role": request.role,
        "role_changed": plan.alter,
        "files": [path for path, text in paths if text is not None],
        "files_on": scene.place if given else None,
        "recreated": list(plan.recreate),
        "restart_needed": list(dict.fromkeys(here)) if not plan.empty else [],
        "logins": done.logins,
        "warnings_found": done.warnings,
        "seconds": round(time.monotonic() - scene.started, 1),
    }
