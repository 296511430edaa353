# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safety rules 6 and 9: no text that is sent anywhere kills by force, resets the WAL, deletes data, trusts, or drops or
prunes what is not the project's. Every exception stands here, with its reason; one that is not needed any more fails.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import Iterator, List, NamedTuple, Set, Tuple

import pytest

CHECKOUT = Path(__file__).parents[2]
PLUGINS = CHECKOUT / "plugins"
# In any constant text that is no documentation: SQL, shell, argv, the engine's paths, messages.
NEVER = {
    "resets the WAL": r"pg_resetwal|pg_resetxlog",
    "kills by force": r"(?m)^(SIG)?KILL$|^-9$|^-(SIG)?KILL$|\bkill\s+(-s\s+|-)(9|SIGKILL|KILL)|SIGKILL|immediate$",
    "deletes files": r"\brm\s+-|^rm$|\brmdir\b|\bunlink\s|\s-delete\b|\btruncate\s+-|\bshred\b|\bmkfs\b|\bdd\s+\w+=",
    "lets anybody in": r"\btrust\b",
    "prunes": r"\bprune\b|\bdown\s+-v\b|^down$|--volumes$|--remove-orphans|-anon-volumes|\bvolume\s+rm\b|/volumes/",
    "drops in SQL": r"(?m)(^|;)\s*(DROP|TRUNCATE|DELETE)\s|\bDELETE\s+FROM\b|VACUUM\s+\(?FULL",
    "deletes by the engine": r"^DELETE$",
}
# What Python calls for it, on whatever.
CALLS = ("rmtree", "unlink", "remove", "rmdir", "removedirs", "truncate", "ftruncate", "SIGKILL")
# (file, what, a part of that line) -> why. To see them all, empty it.
ALLOWED = {
    ("_procedures/server/probe.py", "deletes files", 'rm -rf "$work" ;; esac; work=; fi'): "its own mktemp directory",
    ("_procedures/server/probe.py", "deletes files", 'rm -f "$work/code" "$work/pid"'): "its own files in there",
    (
        "_procedures/server/probe.py",
        "lets anybody in",
        '"$work/data" -U postgres -A trust',
    ): "a throw-away cluster",
    ("_procedures/server/probe.py", "kills by force", "SIGKILL"): "what the kernel's OOM killer sent, in its words",
    (
        "_gather/runtime/compose/toolbox.py",
        "deletes by the engine",
        "DELETE",
    ): "its own container, no volume",
    (
        "_procedures/network/attach.py",
        "deletes by the engine",
        "DELETE",
    ): "the project's network, if asked to",
    ("plugin_utils/_notify/requests.py", "deletes by the engine", "DELETE"): "Alertmanager's silence, its own",
    (
        "_procedures/restore_proof/container.py",
        "deletes by the engine",
        "DELETE",
    ): "its own container that has ended, and the volumes without a name that only that one has",
    (
        "_procedures/restore_proof/container.py",
        "kills by force",
        "KILL",
    ): "the capability to signal another user's process, for the SIGINT of its first one",
    ("_gather/runtime/compose/sharing.py", "prunes", "/volumes/%s"): "GET: where a volume is",
    ("_gather/client/health.py", "prunes", "down"): "a word of a health page",
    ("_gather/wire/protocol.py", "lets anybody in", "trust"): "the name of what the server asked for",
    ("_judge/checks/login.py", "lets anybody in", "trust"): "a method that pg_hba.conf has",
    ("_core/atomic.py", "calls unlink", ""): "its own temporary file; a file that it has made itself",
    ("_gather/runtime/compose/ssh.py", "calls rmtree", ""): "its own temporary directory",
    ("_gather/runtime/compose/ssh.py", "calls SIGKILL", ""): "the ssh program, at last",
    ("_procedures/clients/note.py", "calls unlink", ""): "its own note, in ~/.oncall",
    (
        "_procedures/recreation/compose_cli.py",
        "calls SIGKILL",
        "",
    ): "docker compose itself, at last",
    (
        "_procedures/monitoring_role/sql.py",
        "drops in SQL",
        "DROP ROLE %(role)s",
    ): "its own role, by its comment",
    (
        "_procedures/reindex/sql.py",
        "drops in SQL",
        "DROP INDEX CONCURRENTLY %(schema)s.%(index)s",
    ): "an invalid index that a rebuild has left",
    ("plugin_utils/_report/files.py", "calls unlink", ""): "its own temporary file",
    ("plugin_utils/_run/baselines.py", "calls unlink", ""): "its own older baselines, on the controller",
}
# Said to a person, by whole phrases.
SAID = re.compile(
    r"never kill -9|Never send SIGKILL|was killed \(SIGKILL\)|killed by signal 9 \(SIGKILL\)|was killed by SIGKILL"
    r"|does not trust the server's certificate|no VACUUM FULL, no restart"
)


