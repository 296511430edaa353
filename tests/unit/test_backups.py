# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the programs that make backups say of them, in the shapes that they document; and anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import TargetError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.integrity.backups import (
    barman,
    pgbackrest,
    wal_g,
)

OURS = "7713436059634161694"
STANZA = {
    "name": "shop",
    "db": [{"id": 1, "system-id": int(OURS), "version": "15"}],
    "status": {"code": 0, "message": "ok"},
    "backup": [
        {"label": "20261128-020000F", "error": False, "timestamp": {"start": 1795831200, "stop": 1795831260}},
        {"label": "20261129-020000F", "error": True, "timestamp": {"start": 1795917600, "stop": 1795917660}},
    ],
}
BARMAN = [
    {"backup_id": "20261128T020000", "status": "DONE", "end_time_timestamp": "1795831260"},
    {"backup_id": "20261129T020000", "status": "FAILED"},
]
WAL_G = {"backup_name": "base_000000010000000000000004", "finish_time": "2026-11-28T02:01:00.123456789Z"}


def test_what_each_says() -> None:
    first, second = pgbackrest([STANZA], OURS)
    assert (first.finished, first.trouble) == (1795831260, None) and second.trouble
    assert list(pgbackrest([STANZA], "1")) == []
    first, second = barman({"shop": BARMAN}, OURS)
    assert (first.finished, second.finished) == (1795831260, None) and second.trouble == "its status is FAILED"
    with pytest.raises(TargetError, match="2 servers"):
        list(barman({"shop": BARMAN, "blog": BARMAN}, OURS))
    (only,) = wal_g([{**WAL_G, "system_identifier": int(OURS)}, {**WAL_G, "system_identifier": 1}], OURS)
    assert only.finished == 1795831260
    nothing: tuple[Any, ...] = ([], None)  # WAL-G 3, and those before it, which print nothing
    for none in nothing:
        assert [each.trouble for each in wal_g(none, OURS)] == ["it holds no backup"]
    assert [each.trouble for each in barman({"shop": []}, OURS)] == ["it holds no backup"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(sorted({*STANZA, *BARMAN[0], *WAL_G, "stop", "system-id"})), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_anything_else_breaks_nothing(found: Any) -> None:
    for read in (pgbackrest, barman, wal_g):
        try:
            list(read(found, OURS))
        except TargetError:
            assert read is barman
