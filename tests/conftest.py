# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests."""

from __future__ import annotations

import signal

# A shell starts what goes to the background with Ctrl-C ignored, and all its children inherit that. Tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
