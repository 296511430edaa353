# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How numbers, times and lists are written."""

from __future__ import annotations

from typing import Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.text import (
    count,
    duration,
    line,
    milliseconds,
    names,
    number,
    size,
)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (0, "0 s"),
        (0.12, "0.1 s"),
        (4, "4 s"),
        (9.96, "10 s"),
        (59.9, "59 s"),
        (95, "1 min 35 s"),
        (900, "15 min"),
        (5423, "1 h 30 min"),
        (86400, "1 d"),
        (90000, "1 d 1 h"),
    ],
)
def test_duration(seconds: Optional[float], said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(("value", "said"), [(None, ""), (0.21, "0.2 ms"), (75.4, "75 ms"), (1240, "1.24 s")])
def test_milliseconds(value: Optional[float], said: str) -> None:
    assert milliseconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, ""), (0, "0 B"), (1536, "1.5 KiB"), (64424509440, "60 GiB"), (2**50, "1024 TiB"), (1395864371, "1.3 GiB")],
)
def test_size(value: Optional[int], said: str) -> None:
    assert size(value) == said


def test_counts_and_lists() -> None:
    assert (count(1, "session"), count(2, "session"), count(0, "query", "queries")) == (
        "1 session",
        "2 sessions",
        "0 queries",
    )
    assert number(1_200_000_000) == "1,200,000,000"
    assert names(["a", "b", "a"]) == "a, b"
    assert names("abcdefg", 3) == "a, b, c and 4 more"


def test_a_line_is_flat_and_cut() -> None:
    assert line(" a\n b\t c ") == "a b c"
    assert line("x" * 300) == "x" * 197 + "..."
