# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks of another shape: other names, Compose v1, replicas, an image without a shell. Healthy, and broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .looks import containers
from .stack import ADMIN_PASSWORD, PASSWORD, SEED, Stack, docker, playbook, run, wait_for, write_inventory


def expect(result: dict[str, Any], code: str, cause: str | None = None) -> None:
    verdict = result["verdict"]
    assert (verdict["code"], verdict["cause"]) == (code, cause), verdict


def test_shellless_client() -> None:
    with Stack("lab-shape", api="api-shellless") as stack:
        stack.up()
        command = ["docker", "exec", stack.name("api"), "/bin/sh", "-c", "true"]
        assert run(command, check=False).returncode != 0, "the image has a shell"
        healthy = stack.triage()
        expect(healthy, "healthy")
        assert healthy["facts"]["clients"][0]["place"] == "namespace"
        stack.sql("ALTER ROLE app PASSWORD 'another-one'")
        expect(stack.triage(), "authentication_failed", "wrong_password")
        docker("kill", stack.name("api"))
        stopped = stack.triage()
        assert stopped["facts"]["clients"][0]["place"] in ("toolbox", "none")
        assert "client_down" in [finding["code"] for finding in stopped["findings"]]


def test_renamed() -> None:
    with Stack("lab-shape", file="renamed.yml", server="main-db", client="web_front") as stack:
        stack.up()
        assert stack.name() == "Warehouse.SQL-" + stack.project
        result = stack.triage()
        expect(result, "healthy")
        assert result["facts"]["server"]["name"] == stack.name()
        docker("network", "disconnect", stack.project + "-hidden", stack.name("web_front"))
        expect(stack.triage(), "network_unreachable", "no_shared_network")


# As other makers' images do it: a script of theirs, another user, data and configuration elsewhere, passwords even on
# the socket, and nothing in the container's configuration that tells any of this.
MAKERS = """
set -e
data=/srv/postgresql/data conf=/etc/shop as="setpriv --reuid=33 --regid=33 --clear-groups"
if [ ! -s $$data/PG_VERSION ]; then
  mkdir -p $$conf; chown 33:33 /srv/postgresql; chmod 0777 /var/run/postgresql
  printf %s "$$POSTGRES_PASSWORD" >/tmp/password
  $$as initdb -D $$data -U postgres --pwfile=/tmp/password -A scram-sha-256
  mv $$data/postgresql.conf $$data/pg_hba.conf $$conf/
  echo "host all all all scram-sha-256" >>$$conf/pg_hba.conf
  echo "listen_addresses = '*'" >>$$conf/postgresql.conf
fi
exec $$as postgres -D $$data --config_file=$$conf/postgresql.conf --hba_file=$$conf/pg_hba.conf
"""


def test_an_image_of_another_maker() -> None:
    service = {
        "entrypoint": ["sh", "-c", MAKERS],
        "command": [],
        "environment": {"PGDATA": ""},
        "volumes": ["own:/srv/postgresql"],
    }
    with Stack("lab-shape") as stack:
        stack.start({"services": {"postgres": service}, "volumes": {"own": None}})

        def admin(text: str, database: str = "postgres") -> bool:
            words = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", text]
            beside = ["docker", "exec", "-e", "PGPASSWORD=" + ADMIN_PASSWORD, stack.name()]
            return run([*beside, *words], check=False).returncode == 0

        wait_for(lambda: admin("CREATE DATABASE shop"))
        assert all(admin(text, "shop") for text in SEED.split(";") if text.strip())
        stack.wait_api()
        result = stack.triage()
        expect(result, "healthy")
        assert result["facts"]["snapshot"]["limited"] is False
        unanswered = stack.triage(login_user="app")["verdict"]
        assert (unanswered["code"], unanswered["severity"]) == ("unknown", "warning")
        assert "set login_password" in unanswered["summary"]
        expect(stack.triage(login_user="app", login_password=PASSWORD), "healthy")
        inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
        restarted = playbook("oncall.postgresql.graceful_restart", "-i", str(inventory))
        assert restarted.returncode == 0, restarted.stdout
        stack.stop()
        result = stack.triage()
        expect(result, "server_down", "stopped")
        assert result["facts"]["server"]["data_directory"]["path"] == "/srv/postgresql/data"
        started = playbook("oncall.postgresql.start", "-i", str(inventory))
        assert started.returncode == 0, started.stdout
        expect(stack.triage(), "healthy")


