# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of a login, against the examples of the standards."""

from __future__ import annotations

import hashlib
import struct

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.wire import protocol
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.wire.protocol import Scram, ScramError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.wire.wire import read_answer

# RFC 7677, section 3
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_scram_gives_the_messages_of_the_standard() -> None:
    scram = Scram("pencil", NONCE, "user")
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert scram.final(SERVER_FIRST) == CLIENT_FINAL
    scram.check(SERVER_FINAL)


@pytest.mark.parametrize("final", [b"v=AAAA", b"e=invalid-proof", b"", SERVER_FINAL.replace(b"6rr", b"7rr")])
def test_a_server_that_cannot_prove_itself_is_no_server_of_ours(final: bytes) -> None:
    scram = Scram("pencil", NONCE, "user")
    scram.final(SERVER_FIRST)
    with pytest.raises(ScramError):
        scram.check(final)


def test_nothing_is_proved_before_the_exchange() -> None:
    with pytest.raises(ScramError):
        Scram("pencil").check(b"v=")


@pytest.mark.parametrize(
    "first",
    [
        b"r=somebody-else,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",  # adds nothing of its own
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999999",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=???,i=4096",
        b"nonsense",
    ],
)
def test_a_bad_challenge_is_refused(first: bytes) -> None:
    with pytest.raises(ScramError):
        Scram("pencil", NONCE).final(first)


def test_startup_packet() -> None:
    packet = protocol.startup("app", "shop", "oncall")
    assert struct.unpack("!IHH", packet[:8]) == (len(packet), 3, 0)
    words = packet[8:].split(b"\0")
    assert dict(zip(words[::2], words[1::2])) == {
        b"user": b"app",
        b"database": b"shop",
        b"application_name": b"oncall",
        b"client_encoding": b"UTF8",
        b"": b"",
    }


def test_md5_response_is_the_manuals_formula() -> None:
    def md5(data: bytes) -> str:
        return hashlib.md5(data).hexdigest()

    # concat('md5', md5(concat(md5(concat(password, username)), random-salt)))
    expected = "md5" + md5(md5(b"secret" + b"app").encode() + b"\1\2\3\4")
    assert protocol.md5_response("app", "secret", b"\1\2\3\4") == expected


def error(fields: "dict[str, str]") -> bytes:
    return protocol.message(b"E", b"".join((k + v).encode() + b"\0" for k, v in fields.items()) + b"\0")


GERMAN = {"S": "SCHWERWIEGEND", "V": "FATAL", "C": "57P03", "M": "das Datenbanksystem startet"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (protocol.message(b"R", struct.pack("!I", 5) + b"salt"), ("accepting", None, None, None)),
        (protocol.message(b"R", struct.pack("!I", 0)), ("accepting", None, None, None)),
        (error(GERMAN), ("rejecting", "FATAL", "57P03", "das Datenbanksystem startet")),
        (
            error({"S": "FATAL", "C": "53300", "M": "full"}),
            ("rejecting", "FATAL", "53300", "full"),
        ),  # before 9.6, poolers
        (error({"V": "FATAL", "C": "28000", "M": "no entry"}), ("accepting", "FATAL", "28000", "no entry")),
        (error({"V": "FATAL", "C": "28P01", "M": "no"}), ("accepting", "FATAL", "28P01", "no")),
        (error({"V": "FATAL", "C": "3D000", "M": "no"}), ("accepting", "FATAL", "3D000", "no")),
        (
            b"Ecould not fork new process for connection: Resource temporarily unavailable\n\0",
            ("rejecting", "FATAL", None, "could not fork new process for connection: Resource temporarily unavailable"),
        ),
    ],
)
def test_answers_to_the_startup_packet(data: bytes, expected: "tuple[object, ...]") -> None:
    assert read_answer(data)[:4] == expected


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2",
        b"HTTP/1.1 400 Bad Request",
        b"-ERR unknown command",
        b"E",
        b"ERR: what?\r\n",
        b"R\xff\xff\xff\xff",
        error({"M": "no code"}),
    ],
)
def test_something_else(data: bytes) -> None:
    assert read_answer(data).outcome == "not_postgresql"
    assert "something else answered" in (read_answer(data).message or "")


def test_an_end_without_a_word_is_a_forwarder_with_nothing_behind() -> None:
    assert read_answer(b"").outcome == "refused"
