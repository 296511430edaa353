# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who counts as another server on the data directory."""

from __future__ import annotations

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.compose.sharing import _others, _Process

OURS, THEIRS = "a" * 64, "b" * 64


def process(pid: int, parent: int, container: str | None) -> _Process:
    return _Process(pid, parent, container, "postgres", False)


def test_a_backend_of_ours_that_is_ending_is_no_second_server() -> None:
    """Its cgroup could not be read any more."""
    assert _others([process(10, 1, OURS), process(11, 10, OURS), process(12, 10, "")], OURS) == []


def test_a_postmaster_of_another_container_or_of_the_host_is_one() -> None:
    found = [process(10, 1, OURS), process(20, 1, THEIRS), process(21, 20, THEIRS), process(30, 1, None)]
    assert [each.pid for each in _others(found, OURS)] == [20, 30]
