# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a real server in a container: sound, damaged and cut off. Each is restored, and nothing is left of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import OptionsError, RefusedError
from ansible_collections.oncall.postgresql.plugins.modules.baseline import WORK as BASELINE
from ansible_collections.oncall.postgresql.plugins.modules.restore_proof import WORK
from tests.integration.containers import Project, docker, inspect, project, wait_for
from tests.integration.results import held
from tests.lab.images import image
from tests.playbooks.test_real_servers import Controller

OURS = "label=oncall.postgresql=restore_proof"
SHOP = """CREATE ROLE seller; CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items SELECT i, md5(i::text) FROM generate_series(1, 5000) i; ALTER TABLE items OWNER TO seller;
CREATE TABLE orders (id int); INSERT INTO orders SELECT generate_series(1, 10)"""


class Shop:
    """A server, and the directory that its backups are in: /backup there, ``place`` here."""

    def __init__(self, made: Project, place: Path) -> None:
        self.project, self.place = made.name, place
        self.name = made.postgres("-v", "%s:/backup" % place, command=("postgres", "-c", "log_connections=on"))
        self.sql("CREATE DATABASE shop", "postgres")
        self.sql(SHOP)
        self.baseline: dict[str, Any] = BASELINE.do(
            options(BASELINE, project=self.project, directory="unused", tables=["items", "orders"]), False
        )["baseline"]

    def run(self, *words: str) -> str:
        return docker("exec", "-u", "postgres", self.name, *words)

    def sql(self, text: str, database: str = "shop") -> str:
        return self.run("psql", "-XAtq", "-U", "postgres", "-d", database, "-c", text)

    def state(self) -> tuple[Any, ...]:
        """What somebody who touches the server or its backups would change."""
        seen = inspect(self.name)
        logs = subprocess.run(["docker", "logs", self.name], capture_output=True, text=True, check=True).stderr
        files = []
        for path in sorted(self.place.rglob("*")):
            about = path.lstat()
            content = hashlib.md5(path.read_bytes()).hexdigest() if path.is_file() else ""
            files.append((str(path), about.st_mode, about.st_uid, about.st_mtime_ns, content))
        mounts = sorted(map(str, seen["Mounts"]))
        return seen["Id"], seen["State"]["StartedAt"], logs.count("connection received"), mounts, files

    def proof(self, backup: str, **given: Any) -> dict[str, Any]:
        """Its result; nothing was touched, and nothing is left."""
        before, given = self.state(), {"baseline": self.baseline, **given}
        asked = options(WORK, project=self.project, backup=str(self.place / backup), host="shop-db", **given)
        try:
            with held("restore_proof") as fitting:
                found = fitting(WORK.do(asked, False))
        finally:
            assert self.state() == before
            assert left() == []
        found["by"] = {each["check"]: each for each in found["checks"]}
        return found


def options(work: Any, **given: Any) -> dict[str, Any]:
    checked = ArgumentSpecValidator(**work.spec.arguments()).validate(given)
    assert not checked.error_messages, checked.error_messages
    found: dict[str, Any] = checked.validated_parameters
    return found


def left() -> list[str]:
    return [*docker("ps", "-aq", "--filter", OURS).split(), *docker("volume", "ls", "-q", "--filter", OURS).split()]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    place = Path(tempfile.mkdtemp(prefix="backups-"))
    place.chmod(0o777)
    try:
        with project() as made:
            yield Shop(made, place)
    finally:
        shutil.rmtree(place)


def test_refused(shop: Shop) -> None:
    """What only the engine can tell; the rest is plan's."""
    live = "cd $PGDATA && mkdir -p /backup/live/global && cp PG_VERSION postmaster.pid /backup/live"
    shop.run("sh", "-c", live + " && cp global/pg_control /backup/live/global && echo hello >/backup/notes")
    for backup, says in {
        "live": "has a postmaster.pid: it is the data directory of a server",
        "notes": "is no backup that is known here",
        "nowhere": "nowhere on the engine's host",
    }.items():
        with pytest.raises(RefusedError, match=says):
            shop.proof(backup)
    with pytest.raises(OptionsError, match="needs a container engine, and runtime is pg_ctl"):
        shop.proof("live", runtime="pg_ctl", data_directory="/nowhere")


