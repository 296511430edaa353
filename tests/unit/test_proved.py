# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the cluster that answers is the one that is meant."""

from __future__ import annotations

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.proved import Identity


@pytest.mark.parametrize(
    "stands, answers, same",
    [
        (Identity("7", 1000, 5432), Identity("7", 1000.4, 5432, False), True),
        (Identity("7", 1000, 5432), Identity("7", 1090, 5432, False), True),  # with large libraries
        (Identity("7", 1000, 5432), Identity("8", 1000.4, 5432, False), False),
        (Identity("7", 1000, 5432), Identity("7", 90000, 5432, False), False),  # a copy, or the standby
        (Identity("7", 1000, 5432), Identity("7", 10, 5432, False), False),
        (Identity("7", 1000, 5432), Identity("7", 1000.4, 5433, False), False),  # a copy, both started at boot
        (Identity("7", 1000, 5432, False), Identity("7", 1000.4, 5432, True), False),  # the standby, likewise
        (Identity("7", 1000, 5432, True), Identity("7", 1000.4, 5432, True), True),
    ],
)
def test_a_cluster_is_told_by_its_identifier_and_its_start(stands: Identity, answers: Identity, same: bool) -> None:
    assert stands.answers_as(answers) is same
