# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose CLI, asked and let do. No secret is in its arguments, its environment or what is quoted of it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core.errors import DeadlineError, RefusedError, TargetError
from ..._core.mask import mask

if TYPE_CHECKING:
    from ..._core.deadline import Deadline

_ASK_SECONDS = 20.0
_END_SECONDS = 10.0


def compose_command(deadline: Deadline) -> Tuple[str, ...]:
    """``docker compose`` or ``docker-compose``, whichever is Compose v2. Raises RefusedError."""
    found: List[str] = []
    for words in (("docker", "compose"), ("docker-compose",)):
        try:
            said = ask([*words, "version", "--short"], deadline.sooner(_ASK_SECONDS), None, None).strip()
        except TargetError:
            continue
        if said.lstrip("v").split(".")[0].isdigit() and int(said.lstrip("v").split(".")[0]) >= 2:
            return words
        found.append("%s is %s" % (" ".join(words), said))
    raise RefusedError(
        "Compose v2 is not installed here (%s), and without it no container can be recreated"
        % ("; ".join(found) or "neither docker compose nor docker-compose"),
        "Install docker-compose-plugin, or change the files and recreate the containers yourself.",
    )


def ask(
    argv: Sequence[str],
    deadline: Deadline,
    cwd: Optional[str],
    docker_host: Optional[str],
    given: Optional[str] = None,
    more: Optional[Mapping[str, str]] = None,
) -> str:
    """What a command says that changes nothing; it is given ``given`` to read, and ``more`` variables.

    Raises TargetError, DeadlineError.
    """
    try:
        done = subprocess.run(
            list(argv),
            check=False,
            input=(given or "").encode("utf-8", "surrogateescape"),
            capture_output=True,
            cwd=cwd,
            env={**_environment(docker_host), **(more or {})},
            timeout=deadline.left(),
        )
    except subprocess.TimeoutExpired:
        raise _late(argv) from None
    except OSError as error:
        raise TargetError("%s cannot be run: %s" % (argv[0], error.strerror)) from None
    if done.returncode:
        # Of a file that it cannot read Compose quotes whatever stands there: "unterminated quoted value 'geheim".
        raise _failed(argv, re.split(r"[\"'`]", _line(done.stderr))[0], done.returncode)
    return done.stdout.decode("utf-8", "replace")


def carry_out(
    argv: Sequence[str],
    deadline: Deadline,
    secrets: Sequence[str],
    cwd: Optional[str],
    docker_host: Optional[str],
    keep: Sequence[int] = (),
) -> None:
    """Let it do what it does, in a session of its own: neither a Ctrl-C nor our own end stops it half-way.

    ``keep``: descriptors that it inherits, such as that of a lock which is held until it is done.

    What it says goes to a file: a pipe that nobody reads any more would end it. Raises TargetError, DeadlineError.
    """
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=cwd,
                env=_environment(docker_host),
                start_new_session=True,
                pass_fds=tuple(keep),
            )
        except OSError as error:
            raise TargetError("%s cannot be run: %s" % (argv[0], error.strerror)) from None
        try:
            process.wait(deadline.left())
        except subprocess.TimeoutExpired:
            _end(process)
            raise _late(argv) from None
        if process.returncode:
            said.seek(0)
            raise _failed(argv, mask(_line(said.read()), secrets), process.returncode)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Asked twice, as it takes a second request for haste. It is no client and no server: in the end it is killed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
            return


def _environment(docker_host: Optional[str]) -> Dict[str, str]:
    return {**os.environ, "COMPOSE_ANSI": "never", **({"DOCKER_HOST": docker_host} if docker_host else {})}


def _line(said: bytes) -> str:
    return " ".join(said.decode("utf-8", "replace").split())


def _what(argv: Sequence[str]) -> str:
    return " ".join(word for word in argv if not word.startswith("/"))


def _late(argv: Sequence[str]) -> DeadlineError:
    return DeadlineError("%s did not finish in time" % _what(argv), "Check what it is waiting for: docker compose ps.")


def _failed(argv: Sequence[str], said: str, code: int) -> TargetError:
    return TargetError("%s failed: %s" % (_what(argv), said[-300:] or "exit code %d" % code))
