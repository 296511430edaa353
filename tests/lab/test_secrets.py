# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""APIs whose password stands in a file: a Compose secret, a URL in one, libpq's password file."""

from __future__ import annotations

import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .driving import module
from .stack import PASSWORD, SECRETS, Stack, docker, playbook, write_inventory

WRONG = "not-The-password-4714"
NAMES = {"POSTGRES_HOST": "postgres", "POSTGRES_USER": "app", "POSTGRES_DB": "shop"}


@dataclass(frozen=True)
class Way:
    """How the API gets its password: its environment, and the content of the secret's file."""

    environment: dict[str, str]
    content: str


WAYS = {  # of each service
    "api": Way({**NAMES, "POSTGRES_PASSWORD_FILE": "/run/secrets/database"}, "%s\n"),
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


def test_a_password_in_a_file() -> None:
    with Stack("lab-secrets") as stack:
        services: dict[str, Any] = {}
        for name, way in WAYS.items():
            secret = [{"source": name, "target": "database"}]
            services[name] = {"image": "${LAB_API_IMAGE}", "environment": way.environment, "secrets": secret}
        services["api"]["environment"] = {"DATABASE_URL": "", **WAYS["api"].environment}
        write(stack, PASSWORD)
        for name in WAYS:
            os.chown(stack.work / name, 1000, 1000)
            (stack.work / name).chmod(0o600)  # libpq takes no other
        files = {name: {"file": str(stack.work / name)} for name in WAYS}
        stack.up({"services": services, "secrets": files})
        stack.options["clients"] = [{**stack.target()["clients"][0], "service": name} for name in WAYS]

        healthy = stack.triage()
        expect(healthy, "healthy")
        for client in clients(healthy):
            assert (client["place"], client["error"]) == ("namespace", None)
            assert (client["login"]["user"], client["login"]["password_given"]) == ("app", True)
            assert (client["attempt"]["outcome"], client["password_matches"]) == ("ok", True)

        write(stack, WRONG)
        wrong = stack.triage()
        expect(wrong, "authentication_failed", "wrong_password")
        assert [client["password_matches"] for client in clients(wrong)] == [False] * len(WAYS)

        # The printed remedy: the role gets the password of a client, wherever that has it from.
        inventory = write_inventory(stack.work, {"lab": {"oncall_target": stack.target()}})
        remedy = wrong["verdict"]["remedy"]
        records = stack.work / "incidents"
        asked = json.dumps({**remedy["extra_vars"], "oncall_incident_dir": str(records)})
        done = playbook(remedy["playbook"], "-i", str(inventory), "-e", asked)
        assert done.returncode == 0, done.stdout + done.stderr
        assert WRONG not in done.stdout + done.stderr
        assert [client["password_matches"] for client in clients(stack.triage())] == [True] * len(WAYS)
        _hold_no_secret(records)
        for name in list(WAYS)[1:]:
            write(stack, "%s-%s" % (WRONG, name))
            assert module(stack, "credentials", role="app", password_of=name)["changed"]
            assert [client["password_matches"] for client in clients(stack.triage())] == [True] * len(WAYS)

        # Of a container that does not run the engine hands out the file.
        docker("stop", "-t", "2", *(stack.name(name) for name in WAYS))
        for down in clients(stack.triage()):
            said = (down["state"], down["login"]["password_given"], down["password_matches"])
            assert said == ("exited", True, True), down


def write(stack: Stack, password: str) -> None:
    """In place, as the containers see it."""
    for name, way in WAYS.items():
        (stack.work / name).write_text(way.content % password)


def clients(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The three of them, by the name of their service."""
    found: list[dict[str, Any]] = result["facts"]["clients"]
    assert len(found) == len(WAYS) and all(name in each["name"] for name, each in zip(WAYS, found, strict=True)), found
    return found


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
