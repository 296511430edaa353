# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes, by the clock on the wall, beside what others take: medians, in turns, on one machine.

python -m tests.benchmark [--runs 5] [--only PART ...] [--fault NAME ...] [--write]
"""

from __future__ import annotations

import argparse
import os
import sys

from . import diagnosis, fleet, integrity, mending, rollout
from .series import CHECKOUT

PARTS = {
    "healthy": ("Time to verdict: a healthy Compose target", diagnosis.healthy),
    "faults": ("Time to verdict: faults", diagnosis.faults),
    "fleet": ("Time to verdict: 100 and 1,000 servers", fleet.fleet),
    "rollout": ("Rolling out settings to 8 servers", rollout.rollout),
    "pool": ("Ending 1,000 idle sessions", mending.pool),
    "slot": ("From the verdict to the first free slot, when none is left", mending.slot),
    "integrity": ("Checking integrity beside the server's work", integrity.integrity),
    "downtime": ("Downtime of a restart", mending.downtime),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", action="append", choices=list(PARTS), help="only this part (again for more)")
    parser.add_argument("--fault", action="append", choices=list(diagnosis.FAULTS), help="of the faults only this one")
    parser.add_argument("--write", action="store_true", help="write docs/benchmark.md")
    chosen = parser.parse_args()
    if chosen.write and (chosen.only or chosen.fault):
        parser.error("--write is for all of it: leave out --only and --fault")
    text = ""
    for name in chosen.only or PARTS:
        title, measure = PARTS[name]
        print("%s ..." % title, file=sys.stderr, flush=True)
        section = "## %s\n\n%s\n\n" % (title, measure(chosen.runs, chosen.fault or ()))
        print(section, end="", flush=True)
        text += section
    if chosen.write:
        head = "# How long it takes\n\nMedians of %d runs, by `make benchmark`, on %d processors.\n\n" % (
            chosen.runs,
            os.cpu_count() or 0,
        )
        (CHECKOUT / "docs" / "benchmark.md").write_text(head + text.rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
