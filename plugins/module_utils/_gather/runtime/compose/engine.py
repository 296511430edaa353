# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine: requests with a deadline, commands in containers, and short-lived toolbox containers.

The SDK's ``APIClient`` carries the requests (its session is safe to share between threads). What it cannot do is done
here: a deadline for every read, standard input that ends, output that is not lost when it arrives with the headers.
"""

from __future__ import annotations

import functools
import json
import socket
import struct
import sys
import tarfile
import threading
import time
import uuid
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ...._core import numbers
from ...._core.deadline import Deadline
from ...._core.errors import DeadlineError, OncallError, OptionsError, TargetError
from ...._core.side_by_side import side_by_side
from ..base import Completed

OLDEST_API, NEWEST_API = (1, 41), (1, 44)  # Engine 20.10; the newest form of the answers that this file knows
TOOLBOX = "oncall.postgresql"  # the label that marks our own containers, value "toolbox"
TOOLBOX_UNTIL = "oncall.postgresql.until"  # when nobody waits for it any more, seconds of the epoch
_DEFAULT_HOST = "unix:///var/run/docker.sock"
_MAX_OUTPUT = 16 * 1024 * 1024
_HIJACK = {"Connection": "Upgrade", "Upgrade": "tcp"}


class EngineError(TargetError):
    """The engine refused a request; ``status`` is the HTTP status."""

    def __init__(self, msg: str, hint: str = "", status: int = 0) -> None:
        super().__init__(msg, hint)
        self.status = status


def connect(docker_host: Optional[str], deadline: Deadline) -> "Engine":
    """The engine at ``docker_host`` (unix://, tcp://, ssh://); None: ``DOCKER_HOST``, else the default socket.

    TLS by the usual variables ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH``. Raises OptionsError where the SDK is
    missing or the address makes no sense, TargetError where no engine answers, DeadlineError where it takes too long.
    """
    try:
        import docker
        import docker.utils
    except ImportError as error:
        raise OptionsError(
            "runtime=compose needs the Docker SDK for Python, and %s has none (%s)" % (sys.executable, error),
            "Install it there: apt install python3-docker, or pip install docker.",
        ) from error
    settings = docker.utils.kwargs_from_env()
    host = docker_host or settings.get("base_url") or _DEFAULT_HOST
    on_close: Callable[[], str] = str
    ssh = None
    try:
        if host.startswith("ssh://"):
            from .ssh import Tunnel

            ssh = Tunnel(host)
            # No request goes to this base: every one is taken by the tunnel's adapter.
            client = docker.APIClient(base_url=_DEFAULT_HOST, version="%d.%d" % OLDEST_API)
            client.mount("http+docker://", ssh.adapter())
            on_close = ssh.close
        else:
            tls = settings.get("tls", False) if not host.startswith("unix://") else False
            client = docker.APIClient(base_url=host, version="%d.%d" % OLDEST_API, tls=tls)
    except (docker.errors.DockerException, ValueError) as error:
        raise OptionsError(
            "docker_host=%s is no engine's address: %s" % (host, error),
            "Use unix:///path, tcp://host:port or ssh://user@host.",
        ) from error
    engine = Engine(client, host, ssh.said if ssh else str, on_close)
    try:
        engine.negotiate(deadline)
    except OncallError:
        engine.close()
        raise
    return engine


class File(NamedTuple):
    """A file of a container: its permission bits, its owner, what is in it (at most 64 KiB), where it links to."""

    mode: int
    uid: int
    text: str
    link: str = ""


class Engine:
    """One engine, shared by all threads. ``local``: it is reached by a socket of this machine."""

    def __init__(self, client: Any, host: str, said: Callable[[], str], on_close: Callable[[], str]) -> None:
        self._client = client
        self._said = said
        self._on_close = on_close
        self._prefix = ""
        self._ahead = 0.0
        self._toolboxes: Set[str] = set()  # names of those that are not removed yet
        self.host = host
        self.local = host.startswith("unix://")

    def negotiate(self, deadline: Deadline) -> None:
        """Agree on the API's version: one that this file knows, unless the engine is too new to speak it."""
        try:
            answer = self._request("GET", "/version", deadline)
            version = answer.json()
        except (EngineError, ValueError) as error:
            raise TargetError(
                "What answers at %s is no Docker engine: %s" % (self.host, error), "Check docker_host."
            ) from error
        newest, oldest = _version(version.get("ApiVersion")), _version(version.get("MinAPIVersion"))
        if newest < OLDEST_API:
            raise TargetError(
                "The engine at %s is %s (API %d.%d)" % ((self.host, version.get("Version")) + newest),
                "Docker Engine 20.10 or newer is needed.",
            )
        self._prefix = "/v%d.%d" % max(min(newest, NEWEST_API), oldest)
        date = parsedate_tz(answer.headers.get("Date") or "")
        if date and not self.local:
            self._ahead = mktime_tz(date) - time.time()

    def now(self) -> float:
        """Seconds of the epoch by the engine's clock."""
        return time.time() + self._ahead

    def get(self, path: str, deadline: Deadline, **params: Any) -> Any:
        return self._request("GET", path, deadline, params).json()

    def request(self, method: str, path: str, deadline: Deadline, body: Any = None, **params: Any) -> Any:
        """Any request of the Engine API; the answer's JSON, None where it has none."""
        answer = self._request(method, path, deadline, params, body)
        return answer.json() if answer.content.strip() else None

    def logs(self, container: str, tail: int, deadline: Deadline, tty: bool = False, since: float = 0) -> str:
        """The last lines of both streams, as text. A container with a terminal has no framing (``tty``)."""
        answer = self._request(
            "GET",
            "/containers/%s/logs" % container,
            deadline,
            {"stdout": 1, "stderr": 1, "tail": tail, "since": int(since)},
            stream=True,
        )
        try:
            answer.raw.decode_content = True
            content = answer.raw.read(_MAX_OUTPUT)
        except Exception as error:
            raise self._explain(error, "read the log of %s" % container) from error
        finally:
            answer.close()
        if not tty:
            content = b"".join(frame for _stream, frame in _frames(_exactly(content)))
        return _text(content)

    def run(
        self,
        container: str,
        argv: Sequence[str],
        deadline: Deadline,
        stdin: str = "",
        environment: Optional[Mapping[str, str]] = None,
        user: str = "",
    ) -> Completed:
        """Run a command in a running container (``user`` empty: the image's). EngineError 409 where it is not running.

        At the deadline the command is left to itself: its input and output end, which ends whatever we send.
        """
        what = "run %s in container %s" % (argv[0], container[:12])
        created = self.request(
            "POST",
            "/containers/%s/exec" % container,
            deadline,
            {
                "Cmd": list(argv),
                "User": user,
                "Env": ["%s=%s" % item for item in (environment or {}).items()],
                "AttachStdin": True,
                "AttachStdout": True,
                "AttachStderr": True,
                "Tty": False,
            },
        )
        path = "/exec/%s" % created["Id"]
        stream = self._hijack(path + "/start", deadline, {}, {"Detach": False, "Tty": False}, what)
        out, err = stream.talk(stdin.encode("utf-8", "surrogateescape"), deadline)
        while True:  # the streams end a moment before the engine notes the exit code
            state = self.get(path + "/json", deadline)
            if not state["Running"] and state["ExitCode"] is not None:
                return Completed(state["ExitCode"], _text(out), _text(err))
            if deadline.passed():
                raise DeadlineError("Tried to %s: its output ended, but not the command" % what)
            time.sleep(0.005)

    def toolbox(
        self,
        image: str,
        argv: Sequence[str],
        deadline: Deadline,
        stdin: str = "",
        volumes_from: Optional[str] = None,
        network_mode: str = "none",
        networks: Sequence[str] = (),
        user: str = "0:0",
        environment: Optional[Mapping[str, str]] = None,
        capabilities: Sequence[str] = (),
        hosts: Sequence[str] = (),
    ) -> Completed:
        """Run a command in a container of its own, which is gone again whatever happens.

        ``volumes_from`` (a container's id) mounts its volumes read-only. ``networks`` are joined besides
        ``network_mode``. What must stay secret goes by ``stdin``: arguments and environment can be inspected.
        """
        self._sweep(deadline)
        name = "oncall-toolbox-%s" % uuid.uuid4().hex[:12]
        what = "run %s in a toolbox container of image %s" % (argv[0], image[:19])
        body = {
            "Image": image,
            "Entrypoint": [argv[0]],
            "Cmd": list(argv[1:]),
            "User": user,
            "WorkingDir": "/",
            "Env": ["%s=%s" % item for item in (environment or {}).items()],
            "Labels": {TOOLBOX: "toolbox", TOOLBOX_UNTIL: str(int(time.time() + deadline.left() + 60))},
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "OpenStdin": True,
            "StdinOnce": True,
            "Tty": False,
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "NetworkMode": network_mode,
                "VolumesFrom": [volumes_from + ":ro"] if volumes_from else [],
                "Mounts": self._covers(image, volumes_from, deadline),
                "CapDrop": ["ALL"],
                "CapAdd": list(capabilities),
                "SecurityOpt": ["no-new-privileges", "label=disable"],  # SELinux: another container's volumes
                "LogConfig": {"Type": "none"},  # what it prints is for us, not for the engine's disk
                "PidsLimit": 256,
                "ExtraHosts": list(hosts),
            },
        }
        created = False
        self._toolboxes.add(name)
        try:
            container = self.request("POST", "/containers/create", deadline, body, name=name)["Id"]
            created = True
            for network in networks:
                self.request("POST", "/networks/%s/connect" % network, deadline, {"Container": container})
            stream = self._hijack(
                "/containers/%s/attach" % container,
                deadline,
                {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1},
                None,
                what,
            )
            try:
                self.request("POST", "/containers/%s/start" % container, deadline)
            except OncallError:
                stream.close()
                raise
            out, err = stream.talk(stdin.encode("utf-8", "surrogateescape"), deadline)
            code = self.request("POST", "/containers/%s/wait" % container, deadline)["StatusCode"]
            return Completed(code, _text(out), _text(err))
        finally:
            self._remove(name, created)
            self._toolboxes.discard(name)

    def close(self) -> None:
        """Hang up. Toolboxes that a thread is still waiting for, past its deadline, are removed before."""
        deadline = Deadline(1.5)
        left = self._toolboxes.copy()
        side_by_side({name: functools.partial(self._abandon, name, deadline) for name in left}, deadline)
        self._client.close()
        self._on_close()

    def _covers(self, image: str, volumes_from: Optional[str], deadline: Deadline) -> List[Dict[str, Any]]:
        """Memory mounts over each volume that the image declares and nothing else covers.

        So a toolbox never owns an anonymous volume, and can be removed *without* its volumes: removing them would be
        a way to lose the server's, should its container be removed meanwhile.
        """
        declared = (self.get("/images/%s/json" % image, deadline).get("Config") or {}).get("Volumes") or {}
        if not declared:
            return []
        mounts = self.get("/containers/%s/json" % volumes_from, deadline)["Mounts"] if volumes_from else []
        covered = {mount["Destination"].rstrip("/") for mount in mounts if mount.get("Type") != "tmpfs"}
        return [{"Type": "tmpfs", "Target": path} for path in declared if path.rstrip("/") not in covered]

    def _remove(self, name: str, created: bool = True) -> None:
        """Remove our own container, never its volumes. What an engine in trouble keeps, the next toolbox sweeps.

        An engine that did not confirm in time that it is ``created`` may still be at it.
        """
        deadline = Deadline(2)
        while True:
            try:
                self.request("DELETE", "/containers/%s" % name, deadline, force="true", v="false")
                return
            except EngineError as error:
                wait = error.status == 409 or (error.status == 404 and not created)  # 409: removal is under way
                if not wait or deadline.passed():
                    return
                time.sleep(0.05)
            except OncallError:
                return

    def _abandon(self, name: str, deadline: Deadline) -> None:
        while name in self._toolboxes and not deadline.passed():  # its own thread sees it go, and gives up
            self._remove(name)
            time.sleep(0.05)

    def _sweep(self, deadline: Deadline) -> None:
        """Remove toolboxes whose time is over: left behind by a run that was itself killed."""
        for left in self.containers(deadline, TOOLBOX + "=toolbox"):
            until = left["Labels"].get(TOOLBOX_UNTIL, "")
            if (numbers.whole(until) or time.time()) < time.time():
                self._remove(left["Id"])

    def containers(self, deadline: Deadline, *labels: str) -> List[Dict[str, Any]]:
        """All containers (stopped ones too) that carry all ``labels``."""
        filters = json.dumps({"label": labels})
        found: List[Dict[str, Any]] = self.get("/containers/json", deadline, all=1, filters=filters)
        return found

    def volumes(self, deadline: Deadline, label: str) -> List[Dict[str, Any]]:
        answer = self.get("/volumes", deadline, filters=json.dumps({"label": [label]}))
        return list(answer.get("Volumes") or [])

    def networks(self, deadline: Deadline, label: str) -> List[Dict[str, Any]]:
        return list(self.get("/networks", deadline, filters=json.dumps({"label": [label]})))

    def file(self, container: str, path: str, deadline: Deadline) -> Optional[File]:
        """A file or directory of a container that may be stopped; None when it is not there."""
        try:
            answer = self._request(
                "GET",
                "/containers/%s/archive" % container,
                deadline,
                {"path": path},
                stream=True,
                headers={"Accept-Encoding": "identity"},
            )
        except EngineError as error:
            if error.status == 404:
                return None
            raise
        try:
            with tarfile.open(fileobj=answer.raw, mode="r|", bufsize=tarfile.BLOCKSIZE) as archive:
                entry = archive.next()  # the thing itself; what is in a directory is not read
                if entry is None:
                    return None
                content = archive.extractfile(entry) if entry.isfile() else None
                text = _text(content.read(65536)) if content else ""
                return File(entry.mode, entry.uid, text, entry.linkname if entry.issym() else "")
        except tarfile.TarError as error:
            raise TargetError("The engine at %s gave no archive of %s" % (self.host, path)) from error
        except Exception as error:
            raise self._explain(error, "read %s of %s" % (path, container[:12])) from error
        finally:
            answer.close()

    def _hijack(self, path: str, deadline: Deadline, params: Dict[str, Any], body: Any, what: str) -> "_Stream":
        answer = self._request("POST", path, deadline, params, body, stream=True, headers=_HIJACK)
        return _Stream(answer, lambda error: self._explain(error, what), what)

    def _request(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        params: Optional[Dict[str, Any]] = None,
        body: Any = None,
        stream: bool = False,
        headers: Optional[Dict[str, str]] = None,
    ) -> Any:
        what = "%s %s" % (method, path)
        if deadline.passed():
            raise DeadlineError("No time was left to ask the engine at %s: %s" % (self.host, what))
        try:
            answer = self._client.request(
                method,
                self._client.base_url + self._prefix + path,
                params=params,
                json=body,
                stream=stream,
                headers=headers,
                timeout=deadline.left(),
                verify=self._client.verify,  # said again, or REQUESTS_CA_BUNDLE would replace it
            )
        except Exception as error:  # requests, urllib3 and the SDK each raise their own
            raise self._explain(error, what) from error
        if answer.status_code >= 400:
            raise EngineError(
                "The engine at %s refused %s: %s" % (self.host, what, _message(answer)), status=answer.status_code
            )
        return answer

    def _explain(self, error: BaseException, what: str) -> OncallError:
        """One clear line for whatever the layers below raised."""
        cause = _root(error)
        at = "the Docker engine at %s" % self.host
        if isinstance(cause, socket.timeout) or "timed out" in str(cause):
            return DeadlineError(
                "The Docker engine at %s gave no answer in time (%s)" % (self.host, what),
                self._said() or "Is it overloaded, or its host?",
            )
        if self.host.startswith("ssh://"):
            return TargetError(
                "No way to %s: %s" % (at, self._said() or cause),
                "Try: ssh %s docker version" % self.host[len("ssh://") :],
            )
        if isinstance(cause, FileNotFoundError):
            return TargetError(
                "No Docker engine at %s: no such socket" % self.host, "Start Docker on that host, or set docker_host."
            )
        if isinstance(cause, PermissionError):
            return TargetError(
                "Permission denied to talk to %s" % at, "Use become: true, or add the user to the group docker."
            )
        if isinstance(cause, ConnectionRefusedError):
            return TargetError("Nothing listens at %s" % self.host, "Start Docker there: systemctl start docker.")
        return TargetError(
            "Talking to %s failed: %s (%s)" % (at, cause, what),
            "Check docker_host, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.",
        )


