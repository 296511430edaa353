# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets out of logs and of what an engine says of a container. In doubt too much is masked, never too little."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..._core.mask import MASK, mask
from ..._core.shape import shape
from ..client.secret_files import Read, unread
from ..client.settings import named_logins
from ..runtime import log_words as words
from ..runtime.log import without_archive_command, without_command, without_value

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) ")  # the engine's, at the start of each line
_WITHIN = re.compile(r"(?<=[^\n])\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")  # where the engine has cut a long line
_LABELS = {word: name for table in (words.SEVERITIES, words.PARTS) for name, all_ in table.items() for word in all_}
_LABEL = re.compile(r"(?<!\w)(%s) ?:  " % "|".join(sorted(map(re.escape, _LABELS), key=len, reverse=True)))
_PREFIX_CHARACTERS = 1000
_LONGEST = 2000  # characters of a line, once masked
# What no statement with a value in it goes without, in any language of the log. A line with one is shown by its shape.
_SQL = re.compile(
    r"\b(?:select|insert|update|delete|merge|values|where|having|copy|create|alter|grant|declare|execute|prepare|call|do"
    r"|set|notify|comment|limit|returning)\b",
    re.I,
)
_LITERAL = re.compile(r"(?<!\w)[EeBbXxNn]?'(?:[^']|'')*(?:'|\Z)", re.S)
_MORE = (
    (re.compile(r"(\bbasic\s+)[A-Za-z0-9+/=_-]{6,}", re.I), r"\1" + MASK),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"), MASK),  # a JSON web token
    (re.compile(r"(\bcookie:\s*).*", re.I), r"\1" + MASK),
)
_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|key|cred|auth|private|salt|signature|session|cookie|cert|dsn|license|webhook", re.I
)
_NO_SECRET_NAME = re.compile(r"(?:FILE|METHOD|ENABLED?|TYPE|MODE|SECONDS|MINUTES|USER|NAME|VERSION|PATH|HOST|PORT)\Z")
_USERINFO = re.compile(r"://([^\s/@]+)@")
# The variables whose values are no secret: they say which program it is, and where.
_PROGRAM = (
    "PATH PGDATA PG_MAJOR PG_VERSION GOSU_VERSION PYTHON_VERSION LANG LC_ALL TZ HOSTNAME HOME APPLICATION_NAME"
    " POSTGRES_USER POSTGRES_DB POSTGRES_HOST POSTGRES_PORT PGHOST PGPORT PGUSER PGDATABASE PGSSLMODE"
    " DB_HOST DB_PORT DB_USER DB_NAME"
)
_PLAIN = frozenset(_PROGRAM.split())
_PLAIN_LABELS = re.compile(
    r"com\.docker\.compose\.|org\.opencontainers\.image\.(?:version|title|created)\Z|io\.podman\."
)


def secrets_of(environment: Mapping[str, str], read: Read = unread) -> Iterator[str]:
    """The values of an environment that are to be masked wherever they stand. Also those in files that it names."""
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and not _NO_SECRET_NAME.search(name):
            yield value
        for userinfo in _USERINFO.findall(value):
            yield userinfo.partition(":")[2]
    for _name, login in named_logins(environment, read):
        if "password" in login:
            yield login["password"]


def log(text: str, secrets: Sequence[str]) -> str:
    """A log without values of statements, and masked. Lines that are indented belong to the one above."""
    said: List[str] = []
    severity: Optional[str] = None
    for stamp, record in _records(_WITHIN.sub("", text)):
        shown, severity = _record(record, severity, secrets)
        said.append(stamp + shown)
    return "\n".join(said)


def _records(text: str) -> Iterator[Tuple[str, str]]:
    """(the engine's time, the lines of one message)."""
    found: Optional[Tuple[str, List[str]]] = None
    for line in text.replace("\r\n", "\n").rstrip("\n").split("\n"):
        at = _STAMP.match(line)
        stamp, rest = (at.group(), line[at.end() :]) if at else ("", line)
        if found is not None and rest[:1] in ("\t", " "):
            found[1].append(rest)
            continue
        if found is not None:
            yield found[0], "\n".join(found[1])
        found = (stamp, [rest])
    if found is not None:
        yield found[0], "\n".join(found[1])


def _record(record: str, severity: Optional[str], secrets: Sequence[str]) -> Tuple[str, Optional[str]]:
    """As shown, and its severity: a DETAIL is of the message before it."""
    label = _LABEL.search(record, 0, _PREFIX_CHARACTERS)
    head, body = (record[: label.end()], record[label.end() :]) if label else ("", record)
    name = _LABELS[label.group(1)] if label else None
    body = without_archive_command(body) if name == "DETAIL" else without_command(body)
    body = mask(body, secrets)  # before its quotes are taken away, by which a password is known
    for pattern, instead in _MORE:
        body = pattern.sub(instead, body)
    if name == "DETAIL" and severity not in ("LOG", "FATAL", "PANIC"):
        body = MASK  # the values of a row
    elif (name in words.PARTS and name != "HINT") or _SQL.search(body):
        body = shape(body)
    else:
        body = _LITERAL.sub("'%s'" % MASK, body)
    if name == "ERROR":
        body = without_value(body)
    shown = mask(head, secrets) + body
    shown = shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "..."
    return shown, severity if name in words.PARTS else name


def inspected(found: Mapping[str, Any], secrets: Sequence[str]) -> Dict[str, Any]:
    """What the engine says of a container. Of the environment names and some plain values are left."""
    whole: Dict[str, Any] = _masked(found, secrets)
    config = whole.get("Config") or {}
    if config.get("Env"):
        config["Env"] = [_variable(each) for each in config["Env"]]
    labels = config.get("Labels") or {}
    config["Labels"] = {name: value if _PLAIN_LABELS.match(name) else MASK for name, value in labels.items()}
    driver = (whole.get("HostConfig") or {}).get("LogConfig") or {}
    plain = ("max-size", "max-file", "mode", "compress")
    driver["Config"] = {name: value if name in plain else MASK for name, value in (driver.get("Config") or {}).items()}
    return whole


def _variable(entry: str) -> str:
    name, equals, value = entry.partition("=")
    return name + equals + (value if name in _PLAIN else MASK)


def _masked(value: Any, secrets: Sequence[str], name: str = "") -> Any:
    if isinstance(value, str):
        return log(value, secrets) if name in ("Output", "Error") else mask(value, secrets)
    if isinstance(value, Mapping):
        return {str(key): _masked(inner, secrets, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        after = [""] + [str(each) for each in value]
        return [_word(before, inner, secrets) for before, inner in zip(after, value)]
    return value


def _word(before: str, word: Any, secrets: Sequence[str]) -> Any:
    """Of a command line: what follows ``--api-token`` is one, and ``-c app.key=...`` is nobody's but the user's."""
    option, own = before.startswith("-"), isinstance(word, str) and mask("%s %s" % (before, word))
    if option and "=" not in before and _SECRET_NAME.search(before):
        return MASK
    if option and isinstance(own, str) and own.endswith(MASK):
        return own[len(before) + 1 :]
    return _masked(word, secrets)
