# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables whose reading runs somebody else's code, as a part of a ``WITH RECURSIVE``: column ``oid``.

Who plans a query runs the functions in a table's index, statistics and partition key whose arguments are constants: as
himself, not as the table's owner. A function of a superuser's is trusted, and our own.
"""

from __future__ import annotations

OTHERS_CODE = """parts (oid, part) AS (
  SELECT i.inhparent, i.inhrelid FROM pg_inherits i
  UNION SELECT p.oid, i.inhrelid FROM parts p JOIN pg_inherits i ON i.inhparent = p.part
),
others_own AS MATERIALIZED (
  SELECT coalesce(i.indrelid, s.stxrelid, d.objid) AS oid
    FROM pg_depend d
    LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
    LEFT JOIN pg_statistic_ext s ON d.classid = 'pg_statistic_ext'::regclass AND s.oid = d.objid
    LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
    LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
    JOIN pg_roles r ON r.oid = coalesce(p.proowner, o.oprowner)
   WHERE d.classid IN ('pg_class'::regclass, 'pg_statistic_ext'::regclass)
     AND NOT r.rolsuper AND r.rolname <> current_user
),
others_code AS MATERIALIZED (
  SELECT x.oid FROM others_own x UNION SELECT p.oid FROM parts p JOIN others_own x ON x.oid = p.part
)"""
