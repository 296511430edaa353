# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tables are to be counted: names as they are written, and the tables that they mean. Pure."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ..._core.errors import OptionsError

_NAME = r'"(?:[^"]|"")+"|[^".:]+'
_TEXT = re.compile(
    r'(?:(?P<database>"(?:[^"]|"")+"|[^":]+):)?(?:(?P<schema>%s)\.)?(?P<table>%s)' % (_NAME, _NAME), re.DOTALL
)
_KEYS = ("database", "schema", "table")


class Name(NamedTuple):
    """``database`` and ``schema`` None: any. ``text``: as it was given."""

    database: Optional[str]
    schema: Optional[str]
    table: str
    text: str

    def means(self, database: str, table: Mapping[str, Any]) -> bool:
        return (
            table["table"] == self.table
            and self.schema in (None, table["schema"])
            and self.database in (None, database)
        )


def names(given: Sequence[Any]) -> List[Name]:
    """As SQL writes names: quoted ones as they are, others in lower case. Raises OptionsError."""
    return [_name(each) for each in given]


def _name(given: Any) -> Name:
    if isinstance(given, Mapping):
        strange = sorted(set(given) - set(_KEYS))
        if strange or not given.get("table"):
            raise OptionsError("tables: %r is no table" % (dict(given),), "Give {database, schema, table}.")
        known: Dict[str, Optional[str]] = {key: None if given.get(key) is None else str(given[key]) for key in _KEYS}
        text = "%s%s" % (known["database"] + ":" if known["database"] else "", _shown(known))
        return Name(known["database"], known["schema"], str(known["table"]), text)
    found = _TEXT.fullmatch(str(given))
    if not found:
        raise OptionsError(
            "tables: %r is no table's name" % (given,), 'Give "schema.table" or "database:schema.table".'
        )
    schema = found.group("schema")
    return Name(
        _unquoted(found.group("database") or "", False) or None,
        _unquoted(schema) if schema else None,
        _unquoted(found.group("table")),
        str(given),
    )


def _shown(known: Mapping[str, Optional[str]]) -> str:
    return ".".join('"%s"' % known[key] for key in _KEYS[1:] if known[key])


def _unquoted(word: str, fold: bool = True) -> str:
    if word.startswith('"'):
        return word[1:-1].replace('""', '"')
    return word.strip().lower() if fold else word.strip()
