# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a busy server's time goes: waits of active sessions, pressure on its host, tables that cost."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Callable, List, Sequence, Tuple

from ..._core.errors import OncallError, OptionsError
from ..sql.load import ACTIVE, TABLES
from .databases import databases
from .pressure import pressure

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.load import Active, LoadFacts
    from ..target import Target

CLASSES = ("cpu", "io", "lwlock", "lock", "client", "other")
_MIB = 1 << 20


def load(
    target: Target, wanted: Sequence[str], top: int, large_mib: float, deadline: Deadline
) -> Tuple[LoadFacts, List[str]]:
    """What was read, and what was not looked at. Raises OptionsError for a database that is not there."""
    missing: List[str] = []
    found: LoadFacts = {"active": None, "pressure": [], "databases": []}

    def told(what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except OptionsError:
            raise
        except OncallError as error:
            missing.append("%s: %s" % (what, error))

    def read_active() -> None:
        active = found["active"] = _active(target, deadline)
        if active["hidden"]:
            missing.append(
                "active: the login role may not see what %d processes do: GRANT pg_read_all_stats to it, as a superuser"
                % active["hidden"]
            )

    def read_pressure() -> None:
        found["pressure"] = pressure(target, deadline)
        for each in ("cpu", "io", "memory"):
            if each not in [row["resource"] for row in found["pressure"]]:
                missing.append("pressure: the kernel gives none for %s (no PSI)" % each)

    def read_tables() -> None:
        for name, session in databases(target, wanted, deadline, missing):
            with contextlib.closing(session):
                try:
                    one: Any = session.query(TABLES, deadline, top=top, least_bytes=int(large_mib * _MIB))[0]
                    found["databases"].append(one)
                except OncallError as error:
                    missing.append("database %s: %s" % (name, error))

    told("active", read_active)
    told("pressure", read_pressure)
    told("databases", read_tables)
    return found, missing


def _active(target: Target, deadline: Deadline) -> Active:
    rows = target.session.query(ACTIVE, deadline)
    seen = [row for row in rows if not row["hidden"]]
    found: Any = {name: sum(row["sessions"] for row in seen if row["wait_class"] == name) for name in CLASSES}
    found.update(
        sessions=sum(found.values()),
        waits=[{name: row[name] for name in ("wait_class", "event", "sessions")} for row in seen],
        hidden=sum(row["sessions"] for row in rows if row["hidden"]),
    )
    active: Active = found
    return active
