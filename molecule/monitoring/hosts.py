# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``hosts.py start FILE`` starts the scenario's hosts and writes FILE, how Molecule reaches them.

``hosts.py remove FILE`` removes them; without FILE there is nothing to do.
"""

from __future__ import annotations

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.lab.host import Host


def start(file: pathlib.Path) -> None:
    hosts = [Host("with-systemd", systemd=True, key=file.parent), Host("with-cron", systemd=False, key=file.parent)]
    file.write_text(json.dumps([host.start().instance() for host in hosts]))


def remove(file: pathlib.Path) -> None:
    if file.exists():
        for each in json.loads(file.read_text()):
            Host.remove(each["container"])
        file.unlink()


if __name__ == "__main__":
    {"start": start, "remove": remove}[sys.argv[1]](pathlib.Path(sys.argv[2]))
