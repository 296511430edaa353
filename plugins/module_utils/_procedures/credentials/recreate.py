# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container keeps the environment that it was made with: to read a new ``.env`` it must be made anew, by Compose.

Done by the Compose CLI with the very files that made the project (their paths are in the containers' labels), and only
where it is sure to make the same container again, but for its passwords.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import DeadlineError, RefusedError, TargetError
from ..._core.mask import mask
from ..._gather.client.settings import resolve_login
from ..._gather.runtime.compose import containers

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._gather.runtime.compose.project import Inspection, View

ENV_FILES = "com.docker.compose.project.environment_file"
CONFIG_HASH = "com.docker.compose.config-hash"
_LIVE = ("running", "paused", "restarting")
# Stopped on purpose: a clean exit, or the signals that a stop sends.
_MEANT = (0, 137, 143)
_ASK_SECONDS = 20.0


class Recreation:
    """The containers of some services of a project, to be made anew. Raises RefusedError where that is not safe."""

    def __init__(self, view: View, project: str, services: Sequence[str], docker_host: Optional[str]) -> None:
        self.services = list(services)
        self._view, self._project, self._docker_host = view, project, docker_host
        self._containers: Dict[str, List[Inspection]] = {name: view.clients.get(name) or [] for name in services}
        labels = [one["Config"].get("Labels") or {} for found in self._containers.values() for one in found]
        places = {
            (each.get(containers.WORKING_DIR), each.get(containers.CONFIG_FILES), each.get(ENV_FILES))
            for each in labels
        }
        if len(places) != 1:
            raise RefusedError(
                "The containers of %s were made from different Compose files" % ", ".join(services),
                "Bring them up once with the same files (%s compose up -d), then run again."
                % self._view.engine.command,
            )
        directory, files, env_files = places.pop()
        self.directory = directory or ""
        self._files = [os.path.join(self.directory, one) for one in (files or "").split(",") if one]
        self._env_files = [os.path.join(self.directory, one) for one in (env_files or "").split(",") if one]
        self._command: Tuple[str, ...] = ()

    def prepare(self, deadline: Deadline) -> None:
        """Raise RefusedError unless the CLI is there, the files are, and they describe the containers that run."""
        missing = [one for one in self._files + self._env_files if not os.access(one, os.R_OK)]
        if missing or not self._files:
            raise RefusedError(
                "%s cannot be recreated from here: %s"
                % (
                    ", ".join(self.services),
                    "cannot read " + ", ".join(missing) if missing else "its labels name no Compose file",
                ),
                "Run where the project was brought up, as a user who may read its files.",
            )
        self._command = compose_command(deadline)
        described = self._described(deadline)
        hashes = self._ask(["config", "--hash", ",".join(self.services)], deadline, ()).split("\n")
        same = {line.split(" ")[0] for line in hashes for one in self._all() if line.endswith(" " + _hash(one))}
        for service, found in self._containers.items():
            if service not in described:
                raise RefusedError("The Compose files define no service %s" % service, "Have they changed since?")
            for inspected in found:
                differing = self._differing(described[service], inspected, service in same, deadline)
                if differing:
                    raise RefusedError(
                        "The Compose files do not match the existing container of %s (%s)"
                        % (service, ", ".join(differing)),
                        "Set the environment of the first %s compose up, or bring the service up once by hand."
                        % self._view.engine.command,
                    )

    def passwords(self, deadline: Deadline) -> Dict[str, Tuple[Optional[str], Optional[str]]]:
        """service -> (role, password) as a container would get them if it was made now. Secret: never to be shown."""
        found: Dict[str, Tuple[Optional[str], Optional[str]]] = {}
        for service, one in self._described(deadline).items():
            login = resolve_login({"host": "?"}, _environment(one), {})
            found[service] = (login.user, login.password) if login else (None, None)
        return found

    def run(self, services: Sequence[str], grace_seconds: float, deadline: Deadline, secrets: Sequence[str]) -> None:
        """Make the containers anew; those that were stopped on purpose stay so. Raises TargetError, DeadlineError."""
        started = self.started(services)
        stopped = [name for name in services if name not in started]
        for names, more in ((started, ["-d"]), (stopped, ["--no-start"])):
            if names:
                scales = [word for name in names for word in ("--scale", "%s=%d" % (name, len(self._containers[name])))]
                words = ["up", *more, "--no-deps", "--force-recreate", "--no-build", "--pull", "never"]
                self._ask([*words, "--timeout", "%d" % max(1, grace_seconds), *scales, *names], deadline, secrets)

    def started(self, services: Sequence[str]) -> List[str]:
        """Those that run, or should."""
        return [name for name in services if any(_wanted(one) for one in self._containers[name])]

    def _all(self) -> List[Inspection]:
        return [one for found in self._containers.values() for one in found]

    def _described(self, deadline: Deadline) -> Dict[str, Any]:
        text = self._ask(["config", "--format", "json", *self.services], deadline, ())
        try:
            services: Dict[str, Any] = json.loads(text)["services"]
        except (ValueError, KeyError, TypeError):
            raise RefusedError("docker compose config did not return JSON", "Install a newer Compose v2.") from None
        return {name: services[name] for name in self.services if name in services}

    def _differing(
        self, described: Mapping[str, Any], inspected: Inspection, same: bool, deadline: Deadline
    ) -> List[str]:
        """What is not as it was, by name. A tag may name another image by now though the files are the same."""
        config = inspected["Config"]
        differing: List[str] = []
        reference = described.get("image") or config["Image"]
        try:
            image = self._view.engine.get("/images/%s/json" % reference, deadline)["Id"]
        except TargetError:
            image = None
        if image != inspected["Image"]:
            differing.append("image %s" % reference)
        if same:
            return differing
        now, then = _environment(described), containers.environment(inspected)
        passwords = [each.password for env in (now, then) for each in [resolve_login({"host": "?"}, env, {})] if each]
        secrets = [each for each in passwords if each]
        for name, value in now.items():
            if mask(value, secrets) != mask(then.get(name, ""), secrets):
                differing.append("environment %s" % name)
        for name in ("command", "entrypoint"):
            wanted = described.get(name)
            if wanted is not None and [str(word).replace("$$", "$") for word in wanted] != (
                config.get("Cmd" if name == "command" else "Entrypoint") or []
            ):
                differing.append(name)
        return differing

    def _ask(self, words: Sequence[str], deadline: Deadline, secrets: Sequence[str]) -> str:
        argv = [*self._command, "--project-name", self._project, "--project-directory", self.directory]
        for file in self._files:
            argv += ["--file", file]
        for file in self._env_files:
            argv += ["--env-file", file]
        return _run([*argv, *words], deadline, secrets, self.directory, self._docker_host)


def compose_command(deadline: Deadline) -> Tuple[str, ...]:
    """``docker compose`` or ``docker-compose``, whichever is Compose v2. Raises RefusedError."""
    found: List[str] = []
    for words in (("docker", "compose"), ("docker-compose",)):
        try:
            said = _run([*words, "version", "--short"], deadline.sooner(_ASK_SECONDS), (), None, None).strip()
        except TargetError:
            continue
        if said.lstrip("v").split(".")[0].isdigit() and int(said.lstrip("v").split(".")[0]) >= 2:
            return words
        found.append("%s is %s" % (" ".join(words), said))
    raise RefusedError(
        "Compose v2 is not installed here (%s), and without it no container can be recreated"
        % ("; ".join(found) or "neither docker compose nor docker-compose"),
        "Install docker-compose-plugin, or leave out env_file and change the files yourself.",
    )


def _run(
    argv: Sequence[str], deadline: Deadline, secrets: Sequence[str], cwd: Optional[str], docker_host: Optional[str]
) -> str:
    environment = {**os.environ, "COMPOSE_ANSI": "never", **({"DOCKER_HOST": docker_host} if docker_host else {})}
    what = " ".join(word for word in argv if not word.startswith("/"))
    try:
        done = subprocess.run(
            list(argv),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=cwd,
            env=environment,
            timeout=deadline.left(),
        )
    except subprocess.TimeoutExpired:
        raise DeadlineError(
            "%s did not finish in time" % what, "Check what it is waiting for: docker compose ps."
        ) from None
    except OSError as error:
        raise TargetError("%s cannot be run: %s" % (argv[0], error.strerror)) from None
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        # Of a file that it cannot read Compose quotes whatever stands there: "unterminated quoted value 'geheim".
        said = mask(re.split(r"[\"'`]", said)[0] if "up" not in argv else said, secrets)[-300:]
        raise TargetError("%s failed: %s" % (what, said or "exit code %d" % done.returncode))
    return done.stdout.decode("utf-8", "replace")


def _environment(described: Mapping[str, Any]) -> Dict[str, str]:
    """``docker compose config`` writes a dollar sign twice, so that its output can be read as a Compose file."""
    given = described.get("environment") or {}
    return {name: str(value).replace("$$", "$") for name, value in given.items() if value is not None}


def _hash(inspected: Inspection) -> str:
    return str((inspected["Config"].get("Labels") or {}).get(CONFIG_HASH, "?"))


def _wanted(inspected: Inspection) -> bool:
    state = inspected["State"]
    return state["Status"] in _LIVE or (state["Status"] == "exited" and state.get("ExitCode") not in _MEANT)
