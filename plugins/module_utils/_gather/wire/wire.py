# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's wire without a driver: who answers at an address (``probe``), and does a login work (``login``)?

Both know more than a driver tells: the SQLSTATE and the non-localised severity of a failed connection. Where SQL
has got through already, ``knock`` asks no more than whether the same server answers at another address.

The probe's user and database are "postgres" unless the caller knows better. A server that asks for a password has
said all we want to know, and forgets us without a line in its log. Which user asks does not matter for "no slot is
left": before authentication PostgreSQL refuses (53300) only when the reserved slots are gone as well, and to
everybody. That *ordinary* slots are gone shows after authentication: in the client's own login.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from ..._core.rooted import Rooted
from .protocol import (
    LONGEST,
    METHODS,
    SSL_REQUEST,
    TERMINATE,
    Scram,
    ScramError,
    error_fields,
    md5_response,
    mechanisms,
    message,
    password_message,
    sasl_initial,
    startup,
)
from .reach import UNREACHABLE, reach, show_address

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import LoginAttempt, WireAnswer

__all__ = ["Address", "Ask", "answered", "knock", "login", "probe", "reach", "show_address", "read_answer"]

Ask = Callable[["Address", "Deadline", str], "WireAnswer"]  # ``knock``, or ``probe`` as somebody
Address = Union[str, Rooted, Tuple[str, int]]  # the path of a Unix socket here or in a container; (IP address, port)

# Refusals that only a server gives that is accepting connections: of this user, or of this database.
_ABOUT_US = ("28000", "28P01", "3D000", "42501", "55000")
_TLS_PLANS = {"disable": (False,), "allow": (False, True), "prefer": (True, False)}  # libpq's order; else TLS alone
_GOODBYE_SECONDS = 0.2


def probe(
    address: Address, deadline: Deadline, kind: str, user: str = "postgres", database: str = "postgres"
) -> WireAnswer:
    """Send a start-up packet and read the first answer; nobody is logged in unless the server trusts us.

    A log-in line that refuses this user (peer, hostssl, reject) leaves a FATAL in the server's log.
    """
    return _asked(address, deadline, kind, lambda stream: _start_up(stream, user, database))


def knock(address: Address, deadline: Deadline, kind: str) -> WireAnswer:
    """Ask for TLS: every PostgreSQL server that lives says yes or no, and logs nothing, whoever may log in there.

    It does not tell whether log-ins are refused just now (starting up, no slot).
    """
    return _asked(address, deadline, kind, _knock)


def _asked(address: Address, deadline: Deadline, kind: str, question: Callable[["_Stream"], "_Verdict"]) -> WireAnswer:
    begin = time.monotonic()
    try:
        with contextlib.closing(_Stream(_connect(address, deadline), deadline)) as stream:
            try:
                verdict = question(stream)
            except socket.timeout:
                verdict = _Verdict("silent", message="connected, but no answer to the start-up packet")
            except OSError:
                verdict = _HUNG_UP
    except OSError as error:
        verdict = _Verdict(_connect_outcome(error), message=_connect_message(error))
    return _answer(kind, address, verdict, _since(begin))


def answered(address: Address, kind: str, attempt: Optional[LoginAttempt] = None) -> WireAnswer:
    """Of an address where a login got through, or (``attempt``) was answered: nothing more has to be sent."""
    if attempt is None or attempt["succeeded"]:
        return _answer(kind, address, _Verdict("accepting"), attempt["elapsed_ms"] if attempt else 0.0)
    fields = {"V": attempt["severity"], "C": attempt["sqlstate"], "M": attempt["message"]}
    return _answer(kind, address, _refused({key: value or "" for key, value in fields.items()}), attempt["elapsed_ms"])


def _answer(kind: str, address: Address, verdict: "_Verdict", elapsed_ms: float) -> WireAnswer:
    where = show_address(*address) if isinstance(address, tuple) else getattr(address, "path", address)
    return {
        "kind": kind,
        "address": str(where),
        "outcome": verdict.outcome,
        "severity": verdict.severity,
        "sqlstate": verdict.sqlstate,
        "message": verdict.message,
        "elapsed_ms": elapsed_ms,
    }


class _Verdict(NamedTuple):
    outcome: str
    severity: Optional[str] = None
    sqlstate: Optional[str] = None
    message: Optional[str] = None
    trusted: bool = False


# Nothing but an end: a port forwarder accepts for a server that is not there, and PostgreSQL itself never does this.
_HUNG_UP = _Verdict("refused", message="the connection was closed at once: a port forwarder with no server behind it")


