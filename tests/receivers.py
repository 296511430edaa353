# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What notifications are sent to: an HTTP server, an SMTP server and an Alertmanager, on loopback."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller as Smtpd


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class Http:
    """Keeps what was posted, by path. ``status``: what it answers."""

    def __init__(self) -> None:
        self.status = 202
        self.got: list[tuple[str, dict[str, str], Any]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver.got.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]

    def __enter__(self) -> Http:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bodies(self, path: str) -> list[Any]:
        return [body for where, _headers, body in self.got if where == path]


class Mailbox:
    """Keeps (subject, recipients) of what was mailed."""

    def __init__(self) -> None:
        self.got: list[tuple[str, list[str]]] = []
        self.port = free_port()
        self._server = Smtpd(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        subject = message_from_bytes(envelope.content)["Subject"]
        self.got.append((" ".join(str(make_header(decode_header(subject))).split()), sorted(envelope.rcpt_tos)))
        return "250 OK"

    def __enter__(self) -> Mailbox:
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop()


class Alertmanager:
    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, what: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen("%s/api/v2/%s" % (self.url, what), timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


@contextlib.contextmanager
def alertmanager(directory: Path) -> Iterator[Alertmanager]:
    program = shutil.which("prometheus-alertmanager")
    assert program, "the tests need prometheus-alertmanager: scripts/install-alertmanager.sh"
    config = directory / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    port = free_port()
    with (directory / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                "--config.file=%s" % config,
                "--storage.path=%s" % (directory / "alertmanager"),
                "--web.listen-address=127.0.0.1:%d" % port,
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
    found = Alertmanager("http://127.0.0.1:%d" % port)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                found.get("status")
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < until, log.name
                time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(30)


class Dribble:
    """Takes each connection and sends a byte a second, so that no time-out of a socket ends it."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]

    def __enter__(self) -> Dribble:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._dribble, args=(self._server.accept()[0],), daemon=True).start()

    @staticmethod
    def _dribble(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while True:
                connection.sendall(b"2")
                time.sleep(1)
