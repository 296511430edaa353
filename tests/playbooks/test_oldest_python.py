# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target whose Python is the oldest that this Ansible supports there: 3.8 for ansible-core 2.18 and 2.19.

Where the machine has no such Python, the next one that it has: the test's name says which.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded import Server
from tests.oldest import oldest
from tests.sshd import Sshd

from .test_real_servers import PASSWORD, Controller, beside

# Python runs it at its start. At its end it writes which Python it was, and which of our modules it ran.
_WITNESS = """
import atexit, json, sys
def witness():
    ours = "ansible_collections.oncall.postgresql.plugins.module_utils."
    ran = [name for name in sys.modules if name.startswith(ours)]
    if ran:
        with open(%r, "a") as file:
            file.write(json.dumps({"python": list(sys.version_info[:2]), "modules": ran}) + "\\n")
atexit.register(witness)
"""


PYTHON, VERSION = oldest()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        started.sql("CREATE ROLE shop LOGIN PASSWORD '%s'; CREATE DATABASE shop OWNER shop" % PASSWORD)
        yield started


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file of what ran."""
    return tmp_path / "ran"


@pytest.fixture
def controller(tmp_path: Path, ran: Path, sshd: Sshd, server: Server) -> Controller:
    (tmp_path / "sitecustomize.py").write_text(_WITNESS % str(ran))
    interpreter = tmp_path / "python"
    interpreter.write_text('#!/bin/sh\nPYTHONPATH=%s exec %s "$@"\n' % (tmp_path, PYTHON))
    interpreter.chmod(0o755)
    host = sshd.over_ssh({"ansible_python_interpreter": str(interpreter)})
    return Controller(tmp_path, {"db": beside(server)}, host)


def of(ran: Path, room: str) -> list[tuple[int, int]]:
    """The Pythons that ran something of ``room``."""
    lines = [json.loads(line) for line in ran.read_text().splitlines()]
    return [
        tuple(line["python"]) for line in lines if any("module_utils.%s." % room in name for name in line["modules"])
    ]


@pytest.mark.parametrize("version", [VERSION], ids=["%d.%d" % VERSION])
def test_triage(controller: Controller, ran: Path, version: tuple[int, int]) -> None:
    code, out = controller.triage()
    assert code == 0, out
    assert controller.result("db")["verdict"]["code"] == "healthy", out
    assert of(ran, "_gather") == of(ran, "_judge") == [version]


@pytest.mark.parametrize("version", [VERSION], ids=["%d.%d" % VERSION])
def test_a_module_that_changes(controller: Controller, ran: Path, server: Server, version: tuple[int, int]) -> None:
    server.conf(work_mem="7MB")
    code, out = controller.run("ansible-playbook", "oncall.postgresql.reload")
    assert code == 0 and "changed=1" in out, out
    assert server.sql("SHOW work_mem") == "7MB"
    assert of(ran, "_procedures.configuration") == [version]
