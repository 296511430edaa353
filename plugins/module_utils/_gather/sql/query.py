# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL by subject. A Query holds its text by minimum server version; the highest one not above the server's is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Mapping, Tuple

OLDEST = 130000  # PostgreSQL 13, as server_version_num


@dataclass(frozen=True)
class Query:
    """Constant text by minimum ``server_version_num``. Parameters are written ``%(name)s``, a per cent sign ``%%``.

    ``alone``: a statement that may not run in a transaction block, such as CHECKPOINT or ROLLBACK PREPARED.
    ``unlogged``: a statement that holds a secret; a superuser's session keeps it out of the server's log.
    ``settings``: what the statement runs with beside the session's own settings; those of one that is ``alone`` stay
    with a connection of our own, so it may not go through a pooler.
    ``snapshot``: read in the exported snapshot that the parameter of that name says; sent to the same database only.
    ``tables_only``: the relation it names is a table, and so are its parts: where somebody has put a view there
    meanwhile, whose functions would run as us, it fails (servers since August 2024 can hold that).
    ``bare``: it reads what the server's settings are, so none of the session's own hides one of them; nothing that it
    reads may wait for a lock.
    ``needs``: names of ``rights``; where the role lacks one, the text is not sent and the session raises RightsError.
    """

    name: str
    texts: Dict[int, str]
    alone: bool = False
    unlogged: bool = False
    needs: Tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    snapshot: bool = False
    tables_only: bool = False
    bare: bool = False

    def text(self, version_num: int) -> str:
        """The text for that server. Raises KeyError below the lowest version the query knows."""
        fitting = [least for least in self.texts if least <= version_num]
        if not fitting:
            raise KeyError("%s has no text for server version %s" % (self.name, version_num))
        return self.texts[max(fitting)]
