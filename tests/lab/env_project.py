# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project in a directory of its own, with a ``.env`` that Compose reads, as people have it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from .stack import FILES, PASSWORD, Stack, compose_command, playbook, run, write_inventory


class Project(Stack):
    """As ``Stack``, its Compose file and ``.env`` in ``directory``. ``more``: what a second Compose file adds.

    ``shell``: variables of whoever brings it up, which are in no file.
    """

    def __init__(self, file: str = ".env", key: str = "LAB_PASSWORD", more: Mapping[str, Any] | None = None) -> None:
        super().__init__("lab-credentials")
        self.directory = self.work / "project"
        self.directory.mkdir()
        self.key = key
        self.env = self.directory / file
        lines = ["# made by hand; do not reorder", *("%s=%s" % item for item in self.environment.items())]
        text = (FILES / "compose.yml").read_text()
        if key == "DATABASE_URL":  # the service's own file instead
            lines = [line for line in lines if not line.startswith("LAB_PASSWORD")]
            text = re.sub(r"      DATABASE_URL: .*\n", "", text)
            text = text.replace(
                "      APPLICATION_NAME: api\n", "      APPLICATION_NAME: api\n    env_file: [%s]\n" % file
            )
            self.env.write_bytes(
                b'# the api\r\nexport DATABASE_URL="postgresql://app:%s@postgres:5432/shop"  # why\r\n'
                % PASSWORD.encode()
            )
        dotenv = self.directory / ".env"
        dotenv.write_text(
            "\n".join(lines).replace("LAB_PASSWORD=%s" % PASSWORD, "LAB_PASSWORD='%s' # old" % PASSWORD) + "\n"
        )
        self.env.chmod(0o640)
        os.chown(self.env, 0, 65534)
        (self.directory / "compose.yml").write_text(text)
        if more:
            (self.directory / "compose.override.yml").write_text(json.dumps(more))
        self.shell: dict[str, str] = {}

    def compose(self, *words: str, override: Mapping[str, Any] | str | None = None, check: bool = True) -> str:
        assert override is None
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
        argv = [*compose_command(), "-p", self.project, *words]
        return run(argv, check=check, env={**clean, **self.shell}, cwd=self.directory).stdout

    def reset(self, *words: str, path: str = "", **variables: Any) -> subprocess.CompletedProcess[str]:
        """The playbook at -vvv, with the diff; its report in ``reports``."""
        inventory = write_inventory(self.work, {"lab": {"oncall_target": self.target()}})
        extra = {
            "oncall_role": "app",
            "oncall_env_file": str(self.env),
            "oncall_env_keys": self.key,
            "oncall_report_dir": str(self.work / "reports"),
            **variables,
        }
        return playbook(
            "oncall.postgresql.credentials_reset",
            "-vvv",
            "--diff",
            "-i",
            str(inventory),
            "-e",
            "{%s}" % ", ".join("%s: %s" % (json.dumps(k), json.dumps(v)) for k, v in extra.items() if v is not None),
            *words,
            PATH=path or os.environ["PATH"],
        )

    def sessions(self) -> list[subprocess.Popen[str]]:
        return self._others

    def api_password(self) -> str:
        env = dict(pair.split("=", 1) for pair in self.inspect(self.name("api"))["Config"]["Env"])
        found = re.fullmatch(r"postgresql://app:(.*)@postgres:5432/shop", env["DATABASE_URL"])
        assert found
        return found.group(1)

    def verifier(self) -> str:
        return self.sql(
            "SELECT rolpassword || ' ' || coalesce(rolvaliduntil::text, '-') FROM pg_authid WHERE rolname = 'app'"
        )

    def healthy(self) -> bool:
        try:
            url = "http://%s:8000/api/v1/db/health" % self.address(self.name("api"))
            with urllib.request.urlopen(url, timeout=5) as reply:
                return bool(reply.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def reports(self) -> str:
        return "".join(file.read_text() for file in sorted((self.work / "reports").rglob("*")) if file.is_file())

    def logs(self) -> str:
        done = run(["docker", "logs", self.name()])
        return done.stdout + done.stderr


def state(stack: Project) -> dict[str, Any]:
    """What must be as it was when nothing was to change."""
    seen = stack.env.stat()
    return {
        "verifier": stack.verifier(),
        "env": stack.env.read_bytes(),
        "mode": (seen.st_mode, seen.st_uid, seen.st_gid),
        "beside": sorted(one.name for one in stack.env.parent.iterdir()),
        "password": stack.api_password(),
    }
