# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that only look, but for triage: a row each, as the procedures have one (``_procedures/_registry.py``)."""

from __future__ import annotations

from typing import Dict

from .._model.verb import Row, Variable
from .options import INTEGRITY

LOOKS: Dict[str, Row] = {
    "integrity_check": Row(
        "integrity_info",
        "Is the data whole? Go, caution or no-go, with what proves it and what was not looked at. Changes nothing.",
        INTEGRITY,
        (
            Variable("check_seconds", "how long the whole check may take"),
            Variable("databases", "only these databases", default="all that allow connections"),
            Variable("jobs", "in how many databases catalogs are read side by side"),
            Variable("sequence_percent", "name sequences of which this share is used up"),
        ),
    ),
}
