# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolving a name the way a container would: its ``/etc/hosts``, then the name servers of its ``resolv.conf``.

The C library cannot be asked: it reads this host's files whatever namespace the thread is in.
Packets: RFC 1035 section 4; search list and ndots: resolv.conf(5).
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Tuple

from ..._core.numbers import whole
from ..._core.rooted import Rooted

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import Resolution

A, AAAA = 1, 28
_LONGEST = 1 << 20  # bytes of a file
TRY_SECONDS = 1.5  # how long one name server may think (resolv.conf's default of 5 is past our deadlines)
_LAGGARD_SECONDS = 0.3  # once one family's addresses are there, the other's answer must not hold us up


def resolve(name: str, deadline: Deadline, root: Optional[str] = None) -> Resolution:
    """The addresses of ``name``. ``root``: where the container's files are seen (``/proc/<pid>/root``); None: here."""
    begin = time.monotonic()
    if _is_address(name):
        return _resolution(name, [name.strip("[]")], None, None, begin)
    if root is None:
        return _resolve_here(name, deadline, begin)
    addresses = in_hosts(_read(root, "etc/hosts"), name)
    if addresses:
        return _resolution(name, addresses, None, None, begin)
    settings = parse_resolv_conf(_read(root, "etc/resolv.conf"))
    error, answered_by = "no_nameserver", None
    for candidate in candidates(name, settings):
        for server in settings.nameservers:
            try:
                found = _ask(server, candidate, deadline.sooner(TRY_SECONDS))
            except socket.timeout:
                if error == "no_nameserver":
                    error, answered_by = "timeout", server
                continue
            except OSError:
                continue  # nobody there: the next one
            if found:
                return _resolution(name, found, server, None, begin)
            error, answered_by = "not_found", server
            if found is not None:
                break  # a clear no; None is "I cannot tell", so the next one is asked
        if deadline.passed():
            break
    return _resolution(name, [], answered_by, error, begin)


class ResolvConf(NamedTuple):
    nameservers: List[str]
    search: List[str]
    ndots: int


def parse_resolv_conf(text: str) -> ResolvConf:
    nameservers: List[str] = []
    search: List[str] = []
    ndots = 1
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver" and _is_address(words[1]):  # a name would be looked up by this host
            nameservers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = words[1:]
        elif words[0] == "options":
            for option in words[1:]:
                if option.startswith("ndots:"):
                    dots = whole(option[6:])
                    ndots = ndots if dots is None else dots
    return ResolvConf(nameservers[:3], [domain for domain in search if domain != "."], ndots)


def candidates(name: str, settings: ResolvConf) -> List[str]:
    """The full names to ask for, in order."""
    if name.endswith("."):
        return [name.rstrip(".")]
    searched = ["%s.%s" % (name, domain.strip(".")) for domain in settings.search]
    return [name, *searched] if name.count(".") >= settings.ndots else [*searched, name]


def in_hosts(text: str, name: str) -> List[str]:
    """All addresses that a hosts file gives the name."""
    wanted = name.rstrip(".").lower()
    found: List[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if wanted in (word.lower() for word in words[1:]) and _is_address(words[0]) and words[0] not in found:
            found.append(words[0])
    return found


def build_query(number: int, name: str, kind: int) -> bytes:
    """Raises ValueError for what cannot be a host's name."""
    labels = _ascii(name).split(b".")
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError("no host name: %s" % name)
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + struct.pack("!HH", kind, 1)
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + question  # recursion desired, one question


class Reply(NamedTuple):
    number: int
    code: int  # 0 no error, 2 server failure, 3 no such name, 5 refused ...
    addresses: List[str]


def parse_reply(packet: bytes) -> Reply:
    """Raises ValueError for what is no reply."""
    try:
        number, flags, questions, answers, _unused, _unused = struct.unpack_from("!HHHHHH", packet)
        if not flags & 0x8000:
            raise ValueError("a query, not a reply")
        offset = 12
        for _unused in range(questions):
            offset = _after_name(packet, offset) + 4
        addresses: List[str] = []
        for _unused in range(answers):
            offset = _after_name(packet, offset)
            kind, _unused, _unused, size = struct.unpack_from("!HHIH", packet, offset)
            data = packet[offset + 10 : offset + 10 + size]
            offset += 10 + size
            if (kind, len(data)) in ((A, 4), (AAAA, 16)):
                addresses.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data))
    except (struct.error, IndexError):
        raise ValueError("a truncated reply") from None
    return Reply(number, flags & 15, addresses)


def _after_name(packet: bytes, offset: int) -> int:
    while True:
        length = packet[offset]
        if length >= 0xC0:  # the rest stands elsewhere
            return offset + 2
        offset += 1 + length
        if length == 0:
            return offset


def _ask(server: str, name: str, deadline: Deadline) -> Optional[List[str]]:
    """The addresses, IPv4 first; [] when there are none; None when the server could not tell.

    Raises socket.timeout when it does not answer, OSError when nobody is there.
    """
    number = int.from_bytes(os.urandom(2), "big") & 0xFFFE
    try:
        queries = {number: build_query(number, name, A), number + 1: build_query(number + 1, name, AAAA)}
    except ValueError:
        return []
    replies: Dict[int, Reply] = {}
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.connect((server, 53))
        for query in queries.values():
            channel.send(query)
        while len(replies) < 2:
            have_some = any(reply.addresses for reply in replies.values())
            ready, _unused, _unused = select.select(
                [channel], [], [], deadline.left(_LAGGARD_SECONDS if have_some else 60)
            )
            if not ready:
                if replies:
                    break
                raise socket.timeout("timed out")
            try:
                reply = parse_reply(channel.recv(4096))
            except ValueError:
                continue
            if reply.number in queries:
                replies[reply.number] = reply
    addresses = [address for key in sorted(replies) for address in replies[key].addresses]
    if addresses:
        return list(dict.fromkeys(addresses))
    return [] if any(reply.code in (0, 3) for reply in replies.values()) else None


def _resolve_here(name: str, deadline: Deadline, begin: float) -> Resolution:
    """The C library's answer; it has no time limit, so a thread waits for it."""
    results: List[Tuple[List[str], Optional[str]]] = []

    def run() -> None:
        try:
            rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            results.append((list(dict.fromkeys(str(row[4][0]) for row in rows)), None))
        except socket.gaierror as error:
            results.append(([], "timeout" if error.errno == socket.EAI_AGAIN else "not_found"))
        except (OSError, UnicodeError):
            results.append(([], "not_found"))

    thread = threading.Thread(target=run, name="oncall-resolve", daemon=True)
    thread.start()
    thread.join(deadline.left())
    addresses, error = results[0] if results else ([], "timeout")
    return _resolution(name, addresses, None, error, begin)


def _resolution(
    name: str, addresses: List[str], server: Optional[str], error: Optional[str], begin: float
) -> Resolution:
    return {
        "name": name,
        "addresses": addresses,
        "nameserver": server,
        "error": error,
        "elapsed_ms": round((time.monotonic() - begin) * 1000, 3),
    }


def _read(root: str, path: str) -> str:
    """A file of the container; "" when there is none."""
    try:
        return Rooted(root, path).text(_LONGEST)
    except OSError:
        return ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]").split("%")[0])
    except ValueError:
        return False
    return True


def _ascii(name: str) -> bytes:
    name = name.rstrip(".")
    try:
        return name.encode("ascii")
    except UnicodeEncodeError:
        try:
            return name.encode("idna")
        except UnicodeError:
            raise ValueError("no host name: %s" % name) from None
