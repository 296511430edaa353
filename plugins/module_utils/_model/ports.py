# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published ports that the engine chose, in words: it chooses again when a container is made or attached anew."""

from __future__ import annotations

from typing import List, Mapping


def moving(name: str, now: Mapping[str, str]) -> List[str]:
    """Those of container ``name`` (inside -> outside) that will be published elsewhere."""
    text = "%s: port %s is published at %s, which the engine chose: it will choose another"
    return [text % (name, inside, outside) for inside, outside in now.items()]


def moved(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> List[str]:
    """Those that are published elsewhere now."""
    return [
        "%s: port %s is published at %s now, was %s" % (name, inside, now.get(inside, "no port"), outside)
        for inside, outside in before.items()
        if now.get(inside) != outside
    ]
