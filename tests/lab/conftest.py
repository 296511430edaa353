# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sshd import Sshd

NEXT: pytest.StashKey[pytest.Item | None] = pytest.StashKey()


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """What this process runs next: beside another one (``-n 2``) that is not simply what stands next in the file."""
    item.stash[NEXT] = nextitem


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """Hosts that are reached by SSH."""
    with Sshd() as listening:
        yield listening
