# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password exchanged in the text of a .env file, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.credentials.env_passwords import (
    password_in,
    with_password,
)
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.recreation.env_file import (
    entries,
    with_values,
)

NEW = "New-Secret_42"
CASES = {
    "bare": ("PW=old\n", "PW=New-Secret_42\n"),
    "no newline at the end": ("A=1\nPW=old", "A=1\nPW=New-Secret_42"),
    "single quotes": ("PW='old'\n", "PW='New-Secret_42'\n"),
    "double quotes": ('PW="old"\n', 'PW="New-Secret_42"\n'),
    "export": ("export PW=old\n", "export PW=New-Secret_42\n"),
    "export, indented, blanks": ("  export  PW = old  # why\n", "  export  PW = New-Secret_42  # why\n"),
    "comment after quotes": ("PW='old' # 'x'\n", "PW='New-Secret_42' # 'x'\n"),
    "number sign inside": ("PW=old#er\n", "PW=New-Secret_42\n"),
    "empty": ("PW=\nB=2\n", "PW=New-Secret_42\nB=2\n"),
    "empty with comment": ("PW= # none yet\n", "PW=New-Secret_42 # none yet\n"),
    "empty quotes": ("PW=''\n", "PW='New-Secret_42'\n"),
    "crlf": ("# x\r\nPW=old\r\nB=2\r\n", "# x\r\nPW=New-Secret_42\r\nB=2\r\n"),
    "byte order mark": ("\ufeffPW=old\n", "\ufeffPW=New-Secret_42\n"),
    "comments and order": (
        "# PW=old\nB=old\n\n;x\nPW=old\n#PW=old\nPW2=old\n",
        "# PW=old\nB=old\n\n;x\nPW=New-Secret_42\n#PW=old\nPW2=old\n",
    ),
    "the last of two": ("PW=old\nPW=older\n", "PW=old\nPW=New-Secret_42\n"),
    "inside a quoted value": ('CERT="a\nPW=no\nb"\nPW=old\n', 'CERT="a\nPW=no\nb"\nPW=New-Secret_42\n'),
    "a quote that never ends": ("A='x\nPW=old\n", "A='x\nPW=New-Secret_42\n"),
    "escaped quote": ('PW="o\\"ld"\n', 'PW="New-Secret_42"\n'),
    "url": ("PW=postgresql://app:old@db:5432/shop?x=1\n", "PW=postgresql://app:New-Secret_42@db:5432/shop?x=1\n"),
    "url with driver, quoted": (
        'PW="postgresql+asyncpg://app:o%40ld@db/shop"\n',
        'PW="postgresql+asyncpg://app:New-Secret_42@db/shop"\n',
    ),
    "url, at sign not encoded": ("PW=postgres://app:o@ld@db/shop\n", "PW=postgres://app:New-Secret_42@db/shop\n"),
    "url with variables elsewhere": (
        "PW=postgresql://app:old@${HOST}:5432/${DB}\n",
        "PW=postgresql://app:New-Secret_42@${HOST}:5432/${DB}\n",
    ),
    "url's user a variable": ("PW=pg://${USER}:old@db/x\n", "PW=pg://${USER}:New-Secret_42@db/x\n"),
    "not utf-8": ("N=\udce4\nPW=old\n", "N=\udce4\nPW=New-Secret_42\n"),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_exchanges_the_password_and_nothing_else(before: str, after: str) -> None:
    assert with_password(before, ["PW"], "app", NEW, ".env") == after
    assert password_in(after, "PW", "app", ".env") == NEW
    assert with_password(after, ["PW"], "app", NEW, ".env") == after


def test_several_keys() -> None:
    before = "URL=postgres://app:old@db/x\nA=1\nPW='old'\n"
    after = "URL=postgres://app:New-Secret_42@db/x\nA=1\nPW='New-Secret_42'\n"
    assert with_password(before, ["PW", "URL", "PW"], "app", NEW, ".env") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("PW=old\n", "PW='a b$c#\"'\n"),
        ('PW="old" # x\n', "PW='a b$c#\"' # x\n"),
        ("PW='old'\n", "PW='a b$c#\"'\n"),
        ("PW=pg://app:old@db/x\n", "PW=pg://app:a%20b%24c%23%22@db/x\n"),
    ],
)
def test_a_given_password_with_marks(before: str, after: str) -> None:
    password = 'a b$c#"'
    assert with_password(before, ["PW"], "app", password, ".env") == after
    assert password_in(after, "PW", "app", ".env") == password


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("OTHER=old-Secret\n", "has no line PW=; nothing was changed. Its keys: OTHER"),
        ("#PW=old-Secret\n", "has no line PW="),
        ("", "Its keys: none"),
        ("PW=postgresql://app@db/x\n", "contains no password"),
        ("PW=postgresql://db/x?password=old-Secret\n", "contains no password"),
        ("PW=postgresql://other:old-Secret@db/x\n", "a user other than role app"),
        ("PW=postgresql://app:${DB_PASSWORD}@db/x\n", "takes its password from another variable"),
        ("PW=$DB_PASSWORD\n", "takes its password from another variable"),
        ('PW="${DB_PASSWORD}"\n', "takes its password from another variable"),
        ("PW=host=db user=app password=old-Secret\n", "keyword/value connection string"),
    ],
)
def test_refuses_what_cannot_be_exchanged(text: str, why: str) -> None:
    with pytest.raises(RefusedError) as refused:
        with_password(text, ["PW"], "app", NEW, ".env")
    assert why in str(refused.value)
    assert "old-Secret" not in str(refused.value)


