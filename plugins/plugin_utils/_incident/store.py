# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of the incidents: ``<id>.jsonl``, which is only added to, and ``<id>.md`` and ``<id>.html``,
which are made from it. I/O only.

One writer at a time (flock on ``.lock``, which a kill releases); one ``write`` a line, then fsync. A line that a kill
or a full disk cut short stays, is no event, and what is added next begins on a line of its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Collection, Dict, Iterator, List, Optional, Sequence

from ...module_utils._core.text import names
from .._report import html
from .._report.files import make, replace
from .._report.model import file_names
from . import markdown, timeline
from .state import Incident, fold
from .timeline import Event, time_of

FILE, DIRECTORY = 0o600, 0o700
SUFFIX, PAGE, HTML, LOCK = ".jsonl", ".md", ".html", ".lock"
_NAME = re.compile(r"\d{8}T\d{6}Z-(.*)-[a-z_]+(?:\.\d+)?%s$" % re.escape(SUFFIX))
_RUN = re.compile(r"(.*)-(\d+)-\d+\Z", re.S)
_CLOSED = b'"kind": "closed"'  # as ``timeline.line`` writes it
_PATIENCE_SECONDS = 5.0  # another writer holds the lock for milliseconds; one that was stopped must not hold us up


def this_run() -> str:
    """What tells this run from another: Ansible's own process. Its number comes again, but not with the moment of its
    start. A worker that outlives it says the same."""
    return _run(os.getppid()) if os.getpid() == _IMPORTED_BY else _IMPORTING


def is_over(run: str) -> bool:
    """Whether a run has ended. Of one on another machine nobody knows: False."""
    known = _RUN.match(run)
    return known is not None and known.group(1) == socket.gethostname() and run != _run(int(known.group(2)))


def goes_on(run: str) -> bool:
    """Whether a run of this machine, and not this one, is still going on."""
    known = _RUN.match(run)
    return known is not None and run == _run(int(known.group(2))) and run != this_run()


