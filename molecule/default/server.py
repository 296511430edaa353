# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``server.py start FILE`` starts a server that outlives this program and writes FILE, the target's options.

``server.py stop FILE`` stops that server and removes what it left; without FILE there is nothing to do.
"""

from __future__ import annotations

import atexit
import json
import os
import pathlib
import shutil
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.embedded import Server

PASSWORD = "not-a-secret"


def start(file: pathlib.Path) -> None:
    server = Server().start()
    server.sql("CREATE ROLE shop LOGIN PASSWORD '%s'" % PASSWORD)
    login = {"host": server.host, "port": server.port, "user": "shop", "password": PASSWORD, "database": "postgres"}
    target = server.target({"service": "shop-api", "login": login})
    file.write_text(json.dumps(target))
    atexit._clear()  # the server and its programs stay until "stop"


def stop(file: pathlib.Path) -> None:
    if not file.exists():
        return
    target = json.loads(file.read_text())
    data = pathlib.Path(target["data_directory"])
    pid = int((data / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGINT)
    while (data / "postmaster.pid").exists():
        time.sleep(0.05)
    shutil.rmtree(data.parent)
    file.unlink()


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]](pathlib.Path(sys.argv[2]))
