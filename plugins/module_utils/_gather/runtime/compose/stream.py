# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection whose every wait ends by the deadline of the request that it carries, and the stream it may become."""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple

from ...._core.errors import DeadlineError, OncallError, TargetError

if TYPE_CHECKING:
    from ...._core.deadline import Deadline

MAX_OUTPUT = 16 * 1024 * 1024
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_CHUNK = 65536


class Line:
    """A socket as ``http.client`` wants one. ``deadline`` is set anew for each request."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self.socket, self.deadline = connected, deadline
        self.waits = True  # else nothing does, and reading or sending what would have to wait gives None
        self.ended = False  # the other side has hung up
        self.reader = _Reader(_Raw(self), _CHUNK)

    def sendall(self, data: bytes) -> None:
        self.socket.settimeout(self.deadline.left())
        self.socket.sendall(data)

    def makefile(self, *_mode: Any) -> Any:
        """A new one for each answer; the last one holds what came in one packet with the headers."""
        self.reader = _Reader(_Raw(self), _CHUNK)
        return self.reader

    def idle(self) -> bool:
        """Whether it can carry another request. What can be read now is its end, or no answer to anything of ours."""
        waiting = select.poll()
        waiting.register(self.socket, select.POLLIN)
        return not waiting.poll(0)

    def close(self) -> None:
        """Called by ``http.client`` while an answer may still be read: nothing happens until we hang up."""

    def hang_up(self) -> None:
        self.socket.close()


class _Reader(io.BufferedReader):
    def close(self) -> None:
        """By an answer that is done with its headers; a stream may follow them."""


class _Raw(io.RawIOBase):
    def __init__(self, line: Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        line = self._line
        if line.waits:
            if line.deadline.passed():  # by single bytes, an answer could else go on for ever
                raise socket.timeout("timed out")
            line.socket.settimeout(line.deadline.left())
        try:
            size = line.socket.recv_into(buffer)
        except _WOULD_BLOCK:
            return None
        line.ended = size == 0
        return size


class Stream:
    """A connection that the engine has handed over: our input, and the command's two outputs in frames."""

    def __init__(self, line: Line, explain: Callable[[BaseException], OncallError], what: str) -> None:
        self._line, self._explain, self._what = line, explain, what

    def talk(self, stdin: bytes, deadline: Deadline) -> Tuple[bytes, bytes]:
        """Send all of ``stdin``, read both outputs to their end, hang up.

        Both at once, in one thread: a command may answer before it has read all, and a TLS connection is not safe to
        share between two.
        """
        line, frames, rest = self._line, Frames(), memoryview(stdin)
        line.socket.settimeout(0)
        line.waits = False
        try:
            open_end = self._end_of_input(rest)
            while not line.ended:
                if deadline.passed():
                    raise DeadlineError("Tried to %s: it did not finish in time" % self._what)
                sent = self._send(rest) if open_end else 0
                if sent:
                    rest = rest[sent:]
                    open_end = self._end_of_input(rest)
                part = line.reader.read1(_CHUNK)
                if part:
                    frames.feed(part)
                    if frames.size > MAX_OUTPUT:
                        raise TargetError("Tried to %s: more than 16 MiB of output" % self._what)
                elif not sent and not line.ended:
                    waiting = select.poll()
                    waiting.register(line.socket, select.POLLIN | (select.POLLOUT if open_end else 0))
                    waiting.poll(deadline.left() * 1000)
        except OSError as error:
            raise self._explain(error) from error
        finally:
            self.close()
        return frames.outputs()

    def close(self) -> None:
        self._line.hang_up()

    def _send(self, rest: memoryview) -> int:
        try:
            return self._line.socket.send(rest[:_CHUNK])
        except _WOULD_BLOCK:
            return 0
        except OSError:
            return len(rest)  # the command ended without reading it all; its exit code tells

    def _end_of_input(self, rest: memoryview) -> bool:
        """Whether more is to be sent; where not, our side of the connection ends here."""
        if rest:
            return True
        with contextlib.suppress(OSError):
            # Unbound on purpose: an SSLSocket's own shutdown would also drop its decryption of what is still to come.
            socket.socket.shutdown(self._line.socket, socket.SHUT_WR)
        return False


class Frames:
    """Docker Engine API, "Attach to a container": a byte for the stream, three of nothing, four of length."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: List[Tuple[int, bytes]] = []
        self._head = b""
        self._number, self._missing = 0, 0

    def feed(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._missing:
                part = data[at : at + self._missing]
                self._parts.append((self._number, part))
                self._missing -= len(part)
                self.size += len(part)
                at += len(part)
                continue
            part = data[at : at + 8 - len(self._head)]
            self._head += part
            at += len(part)
            if len(self._head) == 8:
                self._number, self._missing = struct.unpack(">BxxxL", self._head)
                self._head = b""

    def outputs(self) -> Tuple[bytes, bytes]:
        """Standard output and standard error."""
        found: Dict[int, List[bytes]] = {1: [], 2: []}
        for number, part in self._parts:
            found.setdefault(number, []).append(part)
        return b"".join(found[1]), b"".join(found[2])

    def both(self) -> bytes:
        """As they came."""
        return b"".join(part for _number, part in self._parts)
