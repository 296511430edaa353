# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules' RETURN blocks and ``docs/facts.md``, made from ``scripts/results`` and ``_model/facts.py``.

The samples are those of a real run (``scripts/samples.py``), long lists cut to their first entries.

python -m scripts.returns     # write them anew; a unit test compares
"""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any, get_args, get_origin, is_typeddict

import yaml

from ansible_collections.oncall.postgresql.plugins.module_utils._entry.options import THRESHOLDS
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Facts
from scripts.results import RESULTS
from scripts.shapes import Field, about, fields

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
SAMPLES = CHECKOUT / "scripts" / "samples.json"
GUIDE = CHECKOUT / "docs" / "facts.md"
FILES = {name: CHECKOUT / "plugins" / "modules" / (name + ".py") for name in RESULTS}

_DOCUMENTATION = re.compile(r'(?<=^DOCUMENTATION = r"""\n).*?(?=^"""$)', re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(r'(?<=^RETURN = r"""\n).*?(?=^"""$)', re.DOTALL | re.MULTILINE)
_SHARED_OPTIONS = {*THRESHOLDS.options, "runtime"}
_GUIDED = Facts  # the guide describes it; in a RETURN block it would be pages
_MOST_OBJECTS, _MOST_VALUES = 1, 3  # in a sample
_TYPES = {str: "str", int: "int", float: "float", bool: "bool"}
_WORDS = {str: "text", int: "integer", float: "number", bool: "true or false"}


def block(module: str) -> str:
    """The text of the module's RETURN."""
    sample, options, result = json.loads(SAMPLES.read_text())[module], _options(module), RESULTS[module]
    document = {}
    for returned, shape in [(result.returned, result.shape), *result.sometimes.items()]:
        for field in fields(shape):
            typed = _typed(field, options, field.name not in result.elsewhere)
            entry = {"description": _marked(field.text, options), "returned": returned, **typed}
            if field.name in sample and field.shape is not _GUIDED:
                entry["sample"] = shortened(sample[field.name])
            document[field.name] = entry
    return "# Written by scripts/returns.py.\n" + _yaml(document)


def _options(module: str) -> set[str]:
    """The options that its descriptions may name."""
    found = _DOCUMENTATION.search(FILES[module].read_text())
    own = yaml.safe_load(found[0]).get("options") if found else None
    return {*_SHARED_OPTIONS, *(own or {})}


def _typed(field: Field, options: set[str], deep: bool = True) -> dict[str, Any]:
    entry: dict[str, Any]
    if get_origin(field.kind) is list:
        (inner,) = get_args(field.kind)
        entry = {"type": "list", "elements": _TYPES.get(inner, "dict")}
    else:
        entry = {"type": _TYPES.get(field.kind, "dict")}
    if field.shape and deep:
        entry["contains"] = {
            each.name: {
                "description": _marked(each.text, options),
                **_typed(each, options, field.shape is not _GUIDED),
            }
            for each in fields(field.shape)
        }
    return entry


def shortened(value: Any) -> Any:
    """What a reader needs of a sample: lists cut to their first entries, at every depth; of a log a line."""
    if isinstance(value, list):
        most = _MOST_OBJECTS if value and isinstance(value[0], dict) else _MOST_VALUES
        return [shortened(each) for each in value[:most]]
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    return value.partition("\n")[0] if isinstance(value, str) and value.count("\n") > 2 else value


def _marked(text: str, options: set[str]) -> str:
    """Backticks as Ansible's semantic markup: an option, a module, a value, or something else that is code."""

    def mark(found: re.Match[str]) -> str:
        word = found[1]
        if word.partition("=")[0] in options:
            return "O(%s)" % word
        if word.endswith("_info"):
            return "M(oncall.postgresql.%s)" % word
        kind = "C" if re.match(r"pg_|PG_|postm|postg|ps$|%|.*[.]", word) else "V"
        return "%s(%s)" % (kind, word.replace("\\", "\\\\").replace(")", "\\)"))

    return re.sub(r"`([^`]+)`", mark, text)


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(document: Any) -> str:
    text = str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))
    if '"""' in text:
        raise ValueError("three quotes would end the RETURN block: %s" % text)
    return text


def guide() -> str:
    """``docs/facts.md``."""
    parts = [
        "# Guide to the facts",
        "<!-- Written by scripts/returns.py from plugins/module_utils/_model/facts.py. -->",
        "Triage returns all that it read as `facts`, and writes it to `<report_dir>/<host>.json`. Each `*_info` module"
        " returns the part that belongs to its question.",
        "- A key is always there. Null means unknown, unless the field says otherwise; `errors` says which step brought"
        " nothing, and why.\n"
        "- Times are UTC in ISO 8601. Durations and sizes carry their unit in the name.\n"
        "- No fact holds a secret. Passwords and stored verifiers are compared where they are read; only the result is"
        " kept. Queries are shown without their values; secrets in settings and log lines are masked.",
    ]
    for shape in _shapes(Facts):
        rows = ["| field | type | meaning |", "|---|---|---|"]
        rows += ["| `%s` | %s | %s |" % (each.name, _words(each), each.text) for each in fields(shape)]
        parts += ["## %s" % shape.__name__, about(shape), "\n".join(rows)]
    facts = shortened(json.loads(SAMPLES.read_text())["triage"]["facts"])
    parts += [
        "## Sample",
        "The facts of a server with no connection slot left, `runtime: pg_ctl`, lists cut to their first entries.",
        "```json\n%s\n```" % json.dumps(facts, indent=2),
    ]
    return "\n\n".join(parts) + "\n"


def _shapes(shape: type) -> list[type]:
    """A shape and all that it is made of, in the order in which they are first met."""
    found: dict[type, None] = {shape: None}
    for each in fields(shape):
        if each.shape:
            found.update(dict.fromkeys(_shapes(each.shape)))
    return list(found)


def _words(field: Field) -> str:
    return _kind(field.kind) + (" or null" if field.optional else "")


def _kind(kind: Any) -> str:
    if is_typeddict(kind):
        return "[%s](#%s)" % (kind.__name__, kind.__name__.lower())
    if get_origin(kind) is list:
        return "list of %s" % _kind(get_args(kind)[0])
    if get_origin(kind) is dict:
        return "object of %s" % _kind(get_args(kind)[1])
    if kind in _WORDS:
        return _WORDS[kind]
    return _words_of_optional(kind)


def _words_of_optional(kind: Any) -> str:
    (inner,) = [each for each in get_args(kind) if each is not type(None)]
    return "%s or null" % _kind(inner)


def renewed(module: str) -> str:
    """The module's text with its RETURN block made anew."""
    return _BLOCK.sub(lambda _unused: block(module), FILES[module].read_text())


if __name__ == "__main__":
    for name, path in FILES.items():
        path.write_text(renewed(name))
    GUIDE.write_text(guide())
