# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifiers that are made here: RFC 7677's own example, and what the other half of the exchange makes of them."""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.verifier import kind, matches
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.wire.protocol import Scram
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials.scram import (
    ITERATIONS,
    make_password,
    make_verifier,
)

# RFC 7677, section 3: user "user", password "pencil"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
SERVER_SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_rfc_s_example() -> None:
    """Its server's signature can only be made with the server key that stands in our verifier."""
    import hashlib
    import hmac

    verifier = make_verifier("pencil", 4096, SALT)
    found = re.match(r"SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$([^:]+):(.+)$", verifier)
    assert found
    stored, server = (base64.b64decode(found.group(number)) for number in (1, 2))
    client_final = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    signed = b",".join((b"n=user,r=" + NONCE.encode(), SERVER_FIRST, client_final.encode()))
    assert base64.b64encode(hmac.new(server, signed, hashlib.sha256).digest()).decode() == SERVER_SIGNATURE
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.new(stored, signed, hashlib.sha256).digest()
    key = bytes(left ^ right for left, right in zip(proof, signature))
    assert hashlib.sha256(key).digest() == stored
    scram = Scram("pencil", NONCE, "user")
    scram.final(SERVER_FIRST)
    scram.check(b"v=" + SERVER_SIGNATURE.encode())


@pytest.mark.parametrize("password", ["x", "with blank", "ümläut", "IX", "a­b", "\u00a0", "it's", "y" * 200])
@pytest.mark.parametrize("iterations", [1, ITERATIONS, 9000])
def test_matches_its_password_only(password: str, iterations: int) -> None:
    verifier = make_verifier(password, iterations)
    assert kind(verifier) == "scram-sha-256"
    assert matches(password, verifier, "app") is True
    assert matches(password + "!", verifier, "app") is False


def test_salt_is_new_each_time() -> None:
    made = {make_verifier("same") for _unused in range(5)}
    assert len(made) == 5
    assert {len(base64.b64decode(one.split("$")[1].split(":")[1])) for one in made} == {16}


def test_generated_passwords_need_no_quotes() -> None:
    made = [make_password() for _unused in range(500)]
    assert len(set(made)) == len(made)
    for password in made:
        assert re.fullmatch(r"[A-Z][A-Za-z0-9_-]{42}", password)
        assert quote(password, safe="") == password
