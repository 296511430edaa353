# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checksums of a stopped server's pages, read by ``pg_checksums --check``, which writes nothing.

It holds no lock, and takes a page that a server is writing for damaged. So what it says counts only where the control
file, before and afterwards, is that of one and the same clean shutdown, and nobody has the directory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, Optional, Tuple

from ..._core.errors import TargetError
from ..._core.numbers import whole
from ..._core.text import line

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import ServerFacts
    from ..._model.integrity import AtRest
    from ..target import Target

_CLEAN = ("shut down", "shut down in recovery")
_OURS = {"LC_ALL": "C", "LANGUAGE": "C"}  # its words are parsed
_STOPPED_IT = (124, 143)  # by timeout(1)
_BAD = re.compile(r'checksum verification failed in file "([^"]+)", block (\d+)')
_OFF = "data checksums are not enabled"
_RECHECK_SECONDS = 10.0


def at_rest(target: Target, server: Optional[ServerFacts], deadline: Deadline) -> AtRest:
    """Raises OncallError with why nothing was read."""
    before = _state(server)
    directory = server["data_directory"] if server else None
    if before is None or not directory:
        raise TargetError("the server was not shut down cleanly, or its files cannot be seen: pg_checksums needs both")
    recheck = min(_RECHECK_SECONDS, deadline.left() / 4)
    seconds = int(deadline.left() - recheck - 1)
    if seconds < 1:
        raise TargetError("no time was left")
    # timeout(1) ends it by SIGTERM, so that what it has said until then is not lost.
    words = ["--check", "-D", directory["path"]]
    done = target.runtime.run_at_rest("pg_checksums", words, seconds, _OURS, deadline.sooner(seconds + 1))
    target.runtime.forget()
    if _state(target.runtime.server(deadline)) != before:
        raise TargetError("the server was started while its files were read, so that proves nothing: check again")
    said = done.err + done.out
    damaged: Dict[str, int] = {}
    for path, _block in _BAD.findall(said):
        below = path[len(directory["path"]) :].lstrip("/") if path.startswith(directory["path"]) else path
        damaged[below] = damaged.get(below, 0) + 1
    files, blocks = _number("Files scanned", said), _number("Blocks scanned", said)
    if _OFF in said:
        return {"enabled": False, "files": None, "blocks": None, "damaged": [], "message": None}
    message = None
    if done.code in _STOPPED_IT:
        message = "no time was left to read all of it"
    elif blocks is None:
        message = line(_last(said) or "pg_checksums ended with exit code %d" % done.code, 300)
        if not damaged:
            raise TargetError(message)
    return {
        "enabled": True,
        "files": files,
        "blocks": blocks,
        "damaged": [{"path": path, "blocks": count} for path, count in sorted(damaged.items())],
        "message": message,
    }


def _state(server: Optional[ServerFacts]) -> Optional[Tuple[object, ...]]:
    """Which clean shutdown it was; None: it runs, or crashed, or somebody has its directory."""
    control = server["control"] if server else None
    if not server or not control or server["postmaster_pid"] or server["directory_used_by"]:
        return None
    if control["state"] not in _CLEAN or not control["crc_ok"]:
        return None
    return control["state"], control["written_at"], control["checkpoint_lsn"]


def _number(what: str, said: str) -> Optional[int]:
    found = re.search(r"^%s:\s+(\d+)$" % what, said, re.MULTILINE)
    return whole(found.group(1)) if found else None


def _last(said: str) -> str:
    return ([each.strip() for each in said.splitlines() if each.strip()] or [""])[-1]


def is_down(server: Optional[ServerFacts]) -> bool:
    return server is not None and server["postmaster_pid"] is None and server["state"] in ("exited", "created", "dead")
