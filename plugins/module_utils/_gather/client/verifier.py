# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a password fit the verifier that the server keeps? Pure; the answer is all that is ever passed on.

Verifiers: PostgreSQL's manual, chapter "pg_authid"; SCRAM: RFC 5802 section 3 and RFC 7677.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import stringprep
import sys
import unicodedata
from typing import Optional

_SCRAM = re.compile(r"^SCRAM-SHA-256\$([0-9]{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$")
_MD5 = re.compile(r"^md5[0-9a-f]{32}$")
_MOST_ITERATIONS = 10_000_000  # some seconds of hashing: a verifier that asks for more is not worth the wait


def kind(verifier: Optional[str]) -> str:
    """``scram-sha-256``, ``md5``, or ``none`` (no password, or one that no login can ever match)."""
    if verifier and _SCRAM.match(verifier):
        return "scram-sha-256"
    return "md5" if verifier and _MD5.match(verifier) else "none"


def matches(password: Optional[str], verifier: Optional[str], user: str) -> Optional[bool]:
    """Whether ``password`` is the one behind ``verifier``; None when either is missing or cannot be used."""
    if password is None or not verifier:
        return None
    if _MD5.match(verifier):
        return hmac.compare_digest(verifier, md5_verifier(password, user))
    parts = _SCRAM.match(verifier)
    if not parts:
        return None
    iterations = int(parts.group(1))
    if not 0 < iterations <= _MOST_ITERATIONS:
        return None
    try:
        salt, stored = (base64.b64decode(parts.group(number), validate=True) for number in (2, 3))
    except binascii.Error:
        return None
    return hmac.compare_digest(stored, stored_key(client_key(salted_password(password, salt, iterations))))


def md5_verifier(password: str, user: str) -> str:
    return "md5" + md5(_bytes(password) + _bytes(user))


def md5(data: bytes) -> str:
    """In hexadecimal. Also where FIPS mode forbids MD5: the server has chosen it, not we."""
    if sys.version_info >= (3, 9):
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    return hashlib.md5(data).hexdigest()


def salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", _bytes(prepare(password)), salt, iterations)


def client_key(salted: bytes) -> bytes:
    return hmac.new(salted, b"Client Key", hashlib.sha256).digest()


def stored_key(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def server_key(salted: bytes) -> bytes:
    return hmac.new(salted, b"Server Key", hashlib.sha256).digest()


def _bytes(text: str) -> bytes:
    """What is no text in any encoding (a lone surrogate) fits nothing; it is no reason to fail."""
    return text.encode("utf-8", "replace")


def prepare(password: str) -> str:
    """SASLprep (RFC 4013). As in PostgreSQL, a password that it forbids is used as it is."""
    if password.isascii():  # what maps or forbids nothing but control characters, which are used as they are
        return password
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    result = unicodedata.normalize("NFKC", mapped)
    if not result or any(_forbidden(c) for c in result) or not _direction_consistent(result):
        return password
    return result


def _forbidden(c: str) -> bool:
    return (
        stringprep.in_table_c12(c)
        or stringprep.in_table_c21_c22(c)
        or stringprep.in_table_c3(c)
        or stringprep.in_table_c4(c)
        or stringprep.in_table_c5(c)
        or stringprep.in_table_c6(c)
        or stringprep.in_table_c7(c)
        or stringprep.in_table_c8(c)
        or stringprep.in_table_c9(c)
        or stringprep.in_table_a1(c)
    )


def _direction_consistent(text: str) -> bool:
    """RFC 3454 section 6: right-to-left text holds no left-to-right letter and begins and ends right-to-left."""
    if not any(stringprep.in_table_d1(c) for c in text):
        return True
    return (
        not any(stringprep.in_table_d2(c) for c in text)
        and stringprep.in_table_d1(text[0])
        and stringprep.in_table_d1(text[-1])
    )
