# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``scripts/samples.json``: what the modules returned in one real run, on a server with no connection slot left.

python -m scripts.samples     # make it anew; then python -m scripts.returns
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import psycopg2

from scripts.results import RESULTS
from scripts.returns import SAMPLES
from tests.embedded import Server

PASSWORD = "not-a-secret"
SETTINGS = {"max_connections": 20, "max_prepared_transactions": 2, "log_line_prefix": "%m [%p] %e "}


def collect(server: Server, login: dict[str, Any]) -> dict[str, Any]:
    """What each module returns, run by Ansible."""
    target = {
        "runtime": "pg_ctl",
        "data_directory": str(server.data),
        "bin_directory": str(server.bin),
        "log_file": str(server.log_file),
        "login_user": "postgres",
        "blocked_seconds": 1,
        "clients": [{"service": "shop", "application_name": "shop-api", "login": login}],
    }
    place = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"postgresql": {"hosts": {"shop-db": place}}}
    with tempfile.TemporaryDirectory() as work:
        found = pathlib.Path(work, "found.json")
        wanted = "{{ {%s} | to_json }}" % ", ".join("'%s': %s" % (name, name) for name in RESULTS)
        tasks: list[dict[str, Any]] = [{"oncall.postgresql.%s" % name: target, "register": name} for name in RESULTS]
        tasks[-1]["oncall.postgresql.triage"] = {**target, "host": "shop-db"}  # as the playbook says it
        tasks += [{"ansible.builtin.copy": {"content": wanted, "dest": str(found), "mode": "0600"}}]
        play = [{"hosts": "postgresql", "gather_facts": False, "tasks": tasks}]
        pathlib.Path(work, "play.json").write_text(json.dumps(play))
        pathlib.Path(work, "inventory.json").write_text(json.dumps(inventory))
        program = str(pathlib.Path(sys.executable).with_name("ansible-playbook"))
        environment = {**os.environ, "ANSIBLE_HOME": str(pathlib.Path(work, "home"))}
        subprocess.run([program, "-i", "inventory.json", "play.json"], cwd=work, env=environment, check=True)
        results: dict[str, Any] = json.loads(found.read_text())
    return results


def main() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            Server(tls=True, settings=SETTINGS)
        )  # Debian's build: it stands where users have it
        server.sql("CREATE ROLE shop LOGIN PASSWORD '%s'; CREATE DATABASE shop OWNER shop" % PASSWORD)
        server.sql("CREATE TABLE prices (article int, cents int); GRANT ALL ON prices TO shop", database="shop")
        login = {"host": server.host, "port": server.port, "user": "shop", "password": PASSWORD, "database": "shop"}

        def connect() -> Any:
            made = psycopg2.connect(
                host=server.host,
                port=server.port,
                user="shop",
                password=PASSWORD,
                dbname="shop",
                application_name="shop-api",
            )
            stack.callback(made.close)
            return made

        idle = [connect() for _unused in range(15)]
        assert idle
        connect().cursor().execute("LOCK TABLE prices")
        waiting = server.background("SET application_name = 'shop-api'; SELECT * FROM prices;", "shop", "postgres")
        stack.callback(waiting.communicate)
        stack.callback(waiting.kill)
        time.sleep(2)  # so that somebody has been blocked for longer than a second
        results = collect(server, login)
    kept = {name: {key: results[name][key] for key in shape.__annotations__} for name, shape in RESULTS.items()}
    SAMPLES.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
