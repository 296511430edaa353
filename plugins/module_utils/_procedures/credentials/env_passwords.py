# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password inside the text of a ``.env`` file: found and exchanged, and not one other character changed. Pure.

A value is the password itself or a URL that holds it. No message shows a value.
"""

from __future__ import annotations

import re
from typing import Collection, List, Mapping, Sequence
from urllib.parse import quote, unquote

from ..._core.errors import RefusedError
from ..recreation.env_file import VARIABLE, Entry, entries, exchanged

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*://)(?P<user>[^:/?#]*)(?::(?P<password>.*))?@(?P<rest>[^@]*)\Z", re.DOTALL
)
_WORDS = re.compile(r"(?:^|\s)password\s*=", re.I)
_OTHER_WORDS = re.compile(r"(?:^|\s)(?:host|user|dbname|port)\s*=", re.I)
_WORD = re.compile(r"(?:^|(?<=\s))(user|password)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\]|\\.)*))")
_PLAIN = re.compile(r"[A-Za-z0-9_.~%+,:@/=-]+\Z")  # means itself in every style, to every reader


def password_in(text: str, key: str, role: str, name: str) -> str:
    """The password that ``key`` holds. Raises RefusedError where it cannot be told; ``name`` is the file's."""
    entry = _entry(text, key, name)
    url = _url(entry, role, name)
    if url is not None:
        return unquote(url.group("password"))
    _no_variable(entry, entry.written, name)
    return entry.value


def with_password(text: str, keys: Sequence[str], role: str, password: str, name: str) -> str:
    """``text`` in which each of ``keys`` holds ``password``. Raises RefusedError as ``password_in`` does."""
    changes: List[Entry] = []
    for key in dict.fromkeys(keys):
        if password_in(text, key, role, name) == password:
            continue
        entry = _entry(text, key, name)
        url = _url(entry, role, name)
        if url is not None:
            at = entry.start + url.start("password")
            changes.append(Entry(key, at, at + len(url.group("password")), entry.quotes, quote(password, safe="")))
        else:
            changes.append(_rewritten(entry, password, name))
    return exchanged(text, changes)


def keys_holding(text: str, role: str, passwords: Collection[str]) -> List[str]:
    """Every key that holds one of ``passwords``, alone or in a URL of the role."""
    found: List[str] = []
    for key, entry in entries(text).items():
        url = _URL.match(entry.value) if "://" in entry.value else None
        if url is None:
            words = {word[1]: _unquoted(word) for word in _WORD.finditer(entry.value)}
            held = entry.value if "password" not in words else words["password"] if _is(words, role) else ""
        else:
            ours = unquote(url.group("user")) == role or VARIABLE.search(url.group("user"))
            held = unquote(url.group("password") or "") if ours else ""
        if held and held in passwords:
            found.append(key)
    return found


def _unquoted(word: "re.Match[str]") -> str:
    return re.sub(r"\\(.)", r"\1", word[2] if word[2] is not None else word[3])


def _is(words: Mapping[str, str], role: str) -> bool:
    return words.get("user", role) == role


def _entry(text: str, key: str, name: str) -> Entry:
    found = entries(text)
    if key not in found:
        raise RefusedError(
            "%s has no line %s=; nothing was changed" % (name, key),
            "Its keys: %s. Correct env_keys or env_file." % (", ".join(found) or "none"),
        )
    return found[key]


def _url(entry: Entry, role: str, name: str) -> "re.Match[str] | None":
    if "://" not in entry.written:
        if _WORDS.search(entry.written) and _OTHER_WORDS.search(entry.written):
            raise RefusedError(
                "%s of %s is a keyword/value connection string (host=... password=...)" % (entry.key, name),
                "Only a URL or the password itself can be replaced: edit it by hand, and give password.",
            )
        return None
    url = _URL.match(entry.written)
    if url is None or not url.group("password"):
        raise RefusedError(
            "%s of %s is a URL that contains no password" % (entry.key, name), "Name the key that does in env_keys."
        )
    _no_variable(entry, url.group("password"), name)
    if unquote(url.group("user")) != role and not VARIABLE.search(url.group("user")):
        raise RefusedError(
            "%s of %s is a URL of a user other than role %s" % (entry.key, name, role), "Correct role or env_keys."
        )
    return url


def _no_variable(entry: Entry, written: str, name: str) -> None:
    if entry.quotes != "'" and VARIABLE.search(written):
        raise RefusedError(
            "%s of %s takes its password from another variable" % (entry.key, name), "Name that one in env_keys."
        )


def _rewritten(entry: Entry, password: str, name: str) -> Entry:
    """In the style that it had; what would not mean itself there goes into single quotes."""
    if _PLAIN.match(password) or (entry.quotes == "'" and not re.search(r"['\\\r\n]", password)):
        return Entry(entry.key, entry.start, entry.end, entry.quotes, password)
    if re.search(r"['\\\r\n]", password):
        raise RefusedError(
            "The given password contains a quote, a backslash or a line break, which programs parse differently in %s"
            % name,
            "Give another password, or none: then one is generated.",
        )
    outside = len(entry.quotes)
    return Entry(entry.key, entry.start - outside, entry.end + outside, "'", "'%s'" % password)
