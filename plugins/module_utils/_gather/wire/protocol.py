# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of PostgreSQL's protocol 3.0, as far as a login needs them. Pure: bytes in, bytes out.

Manual, chapter "Frontend/Backend Protocol", sections "Message Formats" and "SASL Authentication".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
from typing import Dict, List, Optional

from ..client.verifier import client_key, md5, md5_verifier, salted_password, server_key, stored_key

SSL_REQUEST = struct.pack("!II", 8, 80877103)
TERMINATE = b"X\0\0\0\x04"
LONGEST = 1 << 20  # bytes; no message of a login comes near
METHODS = {
    0: "trust",
    2: "kerberos",
    3: "password",
    5: "md5",
    6: "scm",
    7: "gss",
    8: "gss",
    9: "sspi",
    10: "scram-sha-256",
}
_NO_CHANNEL_BINDING = b"n,,"  # "this client cannot bind channels": right with and without TLS (RFC 5802, section 6)


def startup(user: str, database: str, application_name: str) -> bytes:
    """StartupMessage, protocol 3.0."""
    words = ("user", user, "database", database, "application_name", application_name, "client_encoding", "UTF8")
    body = struct.pack("!I", 3 << 16) + b"".join(_word(word) + b"\0" for word in words) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def _word(text: str) -> bytes:
    """A zero byte would end it, and what follows be taken for another setting."""
    return text.encode("utf-8", "replace").replace(b"\0", b"")


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def password_message(password: str) -> bytes:
    return message(b"p", _word(password) + b"\0")


def md5_response(user: str, password: str, salt: bytes) -> str:
    return "md5" + md5(md5_verifier(password, user)[3:].encode() + salt)


def error_fields(body: bytes) -> Dict[str, str]:
    """Fields of an ErrorResponse by their letter: V severity, C SQLSTATE, M message ... (S: localised severity)."""
    fields: Dict[str, str] = {}
    for field in body.split(b"\0"):
        if field:
            fields[field[:1].decode("latin-1")] = field[1:].decode("utf-8", "replace")
    if "S" in fields:
        fields.setdefault("V", fields["S"])  # a pooler may leave V out
    return fields


def mechanisms(body: bytes) -> List[str]:
    """The SASL mechanisms that an AuthenticationSASL message offers (after its code)."""
    return [name.decode("ascii", "replace") for name in body.split(b"\0") if name]


class ScramError(Exception):
    """The server's side of the exchange is not what RFC 5802 demands."""


class Scram:
    """One SCRAM-SHA-256 exchange: ``first()``, ``final(server_first)``, ``check(server_final)``.

    The user's name stays empty: PostgreSQL takes the start-up packet's. (Tests give it and the nonce: RFC 7677's.)
    """

    def __init__(self, password: str, nonce: Optional[str] = None, user: str = "") -> None:
        self._password = password
        self._nonce = nonce or base64.b64encode(os.urandom(18)).decode()
        self._bare = "n=%s,r=%s" % (user, self._nonce)
        self._signature = b""

    def first(self) -> bytes:
        return _NO_CHANNEL_BINDING + self._bare.encode()

    def final(self, server_first: bytes) -> bytes:
        values = _attributes(server_first)
        nonce = values.get("r", "")
        try:
            salt, iterations = base64.b64decode(values.get("s", ""), validate=True), int(values.get("i", ""))
        except ValueError:
            raise ScramError("the server's first SCRAM message is malformed") from None
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise ScramError("the server's SCRAM nonce does not continue ours")
        if not 0 < iterations <= 10_000_000:
            raise ScramError("the server asks for %d SCRAM iterations" % iterations)
        salted = salted_password(self._password, salt, iterations)
        without_proof = "c=%s,r=%s" % (base64.b64encode(_NO_CHANNEL_BINDING).decode(), nonce)
        signed = b",".join((self._bare.encode(), server_first, without_proof.encode()))
        key = client_key(salted)
        signature = hmac.new(stored_key(key), signed, hashlib.sha256).digest()
        proof = bytes(left ^ right for left, right in zip(key, signature))
        self._signature = hmac.new(server_key(salted), signed, hashlib.sha256).digest()
        return ("%s,p=%s" % (without_proof, base64.b64encode(proof).decode())).encode()

    def check(self, server_final: bytes) -> None:
        """Raises ScramError unless the server proved that it knows the password's verifier."""
        try:
            signature = base64.b64decode(_attributes(server_final).get("v", ""), validate=True)
        except ValueError:
            signature = b""
        if not self._signature or not hmac.compare_digest(signature, self._signature):
            raise ScramError("the server could not prove that it knows the password's verifier")


def sasl_initial(mechanism: str, data: bytes) -> bytes:
    return message(b"p", mechanism.encode() + b"\0" + struct.pack("!I", len(data)) + data)


def _attributes(text: bytes) -> Dict[str, str]:
    return {part[:1]: part[2:] for part in text.decode("ascii", "replace").split(",") if part[1:2] == "="}
