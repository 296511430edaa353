# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports go one way: checks are pure, what looks never judges, modules only call."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
UTILS = PLUGINS / "module_utils"
PURE_LIBRARY = {"__future__", "collections", "dataclasses", "datetime", "ipaddress", "json", "re", "shlex", "typing"}
JUDGES = {"_checks", "_tree", "_verdicts", "_hba"}
PURE = [
    *sorted((UTILS / "_checks").glob("*.py")),
    *(UTILS / (name + ".py") for name in ("_tree", "_verdicts", "_hba", "_titles", "_guard", "_answers", "_facts")),
    *(UTILS / (name + ".py") for name in ("_server_plan", "_credentials_plan")),
]


def imports(path: Path) -> Set[str]:
    """What a file imports, wherever in it: dotted from ``module_utils`` for our own, else the top-level name."""
    package = path.parent.relative_to(PLUGINS).parts
    found: Set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) + (node.module or "").split(".")
            base = [part for part in base if part and part != "module_utils"]
            whole = node.module and base  # "from .._x import y"; otherwise each name is a file: "from .. import _x"
            found |= {".".join(base)} if whole else {".".join([*base, alias.name]) for alias in node.names}
    return found


def own(names: Set[str]) -> Set[str]:
    return {name for name in names if name.startswith("_") and name != "__future__"}


def files(*roots: str) -> Iterator[Path]:
    for root in roots:
        path = UTILS / root
        yield from sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def cases(paths: List[Path]) -> List[object]:
    return [pytest.param(path, id=str(path.relative_to(PLUGINS))) for path in paths]


@pytest.mark.parametrize("path", cases(PURE))
def test_judging_is_pure(path: Path) -> None:
    names = imports(path)
    foreign = names - own(names) - PURE_LIBRARY
    assert not foreign, "%s imports %s: a check does no I/O and reads no clock" % (path.name, sorted(foreign))


@pytest.mark.parametrize("path", cases(PURE))
def test_judging_never_calls_what_looks(path: Path) -> None:
    """``open``, and the clock inside ``datetime``, need no import of their own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in ("open", "now", "utcnow", "today", "print", "input", "exec", "eval", "__import__")


@pytest.mark.parametrize("path", cases(list(files("_checks"))))
def test_checks_know_facts_and_answers_only(path: Path) -> None:
    allowed = {"_answers", "_facts", "_hba", "_titles", "_checks"}
    assert {name.split(".")[0] for name in own(imports(path))} <= allowed


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("_tree", {"_answers", "_checks", "_facts", "_verdicts"}),
        ("_verdicts", {"_answers"}),
        ("_hba", {"_facts"}),
        ("_titles", {"_facts"}),
        ("_guard", {"_titles"}),
        ("_answers", set()),
        ("_facts", set()),
    ],
)
def test_what_stands_below(name: str, allowed: Set[str]) -> None:
    assert {one.split(".")[0] for one in own(imports(UTILS / (name + ".py")))} <= allowed


def test_what_looks_never_judges() -> None:
    looking = ["_runtime", "_session", "_sql", "_wire", "_dns", "_place", "_client", "_client_settings", "_verifier"]
    seen: List[Tuple[str, str]] = []
    for path in files(*(name for name in looking if (UTILS / name).is_dir() or (UTILS / (name + ".py")).is_file())):
        seen += [(path.name, name) for name in own(imports(path)) if name.split(".")[0] in JUDGES]
    assert not seen


def test_only_module_knows_ansible() -> None:
    knowing = [
        path.name
        for path in files("", "_runtime", "_session", "_sql", "_checks")
        if path.name != "_module.py" and "ansible" in imports(path)
    ]
    assert knowing == []


def test_modules_only_call() -> None:
    procedures = {"_clients", "_configuration", "_credentials", "_networks", "_prepared", "_server", "_sessions"}
    allowed = {"_module", "_options", "_questions"} | procedures
    wrong = []
    for path in sorted((PLUGINS / "modules").glob("*.py")):
        names = imports(path)
        strange = {name.split(".")[0] for name in own(names)} - allowed
        wrong += [(path.name, name) for name in sorted(strange | (names - own(names) - {"__future__"}))]
    assert wrong == []


def test_the_reader_of_imports_reads_them(tmp_path: Path) -> None:
    """So that the tests above can fail."""
    folder = tmp_path / "module_utils" / "_checks"
    folder.mkdir(parents=True)
    text = (
        "from __future__ import annotations\nimport os.path\nfrom .. import _wire\nfrom .._facts import x\n"
        "from ._readings import y\ndef f():\n    import time\n    from ansible.x import y\n"
    )
    (folder / "probe.py").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "PLUGINS", tmp_path)
        assert imports(folder / "probe.py") == {
            "__future__",
            "os",
            "_wire",
            "_facts",
            "_checks._readings",
            "time",
            "ansible",
        }