def _run(pid: int) -> str:
    """Without the moment where no such process is alive, and where the kernel does not tell."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            state, *rest = file.read().rpartition(b") ")[2].split()
        started = "" if state == b"Z" else "-" + rest[18].decode()
    except (OSError, ValueError, IndexError):
        started = ""
    return "%s-%d%s" % (socket.gethostname(), pid, started)


_IMPORTED_BY, _IMPORTING = os.getpid(), _run(os.getpid())  # an action plugin is loaded in the parent


class Store:
    """Raises OSError, whatever goes wrong with a record. ``unread``: records that were passed over, and why;
    ``unwritten``: what is missing beside the records, and why."""

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory).expanduser().absolute()
        self.unread: Dict[str, str] = {}
        self.unwritten: Dict[str, str] = {}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        make(self.directory, FILE)
        handle = os.open(str(self.directory / LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE)
        try:
            until = time.monotonic() + _PATIENCE_SECONDS
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise OSError(errno.EAGAIN, "another process keeps it locked") from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(handle)

    def open_of(self, hosts: Collection[str]) -> Dict[str, List[Incident]]:
        """The open incidents of each host, the oldest first; a host without one is not in it."""
        found: Dict[str, List[Incident]] = {}
        names = self._names()
        wanted = {_safe(host): host for host in hosts} if names else {}
        for name in names:
            parts = _NAME.match(name)
            host = wanted.get(parts.group(1)) if parts else None
            if host is None:
                continue
            try:
                incident = self._open(name[: -len(SUFFIX)])
            except OSError as error:  # it keeps nothing of the others from being read
                self.unread[name] = error.strerror or str(error)
                continue
            if incident is not None and incident.host == host:
                found.setdefault(host, []).append(incident)
        return found

    def closed_of(self, hosts: Collection[str], since: datetime) -> Dict[str, List[Incident]]:
        """The closed incidents of each host that were written to since then."""
        found: Dict[str, List[Incident]] = {}
        wanted = {_safe(host) for host in hosts}
        for name in self._names():
            parts = _NAME.match(name)
            if not parts or parts.group(1) not in wanted:
                continue
            try:
                if os.stat(str(self.directory / name)).st_mtime < since.timestamp():
                    continue
                incident = self.read(name[: -len(SUFFIX)])
            except OSError as error:
                self.unread[name] = error.strerror or str(error)
                continue
            if incident.closed and incident.host in hosts:
                found.setdefault(incident.host, []).append(incident)
        return found

    def shown(self, hosts: Collection[str], now: datetime) -> Dict[str, List[Incident]]:
        """What a page about the hosts shows: the open incidents, and those closed within a day."""
        found = self.open_of(hosts)
        for host, closed in self.closed_of(hosts, now - timedelta(days=1)).items():
            found.setdefault(host, []).extend(closed)
        return found

    def read(self, name: str) -> Incident:
        """``name``: the incident's id."""
        events, torn = timeline.read(self._data(name))
        return fold(name, events, torn)

    def opened(self, first: Event) -> Incident:
        """A new incident with this event (kind ``opened``). Within ``locked``."""
        at = time_of(first["at"])
        if at is None or not re.match(r"[a-z_]{1,40}$", first["code"]):  # it becomes part of a file's name
            raise OSError(errno.EINVAL, "%r is no code of a verdict" % (first["code"],))
        stem = "%s-%s-%s" % (at.strftime("%Y%m%dT%H%M%SZ"), _safe(first["host"]), first["code"])
        name, again = stem, 1
        while (self.directory / (name + SUFFIX)).exists():  # closed within the second, or of a host DB beside a host db
            again += 1
            name = "%s.%d" % (stem, again)
        replace(self.directory / (name + SUFFIX), timeline.line(first), FILE)  # half of it is the record of no host
        self._sync()
        return self.append(name, [])

    def append(self, name: str, events: Sequence[Event]) -> Incident:
        """Add the events, make the pages anew; the incident as it is now. Within ``locked``."""
        path = self.directory / (name + SUFFIX)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(str(path), flags, FILE)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            for each in events:
                data = (b"\n" if torn else b"") + timeline.line(each)
                torn = False
                if os.write(handle, data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(handle)
        finally:
            os.close(handle)
        incident = self.read(name)
        for suffix, page in ((PAGE, markdown.page), (HTML, html.incident)):
            path = self.directory / (name + suffix)
            try:
                replace(path, page(incident), FILE)
            except OSError as error:  # the record has all of it, and other hosts have theirs
                self.unwritten[str(path)] = error.strerror or str(error)
        return incident

    def problems(self) -> List[str]:
        """Lines that say what was passed over, and what could not be written."""
        reasons: Dict[str, List[str]] = {}
        for what, why in self.unwritten.items():
            reasons.setdefault(why, []).append(what)
        return [
            *("Incident: %s/%s is passed over: %s" % (self.directory, *each) for each in self.unread.items()),
            *(
                "Incident: %s cannot be written (%s). The rest is recorded." % (names(all_, 3), why)
                for why, all_ in reasons.items()
            ),
        ]

    def keep(self, host: str, at: datetime, data: bytes) -> str:
        """An archive beside the records; its path. Nothing is replaced. Within ``locked``."""
        path = self.directory / ("%s-%s.tar.gz" % (_safe(host), at.strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"))
        replace(path, data, FILE)
        return str(path)

    def _open(self, name: str) -> Optional[Incident]:
        data = self._data(name)
        if _is_closed(data):  # years of them cost little
            return None
        events, torn = timeline.read(data)
        return fold(name, events, torn)

    def _data(self, name: str) -> bytes:
        handle = os.open(
            str(self.directory / (name + SUFFIX)), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
        with open(handle, "rb") as file:
            return file.read()

    def _names(self) -> List[str]:
        try:
            return sorted(name for name in os.listdir(str(self.directory)) if name.endswith(SUFFIX))
        except FileNotFoundError:
            return []

    def _sync(self) -> None:
        """So that a new file's name survives a power cut. Some file systems know no such thing."""
        with contextlib.suppress(OSError):
            handle = os.open(str(self.directory), os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _is_closed(data: bytes) -> bool:
    lines = data.split(b"\n") if _CLOSED in data else []
    return any(each["kind"] == timeline.CLOSED for one in lines if _CLOSED in one for each in timeline.read(one).events)


def _safe(host: str) -> str:
    """The host's part of an id."""
    return file_names([host])[host]