class _Stream:
    """A connection that the engine has handed over: our input, and the command's two outputs in frames."""

    def __init__(self, answer: Any, explain: Callable[[BaseException], OncallError], what: str) -> None:
        self._answer = answer
        self._explain = explain
        self._what = what
        # Not the raw socket: what came in one packet with the headers waits in this reader's buffer.
        self._reader = answer.raw._fp.fp
        self._socket = self._reader.raw._sock

    def talk(self, stdin: bytes, deadline: Deadline) -> Tuple[bytes, bytes]:
        """Send all of ``stdin``, read both outputs to their end, hang up."""
        outputs: Dict[int, List[bytes]] = {1: [], 2: []}
        size = 0
        try:
            self._socket.settimeout(deadline.left())
            if len(stdin) > 32768:  # more than every buffer on the way holds: the command may answer before it has all
                threading.Thread(target=self._send, args=(stdin,), daemon=True).start()
            else:
                self._send(stdin)
            for number, frame in _frames(self._read(deadline)):
                outputs.setdefault(number, []).append(frame)
                size += len(frame)
                if size > _MAX_OUTPUT:
                    raise TargetError("Tried to %s: more than 16 MiB of output" % self._what)
        finally:
            self.close()
        return b"".join(outputs[1]), b"".join(outputs[2])

    def close(self) -> None:
        self._answer.close()

    def _send(self, stdin: bytes) -> None:
        try:
            self._socket.sendall(stdin)
            # Unbound on purpose: an SSLSocket's own shutdown would also drop its decryption of what is still to come.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
        except OSError:
            pass  # the command ended without reading it all; its exit code tells

    def _read(self, deadline: Deadline) -> Callable[[int], bytes]:
        def read(size: int) -> bytes:
            parts: List[bytes] = []
            while size > 0:
                if deadline.passed():
                    raise DeadlineError("Tried to %s: it did not finish in time" % self._what)
                self._socket.settimeout(deadline.left())
                try:
                    part = self._reader.read1(size)
                except socket.timeout as error:
                    raise DeadlineError("Tried to %s: it did not finish in time" % self._what) from error
                except (OSError, ValueError) as error:
                    raise self._explain(error) from error
                if not part:
                    break
                parts.append(part)
                size -= len(part)
            return b"".join(parts)

        return read


