# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a query its shape is shown: no literal's content survives, wherever the text is cut."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._core.shape import shape, shown

SECRET = "hunterhunter"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1", "SELECT ?"),
        (
            "select a.x1, b2 from t3 where y >= 1.5e-7 and z in (1, 2,.5)",
            "select a.x1, b2 from t3 where y >= ? and z in (?, ?,?)",
        ),
        ("SELECT $1, $2::int", "SELECT $1, $2::int"),
        ("UPDATE t SET a = 'it''s', b = E'it\\'s' WHERE c", "UPDATE t SET a = ?, b = ? WHERE c"),
        ('SELECT "A ""b" FROM U&"x" WHERE a = U&\'x\'', 'SELECT "A ""b" FROM U&"x" WHERE a = ?'),
        ("SELECT $$a'b$$, $t$ $$ $t$, foo$1$bar", "SELECT ?, ?, foo$1$bar"),
        ("SELECT 1 /* a /* b */ 'c' */ + x -- it's\n FROM t", "SELECT ?   + x  \n FROM t"),
        ("COPY t FROM '/x'", "COPY t FROM ?"),
        ("COMMIT", "COMMIT"),
        ("VACUUM (FREEZE) t", "VACUUM (FREEZE) t"),
        (
            "autovacuum: VACUUM public.t1 (to prevent wraparound)",
            "autovacuum: VACUUM public.t1 (to prevent wraparound)",
        ),
        ("SELECT 'a\\' AS b, 'c'", "SELECT ?"),  # where it ends is a setting
        ("", ""),
    ],
)
def test_a_shape(query: str, expected: str) -> None:
    assert shape(query) == expected


HIDDEN = [
    "SELECT crypt('hunterhunter', gen_salt('bf'))",
    "SELECT pgp_sym_decrypt(secret, 'hunterhunter')",
    "INSERT INTO users (name, password) VALUES ('app', 'hunterhunter')",
    "SELECT http_get('https://x/?token=hunterhunter', 'Authorization: Bearer hunterhunter')",
    "SELECT dblink_connect('postgresql://app:hunterhunter@db/x')",
    "/* token hunterhunter */ SELECT 1",
    "ALTER ROLE app PASSWORD hunterhunter",
    'ALTER ROLE app PASSWORD "hunterhunter"',
]


@pytest.mark.parametrize("query", HIDDEN)
def test_what_a_mask_cannot_know_is_not_shown(query: str) -> None:
    assert SECRET not in shown(query)
    for end in range(len(query)):
        assert SECRET[:8] not in shown(query[:end]), query[:end]


def _quoted(content: str) -> st.SearchStrategy[str]:
    plain = content.replace("'", "''")
    escaped = content.replace("\\", "\\\\").replace("'", "\\'")
    return st.sampled_from(
        (
            "'%s'" % plain,
            "N'%s'" % plain,
            "e'%s'" % escaped,
            "E'%s'" % plain.replace("\\", "\\\\"),
            "$$%s$$" % content.replace("$", ""),
            "$q$%s$q$" % content.replace("$q$", "").rstrip("$q"),
            "/*%s*/" % content.replace("/", ""),
            "--%s\n" % content.replace("\n", "").replace("\r", ""),
        )
    )


BITS = st.lists(st.sampled_from((SECRET, "'", "\\", '"', "$", "$$", "--", "*", "\n", " ", "x", ";")), max_size=6)
LITERAL = BITS.map(lambda bits: "".join((*bits, SECRET))).flatmap(_quoted)
WORD = st.sampled_from(
    ("SELECT", " a1 ", ", ", '"b c"', "=", "$1", "(", ")", "||", " 12", "::text", "\n", " E ", "a$b")
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(WORD, LITERAL), max_size=8).map(" ".join), st.integers(0, 200))
@example("E'a\\'%s'" % SECRET, 200)
@example("'a\\' || '%s'" % SECRET, 200)
def test_no_literals_content_survives(query: str, end: int) -> None:
    assert SECRET not in shape(query[:end]) and SECRET not in shown(query[:end])


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("'\\$-/*eEuU&a1. \n\u00e9\u0663"), max_size=60))
def test_no_quote_is_left_where_no_name_is_quoted(query: str) -> None:
    assert "'" not in shape(query)


def test_a_long_text_is_done_at_once() -> None:
    for piece in ("'", "E'\\", "$a", "/*", '"', "U&", "1e", "--", "$$ ", "a"):
        assert len(shown(piece * 20000)) <= 200
