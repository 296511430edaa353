# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several questions need to know of the facts; pure."""

from __future__ import annotations

import datetime
import ipaddress
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from ..._core.text import line
from ..._model.answers import NOT_ASKED, Answer, Finding

if TYPE_CHECKING:
    from ..._model.facts import ClientFacts, Connections, Facts, LogEntry, ServerFacts, WireAnswer

TOO_MANY_CONNECTIONS, CANNOT_CONNECT_NOW = "53300", "57P03"
DOWN_STATES = ("restarting", "exited", "created", "dead", "missing")
WAL_SEGMENT_BYTES = 16 * 1024 * 1024  # the default; with less than one PostgreSQL cannot even begin a new segment


def down(facts: Facts) -> bool:
    """The runtime saw that the server does not run. A restart loop is down, unless it has ended: SQL gets through."""
    server = facts["server"]
    if server is None:
        return False
    return server["state"] in DOWN_STATES or (server["restart_loop"] and facts["snapshot"] is None)


def usable_slots(connections: Connections) -> int:
    """What ordinary roles may use: PostgreSQL's manual, 20.3.1."""
    return connections["max_connections"] - connections["superuser_reserved"] - connections["reserved"]


def not_asked(question: str, why: str, findings: Tuple[Finding, ...] = ()) -> Answer:
    return Answer(question, NOT_ASKED, "not asked: " + why, findings=findings, reason=why)


NO_SQL = "SQL is not available"  # why, the verdict or a finding says, once


def without_snapshot(facts: Facts) -> str:
    """Why there are no SQL facts, in a few words."""
    if down(facts):
        return "the server is down"
    another, error = facts["another_server"], facts["snapshot_error"]
    if another:
        return "another server answers at %s" % another["where"]
    if error:
        return NO_SQL
    return "no SQL facts were gathered"


def loopback(host: Optional[str]) -> bool:
    if host in ("localhost", "localhost.localdomain", "ip6-localhost"):
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def socket_path(host: str) -> bool:
    """libpq's rule: a host that begins with a slash (or @, the abstract namespace) is a Unix socket; so is none."""
    return not host or host[0] in "/@"


def looked(client: ClientFacts) -> bool:
    """Something was tried from this client's place."""
    return client["place"] != "none" and client["login"] is not None


def refusals(facts: Facts, sqlstate: str) -> List[Tuple[str, str, Optional[str]]]:
    """Everyone whom the server refused with ``sqlstate``: (who, message, the client's name or None)."""
    found: List[Tuple[str, str, Optional[str]]] = []
    for client in facts["clients"]:
        attempt, startup = client["attempt"], client["startup"]
        if attempt and attempt["sqlstate"] == sqlstate:
            found.append((client["name"], line(attempt["message"] or ""), client["name"]))
        elif startup and startup["sqlstate"] == sqlstate:
            found.append((client["name"], line(startup["message"] or ""), client["name"]))
    for answer in facts["wire"]:
        if answer["sqlstate"] == sqlstate:
            found.append(("%s %s" % (answer["kind"], answer["address"]), line(answer["message"] or ""), None))
    error = facts["snapshot_error"]
    if error and error.get("sqlstate") == sqlstate:
        found.append(("our own session", line(str(error.get("message") or "")), None))
    return found


def wire_line(answer: WireAnswer) -> str:
    """``socket /var/run/...: rejecting, FATAL 57P03: the database system is starting up``."""
    what = " ".join(word for word in (answer["severity"], answer["sqlstate"]) if word)
    said = ": ".join(word for word in (what, line(answer["message"] or "", 120)) if word)
    text = "%s %s: %s" % (answer["kind"].replace("_", " "), answer["address"], answer["outcome"].replace("_", " "))
    return "%s, %s" % (text, said) if said else text


def log_lines(entries: Sequence[LogEntry], most: int = 3) -> List[str]:
    """The newest of ``entries``, newest first, as evidence."""
    return ["log: %s" % line(entry["text"], 240) for entry in reversed(entries[-most:])]


def this_run(server: ServerFacts) -> List[LogEntry]:
    """The log's entries since the server was last started; one without a readable time is kept.

    In a restart loop they are those of its last tries: the one under way may not have said anything yet.
    """
    started = when(server["started_at"])
    if started is None or server["restart_loop"]:
        return server["log"]
    # A second of grace: the engine's clock reading and the log's are not the same instant.
    since = started - datetime.timedelta(seconds=1)
    return [entry for entry in server["log"] if (when(entry["at"]) or started) >= since]


def when(text: Optional[str]) -> Optional[datetime.datetime]:
    """ISO 8601 to a time in UTC. Python 3.8 reads neither Z nor nine digits of a second, as engines write."""
    if not text:
        return None
    head, point, tail = text.strip().replace("Z", "+00:00").partition(".")
    if point:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        head += "." + tail[:digits][:6].ljust(6, "0") + tail[digits:]
    try:
        parsed = datetime.datetime.fromisoformat(head)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)
