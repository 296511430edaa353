# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two servers of one port are in each other's way."""

from __future__ import annotations

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.pg_ctl.place import (
    Wanted,
    _meet,
    _same,
    wanted,
)

SETTINGS = {"port": "5433", "listen_addresses": "127.0.0.1, db", "unix_socket_directories": '"/run/a b", /tmp'}


@pytest.mark.parametrize(
    "address, others, meet",
    [
        ("*", ("127.0.0.2",), True),
        ("127.0.0.1", ("0.0.0.0",), True),
        ("localhost", ("127.0.0.1",), True),
        ("10.0.0.7", ("10.0.0.7", "10.0.0.8"), True),
        ("10.0.0.7", ("localhost",), False),
        ("", ("*",), False),  # nothing but a socket
        ("*", (), False),
    ],
)
def test_addresses_that_meet(address: str, others: tuple[str, ...], meet: bool) -> None:
    assert _meet(address, others) is meet


def test_sockets_of_one_directory() -> None:
    assert _same("/tmp", ("/run/a b", "/tmp/")) and not _same("/srv", ("/tmp",)) and not _same("", ("",))


def test_where_it_would_listen() -> None:
    assert wanted(SETTINGS, None, None) == Wanted(5433, ("127.0.0.1", "db"), ("/run/a b", "/tmp"))
    assert wanted(SETTINGS, 5432, "/srv") == Wanted(5432, ("127.0.0.1", "db"), ("/srv",))
    assert wanted({}, None, None) is None