class Seen(NamedTuple):
    file: str
    what: str
    line: str


def texts(tree: ast.Module) -> Iterator[str]:
    """Every constant text of a file but its documentation."""
    spoken: Set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            spoken.add(id(body[0].value))
        if isinstance(node, ast.Assign) and {getattr(each, "id", "") for each in node.targets} & DOCUMENTATION:
            spoken |= {id(each) for each in ast.walk(node.value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            yield node.value


DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}


def in_text(name: str, text: str) -> Iterator[Seen]:
    text = SAID.sub("", text)
    for what, pattern in NEVER.items():
        for match in re.finditer(pattern, text):
            start = text.rfind("\n", 0, match.end() - 1) + 1
            yield Seen(name, what, text[start:].split("\n", 1)[0].strip())


def in_python(name: str, source: str) -> Iterator[Seen]:
    tree = ast.parse(source)
    for text in texts(tree):
        yield from in_text(name, text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CALLS:
            yield Seen(name, "calls %s" % node.attr, "")
        elif isinstance(node, ast.ImportFrom):
            yield from (Seen(name, "calls %s" % each.name, "") for each in node.names if each.name in CALLS)
        elif isinstance(node, ast.Call) and _by_force(node):
            yield Seen(name, "calls SIGKILL", "")


def _by_force(call: ast.Call) -> bool:
    """A signal by its number; or a process's own ``kill()``, which is SIGKILL."""
    called = getattr(call.func, "attr", "")
    by_number = any(isinstance(each, ast.Constant) and each.value == 9 for each in call.args)
    return (called in ("kill", "killpg", "send_signal") and by_number) or (called == "kill" and not call.args)


@functools.cache
def everything() -> List[Seen]:
    found: List[Seen] = []
    for path in sorted(PLUGINS.rglob("*.py")):
        parts = path.relative_to(PLUGINS).parts
        name = "/".join(parts[1:] if parts[0] == "module_utils" else parts)
        found += in_python(name, path.read_text(encoding="utf-8"))
    for place in ("playbooks", "extensions"):
        for path in sorted((CHECKOUT / place).rglob("*.yml")):
            lines = (
                line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")
            )
            found += [one for line in lines for one in in_text(str(path.relative_to(CHECKOUT)), line)]
    return found


def allows(key: Tuple[str, str, str], one: Seen) -> bool:
    return one[:2] == key[:2] and key[2] in one.line


def test_nothing_is_killed_reset_deleted_dropped_or_pruned() -> None:
    assert [one for one in everything() if not any(allows(key, one) for key in ALLOWED)] == []


def test_no_exception_is_left_over() -> None:
    found = everything()
    assert [key for key in ALLOWED if not any(allows(key, one) for one in found)] == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("RUN = ['pg_resetwal', '-f', d]", "resets the WAL"),
        ("import os\nos.kill(pid, 9)", "calls SIGKILL"),
        ("process.kill()", "calls SIGKILL"),
        ("import signal\nos.kill(pid, signal.SIGKILL)", "calls SIGKILL"),
        ("from shutil import rmtree", "calls rmtree"),
        ("X_SH = '''\nkill -9 \"$pid\"\n'''", "kills by force"),
        ("X_SH = '''\nkill -s KILL 1\n'''", "kills by force"),
        ("engine.request('POST', '/kill', signal='SIGKILL')", "kills by force"),
        ("run(['pg_ctl', 'stop', '-m', 'immediate'])", "kills by force"),
        ("X_SH = '''\nrm -f \"$PGDATA/postmaster.pid\"\n'''", "deletes files"),
        ("X_SH = '''\nfind pg_wal -name 0* -delete\n'''", "deletes files"),
        ("LINE = 'host all all all trust'", "lets anybody in"),
        ("run(['docker', 'compose', 'down'])", "prunes"),
        ("engine.request('POST', '/networks/prune')", "prunes"),
        ("engine.request('DELETE', '/containers/x')", "deletes by the engine"),
        ("Q = Query('x', {OLDEST: '''\n  DROP TABLE orders'''})", "drops in SQL"),
        ("Q = 'SELECT 1; DELETE FROM orders'", "drops in SQL"),
    ],
)
def test_each_would_be_seen(source: str, what: str) -> None:
    assert what in [one.what for one in in_python("x.py", source)]
