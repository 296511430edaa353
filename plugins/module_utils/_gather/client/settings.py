# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a client logs in: what the option ``login`` gives, then its environment, then the defaults. Pure, but for files.

Environment variables that are read, the first kind that names a host (or a URL) wins, the others fill its gaps:

* a connection string: ``DATABASE_URL``, ``POSTGRES_URL``, ``*_DATABASE_URL``, ``*_DSN`` ... as URL (SQLAlchemy's
  ``postgresql+driver://`` and Django's ``postgis://`` too) or as libpq's ``key=value`` words
* ``POSTGRES_HOST PORT USER PASSWORD DB``, ``PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE``,
  ``DB_HOST PORT USER PASSWORD NAME``

Each of them may be ``<NAME>_FILE`` instead, the path of a file that holds the value. Where there is still no password,
libpq's password file gives it: ``PGPASSFILE``, or ``passfile`` in a connection string.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import parse_qsl, unquote

from ..._core.numbers import port
from ..runtime.base import SSL_MODES, Login
from .secret_files import Read, password_for, unread, with_files

_SCHEME = re.compile(r"^(?:jdbc:)?(?:postgres|postgresql|postgis|timescale|timescaledb|pgsql|psql)(?:\+\w+)?://", re.I)
_WORD = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\]|\\.)*))")
_FIRST_URLS = (
    "DATABASE_URL",
    "POSTGRES_URL",
    "POSTGRESQL_URL",
    "DB_URL",
    "SQLALCHEMY_DATABASE_URI",
    "SQLALCHEMY_DATABASE_URL",
)
_URL_NAME = re.compile(r"(?:^|_)(?:URL|URI|DSN|CONNECTION_STRING)$")
_PIECES: Tuple[Tuple[str, Dict[str, Tuple[str, ...]]], ...] = (
    (
        "POSTGRES_*",
        {
            "host": ("POSTGRES_HOST", "POSTGRES_SERVER", "POSTGRESQL_HOST"),
            "port": ("POSTGRES_PORT", "POSTGRESQL_PORT"),
            "user": ("POSTGRES_USER", "POSTGRES_USERNAME", "POSTGRESQL_USER", "POSTGRESQL_USERNAME"),
            "password": ("POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD"),
            "database": ("POSTGRES_DB", "POSTGRES_DATABASE", "POSTGRES_NAME", "POSTGRESQL_DATABASE"),
            "ssl_mode": ("POSTGRES_SSLMODE", "POSTGRES_SSL_MODE"),
        },
    ),
    (
        "PG*",
        {
            "host": ("PGHOST",),
            "port": ("PGPORT",),
            "user": ("PGUSER",),
            "password": ("PGPASSWORD",),
            "database": ("PGDATABASE",),
            "ssl_mode": ("PGSSLMODE",),
        },
    ),
    (
        "DB_*",
        {
            "host": ("DB_HOST", "DB_HOSTNAME", "DATABASE_HOST"),
            "port": ("DB_PORT", "DATABASE_PORT"),
            "user": ("DB_USER", "DB_USERNAME", "DATABASE_USER", "DATABASE_USERNAME"),
            "password": ("DB_PASSWORD", "DB_PASS", "DATABASE_PASSWORD"),
            "database": ("DB_NAME", "DB_DATABASE", "DATABASE_NAME"),
            "ssl_mode": ("DB_SSLMODE", "DB_SSL_MODE"),
        },
    ),
)


def resolve_login(
    option: Mapping[str, Any], env: Mapping[str, str], defaults: Mapping[str, Any], read: Read = unread
) -> Optional[Login]:
    """What ``option`` leaves out comes from ``env``, what remains from ``defaults`` (host, port, user, password, ...).

    ``read`` gives the client's files that ``env`` names; each is asked for only where it is needed.

    ``source`` is "target" when only the defaults speak: then the place is known but not how this client logs in.
    None when nobody names a host. ``database`` is the user's name where nobody names one, as libpq has it.
    """
    given = _texts(option)
    source, described = _described(env, read) or ("target", {})
    values = _layered(given, described, _texts(defaults))
    if not values.get("host"):
        return None
    user = values.get("user") or "postgres"
    login = Login(
        host=values["host"],
        port=port(values.get("port")) or 5432,
        user=user,
        database=values.get("database") or user,
        ssl_mode=values.get("ssl_mode") or "prefer",
        password=values.get("password"),
        source="options" if given else source,
    )
    passfile = values.get("passfile") or env.get("PGPASSFILE") or ""
    text = read(passfile) if login.password is None and passfile.startswith("/") else None
    if text is None:
        return login
    return replace(login, password=password_for(text, login.host, login.port, login.database, login.user))


def named_user(option: Mapping[str, Any], env: Mapping[str, str], read: Read = unread) -> Optional[str]:
    """The role that the client itself is known to log in as; None where only defaults would say."""
    _unused, described = _described(env, read) or ("", {})
    return _layered(_texts(option), described).get("user")


def named_logins(given: Mapping[str, str], read: Read = unread) -> Iterator[Tuple[str, Dict[str, str]]]:
    """Every connection that an environment describes, by the names of its variables; no gap is filled."""
    env = with_files(given, _is_setting, read)
    for name in _url_names(env):
        values = parse_connection_string(env[name])
        if values is not None:
            yield name, values
    for source, names in _PIECES:
        set_there = {key: [env[each] for each in variables if env.get(each)] for key, variables in names.items()}
        pieces = {key: texts[0] for key, texts in set_there.items() if texts}
        if pieces:
            yield source, pieces


