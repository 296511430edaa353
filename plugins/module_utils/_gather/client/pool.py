# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections a client's pool may open: what the option ``pool`` gives, else its environment. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional

from ..._core.numbers import whole

if TYPE_CHECKING:
    from ..._model.facts import ClientPool

# (size, overflow) as applications call them; the words are SQLAlchemy's.
NAMES = (
    ("DATABASE_POOL_SIZE", "DATABASE_MAX_OVERFLOW"),
    ("DB_POOL_SIZE", "DB_MAX_OVERFLOW"),
    ("SQLALCHEMY_POOL_SIZE", "SQLALCHEMY_MAX_OVERFLOW"),
)


def resolve_pool(option: Mapping[str, Any], env: Mapping[str, str]) -> Optional[ClientPool]:
    """None where neither says. To SQLAlchemy a size of 0 or an overflow of -1 is no limit: that is not known either."""
    replicas = option.get("replicas")
    if option.get("size") is not None:
        return {
            "size": option["size"],
            "overflow": option.get("overflow") or 0,
            "replicas": replicas,
            "source": "options",
        }
    for size_name, overflow_name in NAMES:
        size, overflow = whole(env.get(size_name)), whole(env.get(overflow_name) or "0")
        if size is not None and overflow is not None and size > 0 and overflow >= 0:
            return {"size": size, "overflow": overflow, "replicas": replicas, "source": size_name}
    return None
