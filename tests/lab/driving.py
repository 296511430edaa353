# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules run as a user runs them, and an engine that can be cut off in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.integration.results import unlike

from .stack import SECRETS, Stack, docker, run

ENGINE = "/var/run/docker.sock"
# The lab's API without its framework, which takes seconds to load: here clients are started dozens of times.
_LIGHT = """
import http.server, os, signal, sys, threading
import psycopg2
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
lock, held = threading.Lock(), []

def ask():
    with lock:
        try:
            if not held:
                more = {"application_name": "api", "connect_timeout": 3, "tcp_user_timeout": 2000}
                held.append(psycopg2.connect(os.environ["DATABASE_URL"], **more))
                held[0].autocommit = True
            held[0].cursor().execute("SELECT 1")
            return 200, b'{"status": "healthy"}'
        except psycopg2.Error:
            held.clear()
            return 503, b'{"status": "unhealthy"}'

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = {"/docs": lambda: (200, b"docs"), "/api/v1/db/health": ask}.get(self.path, lambda: (404, b""))()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("", 8000), Page).serve_forever()
"""
LIGHT: dict[str, Any] = {"api": {"command": ["/usr/bin/python3", "-c", _LIGHT]}}


def module(stack: Stack, name: str, check: bool = False, **options: Any) -> dict[str, Any]:
    """The result of one module for this stack, run as Ansible runs it on a host. No secret is in its output."""
    asked = {**stack.target(), **options, "_ansible_check_mode": check, "_ansible_diff": True}
    argv = [sys.executable, "-m", "ansible_collections.oncall.postgresql.plugins.modules." + name]
    done = run(argv, check=False, timeout=240, input=json.dumps({"ANSIBLE_MODULE_ARGS": asked}))
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(done.stdout + done.stderr) from None
    for secret in SECRETS:
        assert secret not in done.stderr + done.stdout, "a secret is in the output"
    assert bool(result.get("failed")) == bool(done.returncode)
    assert unlike(name, result) == []
    return {"failed": False, **result}


def everything(stack: Stack) -> dict[str, Any]:
    """All that the engine knows of the project's containers and networks."""
    label = "label=com.docker.compose.project=" + stack.project
    containers = docker("ps", "-aq", "--no-trunc", "--filter", label).split()
    networks = docker("network", "ls", "-q", "--filter", label).split()
    found = json.loads(docker("inspect", *containers)) + json.loads(docker("network", "inspect", *networks))
    for one in found:
        one.pop("ExecIDs", None)  # of health checks
        one.get("State", {}).pop("Health", None)
    return {one["Id"]: one for one in found}


class Engine:
    """A way to the engine that is closed for good once ``last`` was asked ``times`` times: ``docker_host``.

    A real socket before a real engine. ``tcp``: at a port of this host instead of a Unix socket. ``silent_seconds``:
    it is not closed then, but says and hears nothing for so long; ``whole``: on all its connections.
    """

    def __init__(
        self,
        directory: Path,
        last: str = "",
        times: int = 1,
        tcp: bool = False,
        silent_seconds: float = 0,
        whole: bool = True,
    ) -> None:
        self._last, self._left, self._open = last.encode(), times, True
        self._silent_seconds, self._whole, self._silent_until = silent_seconds, whole, 0.0
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        if tcp:
            self._listener.bind(("127.0.0.1", 0))
            self.docker_host = "tcp://127.0.0.1:%d" % self._listener.getsockname()[1]
        else:
            self.path = directory / "engine.sock"
            self._listener.bind(str(self.path))
            self.docker_host = "unix://%s" % self.path
        self._listener.listen(64)

    def __enter__(self) -> Engine:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, what: BaseException | None, where: TracebackType | None
    ) -> None:
        self.cut()

    def cut(self) -> None:
        self._open = False
        with contextlib.suppress(AttributeError, FileNotFoundError):
            os.unlink(self.path)
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while self._open:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(ENGINE)
            self._sockets += [near, far]
            threading.Thread(target=self._copy, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(far, near, False), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, asking: bool) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if asking and self._last and self._last in data.split(b"\r\n", 1)[0]:
                    self._left -= 1
                    if self._left < 0 and not self._silent_seconds:
                        self.cut()
                        return
                    if self._left == -1:
                        self._silent_until = time.monotonic() + self._silent_seconds * self._whole
                        time.sleep(self._silent_seconds)
                time.sleep(max(0.0, self._silent_until - time.monotonic()))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def states(result: Mapping[str, Any]) -> dict[str, str]:
    return {row["name"]: row["after"] for row in result["containers"]}
