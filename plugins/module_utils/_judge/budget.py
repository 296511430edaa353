# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether all pools of the clients, when they are full, fit into the server's connection slots. Pure.

    sum of replicas x (size + overflow)  <=  max_connections - reserved slots - pool_reserve

and into the CONNECTION LIMIT of each role and database, as far as it is known who uses them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple, Union

from .._model.answers import WARNING, Finding, Thresholds
from .checks.network import elsewhere
from .checks.readings import usable_slots

if TYPE_CHECKING:
    from .._model.facts import ClientFacts, Facts, ServerFacts, Snapshot

LIVE = ("running", "paused", "restarting")


@dataclass(frozen=True)
class Pool:
    """The pools of one service that are alike: ``replicas`` of them."""

    service: str
    size: int
    overflow: int
    replicas: int
    role: Optional[str] = None
    database: Optional[str] = None

    @property
    def most(self) -> int:
        return self.replicas * (self.size + self.overflow)

    def __str__(self) -> str:
        return "%s %d x (%d + %d) = %d" % (self.service, self.replicas, self.size, self.overflow, self.most)


@dataclass(frozen=True)
class Room:
    """What some of the pools share: ``slots`` of them, ``why`` so many."""

    slots: int
    why: str
    pools: Tuple[Pool, ...]

    @property
    def most(self) -> int:
        return sum(pool.most for pool in self.pools)

    @property
    def fits(self) -> bool:
        return self.most <= self.slots

    def __str__(self) -> str:
        """The sum written out."""
        parts = ", ".join(str(pool) for pool in self.pools)
        return "%s: %d of %d connections (%s)" % (parts, self.most, self.slots, self.why)


def straight(
    server: Optional[ServerFacts], snapshot: Snapshot, clients: Sequence[ClientFacts]
) -> Tuple[List[ClientFacts], List[str]]:
    """(the clients that log in to the server itself, what is said of the others: a pooler's size bounds those)."""
    mine: List[ClientFacts] = []
    said: List[str] = []
    for client in clients:
        why = _not_itself(server, snapshot["configured"]["port"], client)
        if why is None or client["login"] is None:
            mine.append(client)
        else:
            said.append(
                "%s logs in to %s:%d, %s" % (client["service"], client["login"]["host"], client["login"]["port"], why)
            )
    return mine, list(dict.fromkeys(said))


def _not_itself(server: Optional[ServerFacts], port: int, client: ClientFacts) -> Optional[str]:
    if elsewhere(server, client):
        return "which is no address of the server"
    # A pooler in the server's own network namespace has its address. Between containers no port is translated.
    ports = [port, *(one["host_port"] for one in server["published"])] if server and server["networks"] else []
    if ports and client["login"] is not None and client["login"]["port"] not in ports:
        return "while the server listens on port %d" % port
    return None


def pools(clients: Sequence[ClientFacts]) -> Tuple[List[Pool], List[str]]:
    """(the known pools, the services whose pool is not known). Only running containers have one.

    Declared replicas are those of the service: once, whatever its containers differ in, and also while none runs.
    """
    found: Dict[Union[Pool, str], Pool] = {}
    unknown: List[str] = []
    for client in clients:
        pool, login = client["pool"], client["login"]
        declared = pool["replicas"] if pool else None
        if declared is None and client["state"] not in LIVE:
            continue
        if pool is None:
            unknown.append(client["service"])
            continue
        role, database = (login["user"], login["database"]) if login else (None, None)
        alike = Pool(client["service"], pool["size"], pool["overflow"], 0, role, database)
        if declared is not None:
            whole = replace(alike, replicas=declared)
            found[whole.service] = max(found.get(whole.service, whole), whole, key=lambda pool: pool.most)
        else:
            found[alike] = replace(alike, replicas=found.get(alike, alike).replicas + 1)
    return list(found.values()), list(dict.fromkeys(unknown))


def rooms(snapshot: Snapshot, known: Sequence[Pool], reserve: int) -> List[Room]:
    """The server's room first, then those of roles and databases with a limit of their own."""
    connections, limits = snapshot["connections"], snapshot["limits"]
    reserved = connections["superuser_reserved"] + connections["reserved"]
    why = "max_connections %d, less %d reserved for superusers and others, less pool_reserve %d"
    server = why % (connections["max_connections"], reserved, reserve)
    found = [Room(max(0, usable_slots(connections) - reserve), server, tuple(known))]
    for kind, rows in (("role", limits["roles"]), ("database", limits["databases"])):
        for row in rows:
            mine = tuple(pool for pool in known if row["name"] == (pool.role if kind == "role" else pool.database))
            if mine:
                found.append(Room(row["limit"], "CONNECTION LIMIT of %s %s" % (kind, row["name"]), mine))
    return found


def largest(found: Sequence[Room], services: Sequence[str]) -> int:
    """The most connections that each pool of ``services`` may open, all the same, the others being as they are."""
    most: List[int] = []
    for room in found:
        mine = sum(pool.replicas for pool in room.pools if pool.service in services)
        others = sum(pool.most for pool in room.pools if pool.service not in services)
        if mine:
            most.append(max(0, room.slots - others) // mine)
    return min(most) if most else 0


def split(most: int, size: int, overflow: int) -> Tuple[int, int]:
    """``most`` connections as (size, overflow) in about the proportion of those that were asked for."""
    kept = max(1, most * size // (size + overflow)) if most else 0
    return kept, most - kept


def findings(facts: Facts, snapshot: Snapshot, thresholds: Thresholds) -> List[Finding]:
    """Nothing of those who come by way of a pooler: there it is the pooler's size that counts."""
    if snapshot["pooled"]:
        return []
    clients, others = straight(facts["server"], snapshot, facts["clients"])
    known, unknown = pools(clients)
    over = [room for room in rooms(snapshot, known, thresholds.pool_reserve) if not room.fits]
    if not over:
        return []
    more = ["not counted, since their pools are not known: %s" % ", ".join(unknown)] if unknown else []
    more += ["not counted: %s" % one for one in others]
    text = "Client pools may open %d connections; there is room for %d" % (over[0].most, over[0].slots)
    return [Finding("pool_budget_exceeded", WARNING, text, (*map(str, over), *more))]
