# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration files against what is loaded; and the reload."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Tuple

from ..._gather.sql import rights
from ..._gather.sql.configured import NO_ERROR, PENDING
from ..._gather.sql.query import OLDEST, Query

# As in ``configured``: to read pg_file_settings marks, in our backend, what a restart would change, so it comes first.
# The last entry of a name counts. A value that needs a restart has an "error" of its own, which is none; it is told
# from the others by pending_restart. What a file says of its time is the later of both: a moved file keeps the first.
FILES = Query(
    "files",
    {
        OLDEST: r"""
WITH files AS MATERIALIZED (SELECT * FROM pg_file_settings),
settings AS MATERIALIZED (SELECT * FROM pg_settings WHERE (SELECT count(*) FROM files) >= 0),
paths AS (
  SELECT setting AS path FROM settings WHERE name IN ('config_file', 'hba_file', 'ident_file')
  UNION SELECT sourcefile FROM files WHERE sourcefile IS NOT NULL
  UNION SELECT to_jsonb(h) ->> 'file_name' FROM pg_hba_file_rules h WHERE to_jsonb(h) ->> 'file_name' IS NOT NULL),
entries AS (
  SELECT DISTINCT ON (lower(f.name)) lower(f.name) AS name, f.setting AS value, f.sourcefile, f.sourceline
    FROM files f WHERE f.name IS NOT NULL AND (f.error IS NULL OR EXISTS (
      SELECT FROM settings s WHERE s.name = lower(f.name) AND s.pending_restart))
   ORDER BY lower(f.name), f.seqno DESC)
SELECT
  pg_conf_load_time() AS load_time,
  (SELECT coalesce(json_agg(json_build_object(
            'file', f.sourcefile, 'line', f.sourceline, 'name', f.name, 'error', f.error) ORDER BY f.seqno), '[]')
     FROM files f
    WHERE f.error IS NOT NULL AND NOT {no_error}) AS file_errors,
  (SELECT coalesce(json_agg(json_build_object(
            'file', coalesce(to_jsonb(h) ->> 'file_name', (SELECT setting FROM settings WHERE name = 'hba_file')),
            'line', h.line_number, 'name', NULL, 'error', h.error)), '[]')
     FROM pg_hba_file_rules h WHERE h.error IS NOT NULL AND h.type IS NULL) AS hba_errors,
  (SELECT coalesce(json_agg(json_build_object(
            'name', s.name, 'value', e.value, 'setting', s.setting, 'unit', s.unit, 'type', s.vartype,
            'context', s.context, 'source', s.source, 'default', s.boot_val) ORDER BY s.name), '[]')
     FROM settings s LEFT JOIN entries e ON e.name = lower(s.name)
    WHERE e.name IS NOT NULL OR s.source = 'configuration file') AS settings,
  (SELECT coalesce(json_agg(s.name ORDER BY s.name), '[]') FROM settings s
    WHERE {pending}) AS pending_restart,
  (SELECT coalesce(json_agg(p.path ORDER BY p.path), '[]') FROM paths p, pg_stat_file(p.path, true) f
    WHERE greatest(f.change, f.modification) >= date_trunc('second', pg_conf_load_time())) AS changed_files
""".replace("{no_error}", NO_ERROR).replace("{pending}", PENDING)
    },
    needs=rights.TO_RELOAD,
)
# The server tells whole seconds of a file's time: a reload within the second of a change could not be told from one
# before it.
NEXT_SECOND = Query(
    "next_second",
    {OLDEST: "SELECT pg_sleep(1.001 - extract(epoch FROM clock_timestamp())::numeric %% 1)"},
)
RELOAD = Query("reload", {OLDEST: "SELECT pg_reload_conf() AS sent"})
LOADED = Query("loaded", {OLDEST: "SELECT pg_conf_load_time() AS load_time"})


def assigned(statement: str, value: Optional[Sequence[str]]) -> Tuple[str, Dict[str, str]]:
    """``statement`` SET %(name)s to the elements of ``value``, one by one, or RESET it where that is None."""
    if value is None:
        return statement + " RESET %(name)s", {}
    params = {"value%d" % number: each for number, each in enumerate(value)}
    return "%s SET %%(name)s = %s" % (statement, ", ".join("%%(%s)s" % each for each in params)), params
