# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No spelling of a password gets through, and what is no password stays."""

from __future__ import annotations

import re

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.mask import MASK, mask, setting

S = "hunter2"

HIDDEN = [
    "ALTER ROLE app PASSWORD 'hunter2'",
    "alter role app with login encrypted password 'hunter2' valid until '2030-01-01'",
    "ALTER USER app PASSWORD E'a\\'hunter2'",
    "ALTER USER app PASSWORD 'it''s hunter2'",
    "ALTER USER app PASSWORD $$hunter2$$",
    "ALTER USER app PASSWORD $x$hunter2 $$ more$x$ LOGIN",
    "ALTER USER app PASSWORD U&'hunter2' ",
    "CREATE ROLE app PASSWORD/* the new one */'hunter2'",
    "CREATE ROLE app PASSWORD -- the new one\n 'hunter2';",
    "CREATE ROLE app PASSWORD 'x'\n 'hunter2'",
    "CREATE ROLE app PASSWORD hunter2",
    'CREATE ROLE app PASSWORD "hunter2"',
    "CREATE ROLE app PASSWORD 'hunter2 cut her",
    "CREATE ROLE app PASSWORD $$hunter2 cut her",
    "CREATE ROLE a PASSWORD NULL; ALTER ROLE b PASSWORD 'hunter2'",
    "CREATE ROLE a PASSWORD 'x'; ALTER ROLE b PASSWORD 'hunter2'; SELECT 1",
    "DO $$ BEGIN EXECUTE 'ALTER ROLE app PASSWORD ''hunter2'''; END $$",
    "DO $$ BEGIN EXECUTE format('ALTER ROLE app PASSWORD %L', 'hunter2'); END $$",
    "SELECT 'ALTER ROLE app PASSWORD ' || quote_literal('hunter2')",
    "SELECT concat('ALTER ROLE app PASSWORD ', quote_literal('hunter2'))",
    "ALTER/**/ROLE app PASSWORD ''''''||'hunter2'",
    "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'a', password 'hunter2')",
    "ALTER SERVER s OPTIONS (SET password 'hunter2')",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter2 user=u' PUBLICATION p",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h password=''a hunter2'' user=u' PUBLICATION p",
    "SELECT dblink('postgresql://app:hunter2@db/shop', 'SELECT 1')",
    "connecting to postgresql+psycopg2://app:p@hunter2@db:5432/shop",
    "postgresql://db/shop?user=app&password=hunter2&sslmode=require",
    "POSTGRES_PASSWORD=hunter2 PGUSER=app",
    '{"password": "hunter2", "user": "app"}',
    "{'password': 'hunter2', 'user': 'app'}",
    "host=db password = 'a hunter2' dbname=shop",
    "host=db password=a\\ hunter2 dbname=shop",
    "SELECT 1 FROM users WHERE password = 'hunter2'",
    "UPDATE users SET password='hunter2' WHERE id = 1",
    "call set_login(password => 'hunter2')",
    "GET /x?token=hunter2&a=1",
    "api_key: hunter2",
    '{"apiKey": "hunter2"}',
    "client_secret='hunter2'",
    "Authorization: Bearer hunter2",
    "SCRAM-SHA-256$4096:hunter2==$a/b+c=:d=",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_a_secret_is_masked(text: str) -> None:
    masked = mask(text)
    assert S not in masked
    assert MASK in masked
    assert mask(masked) == masked


# Cut after "p@hunter2" nobody can tell a password from a host; a verifier's parts have no end that could be missing.
@pytest.mark.parametrize("text", [text for text in HIDDEN if "SCRAM" not in text and "p@hunter2" not in text])
def test_a_text_cut_inside_the_secret_gives_nothing_away(text: str) -> None:
    end = text.rindex(S) + len(S)
    assert S not in mask(text[:end]) and S[:-2] not in mask(text[: end - 2])


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM users WHERE password IS NOT NULL AND name = 'bob'",
        "SELECT password, 'x' FROM users",
        "ALTER ROLE app PASSWORD NULL VALID UNTIL '2030-01-01'",
        'FATAL:  password authentication failed for user "app"',
        'LOG:  listening on IPv4 address "0.0.0.0", port 5432',
        "SET password_encryption TO 'scram-sha-256'",
        "http://127.0.0.1:8000/api/v1/db/health",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "CREATE ROLE app LOGIN",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


def test_what_follows_a_password_stays_readable() -> None:
    assert (
        mask("ALTER ROLE app PASSWORD 'hunter2' VALID UNTIL '2030-01-01'")
        == "ALTER ROLE app PASSWORD '%s' VALID UNTIL '2030-01-01'" % MASK
    )
    assert mask("host=db password=hunter2 dbname=shop") == "host=db password=%s dbname=shop" % MASK
    assert mask("postgresql://app:hunter2@db/shop") == "postgresql://app:%s@db/shop" % MASK


def test_given_secrets_are_masked_however_they_are_spelt() -> None:
    secret = "p'w/d é"
    for text in ("got p'w/d é", "got 'p''w/d é'", "u:p%27w%2Fd%20%C3%A9@h", "u:p%27w/d%20%C3%A9@h"):
        masked = mask(text, [secret, ""])
        assert MASK in masked and "w/d" not in masked and "w%2F" not in masked


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("hop", 'FATAL:  database "shop" does not exist (shop-1, hop-1, db.hop.internal)'),
        ("password", 'FATAL:  password authentication failed for user "app"'),
        ("postgres", 'FATAL:  role "postgres" is not permitted to log in'),
        ("a", "a slot is a slot"),
    ],
)
def test_a_password_that_is_a_word_does_not_eat_the_sentence(secret: str, text: str) -> None:
    assert mask(text, [secret]) == text


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("hop", "it said hop."),
        ("hop", "got 'hop', then hop:hop"),
        ("hop", "postgresql://shop:hop@db/shop"),
        ("password", "postgresql://app:password@db/shop and password=password"),
        ("postgres", "ALTER ROLE app PASSWORD 'postgres'"),
        ("long-enough", "xlong-enoughx"),
    ],
)
def test_where_it_stands_as_a_secret_it_is_masked(secret: str, text: str) -> None:
    assert re.sub(r"postgresql:|password=|PASSWORD|shop", "", mask(text, [secret])).count(secret) == 0


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("archive_command", "test ! -f /mnt/%f && cp %p /mnt/%f", None),
        ("archive_command", "pgbackrest --stanza=s --pg1-path=/d push %p", "pgbackrest --stanza=* --pg1-path=* * %p"),
        ("archive_command", "A_KEY=s sshpass -p s scp -ps %p s@h:", "A_KEY=* sshpass -p * * * %p *"),
        ("restore_command", "gpg --passphrase s 'X: s' | cp x %p", "gpg --passphrase * * * | cp * %p"),
        ("ssl_passphrase_command", "echo s3cret", "echo *"),
        ("primary_conninfo", "host=h options='-c a.b=s'", "*"),
        ("work_mem", "4096", None),
    ],
)
def test_a_setting_shows_no_word_that_may_be_a_password(name: str, value: str, shown: str | None) -> None:
    assert setting(name, value).replace(MASK, "*") == (value if shown is None else shown)


def test_a_long_text_takes_no_time() -> None:
    text = "ALTER ROLE a " + "PASSWORD " * 3000 + "'" * 3001 + "/*" * 3000 + "$$" * 101
    assert MASK in mask(text)
