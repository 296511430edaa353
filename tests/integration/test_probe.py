# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would it start again? Real configurations with which a healthy server would not, and those with which it would."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from tests.embedded import Server, free_port

from .test_server import to

NO_INTERFACE = "203.0.113.7"  # of RFC 5737: nobody's
MEMORY = "FATAL: could not map anonymous shared memory"
# setting, the FATAL that a restart would end in
FATAL = {
    "huge_pages": ("on", MEMORY),
    "shared_buffers": ("500GB", MEMORY),
    "listen_addresses": (NO_INTERFACE, r'could not create any TCP/IP sockets .*could not bind IPv4 address "203'),
    "wal_level": ("minimal", "FATAL: WAL streaming .*requires"),
    "unix_socket_directories": ("/nonexistent", 'could not create lock file "/nonexistent/'),
    "shared_preload_libraries": ("/nonexistent/audit.so", 'could not access file "/nonexistent/audit.so"'),
}


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    place = Path(tempfile.mkdtemp(prefix="oncall-probes-", dir="/tmp"))
    place.chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(place))
    yield
    place.rmdir()  # fails where anything is left in it


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def healthy(server: Server) -> Iterator[Server]:
    """Its files as they were, and never stopped."""
    first, auto = server.pid, (server.data / "postgresql.auto.conf").read_text()
    log = server.log.count("shutdown request")
    file = (server.data / "postgresql.conf").read_text()
    yield server
    (server.data / "postgresql.auto.conf").write_text(auto)
    (server.data / "postgresql.conf").write_text(file)
    assert server.pid == first and server.log.count("shutdown request") == log


def sockets(server: Server) -> list[str]:
    return sorted(path.name for path in server.directory.iterdir())


def refused(server: Server, text: str, check_mode: bool = False) -> RefusedError:
    with pytest.raises(RefusedError, match=text) as raised:
        to("restarted", server, check_mode=check_mode)
    return raised.value


@pytest.mark.parametrize("name", FATAL)
def test_what_the_binary_refuses_is_refused(healthy: Server, name: str) -> None:
    value, text = FATAL[name]
    healthy.sql("ALTER SYSTEM SET %s = '%s'" % (name, value))
    before, log = sockets(healthy), healthy.log
    error = refused(healthy, "would not start again: .*" + text, check_mode=name == "wal_level")
    assert "It refuses %s (waits for this restart). Correct %s in " % (name, name) in error.hint
    assert "%s/postgresql.auto.conf line " % healthy.data in error.hint
    assert sockets(healthy) == before and healthy.log == log


def test_a_port_that_another_process_has(healthy: Server) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        healthy.conf(port=taken.getsockname()[1])
        refused(healthy, "could not create any TCP/IP sockets .*in use")


def test_what_the_data_directory_holds_is_not_forgotten(healthy: Server) -> None:
    healthy.sql("SELECT pg_create_physical_replication_slot('standby')")
    try:
        healthy.sql("ALTER SYSTEM SET max_replication_slots = 0")
        refused(healthy, "max_replication_slots is 0, but 1 replication slots exist")
    finally:
        healthy.sql("SELECT pg_drop_replication_slot('standby')")


def test_a_file_that_postgresql_conf_includes(healthy: Server) -> None:
    folder = healthy.data / "conf.d"
    folder.mkdir(exist_ok=True)
    (folder / "wal.conf").write_text("wal_level = minimal\n")
    with (healthy.data / "postgresql.conf").open("a") as file:
        file.write("include_dir 'conf.d'\n")
    error = refused(healthy, "FATAL: WAL streaming")
    assert "wal_level in %s/wal.conf line 1 (minimal; it was replica)" % folder in error.hint


# --- what starts is not refused --------------------------------------------------------------------------------------


def much(server: Server) -> dict[str, Any]:
    return {
        "huge_pages": "try",
        "max_connections": 300,
        "listen_addresses": "*",
        "port": free_port(),
        "unix_socket_directories": '"%s", /tmp' % server.directory,
        "archive_mode": "on",
        "archive_command": "touch %s/archived-%%f" % server.directory,
        "logging_collector": "on",
        "log_directory": "log",
        "log_destination": "csvlog",
        "cluster_name": 'it\'s "it" $HOME',
        "external_pid_file": server.directory / "pid",
    }


def nothing(server: Server) -> dict[str, Any]:
    return {}


def minimal(server: Server) -> dict[str, Any]:
    return {"wal_level": "minimal", "max_wal_senders": 0}


@pytest.mark.parametrize("settings", [nothing, much, minimal])
def test_a_healthy_configuration_is_not_refused(healthy: Server, settings: Callable[[Server], dict[str, Any]]) -> None:
    healthy.conf(**settings(healthy))
    before = sockets(healthy)
    planned = to("restarted", healthy, check_mode=True)
    assert planned["changed"] is True and planned["notes"] == []
    assert sockets(healthy) == before and not (healthy.data / "log").exists()


def test_of_an_older_version() -> None:
    with Server(16, settings={"max_connections": 55}) as server:
        assert to("restarted", server)["notes"] == []


def test_a_preloaded_library_and_tls_and_a_configuration_elsewhere() -> None:
    with Server(tls=True, settings={"shared_preload_libraries": "pg_stat_statements"}) as server:
        server.stop()
        elsewhere = server.directory / "etc"
        elsewhere.mkdir()
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            (server.data / name).rename(elsewhere / name)
            server._own(elsewhere / name)
        with (elsewhere / "postgresql.conf").open("a") as file:
            for name, value in {"data_directory": server.data, "hba_file": elsewhere / "pg_hba.conf"}.items():
                file.write("%s = '%s'\n" % (name, value))
            for name in ("certificate", "key"):  # relative to the data directory
                path = Path(getattr(server.certificates, name))
                os.link(path, server.data / path.name)
                file.write("ssl_%s_file = '%s'\n" % ({"certificate": "cert"}.get(name, name), path.name))
            file.write("ident_file = '%s'\n" % (elsewhere / "pg_ident.conf"))
        server.run("pg_ctl", "start", "-D", elsewhere, "-l", server.log_file, "-w")
        assert to("restarted", server, check_mode=True)["notes"] == []
        with (elsewhere / "postgresql.conf").open("a") as file:
            file.write("ssl_key_file = 'nothing.key'\n")
        refused(server, r"nothing\.key")
        assert to("started", server)["changed"] is False
