# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets out of a text: a query, a log line, a message. In doubt too much is masked, never too little.

The text may be cut anywhere (``track_activity_query_size``), so a literal without an end reaches to the end.
Mask first, shorten afterwards.
"""

from __future__ import annotations

import re
from typing import Any, Collection, Match, Sequence
from urllib.parse import quote

MASK = "********"
# What sentences about a database are made of. A password that is one of these words is masked where a password stands
# (PASSWORD '...', password=..., a URL), and not in prose: that would be unreadable, and tell it by what is missing.
_WORDS = (
    "oncall postgres postgresql PostgreSQL postmaster oncall.postgresql password Password user role database server"
    " client connection session host port login admin root docker compose authentication failed fatal FATAL error"
    " ERROR no not the and for from with true false on off idle active test"
)
PROSE = frozenset(_WORDS.split())
_SHORT = 3  # what is shorter would be masked all over
_LONG = 8  # a secret of that length is no part of another word, so it is masked within one, too

_GAP = r"(?:\s|/\*.*?(?:\*/|\Z)|--[^\n]*(?:\n|\Z))*"
# A literal inside another one has its quotes doubled, so runs of quotes are tried first. A backslash always escapes:
# right for E'', and where it is wrong it only masks more.
_LITERAL = (
    r"(?:(?:U&|[ENBX])?(?:(?P<run>'{2,})[^']+(?:(?P=run)|\Z)|'(?:[^'\\]|\\.|''|\\\Z)*(?:'|\Z))"
    r"|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)"
    r'|"(?:[^"\\]|\\.|\\\Z)*(?:"|\Z))'
)
_ROLE_STATEMENT = re.compile(r"\b(?:create|alter)\b%s\b(?:role|user|group)\b" % _GAP, re.I | re.S)
_ROLE_PASSWORD = re.compile(r"(?P<head>\bpassword\b(?P<gap>%s))(?P<literal>%s)?" % (_GAP, _LITERAL), re.I | re.S)
# What may follow the password in a statement about a role. Anything else means that the statement is put together from
# pieces ('... PASSWORD ' || quote_literal('...'), format('... PASSWORD %L', '...')), and then the rest goes.
_AFTER_PASSWORD = re.compile(
    r"\s*(?:\Z|[;,)])|\s+(?:(?:no)?(?:superuser|createdb|createrole|inherit|login|replication|bypassrls)|connection\s+limit"
    r"|valid\s+until|in\s+(?:role|group)|role|admin|user|sysid)\b",
    re.I,
)
_NO_PASSWORD = re.compile(r"null\b", re.I)

_URL = re.compile(
    r"(?P<head>\b[a-z][a-z0-9+.-]*://[^\s:/@\['\"]*:)(?:[^\s'\"]*(?P<at>@)|(?!\d+(?:/|\Z))[^\s'\"]+\Z)", re.I
)
# A conninfo inside a statement's literal has its quotes doubled; an unquoted value ends at a blank, a quote or an "&".
_ASSIGNED = re.compile(
    r"(?P<head>(?:password|passwd|pwd|token|secret|api[_-]?key)[\"']?\s*(?:=>|:=|[:=])\s*)(?P<value>%s|(?:\\.|[^\s'\"&;,)\\])+)"
    % _LITERAL,
    re.I | re.S,
)
# A server's setting that is no setting of PostgreSQL's, on its command line: whoever made it up knows what is in it.
_OWN_SETTING = re.compile(r"(?P<head>(?<!\S)(?:-c\s*|--)[a-z_]\w*\.\w+=)(?P<value>'[^']*'?|[^\s']+)", re.I)
_LITERAL_PASSWORD = re.compile(r"(?P<head>(?<![\"'])password%s)(?P<value>%s)" % (_GAP, _LITERAL), re.I | re.S)
_BEARER = re.compile(r"(?P<head>\bbearer\s+)[^\s'\",;]+", re.I)
_VERIFIER = re.compile(r"SCRAM-SHA-256\$\d+:[^\s'\"]+|\bmd5[0-9a-f]{32}\b", re.I)


def mask(text: str, secrets: Sequence[str] = ()) -> str:
    """``text`` without passwords, verifiers and the given ``secrets`` (also as a URL or a literal would write them).

    A short secret is masked where it is a whole word: "hop" is not to eat into "shop". See ``PROSE``, too.
    """
    spellings = {
        form
        for secret in secrets
        if not is_common(secret)
        for form in (
            secret,
            quote(secret, safe="", errors="replace"),
            quote(secret, errors="replace"),
            secret.replace("'", "''"),
        )
    }
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, MASK) if len(spelling) >= _LONG else _word(spelling).sub(MASK, text)
    text = _VERIFIER.sub(MASK, text)
    text = _URL.sub(lambda found: found.group("head") + MASK + (found.group("at") or ""), text)
    text = _OWN_SETTING.sub(lambda found: found.group("head") + MASK, text)
    text = _BEARER.sub(lambda found: found.group("head") + MASK, text)
    text = _mask_role_statement(text)
    text = _LITERAL_PASSWORD.sub(_masked, text)
    return _ASSIGNED.sub(_masked, text)


_SECRET_SETTING = re.compile(r"primary_conninfo|password(?!_encryption)|passwd|secret|token|credential", re.I)
_COMMAND_SETTING = re.compile(r"_command\Z")  # a shell reads it: archive_command, ssl_passphrase_command
_WORD = re.compile(r"(?P<break>[&|;]+|[!\[\]])|[^\s&|;]+")
_PLAIN_WORD = re.compile(r"[\"']?(?:/|%|-[^\s=-]\Z|--[\w-]+\Z)")


def setting(name: str, value: str) -> str:
    """The value of a server's setting, without what is secret in it."""
    if _COMMAND_SETTING.search(name):
        return command(value)
    return MASK if value and _SECRET_SETTING.search(name) else mask(value)


