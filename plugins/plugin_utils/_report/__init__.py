# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engineer on call sees: results in, lines for the terminal and a page for the browser out. No Ansible, no I/O
but the template's. Controller only."""

from __future__ import annotations
