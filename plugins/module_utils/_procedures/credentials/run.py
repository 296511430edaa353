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
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from ..._core import atomic
from ..._core.deadline import Deadline
from ..._core.errors import OncallError, RefusedError, RightsError, SessionError, UnprovenError
from ..._core.interrupt import interruptible, undisturbed
from ..._core.mask import mask
from ..._core.side_by_side import side_by_side
from ..._core.spec import Spec
from ..._core.wait import wait_for
from ..._gather.client import note as note_
from ..._gather.client.verifier import matches
from ..._gather.runtime.base import Client
from ..._gather.runtime.compose.address import elsewhere
from ..._gather.session.bind import identifier
from ..._judge.role_users import Gate
from ..._model.note import Note
from ..clients.moving import look
from ..clients.note import wait_for_others
from ..clients.plan import left_stopped
from ..clients.run import Clients
from ..drive.choose import drive_of
from ..pooler import refusal
from ..procedure import Change, Options
from .env_file import password_in
from .noting import Noting, noting
from .plan import ClientSeen, Plan, Request, Seen, check_session, decide, diff
from .scram import make_password, make_verifier
from .sql import GATE, NOTHING, ROLE, SESSION, SESSIONS, SET_BOTH, SET_VERIFIER

if TYPE_CHECKING:
    from ..._gather.runtime.compose.runtime import ComposeRuntime
    from ..._gather.target import Target
    from ..._model.facts import ClientFacts
    from ..._model.user import User

_MARGIN_SECONDS = 0.5
_RETRY_SECONDS = 5.0  # for what passes: a slot that is taken, a name that is not resolved
_CLIENTS = Clients("credentials_reset", "password reset")
_COMPOSE_SECONDS = 60.0  # what Compose itself takes at most, beside the clients' grace time

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
    """What was changed so far, as (what, how to undo it), in that order."""

    undo: List[Tuple[str, Callable[[], None]]] = field(default_factory=list)
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
        files = [path for path in (request.env_file, request.password_file) if path is not None]
        needed = bool(files or plan.plan.recreate or plan.scene.owing)
        with noting(target, request.role, files, plan.plan.recreate, needed) as note, interruptible():
            _apply(target, plan.scene.options, request, plan.scene, plan.plan, done, note)
        return done

    def prove(self, target: Target, plan: _Job, done: _Done) -> Change:
        return plan.change(done)

    def recover(self, target: Target, options: Options, how: str) -> Change:
        """The process that did it was killed, and what it knew of the old password with it: clients are started."""
        if target.runtime.note_path:
            with contextlib.suppress(RefusedError):  # Compose goes on to its end
                wait_for_others(target.runtime.note_path, _COMPOSE_SECONDS + options["grace_seconds"])
        patience = dict(options, health_timeout_seconds=options["timeout_seconds"])
        error = _CLIENTS.recover_restart(target, patience, how)
        hint = "Run it again: it goes on from what it finds. Until then role, files and clients may have different "
        raise UnprovenError(error.msg, ("%spasswords. %s" % (hint, error.hint)).strip())


def _look(target: Target, options: Options, request: Request) -> _Scene:
    started = time.monotonic()
    note = _note(target)
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
    if request.env_file and services and elsewhere(options["docker_host"]):
        raise RefusedError(
            "env_file is refused with docker_host=%s: %s cannot be recreated from here, since the Compose files are on "
            "the engine's host and %s would be a file of %s"
            % (options["docker_host"], ", ".join(services), request.env_file, target.place),
            "Leave out docker_host and have Ansible reach that host by SSH; or give password_of and no env_file.",
        )
    env = _read(target, request.env_file, True)
    secret = _read(target, request.password_file, False)
    recreation, described = None, None
    if env is not None and services and own is not None:
        recreation = _recreation(target, options, services, note, Deadline(_COMPOSE_SECONDS))
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
        try:
            if path is not None and found is not None:
                with _file_of(target):
                    atomic.check_writable(found)
        except RefusedError as error:
            unwritable[path] = error
    return _Scene(request, options, seen, started, target.place, env, secret, recreation, unwritable, note)


def _note(target: Target) -> Note:
    """Of a run that has not finished. Raises RefusedError where one is still at it."""
    if not target.runtime.note_path:
        return Note()
    wait_for_others(target.runtime.note_path, target.deadline_seconds)
    return note_.read(target.runtime.note_path)


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


def _read(target: Target, path: Optional[str], must_exist: bool) -> Optional[atomic.Found]:
    with _file_of(target):
        return atomic.read(path, must_exist) if path else None


