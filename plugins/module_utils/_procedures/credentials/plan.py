# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new password takes: which of role, files and clients are to be changed, or why nothing may be. Pure.

Passwords and verifiers are in here, and in no repr and no message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..._core.errors import RefusedError
from ..._gather.client.verifier import kind, matches
from ..._judge.role_users import Gate, Named, locked_out
from .env_passwords import keys_holding, password_in, with_password

if TYPE_CHECKING:
    from ..._model.facts import RoleSessions
    from ..._model.user import User


@dataclass(frozen=True)
class Request:
    """The module's options."""

    role: str
    password: Optional[str] = field(default=None, repr=False)
    password_of: Optional[str] = None
    env_file: Optional[str] = None
    env_keys: Sequence[str] = ()
    password_file: Optional[str] = None
    valid_until: Optional[str] = None
    allow_superuser: bool = False
    may_lock_out: Sequence[str] = ()  # names of users and keys, or all


@dataclass(frozen=True)
class ClientSeen:
    """A client that logs in as the role. ``healthy`` None: it has no health page, or that could not be asked."""

    service: str
    name: str
    password: Optional[str] = field(default=None, repr=False)
    container: bool = False
    running: bool = False
    healthy: Optional[bool] = None
    rejected: bool = False  # its password, by the server


@dataclass(frozen=True)
class Seen:
    """All that the decision is made of. ``role`` and ``session`` are the rows of ``_sql.credentials``."""

    session: Mapping[str, Any] = field(repr=False)
    role: Optional[Mapping[str, Any]] = field(repr=False)
    clients: Sequence[ClientSeen] = ()
    server_service: Optional[str] = None
    env_text: Optional[str] = field(default=None, repr=False)
    secret_text: Optional[str] = field(default=None, repr=False)
    # service -> (role, password) that Compose would give a container now; None where no container is to be made
    described: Optional[Mapping[str, Tuple[Optional[str], Optional[str]]]] = field(default=None, repr=False)
    users: Sequence[User] = ()  # the containers beside the server
    sessions: Sequence[RoleSessions] = ()
    gate: Optional[Gate] = None  # None: the right to read it is missing
    addresses: Sequence[str] = ()  # of the declared clients
    here: bool = False  # a declared client runs where the server does
    beside: Mapping[str, str] = field(default_factory=dict, repr=False)  # path -> text of the project's other .env


@dataclass(frozen=True)
class Plan:
    """What is to be done. ``env_text`` and ``secret_text``: a file's new content, None where it stays."""

    password: str = field(repr=False)
    alter: bool = False
    valid_until: Optional[str] = None
    env_text: Optional[str] = field(default=None, repr=False)
    secret_text: Optional[str] = field(default=None, repr=False)
    recreate: Sequence[str] = ()
    warnings: Sequence[str] = ()
    keys: Sequence[str] = ()  # of env_file, that are changed
    store: bool = False  # another verifier; otherwise only how long it is valid is altered

    @property
    def empty(self) -> bool:
        return not (self.alter or self.recreate or self.env_text is not None or self.secret_text is not None)


def check_session(session: Mapping[str, Any]) -> None:
    """Raise RefusedError where this session could not change a password, or not put it back."""
    if session["in_recovery"]:
        raise RefusedError("This server is a standby, and read-only", "Run it against the primary.")
    if not session["superuser"] and not session["createrole"]:
        raise RefusedError(
            "%s may not change passwords: it is neither superuser nor has CREATEROLE" % session["name"],
            "Set login_user to a superuser.",
        )
    if not session["reads_verifiers"]:
        raise RefusedError(
            "%s may not read pg_authid, so the old password could not be restored" % session["name"],
            "Set login_user to a superuser.",
        )


def decide(request: Request, seen: Seen, generated: str) -> Plan:
    """``generated`` is the password to take where none is given. Raises RefusedError."""
    check_session(seen.session)
    role = _role(request, seen)
    _clients(request, seen)
    password = _password(request, seen, generated)
    env_text = _env_text(request, seen, password)
    secret_text = _secret_text(seen, password) if request.password_file else None
    fits = matches(password, role["verifier"], request.role) is True
    # The server may ask for SCRAM, which an md5 verifier cannot answer.
    store = not fits or (kind(role["verifier"]) == "md5" and any(one.rejected for one in seen.clients))
    if store:
        _own_login(request, seen)
    alter = store or not role["asked_same"]
    left = [] if fits and env_text is None else _left_behind(request, seen, password, fits)
    warnings: List[str] = ["%s may be locked out, as permitted" % each for each in left]
    if store and kind(role["verifier"]) == "md5":
        warnings.append("the role had an md5 password: drivers older than PostgreSQL 10 cannot log in with the new one")
    if alter and seen.session["writes"]:
        warnings.append(
            "the new verifier (not the password) may be in the server's log or statistics: %s. Set login_user to a "
            "superuser, whose session keeps it out, and log_transaction_sample_rate to 0"
            % ", ".join(seen.session["writes"])
        )
    return Plan(
        password,
        alter,
        role["asked"] if not role["asked_same"] else None,
        env_text,
        secret_text,
        _stale(seen, password) if request.env_file else (),
        tuple(warnings),
        tuple(dict.fromkeys(request.env_keys)) if env_text is not None else (),
        store,
    )


