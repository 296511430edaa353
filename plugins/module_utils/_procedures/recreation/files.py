# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that clients get their settings from. The controller and the host may have one of the same name."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Iterator, Optional

from ..._core import atomic
from ..._core.errors import OncallError, RefusedError
from ..._gather.runtime.compose.address import elsewhere

if TYPE_CHECKING:
    from ..._gather.target import Target
    from .undo import Undo


@contextlib.contextmanager
def file_of(target: Target) -> Iterator[None]:
    """What fails inside says whose file it is."""
    try:
        yield
    except OncallError as error:
        raise type(error)("On %s: %s" % (target.place, error.msg), error.hint) from None


def read(target: Target, path: str, must_exist: bool = True) -> atomic.Found:
    with file_of(target):
        return atomic.read(path, must_exist)


def unwritable(target: Target, found: atomic.Found) -> Optional[RefusedError]:
    """Why it could not be written."""
    try:
        with file_of(target):
            atomic.check_writable(found)
    except RefusedError as error:
        return error
    return None


def write(target: Target, path: str, found: atomic.Found, text: str, undo: Undo) -> None:
    data = text.encode("utf-8", "surrogateescape")
    undo.add("%s on %s" % (path, target.place), functools.partial(atomic.put_back, found, data))
    with file_of(target):
        atomic.write(found, data)


def refuse_elsewhere(target: Target, docker_host: Optional[str], path: str, services: str, hint: str) -> None:
    """Raises RefusedError where the engine, and with it the Compose files, are on another machine than the file."""
    if elsewhere(docker_host):
        raise RefusedError(
            "env_file is refused with docker_host=%s: %s cannot be recreated from here, since the Compose files are on "
            "the engine's host and %s would be a file of %s" % (docker_host, services, path, target.place),
            hint,
        )
