# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away containers on the real engine, with the labels that Compose would give them; and a way to it over TCP."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from tests.lab.images import image

PASSWORD = "correct-horse-7"
TOOLBOX = "label=oncall.postgresql=toolbox"


def docker(*words: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError("docker %s: %s" % (" ".join(words), done.stderr.strip()))
    return done.stdout.strip()


def inspect(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", name))[0]
    return found


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, "waited %s s in vain" % seconds
        time.sleep(0.2)


class Project:
    """Containers that look like a Compose project's. Everything is removed at the end, volumes too."""

    def __init__(self, labels: dict[str, str] | None = None) -> None:
        self.name = "composetest-%s" % uuid.uuid4().hex[:8]
        self._extra = labels or {}
        self._containers: list[str] = []
        self._networks: list[str] = []
        self.network("default")

    def network(self, name: str) -> str:
        full = "%s_%s" % (self.name, name)
        docker("network", "create", "--label", "com.docker.compose.project=" + self.name, full)
        self._networks.append(full)
        return full

    def run(
        self,
        service: str,
        tag: str,
        *options: str,
        command: tuple[str, ...] = (),
        one_off: bool = False,
        by_compose: bool = True,
        network: str = "default",
    ) -> str:
        """Start a container of ``service``, by a name that has nothing to do with it; returns the name."""
        name = "ct-%s" % uuid.uuid4().hex[:10]
        labels = {"project": self.name, "service": service, **self._extra}
        if by_compose:  # an image that it has built, and what is run of one by hand, has only the first two
            labels.update({"oneoff": str(one_off), "container-number": "1"})
        words = ["--label=com.docker.compose.%s=%s" % label for label in labels.items()]
        self._containers.append(name)
        alias = [] if one_off or not by_compose else ["--network-alias", service]
        docker(
            "run",
            "-d",
            "--name",
            name,
            *words,
            "--network",
            "%s_%s" % (self.name, network),
            *alias,
            *options,
            image(tag),
            *command,
        )
        return name

    def postgres(self, *options: str, command: tuple[str, ...] = (), ready: bool = True) -> str:
        name = self.run("postgres", "postgres:17", "-e", "POSTGRES_PASSWORD=" + PASSWORD, *options, command=command)
        if ready:
            wait_for(
                lambda: (
                    "ready to accept"
                    in subprocess.run(["docker", "logs", name], capture_output=True, text=True, check=False).stderr
                )
            )
        return name

    def api(self, tag: str = "api") -> str:
        return self.run("api", tag, "-e", "DATABASE_URL=postgresql://postgres:%s@postgres/postgres" % PASSWORD)

    def remove(self) -> None:
        for name in self._containers:
            docker("unpause", name, check=False)
            docker("rm", "-f", "-v", name, check=False)
        for name in self._networks:
            docker("network", "rm", name, check=False)


@contextlib.contextmanager
def project(**kwargs: Any) -> Iterator[Project]:
    made = Project(**kwargs)
    try:
        yield made
    finally:
        made.remove()


def engines_socket() -> socket.socket:
    engine = socket.socket(socket.AF_UNIX)
    engine.connect(os.environ.get("ONCALL_TEST_DOCKER_SOCKET", "/var/run/docker.sock"))
    return engine


@contextlib.contextmanager
def over_tcp(dial: Callable[[], socket.socket] = engines_socket) -> Iterator[str]:
    """The engine's address as another host would see it: by TCP, so that nothing beside it can be entered."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _peer = listener.accept()
                try:
                    engine = dial()
                except OSError:  # nobody listens there (yet)
                    here.close()
                    continue
                for pair in ((here, engine), (engine, here)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield "tcp://127.0.0.1:%d" % listener.getsockname()[1]
    finally:
        listener.close()
