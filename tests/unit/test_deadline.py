# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that is left, and how it is told to others."""

from __future__ import annotations

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import (
    Deadline,
    libpq_seconds,
    statement_milliseconds,
)


def test_a_deadline_counts_down_and_a_step_never_outlives_it() -> None:
    now = [100.0]
    deadline = Deadline(5, lambda: now[0])
    assert (deadline.left(), deadline.left(2), deadline.passed()) == (5, 2, False)
    step = deadline.sooner(3)
    now[0] = 104.0
    assert (deadline.left(), step.left(), step.passed()) == (1, 0.01, True)
    assert deadline.sooner(3).left() == 1
    now[0] = 200.0
    assert (deadline.left(), deadline.passed()) == (0.01, True)


@pytest.mark.parametrize(
    ("left", "at_most", "expected"), [(9.9, 3600, 9), (9.9, 4, 4), (1.0, 4, 2), (-3, 4, 2), (float("inf"), 3600, 3600)]
)
def test_seconds_for_libpq(left: float, at_most: float, expected: int) -> None:
    assert libpq_seconds(left, at_most) == expected


@pytest.mark.parametrize(("left", "expected"), [(10, 9500), (2, 1800), (0.01, 50), (3600, 3599500)])
def test_the_server_gives_up_before_we_do(left: float, expected: int) -> None:
    assert statement_milliseconds(left) == expected
    assert statement_milliseconds(left) < max(left * 1000, 51)
