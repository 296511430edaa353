# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can a TCP port be reached, how fast, and how many packets get lost? Connections opened and closed without a word.

PostgreSQL neither logs such a connection nor gives it a slot (postmaster, ``ProcessStartupPacket``: "EOF after
connecting, as a port scanner does"). A lost SYN is sent again by the kernel after one second (RFC 6298), which would
turn loss into latency: a probe without answer in 0.9 s counts as lost.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import TYPE_CHECKING, Dict, List, Tuple

from ..._core.numbers import median

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import Reach

PROBES = 10
STAGGER_SECONDS = 0.003  # a burst at one instant could be lost as a whole
PATIENCE_SECONDS = 0.9

UNREACHABLE = (
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EADDRNOTAVAIL,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
    errno.EAFNOSUPPORT,
    errno.EACCES,
    errno.EPERM,
)


def show_address(host: str, port: int) -> str:
    """host:port, with IPv6 in brackets."""
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def reach(host: str, port: int, deadline: Deadline) -> Reach:
    """Ten probes side by side at the IP address ``host``, ten more when one of them was lost."""
    results = _round(host, port, deadline)
    if any(kind == "lost" for kind, _unused in results) and not deadline.passed():
        results += _round(host, port, deadline)
    kinds = [kind for kind, _unused in results]
    outcome = next((name for name in ("open", "refused", "unreachable") if name in kinds), "timeout")
    # Where nothing is open, being refused is an answer: the packets got through.
    answers = [seconds for kind, seconds in results if kind == outcome and outcome in ("open", "refused")]
    return {
        "address": show_address(host, port),
        "probes": len(results),
        "answered": len(answers),
        "loss_percent": round(100.0 * (len(results) - len(answers)) / len(results), 1),
        "latency_ms": round(median(answers) * 1000, 3) if answers else None,
        "outcome": outcome,
    }


def _round(host: str, port: int, deadline: Deadline) -> List[Tuple[str, float]]:
    """(open | refused | unreachable | lost, seconds) of each probe."""
    results: List[Tuple[str, float]] = []
    waiting: Dict[int, Tuple[socket.socket, float]] = {}
    poll = select.poll()
    begin = time.monotonic()
    patience = deadline.left(PATIENCE_SECONDS)
    to_start = PROBES
    try:
        while to_start or waiting:
            now = time.monotonic()
            if to_start and now >= begin + (PROBES - to_start) * STAGGER_SECONDS:
                to_start -= 1
                probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
                probe.setblocking(False)
                waiting[probe.fileno()] = (probe, now)
                code = probe.connect_ex((host, port))
                if code not in (0, errno.EINPROGRESS):
                    results.append(_finish(waiting, probe.fileno(), code))
                else:
                    poll.register(probe, select.POLLOUT)
                continue
            if to_start:
                until = begin + (PROBES - to_start) * STAGGER_SECONDS
            else:
                until = min(started for _unused, started in waiting.values()) + patience
            for number, _unused in poll.poll(max(0.0, until - now) * 1000):
                poll.unregister(number)
                code = waiting[number][0].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                results.append(_finish(waiting, number, code))
            now = time.monotonic()
            for number in [number for number, (_unused, started) in waiting.items() if now >= started + patience]:
                poll.unregister(number)
                results.append(_finish(waiting, number, errno.ETIMEDOUT))
    finally:
        for probe, _started in waiting.values():
            probe.close()
    return results


def _finish(waiting: Dict[int, Tuple[socket.socket, float]], number: int, code: int) -> Tuple[str, float]:
    probe, started = waiting.pop(number)
    seconds = time.monotonic() - started
    probe.close()
    if code == 0:
        return "open", seconds
    if code == errno.ECONNREFUSED:
        return "refused", seconds
    return ("unreachable" if code in UNREACHABLE else "lost"), seconds
