# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options checked on the controller, before anything is touched: each mistake in one line that says what to do."""

from __future__ import annotations

import difflib
import math
import re
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Set

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils._core.spec import Spec


class Checked(NamedTuple):
    options: Dict[str, Any]  # typed, with defaults
    secrets: Set[str]
    problems: List[str]


def check(spec: Spec, given: Mapping[str, Any]) -> Checked:
    """``given`` by ``spec``. ``problems`` is empty when all is well."""
    problems = list(_unfit(spec.options, given, ""))
    if problems:  # what Ansible would say of these is said already, and shorter
        return Checked({}, set(), problems)
    validated = ArgumentSpecValidator(**spec.arguments()).validate(dict(given))
    problems = [line for message in validated.error_messages for line in _worded(message, given)]
    return Checked(validated.validated_parameters, set(validated._no_log_values), problems)


def nearest(name: str, names: Iterable[str], likeness: float = 0.7) -> str:
    """`` Did you mean X?``, or the empty string. ``likeness``: 0 to 1."""
    close = difflib.get_close_matches(name, sorted(names), 1, likeness)
    return " Did you mean %s?" % close[0] if close else ""


def _unfit(options: Mapping[str, Any], given: Mapping[str, Any], where: str) -> Iterable[str]:
    """What an argument spec says in too many words, or not at all: unknown names, numbers that are none."""
    for name, value in given.items():
        rule = options.get(name)
        if rule is None:
            hint = nearest(str(name), options) or " Known: %s." % ", ".join(sorted(options))
            yield "there is no option %s%s.%s" % (where, name, hint)
        elif rule.get("type") in ("float", "int") and value is not None:
            yield from _not_a_number(where + name, value)
        elif "options" in rule:
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, Mapping):
                    yield from _unfit(rule["options"], each, "%s%s." % (where, name))
                elif each is not None:
                    first = next((key for key, inner in rule["options"].items() if inner.get("required")), "")
                    example = "{%s: %s}" % (first, each) if first and isinstance(each, str) else "a dictionary"
                    wanted = "[%s]" % example if rule.get("type") == "list" else example
                    yield "%s%s is %r. Give %s." % (where, name, value, wanted)


def _not_a_number(name: str, value: Any) -> Iterable[str]:
    try:
        if isinstance(value, bool) or not math.isfinite(float(value)):
            raise ValueError
    except (TypeError, ValueError):
        yield "%s is %r. Give a number." % (name, value)
        return
    if float(value) < 0:
        yield "%s is %s. It must be at least 0." % (name, value)


def _worded(message: str, given: Mapping[str, Any]) -> List[str]:
    """Ansible's message in our words: what was given, and what to give."""
    found = re.match(
        r"(?:argument|Elements value for option) '(\w+)' is of type .* unable to convert to (\w+)", message
    )
    if found:
        kinds = {"float": "a number", "int": "a whole number", "bool": "true or false", "list": "a list"}
        name, kind = found.groups()
        return ["%s is %r. Give %s." % (name, given.get(name), kinds.get(kind, "a dictionary"))]
    found = re.match(r"value of (\w+) must be one (?:or more )?of: (.*?)(?:, got:|\. Got no match)", message)
    if found:
        return ["%s is %r. Give one of: %s." % (found.group(1), given.get(found.group(1)), found.group(2))]
    found = re.match(r"missing required arguments: (.*?)(?: found in (.*))?$", message)
    if found:
        place = found.group(2) + "." if found.group(2) else ""
        return ["%s%s is required" % (place, name) for name in found.group(1).split(", ")]
    found = re.match(r"(\w+) is (\S+) but all of the following are missing: (.*)$", message)
    if found:
        return ["%s=%s needs %s" % found.groups()]
    if message.startswith("dictionary requested"):  # said again, with the option's name
        return []
    return [message]
