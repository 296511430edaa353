# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a host: a module imported from a zip of sources, as Ansible ships it, by a Python of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from scripts.payload import PLUGINS, shipped
from tests.oldest import oldest

OURS = "ansible_collections/oncall/postgresql/plugins/"
# What a host's Python does: import a module from the zip. It says what it compiled, and what each file is called then.
HOST = """
import importlib, json, sys
archive, module = sys.argv[1:]
compiled = []
sys.addaudithook(lambda event, args: compiled.append(str(args[1])) if event == "compile" else None)
sys.path.insert(0, archive)
import ansible.module_utils.basic
importlib.import_module(module)
files = [each.__file__ for name, each in sys.modules.items() if name.startswith("ansible_collections.oncall.")]
print(json.dumps([[name for name in compiled if name.startswith(archive)], files]))
"""
# The way to the file that makes the difference.
BEFORE = ("module_utils/_core/__init__.py", "module_utils/_core/once.py", "module_utils/_entry/__init__.py")
ENTRIES = {"module_utils/_entry/module.py", "module_utils/_entry/changing.py"}


@pytest.mark.parametrize("module", ["triage", "login_info", "pool_reset", "credentials"])
def test_a_shipped_file_is_compiled_once(module: str, tmp_path: Path) -> None:
    archive, own = str(tmp_path / "payload.zip"), {str(path.relative_to(PLUGINS)) for path in shipped(module)}
    packages = [OURS[: end + 1] + "__init__.py" for end, letter in enumerate(OURS) if letter == "/"]
    with zipfile.ZipFile(archive, "w") as payload:
        for name in [*packages, OURS + "modules/__init__.py", OURS + "module_utils/__init__.py"]:  # Ansible makes them
            payload.writestr(name, "")
        for name in own:
            payload.write(PLUGINS / name, OURS + name)
    argv = [sys.executable, "-c", HOST, archive, OURS.replace("/", ".") + "modules." + module]
    compiled, files = json.loads(subprocess.run(argv, capture_output=True, check=True, text=True).stdout)
    start = len(archive + "/" + OURS)
    times = Counter(name[start:] for name in compiled if name[start:] in own)
    assert {name[start:] for name in files} & own == set(times)
    assert {name for name, count in times.items() if count > 1} - ENTRIES == {*BEFORE, "modules/%s.py" % module}
    assert len(times) > 3 * len(BEFORE) and max(times.values()) == 2


# One thread imports a module and takes its time; another one takes a name out of it meanwhile.
SLOW = "import sys, time\nsys.begun.set()\ntime.sleep(0.3)\nNAME = 'whole'\n"
BOTH = """
import sys, threading
sys.path.insert(0, sys.argv[1])
import once
sys.begun = threading.Event()
threading.Thread(target=__import__, args=("slow",)).start()
sys.begun.wait()
from slow import NAME
print(NAME)
"""


@pytest.mark.parametrize("python", [oldest()[0], sys.executable], ids=["oldest", "this"])
def test_no_thread_gets_half_a_module(python: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "payload.zip", "w") as payload:
        payload.write(PLUGINS / "module_utils/_core/once.py", "once.py")
        payload.writestr("slow.py", SLOW)
    argv = [python, "-c", BOTH, str(tmp_path / "payload.zip")]
    done = subprocess.run(argv, capture_output=True, check=False, text=True)
    assert (done.stdout, done.stderr) == ("whole\n", "")
