# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab.stack import Stack
from tests.sshd import Sshd


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """Hosts that are reached by SSH."""
    with Sshd() as listening:
        yield listening


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("ssh-procedures-%d" % os.getpid()) as made:
        made.up()
        yield made


@pytest.fixture
def released(stack: Stack) -> Iterator[None]:
    yield
    stack.wait_api()
    stack.call("release")
