# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Question 5: can clients log in?

*That* a login fails comes from trying it, *why* comes from the catalog: SQLSTATE narrows it down where there is one
(28P01 is also what a missing role or an expired password gets), and messages are never read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

from ..._core.text import count, line, names
from ..._model.answers import NO, YES, Answer, Thresholds, Values
from ..hba import broken, describe, describe_connection, first_match, refuses, uncertain
from ..role_users import BY_PASSWORD
from . import reset, unfinished
from .readings import CANNOT_CONNECT_NOW, TOO_MANY_CONNECTIONS, not_asked, socket_path, without_snapshot

if TYPE_CHECKING:
    from ..._model.facts import ClientFacts, ClientLogin, Database, Facts, HbaRule, LoginAttempt, Role, Snapshot

QUESTION = "login"
CAUSES = (
    "no_hba_entry",
    "ssl_required",
    "role_missing",
    "login_not_permitted",
    "password_expired",
    "wrong_password",
    "database_missing",
    "connect_privilege",
    "unknown",
)
REJECTED = ("rejected", "failed", "no_tls", "bad_certificate")
# Not ours: no slot left (question 4), starting or stopping (question 2), ended by an operator or a crash
OTHERS = (TOO_MANY_CONNECTIONS, CANNOT_CONNECT_NOW, "57P01", "57P02", "57014")


class Reason(NamedTuple):
    cause: str
    evidence: List[str]
    reload_helps: bool = False


class Case(NamedTuple):
    """One client's failed login, and what the catalog knows about it."""

    client: ClientFacts
    login: ClientLogin
    attempt: LoginAttempt
    role: Optional[Role]
    database: Optional[Database]
    rules: Optional[List[HbaRule]]
    connection: Dict[str, Any]  # keywords of first_match
    rule: Optional[HbaRule]


def check(facts: Facts, thresholds: Thresholds) -> Answer:
    tried = [client for client in facts["clients"] if client["attempt"] and client["login"]]
    if not tried:
        why = (
            "no client is declared"
            if not facts["clients"]
            else names(
                "%s: %s" % (client["name"], client["error"] or "no login was attempted") for client in facts["clients"]
            )
        )
        return not_asked(QUESTION, line(why))
    judged = [(case, _why(case, facts)) for client in tried for case in [_case(facts, client)] if case]
    failed = [(case, reason) for case, reason in judged if reason.cause != "unknown" or _refused(case)]
    if failed:
        return _no(failed, facts)
    succeeded = [client["name"] for client in tried if client["attempt"] and client["attempt"]["succeeded"]]
    if not succeeded:
        return not_asked(QUESTION, "no login got far enough to tell")
    return Answer(QUESTION, YES, "%s logged in: %s" % (count(len(succeeded), "client"), names(succeeded)))


def _refused(case: Case) -> bool:
    """The server said no. A login that broke off without a word may have other reasons than who asks."""
    return case.attempt["outcome"] != "failed" or case.attempt["sqlstate"] is not None


def _no(failed: List[Tuple[Case, Reason]], facts: Facts) -> Answer:
    case, reason = min(failed, key=lambda one: CAUSES.index(one[1].cause))
    evidence = reason.evidence + [_said(case)]
    for other, why in failed:
        if other is not case:
            evidence += why.evidence + [_said(other)]
    for role in dict.fromkeys(each.login["user"] for each, why in failed if why.cause == "wrong_password"):
        evidence += unfinished.reset_of(facts["restart_note"], str(role))
    advice = reset.instead(case.client, case.login, case.role, facts) if reason.cause == "wrong_password" else None
    no_reload = _no_reload(facts) if reason.reload_helps else "add one, then reload"
    superuser = bool(case.role and case.role["superuser"])
    values = Values(
        client=names(other.client["name"] for other, why in failed if why.cause == reason.cause),
        service=case.client["service"],
        role=case.login["user"],
        allow_superuser=superuser,
        allowed=", a superuser: the command allows changing its password" if superuser else "",
        database=case.login["database"],
        address=case.attempt["source_address"] or "the local socket",
        reload_helps=not no_reload,
        force=bool(facts["snapshot"] and facts["snapshot"]["configured"]["hba_loaded"]),
        reset_helps=reason.cause == "wrong_password" and advice is None,
        advice=no_reload if reason.cause == "no_hba_entry" else advice or "",
    )
    return Answer(
        QUESTION, NO, evidence[0], "authentication_failed", reason.cause, tuple(dict.fromkeys(evidence)), values=values
    )


