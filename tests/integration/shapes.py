# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a value have the shape that its TypedDict promises? No key missing, none too many, every value of its type."""

from __future__ import annotations

from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict


def problems(value: Any, kind: Any, path: str = "") -> list[str]:
    """What does not fit, one line each; empty when all does."""
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        if not isinstance(value, dict):
            return ["%s: %r is no object" % (path, value)]
        found = ["%s.%s: missing" % (path, name) for name in sorted(hints.keys() - value.keys())]
        found += ["%s.%s: too many" % (path, name) for name in sorted(value.keys() - hints.keys())]
        for name in hints.keys() & value.keys():
            found += problems(value[name], hints[name], "%s.%s" % (path, name))
        return found
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return []
    if origin is Union:
        if value is None and type(None) in arguments:
            return []
        (kind,) = [argument for argument in arguments if argument is not type(None)]
        return problems(value, kind, path)
    if origin is list:
        if not isinstance(value, list):
            return ["%s: %r is no list" % (path, value)]
        return [
            line
            for number, each in enumerate(value)
            for line in problems(each, arguments[0], "%s[%d]" % (path, number))
        ]
    if origin is dict:
        if not isinstance(value, dict):
            return ["%s: %r is no object" % (path, value)]
        return [line for name, each in value.items() for line in problems(each, arguments[1], "%s[%s]" % (path, name))]
    if kind is float:
        kind = (int, float)
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return [] if fits else ["%s: %r is no %s" % (path, value, kind)]
