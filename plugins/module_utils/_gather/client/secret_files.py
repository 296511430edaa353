# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``*_FILE`` variables of a container: Compose's secrets, read from where the container sees them."""

from __future__ import annotations

from typing import Dict, Mapping

from .place import inside

_LONGEST = 1 << 16


def read_secret_files(env: Mapping[str, str], root: str) -> Dict[str, str]:
    """``env`` with ``DB_PASSWORD`` for ``DB_PASSWORD_FILE=/run/secrets/db`` and the like, below ``root``.

    A variable that is set itself wins; a file that cannot be read is left out. Never pass the result on: it holds
    secrets (``_client_settings`` picks a login from it).
    """
    found = dict(env)
    for name, path in env.items():
        plain = name[: -len("_FILE")]
        if not name.endswith("_FILE") or not plain or env.get(plain) or not path.startswith("/"):
            continue
        try:
            with open(inside(root, path), encoding="utf-8", errors="replace") as file:
                found[plain] = file.read(_LONGEST).rstrip("\r\n")
        except OSError:
            continue
    return found
