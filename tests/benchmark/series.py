# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the benchmark have in common: times, aims, tables, and playbooks by the clock on the wall."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
OURS, THEIRS = Path(sys.executable).parent, CHECKOUT / ".venv-benchmark" / "bin"


@dataclass
class Series:
    """The times of one kind of run (or what its ``unit`` says), and a word on them."""

    name: str
    seconds: list[float] = field(default_factory=list)
    note: str = ""
    unit: str = "s"

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Aim:
    text: str
    reached: bool
    value: str


@dataclass
class Part:
    rows: list[Series]
    aims: list[Aim]

    def __str__(self) -> str:
        lines = ["| run | median | least | most | |", "|---|---:|---:|---:|---|"]
        for row in self.rows:
            times = " | ".join(
                "%.2f %s" % (value, row.unit) for value in (row.median, min(row.seconds), max(row.seconds))
            )
            lines.append("| %s | %s | %s |" % (row.name, times, row.note))
        lines += [""] if self.aims else []
        lines += ["- %s: %s, %s" % (aim.text, "reached" if aim.reached else "MISSED", aim.value) for aim in self.aims]
        return "\n".join(lines)


def run(argv: Sequence[str]) -> float:
    """Seconds. The benchmark ends where the command fails."""
    begun = time.monotonic()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    elapsed = time.monotonic() - begun
    if done.returncode:
        sys.exit("%s failed:\n%s%s" % (" ".join(argv), done.stdout, done.stderr))
    return elapsed


def play(bin_directory: Path, playbook: str, inventory: Path, **variables: Any) -> float:
    """Seconds that ``ansible-playbook`` takes. A name is one of the collection's, a path any file."""
    program = str(bin_directory / "ansible-playbook")
    return run([program, playbook, "-i", str(inventory), "-e", json.dumps(variables)])
