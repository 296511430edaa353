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
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller as Smtpd
from aiosmtpd.smtp import AuthResult

from .embedded import Certificates


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


class Http:
    """Keeps what was posted, by path. ``status`` and ``says``: what it answers, once ``may_answer`` is set."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        self.status, self.says = 202, b""
        self.may_answer, self.asked = threading.Event(), threading.Event()
        self.may_answer.set()
        self.got: list[tuple[str, dict[str, str], Any]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver.got.append((self.path, dict(self.headers), json.loads(body)))
                receiver.asked.set()
                receiver.may_answer.wait(60)
                with contextlib.suppress(OSError):  # who asked is gone
                    self.send_response(receiver.status)
                    self.send_header("Location", receiver.url + "/elsewhere")
                    self.end_headers()
                    self.wfile.write(receiver.says)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "%s://127.0.0.1:%d" % ("https" if certificates else "http", self._server.server_address[1])
        if certificates:
            self._server.socket = _context(certificates).wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Http:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bodies(self, path: str) -> list[Any]:
        return [body for where, _headers, body in self.got if where == path]


class Mailbox:
    """Keeps (subject, recipients) of what was mailed, and the texts.

    ``tls``: "implicit" or "starttls", with a log-in as ``login``, a name and its password.
    """

    def __init__(
        self, tls: str = "", certificates: Certificates | None = None, login: tuple[str, str] = ("", "")
    ) -> None:
        self.got: list[tuple[str, list[str]]] = []
        self.texts: list[str] = []
        self.port, self._login = free_port(), login
        options: dict[str, Any] = {"auth_required": True, "authenticator": self._may} if login[0] else {}
        if certificates and tls == "starttls":
            options.update(tls_context=_context(certificates), require_starttls=True)
        elif certificates:
            options.update(ssl_context=_context(certificates), auth_require_tls=False)  # it knows of STARTTLS only
        self._server = Smtpd(self, hostname="127.0.0.1", port=self.port, **options)

    def _may(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        return AuthResult(success=(given.login.decode(), given.password.decode()) == self._login, handled=False)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        message: Any = message_from_bytes(envelope.content, policy=default)
        subject = message["Subject"]
        self.texts.append(str(message.get_content()))
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
    assert program, "the tests need prometheus-alertmanager: scripts/install-notified.sh"
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


class Silent:
    """Takes each connection and says nothing."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.close()


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
