# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that Docker Compose runs: found by the labels that Compose (1 and 2) gives its containers, by any name."""

from __future__ import annotations

import dataclasses
import functools
import os
import posixpath
import shlex
import signal
import threading
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ...._core.deadline import Deadline
from ...._core.errors import DownError, TargetError
from ...._core.side_by_side import side_by_side
from ...client import note, place
from ...wire import wire as _wire
from .. import log as _log
from .. import look as _look
from .. import ready
from ..base import ClientOption, Completed, bounded
from ..unseen import unseen
from . import beside, others, sharing
from . import containers as _containers
from .api import EngineError
from .client import ComposeClient
from .engine import Engine, connect
from .project import Inspection, View, container_name, find

if TYPE_CHECKING:
    from ...._model.facts import AnotherServer, DataDirectory, DirectoryUser, Disk, LogEntry, ServerFacts, WireAnswer
    from ...._model.user import User

_LOOK_CAPABILITIES = ("DAC_READ_SEARCH", "SETUID", "SETGID")  # read a directory of mode 0700; become its owner
_LIVE = ("running", "paused")
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # of the postmaster: fast and smart shutdown
_SILENT_SECONDS = 3.0  # a start-up packet that is not answered by then, on the server's own host, is not going to be


class ComposeRuntime:
    """``Runtime`` over the Docker Engine API. Safe to share between threads; nothing is asked before it is needed.

    ``errors`` says which part of a step brought nothing and why (part -> text); the step's facts are then null there.
    """

    name = "compose"
    clients_here = False
    seen_by_wire = False

    def __init__(
        self,
        project: str,
        service: str = "postgres",
        docker_host: Optional[str] = None,
        clients: Sequence[ClientOption] = (),
        log_lines: int = 100,
        login_user: Optional[str] = None,
        login_db: Optional[str] = None,
        data_directory: Optional[str] = None,
        bin_directory: Optional[str] = None,
        connect_timeout_seconds: float = 5,
    ) -> None:
        self.errors: Dict[str, str] = {}
        self.project, self.service, self._docker_host = project, service, docker_host
        self.note_path: Optional[str] = note.path(docker_host, project)
        self.declared, self._log_lines = list(clients), log_lines
        self._login_user, self._login_db = login_user, login_db
        self._data_directory, self._bin_directory = data_directory, bin_directory
        self._connect_timeout_seconds = connect_timeout_seconds
        self._lock = threading.Lock()
        self._engine: Optional[Engine] = None
        self._seen: Optional[View] = None

    @property
    def engine_command(self) -> str:
        """For texts that name a command: docker or podman. docker as long as no engine has answered."""
        return self._engine.command if self._engine else "docker"

    # --- question 1 ------------------------------------------------------------------------------------------------

    def server(self, deadline: Deadline) -> ServerFacts:
        view = self._view(deadline)
        if view.server is None:
            missing = unseen("%s-%s" % (self.project, self.service), "missing")
            users: List[DirectoryUser] = []
            try:
                users = sharing.strangers(view.engine, self.project, deadline)
            except EngineError as error:  # one of them has just ended
                self.errors["server.directory_used_by"] = error.msg
            return {
                **missing,
                "service": self.service,
                "engine_command": view.engine.command,
                "directory_used_by": users,
                "directory_unseen": sharing.HOST,
            }
        inspected, engine = view.server, view.engine
        life = _containers.lifecycle(inspected, engine.now())
        container = inspected["Id"]
        parts = _sooner(deadline)
        steps: Dict[str, Callable[[], Any]] = {
            "log": lambda: engine.logs(container, self._log_lines, parts, tty=bool(inspected["Config"].get("Tty"))),
            "look": lambda: self._stands_on(view, inspected, life["state"], life["restart_loop"], parts),
            "directory_used_by": lambda: self._used_by(view, inspected, parts),
        }
        if life["state"] in _LIVE:
            steps["processes"] = lambda: _containers.rows(engine.top(container, parts))
        outcome = side_by_side(steps, parts)
        self._note({"server." + name: error for name, error in outcome.errors.items()})
        users, not_seen = outcome.values.get("directory_used_by", ([], "other containers and processes"))
        rows: List[_containers.Row] = outcome.values.get("processes", [])
        postmaster = _containers.postmaster(rows)
        look, here = outcome.values.get("look", (None, False))
        if look is not None:
            self.errors.update({"server." + name: text for name, text in look["errors"].items()})
        soft, hard = (look["nofile_soft"], look["nofile_hard"]) if look is not None and here else (None, None)
        if soft is None:
            soft, hard = _containers.nofile(inspected)
        lock = look["lock_file"] if look is not None else None
        if lock is not None and not here:  # another pid namespace: no process of a stopped container is alive
            lock["pid_alive"] = postmaster is not None if life["state"] == "paused" else False
        log, read, source = self._logs(outcome.values.get("log"), look)
        return {
            "name": container_name(inspected),
            "service": self.service,
            "image": inspected["Config"].get("Image"),
            "engine_command": engine.command,
            **life,
            "postmaster_pid": postmaster["pid"] if postmaster else None,
            "postmaster_state": postmaster["state"] if postmaster else None,
            "processes": _containers.processes(rows),
            "data_directory": look["data_directory"] if look is not None else None,
            "program_version": look["program_version"] if look is not None else None,
            "other_clusters": look["other_clusters"] if look is not None else [],
            "directory_used_by": users,
            "directory_unseen": not_seen,
            "obstacle": self._obstacle(inspected),
            "disks": look["disks"] if look is not None else self._disks(view, inspected),
            "mounts": _containers.mounts(inspected),
            "nofile_soft": soft,
            "nofile_hard": hard,
            "memory_limit_bytes": inspected["HostConfig"].get("Memory") or None,
            "lock_file": lock,
            "control": look["control"] if look is not None else None,
            "configuration": look["configuration"] if look is not None else None,
            "altered_settings": look["altered_settings"] if look is not None else None,
            "listening": look["listening"] if look is not None and here else None,
            "published": _containers.published(inspected),
            "networks": _containers.networks(inspected, view.others),
            "log": log,
            "log_lines_read": read,
            "log_source": source,
        }

    def obstacle(self, deadline: Deadline) -> Optional[str]:
        inspected = self.look_again(deadline)
        if inspected is None:
            return "service %s has no container: create it from its Compose file (%s compose up -d %s)" % (
                self.service,
                self.engine_command,
                self.service,
            )
        return self._obstacle(inspected)

    def _obstacle(self, inspected: Inspection) -> Optional[str]:
        name, host = container_name(inspected), inspected["HostConfig"]
        if inspected["State"]["Status"] == "paused":  # a signal by the engine would wake it: somebody had a reason
            command = self.engine_command
            return "container %s is paused: find out who paused it, then %s unpause %s" % (name, command, name)
        if host.get("AutoRemove"):
            return "container %s was started with --rm: stopping it would remove it and its anonymous volumes" % name
        restarts = (host.get("RestartPolicy") or {}).get("Name") in ("always", "unless-stopped")
        if restarts and _containers.stop_signal(inspected) not in STOP_SIGNALS:
            return (
                "container %s has the stop signal %s, which does not shut PostgreSQL down cleanly, and its "
                "restart policy would restart it after any other: set stop_signal: SIGINT in the Compose file"
                % (name, inspected["Config"].get("StopSignal"))
            )
        return None

    def _stands_on(
        self, view: View, inspected: Inspection, state: str, restart_loop: bool, deadline: Deadline
    ) -> Tuple[_look.Look, bool]:
        """The look script's answer, and whether it ran in the container itself."""
        words = _containers.arguments(inspected)
        mounts = [mount["destination"] for mount in _containers.mounts(inspected)]
        directory = self._data_directory or _containers.data_directory(inspected)
        if state == "running" and not restart_loop:
            pid = view.enterable(inspected)
            stopped = pid is not None and beside.postmaster(pid) is None
            text = _look.script(self._data_directory, self._bin_directory, stopped, words, self._log_lines, mounts)
            try:
                done = view.engine.run(inspected["Id"], ["sh", "-c", text], deadline, user="0:0")
            except EngineError:
                pass  # it has stopped, or was paused, since we looked
            else:
                look = _look.parse(done.out)
                if look["data_directory"] is not None or done.code == 0:
                    return look, True
        guess = None if directory else _likely(inspected)
        if directory is not None and _containers.mount_of(inspected, directory) is None:
            return self._look_at_layer(view, inspected, directory, deadline), False

        def at(place: Optional[str]) -> _look.Look:
            words = self.server_arguments(inspected, place, deadline)
            text = _look.script(place, self._bin_directory, state != "paused", words, self._log_lines, mounts)
            done = view.engine.toolbox(
                inspected["Image"],
                ["sh", "-c", text],
                deadline,
                volumes_from=inspected["Id"],
                environment=plain_environment(inspected),
                capabilities=_LOOK_CAPABILITIES,
            )
            look = _look.parse(done.out)
            file = _containers.setting(words, "--config_file", "config_file")
            refused = look["configuration"] is not None and not look["configuration"]["valid"]
            if refused and file and _containers.mount_of(inspected, file) is None:
                # The toolbox has the image's file there, or none.
                look["configuration"] = None
                look["errors"]["configuration"] = "%s is not on a volume, and the container is not running" % file
            return look

        look = at(directory or guess)
        found = [each["path"] for each in look["other_clusters"]]
        if guess and look["data_directory"] and not look["data_directory"]["version"]:  # no more than likely, and wrong
            if len(found) == 1:
                look = at(found[0])
            else:
                look = _look.parse("")
                where = " (%s hold one)" % ", ".join(found) if found else ""
                look["errors"] = {"data_directory": "nothing tells where the data is%s: set data_directory" % where}
        own = (inspected["Config"].get("User") or "").split(":")[0]
        root = own in ("", "0", "root")
        if look["data_directory"] is not None and own != "postgres" and not (root and _containers.official(inspected)):
            # Not as whom the image's list of users calls postgres, but as this one, or whom its maker's script chooses.
            look["data_directory"]["expected_uid"] = int(own) if own.isdigit() and not root else None
        return look, False

    def _used_by(
        self, view: View, inspected: Inspection, deadline: Deadline
    ) -> Tuple[List[DirectoryUser], Optional[str]]:
        pid = view.enterable(inspected)
        found = beside.postmaster(pid) if pid is not None else None
        directory = self._directory(inspected, found) or _likely(inspected)
        running = found.pid if found is not None else None
        if directory is None:
            return [], "other containers and processes"
        return sharing.users(view, inspected, directory, running, deadline)

    def _look_at_layer(self, view: View, inspected: Inspection, directory: str, deadline: Deadline) -> _look.Look:
        """A stopped server whose data is on no volume, only in its container: the engine shows single files of it."""
        look = _look.parse("")
        look["errors"] = {
            "control": "the data is not on a volume, and container %s is not running" % container_name(inspected)
        }
        found = view.engine.file(inspected["Id"], directory, deadline)
        facts: DataDirectory = {
            "path": directory,
            "exists": found is not None,
            "mode": None,
            "owner_uid": None,
            "expected_uid": None,
            "version": None,
            "entries": None,
            "cluster_files": None,
            "databases": None,
            "standby_signal": False,
            "recovery_signal": False,
            "backup_label": False,
        }
        if found is not None:
            facts["mode"], facts["owner_uid"] = "%04o" % (found.mode & 0o7777), found.uid
            version = view.engine.file(inspected["Id"], directory + "/PG_VERSION", deadline)
            if version is not None:
                facts["version"], facts["expected_uid"] = version.text.strip() or None, version.uid
        look["data_directory"] = facts
        return look

    def _disks(self, view: View, inspected: Inspection) -> List[Disk]:
        """Where no toolbox can be started (is the engine's disk full, too?): the volume's file system, from here."""
        directory = self._data_directory or _containers.data_directory(inspected) or _likely(inspected)
        mount = _containers.mount_of(inspected, directory) if directory else None
        if directory is None or mount is None or not view.engine.local:
            return []
        try:
            found = os.statvfs(mount["Source"])
        except (OSError, KeyError):
            return []
        return [
            {
                "role": "data",
                "path": directory,
                "total_bytes": found.f_blocks * found.f_frsize,
                "free_bytes": found.f_bavail * found.f_frsize,
                "total_inodes": found.f_files or None,
                "free_inodes": found.f_favail if found.f_files else None,
            }
        ]

    def _logs(self, text: Optional[str], look: Optional[_look.Look]) -> Tuple[List[LogEntry], int, Optional[str]]:
        """The container's log, and after it the collector's file where there is one: the server writes there later."""
        own = look["log_text"] if look is not None else None
        entries = _log.classify(text, self._log_lines) if text else []
        read = min(text.count("\n"), self._log_lines) if text else 0
        if own:
            entries += _log.classify(own, self._log_lines)
            read += own.count("\n") + 1
        source = look["log_path"] if look is not None and own else "container log" if text is not None else None
        return entries, read, source

    # --- question 2 ------------------------------------------------------------------------------------------------

    def wire(self, deadline: Deadline, logged_in: bool = False) -> List[WireAnswer]:
        view = self._view(deadline)
        if view.server is None or view.server["State"]["Status"] not in _LIVE:
            return []
        parts = _sooner(deadline)
        probing = _sooner(parts.sooner(_SILENT_SECONDS))
        inspected = view.server
        pid = view.enterable(inspected)
        steps: Dict[str, Callable[[], List[WireAnswer]]] = {}
        port, user = _containers.port(inspected), self._user(inspected)
        ask: _wire.Ask = _wire.knock if logged_in else functools.partial(_wire.probe, user=user)
        sockets = _socket_directories(inspected)
        if pid is not None:
            found = beside.postmaster(pid)
            directory = self._directory(inspected, found)
            noted = beside.lock_file(pid, directory) if directory else (None, None)
            port, sockets = noted[0] or port, [noted[1]] if noted[1] else sockets
            steps["inside"] = lambda: self._ask_inside(pid, inspected, port, ask, probing, parts)
            for number, each in enumerate(sockets):
                steps["socket %d" % number] = _ask_socket(pid, each, port, ask, probing)
        else:
            steps["inside"] = lambda: ready.ask(
                self._readiness_run(view, inspected),
                self._directory(inspected, None),
                port,
                user,
                # A toolbox has a /tmp of its own. As root, pg_isready is refused by "peer", which the server would log.
                sockets if inspected["State"]["Status"] == "running" and not logged_in else [],
                [network["address"] for network in _containers.networks(inspected) if network["address"]],
                parts,
            )
        if view.engine.local:
            for binding in _containers.published(inspected):
                if binding["port"] == port:
                    steps["published %s %d" % (binding["host_address"], binding["host_port"])] = _ask_published(
                        binding["host_address"], binding["host_port"], ask, probing
                    )
        first = {name: step for name, step in steps.items() if name.startswith("socket")}
        outcome = side_by_side(first, parts)
        # Where a log-in hangs every further one would, and hold a slot for as long as what it waits for is there.
        if not any(one["outcome"] == "silent" for found in outcome.values.values() for one in found):
            rest = side_by_side({name: step for name, step in steps.items() if name not in first}, parts)
            outcome.values.update(rest.values)
            outcome.errors.update(rest.errors)
        self._note({"wire." + name: error for name, error in outcome.errors.items()})
        if not outcome.values and outcome.errors:
            raise next(iter(outcome.errors.values()))
        answers = [answer for name in steps for answer in outcome.values.get(name, [])]
        if len(sockets) > 1:  # guesses: one that is there speaks for all
            there = [one for one in answers if one["kind"] == "socket" and one["outcome"] != "missing"]
            kept = there or [one for one in answers if one["kind"] == "socket"][:1]
            answers = kept + [one for one in answers if one["kind"] != "socket"]
        return sorted(answers, key=lambda one: ("socket", "loopback", "network", "published").index(one["kind"]))

    def _ask_inside(
        self, pid: int, inspected: Inspection, port: int, ask: _wire.Ask, probing: Deadline, deadline: Deadline
    ) -> List[WireAnswer]:
        addresses = [("loopback", "127.0.0.1")] + [
            ("network", network["address"]) for network in _containers.networks(inspected) if network["address"]
        ]
        steps = {address: _step(ask, kind, (address, port), probing) for kind, address in addresses}
        # Threads that are started inside a namespace are born into it.
        outcome = place.in_namespace(pid, lambda: side_by_side(steps, deadline), deadline)
        self._note({"wire." + name: error for name, error in outcome.errors.items()})
        return [answer for address in steps for answer in outcome.values.get(address, [])]

    def _readiness_run(self, view: View, inspected: Inspection) -> Callable[[Sequence[str], Deadline], Completed]:
        def run(argv: Sequence[str], deadline: Deadline) -> Completed:
            if inspected["State"]["Status"] == "running":
                return view.engine.run(inspected["Id"], argv, deadline, user="0:0")
            return view.engine.toolbox(
                inspected["Image"],
                argv,
                deadline,
                environment=plain_environment(inspected),
                network_mode="container:" + inspected["Id"],
                volumes_from=inspected["Id"],
                capabilities=_LOOK_CAPABILITIES,
            )

        return run

    # --- questions 3 and 5 -----------------------------------------------------------------------------------------

    def clients(self) -> Sequence[ComposeClient]:
        deadline = Deadline(self._connect_timeout_seconds)
        view = self._view(deadline)
        # Where a client that says nothing about its database finds it.
        defaults = {"host": self.service, "port": _containers.port(view.server) if view.server is not None else 5432}
        found: List[ComposeClient] = []
        for option in self.declared:
            containers: List[Optional[Inspection]] = [*view.clients.get(option.service, [])]
            found += [ComposeClient(view, option, inspected, defaults, deadline) for inspected in containers or [None]]
        return found

    # --- beside the server -----------------------------------------------------------------------------------------

    def neighbours(
        self, role: str, held: Collection[str], known: Collection[str], deadline: Deadline
    ) -> Sequence[User]:
        return others.neighbours(self._view(deadline), role, held, known, deadline)

    def run_beside(
        self, argv: Sequence[str], deadline: Deadline, stdin: str = "", environment: Optional[Dict[str, str]] = None
    ) -> Completed:
        view = self._view(deadline)
        if view.server is None:
            raise DownError(
                "Service %s of project %s has no container to run %s in"
                % (self.service, self.project, posixpath.basename(argv[0]))
            )
        state = view.server["State"]["Status"]
        if state != "running":
            error = DownError if state in ("created", "exited", "dead") else TargetError
            raise error("Container %s is %s: nothing can run beside the server" % (container_name(view.server), state))
        for user in self.users(view, view.server, deadline):
            try:
                return view.engine.run(view.server["Id"], argv, deadline, stdin, environment, user)
            except EngineError as error:
                if "unable to find user" not in error.msg:
                    raise TargetError(
                        "Container %s: %s" % (container_name(view.server), error.msg), error.hint
                    ) from None
        raise TargetError(
            "Container %s shows no PostgreSQL process, so its OS user is unknown" % container_name(view.server)
        )

    def run_at_rest(
        self, program: str, words: Sequence[str], seconds: int, environment: Mapping[str, str], deadline: Deadline
    ) -> Completed:
        """In a toolbox, which cannot write to the volumes."""
        view = self._view(deadline)
        directory = self.known_directory(deadline)
        if view.server is None or directory is None or _containers.mount_of(view.server, directory) is None:
            raise TargetError("the data of service %s is on no volume that can be read from here" % self.service)
        environ = plain_environment(view.server)
        programs = self._bin_directory or _programs(environ)
        return view.engine.toolbox(
            view.server["Image"],
            bounded(posixpath.join(programs, program) if programs else program, words, seconds),
            deadline,
            volumes_from=view.server["Id"],
            environment={**environ, **environment},
            capabilities=_LOOK_CAPABILITIES,
        )

    def users(self, view: View, inspected: Inspection, deadline: Deadline) -> Iterator[str]:
        """Whom the postmaster may run as, surest and cheapest first (lazily: the last one costs a request)."""
        pid = view.enterable(inspected)
        found = beside.postmaster(pid) if pid is not None else None
        if found is not None and found.uid is not None:
            yield str(found.uid)
            return
        own = (inspected["Config"].get("User") or "").split(":")[0]
        yield own if own not in ("", "0", "root") else "postgres"
        top = view.engine.top(inspected["Id"], deadline)
        row = _containers.postmaster(_containers.rows(top))
        if row is not None and row["uid"].isdigit():
            yield row["uid"]

    def in_its_place(self, deadline: Deadline) -> Optional[AnotherServer]:
        return None  # its network is its own

    def session_settings(self) -> Dict[str, Any]:
        view = self._view(Deadline(self._connect_timeout_seconds))
        if view.server is None:
            return {
                "data_directory": self._data_directory,
                "bin_directory": self._bin_directory,
                "user": self._login_user or "postgres",
                "database": self._login_db or "postgres",
            }
        pid = view.enterable(view.server)
        found = beside.postmaster(pid) if pid is not None else None
        env = _containers.environment(view.server)
        return {
            "data_directory": self._directory(view.server, found),
            "bin_directory": self._bin_directory or (found.bin_directory if found else None) or _programs(env),
            "user": self._user(view.server),
            "database": self._login_db or "postgres",  # the one that is always there, whatever POSTGRES_DB made
        }

    def close(self) -> None:
        with self._lock:
            if self._engine is not None:
                self._engine.close()
            self._engine = self._seen = None

    # --- what is there ---------------------------------------------------------------------------------------------

    def view(self, deadline: Deadline) -> View:
        """The project as it was seen first, or after the last ``forget``."""
        return self._view(deadline)

    def server_arguments(self, inspected: Inspection, directory: Optional[str], deadline: Deadline) -> List[str]:
        """Of ``postgres``: by the container's command line; where a script starts it, PostgreSQL keeps how it did."""
        words = _containers.arguments(inspected)
        if words or directory is None:
            return words
        file = self._view(deadline).engine.file(inspected["Id"], directory + "/postmaster.opts", deadline)
        try:
            return shlex.split(file.text)[1:] if file is not None else []
        except ValueError:
            return []

    def known_directory(self, deadline: Deadline) -> Optional[str]:
        """The server's data directory by the options or its container's configuration; None: nothing names it."""
        view = self._view(deadline)
        return self._directory(view.server, None) if view.server is not None else None

    def used_by(self, deadline: Deadline) -> List[DirectoryUser]:
        """Other servers on the data directory, as of now."""
        inspected = self.look_again(deadline)
        return self._used_by(self._view(deadline), inspected, deadline)[0] if inspected is not None else []

    def forget(self) -> None:
        """Look anew from now on: something was changed. The engine stays connected."""
        with self._lock:
            self._seen = None
            self.errors.clear()

    def look_again(self, deadline: Deadline) -> Optional[Inspection]:
        """The server's container as it is now, None when it is gone; everything else of the view stays."""
        view = self._view(deadline)
        if view.server is None:
            return None
        try:
            inspected: Optional[Inspection] = view.engine.inspect(view.server["Id"], deadline)
        except EngineError as error:
            if error.status != 404:
                raise
            inspected = None
        with self._lock:
            self._seen = dataclasses.replace(view, server=inspected)
        return inspected

    def _view(self, deadline: Deadline) -> View:
        with self._lock:
            if self._seen is None:
                if self._engine is None:
                    self._engine = connect(self._docker_host, deadline)
                services = [option.service for option in self.declared]
                self._seen = find(self._engine, self.project, self.service, services, deadline)
                self.errors.update(self._seen.notes)
            return self._seen

    def _user(self, inspected: Inspection) -> str:
        return self._login_user or _containers.environment(inspected).get("POSTGRES_USER") or "postgres"

    def _directory(self, inspected: Inspection, found: Optional[beside.Postmaster]) -> Optional[str]:
        return (
            self._data_directory or (found.data_directory if found else None) or _containers.data_directory(inspected)
        )

    def _note(self, errors: Mapping[str, Exception]) -> None:
        self.errors.update({name: str(error) for name, error in errors.items()})


