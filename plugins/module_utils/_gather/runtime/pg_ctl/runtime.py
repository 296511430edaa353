# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on this host itself, known by its data directory: started by ``pg_ctl``, a package's script or by hand.

We are root, or the user that owns the directory: nobody else can look into it.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from ...._core.errors import DeadlineError, TargetError
from ...._core.numbers import port as noted_port
from ...._core.numbers import whole
from ...._core.side_by_side import side_by_side
from ...._core.times import utc
from ...wire import wire as _wire
from .. import log as _log
from .. import look as _look
from .. import processes as _processes
from ..base import Client, ClientOption, Completed, bounded
from ..here import HereClient
from ..unseen import unseen
from . import place

if TYPE_CHECKING:
    from ...._core.deadline import Deadline
    from ...._model.facts import (
        AnotherServer,
        DataDirectory,
        DirectoryUser,
        Listening,
        LogEntry,
        ServerFacts,
        WireAnswer,
    )
    from ...._model.user import User

_LOG_BYTES = 262144
_MARGIN_SECONDS = 0.25  # a probe's answer must be back before the step's deadline
_PROBE_SECONDS = 3.0  # a server that has not said a word by then is silent
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class PgCtlRuntime:
    """``Runtime`` by this host's /proc and files. Safe to share between threads.

    ``login``: host, port, user, password, database, ssl_mode, unix_socket as the target's login options give them: for
    clients that leave them out, and for the psql session. ``errors`` says which reading brought nothing, and why.
    """

    name = "pg_ctl"
    clients_here = True
    seen_by_wire = False
    note_path: Optional[str] = None

    def __init__(
        self,
        data_directory: str,
        bin_directory: Optional[str] = None,
        os_user: Optional[str] = None,
        clients: Sequence[ClientOption] = (),
        log_file: Optional[str] = None,
        log_lines: int = 100,
        login: Optional[Mapping[str, Any]] = None,
        ca_cert: Optional[str] = None,
    ) -> None:
        self.errors: Dict[str, str] = {}
        self.directory = os.path.abspath(data_directory)
        self._bin_directory, self._os_user = bin_directory, os_user
        self._options, self.log_file, self._log_lines = list(clients), log_file, log_lines
        self._login, self._ca_cert = dict(login or {}), ca_cert
        self._lock = threading.Lock()
        self._looked: Optional[_look.Look] = None
        self.standard_error: Optional[str] = None  # where it went before we stopped the server

    # --- question 1 ------------------------------------------------------------------------------------------------

    def server(self, deadline: Deadline) -> ServerFacts:
        processes = _processes.of_directory(self.directory)
        postmaster = _processes.postmaster(processes)
        self.refuse(running=postmaster is not None)
        look = self._ground(deadline)
        self.errors.update({"server." + name: text for name, text in look["errors"].items()})
        control, lock = look["control"], look["lock_file"]
        started, finished, killed = None, None, None
        if postmaster is not None:
            started = postmaster.started
        elif control is not None and control["state"] in ("shut down", "shut down in recovery"):
            # a shutdown writes the control file last; nothing touches it until a start has found its checkpoint
            finished = _modified(os.path.join(self.directory, "global", "pg_control"))
        elif lock is not None:
            started = self._lock_started()
            killed = _processes.killed_for_memory(lock["pid"]) if lock["pid"] else None
        log, read, source = self._entries(look, postmaster, started or finished)
        return {
            **unseen(self.directory, "running" if postmaster is not None else "exited"),
            "signal": 9 if killed else None,
            "out_of_memory": killed,
            "started_at": utc(started),
            "finished_at": utc(finished),
            "uptime_seconds": round(max(0.0, time.time() - postmaster.started), 1) if postmaster is not None else None,
            "postmaster_pid": postmaster.pid if postmaster is not None else None,
            "postmaster_state": postmaster.state if postmaster is not None else None,
            "processes": [process.fact() for process in processes],
            "data_directory": self._expecting(look["data_directory"], postmaster),
            "program_version": look["program_version"],
            "other_clusters": look["other_clusters"],
            "directory_used_by": self.used_by(),
            "directory_unseen": None if _processes.all_are_seen() else "processes outside of this container",
            "obstacle": self.obstacle(deadline),
            "disks": look["disks"],
            "nofile_soft": look["nofile_soft"],
            "nofile_hard": look["nofile_hard"],
            "lock_file": lock,
            "control": control,
            "configuration": look["configuration"] if postmaster is None else None,
            "altered_settings": look["altered_settings"] if postmaster is None else None,
            "listening": look["listening"],
            "log": log,
            "log_lines_read": read,
            "log_source": source,
        }

    def obstacle(self, deadline: Deadline) -> Optional[str]:
        postmaster = _processes.postmaster(_processes.of_directory(self.directory))
        self.refuse(running=postmaster is not None)
        uid = self.server_uid(postmaster)
        if uid is None or uid == 0:
            return "cannot determine which user runs the server of %s: set os_user" % self.directory
        if os.geteuid() not in (0, uid):
            return "%s cannot act as %s: use become: true" % (user_name(os.geteuid()), user_name(uid))
        if postmaster is not None and self._lock_pid() not in (None, postmaster.pid):
            return "postmaster.pid names pid %s, not the server's own (%d): pg_ctl would signal the wrong process" % (
                self._lock_pid(),
                postmaster.pid,
            )
        service = _processes.unit(postmaster.pid) if postmaster is not None else self._debian_service()
        if service is not None:  # started by us it would be outside of its unit, and end with our session
            return "the server belongs to the systemd unit %s: use systemctl for it" % service
        if self.program("pg_ctl") is None:
            return "pg_ctl was not found beside the server: set bin_directory"
        return None

    def program(self, name: str) -> Optional[str]:
        programs = self.programs()
        if programs is None:
            return shutil.which(name)
        path = os.path.join(programs, name)
        return path if os.path.exists(path) else None

    def _debian_service(self) -> Optional[str]:
        version, cluster = self.directory.split(os.sep)[-2:]
        known = os.path.exists(os.path.join("/etc/postgresql", version, cluster, "postgresql.conf"))
        if known and os.path.isdir("/run/systemd/system"):
            return "postgresql@%s-%s.service" % (version, cluster)
        return None

    def used_by(self) -> List[DirectoryUser]:
        """Other servers on the directory, as of now."""
        found = _processes.others(self.directory)
        if not found and not _processes.of_directory(self.directory):
            found += filter(None, [place.unseen(self.directory)])
        return found

    def refuse(self, running: bool) -> None:
        """TargetError for what is no data directory, and where we may not look. Wrong modes are facts, not errors."""
        try:
            owner = os.stat(self.directory).st_uid
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise self._no_permission() from None
            raise TargetError(
                "%s: %s" % (self.directory, os.strerror(error.errno or 0)),
                "Set data_directory to the directory that PG_VERSION is in.",
            ) from None
        if not os.path.isdir(self.directory):
            raise TargetError("%s is not a directory" % self.directory, "Set data_directory to the server's directory.")
        if os.geteuid() not in (0, owner) and not os.access(self.directory, os.R_OK | os.X_OK):
            raise self._no_permission()
        version = os.path.join(self.directory, "PG_VERSION")
        if not running and os.access(self.directory, os.X_OK) and not os.path.lexists(version):
            raise TargetError(
                "%s is not a PostgreSQL data directory: it has no PG_VERSION" % self.directory,
                "Set data_directory to what SHOW data_directory gives, or restore what was there.",
            )

    def _no_permission(self) -> TargetError:
        return TargetError(
            "%s has no permission to read %s" % (user_name(os.geteuid()), self.directory),
            "Use become: true (as root or as the directory's owner).",
        )

    def _ground(self, deadline: Deadline) -> _look.Look:
        """The look script's answer, once: every step needs some of it."""
        with self._lock:
            if self._looked is None:
                stopped = _processes.postmaster(_processes.of_directory(self.directory)) is None
                text = _look.script(self.directory, self.programs(), stopped, self.arguments(), self._log_lines)
                done = _run(["sh", "-c", text], deadline, "", dict(os.environ), {})
                self._looked = _look.parse(done.out)
            return self._looked

    def arguments(self) -> List[str]:
        """The server's own at its last start (PostgreSQL keeps them in postmaster.opts), or Debian's."""
        words = self._last_command()[1:]
        if not words and not os.path.exists(os.path.join(self.directory, "postgresql.conf")):
            version, cluster = self.directory.split(os.sep)[-2:]
            debian = os.path.join("/etc/postgresql", version, cluster, "postgresql.conf")
            if os.path.exists(debian):
                return ["-c", "config_file=" + debian]
        return words

    def _last_command(self) -> List[str]:
        try:
            return shlex.split(_read(os.path.join(self.directory, "postmaster.opts")))
        except ValueError:
            return []

    def programs(self) -> Optional[str]:
        """What was given, what runs, what ran last; None leaves the search to the script and psql's session."""
        if self._bin_directory:
            return self._bin_directory
        postmaster = _processes.postmaster(_processes.of_directory(self.directory))
        running = _processes.programs(postmaster.pid) if postmaster is not None else None
        last = os.path.dirname((self._last_command() or [""])[0])
        return next((each for each in (running, last) if each and os.path.exists(os.path.join(each, "postgres"))), None)

    def _lock_lines(self) -> List[str]:
        return [line.strip() for line in _read(os.path.join(self.directory, "postmaster.pid")).split("\n")]

    def _lock_pid(self) -> Optional[int]:
        """Line 1: whom pg_ctl would signal. Negative for a stand-alone backend."""
        return whole(self._lock_lines()[0].lstrip("-"))

    def _lock_started(self) -> Optional[float]:
        """Line 3 of postmaster.pid: when its server was started."""
        lines = self._lock_lines()
        return whole(lines[2]) if len(lines) > 2 else None

    def _expecting(
        self, directory: Optional[DataDirectory], postmaster: Optional[_processes.Running]
    ) -> Optional[DataDirectory]:
        """With the user that the server runs as. The script would take ``postgres`` for it: here it may be anybody."""
        if directory is not None and directory["exists"]:
            directory["expected_uid"] = self.server_uid(postmaster)
        return directory

    def server_uid(self, postmaster: Optional[_processes.Running]) -> Optional[int]:
        """Of a stopped one: the owner of what initdb made, should the directory itself have changed hands."""
        if self._os_user:
            return _user(self._os_user).pw_uid
        if postmaster is not None:
            return postmaster.uid
        for path in (os.path.join(self.directory, "PG_VERSION"), self.directory):
            with contextlib.suppress(OSError):
                owner = os.stat(path).st_uid
                if owner != 0:  # PostgreSQL never runs as root
                    return owner
        with contextlib.suppress(KeyError):
            return pwd.getpwnam("postgres").pw_uid
        return None

    # --- the log ---------------------------------------------------------------------------------------------------

    def _entries(
        self, look: _look.Look, postmaster: Optional[_processes.Running], since: Optional[float]
    ) -> Tuple[List[LogEntry], int, Optional[str]]:
        """The collector's file and the one that standard error goes to, the one written to last at the end: a start
        that fails early is told in the second only. Entries of earlier runs are left out."""
        texts: Dict[str, str] = {}
        if look["log_text"] and look["log_path"]:
            texts[look["log_path"]] = look["log_text"]
        for path in self.log_files(postmaster, bool(texts)):
            if os.path.realpath(path) not in map(os.path.realpath, texts):
                text = _tail(path)
                if text is not None:
                    texts[path] = text
        order = sorted(texts, key=lambda path: _modified(path) or 0)
        entries, read = [], 0
        oldest = utc(since - 1) if since is not None else None
        for path in order:
            entries += _log.classify(texts[path], self._log_lines)
            read += min(self._log_lines, texts[path].rstrip("\n").count("\n") + 1) if texts[path] else 0
        if oldest is not None:
            entries = [entry for entry in entries if entry["at"] is None or entry["at"] >= oldest]
        return entries, read, ", ".join(order) or None

    def log_files(self, postmaster: Optional[_processes.Running], collected: bool) -> List[str]:
        if self.log_file:
            return [self.log_file]
        standard_error = _processes.standard_error(postmaster.pid) if postmaster is not None else self.standard_error
        if standard_error:
            return [standard_error]
        if collected:
            return []
        version, cluster = self.directory.split(os.sep)[-2:]
        guesses = [
            os.path.join(self.directory, "logfile"),
            os.path.join(self.directory, "server.log"),
            "/var/log/postgresql/postgresql-%s-%s.log" % (version, cluster),
        ]
        for folder in ("log", "pg_log"):
            guesses += glob.glob(os.path.join(glob.escape(self.directory), folder, "*.log"))
        found = [path for path in guesses if os.path.isfile(path)]
        return [max(found, key=lambda path: _modified(path) or 0)] if found else []

    # --- question 2 ------------------------------------------------------------------------------------------------

    def wire(self, deadline: Deadline, logged_in: bool = False) -> List[WireAnswer]:
        lines = self._lock_lines() + [""] * 8
        port = noted_port(lines[3])
        if port is None or _processes.postmaster(_processes.of_directory(self.directory)) is None:
            return []
        places: List[Tuple[str, _wire.Address]] = []
        if lines[4].startswith("/"):
            places.append(("socket", "%s/.s.PGSQL.%d" % (lines[4].rstrip("/"), port)))
        for kind, address in _addresses(self._ground(deadline)["listening"] or [], port):
            places.append((kind, (address, port)))
        probing = deadline.sooner(min(_PROBE_SECONDS, deadline.left() - _MARGIN_SECONDS))
        steps: Dict[str, Callable[[], Any]] = {
            str(number): _ask(kind, address, probing, logged_in) for number, (kind, address) in enumerate(places)
        }
        outcome = side_by_side(steps, deadline)
        self.errors.update({"wire.%s" % (places[int(step)][1],): str(error) for step, error in outcome.errors.items()})
        return [outcome.values[step] for step in steps if step in outcome.values]

    # --- questions 3 and 5 -----------------------------------------------------------------------------------------

    def clients(self) -> Sequence[Client]:
        defaults = {name: value for name, value in self._login.items() if name != "unix_socket"}
        lines = self._lock_lines() + [""] * 8
        port = noted_port(lines[3])
        if not defaults.get("host") and port is not None:
            host = _WILDCARDS.get(lines[5], "127.0.0.1" if lines[5] in ("", "*") else lines[5])
            defaults["host"] = host
        if not defaults.get("port") and port is not None:
            defaults["port"] = port
        return [HereClient(option, defaults, self._ca_cert) for option in self._options]

    # --- beside the server -----------------------------------------------------------------------------------------

    def neighbours(
        self, role: str, held: Collection[str], known: Collection[str], deadline: Deadline
    ) -> Sequence[User]:
        return ()

    def run_beside(
        self, argv: Sequence[str], deadline: Deadline, stdin: str = "", environment: Optional[Dict[str, str]] = None
    ) -> Completed:
        postmaster = _processes.postmaster(_processes.of_directory(self.directory))
        try:
            owner = os.stat(self.directory).st_uid
        except OSError:
            raise self._no_permission() from None
        uid = _user(self._os_user).pw_uid if self._os_user else postmaster.uid if postmaster is not None else owner
        # In a session of its own: Ctrl-C in our terminal is none of its business (a pg_ctl that is to start a server).
        identity: Dict[str, Any] = {"start_new_session": True}
        if uid != os.geteuid():
            if os.geteuid() != 0:
                raise TargetError(
                    "%s cannot be run as %s: the current user is %s"
                    % (os.path.basename(argv[0]), user_name(uid), user_name(os.geteuid())),
                    "Use become: true (as root or as %s)." % user_name(uid),
                )
            identity.update(_identity(uid))
        own = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with contextlib.suppress(KeyError):
            own["HOME"] = pwd.getpwuid(uid).pw_dir
        return _run(argv, deadline, stdin, {**own, **(environment or {})}, identity)

    def run_at_rest(
        self, program: str, words: Sequence[str], seconds: int, environment: Mapping[str, str], deadline: Deadline
    ) -> Completed:
        path = self.program(program)
        if path is None:
            raise TargetError("%s was not found beside the server" % program, "Set bin_directory.")
        return self.run_beside(bounded(path, words, seconds), deadline, environment=dict(environment))

    def in_its_place(self, deadline: Deadline) -> Optional[AnotherServer]:
        if _processes.of_directory(self.directory):
            return None
        look = self._ground(deadline)
        wanted = place.wanted(look["settings"], self._login.get("port"), self._login.get("unix_socket"))
        holder = next(place.holders(wanted, self.directory), None) if wanted is not None else None
        if wanted is None or holder is None:
            return None
        return {
            "where": "port %d of this host (pid %d)" % (wanted.port, holder.pid),
            "answers": holder.identity,
            "expected": {
                "data_directory": self.directory,
                "system_identifier": look["system_identifier"],
                "port": wanted.port,
                "started_at": None,
            },
        }

    def forget(self) -> None:
        """Look anew from now on: something was changed."""
        with self._lock:
            self._looked = None

    def session_settings(self) -> Dict[str, Any]:
        place = self._login.get("unix_socket")
        if place and os.path.basename(place).startswith(".s.PGSQL."):
            place = os.path.dirname(place)  # libpq wants the directory
        return {
            "data_directory": self.directory,
            "bin_directory": self.programs(),
            "user": self._login.get("user"),
            "database": self._login.get("database"),
            "socket_directory": place,
            "port": self._login.get("port"),
        }

    def close(self) -> None:
        """Nothing stays open."""