def diff(request: Request, seen: Seen, plan: Plan) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Before and after, without a secret."""
    role = seen.role or {}
    before: Dict[str, Any] = {"role": request.role, "password": "present", "valid_until": role.get("valid_until")}
    after = dict(before)
    if plan.store:
        after["password"] = "changed"
    if plan.valid_until is not None:
        after["valid_until"] = plan.valid_until
    for path, text, was in (
        (request.env_file, plan.env_text, seen.env_text),
        (request.password_file, plan.secret_text, seen.secret_text),
    ):
        if path is not None:
            keys = " (%s)" % ", ".join(plan.keys) if path == request.env_file else ""
            before[path] = "present" if was is not None else "absent"
            after[path] = before[path] if text is None else "password: changed" + keys
    before["recreated"], after["recreated"] = [], list(plan.recreate)
    return before, after


def _role(request: Request, seen: Seen) -> Mapping[str, Any]:
    role = seen.role
    if role is None:
        raise RefusedError("There is no role %s" % request.role, "Correct role, or create it: CREATE ROLE ... LOGIN.")
    if not role["can_login"]:
        raise RefusedError(
            "Role %s is not allowed to log in, and a password would not change that" % request.role,
            "Find out who locked it; then ALTER ROLE ... LOGIN.",
        )
    if role["superuser"] and not request.allow_superuser:
        raise RefusedError(
            "Role %s is a superuser, and its password is not changed by default" % request.role,
            "Set allow_superuser: true (-e oncall_allow_superuser=true).",
        )
    if role["asked_past"]:
        raise RefusedError("valid_until %s is not in the future" % role["asked"], "Give a later one, or infinity.")
    if role["expired"] and request.valid_until is None:
        raise RefusedError(
            "The password of role %s expired at %s, and a new one would be expired, too"
            % (request.role, role["valid_until"]),
            "Ask who set it, then give valid_until, such as infinity.",
        )
    return role


def _clients(request: Request, seen: Seen) -> None:
    if not seen.clients:
        raise RefusedError(
            "No declared client logs in as role %s, so its new password could not be verified" % request.role,
            "Declare it in clients, with its login where it is no container.",
        )
    if seen.server_service in {one.service for one in seen.clients if one.container}:
        raise RefusedError(
            "%s is the server's own service, which is never recreated" % seen.server_service, "Correct clients."
        )
    if request.password_of is not None and request.password_of not in {one.service for one in seen.clients}:
        raise RefusedError(
            "%s does not log in as role %s" % (request.password_of, request.role),
            "These do: %s." % ", ".join(sorted({one.service for one in seen.clients})),
        )


def _own_login(request: Request, seen: Seen) -> None:
    own = seen.session["own"]
    gate = seen.gate or Gate(request.role, (), None, None, None)
    if own and gate.asks_password(own):
        raise RefusedError(
            "oncall itself logs in as role %s with its present password: with a new one it could neither verify nor "
            "restore anything" % request.role,
            "Correct the client's password; or log in as another superuser (login_user, login_password).",
        )


def _left_behind(request: Request, seen: Seen, password: str, fits: bool) -> List[str]:
    """Whoever would be left with another password: refused, but for those that may be. Their names."""
    allowed, everybody = set(request.may_lock_out), "all" in request.may_lock_out
    out = {} if fits else {one.name: one.how for one in _locked_out(request, seen, password)}
    held = _held(request, seen) - {password}
    texts = {**({request.env_file: seen.env_text} if request.env_file and seen.env_text else {}), **seen.beside}
    for path, text in texts.items():
        for key in keys_holding(text, request.role, held):
            if not (path == request.env_file and key in request.env_keys):
                out.setdefault(key, "a key of %s that holds the old password" % path)
    services = {user.name: user.service for user in seen.users}
    refused = [each for each in out if not (everybody or each in allowed or services.get(each) in allowed)]
    if refused:
        keys = [each for each in refused if each in keys_holding(seen.env_text or "", request.role, held)]
        more = "Add %s to env_keys. " % " and ".join(keys) if keys else ""
        raise RefusedError(
            "Role %s is used by others, who would be locked out: %s"
            % (request.role, "; ".join("%s (%s)" % (each, out[each]) for each in refused)),
            '%sdeclare them in clients, or permit it: may_lock_out (-e \'{"oncall_may_lock_out": ["%s"]}\').'
            % (more, '", "'.join(refused)),
        )
    return list(out)


def _locked_out(request: Request, seen: Seen, password: str) -> List[Named]:
    """Whose next login would be refused. With a password that is wrong already it is so anyway."""
    verifier = (seen.role or {}).get("verifier")
    named = []
    for user in seen.users:
        if user.how is not None:
            held = user.password
            harmed = held != password and matches(held, verifier, request.role) is not False
            named.append(Named(user.name, user.how, user.service, harmed))
    places = {address: (user.name, user.service) for user in seen.users for address in user.addresses}
    gate = seen.gate or Gate(request.role, (), None, None, None)
    return locked_out(named, seen.sessions, gate, seen.addresses, seen.here, places)


def _held(request: Request, seen: Seen) -> Set[str]:
    """The passwords that the role's clients and the given keys hold."""
    found = {one.password for one in seen.clients if one.password}
    if request.env_file is not None and seen.env_text is not None:
        found |= {password_in(seen.env_text, key, request.role, request.env_file) for key in request.env_keys}
    return found


