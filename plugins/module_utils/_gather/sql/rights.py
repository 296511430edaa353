# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What not every role may read, and how to ask for the right: to try would leave an error in the server's log.

A superuser has them all; each can be granted by itself.
"""

from __future__ import annotations

from typing import Iterable

AUTHID, FILE_SETTINGS, HBA_RULES = "pg_authid", "pg_file_settings", "pg_hba_file_rules"
CONTROL, STAT_FILE, RELOAD = "pg_control_system", "pg_stat_file", "pg_reload_conf"
CHECKPOINT, ALL_SETTINGS = "pg_control_checkpoint", "pg_read_all_settings"
SERVER_FILES = "pg_read_server_files"  # of what is outside the data directory; whether it is needed, shows in trying
LS_DIR, LS_TMPDIR, ALL_STATS = "pg_ls_dir", "pg_ls_tmpdir", "pg_read_all_stats"
_TABLE = "has_table_privilege(to_regclass('pg_catalog.%s'), 'SELECT')"
_FUNCTION = "has_function_privilege(to_regprocedure('pg_catalog.%s'), 'EXECUTE')"
_CONDITIONS = {
    AUTHID: _TABLE % AUTHID,
    FILE_SETTINGS: "%s AND %s" % (_TABLE % FILE_SETTINGS, _FUNCTION % "pg_show_all_file_settings()"),
    HBA_RULES: "%s AND %s" % (_TABLE % HBA_RULES, _FUNCTION % (HBA_RULES + "()")),
    STAT_FILE: _FUNCTION % "pg_stat_file(text, boolean)",
    RELOAD: _FUNCTION % (RELOAD + "()"),
    CONTROL: _FUNCTION % (CONTROL + "()"),  # everybody, unless it was revoked
    CHECKPOINT: _FUNCTION % (CHECKPOINT + "()"),
    LS_DIR: _FUNCTION % "pg_ls_dir(text, boolean, boolean)",
    LS_TMPDIR: _FUNCTION % "pg_ls_tmpdir(oid)",
    ALL_STATS: "pg_has_role('%s', 'USAGE')" % ALL_STATS,
    ALL_SETTINGS: "pg_has_role('%s', 'USAGE')" % ALL_SETTINGS,
}
ALL = (AUTHID, FILE_SETTINGS, HBA_RULES, STAT_FILE)  # of a snapshot
TO_RELOAD = (FILE_SETTINGS, HBA_RULES, STAT_FILE, RELOAD)


def missing(names: Iterable[str]) -> str:
    """An SQL expression: the names that the current role may not read, separated by blanks."""
    rows = ", ".join("('%s', %s)" % (name, _CONDITIONS[name]) for name in names)
    return "(SELECT coalesce(string_agg(name, ' '), '') FROM (VALUES %s) AS rights (name, may) WHERE NOT may)" % rows