def _ask(kind: str, address: _wire.Address, deadline: Deadline, logged_in: bool) -> Callable[[], WireAnswer]:
    return lambda: (_wire.knock if logged_in else _wire.probe)(address, deadline, kind)


def _addresses(listening: Sequence[Listening], port: int) -> List[Tuple[str, str]]:
    """(kind, address) of the server's own sockets; a wildcard stands for the loopback and this host's own address."""
    found: Dict[str, str] = {}
    for each in listening:
        if each["port"] != port or each["ours"] is False:
            continue
        address = _WILDCARDS.get(each["address"], each["address"])
        found[address] = "loopback" if address.startswith("127.") or address == "::1" else "network"
        if each["address"] in _WILDCARDS:
            own = _own_address(each["address"])
            if own is not None and own not in found:
                found[own] = "network"
    return [(found[address], address) for address in found]


def _own_address(wildcard: str) -> Optional[str]:
    """This host's address on its default route. Connecting a datagram socket sends nothing."""
    family, elsewhere = (socket.AF_INET6, "2001:db8::1") if wildcard == "::" else (socket.AF_INET, "192.0.2.1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _run(
    argv: Sequence[str], deadline: Deadline, stdin: str, environment: Mapping[str, str], identity: Mapping[str, Any]
) -> Completed:
    """A command of ours. At the deadline it gets SIGTERM, and nobody else gets anything."""
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=dict(environment),
            close_fds=True,
            **identity,
        )
    except OSError as error:
        return Completed(127, "", "%s: %s" % (argv[0], error.strerror))
    try:
        out, err = process.communicate(stdin.encode(), timeout=deadline.left())
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=0.2)
        raise DeadlineError("%s did not answer in time" % os.path.basename(argv[0])) from None
    except SystemExit:  # the run is over: psql takes back what it has asked the server for
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        raise
    return Completed(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def _identity(uid: int) -> Dict[str, Any]:
    """Popen's arguments to become that user with its groups."""
    try:
        entry = pwd.getpwuid(uid)
        gid, groups = entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid)
    except KeyError:
        gid, groups = uid, []
    if sys.version_info >= (3, 9):
        return {"user": uid, "group": gid, "extra_groups": groups}

    def become() -> None:
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)

    return {"preexec_fn": become}


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise TargetError("This host has no user %s" % name, "Correct os_user.") from None


def user_name(uid: int) -> str:
    try:
        return "user %s" % pwd.getpwuid(uid).pw_name
    except KeyError:
        return "uid %d" % uid


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


def _tail(path: str) -> Optional[str]:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_BYTES))
            return file.read(_LOG_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def _modified(path: str) -> Optional[float]:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None
