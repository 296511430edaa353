# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Without Python's cyclic garbage collector, in a worker that ends with its task."""

from __future__ import annotations

import contextlib
import gc
from typing import Iterator


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """For the building of a module, for which Ansible parses each file that it ships.

    The collector would walk through all those trees, and through Ansible, again and again: a third of that time. What
    is left of them goes with the worker.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()