def _no_reload(facts: Facts) -> str:
    """What to do instead where the procedure would refuse it; empty: nothing."""
    configured = facts["snapshot"]["configured"] if facts["snapshot"] else None
    if facts["snapshot"] and facts["snapshot"]["pooled"]:
        return "the file has one; to reload it, log in to the server itself (login_host, login_port), not to its pooler"
    if configured is None or configured["hba_loaded"] is None or not configured["may_reload"]:
        return "the file has one, so a superuser has to reload it"
    if configured["file_errors"] or any(rule["error"] for rule in configured["hba_rules"] or []):
        return "the file has one; correct the errors in the configuration files, then reload"
    return ""


def _said(case: Case) -> str:
    attempt = case.attempt
    state = "SQLSTATE %s" % attempt["sqlstate"] if attempt["sqlstate"] else attempt["outcome"].replace("_", " ")
    message = ": %s" % line(attempt["message"]) if attempt["message"] else ""
    return "%s as %s: %s%s" % (case.client["name"], case.login["user"], state, message)


def _case(facts: Facts, client: ClientFacts) -> Optional[Case]:
    """The client's failed login if it is this question's."""
    attempt, login = client["attempt"], client["login"]
    if not attempt or not login or attempt["succeeded"] or attempt["outcome"] not in REJECTED:
        return None
    if attempt["sqlstate"] in OTHERS or (attempt["sqlstate"] or "").startswith("08"):
        return None
    if attempt["outcome"] == "failed" and attempt["sqlstate"] is None and _not_let_in(client):
        return None
    snapshot = facts["snapshot"]
    role = _named(snapshot, "roles", login["user"])
    local = socket_path(login["host"]) and attempt["source_address"] is None
    own = [network["address"] or "" for network in facts["server"]["networks"]] if facts["server"] else []
    connection: Dict[str, Any] = {
        "connection": "local" if local else "host",
        "tls": attempt["tls"],
        "database": login["database"],
        "user": login["user"],
        "member_of": role["member_of"] if role else [],
        "address": attempt["source_address"],
    }
    rules = snapshot["configured"]["hba_rules"] if snapshot else None
    connection["own_addresses"] = [address for address in own if address]
    rule = first_match(rules, **connection) if rules is not None else None
    return Case(client, login, attempt, role, _named(snapshot, "databases", login["database"]), rules, connection, rule)


def _not_let_in(client: ClientFacts) -> bool:
    """It never got as far as a login: the start-up packet had no fair answer, or no connection came about."""
    startup, reach = client["startup"], client["reach"]
    if startup and (startup["outcome"] not in ("accepting", "rejecting") or startup["sqlstate"] in OTHERS):
        return True
    return bool(reach and reach["outcome"] != "open")


def _named(snapshot: Optional[Snapshot], kind: str, name: str) -> Any:
    if snapshot is None:
        return None
    rows: List[Any] = list(snapshot["roles"] if kind == "roles" else snapshot["databases"])
    return next((row for row in rows if row["name"] == name), None)


def _why(case: Case, facts: Facts) -> Reason:
    sqlstate, outcome = case.attempt["sqlstate"], case.attempt["outcome"]
    if outcome == "no_tls":
        return Reason(
            "ssl_required",
            [
                "the server offers no TLS, but %s requires it (sslmode %s)"
                % (case.client["name"], case.login["ssl_mode"])
            ],
        )
    if outcome == "bad_certificate":
        return Reason(
            "unknown",
            ["%s does not trust the server's certificate (sslmode %s)" % (case.client["name"], case.login["ssl_mode"])],
        )
    if sqlstate == "28P01":
        return _password(case) or _nothing_fits(case, facts)
    if sqlstate == "28000":
        return _refused_by_line(case) or _role(case) or _not_loaded(case) or _nothing_fits(case, facts)
    if sqlstate == "3D000":
        return Reason("database_missing", [_database_text(case)])
    if sqlstate == "42501":
        return Reason("connect_privilege", [_privilege_text(case)])
    if sqlstate is not None:
        return _accepts_none(case) or _nothing_fits(case, facts)
    return (
        _refused_by_line(case)
        or _role_missing(case)
        or _password(case)
        or _role(case)
        or _database(case)
        or _nothing_fits(case, facts)
    )


def _refused_by_line(case: Case) -> Optional[Reason]:
    if case.rules is None or not refuses(case.rule):
        return None
    if case.attempt["sqlstate"] is None and uncertain(case.rules, **case.connection):
        return None  # a line that only the server can judge may have let it through
    connection = {key: value for key, value in case.connection.items() if key in DESCRIBED}
    decided = describe(case.rule) if case.rule else "no pg_hba.conf line matches %s" % describe_connection(**connection)
    evidence = [decided]
    with_tls = first_match(case.rules, **dict(case.connection, tls=True))
    if case.connection["connection"] == "host" and not case.connection["tls"] and with_tls and not refuses(with_tls):
        return Reason("ssl_required", [*evidence, "with TLS it would match %s" % describe(with_tls)])
    return Reason("no_hba_entry", evidence + [describe(rule) for rule in case.rules if broken(rule)])


