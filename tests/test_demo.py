# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make demo`` works, and what README.md shows at its top is what it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def lines(text: str) -> list[str]:
    """Without what differs from run to run: numbers, and the names of temporary directories."""
    text = re.sub(r"\d+(\.\d+)?", "N", re.sub(r"oncall-pg-\w+", "oncall-pg-NAME", text))
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_the_demo_prints_what_the_readme_shows() -> None:
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "demo" / "demo.py")],
        env={**os.environ, "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    readme = (CHECKOUT / "README.md").read_text()
    shown = readme.partition("```console\n")[2].partition("```")[0]
    rest = iter(lines(done.stdout))
    for wanted in lines(shown):
        assert wanted.strip() == "..." or wanted in rest, (
            "README.md shows a line that is not printed (there): %r in\n%s"
            % (
                wanted,
                done.stdout,
            )
        )
