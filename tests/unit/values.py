# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values for every row of the table of verdicts, with every remedy helping."""

from __future__ import annotations

from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Values

FILLED = Values(
    server="shop-postgres-1",
    service="postgres",
    directory="/var/lib/postgresql/data",
    loop="",
    reset_settings=("shared_buffers",),
    why="an unknown reason: read its full log",
    data_version="15",
    program_version="17.5",
    advice="docker unpause shop-postgres-1",
    where="127.0.0.1:5432",
    restart_helps=True,
    client="shop-api-1",
    host="postgres",
    address="172.18.0.2:5432",
    loss="60",
    repair_helps=True,
    counts="97 of 97",
    name="app",
    query_seconds=30.0,
    pool_helps=True,
    role="app",
    database="shop",
    reset_helps=True,
    reload_helps=True,
    sessions="3 sessions",
    root="pid 149",
    gid="import-42",
    rollback_helps=True,
    pids=(149,),
    longest="15 min",
    path="/var/lib/postgresql/data",
    free="0 B",
    age="1,200,000,000",
    standby="standby1",
    detail="all 7 checks passed",
    what="Nothing is known",
)
