# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Engine API over ``http.client``: requests with a deadline, connections used again, one clear line of error."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, cast
from urllib.parse import urlencode

from ...._core.errors import DeadlineError, OncallError, TargetError
from .stream import Line, Stream

if TYPE_CHECKING:
    from ...._core.deadline import Deadline
    from .address import Way

_MOST_IDLE = 16
_HIJACK = {"Connection": "Upgrade", "Upgrade": "tcp"}


class EngineError(TargetError):
    """The engine refused a request; ``status`` is the HTTP status."""

    def __init__(self, msg: str, hint: str = "", status: int = 0) -> None:
        super().__init__(msg, hint)
        self.status = status


class Answer(NamedTuple):
    headers: http.client.HTTPMessage
    body: bytes


class _Connection(http.client.HTTPConnection):
    """Over a line that is there already."""

    def __init__(self, line: Line) -> None:
        super().__init__("docker")
        self.line = line
        self.connect()

    def connect(self) -> None:
        self.sock = cast(socket.socket, self.line)  # all that is asked of it: sendall, makefile, close


class Api:
    """Requests to one engine; safe to share between threads, each of which has a connection to itself meanwhile.

    ``prefix`` is the API's version in a path, such as /v1.41. ``local``: by a socket of this machine.
    """

    def __init__(self, host: str, way: Way) -> None:
        self.host, self.prefix = host, ""
        self.local = host.startswith("unix://")
        self._way = way
        self._lock = threading.Lock()
        self._idle: Optional[List[_Connection]] = []  # None: closed

    def get(self, path: str, deadline: Deadline, **params: Any) -> Any:
        return self.request("GET", path, deadline, **params)

    def request(self, method: str, path: str, deadline: Deadline, body: Any = None, **params: Any) -> Any:
        """Any request of the Engine API; the answer's JSON, None where it has none."""
        answer = self.ask(method, path, deadline, body, params)
        if not answer.body.strip():
            return None
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            said = answer.body[:200].decode("utf-8", "replace").strip()
            raise EngineError(
                "The engine at %s answered %r instead of JSON (%s %s)" % (self.host, said, method, path)
            ) from None

    def ask(
        self, method: str, path: str, deadline: Deadline, body: Any = None, params: Optional[Mapping[str, Any]] = None
    ) -> Answer:
        with self.answer(method, path, deadline, body, params) as answer:
            return Answer(answer.headers, answer.read())

    @contextlib.contextmanager
    def answer(
        self, method: str, path: str, deadline: Deadline, body: Any = None, params: Optional[Mapping[str, Any]] = None
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer whose body is not read yet. A connection of which all was read is kept for the next request."""
        connection, answer = self._send(method, path, deadline, body, params or {}, {})
        try:
            with self._explained("%s %s" % (method, path)):
                yield answer
        finally:
            whole = answer.isclosed() and not answer.will_close
            answer.close()
            self._keep(connection, whole)

    def hijack(self, path: str, deadline: Deadline, params: Mapping[str, Any], body: Any, what: str) -> Stream:
        """A request whose connection becomes a stream."""
        connection, _answer = self._send("POST", path, deadline, body, params, _HIJACK)
        return Stream(connection.line, lambda error: self.explain(error, what), what)

    def close(self) -> None:
        """Hang up. Threads that are still waiting keep their connections until their own deadlines."""
        with self._lock:
            idle, self._idle = self._idle or [], None
        for connection in idle:
            connection.line.hang_up()
        self._way.close()

    def _send(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        body: Any,
        params: Mapping[str, Any],
        headers: Mapping[str, str],
    ) -> Any:
        """(connection, answer with its headers read). Raises EngineError for what the engine refuses."""
        what = "%s %s" % (method, path)
        if deadline.passed():
            raise DeadlineError("No time left to ask the engine at %s: %s" % (self.host, what))
        url = self.prefix + path + ("?" + urlencode(params) if params else "")
        content = None if body is None else json.dumps(body).encode()
        sent: Dict[str, str] = {**headers, **({"Content-Type": "application/json"} if body is not None else {})}
        with self._explained(what):
            connection = self._connection(deadline)
            try:
                connection.request(method, url, content, sent)
                answer = connection.getresponse()
            except BaseException:
                connection.line.hang_up()
                raise
        if answer.status >= 400:
            with self._explained(what):
                try:
                    said = answer.read()
                finally:
                    connection.line.hang_up()
            raise EngineError(
                "The engine at %s refused %s: %s" % (self.host, what, _message(said, answer.status)),
                status=answer.status,
            )
        return connection, answer

    def _connection(self, deadline: Deadline) -> _Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return _Connection(Line(self._way.dial(deadline), deadline))
            if connection.line.idle():
                connection.line.deadline = deadline
                return connection
            connection.line.hang_up()

    def _keep(self, connection: _Connection, usable: bool) -> None:
        with self._lock:
            if usable and self._idle is not None and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.line.hang_up()

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            raise self.explain(error, what) from error

    def explain(self, error: BaseException, what: str) -> OncallError:
        """One clear line for whatever the layers below raised."""
        at, told = "the container engine at %s" % self.host, " ".join(str(error).split())
        if isinstance(error, socket.timeout) or "timed out" in str(error):
            return DeadlineError(
                "The container engine at %s did not answer in time (%s)" % (self.host, what),
                self._way.said() or "Is it, or its host, overloaded?",
            )
        if self.host.startswith("ssh://"):
            return TargetError(
                "Cannot reach %s: %s" % (at, self._way.said() or told),
                "Try: ssh %s docker version" % self.host[len("ssh://") :],
            )
        if isinstance(error, FileNotFoundError):
            return TargetError(
                "No container engine at %s: no such socket" % self.host,
                "Start %s on that host, or set docker_host." % self._product(),
            )
        if isinstance(error, PermissionError):
            return TargetError(
                "Permission denied to talk to %s" % at,
                "Use become: true%s." % ("" if self._podman() else ", or add the user to the group docker"),
            )
        if isinstance(error, ConnectionRefusedError):
            return TargetError(
                "Nothing listens at %s" % self.host,
                "Start %s there: systemctl start %s."
                % (self._product(), "podman.socket" if self._podman() else "docker"),
            )
        return TargetError(
            "Talking to %s failed: %s (%s)" % (at, told, what),
            "Check docker_host, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.",
        )

    def _podman(self) -> bool:
        """By its address, since an engine that does not answer cannot say what it is."""
        return "podman" in self.host

    def _product(self) -> str:
        return "Podman" if self._podman() else "Docker"


def _message(body: bytes, status: int) -> str:
    text = body.decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return text[:300] or "HTTP status %d" % status
