# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of whatever signals sessions: who is left alone. The spec is ``_procedures.sessions.look.PROTECTION``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  protect_applications:
    description: Applications whose name begins with one of these, in upper or lower case, are left alone.
    type: list
    elements: str
    default:
      - pg_dump
      - pg_basebackup
      - pg_receivewal
      - pg_probackup
      - pgbackrest
      - pghoard
      - barman
      - wal-g
      - wal-e
      - pg_restore
      - pg_recvlogical
      - pg_rewind
      - pg_upgrade
      - patroni
      - repmgr
  protect_users:
    description: Roles whose sessions are left alone.
    type: list
    elements: str
    default: []
"""
