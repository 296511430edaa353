# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook integrity_check on a real server, sound and damaged."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded import Server

from .test_real_servers import Controller, beside

SHOP = """CREATE EXTENSION amcheck; CREATE TABLE items (id int PRIMARY KEY);
INSERT INTO items SELECT generate_series(1, 3000)"""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(version=15) as made:
        for statement in SHOP.split(";"):
            made.sql(statement)
        yield made


@pytest.fixture
def controller(tmp_path: Path, server: Server) -> Controller:
    return Controller(tmp_path, {"shop": beside(server, clients=[])})


def test_go_and_no_go(controller: Controller, server: Server) -> None:
    book = ["ansible-playbook", "oncall.postgresql.integrity_check"]
    code, out = controller.run(*book, "-e", "oncall_fail_on=warning")
    assert code == 0 and "integrity / go" in out and "✓ Data (amcheck)" in out, out
    assert "Not checked (template1): amcheck: it is not installed" in out
    assert not list(controller.directory.glob("home/.oncall/**/*.json")), "looking keeps nothing"
    index = server.data / server.sql("SELECT pg_relation_filepath('items_pkey')")
    server.stop()
    os.truncate(index, 8192)
    server.start()
    reports = controller.directory / "reports"
    code, out = controller.run(*book, "-e", "oncall_report_dir=%s" % reports)
    assert code == 0 and "✗ Data (amcheck)" in out and "index postgres.public.items_pkey: " in out, out
    assert "Tell the emergency contacts now: data is damaged" in out
    seen = json.loads((reports / "shop.json").read_text())
    assert (seen["verdict"]["code"], seen["verdict"]["cause"]) == ("integrity", "no_go")
    assert seen["facts"]["integrity"]["databases"] and "items_pkey" in (reports / "index.html").read_text()
    code, out = controller.run(*book, "-e", "oncall_fail_on=critical")
    assert code == 2 and "No-go: " in out, out
    command = seen["verdict"]["remedy"]["command"]
    assert command in " ".join(out.split()), out
    code, out = controller.run(*shlex.split(command), "--check")
    assert code == 0 and "rebuilt: postgres.public.items_pkey" in " ".join(out.split()), out
    assert controller.run(*book, "-e", "oncall_fail_on=critical")[0] == 2
    code, out = controller.run(*shlex.split(command))
    assert code == 0 and "rebuilt: postgres.public.items_pkey" in " ".join(out.split()), out
    code, out = controller.run(*book, "-e", "oncall_fail_on=warning")
    assert code == 0 and "integrity / go" in out, out


def test_against_the_baseline(controller: Controller, server: Server) -> None:
    book = ["ansible-playbook", "oncall.postgresql.baseline", "-e", "oncall_baseline_dir=kept"]
    book += ["-e", '{"oncall_tables": ["public.items"]}']
    check = ["ansible-playbook", "oncall.postgresql.integrity_check", "-e", "oncall_baseline_dir=kept"]
    code, out = controller.run(*check)
    assert code == 0 and "there is no baseline of shop in kept: make one with oncall.postgresql.baseline" in " ".join(
        out.split()
    )
    code, out = controller.run(*book, "--check")
    assert code == 0 and "Would be written:" in out and not (controller.directory / "kept").exists(), out
    code, out = controller.run(*book)
    assert code == 0 and "baseline / first" in out and "1 counted" in out and "changed=1" in out, out
    code, out = controller.run(*check, "-e", "oncall_fail_on=warning")
    assert code == 0 and "integrity / go" in out and "as in the baseline of 20" in out, out
    server.sql("TRUNCATE items")
    code, out = controller.run(*check, "-e", "oncall_fail_on=warning")
    assert code == 2 and "table public.items is empty" in " ".join(out.split()), out
    code, out = controller.run(*book, "--diff")
    assert code == 0 and "baseline / changed" in out and out.count("~ postgres: table public.items: 0 rows") >= 1, out
    assert len(list((controller.directory / "kept" / "shop").iterdir())) == 2
    (controller.directory / "file").write_text("")
    code, out = controller.run(*book, "-e", "oncall_baseline_dir=file")
    assert code == 2 and "cannot be read: Not a directory. Give another directory" in " ".join(out.split()), out
    code, out = controller.run("ansible-playbook", "oncall.postgresql.baseline")
    assert code == 2 and "Give -e oncall_baseline_dir=" in " ".join(out.split()), out


def test_how_far_it_is(tmp_path: Path, server: Server) -> None:
    slow = server.directory / "bin" / "wal-g"  # its answer is waited for
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nsleep 8\necho '[]'\n")
    slow.chmod(0o755)
    place = {"PATH": "%s:%s" % (slow.parent, os.environ["PATH"])}
    slowly = Controller(tmp_path, {"shop": beside(server, clients=[])}, environment=place)
    code, out = slowly.run("ansible-playbook", "oncall.postgresql.integrity_check", "-e", "oncall_check_seconds=100")
    assert code == 0 and re.search(r"^integrity shop: reading catalogs, \d+ s of 100 s$", out, re.MULTILINE), out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("oncall_job=3", "integrity_check has no variable oncall_job. Did you mean oncall_jobs?"),
        ("oncall_jobs=many", "oncall_jobs"),
        ("oncall_plan=true", "integrity_check has no variable oncall_plan."),
    ],
)
def test_wrong_variables(controller: Controller, words: str, says: str) -> None:
    code, out = controller.run("ansible-playbook", "oncall.postgresql.integrity_check", "-e", words)
    assert code == 2 and "Nothing was done. " in out and says in out, out
