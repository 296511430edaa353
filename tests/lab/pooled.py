# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project whose API has the pool that its variables say; and refuses to start with one that it cannot serve."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from .env_project import Project

SETTINGS = ("POOL_SIZE", "MAX_OVERFLOW", "POOL_TIMEOUT", "POOL_RECYCLE", "POOL_PRE_PING")
MOST = 8  # connections that it agrees to keep
_POOLED = """
import http.server, json, os, signal, sys
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError, TimeoutError
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
size, overflow, timeout, recycle, ping = (os.environ["DATABASE_" + name] for name in %s)
if int(size) > %d:
    sys.exit("the pool is too large for this program")
engine = create_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://", 1),
    pool_size=int(size), max_overflow=int(overflow), pool_timeout=float(timeout), pool_recycle=int(recycle),
    pool_pre_ping={"True": True, "False": False}[ping],
    connect_args={"application_name": "api", "connect_timeout": 3},
)
held = []

def fill():
    while True:
        try:
            held.append(engine.connect())
        except TimeoutError:
            return len(held)

def healthy():
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        return True
    except SQLAlchemyError:
        return False

class Page(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200 if self.path == "/docs" or healthy() else 503, b"{}")

    def do_POST(self):
        self.answer(200, json.dumps({"opened": fill()}).encode())

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("", 8000), Page).serve_forever()
""" % (SETTINGS, MOST)
_USUAL = {"POOL_SIZE": "2", "MAX_OVERFLOW": "3", "POOL_TIMEOUT": "1", "POOL_RECYCLE": "-1", "POOL_PRE_PING": "False"}
API: dict[str, Any] = {
    "command": ["/usr/bin/python3", "-c", _POOLED.replace("$", "$$")],
    "environment": {"DATABASE_" + name: "${DATABASE_%s:-%s}" % (name, usual) for name, usual in _USUAL.items()},
}


# Its variables are those of a file of its own.
_WORKER: dict[str, Any] = {
    "image": "${LAB_API_IMAGE}",
    "command": API["command"],
    "environment": {"DATABASE_URL": "postgresql://app:${LAB_PASSWORD}@postgres:5432/shop"},
    "env_file": ["worker.env"],
}


class Pooled(Project):
    """``replicas`` of the API; the ``.env`` has a size already, twice, and says nothing else of the pool. ``worker``: a
    service that reads ``worker.env``."""

    def __init__(self, replicas: int = 1, worker: bool = False) -> None:
        super().__init__(more={"services": {"api": API, **({"worker": _WORKER} if worker else {})}})
        self._replicas = replicas
        self.worker_env = self.directory / "worker.env"
        self.worker_env.write_text("".join("DATABASE_%s=%s\n" % each for each in _USUAL.items()))
        with open(self.env, "a") as file:
            file.write("DATABASE_POOL_SIZE=1 # once\nexport DATABASE_POOL_SIZE='2' # the pool\n# the end")

    def begin(self) -> None:
        self.up(scale=self._replicas)

    def settings(self, name: str) -> dict[str, str]:
        """The pool's variables as the program in this container has them."""
        pid = self.inspect(name)["State"]["Pid"]
        with open("/proc/%d/environ" % pid) as file:
            pairs = dict(entry.split("=", 1) for entry in file.read().split("\0") if entry)
        return {key: pairs["DATABASE_" + key] for key in SETTINGS}

    def fill(self, name: str) -> int:
        """Has the program in this container take connections from its pool until that has no more."""
        request = urllib.request.Request("http://%s:8000/" % self.address(name), method="POST")
        with urllib.request.urlopen(request, timeout=60) as reply:
            return int(json.load(reply)["opened"])
