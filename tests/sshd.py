# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts behind a real sshd on a free port of the loopback, with keys of its own and users that are gone afterwards.

    with Sshd() as sshd:
        Controller(tmp_path, {"db": beside(server)}, sshd.over_ssh())              # logs in as root
        Controller(tmp_path, {"db": beside(server)}, sshd.over_ssh(become=True))   # as somebody, then sudo
        owner = sshd.account()                                                     # as the server's own user
        Controller(tmp_path, {"db": beside(Server(os_user=owner))}, sshd.over_ssh(user=owner))
        Controller(tmp_path, {"db": {"docker_host": sshd.engine(), ...}}, refusing_ssh(), sshd.environment)

Runs as root, as the lab does: it makes users of this machine and lets them use sudo.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import itertools
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.embedded import free_port

_SUDOERS = Path("/etc/sudoers.d")
_NAME = "oncall-%d-%d"  # the process that made it, and a number
_numbers = itertools.count(1)
_PYTHON = "/usr/bin/python3"  # of an ordinary user, since a virtualenv below /root is out of reach


def refusing_ssh(host_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``host_vars`` of a host whose SSH port is closed: whatever tries to run there finds it unreachable, at once."""
    place = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": _closed_port()}
    return {**(host_vars or {}), **place}


@functools.cache
def _closed_port() -> int:
    holder = socket.socket()  # bound and never listening: nobody else can open it while the tests run
    holder.bind(("127.0.0.1", 0))
    _holders.append(holder)
    return int(holder.getsockname()[1])


_holders: list[socket.socket] = []


class Sshd:
    def __init__(self) -> None:
        assert os.geteuid() == 0, "the tests over SSH make users of this machine: run them as root"
        self._directory = Path(tempfile.mkdtemp(prefix="oncall-ssh-", dir="/tmp"))  # short: it holds sockets
        self._directory.chmod(0o755)
        self.port = free_port()
        self._accounts: list[str] = []
        for name in ("host", "user"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._directory / name))
        (self._directory / "user").chmod(0o600)
        self._daemon = self._listen()
        self._write_client()

    def __enter__(self) -> Sshd:
        _sweep()
        login = ("%s/bin/ssh" % self._directory, "-p", str(self.port), "root@127.0.0.1", "true")
        _wait_for(lambda: _run(*login, check=False).returncode == 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, what: BaseException | None, where: TracebackType | None
    ) -> None:
        for control in self._directory.glob("cp-*"):  # what Ansible keeps open for its next task
            _run("ssh", "-F", "none", "-O", "exit", "-o", "ControlPath=%s" % control, "x", check=False)
        self._daemon.terminate()
        self._daemon.wait()
        for name in self._accounts:
            _remove(name)
        shutil.rmtree(self._directory, ignore_errors=True)

    # --- for a test ---------------------------------------------------------------------------------------------------

    def over_ssh(
        self, host_vars: Mapping[str, Any] | None = None, *, become: bool = False, user: str = ""
    ) -> dict[str, Any]:
        """``host_vars`` of an inventory host that Ansible reaches by SSH.

        It logs in as root, or as ``user``, one of ``account()``. With ``become`` it logs in as an ordinary user (or
        ``user``, who then needs ``account(sudo=True)``) and becomes root, or ``ansible_become_user`` of ``host_vars``.
        The host key is checked; nothing of the user's own SSH configuration counts.
        """
        user = user or (self._sudoer if become else "root")
        options = "-F %s -o ControlPath=%s/cp-%%C" % (self._directory / "config", self._directory)
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": user,
            "ansible_ssh_common_args": options,
            "ansible_python_interpreter": sys.executable if user == "root" else _PYTHON,
            "ansible_become": become,
            **(host_vars or {}),
        }

    def account(self, *groups: str, sudo: bool = False) -> str:
        """The name of a new ordinary user of this machine, who logs in by key only; ``groups`` such as "docker"."""
        with _lock():
            name = _NAME % (os.getpid(), next(_numbers))
            home = self._directory / name
            words = ["--groups", ",".join(groups)] if groups else []
            _run("useradd", "-m", "-d", str(home), "-s", "/bin/sh", "-p", "*", *words, name)
            self._accounts.append(name)
            if sudo:
                rule = _SUDOERS / name
                rule.write_text("%s ALL=(ALL) NOPASSWD: ALL\n" % name)
                rule.chmod(0o440)
        return name

    def engine(self, user: str = "root") -> str:
        """``docker_host`` of this machine's engine by SSH; the command needs ``environment``, where its keys are."""
        return "ssh://%s@127.0.0.1:%d" % (user, self.port)

    @property
    def environment(self) -> dict[str, str]:
        """What makes the command ``ssh`` find the keys, for an engine at ``ssh://``."""
        return {"PATH": "%s/bin:%s" % (self._directory, os.environ["PATH"])}

    # --- of its own ---------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _sudoer(self) -> str:
        return self.account(sudo=True)

    def _listen(self) -> subprocess.Popen[str]:
        program = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
        assert program, "sshd is missing; run scripts/install-docker.sh"
        Path("/run/sshd").mkdir(exist_ok=True)
        place = self._directory
        (place / "sshd_config").write_text(
            "Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\n"
            "PermitRootLogin prohibit-password\nUsePAM no\nMaxStartups 100\nMaxSessions 100\n"
            "Subsystem sftp internal-sftp\n" % (self.port, place / "host", place / "user.pub")
        )
        with open(place / "log", "w") as log:
            return subprocess.Popen([program, "-D", "-e", "-f", str(place / "sshd_config")], stderr=log, text=True)

    def _write_client(self) -> None:
        place = self._directory
        key = (place / "host.pub").read_text()
        (place / "known_hosts").write_text("[127.0.0.1]:%d %s" % (self.port, key))
        (place / "config").write_text(
            "Host *\n  IdentityFile %s\n  IdentitiesOnly yes\n  BatchMode yes\n  StrictHostKeyChecking yes\n"
            "  UserKnownHostsFile %s\n  GlobalKnownHostsFile none\n" % (place / "user", place / "known_hosts")
        )
        wrapper = place / "bin" / "ssh"
        wrapper.parent.mkdir()
        wrapper.write_text('#!/bin/sh\nexec %s -F %s "$@"\n' % (shutil.which("ssh"), place / "config"))
        wrapper.chmod(0o755)


def _run(*argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, "%s: %s" % (" ".join(argv), done.stderr)
    return done


def _wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited %s s in vain" % seconds
        time.sleep(0.1)


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """useradd and userdel give up where another one is at work."""
    with open(Path(tempfile.gettempdir()) / "oncall-accounts.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove(name: str) -> None:
    uid = pwd.getpwnam(name).pw_uid
    with contextlib.suppress(AssertionError):  # such as a server that a procedure has started: it belongs to the test
        _wait_for(lambda: not any(_uid(place) == uid for place in Path("/proc").glob("[0-9]*")), 10)
    with _lock():
        (_SUDOERS / name).unlink(missing_ok=True)
        _run("userdel", "--force", name)


def _uid(place: Path) -> int | None:
    try:
        return place.stat().st_uid
    except OSError:
        return None


def _sweep() -> None:
    """What a run has left that was itself killed."""
    for user in pwd.getpwall():
        found = re.fullmatch(_NAME.replace("%d", "([0-9]+)"), user.pw_name)
        if found and not Path("/proc/%s" % found.group(1)).exists():
            with _lock():
                (_SUDOERS / user.pw_name).unlink(missing_ok=True)
                _run("userdel", "--force", user.pw_name, check=False)