def _start_up(stream: "_Stream", user: str, database: str) -> "_Verdict":
    stream.send(startup(user, database, "oncall"))
    verdict = _first_answer(stream)
    if verdict.outcome == "accepting":
        _leave(stream, TERMINATE if verdict.trusted else b"")  # amid authentication it would be logged
    return verdict


def _knock(stream: "_Stream") -> "_Verdict":
    stream.send(SSL_REQUEST)
    answer = stream.receive(1)
    if answer == b"S":  # to leave amid the handshake would be logged, and so would an end that nobody announced
        try:
            stream.socket = stream.start_tls(_unverified()).unwrap()
        except ssl.SSLError as error:  # of a server with demands that we do not meet; or what came is no TLS at all
            if error.reason == "WRONG_VERSION_NUMBER":
                return read_answer(answer)  # SSH begins with the same letter
    elif answer == b"E":
        return read_answer(answer + stream.receive(LONGEST, fully=False))
    elif answer != b"N":
        return read_answer(answer)
    _leave(stream, b"")
    return _Verdict("accepting")


def read_answer(data: bytes) -> _Verdict:
    """What the first bytes of an answer to a start-up packet mean (complete messages, or an end)."""
    if not data:
        return _HUNG_UP
    kind, length = data[:1], struct.unpack("!I", data[1:5])[0] if len(data) >= 5 else 0
    if kind == b"R" and 8 <= length <= LONGEST:
        return _Verdict("accepting", trusted=data[5:9] == b"\0\0\0\0")
    if kind == b"E":
        if 4 < length <= LONGEST:
            fields = error_fields(data[5 : 1 + length])
            if "C" in fields and "M" in fields:
                return _refused(fields)
        elif data[-2:] == b"\n\0":  # protocol 2's form, which a postmaster that cannot fork still uses
            return _Verdict("rejecting", "FATAL", None, data[1:-2].decode("utf-8", "replace"))
    return _Verdict("not_postgresql", message="something else answered: %r" % data[:20].decode("latin-1"))


def _refused(fields: Mapping[str, str]) -> _Verdict:
    outcome = "accepting" if fields["C"] in _ABOUT_US else "rejecting"
    return _Verdict(outcome, fields.get("V"), fields["C"], fields["M"])


def _first_answer(stream: "_Stream") -> _Verdict:
    while True:
        header = stream.receive(5)
        length = struct.unpack("!I", header[1:5])[0] if len(header) == 5 else 0
        plausible = header[:1] in (b"R", b"E", b"N", b"v") and 4 <= length <= LONGEST
        if not plausible:
            with contextlib.suppress(OSError):
                header += stream.receive(500 if header[:1] == b"E" else 0, fully=False)
            return read_answer(header)
        body = stream.receive(length - 4)
        if header[:1] in (b"R", b"E"):
            return read_answer(header + body)


def login(
    address: Address,
    user: str,
    password: Optional[str],
    database: str,
    ssl_mode: str,
    ca_cert: Optional[str],
    deadline: Deadline,
    application_name: str = "oncall",
    host: Optional[str] = None,
) -> LoginAttempt:
    """Log in, wait until the server is ready for a query, and leave.

    ``ssl_mode`` means what libpq makes of it, a second attempt with or without TLS included (manual, section "SSL
    Support"). ``ca_cert`` is a file; with it ``require`` verifies like ``verify-ca``. ``host`` is the name that
    ``verify-full`` compares (``address`` if not given).
    """
    begin = time.monotonic()
    plan = _TLS_PLANS.get(ssl_mode, (True,)) if isinstance(address, tuple) else (False,)
    attempts: List[LoginAttempt] = []
    for tls in plan:
        attempt, other_way = _attempt(
            address, user, password, database, tls, ssl_mode, ca_cert, deadline, application_name, host
        )
        attempts.append(attempt)
        if not other_way or deadline.passed():
            break
    # Of two refusals the telling one counts: "no pg_hba.conf entry" says least, and a missing TLS was no demand.
    best = (
        attempts[-1]
        if attempts[-1]["succeeded"]
        else min(attempts, key=lambda one: (one["outcome"] != "rejected", one["sqlstate"] == "28000"))
    )
    best["elapsed_ms"] = _since(begin)
    return best


class _Failure(Exception):
    """A login that ended early. ``other_way``: libpq would now try with TLS instead of without, or without it."""

    def __init__(
        self, outcome: str, text: str, fields: Optional[Dict[str, str]] = None, other_way: bool = False
    ) -> None:
        super().__init__(text)
        self.outcome, self.text, self.fields, self.other_way = outcome, text, fields or {}, other_way


