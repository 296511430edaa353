# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's result is held to its documented shape, wherever a test has a real one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_type_hints

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OncallError
from scripts.results import RESULTS
from tests.integration.shapes import problems

# What any module may return, and Ansible adds.
_COMMON = {"changed", "failed", "diff", "msg", "warnings", "deprecations", "invocation", "exception"}


def unlike(module: str, value: Mapping[str, Any]) -> list[str]:
    """What does not fit, one line each. On success every documented key is there and no other.

    A failure returns what there was by then: no key that is not documented, and those that come together, together.
    """
    result = RESULTS[module]
    always = get_type_hints(result.shape)
    returned = {name: each for name, each in value.items() if name in always or name not in _COMMON}
    if not value.get("failed"):
        return problems(returned, result.shape, module)
    known = dict(always)
    if "msg" in always:
        known["msg"] = str
    found = []
    for shape in result.sometimes.values():
        hints = get_type_hints(shape)
        known.update(hints)
        there = hints.keys() & returned.keys()
        if there and there != hints.keys() and not there <= always.keys():
            found.append("%s: only %s of %s" % (module, sorted(there), sorted(hints)))
    found += ["%s.%s: too many" % (module, name) for name in sorted(returned.keys() - known.keys())]
    for name in returned.keys() & known.keys():
        found += problems(returned[name], known[name], "%s.%s" % (module, name))
    return found


@contextlib.contextmanager
def held(module: str) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """For what runs the module: what it raises, and what is given to the function it gets, is held to the shape."""

    def fitting(value: dict[str, Any]) -> dict[str, Any]:
        assert unlike(module, value) == []
        return value

    try:
        yield fitting
    except OncallError as error:
        fitting({**error.details, "failed": True})
        raise
