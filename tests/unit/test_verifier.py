# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password against the verifier that the server keeps."""

from __future__ import annotations

import base64

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client import verifier as _verifier
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.verifier import kind, matches, prepare

MD5 = "md5" + "3175bce1d3201d16594cebf9d7eb3f9d"  # md5('postgres' || 'postgres')


def scram(password: str, salt: bytes = b"0123456789abcdef", iterations: int = 4096) -> str:
    salted = _verifier.salted_password(password, salt, iterations)
    keys = (_verifier.stored_key(_verifier.client_key(salted)), _verifier.server_key(salted))
    shown = [base64.b64encode(part).decode() for part in (salt, *keys)]
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (iterations, shown[0], shown[1], shown[2])


@pytest.mark.parametrize(
    ("verifier", "expected"),
    [
        (MD5, "md5"),
        (scram("x"), "scram-sha-256"),
        (None, "none"),
        ("", "none"),
        ("plain", "none"),
        ("md5xyz", "none"),
        ("SCRAM-SHA-256$4096:salt", "none"),
    ],
)
def test_kind(verifier: "str | None", expected: str) -> None:
    assert kind(verifier) == expected


@pytest.mark.parametrize(
    ("password", "verifier", "user", "expected"),
    [
        ("postgres", MD5, "postgres", True),
        ("postgres", MD5, "app", False),
        ("wrong", MD5, "postgres", False),
        ("x", scram("x"), "app", True),
        ("x ", scram("x"), "app", False),
        ("x", scram("x", iterations=1), "app", True),
        ("pässwörd", scram("pässwörd"), "app", True),
        ("pa\u0308sswo\u0308rd", scram("pässwörd"), "app", True),  # typed as two characters each
        (None, MD5, "postgres", None),
        ("x", None, "app", None),
        ("x", "plain", "app", None),
        ("x", "SCRAM-SHA-256$0:AAAA$AAAA:AAAA", "app", None),
        ("x", "SCRAM-SHA-256$99999999999:AAAA$AAAA:AAAA", "app", None),
        ("x", "SCRAM-SHA-256$4096:A$A:A", "app", None),
    ],
)
def test_matches(password: "str | None", verifier: "str | None", user: str, expected: "bool | None") -> None:
    assert matches(password, verifier, user) is expected


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("plain", "plain"),
        ("I\u00adX", "IX"),  # RFC 4013, section 3: the soft hyphen maps to nothing
        ("\u00aa", "a"),
        ("\u2168", "IX"),  # likewise: NFKC
        ("a\u00a0b", "a b"),
        ("\u0007", "\u0007"),  # forbidden, so used as it is
        ("\u06271", "\u06271"),  # right-to-left that ends left-to-right: likewise
        ("\u00ad", "\u00ad"),  # nothing would be left
        ("ä\u0007", "ä\u0007"),
    ],
)
def test_prepare(password: str, expected: str) -> None:
    assert prepare(password) == expected