def _attempt(
    address: Address,
    user: str,
    password: Optional[str],
    database: str,
    tls: bool,
    ssl_mode: str,
    ca_cert: Optional[str],
    deadline: Deadline,
    application_name: str,
    host: Optional[str],
) -> Tuple[LoginAttempt, bool]:
    """One connection's attempt, and whether the other way (TLS or plain) is worth one."""
    begin = time.monotonic()
    result: LoginAttempt = {
        "succeeded": False,
        "outcome": "failed",
        "severity": None,
        "sqlstate": None,
        "message": None,
        "method": None,
        "tls": False,
        "source_address": None,
        "elapsed_ms": 0.0,
    }
    stream: Optional[_Stream] = None
    fell_back = other_way = False
    try:
        stream = _Stream(_connect(address, deadline), deadline)
        if isinstance(address, tuple):
            result["source_address"] = stream.socket.getsockname()[0]
            if tls:
                result["tls"] = _start_tls(stream, host or address[0], ssl_mode, ca_cert)
                fell_back = not result["tls"]
        stream.send(startup(user, database, application_name))
        _authenticate(stream, user, password, result)
        _wait_until_ready(stream)
        _leave(stream, TERMINATE)
        result["succeeded"], result["outcome"] = True, "ok"
    except _Failure as failure:
        other_way = failure.other_way and not fell_back  # then this was both ways
        result["outcome"], result["message"] = failure.outcome, failure.text
        result["severity"], result["sqlstate"] = failure.fields.get("V"), failure.fields.get("C")
    except socket.timeout:
        result["outcome"], result["message"] = "timeout", "no answer within %.1f s" % (time.monotonic() - begin)
    except OSError as error:
        if stream is not None:
            result["outcome"], result["message"] = "closed", "the connection broke: %s" % (error.strerror or error)
        else:
            reset = isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)
            timed_out = _connect_outcome(error) in ("timeout", "silent")
            result["outcome"] = "timeout" if timed_out else "closed" if reset else "failed"
            result["message"] = _connect_message(error)
    finally:
        if stream is not None:
            stream.close()
    result["elapsed_ms"] = _since(begin)
    return result, other_way


def _start_tls(stream: "_Stream", host: str, ssl_mode: str, ca_cert: Optional[str]) -> bool:
    """True when TLS is up; False when the server has none and the client can do without."""
    stream.send(SSL_REQUEST)
    answer = stream.receive(1)
    if answer == b"N":
        if ssl_mode == "prefer":
            return False
        raise _Failure("no_tls", "the server offers no TLS, and the client demands it (ssl_mode %s)" % ssl_mode)
    if answer == b"E":  # too busy to fork, or shutting down: said before TLS
        data = answer + stream.receive(4)
        body = stream.receive(min(struct.unpack("!I", data[1:5])[0] - 4, LONGEST)) if len(data) == 5 else b""
        raise _refusal(body, other_way=True)
    if answer != b"S":
        raise _Failure(
            "closed" if not answer else "failed",
            "no PostgreSQL server answered the request for TLS"
            if answer
            else "the server closed the connection when asked for TLS",
        )
    verify = ssl_mode in ("verify-ca", "verify-full") or (ssl_mode == "require" and ca_cert is not None)
    try:
        context = _unverified()
        if verify:
            context.verify_mode = ssl.CERT_REQUIRED
            context.check_hostname = ssl_mode == "verify-full"
            _load_authority(context, ca_cert)
        stream.start_tls(context, host)
    except ssl.SSLCertVerificationError as error:
        text = "the server's certificate was not accepted: %s" % error.verify_message
        raise _Failure("bad_certificate", text, other_way=True) from None
    except ssl.SSLError as error:
        raise _Failure("failed", "no TLS with the server: %s" % (error.reason or error), other_way=True) from None
    except ValueError as error:  # a name that TLS cannot ask for
        raise _Failure("failed", "no TLS with a server of that name: %s" % error) from None
    return True


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # libpq's default
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _load_authority(context: ssl.SSLContext, ca_cert: Optional[str]) -> None:
    if ca_cert is None:
        raise _Failure("failed", "the server's certificate cannot be verified: no ca_cert is given")
    try:
        context.load_verify_locations(cafile=ca_cert)
    except OSError as error:  # ssl.SSLError, for a file that holds no certificate, is one
        raise _Failure("failed", "ca_cert %s cannot be used: %s" % (ca_cert, error.strerror or error)) from None


