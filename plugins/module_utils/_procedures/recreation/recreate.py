# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container keeps the environment that it was made with: to read a new ``.env`` it must be made anew, by Compose.

Done by the Compose CLI with the very files that made the project (their paths are in the containers' labels), and only
where it is sure to make the same container again, but for what is meant to change.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import OncallError, RefusedError, TargetError
from ..._core.interrupt import held_back
from ..._core.side_by_side import side_by_side
from ..._core.text import names as listed
from ..._gather.client.settings import resolve_login
from ..._gather.runtime.compose import containers
from ..._gather.runtime.compose.project import container_name
from ..._model import ports as _ports
from ..._model.note import may_be_stopped, still_stopped, stops_later
from ..drive import engine as drive
from .compose_cli import ask, carry_out, compose_command
from .same import Described, Stays, but_passwords, changed_since, configuration, differing, environment, with_own

if TYPE_CHECKING:
    from ..._gather.runtime.compose.project import Inspection, View

ENV_FILES = "com.docker.compose.project.environment_file"
CONFIG_HASH = "com.docker.compose.config-hash"
_LIVE = ("running", "paused", "restarting")
# Stopped on purpose: a clean exit, or the signals that a stop sends.
_MEANT = (0, 137, 143)
_MARGIN_SECONDS = 5.0
_NEVER_SECONDS = 3600  # what Compose waits before it kills: nothing is left for it to stop


class Recreation:
    """The containers of some services of a project, to be made anew. Raises RefusedError where that is not safe."""

    def __init__(
        self,
        view: View,
        project: str,
        services: Sequence[str],
        docker_host: Optional[str],
        left: Sequence[str] = (),
        stays: Callable[[Mapping[str, Any], Inspection], Stays] = but_passwords,
    ) -> None:
        """``left``: the containers that a run which did not finish has left stopped. ``stays``: what of the variables
        of a service and its container is to stay."""
        self.services, self._left, self._stays = list(services), left, stays
        self._view, self._project, self._docker_host = view, project, docker_host
        self._containers: Dict[str, List[Inspection]] = {
            name: _whole(view.clients.get(name) or []) for name in services
        }
        labels = [one["Config"].get("Labels") or {} for one in self._all()]
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
        self._document: Dict[str, Any] = {}
        self._asked: Set[str] = set()  # to end, and not seen to have ended
        self.begun = False  # whether Compose may have made anything

    def prepare(self, deadline: Deadline) -> None:
        """Raise RefusedError unless the CLI is there, the files are, and they make the very containers that run."""
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
        self._document = self._described(deadline)
        self._refuse_tenants(deadline)
        for service, found in self._containers.items():
            if service not in self._document["services"]:
                raise RefusedError("The Compose files define no service %s" % service, "Have they changed since?")
            for inspected in found:
                differs = self._differing(service, inspected, deadline)
                if differs:
                    raise RefusedError(
                        "The Compose files, read from here, do not match the existing container of %s (%s)"
                        % (service, "; ".join(differs)),
                        "Run it with the variables and files of the first %s compose up, or bring the service up once "
                        "by hand." % self._view.engine.command,
                    )

    def variable_files(self) -> List[str]:
        return self._env_files or [os.path.join(self.directory, ".env")]

    def reread(self, deadline: Deadline) -> None:
        """The files, which were changed since they were read."""
        self._document = self._described(deadline)

    def environment(self, service: str) -> Dict[str, str]:
        """The service's as Compose would make a container now. Secret: never to be shown as a whole."""
        return environment(self._document["services"][service])

    def given(self, values: Mapping[str, str], deadline: Deadline) -> Dict[str, Dict[str, str]]:
        """service -> its environment if ``.env`` had these ``values``. Secret."""
        document = self._described(deadline, values)
        return {name: environment(document["services"][name]) for name in self.services}

    def mentions(self, word: str) -> bool:
        """Whether one of the Compose files has it."""
        for path in self._files:
            with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
                if re.search(r"\b(?:%s)\b" % word, file.read()):
                    return True
        return False

    def passwords(self) -> Dict[str, Tuple[Optional[str], Optional[str]]]:
        """service -> (role, password) as a container would get them if it was made now. Secret: never to be shown."""
        found: Dict[str, Tuple[Optional[str], Optional[str]]] = {}
        for service in self.services:
            login = resolve_login({"host": "?"}, self.environment(service), {})
            found[service] = (login.user, login.password) if login else (None, None)
        return found

    def run(
        self,
        services: Sequence[str],
        grace_seconds: float,
        deadline: Deadline,
        secrets: Sequence[str],
        keep: Sequence[int] = (),
    ) -> None:
        """Make the containers anew; those that were stopped on purpose stay so. Raises TargetError, DeadlineError.

        They are asked to end first, by us: Compose's own way of doing it ends in SIGKILL.
        """
        started = self.started(services)
        stopped = [name for name in services if name not in started]
        self._stop(services, grace_seconds)
        for names, more in ((started, ["-d"]), (stopped, ["--no-start"])):
            if names:
                scales = [word for name in names for word in ("--scale", "%s=%d" % (name, len(self._containers[name])))]
                words = ["up", *more, "--no-deps", "--force-recreate", "--no-build", "--pull", "never"]
                words += ["--timeout", "%d" % _NEVER_SECONDS, *scales, *names]
                with held_back():  # Compose is not left in the middle of it
                    self.begun = True
                    carry_out(self._argv(words), deadline, secrets, self.directory, self._docker_host, keep)

    def bring_back(self, services: Sequence[str], seconds: float) -> None:
        """Start whatever of these services is down and was not when it began; one that was asked to end and has not
        yet is waited for. Raises TargetError that names those that are down still, or may be later."""
        deadline, wanted = Deadline(seconds), self.started(services)
        while True:
            try:
                left = self._not_back(wanted)
            except OncallError as error:
                command = self._view.engine.command
                names = [container_name(one) for service in wanted for one in self._containers[service]]
                left = [error.msg, *(may_be_stopped(name, command) for name in names)]
            if not left:
                return
            if deadline.passed():
                raise TargetError("; ".join(left))
            time.sleep(deadline.left(0.3))

    def _not_back(self, wanted: Sequence[str]) -> List[str]:
        """Starts those that are down. What is to be said of each that is not up for good."""
        left: Dict[str, str] = {}
        for one in self._now(Deadline(_MARGIN_SECONDS)):
            name, down = one["Names"][0].lstrip("/"), one["State"] not in _LIVE
            if one["Labels"].get(containers.SERVICE) in wanted and (down or one["Id"] in self._asked):
                left[name] = (still_stopped if down else stops_later)(name, self._view.engine.command)
            if name in left and down:
                with contextlib.suppress(OncallError):  # the others are started nevertheless
                    drive.start(self._view.engine, one["Id"], Deadline(_MARGIN_SECONDS))
                    self._asked.discard(one["Id"])
                    del left[name]
        return [left[name] for name in sorted(left)]

    def started(self, services: Sequence[str]) -> List[str]:
        """Those that run, or should."""
        return [
            name
            for name in services
            if any(_wanted(one) or container_name(one) in self._left for one in self._containers[name])
        ]

    def changed(self, services: Sequence[str], stays: Stays, deadline: Deadline) -> List[str]:
        """What should have stayed and is another in the new containers: "api-1: LogConfig", and where ports went."""
        before = {container_name(one): configuration(one, stays) for name in services for one in self._containers[name]}
        ports = {
            container_name(one): containers.chosen_ports(one) for name in services for one in self._containers[name]
        }
        found: List[str] = []
        for one in self._now(deadline):
            name = one["Names"][0].lstrip("/")
            if name in before:
                inspected = self._view.engine.get("/containers/%s/json" % one["Id"], deadline)
                now = configuration(inspected, stays)
                found += _ports.moved(name, ports[name], containers.chosen_ports(inspected))
                keys = sorted(key for key in {*now, *before[name]} if now.get(key) != before[name].get(key))
                found += ["%s: %s" % (name, ", ".join(keys))] if keys else []
        return found

    def moving(self, services: Sequence[str]) -> List[str]:
        """What cannot be as it is in the new containers."""
        return [
            line
            for name in services
            for one in self._containers[name]
            for line in _ports.moving(container_name(one), containers.chosen_ports(one))
        ]

    def _all(self) -> List[Inspection]:
        return [one for found in self._containers.values() for one in found]

    def _now(self, deadline: Deadline) -> List[Dict[str, Any]]:
        found = self._view.engine.containers(deadline, "%s=%s" % (containers.PROJECT, self._project))
        return [one for one in found if one["Labels"].get(containers.ONE_OFF) != "True"]

    def _stop(self, services: Sequence[str], grace_seconds: float) -> None:
        """Raises TargetError for one that takes no notice: it is left running, and the others are started again."""
        live = {
            one["Names"][0].lstrip("/"): one["Id"]
            for one in self._now(Deadline(_MARGIN_SECONDS))
            if one["Labels"].get(containers.SERVICE) in services and one["State"] in _LIVE
        }
        self._asked.update(live.values())
        outcome = side_by_side(
            {name: _stopping(self._view, live[name], grace_seconds) for name in live},
            Deadline(grace_seconds + _MARGIN_SECONDS),
        )
        if outcome.errors:
            deaf = sorted(outcome.errors)
            raise TargetError(
                "%s did not stop within %.0f s of its stop signal, and nothing is killed"
                % (listed(deaf), grace_seconds),
                "Give it longer: grace_seconds (-e oncall_grace_seconds=...).",
            )
        self._asked.clear()

    def _refuse_tenants(self, deadline: Deadline) -> None:
        """A container that lives in the network of one that is made anew would be cut off from it for good."""
        ours = {"container:" + one["Id"]: container_name(one) for one in self._all()}
        for one in self._view.engine.get("/containers/json", deadline, all=1):
            mode = (one.get("HostConfig") or {}).get("NetworkMode") or ""
            if mode in ours:
                raise RefusedError(
                    "%s shares the network of %s, and would lose it when that is recreated"
                    % (one["Names"][0].lstrip("/"), ours[mode]),
                    "Recreate both by hand.",
                )

    def _described(self, deadline: Deadline, more: Optional[Mapping[str, str]] = None) -> Dict[str, Any]:
        text = self._ask(["config", "--format", "json", *self.services], deadline, more=more)
        try:
            document: Dict[str, Any] = json.loads(text)
            document["services"].items()
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RefusedError("docker compose config did not return JSON", "Install a newer Compose v2.") from None
        return document

    def _differing(self, service: str, inspected: Inspection, deadline: Deadline) -> List[str]:
        """What would not be as it is, by name.

        The hash that Compose gave the container proves that it was made from the same files and variables, whatever
        they hold. A tag may name another image by now, and a container may have been changed since.
        """
        row = self._document["services"][service]
        reference = row.get("image") or inspected["Config"]["Image"]
        try:
            image = self._view.engine.get("/images/%s/json" % reference, deadline)
        except TargetError:
            image = {}
        differs = [] if image.get("Id") == inspected["Image"] else ["image %s" % reference]
        if differs:
            image = self._view.engine.get("/images/%s/json" % inspected["Image"], deadline)
        described = Described(row, _names(self._document, "networks"), _names(self._document, "volumes"))
        given = (inspected["Config"].get("Labels") or {}).get(CONFIG_HASH)
        if given and any(given == self._hash(service, inspected, deadline, unset) for unset in (False, True)):
            return differs + ([] if _new(inspected) else changed_since(described, inspected, image))
        differs += differing(described, inspected, image, self._stays(row, inspected))
        # Of a service with links Compose writes another hash when it makes it without its dependencies, as here.
        return differs or (["its configuration hash"] if given and not row.get("links") else [])

    def _hash(self, service: str, inspected: Inspection, deadline: Deadline, unset: bool) -> str:
        """What Compose would put on the container, had nothing changed that may.

        Asked of what Compose itself has read, for only that has the variables of ``env_file`` in it.
        """
        row = self._document["services"][service]
        row = with_own(row, inspected, self._stays(row, inspected), unset)
        row.pop("profiles", None)
        document = {**self._document, "services": {**self._document["services"], service: row}}
        said = self._ask(["config", "--hash", service], deadline, json.dumps(document))
        return said.split()[-1] if said.split() else ""

    def _ask(
        self,
        words: Sequence[str],
        deadline: Deadline,
        document: Optional[str] = None,
        more: Optional[Mapping[str, str]] = None,
    ) -> str:
        argv = self._argv(words) if document is None else self._argv(words, ["-"], ())
        return ask(argv, deadline, self.directory, self._docker_host, document, more)

    def _argv(
        self, words: Sequence[str], files: Optional[Sequence[str]] = None, env_files: Optional[Sequence[str]] = None
    ) -> List[str]:
        argv = [*self._command, "--project-name", self._project, "--project-directory", self.directory]
        for file in self._files if files is None else files:
            argv += ["--file", file]
        for file in self._env_files if env_files is None else env_files:
            argv += ["--env-file", file]
        return [*argv, *words]


def _stopping(view: View, container: str, grace_seconds: float) -> Any:
    return lambda: drive.stop(view.engine, container, Deadline(grace_seconds))


def _names(document: Mapping[str, Any], kind: str) -> Dict[str, str]:
    return {key: str((one or {}).get("name") or key) for key, one in (document.get(kind) or {}).items()}


def _whole(found: Sequence[Inspection]) -> List[Inspection]:
    """Without those that a Compose which was killed had only begun to make; the next one removes them."""
    whole = [one for one in found if not (_new(one) and re.match("[0-9a-f]{12}_", container_name(one)))]
    return whole or list(found)


def _new(inspected: Inspection) -> bool:
    """Never started: it has no addresses yet."""
    return bool(inspected["State"]["Status"] == "created")


def _wanted(inspected: Inspection) -> bool:
    state = inspected["State"]
    return state["Status"] in _LIVE or (state["Status"] == "exited" and state.get("ExitCode") not in _MEANT)