def secrets_of(login: Login) -> List[str]:
    """What to mask in texts about it: not a password that is also one of its names, which are shown anyway."""
    if login.password is None or login.password in (login.host, login.user, login.database):
        return []
    return [login.password]


def _texts(values: Mapping[str, Any]) -> Dict[str, str]:
    return {key: str(value) for key, value in values.items() if value not in (None, "")}


def _layered(*layers: Mapping[str, str]) -> Dict[str, str]:
    """The first layer that names a value wins; a password never goes with the user of another layer."""
    values: Dict[str, str] = {}
    for layer in layers:
        other_user = "user" in values and layer.get("user", values["user"]) != values["user"]
        for key, value in layer.items():
            if not (key == "password" and other_user):
                values.setdefault(key, value)
    return values


def parse_connection_string(text: str) -> Optional[Dict[str, str]]:
    """{host, port, user, password, database, ssl_mode, passfile}, as far as a URL or libpq's keyword words name them.

    None when it is no PostgreSQL connection string. Of several hosts the first is taken.
    """
    text = text.strip().strip("\"'") if text.strip()[:1] in "\"'" else text.strip()
    scheme = _SCHEME.match(text)
    if scheme:
        return _parse_url(text[scheme.end() :])
    if re.match(r"\s*(?:host|hostaddr|dbname|user|port|service|password)\s*=", text):
        return _parse_words(text)
    return None


def _parse_url(rest: str) -> Dict[str, str]:
    """By hand, as libpq does: passwords with raw ``#``, ``/`` or ``[`` would break ``urlsplit``."""
    rest, _unused, query = rest.partition("?")
    before, at, after = rest.rpartition("@")
    authority, _unused, path = (after if at else rest).partition("/")
    values: Dict[str, str] = {}
    if at:
        user, _unused, password = before.partition(":")
        values["user"], values["password"] = unquote(user), unquote(password)
    first = authority.split(",")[0]
    if first.startswith("["):
        host, _unused, port = first[1:].partition("]")
        port = port.lstrip(":")
    else:
        host, _unused, port = first.partition(":")
    values["host"], values["port"], values["database"] = unquote(host), port, unquote(path.split("#")[0])
    for key, value in parse_qsl(query):
        name = _KEYWORDS.get(key.lower())
        if name:
            values[name] = value.split(",")[0] if name in ("host", "port") else value
    return {key: value for key, value in values.items() if value != ""}


_KEYWORDS = {
    "host": "host",
    "hostaddr": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "passfile": "passfile",
    "dbname": "database",
    "database": "database",
    "sslmode": "ssl_mode",
    "ssl_mode": "ssl_mode",
    "ssl": "ssl_mode",
}


def _parse_words(text: str) -> Dict[str, str]:
    values: Dict[str, str] = {}
    for match in _WORD.finditer(text):
        name = _KEYWORDS.get(match.group(1))
        value = re.sub(r"\\(.)", r"\1", match.group(2) if match.group(2) is not None else match.group(3))
        if name and value and not (name == "host" and match.group(1) == "host" and "hostaddr" in text):
            values[name] = value.split(",")[0] if name in ("host", "port") else value
    return values


def _described(given: Mapping[str, str], read: Read) -> Optional[Tuple[str, Dict[str, str]]]:
    """(where from, values) of the first kind of setting that names a server, its gaps filled by the others'."""
    env = with_files(given, _is_setting, read)
    kinds: List[Tuple[str, Dict[str, str]]] = []
    for name in _url_names(env):
        values = parse_connection_string(env[name])
        if values is not None:
            kinds.append((name, values))
            break
    for source, names in _PIECES:
        values = {}
        for key, variables in names.items():
            value = next((env[variable] for variable in variables if env.get(variable)), None)
            if value is not None:
                values[key] = value
        # Docker's old links set POSTGRES_PORT=tcp://172.17.0.2:5432 in containers that never asked for it.
        if "://" in values.get("port", ""):
            del values["port"]
        if values:
            kinds.append((source, values))
    kinds = [(source, _ssl_mode(values)) for source, values in kinds]
    if not kinds:
        return None
    source, chosen = next((kind for kind in kinds if "host" in kind[1]), kinds[0])
    return source, _layered(chosen, *(values for _unused, values in kinds))


_SSL_WORDS = {
    "true": "require",
    "1": "require",
    "on": "require",
    "no-verify": "require",
    "false": "disable",
    "0": "disable",
    "off": "disable",
    "verify_ca": "verify-ca",
    "verify_full": "verify-full",
}


def _ssl_mode(values: Dict[str, str]) -> Dict[str, str]:
    """asyncpg and node's ``ssl=true`` mean ``require``; an unknown word is left out, so the default counts."""
    mode = values.get("ssl_mode")
    if mode is not None:
        mode = _SSL_WORDS.get(mode.lower(), mode.lower())
        values = {key: value for key, value in values.items() if key != "ssl_mode"}
        if mode in SSL_MODES:
            values["ssl_mode"] = mode
    return values


_PIECE_NAMES = frozenset(name for _kind, names in _PIECES for variables in names.values() for name in variables)


def _is_setting(name: str) -> bool:
    return name in _PIECE_NAMES or name in _FIRST_URLS or bool(_URL_NAME.search(name.upper()))


def _url_names(env: Mapping[str, str]) -> Iterator[str]:
    """Names that may hold a connection string, the usual ones first, then ``*_DATABASE_URL`` before other URLs."""
    for name in _FIRST_URLS:
        if env.get(name):
            yield name
    others = [name for name in sorted(env) if env[name] and name not in _FIRST_URLS and _URL_NAME.search(name.upper())]
    yield from sorted(others, key=lambda name: "DATABASE" not in name.upper())
