# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Hypothesis tries takes as long as a busy machine needs: how fast it is proves nothing about the code."""

import contextlib

with contextlib.suppress(ImportError):  # the virtualenvs of the other Ansibles run a file of these without it
    from hypothesis import HealthCheck, settings

    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")
