# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make demo``: a real PostgreSQL in a temporary directory, a program that leaks its connections, and what fixes it.

Broken, the verdict, exactly the command that the verdict recommends, healthy.

Stops and removes what it started, however it ends; the report stays in build/demo.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tests.embedded import Server

REPORT = CHECKOUT / "build" / "demo"
PASSWORD = "not-a-secret"
SCHEMA = """
CREATE ROLE shop LOGIN PASSWORD '%s';
CREATE DATABASE shop OWNER shop;
\\connect shop
CREATE TABLE prices (article integer PRIMARY KEY, cents integer NOT NULL);
INSERT INTO prices SELECT article, 100 * article FROM generate_series(1, 3) AS article;
GRANT SELECT ON prices TO shop;
"""


def say(text: str) -> None:
    print("\033[1m%s\033[0m" % text if sys.stdout.isatty() else text, flush=True)


@contextlib.contextmanager
def shop_api(server: Server) -> Iterator[str]:
    """The leaking program, from its first failure on: what it said."""
    where = {"PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": "shop", "PGDATABASE": "shop"}
    argv = [sys.executable, str(CHECKOUT / "demo" / "shop_api.py")]
    program = subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env={**os.environ, **where, "PGPASSWORD": PASSWORD}
    )
    impatient = threading.Timer(20, program.kill)
    impatient.start()
    try:
        assert program.stdout is not None
        complaint = program.stdout.readline().strip()
        impatient.cancel()
        if not complaint:
            raise RuntimeError("the program that should have used up the connections did not")
        yield complaint
    finally:
        impatient.cancel()
        program.kill()
        program.wait()


def inventory(server: Server) -> dict[str, Any]:
    """What a user would write into inventory.yml for a server on its own host."""
    login = {"host": server.host, "port": server.port, "user": "shop", "password": PASSWORD, "database": "shop"}
    target = server.target({"service": "shop-api", "application_name": "shop-api", "login": login})
    variables = {"oncall_report_dir": str(REPORT), "oncall_incident_dir": str(REPORT / "incidents")}
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "oncall_target": target}
    return {"postgresql": {"hosts": {"shop-db": here}, "vars": variables}}


def play(command: str, server: Server) -> dict[str, Any]:
    """Run it as a user does, where inventory.yml is; its output goes to the screen. Returns the last verdict."""
    say("$ %s" % command)
    (server.directory / "inventory.yml").write_text(json.dumps(inventory(server)))  # JSON is YAML
    program, *words = shlex.split(command)
    argv = [str(pathlib.Path(sys.executable).with_name(program)), *words]
    done = subprocess.run(
        argv, check=False, cwd=server.directory, env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false"}
    )
    if done.returncode:
        sys.exit("the playbook failed (above)")
    verdict: dict[str, Any] = json.loads((REPORT / "shop-db.json").read_text())["verdict"]
    return verdict


def name(verdict: dict[str, Any]) -> str:
    return " / ".join(filter(None, (verdict["code"], verdict["cause"])))


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_ignored: sys.exit("stopped"))
    shutil.rmtree(REPORT, ignore_errors=True)
    say("A PostgreSQL with 20 connections, and a program that leaks them ...")
    with Server(settings={"max_connections": 20}) as server:
        server.sql(SCHEMA % PASSWORD)
        with shop_api(server) as complaint:
            say("shop-api fails:")
            print("  %s\n" % complaint)
            before = play("ansible-playbook oncall.postgresql.triage -i inventory.yml", server)
            if not before["remedy"]:
                sys.exit("the verdict %s recommends no fix" % name(before))
            after = play(before["remedy"]["command"], server)
    say("Before:   %s" % name(before))
    print("          %s" % before["summary"])
    say("Fix:      %s" % before["remedy"]["command"])
    say("After:    %s" % name(after))
    print("          %s" % after["summary"])
    say("Report:   %s" % (REPORT / "index.html"))
    return 0 if (name(before), name(after)) == ("pool_exhausted / idle_connections", "healthy") else 1


if __name__ == "__main__":
    sys.exit(main())