@pytest.mark.parametrize("password", ["it's", "back\\slash", "it's one"])
def test_refuses_what_readers_take_differently(password: str) -> None:
    with pytest.raises(RefusedError) as refused:
        with_password("PW=old\n", ["PW"], "app", password, ".env")
    assert password not in str(refused.value)


def test_no_value_is_in_a_repr() -> None:
    assert "old" not in repr(entries("PW=old\n"))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60))
def test_any_text_is_read_to_its_end(text: str) -> None:
    """Whatever stands before it, a proper last line is either found or inside an open quote; nothing else moves."""
    whole = text + "\nPW_OF_APP=old\n"
    found = entries(whole)
    if "PW_OF_APP" in found and found["PW_OF_APP"].start == len(whole) - 4:
        assert with_password(whole, ["PW_OF_APP"], "app", NEW, ".env") == text + "\nPW_OF_APP=%s\n" % NEW
    else:
        assert "'" in text or '"' in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "SIZE=10\nPING=True\n"),
        ("A=1", "A=1\nSIZE=10\nPING=True\n"),
        ("# x\r\nA=1\r\n", "# x\r\nA=1\r\nSIZE=10\r\nPING=True\r\n"),
        ("SIZE=5 # why\nPING=False\n", "SIZE=10 # why\nPING=True\n"),
        ("export SIZE = '5'\nB=2\n\nPING=\"no\" # x", "export SIZE = '10'\nB=2\n\nPING=\"True\" # x"),
        ("SIZE=1\nPING=True\nSIZE=2\n", "SIZE=1\nPING=True\nSIZE=10\n"),
        ("#SIZE=1\nSIZE\n", "#SIZE=1\nSIZE\nSIZE=10\nPING=True\n"),
        ("SIZE=\nPING=# none\n", "SIZE=10\nPING=True # none\n"),
        ("SIZE=${OTHER:-5}\nPING=$X\n", "SIZE=10\nPING=True\n"),
        ("T='a\nSIZE=1\n'\n", "T='a\nSIZE=1\n'\nSIZE=10\nPING=True\n"),
        ("\ufeffA=1\n", "\ufeffA=1\nSIZE=10\nPING=True\n"),
    ],
)
def test_values_are_set_and_nothing_else(before: str, after: str) -> None:
    wanted = {"SIZE": "10", "PING": "True"}
    assert with_values(before, wanted) == after
    assert with_values(after, wanted) == after
    assert {name: one.value for name, one in entries(after).items() if name in wanted} == wanted
