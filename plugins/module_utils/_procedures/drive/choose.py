# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which drive moves a target: by its runtime. A new runtime that can be driven is a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .remote import RemoteDrive

if TYPE_CHECKING:
    from ..._gather.runtime.compose.runtime import ComposeRuntime
    from ..._gather.runtime.pg_ctl.runtime import PgCtlRuntime
    from ..._gather.runtime.remote import RemoteRuntime
    from ..._gather.target import Target
    from .base import Drive


def drive_of(target: Target) -> Drive:
    """Imports are lazy: a target pays for what it uses."""
    if target.runtime.name == "compose":
        from .compose import ComposeDrive

        return ComposeDrive(cast("ComposeRuntime", target.runtime))
    if target.runtime.name == "pg_ctl":
        from .pg_ctl import PgCtlDrive

        return PgCtlDrive(cast("PgCtlRuntime", target.runtime))
    return RemoteDrive(cast("RemoteRuntime", target.runtime))


def engine_of(target: Target) -> str:
    """The command of the target's container engine, for texts: docker or podman, once its containers were read."""
    return getattr(target.runtime, "engine_command", "docker")
