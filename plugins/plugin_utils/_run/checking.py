# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options checked on the controller, before anything is touched: each mistake in one line that says what to do."""

from __future__ import annotations

import difflib
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Set

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils._core.spec import Spec


class Checked(NamedTuple):
    options: Dict[str, Any]  # typed, with defaults
    secrets: Set[str]
    problems: List[str]


def check(spec: Spec, given: Mapping[str, Any]) -> Checked:
    """``given`` by ``spec``. ``problems`` is empty when all is well."""
    problems = list(_unknown(spec.options, given, ""))
    known = {name: value for name, value in given.items() if name in spec.options}
    validated = ArgumentSpecValidator(**spec.arguments()).validate(known)
    # What is unknown in a nested dict is said already, with the nearest name.
    problems += [line for line in validated.error_messages if "Unsupported parameters" not in line or not problems]
    return Checked(validated.validated_parameters, set(validated._no_log_values), problems)


def nearest(name: str, names: Iterable[str]) -> str:
    """`` Did you mean X?``, or the empty string."""
    close = difflib.get_close_matches(name, list(names), 1, 0.6)
    return " Did you mean %s?" % close[0] if close else ""


def _unknown(options: Mapping[str, Any], given: Any, where: str) -> Iterable[str]:
    if not isinstance(given, Mapping):
        return
    for name, value in given.items():
        if name not in options:
            hint = nearest(str(name), options) or " Known are: %s." % ", ".join(sorted(options))
            yield "there is no option %s%s.%s" % (where, name, hint)
            continue
        inner = options[name].get("options")
        for each in value if isinstance(value, list) else [value]:
            if inner is not None:
                yield from _unknown(inner, each, "%s%s." % (where, name))
