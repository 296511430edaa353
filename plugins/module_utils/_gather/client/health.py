# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's own health page, asked from the client's place."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from typing import TYPE_CHECKING, Any, List, Optional, Sequence
from urllib.parse import urlsplit

from ..._core.mask import mask
from ..._core.numbers import whole
from ..wire.dns import resolve

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import Health

_LONGEST = 1 << 16  # bytes read of a page
_SHOWN = 300
_ABOUT_HEALTH = ("status", "state", "health", "healthy", "ok", "database", "db", "postgres", "postgresql", "connected")
_BAD_WORDS = (
    "error",
    "unhealthy",
    "down",
    "fail",
    "failed",
    "failing",
    "failure",
    "disconnected",
    "unavailable",
    "degraded",
    "critical",
    "false",
    "no",
    "not connected",
    "unreachable",
    "timeout",
)


def check_health(url: str, root: Optional[str], deadline: Deadline) -> Health:
    """GET ``url`` at the first address of its host that takes the connection; no redirect is followed.

    ``ok``: the status is 200, and a JSON object in the body says nothing bad under a key about health or the
    database (``says_healthy``). ``root`` as in ``_dns.resolve``. HTTPS certificates are not verified: the question is
    whether the application works, not who it is.
    """
    result: Health = {"url": mask(url), "status": None, "ok": False, "body": None, "error": None}
    try:
        parts = urlsplit(url)
        tls, port = parts.scheme == "https", parts.port
    except ValueError as error:
        result["error"] = "health_url is not a URL: %s" % error
        return result
    if parts.scheme not in ("http", "https") or not parts.hostname:
        result["error"] = "health_url must be http://host/... or https://host/..."
        return result
    resolution = resolve(parts.hostname, deadline, root)
    if not resolution["addresses"]:
        result["error"] = "cannot resolve %s (%s)" % (parts.hostname, resolution["error"])
        return result
    port = port or (443 if tls else 80)
    connection = http.client.HTTPConnection(parts.hostname, port)
    try:
        # Handed over connected: to an address found in the client's place, while the Host header keeps the name.
        connection.sock = _connect(resolution["addresses"], port, parts.hostname if tls else None, deadline)
        with contextlib.closing(connection):
            path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
            connection.request("GET", path, headers={"User-Agent": "oncall", "Accept": "application/json, */*;q=0.1"})
            connection.sock.settimeout(deadline.left())
            response = connection.getresponse()
            body = response.read(_LONGEST).decode("utf-8", "replace")
    except socket.timeout:
        result["error"] = "no answer in time"
    except (OSError, http.client.HTTPException, ValueError) as error:
        result["error"] = str(getattr(error, "strerror", None) or error) or type(error).__name__
    else:
        result["status"], result["body"] = response.status, mask(body)[:_SHOWN]
        result["ok"] = response.status == 200 and says_healthy(body)
    return result


# Arguments: host port request seconds. For a toolbox of the server's image, which has bash.
_ASK_BASH = r"""
exec 3<>"/dev/tcp/$0/$1" || exit 1
printf '%s' "$2" >&3
timeout "$3" head -c 65536 <&3
"""


def page_command(url: str, seconds: float) -> Optional[List[str]]:
    """The command that a toolbox at the client's place asks ``url`` by; None where it cannot (HTTPS, no URL)."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        return None
    if parts.scheme != "http" or not parts.hostname:
        return None
    path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    lines = ["GET %s HTTP/1.0" % path, "Host: %s" % parts.netloc.rpartition("@")[2], "User-Agent: oncall", "", ""]
    return ["bash", "-c", _ASK_BASH, parts.hostname, str(port), "\r\n".join(lines), "%.1f" % max(0.1, seconds)]


def read_page(url: str, answer: str, said: str) -> Health:
    """What ``page_command`` brought: the whole answer of the server, or what the shell ``said`` instead."""
    result: Health = {"url": mask(url), "status": None, "ok": False, "body": None, "error": None}
    head, _blank, body = answer.partition("\r\n\r\n")
    words = head.split(None, 2)
    status = whole(words[1]) if len(words) > 1 and words[0].startswith("HTTP/") else None
    if status is None:
        result["error"] = mask(said.strip().rpartition(": ")[2] or "no answer")[:_SHOWN]
        return result
    result["status"], result["body"] = status, mask(body)[:_SHOWN]
    result["ok"] = status == 200 and says_healthy(body)
    return result


def says_healthy(body: str) -> bool:
    """False when a JSON object, or one level inside it, says under a key about health that something is wrong."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return True  # nothing but the status code speaks
    if not isinstance(document, dict):
        return True
    inner = [value for value in document.values() if isinstance(value, dict)]
    return all(
        _well(value) for each in [document, *inner] for key, value in each.items() if str(key).lower() in _ABOUT_HEALTH
    )


def _well(value: Any) -> bool:
    return not (value is False or (isinstance(value, str) and value.strip().lower() in _BAD_WORDS))


def _connect(addresses: Sequence[str], port: int, tls_name: Optional[str], deadline: Deadline) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            plain = socket.create_connection((address, port), deadline.left())
        except OSError as error:
            failure = error
            continue
        if tls_name is None:
            return plain
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=tls_name)
    raise failure
