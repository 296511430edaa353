# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of an incident: a timeline that is only added to, what it tells, and the post-mortem. Controller only.
All of it is pure but ``store``, which reads and writes."""

from __future__ import annotations
