# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a client logs in: connection strings, environments, and what goes before what."""

from __future__ import annotations

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.secret_files import password_for
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client.settings import (
    named_user,
    parse_connection_string,
    resolve_login,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "postgresql://app:s3cret@db:5433/shop",
            {"user": "app", "password": "s3cret", "host": "db", "port": "5433", "database": "shop"},
        ),
        ("postgres://db/shop", {"host": "db", "database": "shop"}),
        ("postgresql+psycopg2://app@db/shop", {"user": "app", "host": "db", "database": "shop"}),
        (
            "postgresql+asyncpg://app:p%40ss%2Fw%3Ard@db/shop?ssl=require",
            {"user": "app", "password": "p@ss/w:rd", "host": "db", "database": "shop", "ssl_mode": "require"},
        ),
        ("postgis://app:a#b/c@db/shop", {"user": "app", "password": "a#b/c", "host": "db", "database": "shop"}),
        (
            "postgresql://app:x@db/shop?sslmode=verify-full&connect_timeout=3",
            {"user": "app", "password": "x", "host": "db", "database": "shop", "ssl_mode": "verify-full"},
        ),
        (
            "postgresql://app:x@[fd00::2]:6432/shop",
            {"user": "app", "password": "x", "host": "fd00::2", "port": "6432", "database": "shop"},
        ),
        (
            "postgresql://app:x@one:1111,two:2222/shop",
            {"user": "app", "password": "x", "host": "one", "port": "1111", "database": "shop"},
        ),
        (
            "postgresql://app:x@/shop?host=/var/run/postgresql",
            {"user": "app", "password": "x", "host": "/var/run/postgresql", "database": "shop"},
        ),
        (
            "postgresql://app:x@%2Fvar%2Frun/shop",
            {"user": "app", "password": "x", "host": "/var/run", "database": "shop"},
        ),
        (
            "jdbc:postgresql://db:5432/shop?user=app&password=x",
            {"user": "app", "password": "x", "host": "db", "port": "5432", "database": "shop"},
        ),
        (
            "host=db port=5433 user=app password='it\\'s \\\\ here' dbname=shop sslmode=require",
            {
                "host": "db",
                "port": "5433",
                "user": "app",
                "password": "it's \\ here",
                "database": "shop",
                "ssl_mode": "require",
            },
        ),
        ("dbname = shop host=db", {"host": "db", "database": "shop"}),
        ("mysql://app:x@db/shop", None),
        ("https://example.com/", None),
        ("", None),
    ],
)
def test_connection_string(text: str, expected: "dict[str, str] | None") -> None:
    assert parse_connection_string(text) == expected


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"PATH": "/bin", "API_URL": "http://x/"}, None),
        ({"DATABASE_URL": "postgres://app:x@db/shop"}, ("db", 5432, "app", "x", "shop", "prefer", "DATABASE_URL")),
        (
            {"SHOP_DATABASE_URL": "postgres://app:x@db/shop", "REDIS_URL": "redis://r"},
            ("db", 5432, "app", "x", "shop", "prefer", "SHOP_DATABASE_URL"),
        ),
        ({"APP_DSN": "host=db user=app dbname=shop"}, ("db", 5432, "app", None, "shop", "prefer", "APP_DSN")),
        (
            {"A_URL": "postgres://a@first/a", "B_DATABASE_URL": "postgres://b@second/b"},
            ("second", 5432, "b", None, "b", "prefer", "B_DATABASE_URL"),
        ),
        (
            {"DATABASE_URL": "mysql://x@y/z", "POSTGRES_HOST": "db"},
            ("db", 5432, "postgres", None, "postgres", "prefer", "POSTGRES_*"),
        ),
        (
            {
                "POSTGRES_HOST": "db",
                "POSTGRES_PORT": "5433",
                "POSTGRES_USER": "app",
                "POSTGRES_PASSWORD": "x",
                "POSTGRES_DB": "shop",
            },
            ("db", 5433, "app", "x", "shop", "prefer", "POSTGRES_*"),
        ),
        (
            {"PGHOST": "db", "PGUSER": "app", "PGPASSWORD": "x", "PGDATABASE": "shop", "PGSSLMODE": "verify-ca"},
            ("db", 5432, "app", "x", "shop", "verify-ca", "PG*"),
        ),
        (
            {"DB_HOST": "db", "DB_USER": "app", "DB_PASS": "x", "DB_NAME": "shop", "DB_PORT": "nonsense"},
            ("db", 5432, "app", "x", "shop", "prefer", "DB_*"),
        ),
        # database is the user's name where none is given
        ({"PGHOST": "db", "PGUSER": "app"}, ("db", 5432, "app", None, "app", "prefer", "PG*")),
        # the kind that names a host wins, the others fill its gaps
        (
            {"POSTGRES_PASSWORD": "x", "DB_HOST": "db", "DB_USER": "app"},
            ("db", 5432, "app", "x", "app", "prefer", "DB_*"),
        ),
        # ... but never with another user's password
        (
            {"POSTGRES_USER": "admin", "POSTGRES_PASSWORD": "secret", "DATABASE_URL": "postgres://app@db/shop"},
            ("db", 5432, "app", None, "shop", "prefer", "DATABASE_URL"),
        ),
        # what Docker's links put there is no port
        (
            {"POSTGRES_PORT": "tcp://172.17.0.2:5432", "POSTGRES_HOST": "db"},
            ("db", 5432, "postgres", None, "postgres", "prefer", "POSTGRES_*"),
        ),
    ],
)
def test_from_environment(env: "dict[str, str]", expected: "tuple[object, ...] | None") -> None:
    login = resolve_login({}, env, {})
    found = login and (login.host, login.port, login.user, login.password, login.database, login.ssl_mode, login.source)
    assert found == expected