def test_replicas() -> None:
    """Each replica is a client of its own: the one that is cut off is named."""
    with Stack("lab-shape") as stack:
        stack.up(scale=3)
        before = containers(stack)
        result = stack.triage()
        expect(result, "healthy")
        names = stack.names("api")
        assert sorted(client["name"] for client in result["facts"]["clients"]) == names
        assert containers(stack) == before
        docker("network", "disconnect", stack.network(), names[1])
        broken = stack.triage()
        expect(broken, "network_unreachable", "no_shared_network")
        assert names[1] in " ".join(broken["verdict"]["evidence"])
        assert names[0] not in broken["verdict"]["summary"]


@pytest.fixture
def first_version() -> Iterator[Stack]:
    """Containers as Compose v1 made them: names with underscores, other labels, no project network of its own label."""
    with Stack("lab-shape") as stack:
        network = stack.project + "_default"
        docker("network", "create", "--label", "com.docker.compose.project=" + stack.project, network)
        for service, image, arguments, environment in (
            (
                "postgres",
                stack.environment["LAB_POSTGRES_IMAGE"],
                ["postgres"],
                {"POSTGRES_PASSWORD": ADMIN_PASSWORD, "POSTGRES_DB": "shop"},
            ),
            (
                "api",
                stack.environment["LAB_API_IMAGE"],
                [],
                {"DATABASE_URL": "postgresql://app:%s@postgres:5432/shop" % PASSWORD},
            ),
        ):
            labels = {
                "com.docker.compose.project": stack.project,
                "com.docker.compose.service": service,
                "com.docker.compose.container-number": "1",
                "com.docker.compose.oneoff": "False",
                "com.docker.compose.version": "1.29.2",
                "com.docker.compose.config-hash": "0" * 64,
            }
            words = [word for key, value in labels.items() for word in ("--label", "%s=%s" % (key, value))]
            words += [word for key, value in environment.items() for word in ("-e", "%s=%s" % (key, value))]
            name = "%s_%s_1" % (stack.project, service)
            words += ["--name", name, "--network", network, "--network-alias", service]
            docker("run", "-d", *words, image, *arguments)
        stack.wait_ready()
        stack.sql(SEED)
        stack.wait_api()
        yield stack


def test_compose_v1(first_version: Stack) -> None:
    stack = first_version
    result = stack.triage()
    expect(result, "healthy")
    assert result["facts"]["server"]["name"] == stack.project + "_postgres_1"
    docker("stop", "-t", "5", stack.name())
    expect(stack.triage(), "server_down", "stopped")


def test_one_session_and_nothing_left() -> None:
    """SQL is asked in one session. The sessions of others are the same before and after; nothing is an error."""
    sessions = (
        "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with Stack("lab-shape") as stack:
        stack.up()
        stack.sql("ALTER SYSTEM SET log_statement = 'all'")
        stack.sql("ALTER SYSTEM SET log_line_prefix = '%p|%a|'")
        stack.reload()
        expect(stack.triage(), "healthy")  # its question for the API's health opens the API's pool
        before, begun = stack.sql(sessions), len(stack.log())
        expect(stack.triage(), "healthy")
        assert wait_for(lambda: stack.sql(sessions) == before)
        lines = [line.split("|", 2) for line in stack.log()[begun:].splitlines() if line.count("|") >= 2]
        asking = {pid for pid, application, said in lines if application == "oncall" and "statement: " in said}
        assert len(asking) == 1, lines
        assert not [said for _pid, _application, said in lines if said.startswith(("ERROR", "FATAL", "WARNING"))]