def _password(request: Request, seen: Seen, generated: str) -> str:
    if request.password_of is not None:
        return _common(request, seen)
    password = request.password if request.password is not None else generated
    if not password or re.search(r"[\0\r\n]", password):
        raise RefusedError("The given password is empty or contains a line break", "Give another one.")
    if request.password is None and not request.env_file and not request.password_file:
        raise RefusedError(
            "A password would be generated, but there is nowhere to write it",
            "Give env_file and env_keys, or password_file; or password, or password_of.",
        )
    if not request.env_file:
        out = sorted({one.service for one in seen.clients if one.container and one.password != password})
        if out:
            raise RefusedError(
                "%s would be locked out: it has another password, and no env_file is given" % ", ".join(out),
                "Give env_file and env_keys, or password_of: %s to let the role have the password that it uses."
                % out[0],
            )
    return password


def _common(request: Request, seen: Seen) -> str:
    """The password that all the role's clients have already."""
    unknown = sorted({one.name for one in seen.clients if one.password is None})
    if unknown:
        raise RefusedError(
            "The password of %s is not known here" % ", ".join(unknown), "Give password, or env_file and env_keys."
        )
    passwords = {one.password for one in seen.clients}
    if len(passwords) > 1:
        raise RefusedError(
            "The clients of role %s have different passwords (%s), and one of them would be locked out"
            % (request.role, ", ".join(sorted(one.name for one in seen.clients))),
            "Correct the wrong one's settings, or give env_file and env_keys for a new password.",
        )
    return str(passwords.pop())


def _env_text(request: Request, seen: Seen, password: str) -> Optional[str]:
    if request.env_file is None or seen.env_text is None:
        return None
    if not request.env_keys:
        raise RefusedError("env_file is given without env_keys", "Name the keys that hold the password.")
    name = request.env_file
    held = {password_in(seen.env_text, key, request.role, name) for key in request.env_keys}
    for service, (role, used) in sorted((seen.described or {}).items()):
        if role != request.role or used not in held:
            raise RefusedError(
                "Compose does not give %s the password that %s of %s holds%s"
                % (
                    service,
                    " and ".join(request.env_keys),
                    name,
                    "" if role == request.role else " (it would log in as %s)" % (role or "an unknown role"),
                ),
                "Correct env_file and env_keys, or the Compose file.",
            )
    text = with_password(seen.env_text, request.env_keys, request.role, password, name)
    return text if text != seen.env_text else None


def _secret_text(seen: Seen, password: str) -> Optional[str]:
    """The password alone, with the line's end that was there."""
    before = seen.secret_text
    end = before[len(before.rstrip("\r\n")) :] if before is not None else "\n"
    return None if before == password + end else password + end


def _stale(seen: Seen, password: str) -> Sequence[str]:
    """Services with a container that was made with another password; in the clients' order."""
    if seen.described is None:
        return ()
    return tuple(dict.fromkeys(one.service for one in seen.clients if one.container and one.password != password))