def _sooner(deadline: Deadline) -> Deadline:
    """For what is waited for inside a step: its silence must be known before those who wait for the step give up."""
    return deadline.sooner(max(0.1, deadline.left() - 0.3))


def _step(ask: _wire.Ask, kind: str, address: _wire.Address, deadline: Deadline) -> Callable[[], List[WireAnswer]]:
    return lambda: [ask(address, deadline, kind)]


def _ask_socket(
    pid: int, directory: str, port: int, ask: _wire.Ask, deadline: Deadline
) -> Callable[[], List[WireAnswer]]:
    return _step(ask, "socket", beside.inside(pid, "%s/.s.PGSQL.%d" % (directory.rstrip("/"), port)), deadline)


def _ask_published(address: str, port: int, ask: _wire.Ask, deadline: Deadline) -> Callable[[], List[WireAnswer]]:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(address, address)
    return _step(ask, "published", (reachable, port), deadline)


def _socket_directories(inspected: Inspection) -> List[str]:
    """Where the server's first socket is by its command line, else where PostgreSQL's builds put it."""
    given = _containers.setting(_containers.arguments(inspected), "-k", "unix_socket_directories")
    first = (given or "").split(",")[0].strip()
    return [first] if first.startswith("/") else ["/var/run/postgresql", "/tmp"]


def _likely(inspected: Inspection) -> Optional[str]:
    """A stopped server that nothing says the directory of: a volume that is named like one."""
    for mount in inspected.get("Mounts") or []:
        if any(word in mount["Destination"] for word in ("postgres", "pgdata", "pgsql")):
            return str(mount["Destination"])
    return None


def plain_environment(inspected: Inspection) -> Dict[str, str]:
    """What the server's programs need of its environment; nothing secret goes into a toolbox's configuration."""
    env = _containers.environment(inspected)
    return {name: env[name] for name in ("PATH", "PGDATA", "PG_MAJOR", "LD_LIBRARY_PATH") if name in env}


def _programs(env: Mapping[str, str]) -> Optional[str]:
    for path in env.get("PATH", "").split(":"):
        if "/postgresql/" in path or "/pgsql" in path:
            return path
    return (
        "/usr/lib/postgresql/%s/bin" % env["PG_MAJOR"]
        if "PG_MAJOR" in env and "/usr/lib" in env.get("PATH", "")
        else None
    )
