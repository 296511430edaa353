# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control file and the data checksums: what the server itself has noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ..._core.text import count, line, names, size
from ..._model.integrity import CAUTION, GO, NO_GO, Item
from ..checks.soundness import checksum_failures

if TYPE_CHECKING:
    from ..._model.integrity import AtRest, DamagedFile, IntegrityFacts

_SOUND = ("in production", "in archive recovery", "shut down", "shut down in recovery")


def control_file(facts: IntegrityFacts) -> Item:
    control, name = facts["control"], "control_file"
    if control is None or (control["state"] is None and control["readable"]):
        why = facts["errors"].get("control") or "the server's files cannot be seen from here"
        return Item(name, None, "not read", (), ("control file: %s" % why,))
    said = line(control["message"] or "")
    if not control["readable"]:
        return Item(name, None, "not read", (), ("control file: %s" % (said or "pg_controldata failed"),))
    if control["crc_ok"] is False and facts["checksums"] is not None:  # SQL got through: the server has read it itself
        doubt = "pg_control fails its CRC check, but the server runs: is bin_directory of its version? Check again"
        return Item(name, CAUTION, doubt, (said,) if said else ())
    if control["crc_ok"] is False:
        return Item(name, NO_GO, "pg_control fails its CRC check", (said,) if said else ())
    state = 'cluster state "%s"' % control["state"]
    if control["state"] in _SOUND:
        return Item(name, GO, state)
    return Item(name, CAUTION, "%s: check again when recovery has ended" % state)


def checksums(facts: IntegrityFacts) -> Item:
    name = "checksums"
    if facts["at_rest"] is not None:
        return _at_rest(facts["at_rest"])
    where, failed = checksum_failures(facts["checksum_failures"])
    if failed:
        return Item(name, NO_GO, "checksum failures in %s" % where, failed)
    if facts["checksums"] is None:
        return Item(name, None, "not read", (), ("checksums: %s" % facts["errors"].get("checksums", "no SQL"),))
    if not facts["checksums"]:
        off = "data checksums are off: a page that the disk has changed is noticed only where it makes no sense"
        return Item(name, GO, "data checksums are off", (), (off,))
    return Item(name, GO, "data checksums are on, no failure since the statistics were reset", (), _CACHED)


def _at_rest(found: AtRest) -> Item:
    """There is no catalog that tells whose files they are."""
    name = "checksums"
    if not found["enabled"]:
        off = "checksums: data checksums are off: the stopped server's pages cannot be verified"
        return Item(name, None, "data checksums are off", (), (off,))
    unread = ("checksums: %s" % found["message"],) if found["message"] else ()
    if found["damaged"]:
        evidence = tuple(
            "%s: %s with a wrong checksum" % (each["path"], count(each["blocks"], "page")) for each in found["damaged"]
        )
        whose = "checksums: which tables and indexes these files are is known only to a running server"
        what = names([each["path"] for each in found["damaged"]], 3)
        return Item(name, NO_GO, "checksum failures in %s" % what, evidence, (*unread, whose))
    if unread:
        return Item(name, CAUTION, "no checksum failure in what was read of the stopped server", (), unread)
    read = "%s in %s read" % (count(found["blocks"] or 0, "page"), count(found["files"] or 0, "file"))
    return Item(name, GO, "no checksum failure in the stopped server: %s" % read, (), _OTHER_FILES)


def damaged_files(facts: IntegrityFacts) -> Item:
    """No proof by itself: a role may write such a line (RAISE), and what was damaged may have been restored since. What
    is damaged now amcheck says."""
    found = facts["damaged_files"]
    unread = next((facts["errors"][each] for each in ("server", "log") if each in facts["errors"]), None)
    if not found and unread is not None:
        return Item("log", None, "the server's log was not read", (), ("log: %s" % unread,))
    if not found:
        return Item("log", GO, "the server's log names no file that it could not read")
    evidence = tuple(
        "%s is %s: %s" % (each["path"], _named(each) or "of no table or index any more", each["message"])
        for each in found
    )
    still = [name for name in (_named(each) for each in found if not each["sound"]) if name]
    if still:
        return Item("log", CAUTION, "the log says that the server could not read %s" % names(still, 3), evidence)
    return Item("log", CAUTION, "the server could not read %s, which is over" % count(len(found), "file"), evidence)


def leftovers(facts: IntegrityFacts) -> Item:
    """They take room, and nothing else. Nobody but the DBA removes a file of a data directory."""
    unread = tuple("%s: %s" % each for each in facts["errors"].items() if each[0].startswith("leftovers"))
    if not facts["databases"]:
        return Item("leftovers", None, "not read", (), ("leftovers: no database was looked into",))
    found = sorted(facts["leftovers"], key=lambda each: -each["bytes"])
    if not found:
        return Item("leftovers", None if unread else GO, "no file that a crash has left", (), unread)
    evidence = tuple(
        "%s (%s): %s" % (each["path"], size(each["bytes"]), "of no table or index of %s" % each["database"])
        if each["database"]
        else "%s (%s): a temporary file of no process" % (each["path"], size(each["bytes"]))
        for each in found
    )
    what = "a crash has left %s with %s" % (count(len(found), "file"), size(sum(each["bytes"] for each in found)))
    return Item("leftovers", CAUTION, what, evidence, unread)


def _named(each: DamagedFile) -> Optional[str]:
    return "%s.%s" % (each["database"], each["name"]) if each["name"] else None


# The kernel's cache, and the server's, may hold a sound copy of a page that the disk has not.
_OTHER_FILES = ("checksums: WAL and the transaction status (pg_xact) have none that pg_checksums reads",)
_CACHED = ("checksums: they are verified only where a page is read from the disk, not where it was cached",)
