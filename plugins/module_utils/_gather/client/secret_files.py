# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that an environment does not hold but names a file for: ``*_FILE`` (Docker's secrets) and password files.

Pure: whoever knows where the client's files are gives ``read``. What comes out is secret.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Optional

Read = Callable[[str], Optional[str]]  # the text of the client's file of that absolute path, None: it cannot be read
_SUFFIX = "_FILE"


def unread(_path: str) -> Optional[str]:
    """For a client whose files are out of reach."""
    return None


def with_files(env: Mapping[str, str], wanted: Callable[[str], bool], read: Read) -> Dict[str, str]:
    """``env`` with ``DB_PASSWORD`` for ``DB_PASSWORD_FILE=/run/secrets/db``, where that name is ``wanted``.

    A variable that is set itself wins, and its file is not read. The line's end is no part of the value.
    """
    found = dict(env)
    for name, path in env.items():
        plain = name[: -len(_SUFFIX)]
        if name.endswith(_SUFFIX) and path.startswith("/") and not env.get(plain) and wanted(plain):
            text = read(path)
            if text is not None:
                found[plain] = text.rstrip("\r\n")
    return found


def password_for(text: str, host: str, port: int, database: str, user: str) -> Optional[str]:
    """What a password file gives for that login: the first line that fits (manual, section "The Password File").

    libpq calls its default socket directory ``localhost``; so any directory fits that name here.
    """
    hosts = (host, "localhost") if host.startswith("/") else (host,)
    for line in text.split("\n"):
        fields = _fields(line.rstrip("\r")) if not line.startswith("#") else []
        if len(fields) < 5 or not fields[4].text:
            continue
        wanted = (hosts, (str(port),), (database,), (user,))
        if all(field.any or field.text in names for field, names in zip(fields, wanted)):
            return fields[4].text
    return None


class _Field:
    def __init__(self, written: str) -> None:
        self.any = written == "*"
        self.text = ""
        escaped = False
        for character in written:
            escaped = character == "\\" and not escaped
            if not escaped:
                self.text += character


def _fields(line: str) -> List[_Field]:
    """Parted by colons; a backslash takes the meaning from a colon or a backslash."""
    parts, escaped = [""], False
    for character in line:
        if character == ":" and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return [_Field(part) for part in parts]