DESCRIBED = ("connection", "tls", "database", "user", "address")


def _role(case: Case) -> Optional[Reason]:
    missing = _role_missing(case)
    if missing:
        return missing
    if case.role and case.role["can_login"] is False:
        return Reason("login_not_permitted", ["role %s is NOLOGIN" % case.login["user"], *_line(case)])
    return None


def _role_missing(case: Case) -> Optional[Reason]:
    if case.role and not case.role["exists"]:
        return Reason("role_missing", ["role %s does not exist" % case.login["user"], *_line(case)])
    return None


def _password(case: Case) -> Optional[Reason]:
    """In the server's order: the role, its expiry, its verifier (get_role_password() in crypt.c)."""
    role, login = case.role, case.login
    missing = _role_missing(case)
    if missing:
        return missing
    if role is None:
        return None
    sure = case.attempt["sqlstate"] == "28P01"
    method = case.rule["auth_method"] if case.rule else case.attempt["method"]
    if not sure and method not in (None, *BY_PASSWORD):
        return None  # no password was asked for
    if role["expired"]:
        text = "the password of role %s expired (VALID UNTIL %s)" % (login["user"], role["valid_until"])
        return Reason("password_expired", [text, *_line(case)])
    if role["verifier"] == "none":
        return Reason("wrong_password", ["role %s has no password" % login["user"], *_line(case)])
    source = "(from %s)" % login["source"]
    if case.client["password_matches"] is False:
        text = "the password of %s %s does not match the stored verifier of role %s"
        return Reason("wrong_password", [text % (case.client["name"], source, login["user"]), *_line(case)])
    if not login["password_given"]:
        text = "%s sends no password %s, but %s requires one" % (case.client["name"], source, method or "the server")
        return Reason("wrong_password", [text, *_line(case)]) if sure or method in BY_PASSWORD else None
    if role["verifier"] == "md5" and method == "scram-sha-256":
        text = (
            "the stored password of role %s is md5, but pg_hba.conf requires scram-sha-256: set it again"
            % login["user"]
        )
        return Reason("wrong_password", [text, *_line(case)])
    if sure and case.client["password_matches"] is None and method in (None, *BY_PASSWORD):
        text = "the server rejects the password of %s %s; role %s exists and its password has not expired"
        return Reason("wrong_password", [text % (case.client["name"], source, login["user"]), *_line(case)])
    return None


def _not_loaded(case: Case) -> Optional[Reason]:
    """The file would let it in, the server does not: pg_hba_file_rules shows the file, not what is loaded."""
    rule = case.rule
    if rule is None or (rule["auth_method"] not in BY_PASSWORD and rule["auth_method"] != "trust"):
        return None
    if case.role is None or not case.role["exists"] or case.role["can_login"] is not True:
        return None
    text = "%s would allow it: the file was changed but not loaded" % describe(rule)
    return Reason("no_hba_entry", [text], reload_helps=True)


def _database(case: Case) -> Optional[Reason]:
    if case.database and not case.database["exists"]:
        return Reason("database_missing", [_database_text(case)])
    if case.database and case.database["connect_privilege"].get(case.login["user"]) is False:
        return Reason("connect_privilege", [_privilege_text(case)])
    return _accepts_none(case)


def _accepts_none(case: Case) -> Optional[Reason]:
    if case.database and case.database["allows_connections"] is False:
        text = "database %s accepts no connections (ALLOW_CONNECTIONS false)" % case.login["database"]
        return Reason("unknown", [text])
    return None


def _database_text(case: Case) -> str:
    return "database %s does not exist" % case.login["database"]


def _privilege_text(case: Case) -> str:
    return "role %s has no CONNECT privilege on database %s" % (case.login["user"], case.login["database"])


def _line(case: Case) -> List[str]:
    return [describe(case.rule)] if case.rule else []


def _nothing_fits(case: Case, facts: Facts) -> Reason:
    if facts["snapshot"] is None:
        text = "the catalog could not be read (%s)" % without_snapshot(facts)
        if case.attempt["sqlstate"] == "28P01":
            text = "wrong password, missing role or expired password: " + text
        return Reason("unknown", [text])
    return Reason("unknown", ["role, password, database and pg_hba.conf look right", *_line(case)])