DEFAULTS = {"host": "postgres", "port": 5432, "user": "postgres", "database": None}


@pytest.mark.parametrize(
    ("option", "env", "expected"),
    [
        ({}, {}, ("postgres", 5432, "postgres", None, "postgres", "target")),
        ({"user": "app", "password": "x"}, {}, ("postgres", 5432, "app", "x", "app", "options")),
        (
            {"user": "app", "password": None},
            {"DB_HOST": "db", "DB_USER": "app", "DB_PASSWORD": "y", "DB_NAME": "shop"},
            ("db", 5432, "app", "y", "shop", "options"),
        ),
        (
            {"password": "new"},
            {"DATABASE_URL": "postgres://app:old@db:6000/shop"},
            ("db", 6000, "app", "new", "shop", "options"),
        ),
        (
            {"user": "other"},
            {"DATABASE_URL": "postgres://app:old@db/shop"},
            ("db", 5432, "other", None, "shop", "options"),
        ),
        ({}, {"POSTGRES_USER": "app", "POSTGRES_PASSWORD": "x"}, ("postgres", 5432, "app", "x", "app", "POSTGRES_*")),
        ({"port": 6432}, {"PGHOST": "db"}, ("db", 6432, "postgres", None, "postgres", "options")),
    ],
)
def test_resolve_login(option: "dict[str, object]", env: "dict[str, str]", expected: "tuple[object, ...]") -> None:
    login = resolve_login(option, env, DEFAULTS)
    assert login is not None
    assert (login.host, login.port, login.user, login.password, login.database, login.source) == expected


def test_a_target_without_a_place_gives_no_login() -> None:
    assert resolve_login({}, {}, {}) is None


def test_the_password_is_in_no_repr() -> None:
    assert "s3cret" not in repr(resolve_login({}, {"DATABASE_URL": "postgres://app:s3cret@db/shop"}, {}))


