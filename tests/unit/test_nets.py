# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The net below a result: a password goes, wherever it is; the names and sentences around it stay."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.oncall.postgresql.plugins.module_utils._core.mask import MASK, mask_words
from ansible_collections.oncall.postgresql.plugins.module_utils._entry.options import TARGET, hide, nets

OPTIONS: dict[str, Any] = {
    "runtime": "compose",
    "project": "shop",
    "service": "main-db",
    "login_host": "db.shop.internal",
    "login_user": "app",
    "login_password": None,
    "clients": [{"service": "api", "login": {"host": "db", "user": "app", "password": None}}],
}
RESULT = {
    "summary": "psql of shop said: hop, postgres and hop. Fix: ansible-playbook oncall.postgresql.pool_reset -e x=hop",
    "rows": [{"database": "shop", "uri": "postgresql://app:hop@db.shop.internal/shop", "count": 3}],
}


def through(secret: str, result: Any = None) -> Any:
    """As the module and the action plugin do it."""
    options = {**OPTIONS, "login_password": secret}
    anywhere, words = nets({secret}, options, TARGET.options)
    return mask_words(remove_values(RESULT if result is None else result, anywhere), words)


def test_a_password_within_another_option_is_masked_where_it_stands_alone() -> None:
    assert through("hop") == {
        "summary": "psql of shop said: %s, postgres and %s. Fix: ansible-playbook oncall.postgresql.pool_reset -e x=%s"
        % (MASK, MASK, MASK),
        "rows": [{"database": "shop", "uri": "postgresql://app:%s@db.shop.internal/shop" % MASK, "count": 3}],
    }


@pytest.mark.parametrize("password", ["postgres", "shop", "app", "api", "oncall", "main-db", "internal", "db", "a"])
def test_a_password_that_is_said_in_plain_words_anyway_erases_nothing(password: str) -> None:
    assert through(password) == RESULT


@pytest.mark.parametrize("password", ["hunter2", "correct horse", "p@ss/w'ord", "Shop", "Postgres"])
def test_any_other_goes_wherever_it_is(password: str) -> None:
    told = through(password, {"a": "x%sy" % password if len(password) > 6 else " %s " % password, "b": [password]})
    assert password not in str(told)


def test_part_of_a_word_of_ours_is_not_cut_out_of_it() -> None:
    """ "onnect" is in "connection"."""
    assert through("onnect", "the connection to onnect") == "the connection to " + MASK


def test_what_is_shown_of_the_options_holds_no_secret() -> None:
    options = {**OPTIONS, "login_password": "hunter2"}
    options["clients"] = [{"service": "api", "login": {"user": "app", "password": "hunter3"}}]
    shown = str(hide(options, TARGET.options))
    assert "hunter" not in shown and "main-db" in shown


def test_the_settings_of_a_server_are_shown_without_the_secrets_in_them() -> None:
    given = {"primary_conninfo": "host=a password=hunter2", "archive_command": "PGPASSWORD=hunter3 push", "work_mem": 4}
    shown = hide({"settings": given}, {"settings": {"type": "dict"}})
    assert "hunter" not in str(shown) and shown["settings"]["work_mem"] == 4 and "push" in str(shown)
