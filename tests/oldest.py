# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oldest Python on this machine that a target may have."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible.module_utils import basic


def oldest() -> tuple[str, tuple[int, int]]:
    """The path of that Python, and its version. A version manager's shims do not run outside of it: so it is asked."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    minor = basic._PY_MIN[1]
    while True:
        name = "python3.%d" % minor
        for program in (name, "/usr/bin/" + name, *map(str, sorted(versions.glob("3.%d.*/bin/python" % minor)))):
            told = [program, "-c", "import sys; print(sys.executable, *sys.version_info[:2])"]
            try:
                done = subprocess.run(told, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                continue
            if done.returncode == 0:
                path, major, found = done.stdout.split()
                return path, (int(major), int(found))
        minor += 1