def command(text: str) -> str:
    """A shell's command with its programs, options, paths and placeholders only: any other word may be a password."""
    first = True

    def shown(found: Match[str]) -> str:
        nonlocal first
        word, was_first = found.group(), first
        first = bool(found.group("break"))
        if first or _PLAIN_WORD.match(word) or (was_first and "=" not in word):
            return word
        first = was_first and "=" in word  # a variable of the program that follows
        name, equals, _value = word.partition("=")
        return name + equals + MASK if equals and re.match(r"[\w-]+\Z", name) else MASK

    return mask(_WORD.sub(shown, text))


def is_common(secret: str) -> bool:
    """Whether masking it in prose would do more harm than good: see ``PROSE``."""
    return len(secret) < _SHORT or secret in PROSE


def mask_words(value: Any, secrets: Collection[str]) -> Any:
    """``value``, whatever it is made of, without ``secrets`` where they are whole words."""
    if isinstance(value, str):
        for secret in secrets:
            value = _word(secret).sub(MASK, value)
        return value
    if isinstance(value, dict):
        return {key: mask_words(inner, secrets) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_words(inner, secrets) for inner in value]
    return value


def _word(secret: str) -> "re.Pattern[str]":
    """As it stands alone: not inside ``shop``, ``shop-db-1`` or ``db.shop.internal``, but at a sentence's end."""
    return re.compile(r"(?<![\w-])(?<!\w\.)%s(?![\w-]|\.\w)" % re.escape(secret))


def _masked(found: Match[str]) -> str:
    value = found.group("value")
    marks = re.search("['\"]+", value) if value[:1] in "'\"" or "'" in value[:3] else None
    return "%s%s%s%s" % (found.group("head"), marks.group() if marks else "", MASK, marks.group() if marks else "")


def _mask_role_statement(text: str) -> str:
    statement = _ROLE_STATEMENT.search(text)
    if not statement:
        return text
    done, at = text[: statement.end()], statement.end()
    for found in _ROLE_PASSWORD.finditer(text, at):
        if found.start() < at or _NO_PASSWORD.match(text, found.end()):
            continue
        done += text[at : found.end("head")]
        if not found.group("literal") or not _AFTER_PASSWORD.match(text, found.end()):
            return done + ("'%s'" % MASK if found.end("head") < len(text) else "")
        done, at = "%s'%s'" % (done, MASK), found.end()
    return done + text[at:]