class Files:
    """A client's files; remembers what was asked for."""

    def __init__(self, **files: str) -> None:
        self.files = {"/run/secrets/" + name: text for name, text in files.items()}
        self.asked: list[str] = []

    def read(self, path: str) -> str | None:
        self.asked.append(path)
        return self.files.get(path)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (
            {"DB_HOST": "db", "DB_USER": "app", "DB_PASSWORD_FILE": "/run/secrets/db"},
            ("db", "app", "s3cret", "app"),
        ),
        (
            {
                "POSTGRES_HOST": "db",
                "POSTGRES_USER_FILE": "/run/secrets/user",
                "POSTGRES_PASSWORD_FILE": "/run/secrets/db",
            },
            ("db", "who", "s3cret", "who"),
        ),
        ({"DATABASE_URL_FILE": "/run/secrets/url"}, ("far", "app", "p@ss", "shop")),
        ({"SHOP_DATABASE_URL_FILE": "/run/secrets/url"}, ("far", "app", "p@ss", "shop")),
        # what is set itself wins; what cannot be read is not there
        (
            {"DB_HOST": "db", "DB_PASSWORD": "x", "DB_PASSWORD_FILE": "/run/secrets/db"},
            ("db", "postgres", "x", "postgres"),
        ),
        ({"DB_HOST": "db", "DB_PASSWORD_FILE": "/run/secrets/absent"}, ("db", "postgres", None, "postgres")),
        ({"DB_HOST": "db", "DB_PASSWORD_FILE": "relative"}, ("db", "postgres", None, "postgres")),
        # a password file, by variable and by connection string; a password that is known goes before it
        ({"PGHOST": "db", "PGUSER": "app", "PGPASSFILE": "/run/secrets/pgpass"}, ("db", "app", "from-pgpass", "app")),
        ({"APP_DSN": "host=db user=app passfile=/run/secrets/pgpass"}, ("db", "app", "from-pgpass", "app")),
        (
            {
                "DATABASE_URL": "postgres://app@db/shop?passfile=/run/secrets/pgpass",
                "PGPASSFILE": "/run/secrets/absent",
            },
            ("db", "app", "from-pgpass", "shop"),
        ),
        (
            {"PGHOST": "db", "PGUSER": "app", "PGPASSWORD": "x", "PGPASSFILE": "/run/secrets/pgpass"},
            ("db", "app", "x", "app"),
        ),
        ({"PGHOST": "other", "PGUSER": "app", "PGPASSFILE": "/run/secrets/pgpass"}, ("other", "app", None, "app")),
    ],
)
def test_settings_in_files(env: dict[str, str], expected: tuple[object, ...]) -> None:
    files = Files(db="s3cret\n", user="who", url="postgres://app:p%40ss@far/shop\n", pgpass="db:*:*:app:from-pgpass\n")
    login = resolve_login({}, env, {}, files.read)
    assert login is not None
    assert (login.host, login.user, login.password, login.database) == expected
    assert named_user({}, env, files.read) == (expected[1] if expected[1] != "postgres" else None)
    assert "s3cret" not in repr(login)


def test_only_files_of_a_login_are_read_and_only_where_needed() -> None:
    """SSL_CERT_FILE is of no interest, nor is the password file of a client whose password is known."""
    files = Files(db="x")
    env = {
        "DB_HOST": "db",
        "DB_PASSWORD_FILE": "/run/secrets/db",
        "SSL_CERT_FILE": "/etc/ssl/cert.pem",
        "API_KEY_FILE": "/run/secrets/key",
        "_FILE": "/x",
        "PGPASSFILE": "/root/.pgpass",
    }
    login = resolve_login({}, env, {}, files.read)
    assert login is not None and login.password == "x"
    assert files.asked == ["/run/secrets/db"]


@pytest.mark.parametrize(
    ("text", "login", "expected"),
    [
        ("db:5432:shop:app:secret", ("db", 5432, "shop", "app"), "secret"),
        ("*:*:*:*:secret\r\n", ("db", 5432, "shop", "app"), "secret"),
        ("db:5433:shop:app:secret\n", ("db", 5432, "shop", "app"), None),
        ("other:*:*:*:one\n\n# db:*:*:*:two\ndb:*:*:*:three\ndb:*:*:*:four", ("db", 5432, "shop", "app"), "three"),
        # colons and backslashes
        (r"fd00\:\:2:*:*:app:p\:q\\r", ("fd00::2", 5432, "shop", "app"), "p:q\\r"),
        (r"db:*:*:app:secret:comment", ("db", 5432, "shop", "app"), "secret"),
        (r"\*:*:*:*:secret", ("db", 5432, "shop", "app"), None),
        (r"\*:*:*:*:secret", ("*", 5432, "shop", "app"), "secret"),
        (r"db:*:*:app:secret\\", ("db", 5432, "shop", "app"), "secret\\"),
        # libpq's name for its own socket directory
        ("localhost:*:*:app:secret", ("/var/run/postgresql", 5432, "shop", "app"), "secret"),
        ("/tmp:*:*:app:secret", ("/tmp", 5432, "shop", "app"), "secret"),
        ("db:*:*:app:", ("db", 5432, "shop", "app"), None),
        ("db:*:app\n:::::\n", ("db", 5432, "shop", "app"), None),
        ("", ("db", 5432, "shop", "app"), None),
    ],
)
def test_password_file(text: str, login: tuple[str, int, str, str], expected: str | None) -> None:
    assert password_for(text, *login) == expected
