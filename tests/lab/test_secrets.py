# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API whose password stands in a file: a Compose secret, a URL in one, libpq's password file."""

from __future__ import annotations

import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .stack import PASSWORD, SECRETS, Stack, docker, playbook, write_inventory

WRONG = "not-The-password-4714"
NAMES = {"POSTGRES_HOST": "postgres", "POSTGRES_USER": "app", "POSTGRES_DB": "shop"}


@dataclass(frozen=True)
class Way:
    """How the API gets its password: its environment, and the content of the secret's file."""

    environment: dict[str, str]
    content: str


WAYS = {
    "password": Way({**NAMES, "POSTGRES_PASSWORD_FILE": "/run/secrets/database"}, "%s\n"),
    "url": Way({"DATABASE_URL_FILE": "/run/secrets/database"}, "postgresql://app:%s@postgres:5432/shop\n"),
    "passfile": Way(
        {**NAMES, "PGPASSFILE": "/run/secrets/database"}, "# ours\nother:*:*:*:x\npostgres:5432:shop:app:%s\n"
    ),
}


def expect(result: dict[str, Any], code: str, cause: str | None = None) -> None:
    verdict = result["verdict"]
    assert (verdict["code"], verdict["cause"]) == (code, cause), verdict
    for secret in (PASSWORD, WRONG):
        assert secret not in json.dumps(result)


@pytest.mark.parametrize("way", list(WAYS.values()), ids=list(WAYS))
def test_a_password_in_a_file(way: Way) -> None:
    with Stack("lab-secrets") as stack:
        file = stack.work / "database"
        file.write_text(way.content % PASSWORD)
        os.chown(file, 1000, 1000)
        file.chmod(0o600)  # libpq takes no other
        api = {"environment": {"DATABASE_URL": "", **way.environment}, "secrets": ["database"]}
        stack.up({"services": {"api": api}, "secrets": {"database": {"file": str(file)}}})

        healthy = stack.triage()
        expect(healthy, "healthy")
        (client,) = healthy["facts"]["clients"]
        assert (client["place"], client["error"]) == ("namespace", None)
        assert (client["login"]["user"], client["login"]["password_given"]) == ("app", True)
        assert (client["attempt"]["outcome"], client["password_matches"]) == ("ok", True)

        file.write_text(way.content % WRONG)  # in place, as the container sees it
        wrong = stack.triage()
        expect(wrong, "authentication_failed", "wrong_password")
        assert wrong["facts"]["clients"][0]["password_matches"] is False

        # The printed remedy: the role gets the password that the client has, wherever it has it from.
        inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
        remedy = wrong["verdict"]["remedy"]
        records = stack.work / "incidents"
        asked = json.dumps({**remedy["extra_vars"], "oncall_incident_dir": str(records)})
        done = playbook(remedy["playbook"], "-i", str(inventory), "-e", asked)
        assert done.returncode == 0, done.stdout + done.stderr
        assert WRONG not in done.stdout + done.stderr
        assert stack.triage()["facts"]["clients"][0]["password_matches"] is True
        _hold_no_secret(records)

        # Of a container that does not run the engine hands out the file.
        docker("stop", "-t", "2", stack.name("api"))
        down = stack.triage()["facts"]["clients"][0]
        assert (down["state"], down["login"]["password_given"], down["password_matches"]) == ("exited", True, True)


def _hold_no_secret(records: Path) -> None:
    """The incident's timeline, its post-mortem, and the archive of what was seen before."""
    texts = {path.name: path.read_text() for path in records.iterdir() if path.suffix in (".jsonl", ".md")}
    (packed,) = records.glob("*.tar.gz")
    assert packed.stat().st_size < 5_000_000
    with tarfile.open(packed) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            texts[entry.name] = file.read().decode()
    assert len(texts) > 8 and '"authentication_failed"' in texts["evidence/triage.json"]
    assert [name for name, text in texts.items() for secret in (*SECRETS, WRONG) if secret in text] == []