def _exactly(content: bytes) -> Callable[[int], bytes]:
    view = memoryview(content)
    position = [0]

    def read(size: int) -> bytes:
        part = view[position[0] : position[0] + size]
        position[0] += len(part)
        return bytes(part)

    return read


def _frames(read: Callable[[int], bytes]) -> Iterator[Tuple[int, bytes]]:
    """Docker Engine API, "Attach to a container": a byte for the stream, three of nothing, four of length."""
    while True:
        header = read(8)
        if len(header) < 8:
            return
        number, size = struct.unpack(">BxxxL", header)
        frame = read(size)
        yield number, frame
        if len(frame) < size:
            return


def _root(error: BaseException) -> BaseException:
    """The operating system's error at the bottom of what urllib3 and requests have wrapped around it."""
    seen: List[BaseException] = []
    waiting: List[Any] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or one in seen:
            continue
        seen.append(one)
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None)] + list(one.args)
    for one in seen:
        if isinstance(one, OSError) and (one.errno is not None or isinstance(one, socket.timeout)):
            return one
    return seen[-1] if seen else error


def _message(answer: Any) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return str(answer.text).strip()[:300] or "HTTP status %s" % answer.status_code


def _version(text: Any) -> Tuple[int, int]:
    parts = str(text or "0.0").split(".")
    return int(parts[0]), int(parts[1])


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