def test_a_sound_dump(shop: Shop, tmp_path: Path) -> None:
    shop.run("pg_dump", "-Fc", "-f", "/backup/shop.dump", "shop")
    controller = Controller(tmp_path, {"shop": {"runtime": "compose", "project": shop.project}})
    (tmp_path / "kept" / "shop").mkdir(parents=True)
    (tmp_path / "kept" / "shop" / "20260101T000000.000Z.json").write_text(json.dumps(shop.baseline))
    book = ["ansible-playbook", "oncall.postgresql.restore_proof", "-e", "oncall_baseline_dir=kept"]
    book += ["-e", "oncall_fail_on=warning", "-e", "oncall_backup=%s" % (shop.place / "shop.dump")]
    before = shop.state()
    code, out = controller.run(*book, "-e", "oncall_report_dir=reports")
    said = " ".join(out.split())
    assert code == 0 and "restore_proof / go" in said and "without the roles seller" in said, out
    assert "as in the baseline of 20" in said and "2 tables, 2 counted" in said, out
    seen = json.loads((tmp_path / "reports" / "shop.json").read_text())
    assert seen["verdict"]["escalation"]["to"] == "none" and "restore" in (tmp_path / "reports/index.html").read_text()
    assert (shop.state(), left()) == (before, [])
    found = WORK.do(options(WORK, project=shop.project, backup=str(shop.place / "shop.dump")), True)
    assert (found["grade"], found["container"]) == ("caution", None) and "not restored" in found["checks"][0]["summary"]


def test_a_dump_without_a_table(shop: Shop) -> None:
    """A plain one, packed, that makes its database itself. Its end is missing, too, and nothing but that end."""
    shop.run("sh", "-c", "pg_dump -C -T orders shop | grep -v 'dump complete' | gzip >/backup/part.sql.gz")
    found = shop.proof("part.sql.gz")
    assert found["by"]["baseline"]["grade"] == "caution", found["by"]["baseline"]
    assert "table public.orders is gone" in found["by"]["baseline"]["summary"] and found["backup"]["compressed"]
    assert (found["grade"], found["by"]["amcheck"]["grade"]) == ("no_go", "go") and "control_file" not in found["by"]
    assert "error: the dump has no end: it was cut off" in found["summary"]


def test_a_damaged_base_backup(shop: Shop) -> None:
    """It is one of a standby to be, and is none here."""
    shop.run("pg_basebackup", "-D", "/backup/base", "-c", "fast", "-R")
    path = shop.sql("SELECT pg_relation_filepath('items_pkey')")
    spoil = "printf 'xxxx' | dd of=/backup/base/%s bs=1 seek=12288 conv=notrunc" % path
    shop.run("sh", "-c", spoil)
    found = shop.proof("base", databases=["shop"])
    assert found["grade"] == "no_go" and "shop.public.items_pkey" in found["summary"], found["summary"]
    manifest = 'checksum mismatch for file "%s"' % path
    assert manifest in found["by"]["restore"]["summary"], found["by"]["restore"]
    assert found["by"]["baseline"]["grade"] == "go", found["by"]["baseline"]
    assert found["target"] == {**found["target"], "host": "shop-db", "in_recovery": False}
    assert found["backup"] == {**found["backup"], "kind": "base_directory", "version": "17", "database": None}


def test_a_dump_that_was_cut_off(shop: Shop) -> None:
    """And a container that a run has left; nobody knows any more what it was for."""
    docker("create", "--name", "ct-left", "--label", OURS[6:], "--label", "oncall.postgresql.until=1", image("api"))
    try:
        shop.run("sh", "-c", "pg_dump -Fc shop | head -c 60000 >/backup/cut.dump")
        found = shop.proof("cut.dump")
        assert (found["grade"], found["leftovers"]) == ("no_go", ["ct-left"])
        assert "could not read from input file: end of file" in found["by"]["restore"]["summary"]
    finally:
        docker("rm", "ct-left", check=False)


RUN = """
import json, sys
from ansible_collections.oncall.postgresql.plugins.modules.restore_proof import WORK
WORK.do(json.loads(sys.argv[1]), False)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda each: each.name)
def test_a_run_that_is_killed(shop: Shop, tmp_path: Path, number: signal.Signals) -> None:
    """PostgreSQL runs in the container by then, and is shut down: the container ends by itself, with no error."""
    shop.run("sh", "-c", "test -e /backup/sound || pg_basebackup -D /backup/sound -c fast")
    backup = str(shop.place / "sound")
    before = shop.state()
    words = [sys.executable, "-c", RUN, json.dumps(options(WORK, project=shop.project, backup=backup))]
    if number != signal.SIGKILL:
        Controller(tmp_path, {"shop": {"runtime": "compose", "project": shop.project}})
        program = Path(sys.executable).with_name("ansible-playbook")
        words = [
            str(program),
            "-i",
            "inventory.json",
            "oncall.postgresql.restore_proof",
            "-e",
            "oncall_backup=" + backup,
        ]
    home = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path)}
    with subprocess.Popen(
        words, cwd=tmp_path, env=home, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        try:
            (name,) = wait_for(lambda: docker("ps", "-q", "--filter", OURS).split())
            wait_for(lambda: "postgres" in docker("top", name, "-eo", "pid,comm", check=False))
            waiting = subprocess.Popen(["docker", "wait", name], stdout=subprocess.PIPE, text=True)
        finally:
            os.killpg(run.pid, number) if number == signal.SIGINT else run.send_signal(number)
        run.wait(timeout=60)
    assert run.returncode
    assert waiting.communicate(timeout=60)[0].strip() == "0"
    wait_for(lambda: left() == [])
    assert shop.state() == before
