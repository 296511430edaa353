# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options checked on the controller, before anything is touched: each mistake in one line that says what to do."""

from __future__ import annotations

import functools
import json
import math
import re
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Set

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ...module_utils._core.numbers import decimal, whole
from ...module_utils._core.spec import Spec
from ...module_utils._core.text import did_you_mean, nearest

NO_DICTIONARY = "oncall_target must be a dictionary, such as {project: shop}, not %r."


class Problem(NamedTuple):
    """``name``: the option or variable; ``missing``: it was not given, and is needed."""

    name: str
    text: str
    missing: bool = False


class Checked(NamedTuple):
    options: Dict[str, Any]  # typed, with defaults
    secrets: Set[str]
    problems: List[Problem]


def check(spec: Spec, given: Mapping[str, Any]) -> Checked:
    """``given`` by ``spec``. ``problems`` is empty when all is well."""
    problems = list(_unfit(spec.options, given, ""))
    if problems:  # what Ansible would say of these is said already, and shorter
        return Checked({}, set(), problems)
    validated = validator(spec).validate(_native(given))
    problems = [each for message in validated.error_messages for each in _worded(message, given)]
    return Checked(validated.validated_parameters, set(validated._no_log_values), problems)


def _native(given: Mapping[str, Any]) -> Dict[str, Any]:
    """``given`` in plain values, where it is made of what JSON knows: Ansible's wrapped ones are slow to copy."""
    try:
        native: Dict[str, Any] = json.loads(json.dumps(given))
    except (TypeError, ValueError):
        return dict(given)
    return native


@functools.lru_cache(maxsize=64)
def validator(spec: Spec) -> ArgumentSpecValidator:
    """Made once, in the parent: see ``preload``."""
    return ArgumentSpecValidator(**spec.arguments())


_LEAST = {"pool_recycle_seconds": -1}  # which is never; of all others it is 0


def _unfit(options: Mapping[str, Any], given: Mapping[str, Any], where: str) -> Iterable[Problem]:
    """What an argument spec says in too many words, or not at all: unknown names, numbers that are none."""
    for name, value in given.items():
        rule = options.get(name)
        if rule is None:
            hint = did_you_mean(nearest(str(name), options), "Known: %s." % ", ".join(sorted(options)))
            yield Problem(name, "there is no option %s%s. %s" % (where, name, hint))
        elif rule.get("type") in ("float", "int") and value is not None:
            yield from _not_a_number(where + name, value, _LEAST.get(name, 0))
        elif rule.get("elements") == "int" and isinstance(value, (list, str)):
            if not all(_is_whole(each) for each in (value.split(",") if isinstance(value, str) else value)):
                yield Problem(name, "%s%s is %r. Give a whole number." % (where, name, value))
        elif "options" in rule:
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, Mapping):
                    yield from _unfit(rule["options"], each, "%s%s." % (where, name))
                elif each is not None:
                    first = next((key for key, inner in rule["options"].items() if inner.get("required")), "")
                    example = "{%s: %s}" % (first, each) if first and isinstance(each, str) else "a dictionary"
                    wanted = "[%s]" % example if rule.get("type") == "list" else example
                    yield Problem(name, "%s%s is %r. Give %s." % (where, name, value, wanted))


def _is_whole(value: Any) -> bool:
    """Of a list, where Ansible takes true for 1."""
    return not isinstance(value, bool) and whole(str(value).strip()) is not None


def _not_a_number(name: str, value: Any, least: int) -> Iterable[Problem]:
    try:
        # float takes digits of all alphabets, 1_0 for 10 and 1e-400 for 0, which would be "at once" of a time
        if isinstance(value, bool) or (isinstance(value, str) and decimal(value.strip().lstrip("-")) is None):
            raise ValueError
        if not math.isfinite(float(value)):
            raise ValueError
    except (TypeError, ValueError):
        yield Problem(name, "%s is %r. Give a number." % (name, value))
        return
    if float(value) < least:
        yield Problem(name, "%s is %s. It must be at least %d." % (name, value, least))


def _worded(message: str, given: Mapping[str, Any]) -> List[Problem]:
    """Ansible's message in our words: what was given, and what to give."""
    found = re.match(
        r"(?:argument|Elements value for option) '(\w+)' is of type .* unable to convert to (\w+)", message
    )
    if found:
        kinds = {"float": "a number", "int": "a whole number", "bool": "true or false", "list": "a list"}
        name, kind = found.groups()
        return [Problem(name, "%s is %r. Give %s." % (name, given.get(name), kinds.get(kind, "a dictionary")))]
    found = re.match(r"value of (\w+) must be one (?:or more )?of: (.*?)(?:, got:|\. Got no match)", message)
    if found:
        name, choices = found.groups()
        return [Problem(name, "%s is %r. Give one of: %s." % (name, given.get(name), choices))]
    found = re.match(r"missing required arguments: (.*?)(?: found in (.*))?$", message)
    if found:
        place = found.group(2) + "." if found.group(2) else ""
        return [Problem(name, "%s%s is required" % (place, name), True) for name in found.group(1).split(", ")]
    found = re.match(r"(\w+) is (\S+) but all of the following are missing: (.*)$", message)
    if found:
        return [Problem(found.group(1), "%s=%s needs %s" % found.groups())]
    if message.startswith("dictionary requested"):  # said again, with the option's name
        return []
    return [Problem("", message)]
