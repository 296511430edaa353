# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note of a restart in progress, read on the host where it was written."""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Optional

from ..._core.errors import RefusedError
from ..._model.note import Note, Noted

_ENGINE = "unix:///var/run/docker.sock"


def path(docker_host: Optional[str], project: str) -> str:
    """One for each project of each engine, of whoever runs this."""
    engine = docker_host or os.environ.get("DOCKER_HOST") or _ENGINE
    name = "restart-%s-%s.json" % (
        re.sub(r"[^A-Za-z0-9_.-]", "_", project)[:80],
        hashlib.sha256(engine.encode()).hexdigest()[:8],
    )
    return os.path.join(os.path.expanduser("~"), ".oncall", name)


def read(where: str) -> Note:
    """Empty where there is none. Raises RefusedError for one that cannot be read: it names clients that are down."""
    try:
        with open(where, encoding="utf-8") as file:
            found = json.load(file)
        return Note(found["written_at"], found["why"], tuple(Noted(**one) for one in found["clients"]))
    except FileNotFoundError:
        return Note()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(
            "%s cannot be read: %s" % (where, error),
            "It names clients that an interrupted restart has stopped: start those that are down, then remove it.",
        ) from None
