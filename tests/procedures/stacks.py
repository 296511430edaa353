# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.lab.stack import Stack
from tests.playbooks.test_real_servers import Controller


def at(stack: Stack, directory: Path, host: dict[str, Any], **options: Any) -> Controller:
    return Controller(directory, {"db": stack.target(idle_minutes=0.001, **options)}, host)


def started(stack: Stack, service: str = "") -> str:
    return str(stack.inspect(stack.name(service))["State"]["StartedAt"])