@contextlib.contextmanager
def _file_of(target: Target) -> Iterator[None]:
    """What fails inside says whose file it is: the controller and the host may have one of the same name."""
    try:
        yield
    except OncallError as error:
        raise type(error)("On %s: %s" % (target.place, error.msg), error.hint) from None


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


def _compose(target: Target) -> ComposeRuntime:
    """The runtime whose name is ``compose``: the caller has looked."""
    return cast("ComposeRuntime", target.runtime)


def _own_passwords(target: Target) -> Optional[Dict[str, Optional[str]]]:
    """Container's name -> the password that it holds itself; None where the clients are no containers. Secret."""
    if target.runtime.name != "compose":
        return None
    logins = {one.container: one.own_login for one in _compose(target).clients() if one.container is not None}
    return {name: login.password if login is not None else None for name, login in logins.items()}


def _recreation(target: Target, options: Options, services: Sequence[str], note: Note, deadline: Deadline) -> Any:
    from .recreate import Recreation

    left = left_stopped(note, look(drive_of(target).containers(deadline) or [], deadline)) if note.clients else []
    view = _compose(target).view(deadline)
    recreation = Recreation(view, options["project"], services, options["docker_host"], left)
    recreation.prepare(deadline)
    return recreation


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
                data = text.encode("utf-8", "surrogateescape")
                done.undo.append(("%s on %s" % (what, scene.place), functools.partial(atomic.put_back, found, data)))
                with _file_of(target):
                    atomic.write(found, data)
        if plan.recreate:
            undo = functools.partial(_put_back, target, options, scene, plan, note)
            done.undo.append(("the containers of %s" % ", ".join(plan.recreate), undo))
            _recreate(target, options, scene, plan, note)
            done.warnings += _unlike(scene, plan)
        _prove(target, options, request, scene, plan, done)
    except BaseException as error:
        with undisturbed():
            raise _rolled_back(target, request, plan, done, error) from None


def _set_role(target: Target, request: Request, scene: _Scene, plan: Plan, done: _Done) -> None:
    old = scene.seen.role or {}
    new = make_verifier(plan.password, scene.seen.session["iterations"]) if plan.store else old["verifier"]
    ours = {"verifier": new, "valid_until": plan.valid_until or old["valid_until"]}
    done.undo.append(
        ("the password of role %s" % request.role, functools.partial(_restore_role, target, request.role, old, ours))
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


def _recreate(target: Target, options: Options, scene: _Scene, plan: Plan, note: Noting) -> None:
    grace = options["grace_seconds"]
    deadline = Deadline(_COMPOSE_SECONDS + grace * len(plan.recreate))
    try:
        note.stopping()
        scene.recreation.run(plan.recreate, grace, deadline, _secrets(scene, plan), note.keep)
    finally:
        target.runtime.forget()


def _put_back(target: Target, options: Options, scene: _Scene, plan: Plan, note: Noting) -> None:
    """From the files, which hold the old password again; those that were only stopped are started."""
    try:
        if scene.recreation.begun:
            _recreate(target, options, scene, plan, note)
    finally:
        scene.recreation.bring_back(plan.recreate, options["timeout_seconds"])
        target.runtime.forget()


def _unlike(scene: _Scene, plan: Plan) -> List[str]:
    found = scene.recreation.changed(plan.recreate, _secrets(scene, plan), Deadline(_COMPOSE_SECONDS))
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


def _rolled_back(target: Target, request: Request, plan: Plan, done: _Done, error: BaseException) -> UnprovenError:
    """Undo all, whatever fails; oldest first, for the containers are made anew from the files."""
    put_back, failed = [], []
    for what, undo in done.undo:
        try:
            undo()
            put_back.append(what)
        except Exception as wrong:
            failed.append("%s (%s)" % (what, mask(str(wrong), [plan.password])))
    said = str(error) if isinstance(error, OncallError) else "it was interrupted (%s)" % type(error).__name__
    parts = [
        "The new password of role %s could not be verified: %s"
        % (request.role, mask(said, [plan.password]).rstrip("."))
    ]
    if put_back:
        parts.append("restored: %s" % ", ".join(put_back))
    if failed:
        parts.append("NOT restored: %s" % ", ".join(failed))
    if not done.undo:
        parts.append("nothing was changed")
    return UnprovenError(
        "; ".join(parts),
        "Restore the rest by hand, or run again." if failed else "Fix that, then run again.",
        error.sqlstate if isinstance(error, OncallError) else None,
        {"put_back": put_back, "not_put_back": failed, "logins": done.logins},
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
