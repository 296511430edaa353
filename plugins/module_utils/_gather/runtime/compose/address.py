# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to an engine: a Unix socket, TCP with or without TLS, or ssh; addresses are those of the docker command."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, Optional, Protocol
from urllib.parse import urlsplit

from ...._core.errors import OptionsError
from ...wire import dns

if TYPE_CHECKING:
    from ...._core.deadline import Deadline

DEFAULT = "unix:///var/run/docker.sock"
_PORT, _TLS_PORT = 2375, 2376


class Way(Protocol):
    """How connections are made; safe to share between threads."""

    def dial(self, deadline: Deadline) -> socket.socket:
        """A new connection. Raises OSError, or DeadlineError."""

    def said(self) -> str:
        """What a helper on the way has complained of last; "" where there is none."""

    def close(self) -> None: ...


def elsewhere(host: Optional[str]) -> bool:
    """Whether it is the address of an engine on another machine, as far as anybody can tell."""
    return (host or "").startswith(("ssh://", "tcp://", "http://", "https://"))


def way_to(host: str) -> Way:
    """Raises OptionsError for what is no address, and where a file or command is missing that it needs."""
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError as error:
        raise _no_address(host, str(error)) from None
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return _Socket(parts.path)
    if parts.scheme == "ssh":
        from .ssh import Tunnel

        return Tunnel(host)
    if parts.scheme in ("tcp", "http", "https") and parts.hostname:
        context = _tls(always=parts.scheme == "https")
        return _Network(parts.hostname, port or (_TLS_PORT if context else _PORT), context)
    raise _no_address(host, "it names no socket and no host" if parts.scheme else "it has no scheme")


def _no_address(host: str, why: str) -> OptionsError:
    return OptionsError(
        "docker_host=%s is not an engine's address: %s" % (host, why),
        "Use unix:///path, tcp://host:port or ssh://user@host.",
    )


class _Socket:
    def __init__(self, path: str) -> None:
        self._path = path

    def dial(self, deadline: Deadline) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(deadline.left())
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        return made

    def said(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing stays open."""


class _Network:
    def __init__(self, host: str, port: int, context: Optional[ssl.SSLContext]) -> None:
        self._host, self._port, self._context = host, port, context

    def dial(self, deadline: Deadline) -> socket.socket:
        made = self._connect(deadline)
        if self._context is None:
            return made
        try:
            made.settimeout(deadline.left())
            return self._context.wrap_socket(made, server_hostname=self._host)
        except OSError:
            made.close()
            raise

    def _connect(self, deadline: Deadline) -> socket.socket:
        found = dns.resolve(self._host, deadline)  # which keeps to the deadline; the C library's call would not
        last = OSError("%s: the name is not known" % self._host)
        if found["error"] == "timeout":
            last = socket.timeout("timed out")
        for address in found["addresses"]:
            try:
                made = socket.create_connection((address, self._port), deadline.left())
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return made
            except OSError as error:
                last = error
        raise last

    def said(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing stays open."""


def _tls(always: bool) -> Optional[ssl.SSLContext]:
    """As the docker command reads the environment: verified with DOCKER_TLS_VERIFY, encrypted only with DOCKER_TLS."""
    verify = always or bool(os.environ.get("DOCKER_TLS_VERIFY"))
    if not verify and not os.environ.get("DOCKER_TLS"):
        return None
    directory = os.environ.get("DOCKER_CERT_PATH") or os.path.join(os.path.expanduser("~"), ".docker")
    authority, certificate, key = (os.path.join(directory, name + ".pem") for name in ("ca", "cert", "key"))
    try:
        context = ssl.create_default_context(cafile=authority if os.path.exists(authority) else None)
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if os.path.exists(certificate) or os.path.exists(key):
            context.load_cert_chain(certificate, key)
    except OSError as error:  # an SSLError is one, too
        raise OptionsError(
            "The certificates for the engine in %s cannot be used: %s" % (directory, error.strerror or error),
            "DOCKER_CERT_PATH is the directory of ca.pem, cert.pem and key.pem.",
        ) from None
    return context
