# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module is, wherever it runs: its spec, and what to do with validated options."""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, Protocol

from .._core.spec import Spec
from .._gather.target import Target
from .target import open_target


class Work(Protocol):
    @property
    def spec(self) -> Spec: ...

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        """The module's result, of options that ``spec`` validated. Raises OncallError."""


@dataclass(frozen=True)
class Reading:
    """A module that only looks."""

    spec: Spec
    read: Callable[[Target], Dict[str, Any]]

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        with opened(options) as target:
            return dict({"changed": False}, **self.read(target))


@contextlib.contextmanager
def opened(options: Dict[str, Any]) -> Iterator[Target]:
    """The target that validated ``options`` describe. Raises OptionsError, TargetError."""
    target = open_target(options, options.get("host") or platform.node())
    try:
        yield target
    finally:
        target.close()
