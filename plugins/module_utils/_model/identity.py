# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's identity for the eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .facts import AnotherServer, ServerIdentity


def told(server: ServerIdentity) -> str:
    """``data directory /srv/b, system identifier 7544, port 5433, started 2026-11-24T01:59:00Z``"""
    known = (
        ("data directory %s", server["data_directory"]),
        ("system identifier %s", server["system_identifier"]),
        ("port %s", server["port"]),
        ("started %s", server["started_at"]),
    )
    words = [text % value for text, value in known if value is not None]
    return ", ".join(words + ["not running"] * (server["started_at"] is None))


def sentence(found: AnotherServer) -> str:
    return "another server answers at %s: %s. Expected: %s" % (
        found["where"],
        told(found["answers"]),
        told(found["expected"]),
    )
