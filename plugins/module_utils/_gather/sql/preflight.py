# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be known before a server is restarted: who would lose something by it, and what would keep it down."""

from __future__ import annotations

from ..._model.tools import BACKUPS
from . import rights
from .query import OLDEST, Query

# Backups: those the server knows of (pg_basebackup), and sessions that hold one open by functions, whatever their name.
# Maintenance loses its work, however long its present transaction is (VACUUM and CREATE INDEX CONCURRENTLY take
# several). A library
# that is not there is the commonest reason for a server that does not start again; only names in the default place are
# looked for. To read pg_file_settings takes a superuser, and so does restarting a server with a good conscience.
_PREFLIGHT = r"""
SELECT
  (SELECT coalesce(json_agg(json_build_object('pid', a.pid, 'application', a.application_name, 'phase', p.phase)
                            ORDER BY a.pid), '[]')
     FROM pg_stat_activity a LEFT JOIN pg_stat_progress_basebackup p ON p.pid = a.pid
    WHERE a.pid <> pg_backend_pid()
      AND (p.pid IS NOT NULL
           OR a.backend_type = 'client backend'
              AND (a.application_name ~* '^({backups})'
                   OR a.query ~* '\mpg_(backup_start|start_backup)\s*[(]'))) AS backups,
  {exclusive} AS exclusive_backup,
  (SELECT coalesce(json_agg(json_build_object(
            'pid', pid, 'user', usename, 'database', datname, 'application', application_name, 'state', state,
            'transaction_seconds', extract(epoch FROM clock_timestamp() - began), 'query', query)
            ORDER BY began), '[]')
     FROM (SELECT *, least(xact_start, CASE WHEN state = 'active' THEN query_start END) AS began,
                  pid IN (SELECT pid FROM pg_stat_progress_vacuum
                          UNION ALL SELECT pid FROM pg_stat_progress_create_index
                          UNION ALL SELECT pid FROM pg_stat_progress_cluster) AS maintains
             FROM pg_stat_activity) a
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
      AND (maintains OR began < clock_timestamp() - make_interval(secs => %(long_transaction_seconds)s)))
    AS transactions,
  (SELECT checkpoint_time FROM pg_control_checkpoint()) AS checkpoint_at,
  (SELECT coalesce(json_agg(DISTINCT l.name), '[]')
     FROM (SELECT setting FROM pg_file_settings
            WHERE lower(name) = 'shared_preload_libraries' ORDER BY seqno DESC LIMIT 1) f,
          LATERAL (SELECT regexp_replace(btrim(word, ' "'), '^\$libdir/|\.so$', '', 'g') AS name
                     FROM regexp_split_to_table(f.setting, ',') word) l
    WHERE l.name <> '' AND l.name !~ '/' AND current_setting('dynamic_library_path') = '$libdir'
      AND (SELECT size FROM pg_config c, pg_stat_file(c.setting || '/' || l.name || '.so', true)
            WHERE c.name = 'PKGLIBDIR') IS NULL) AS missing_libraries,
  (SELECT coalesce(json_agg(json_build_object('name', slot_name, 'type', slot_type) ORDER BY slot_name), '[]')
     FROM pg_replication_slots) AS slots,
  (SELECT coalesce(json_agg(json_build_object(
            'name', f.name, 'file', f.sourcefile, 'line', f.sourceline, 'setting', f.setting,
            'current', current_setting(f.name, true)) ORDER BY f.name), '[]')
     FROM (SELECT DISTINCT ON (lower(name)) * FROM pg_file_settings ORDER BY lower(name), seqno DESC) f
    WHERE f.error IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_settings s
                       WHERE lower(s.name) = lower(f.name) AND s.source = 'command line')) AS waiting
"""

_PREFLIGHT = _PREFLIGHT.replace("{backups}", "|".join(BACKUPS))  # plain words, all of them
# An exclusive backup is gone with PostgreSQL 15.
PREFLIGHT = Query(
    "preflight",
    {
        OLDEST: _PREFLIGHT.replace("{exclusive}", "pg_is_in_backup()"),
        150000: _PREFLIGHT.replace("{exclusive}", "false"),
    },
    needs=(rights.FILE_SETTINGS, rights.CHECKPOINT),
)
