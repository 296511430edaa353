# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a parameter's text means to the server, by its row of pg_settings: ``256MB`` is 32768 of ``8kB``. Pure.

PostgreSQL's manual, "Parameter Names and Values".
"""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

from ..._core.text import quoted

Meaning = Union[float, str, Tuple[str, ...]]

_MEMORY = {"TB": 1024**4, "GB": 1024**3, "MB": 1024**2, "kB": 1024, "B": 1}
_TIME = {"d": 86400000000, "h": 3600000000, "min": 60000000, "s": 1000000, "ms": 1000, "us": 1}
_BASE = re.compile(r"(\d*)([A-Za-z]+)\Z")
_WHOLE = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)(?![0-9.eE])")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_HEX = re.compile(r"[-+]?0[xX][0-9a-fA-F]+")
_WORDS = {"true": "on", "yes": "on", "on": "on", "false": "off", "no": "off", "off": "off"}
_SHORT = {"o", ""}  # of both "on" and "off"
_INT_MAX = 2**31 - 1
_ALIASES = {("wal_compression", "on"): "pglz"}  # two words for one, of which the server shows the other
_NEARLY = 5e-6  # pg_settings shows six digits of a real number

# The elements of these are names, which the server quotes one by one: "a, b" given as one value would be one name.
# As in PostgreSQL's own variable_is_guc_list_quote().
QUOTED_LISTS = (
    "local_preload_libraries",
    "oauth_validator_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
_FOLDED = ("search_path", "temp_tablespaces")  # names in the catalog; the others are names of files
_LISTS = (
    "createrole_self_grant",
    "datestyle",
    "debug_io_direct",
    "listen_addresses",
    "log_connections",
    "log_destination",
    "restrict_nonsystem_relation_kind",
    "synchronized_standby_slots",
    "wal_consistency_checking",
)
# Shown otherwise than they were given: in the server's own words, "(disabled)", or as the connection has them.
REWRITTEN = (
    "archive_command",
    "client_encoding",
    "datestyle",
    "log_timezone",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "timezone",
)

_ONCE_TRUE_OR_FALSE = ("log_connections",)  # a list since 18, which still takes the words


def given(row: Mapping[str, Any], value: Any) -> str:
    """A value of YAML as the server takes it. ``row``: name, type. Raises ValueError."""
    if isinstance(value, bool):
        if row["type"] == "string" and row["name"] not in _ONCE_TRUE_OR_FALSE:
            raise ValueError("%s is a text, and was given as a truth value: put it in quotes" % row["name"])
        return "on" if value else "off"
    if isinstance(value, (list, tuple)):
        words = [str(each) for each in value]
        return listed(words) if row["name"].lower() in QUOTED_LISTS else ", ".join(words)
    if isinstance(value, float):
        return "%d" % value if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise ValueError("a value is a text, a number, a truth value, a list, or null to reset it")
    return value


def meaning(row: Mapping[str, Any], text: str) -> Meaning:
    """What ``text`` is to the server. Raises ValueError, with what is wrong, where it would be refused.

    Numbers come in the parameter's own unit. ``row``: name, type, unit, min, max, enum (None where not known).
    """
    kind = row["type"]
    if kind in ("integer", "real"):
        found = number(text, kind, row["unit"])
        _in_range(row, found)
        return found
    if kind == "bool":
        word = boolean(text)
        if word is None:
            raise ValueError("%r is not on or off" % text)
        return word
    if kind == "enum":
        chosen = _choice(row["enum"], text)
        return _ALIASES.get((row["name"], chosen), chosen)
    name = row["name"].lower()
    if name in QUOTED_LISTS:
        return tuple(elements(name, text))
    if name in _LISTS:
        return tuple(each.strip().lower() for each in text.split(",") if each.strip())
    return text


def same(row: Mapping[str, Any], one: str, other: str) -> bool:
    """Whether both texts mean the same; two that mean nothing are the same where they are alike."""
    try:
        left, right = meaning(row, one), meaning(row, other)
    except ValueError:
        return one == other
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right) <= _NEARLY * max(abs(left), abs(right))
    return left == right


def in_use(row: Mapping[str, Any], text: str) -> bool:
    """Whether the server runs with ``text``, by what it shows; not to be asked of what is ``REWRITTEN``."""
    return same(row, text, row["setting"])


def number(text: str, kind: str, unit: Optional[str]) -> float:
    """As the server reads it, in ``unit``: an integer is rounded to whole ones, half to even."""
    given = text.strip()
    found = (_WHOLE.match(given) if kind == "integer" else _HEX.match(given)) or _DECIMAL.match(given)
    if found is None or (kind == "integer" and re.match(r"[-+]?0\d*[89]", given) and not re.search(r"[.eE]", given)):
        raise ValueError("%r is not a number" % text)
    try:
        return _read(text, found.group(), given[found.end() :].strip(), kind, unit)
    except OverflowError:
        raise ValueError("%r is out of range" % text) from None


def _read(text: str, digits: str, suffix: str, kind: str, unit: Optional[str]) -> float:
    if re.match(r"[-+]?0[xX]", digits):
        value = float(int(digits, 16))
    elif kind == "integer" and re.match(r"[-+]?0[0-7]+\Z", digits):
        value = float(int(digits, 8))
    else:
        value = float(digits)
    if suffix:
        value = _converted(text, value, suffix, unit)
    if kind == "integer":
        value = float(round(value))
    if abs(value) > (_INT_MAX if kind == "integer" else 1e308):
        raise OverflowError
    return value


def _converted(text: str, value: float, suffix: str, unit: Optional[str]) -> float:
    base = _BASE.match(unit or "")
    units = next((each for each in (_MEMORY, _TIME) if base and base.group(2) in each), None)
    if base is None or units is None:
        raise ValueError("%r has a unit, and the parameter has none" % text)
    if suffix not in units:
        meant = next((each for each in units if each.lower() == suffix.lower()), None)
        raise ValueError(
            "%r: unit %s is unknown here; %s"
            % (text, suffix, "did you mean %s?" % meant if meant else "use %s" % ", ".join(units))
        )
    per = units[base.group(2)] * int(base.group(1) or 1)
    smaller = next((each for each in list(units)[list(units).index(suffix) + 1 :]), None)
    whole = value * units[suffix]
    if smaller is not None:  # 30.1GB: to the nearest MB
        whole = round(whole / units[smaller]) * units[smaller]
    return whole / per


def _in_range(row: Mapping[str, Any], value: float) -> None:
    least, most = (None if row[each] is None else float(row[each]) for each in ("min", "max"))
    if (least is not None and value < least) or (most is not None and value > most):
        raise ValueError(
            "%s is out of range: %s to %s"
            % tuple(_number_shown(each, row["unit"]) for each in (value, least or 0.0, most or 0.0))
        )


def boolean(text: str) -> Optional[str]:
    """``on`` or ``off``; None for what is neither. The first letters of a word will do."""
    word = text.lower()
    if word in ("1", "0"):
        return "on" if word == "1" else "off"
    found = {meant for whole, meant in _WORDS.items() if word not in _SHORT and whole.startswith(word)}
    return found.pop() if len(found) == 1 else None


def _choice(choices: Optional[Sequence[str]], text: str) -> str:
    word = text.lower()
    meant = {"1": "on", "0": "off", **_WORDS}.get(word)  # still taken where a choice was on and off alone, once
    if choices is None:
        return meant or word
    for choice in choices:
        if choice.lower() == word:
            return choice
    if meant is not None and meant in choices:
        return meant
    raise ValueError("%r is none of %s" % (text, ", ".join(choices)))


def elements(name: str, text: str) -> List[str]:
    """Of a list of names, some of which may be in double quotes. Raises ValueError."""
    found: List[str] = []
    rest = text.strip()
    while rest:
        match = re.match(r'"((?:[^"]|"")*)"\s*(,|\Z)', rest) or re.match(r'([^",]*?)\s*(,|\Z)', rest)
        if match is None or (rest[0] != '"' and not match.group(1)):
            raise ValueError("%r is not a list of names" % text)
        quoted = rest[0] == '"'
        word = match.group(1).replace('""', '"') if quoted else match.group(1)
        found.append(word if quoted or name not in _FOLDED else word.lower())
        rest = rest[match.end() :].lstrip()
        if match.group(2) and not rest:
            raise ValueError("%r ends with a comma" % text)
    return found


def parts(row: Mapping[str, Any], text: Optional[str]) -> Optional[Sequence[str]]:
    """``text`` as SET takes it: the elements of a list of names, else itself alone; None for None."""
    if text is None or row["name"].lower() not in QUOTED_LISTS:
        return None if text is None else [text]
    try:
        return elements(row["name"].lower(), text)
    except ValueError:  # what somebody else has written
        return [text]


def listed(words: Sequence[str]) -> str:
    """A list of names as one text, from which ``elements`` makes the same."""
    plain = re.compile(r"[a-z_/.\-][a-z0-9_/$.\-]*\Z")
    return ", ".join(word if plain.match(word) else quoted(word) for word in words)


def shown(row: Mapping[str, Any], text: str) -> str:
    """As SHOW prints it: 32768 of ``8kB`` is ``256MB``. What has no meaning is shown as it is."""
    try:
        found = meaning(dict(row, min=None, max=None), text)
    except ValueError:
        return text
    if row["type"] in ("bool", "enum"):
        return str(found)
    if isinstance(found, float):
        octal = row["type"] == "integer" and row["unit"] is None and re.match(r"0[0-7]+\Z", text)  # a file's mode
        return text if octal else _number_shown(found, row["unit"])
    return text


def _number_shown(value: float, unit: Optional[str]) -> str:
    base = _BASE.match(unit or "")
    plain = "%d" % value if value == int(value) else "%.15g" % value
    units = next((each for each in (_MEMORY, _TIME) if base and base.group(2) in each), None)
    if base is None or units is None or value <= 0:
        return plain
    whole = value * units[base.group(2)] * int(base.group(1) or 1)
    for each, size in units.items():
        if whole == round(whole) and round(whole) % size == 0:
            return "%d%s" % (round(whole) // size, each)
    return "%s%s" % (plain, unit)
