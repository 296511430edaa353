# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both kinds of session share, so that equal queries give equal rows: parameters, the wrapping, the settings."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

from ..._core.deadline import statement_milliseconds
from ..._core.errors import DeadlineError, RightsError, VersionError
from ..._core.text import quoted

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..sql.query import Query

APPLICATION = "oncall"
LOCK_TIMEOUT_MS = 500
LONGEST_SECONDS = 3600.0  # of a statement, whatever the deadline is
TOO_LATE = "57014"  # query_canceled: statement_timeout

_NUMBER = re.compile(r"-?[\d.]+(?:e[+-]?\d+)?")
_PLACEHOLDER = re.compile(r"%(?:\((\w+)\)s|(.?))", re.DOTALL)


class Identifier(str):
    """A name to be quoted as one where a parameter stands. Made by ``identifier``."""


def identifier(name: str) -> Identifier:
    """The parameter for a role's, a database's or a setting's name: ``ALTER ROLE %(role)s``, role=identifier("app")."""
    if not name or "\0" in name:
        raise ValueError("%r cannot be a name in PostgreSQL" % name)
    return Identifier(name)


def literal(value: Any) -> str:
    """An SQL literal. Needs standard_conforming_strings = on, which both sessions see to."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        number = repr(value)
        # In brackets: "x -%(y)s" must not become the comment "x --1". No literal of its own for inf and nan.
        return "(%s)" % number if _NUMBER.fullmatch(number) else "'%s'::float8" % number
    if isinstance(value, Identifier):
        return quoted(value)
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("PostgreSQL's texts cannot hold a NUL character")
        return "'%s'" % value.replace("'", "''")
    if isinstance(value, (list, tuple)):
        return "ARRAY[%s]::text[]" % ", ".join(literal(each) for each in value)
    raise TypeError("no literal for %s" % type(value).__name__)


def bind(text: str, params: Mapping[str, Any]) -> str:
    """``text`` with each ``%(name)s`` replaced by the literal of its parameter and ``%%`` by a per cent sign."""

    def replace(found: "re.Match[str]") -> str:
        if found.group(1):
            return literal(params[found.group(1)])
        if found.group(2) == "%":
            return "%"
        raise ValueError("a lone per cent sign in a query's text: %r" % text[found.start() : found.end() + 20])

    return _PLACEHOLDER.sub(replace, text)


def as_json(query: Query, version_num: int, params: Mapping[str, Any]) -> str:
    """One statement whose only value is a JSON array of the query's rows."""
    text = bind(query.text(version_num), params)
    return "SELECT coalesce(json_agg(q), '[]')::text FROM (%s) q" % text


# No row comes of it. Not every release knows this setting; pg_settings takes longer than a short statement_timeout.
_TABLES_ONLY = """SELECT FROM (VALUES ('restrict_nonsystem_relation_kind')) s (name)
 WHERE CASE WHEN pg_catalog.current_setting(s.name, true) IS NOT NULL
            THEN pg_catalog.set_config(s.name, 'view, foreign-table', true) END = ''"""


def first(query: Query, params: Mapping[str, Any]) -> List[str]:
    """What has to come first in the query's transaction."""
    found = []
    if query.snapshot:
        found += ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"]
        found += [bind("SET TRANSACTION SNAPSHOT %(snapshot)s", params)]
    return found + [_TABLES_ONLY] * query.tables_only


def rows(document: str) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = json.loads(document)
    return found


def settings(query: Query, deadline: Deadline, read_only: bool = True) -> Dict[str, str]:
    """What our statement runs with.

    Short lock_timeout: diagnosis never waits behind a lock. The statement gives up a little before we do, so that the
    server tells why and nothing is left behind. One that is ``bare`` finds the functions that it names, and no more.
    """
    if query.bare:
        return {"search_path": "pg_catalog", **({"transaction_read_only": "on"} if read_only else {}), **query.settings}
    return {
        "statement_timeout": str(statement_milliseconds(deadline.left(LONGEST_SECONDS))),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "search_path": "pg_catalog",
        "TimeZone": "UTC",
        "jit": "off",
        **({"transaction_read_only": "on"} if read_only else {}),
        **query.settings,
    }


def within(settings: Mapping[str, str], statement: str, named: bool = False) -> str:
    """Both in one message of the simple protocol, which makes them one transaction: what is set ends with it.

    So a pooler's server connection is handed on as it was. PostgreSQL, "Multiple Statements in a Simple Query".
    ``named``: only our name outlasts it, where the connection is nobody else's.
    """
    pairs = [(name, value, True) for name, value in {"application_name": APPLICATION, **settings}.items()]
    if named:
        pairs.insert(0, ("application_name", APPLICATION, False))
    return "%s; %s" % (_set(pairs), statement)


def lasting(settings: Mapping[str, str]) -> str:
    """For a connection that is nobody else's, and a statement that may not run in a transaction block."""
    return _set([(name, value, False) for name, value in settings.items()])


def _set(pairs: Sequence[Tuple[str, str, bool]]) -> str:
    return "SELECT %s" % ", ".join("set_config(%s, %s, %s)" % tuple(map(literal, each)) for each in pairs)


# What writes a statement's text: into the log, or into the view of pg_stat_statements. The last two are unknown to a
# server without the extension, which takes such names all the same.
_WRITES = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_min_error_statement": "panic",
    "pg_stat_statements.track_utility": "off",
    "pgaudit.log": "none",
}


def unlogged(transaction: bool) -> str:
    """A query after which no statement of this session (or of this transaction) is written down.

    Only a superuser may say so; for others it does nothing. It has to be a message of its own: log_statement is
    considered when a message arrives, before anything of it is run.
    """
    pairs = ", ".join("(%s, %s)" % (literal(name), literal(value)) for name, value in _WRITES.items())
    return (
        "SELECT set_config(s.name, s.value, %s) FROM (VALUES %s) s (name, value) WHERE current_setting(%s) = 'on'"
        % (
            literal(transaction),
            pairs,
            literal("is_superuser"),
        )
    )


def too_late(query: Query) -> DeadlineError:
    return DeadlineError(
        "the query %r did not finish before its deadline" % query.name,
        "Raise deadline_seconds, or check whether the server hangs.",
    )


def no_right(query: Query, missing: str) -> RightsError:
    names = missing.split()
    return RightsError("the query %r needs the right to read %s" % (query.name, ", ".join(names)), names)


def too_old(version: str) -> VersionError:
    return VersionError("the server is PostgreSQL %s; oncall.postgresql needs 13 or newer" % version)
