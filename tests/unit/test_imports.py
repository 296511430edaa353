# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports go one way between the rooms of module_utils; what judges or plans is pure; no imports run in a circle."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
UTILS = PLUGINS / "module_utils"
PURE_LIBRARY = {
    "__future__",
    "collections",
    "dataclasses",
    "datetime",
    "enum",
    "ipaddress",
    "json",
    "math",
    "re",
    "shlex",
    "typing",
    "urllib.parse",
}
# A room -> the rooms that it may import, beside itself.
MAY_IMPORT = {
    "_core": set(),
    "_model": {"_core"},
    "_judge": {"_model", "_core"},
    "_gather": {"_model", "_core"},
    "_procedures": {"_gather", "_judge", "_model", "_core"},
    "_entry": {"_procedures", "_gather", "_judge", "_model", "_core"},
}
# Beside the standard library: what computes, and touches nothing.
PURE_OWN = (
    "_model.",
    "_judge.",
    "_core.errors",
    "_core.numbers",
    "_core.spec",
    "_procedures.procedure",
    "_core.text",
    "_core.mask",
    "_gather.client.verifier",
    "_gather.shell",
)
# Pure files beside a plan.py that have a name of their own.
PURE_BESIDE = (
    "allowed",
    "altering",
    "by_title",
    "env_file",
    "env_passwords",
    "guard",
    "outcome",
    "probe",
    "shown",
    "values",
)
PURE = sorted(
    path
    for pattern in ("_judge/**/*", "_model/**/*", *("_procedures/**/" + name for name in ("plan", *PURE_BESIDE)))
    for path in UTILS.glob(pattern + ".py")
    if path.name != "__init__.py"
)


def imports(path: Path) -> Set[Tuple[str, bool]]:
    """What a file imports, wherever in it: (dotted name, whether it is our own, dotted from ``module_utils``)."""
    package = path.parent.relative_to(UTILS).parts if UTILS in path.parents else ("..",)
    found: Set[Tuple[str, bool]] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(alias.name, False) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "", False))
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            base = [part for part in base if part not in ("", "..", "module_utils")]
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                found.add((whole if _is_file(whole) else ".".join(base), True))
    return found


def _is_file(dotted: str) -> bool:
    return (UTILS / (dotted.replace(".", "/") + ".py")).is_file()


def own(path: Path) -> Set[str]:
    return {name for name, ours in imports(path) if ours}


def foreign(path: Path) -> Set[str]:
    return {name for name, ours in imports(path) if not ours}


def files() -> Iterator[Path]:
    return (path for path in sorted(UTILS.rglob("*.py")) if path.name != "__init__.py")


def cases(paths: List[Path]) -> List[object]:
    return [pytest.param(path, id=str(path.relative_to(PLUGINS))) for path in paths]


def test_every_room_is_known() -> None:
    assert {path.relative_to(UTILS).parts[0] for path in files()} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", cases(list(files())))
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(UTILS).parts[0]
    wrong = {name for name in own(path) if name.split(".")[0] not in MAY_IMPORT[room] | {room}}
    assert not wrong, "%s must not import %s" % (room, sorted(wrong))


def test_no_imports_run_in_a_circle() -> None:
    """Also not for types alone: Ansible ships what is imported, whatever for."""
    graph: Dict[str, Set[str]] = {
        ".".join(path.relative_to(UTILS).with_suffix("").parts): {name for name in own(path) if _is_file(name)}
        for path in files()
    }
    done: Set[str] = set()

    def visit(name: str, way: List[str]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for each in sorted(graph[name]):
                visit(each, [*way, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])


@pytest.mark.parametrize("path", cases(sorted(UTILS.rglob("__init__.py"))))
def test_packages_are_empty(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == ""


@pytest.mark.parametrize("path", cases(PURE))
def test_what_judges_or_plans_is_pure(path: Path) -> None:
    """It imports only what does no I/O. ``open``, and the clock inside ``datetime``, need no import."""
    library = {name for name in foreign(path) if name not in PURE_LIBRARY and name.split(".")[0] not in PURE_LIBRARY}
    assert not library, sorted(library)
    beside = ".".join(path.parent.relative_to(UTILS).parts) + "."
    pure = {".".join(each.relative_to(UTILS).with_suffix("").parts) for each in PURE}
    ours = {name for name in own(path) if name not in pure and not name.startswith(PURE_OWN)}
    assert not {name for name in ours if not (name.startswith(beside) and name[len(beside) :] in PURE_BESIDE)}, ours
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in ("open", "now", "utcnow", "today", "print", "input", "exec", "eval", "__import__")


@pytest.mark.parametrize("path", cases(sorted((PLUGINS / "plugin_utils" / "_tune").glob("*.py"))))
def test_tuning_is_pure(path: Path) -> None:
    assert {name for name in foreign(path) if name not in PURE_LIBRARY} == set()
    beside = {each.stem for each in path.parent.glob("*.py")} | {""}
    assert own(path) - beside <= {"_core.numbers", "_core.text", "_procedures.configuration.values"}


def test_only_the_entry_knows_ansible() -> None:
    knowing = [path.name for path in files() if any(name.split(".")[0] == "ansible" for name in foreign(path))]
    assert set(knowing) <= {"module.py"}


@pytest.mark.parametrize("path", cases(sorted((PLUGINS / "modules").glob("*.py"))))
def test_modules_only_call(path: Path) -> None:
    assert foreign(path) <= {"__future__"}
    assert {name.split(".")[0] for name in own(path)} <= {"_entry", "_procedures"}


def test_the_reader_of_imports_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the tests above can fail."""
    folder = tmp_path / "module_utils" / "_judge" / "checks"
    folder.mkdir(parents=True)
    (tmp_path / "module_utils" / "_gather").mkdir()
    (tmp_path / "module_utils" / "_gather" / "wire.py").touch()
    text = (
        "from __future__ import annotations\nimport os.path\nfrom ..._gather import wire\n"
        "from ..._model.facts import x\n"
        "from .readings import y\ndef f():\n    import time\n    from ansible.x import y\n"
    )
    (folder / "probe.py").write_text(text, encoding="utf-8")
    monkeypatch.setitem(globals(), "UTILS", tmp_path / "module_utils")
    assert own(folder / "probe.py") == {"_gather.wire", "_model.facts", "_judge.checks.readings"}
    assert foreign(folder / "probe.py") == {"__future__", "os.path", "time", "ansible.x"}
