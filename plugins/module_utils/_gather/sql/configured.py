# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server was told: the settings that matter, errors in its files, what waits for a restart, pg_hba.conf."""

from __future__ import annotations

from . import rights

# To read pg_file_settings marks, in our backend, what a restart would change: so it has to be read before pg_settings.
# A condition on a sub-select alone is evaluated before anything under it. Each such change is an "error" there: without
# one nothing waits for a restart, and the 400 rows of pg_settings need not be made. (What was changed and taken out
# of the file again stays pending for PostgreSQL, but a restart would change nothing.)
SETTINGS = """
files AS MATERIALIZED (SELECT * FROM pg_file_settings WHERE error IS NOT NULL),
settings AS MATERIALIZED (
  SELECT name, setting, source, pending_restart FROM pg_settings WHERE (SELECT count(*) FROM files) > 0
)"""
SETTINGS_LIMITED = "settings AS MATERIALIZED (SELECT name, setting, source, pending_restart FROM pg_settings)"

# A changed setting that needs a restart has an "error" in pg_file_settings, too; it is no error. Of one that was taken
# out of the files only the text says which it is.
_NAMES_IT = """(s.name = lower(f.name)
             OR f.name IS NULL AND f.sourcefile IS NULL AND strpos(f.error, '"' || s.name || '"') > 0)"""
NO_ERROR = "EXISTS (SELECT FROM settings s WHERE s.pending_restart AND %s)" % _NAMES_IT
# What PostgreSQL calls pending, and a restart would change. What was changed and taken out of the files again stays
# pending for it, without an "error".
PENDING = """(s.pending_restart AND s.source <> 'command line'
      AND EXISTS (SELECT FROM files f WHERE f.error IS NOT NULL AND {names_it}))""".replace("{names_it}", _NAMES_IT)
FILE_ERRORS = """(
    SELECT coalesce(json_agg(json_build_object(
             'file', f.sourcefile, 'line', f.sourceline, 'name', f.name, 'error', f.error) ORDER BY f.seqno), '[]')
      FROM files f
     WHERE NOT {no_error})""".replace("{no_error}", NO_ERROR)

# Settings that not everybody may see: to ask for them would be an error.
_VISIBLE = "CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('%s') END"
HBA_FILE = "(%s)" % _VISIBLE % "hba_file"

# Who may not see which libraries are loaded sees a setting that they define.
STATEMENTS_TRACKED = """coalesce({libraries} ~ 'pg_stat_statements',
                               current_setting('pg_stat_statements.track', true) <> '', false)""".replace(
    "{libraries}", "(%s)" % _VISIBLE % "shared_preload_libraries"
)

# file_name and rule_number came with PostgreSQL 16.
HBA_RULES = """(
    SELECT coalesce(json_agg(json_build_object(
             'rule_number', to_jsonb(h) -> 'rule_number',
             'file_name', coalesce(to_jsonb(h) ->> 'file_name', {hba_file}),
             'line_number', h.line_number, 'type', h.type, 'database', h.database, 'user_name', h.user_name,
             'address', h.address, 'netmask', h.netmask, 'auth_method', h.auth_method, 'options', h.options,
             'error', h.error) ORDER BY h.ordinality), '[]')
      FROM (SELECT *, row_number() OVER () AS ordinality FROM pg_hba_file_rules) h)""".replace("{hba_file}", HBA_FILE)

# When its content or its inode last changed, in whole seconds: a change in the second of the load is not seen. What an
# @file in it or an included file holds has a time of its own.
HBA_LOADED = """(
    SELECT greatest(f.modification, f.change) <= pg_conf_load_time()
      FROM pg_stat_file({hba_file}, true) f)""".replace("{hba_file}", HBA_FILE)

# What the command line sets, no restart takes from a file; PostgreSQL calls it pending where the file differs.
CONFIGURED = (
    """json_build_object(
  'listen_addresses', current_setting('listen_addresses'),
  'port', current_setting('port')::int,
  'socket_directories', {socket_directories},
  'ssl', current_setting('ssl') = 'on',
  'password_encryption', current_setting('password_encryption'),
  'log_destination', current_setting('log_destination'),
  'log_lock_waits', current_setting('log_lock_waits') = 'on',
  'log_min_duration_ms', CASE current_setting('log_min_duration_statement') WHEN '-1' THEN -1
                         ELSE round(extract(epoch FROM current_setting('log_min_duration_statement')::interval) * 1000)
                         END,
  'statements_tracked', {statements_tracked},
  'load_time', pg_conf_load_time(),
  'file_errors', {file_errors},
  'pending_restart', (
    SELECT coalesce(json_agg(json_build_object('name', s.name, 'setting', s.setting) ORDER BY s.name), '[]')
      FROM settings s WHERE s.pending_restart AND s.source <> 'command line'),
  'hba_rules', {hba_rules},
  'hba_loaded', {hba_loaded},
  'may_reload', {missing} = '',
  'hba_file', {hba_file}
)""".replace("{hba_file}", HBA_FILE)
    .replace("{statements_tracked}", STATEMENTS_TRACKED)
    .replace("{socket_directories}", _VISIBLE % "unix_socket_directories")
    .replace("{missing}", rights.missing(rights.TO_RELOAD))
)
