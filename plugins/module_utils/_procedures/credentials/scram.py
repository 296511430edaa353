# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new password, and the verifier that the server keeps of it: made here, so that the server never sees the password.

RFC 5802 section 3, RFC 7677; the verifier's form: PostgreSQL's manual, chapter "pg_authid".
"""

from __future__ import annotations

import base64
import os
import secrets

from ..._gather.client.verifier import client_key, salted_password, server_key, stored_key

ITERATIONS = 4096  # the least that RFC 7677 allows, and PostgreSQL's own default (scram_iterations)
_SALT_BYTES = 16
_PASSWORD_BYTES = 32  # 256 bits


def make_verifier(password: str, iterations: int = ITERATIONS, salt: bytes = b"") -> str:
    """A SCRAM-SHA-256 verifier for ``ALTER ROLE ... PASSWORD``; ``salt`` is for tests, else it is random."""
    salt = salt or os.urandom(_SALT_BYTES)
    salted = salted_password(password, salt, iterations)
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (
        iterations,
        _text(salt),
        _text(stored_key(client_key(salted))),
        _text(server_key(salted)),
    )


def make_password() -> str:
    """43 characters of ``A-Z a-z 0-9 - _``: at home in a URL, a shell and a .env file without quotes.

    The first is a letter: a leading ``-`` would be an option to somebody's script.
    """
    return secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") + secrets.token_urlsafe(_PASSWORD_BYTES)[1:]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