def _authenticate(stream: "_Stream", user: str, password: Optional[str], result: LoginAttempt) -> None:
    scram: Optional[Scram] = None
    proved = False
    while True:
        kind, body = stream.message()
        if kind != b"R":
            if kind == b"E":
                raise _refusal(body, other_way=True)
            continue  # a notice, or the offer of an older minor version of the protocol
        code = struct.unpack("!I", body[:4])[0] if len(body) >= 4 else -1
        if code not in (11, 12):
            result["method"] = METHODS.get(code, "method %d" % code) if result["method"] is None else result["method"]
        if code == 0:
            if scram is not None and not proved:
                raise _Failure("failed", "the server ended SCRAM authentication early, without proving itself")
            return
        if code not in (3, 5, 10, 11, 12):
            raise _Failure(
                "failed", "this login cannot do the %s authentication that the server asks for" % result["method"]
            )
        if password is None:
            raise _Failure(
                "failed", "the server asks for a password (%s) and the client's settings hold none" % result["method"]
            )
        try:
            if code == 3:
                stream.send(password_message(password))
            elif code == 5:
                stream.send(password_message(md5_response(user, password, body[4:8])))
            elif code == 10:
                if "SCRAM-SHA-256" not in mechanisms(body[4:]):
                    raise _Failure("failed", "the server offers only %s" % ", ".join(mechanisms(body[4:])))
                scram = Scram(password)
                stream.send(sasl_initial("SCRAM-SHA-256", scram.first()))
            elif scram is None:
                raise _Failure("failed", "the server went on with SCRAM before it began")
            elif code == 11:
                stream.send(message(b"p", scram.final(body[4:])))
            else:
                scram.check(body[4:])
                proved = True
        except ScramError as error:
            raise _Failure("failed", str(error)) from None


def _wait_until_ready(stream: "_Stream") -> None:
    while True:
        kind, body = stream.message()
        if kind == b"E":
            raise _refusal(body)
        if kind == b"Z":
            return


def _refusal(body: bytes, other_way: bool = False) -> _Failure:
    fields = error_fields(body)
    return _Failure("rejected", fields.get("M", "refused without a message"), fields, other_way)


def _leave(stream: "_Stream", goodbye: bytes) -> None:
    """Say goodbye, then wait for the server's end: only then is our slot free for the login that follows."""
    with contextlib.suppress(OSError):
        stream.send(goodbye)
        stream.socket.shutdown(socket.SHUT_WR)
        until = stream.deadline.sooner(_GOODBYE_SECONDS)
        while not until.passed():
            stream.socket.settimeout(until.left())
            if not stream.socket.recv(4096):
                return


class _Stream:
    """A connected socket that reads whole messages before a deadline. ``socket.timeout`` when it passes."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self.socket = connection
        self.deadline = deadline

    def start_tls(self, context: ssl.SSLContext, host: Optional[str] = None) -> ssl.SSLSocket:
        self.socket.settimeout(self.deadline.left())
        secured = self.socket = context.wrap_socket(self.socket, server_hostname=host)
        return secured

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.settimeout(self.deadline.left())
        self.socket.sendall(data)

    def receive(self, size: int, fully: bool = True) -> bytes:
        """``size`` bytes, fewer where the stream ends (or, unless ``fully``, where it pauses)."""
        data = b""
        while len(data) < size:
            if self.deadline.passed():
                raise socket.timeout("timed out")
            self.socket.settimeout(self.deadline.left())
            piece = self.socket.recv(size - len(data))
            data += piece
            if not piece or not fully:
                break
        return data

    def message(self) -> Tuple[bytes, bytes]:
        header = self.receive(5)
        if not header:
            raise _Failure("closed", "the server closed the connection without an answer")
        length = struct.unpack("!I", header[1:5])[0] if len(header) == 5 else 0
        if not 4 <= length <= LONGEST:
            raise _Failure("failed", "this is not a PostgreSQL server: it answered %r" % header.decode("latin-1"))
        body = self.receive(length - 4)
        if len(body) < length - 4:
            raise _Failure("closed", "the server closed the connection in the middle of a message")
        return header[:1], body


def _connect(address: Address, deadline: Deadline) -> socket.socket:
    if isinstance(address, tuple):
        connection = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    else:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if isinstance(address, tuple):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # TLS would wait 40 ms for an ACK
        connection.settimeout(deadline.left())
        if isinstance(address, Rooted):
            with address.socket() as found:
                connection.connect(found)
        else:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_outcome(error: OSError) -> str:
    if isinstance(error, BlockingIOError):
        return "silent"  # a Unix socket whose queue is full: the server does not accept what the kernel took
    if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
        return "timeout"
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "missing"
    if error.errno in UNREACHABLE or isinstance(error, socket.gaierror):
        return "unreachable"
    return "refused" if isinstance(error, ConnectionError) else "unreachable"


def _connect_message(error: OSError) -> str:
    if isinstance(error, BlockingIOError):
        return "the queue of connections waiting for the server is full"
    if _connect_outcome(error) == "timeout":
        return "no answer to the connection request"
    return error.strerror or str(error)


def _since(begin: float) -> float:
    return round((time.monotonic() - begin) * 1000, 3)
