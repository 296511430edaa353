# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The defaults of each role and the table in its README.md, made from its ``meta/argument_specs.yml``.

python -m scripts.roles     # write them anew; a unit test compares
"""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
ROLES = sorted(path.parents[1] for path in CHECKOUT.glob("roles/*/meta/argument_specs.yml"))
_TABLE = re.compile(r"(?<=<!-- scripts/roles\.py: options -->\n).*?(?=<!-- end -->)", re.DOTALL)
_MARKUP = re.compile(r"\b[OVC]\(([^)]*)\)")


def entries(role: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Its entry points, by the names of their files in tasks."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = specs["argument_specs"]
    return found


def options(role: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Those of all of its entry points: what is said of one is said once."""
    return {name: option for each in entries(role).values() for name, option in each["options"].items()}


def defaults(role: pathlib.Path) -> str:
    given = {name: option["default"] for name, option in options(role).items() if "default" in option}
    return "---\n# Written by scripts/roles.py from meta/argument_specs.yml.\n" + yaml.safe_dump(given, sort_keys=False)


def readme(role: pathlib.Path) -> str:
    """The file, with its table made anew."""
    rows = ["", "| option | type | default | |", "|---|---|---|---|"]
    for name, option in options(role).items():
        kind = " or ".join("`%s`" % choice for choice in option.get("choices", ())) or option["type"]
        default = (
            "`%s`" % json.dumps(option["default"]).strip('"')
            if "default" in option
            else "required"
            if option.get("required")
            else ""
        )
        rows.append("| `%s` | %s | %s | %s |" % (name, kind, default, _MARKUP.sub(r"`\1`", option["description"])))
    text = (role / "README.md").read_text(encoding="utf-8")
    return _TABLE.sub(lambda _found: "\n".join([*rows, "", ""]), text)


def main() -> None:
    for role in ROLES:
        (role / "defaults" / "main.yml").write_text(defaults(role), encoding="utf-8")
        (role / "README.md").write_text(readme(role), encoding="utf-8")


if __name__ == "__main__":
    main()
