# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this run was started with, as far as the next one needs it: so that a printed command runs as printed."""

from __future__ import annotations

import json
import os
import re
from typing import Any, List, Mapping, Sequence

from ansible import constants, context

# Attribute of the command line -> its option, and what it is when it was not given.
_VALUES = (
    ("remote_user", "-u", "DEFAULT_REMOTE_USER"),
    ("private_key_file", "--private-key", "DEFAULT_PRIVATE_KEY_FILE"),
    ("connection", "-c", "DEFAULT_TRANSPORT"),
    ("become_method", "--become-method", "DEFAULT_BECOME_METHOD"),
    ("become_user", "--become-user", "DEFAULT_BECOME_USER"),
    ("become_password_file", "--become-password-file", "BECOME_PASSWORD_FILE"),
    ("connection_password_file", "--connection-password-file", "CONNECTION_PASSWORD_FILE"),
)
_FLAGS = (
    ("become", "-b", "DEFAULT_BECOME"),
    ("become_ask_pass", "-K", "DEFAULT_BECOME_ASK_PASS"),
    ("ask_pass", "-k", "DEFAULT_ASK_PASS"),
    ("ask_vault_pass", "-J", "DEFAULT_ASK_VAULT_PASS"),
)


def options(extra_vars: Mapping[str, Any]) -> List[str]:
    """Which inventories, how hosts are reached, files of secrets and of variables. Other variables may be secrets, and
    only those that name the hosts and the record of their incidents are needed."""
    given: Mapping[str, Any] = context.CLIARGS
    words: List[str] = []
    if list(given.get("inventory") or ()) != list(constants.DEFAULT_HOST_LIST):
        words += _each("-i", [each if "," in each else _from_here(each) for each in given.get("inventory") or ()])
    for name, option, default in _VALUES:
        value = given.get(name)
        if value and value != constants.config.get_config_value(default):
            words += [option, str(value)]
    words += [option for name, option, default in _FLAGS if given.get(name) and not getattr(constants, default)]
    words += _each("--vault-id", given.get("vault_ids") or ())
    words += _each("--vault-password-file", given.get("vault_password_files") or ())
    words += _each("-e", [each for each in given.get("extra_vars") or () if each.startswith("@")])
    for name in ("oncall_hosts", "oncall_incident_dir"):
        value = extra_vars.get(name)
        if isinstance(value, str) and value:
            quoted = re.search(r"[\s'\"\\{}]", value)  # key=value would end there
            words += ["-e", json.dumps({name: value}) if quoted else "%s=%s" % (name, value)]
    return words


def _each(option: str, values: Sequence[str]) -> List[str]:
    return [word for value in values for word in (option, str(value))]


def _from_here(path: str) -> str:
    """As it was given, most likely: Ansible keeps the absolute path."""
    here = os.path.relpath(path)
    return path if here.startswith(os.pardir) else here
