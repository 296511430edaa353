# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept before anything is changed: all of it, no secret in it, and little of what is much."""

from __future__ import annotations

import contextlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import psycopg2

from .driving import LIGHT
from .stack import PASSWORD, SECRETS, Stack, docker, playbook, write_inventory

KINDS = (
    "environment token-in-file label logging log-url log-json log-bearer query literal detail error number guc hba"
    " command before inspect-health multi-line"
)
HIDDEN = {kind: "%s-Secret-%d" % (kind, 4800 + at) for at, kind in enumerate(KINDS.split())}
NUMBER = "4929123412341234"  # a card's, in a statement
SPOKEN = [
    "started with password=%(logging)s",
    "connecting to postgresql://app:%(log-url)s@postgres:5432/shop",
    '{"event": "login", "api_key": "%(log-json)s"}',
    "Authorization: Bearer %(log-bearer)s",
    "psycopg2.errors: SELECT * FROM items WHERE name = '%(multi-line)s'",
    "the environment says %(environment)s, the file %(token-in-file)s, the database " + PASSWORD,
]


def say(stack: Stack, lines: list[str], filling_mib: int = 0) -> None:
    """By the client, on its standard output; before that so many MiB of lines that hardly compress."""
    with open("/proc/%d/fd/1" % stack.pid("api"), "wb") as out:
        for _unused in range(filling_mib << 10):
            out.write(os.urandom(512).hex().encode()[1:] + b"\n")
        out.write("".join(line % HIDDEN + "\n" for line in lines).encode())


def members(directory: Path) -> dict[str, str]:
    (packed,) = directory.glob("*.tar.gz")
    assert packed.stat().st_size < 5_000_000
    with tarfile.open(packed) as archive:
        files = {entry.name.partition("/")[2]: archive.extractfile(entry) for entry in archive}
        return {name: file.read().decode() for name, file in files.items() if file}


def hold_no_secret(found: dict[str, str]) -> None:
    secrets = {**HIDDEN, "number": NUMBER, "app": PASSWORD, "admin": SECRETS[0]}
    told = [(name, kind) for name, text in found.items() for kind, each in secrets.items() if each in text]
    assert told == []


def test_all_of_it_and_no_secret(tmp_path: Path) -> None:
    with Stack("lab-evidence") as stack, contextlib.ExitStack() as held:
        (stack.work / ".env").write_text("MAIL_TOKEN=%(token-in-file)s\n" % HIDDEN)
        server = [
            "max_connections=600",
            "log_statement=all",
            "app.key=%(guc)s" % HIDDEN,
            "superuser_reserved_connections=50",
        ]
        api = {
            **LIGHT["api"],
            "environment": {"BILLING_PASSWORD": HIDDEN["environment"]},
            "env_file": [str(stack.work / ".env")],
            "labels": {"org.example.key": HIDDEN["label"]},
            "healthcheck": {"test": ["CMD", "echo", "token: %(inspect-health)s" % HIDDEN], "interval": "1s"},
        }
        postgres = {
            "command": ["postgres", *(word for each in server for word in ("-c", each))],
            "labels": {"org.example.start": "run --api-token %(command)s" % HIDDEN},
        }
        stack.up({"services": {"api": api, "postgres": postgres}})
        say(stack, ["before this start: token=%(before)s", "the last words of the run before"])
        stack.sql("SELECT 'the first run of the server' AS \"%s\"" % "first-run")
        docker("restart", "-t", "5", stack.name("api"))
        stack.restart()
        stack.wait_api()
        say(stack, [*SPOKEN, "the last words of this run"], filling_mib=50)
        stack.hba(
            "host all nobody all ldap ldapserver=127.0.0.1 ldapbasedn=dc=x ldapbinddn=cn=x ldapbindpasswd=%(hba)s"
            % HIDDEN,
            "host all many all trust",  # 500 log-ins with a password take half a minute
            "host all all all scram-sha-256",
        )
        stack.sql("CREATE ROLE many LOGIN; GRANT ALL ON items TO many")
        stack.reload()
        for statement in (
            "INSERT INTO items VALUES (1, '%(detail)s')" % HIDDEN,
            "INSERT INTO items VALUES (5000, '%(detail)s'), (5000, '%(literal)s')" % HIDDEN,
            "SELECT '%(error)s'::int" % HIDDEN,
            "SELECT count(*) FROM items\n WHERE name = '%(query)s'\n   OR id::text = '%(literal)s' OR id = %(n)s"
            % {**HIDDEN, "n": NUMBER},
        ):
            stack.sql(statement, check=False)
        address = stack.address(stack.name())
        for number in range(500):
            one = psycopg2.connect(host=address, user="many", dbname="shop")
            held.enter_context(contextlib.closing(one))
            if number % 5 == 0:
                one.cursor().execute("SELECT name FROM items WHERE name = %s FOR SHARE", (HIDDEN["query"],))
        inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
        records = tmp_path / "incidents"
        done = playbook("oncall.postgresql.reload", "-i", str(inventory), "-e", "oncall_incident_dir=%s" % records)
        assert done.returncode == 0, done.stdout + done.stderr
        found = members(records)
        hold_no_secret({**found, "screen": done.stdout + done.stderr})
        _is_complete(found, stack)


def _is_complete(found: dict[str, str], stack: Stack) -> None:
    sessions: list[dict[str, Any]] = json.loads(found["sessions.json"])
    assert len([each for each in sessions if each["user"] == "many"]) == 500
    assert {"checkpointer", "walwriter"} < {each["backend_type"] for each in sessions}
    locks = json.loads(found["locks.json"])["all"]
    assert len([one for one in locks if one["database"] == "shop" and one["mode"] == "RowShareLock"]) >= 100
    changed = {each["name"]: each["value"] for each in json.loads(found["settings.json"])["not_default"]}
    assert changed["max_connections"] == "600"
    logs = {name: text for name, text in found.items() if name.startswith("logs/")}
    runs = [
        "logs/%s.%s.log" % (stack.name(service), run) for service in ("api", "postgres") for run in ("before", "last")
    ]
    assert sorted(logs) == sorted(runs), found["CONTENTS.txt"]
    assert "the last words of the run before" in logs[runs[0]] and "this run" not in logs[runs[0]]
    assert "the last words of this run" in logs[runs[1]] and "run before" not in logs[runs[1]]
    assert "first-run" in logs[runs[2]] and "first-run" not in logs[runs[3]]
    assert "SELECT count(*) FROM items" in logs[runs[3]] and "database system is ready" in logs[runs[3]]
    described = {each["name"]: each["inspect"] for each in json.loads(found["inspect.json"])["containers"]}
    assert described[stack.name()]["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert "BILLING_PASSWORD=********" in described[stack.name("api")]["Config"]["Env"]
    assert "PGDATA=/var/lib/postgresql/data" in described[stack.name()]["Config"]["Env"]
    assert "Not included" not in found["CONTENTS.txt"], found["CONTENTS.txt"]
