# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server may be restarted: what a restart would interrupt, and what would keep it down. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Mapping, Optional, Sequence, Tuple, cast

from ..._core.text import count, duration, line, names, size
from ..._model.facts import Facts, ServerFacts
from .. import titles
from ..hba import broken, describe
from . import running
from .readings import WAL_SEGMENT_BYTES, this_run, when

if TYPE_CHECKING:
    from ..._model.answers import Thresholds
    from ..._model.facts import LogEntry

LONG_TRANSACTIONS, BACKUPS = "long_transactions", "backups"
STARTABLE = ("stopped", "killed")
_UNREAD = {"readable": True, "crc_ok": None, "written_at": None, "checkpoint_readable": None, "message": None}
_HERE = ("*", "0.0.0.0", "::")
_LISTENS = ("listen_addresses", "port")


def in_the_way(facts: Facts, thresholds: Thresholds, preflight: Mapping[str, Any]) -> List[Tuple[str, str]]:
    """Why a running server must not be stopped now, each with what to do about it; nothing permits these."""
    found: List[Tuple[str, str]] = []
    snapshot = facts["snapshot"]
    waiting = snapshot["activity"]["sync_replication"]["waiting"] if snapshot else 0
    if waiting:  # their transactions are committed here, and after a restart they would be visible without a replica
        found.append(
            (
                "%s waiting for a synchronous standby" % count(waiting, "commit"),
                "Bring the standby back first; whether to go on without it is the DBA's decision.",
            )
        )
    errors = file_errors(facts)
    if errors:
        found.append(
            (
                "configuration files contain %s: %s" % (count(len(errors), "error"), names(errors, 3)),
                "Correct the files.",
            )
        )
    if preflight["missing_libraries"]:
        found.append(
            (
                "shared_preload_libraries names %s, but the file is missing" % names(preflight["missing_libraries"]),
                "Install it, or correct the setting: the server would not start again.",
            )
        )
    if facts["server"] is not None and facts["server"]["state"] != "unknown":
        now = running.check(without_past(_alone(facts), None), thresholds)
        if now.cause not in STARTABLE:
            told = "; ".join(now.evidence[:-1] or now.evidence)  # the last one says that it is down
            found.append(("it would not start again: %s" % told, "Fix that first."))
    failed = _failed_checkpoint(facts, preflight)
    if failed is not None:
        hint = "Read the server's log and correct that first: the shutdown's own checkpoint would fail as well."
        found.append(("its last checkpoint failed: %s" % line(failed["text"]), hint))
    for disk in facts["server"]["disks"] if facts["server"] else []:
        if disk["free_bytes"] < 2 * WAL_SEGMENT_BYTES and disk["free_bytes"] < disk["total_bytes"] / 10:
            text = "only %s of %s free on %s" % (size(disk["free_bytes"]), size(disk["total_bytes"]), disk["path"])
            found.append((text, "Free disk space first (never in the data directory): a start writes WAL."))
    return found


def _failed_checkpoint(facts: Facts, preflight: Mapping[str, Any]) -> Optional[LogEntry]:
    """The checkpointer's last error, where no checkpoint has been completed since."""
    server, done = facts["server"], when(preflight["checkpoint_at"])
    if server is None or done is None:
        return None
    pids = {each["pid"] for each in server["processes"] if titles.is_checkpointer(each)}
    said = [each for each in this_run(server) if each["pid"] in pids and each["severity"] in ("ERROR", "PANIC")]
    at = when(said[-1]["at"]) if said else None
    return said[-1] if at is not None and at > done else None


def interrupts(preflight: Mapping[str, Any], permitted: Sequence[str] = ()) -> List[Tuple[str, str]]:
    """What a stop would cut short, unless that is ``permitted``."""
    found: List[Tuple[str, str]] = []
    interrupted = backups(preflight) if BACKUPS not in permitted else []
    if interrupted:
        hint = 'Wait for it, or have it interrupted: -e \'{"oncall_interrupt": ["backups"]}\'.'
        found.append(("a backup is running: %s" % names(interrupted), hint))
    long = preflight["transactions"] if LONG_TRANSACTIONS not in permitted else []
    if long:
        hint = 'Wait for them, or have them rolled back: -e \'{"oncall_interrupt": ["long_transactions"]}\'.'
        lost = names([transaction(each) for each in long], 3)
        found.append(("%s would be lost: %s" % (count(len(long), "long transaction"), lost), hint))
    return found


def backups(preflight: Mapping[str, Any]) -> List[str]:
    found = [
        "pid %s (%s%s)" % (each["pid"], each["application"] or "?", ", " + each["phase"] if each["phase"] else "")
        for each in preflight["backups"]
    ]
    return found + (["exclusive backup mode"] if preflight["exclusive_backup"] else [])


def transaction(each: Mapping[str, Any]) -> str:
    return "pid %s (%s in %s, %s, %s, for %s)" % (
        each["pid"],
        each["user"],
        each["database"],
        each["application"] or "no application_name",
        each["state"],
        duration(each["transaction_seconds"]),
    )


def without_past(facts: Facts, lock_file: Any) -> Facts:
    """The same server as if it had been shut down cleanly: only what it stands on can speak against it."""
    server = cast(ServerFacts, facts["server"])
    control = server["control"]
    there = server["state"] in ("missing", "created")
    present = dict(
        server,
        state=server["state"] if there else "exited",
        exit_code=server["exit_code"] if there else None,
        signal=None,
        out_of_memory=False,
        engine_error=None,
        restart_loop=False,
        finished_at=None,
        log=[],
        lock_file=lock_file,
        control=dict(control or _UNREAD, state="shut down"),
    )
    return cast(Facts, dict(facts, server=present))


def _alone(facts: Facts) -> Facts:
    """A server may be stopped because of another one on its directory."""
    return cast(Facts, dict(facts, server=dict(cast(ServerFacts, facts["server"]), directory_used_by=[])))


def file_errors(facts: Facts) -> List[str]:
    """What is wrong in the configuration files, each with its file and line. Rule 7: not one may be left."""
    snapshot = facts["snapshot"]
    if snapshot is None:
        return []
    configured = snapshot["configured"]
    errors = [error_line(each) for each in configured["file_errors"]]
    return errors + [
        "%s (%s)" % (describe(rule), rule["file_name"] or configured["hba_file"] or "pg_hba.conf")
        for rule in configured["hba_rules"] or []
        if broken(rule)
    ]


def error_line(error: Mapping[str, Any]) -> str:
    """A row of pg_file_settings: ``/data/postgresql.conf line 12: work_mem: setting could not be applied``."""
    where = "%s line %s" % (error["file"], error["line"]) if error["file"] else "configuration"
    name = "%s: " % error["name"] if error["name"] else ""
    return "%s: %s%s" % (where, name, line(str(error["error"])))


def instead(facts: Facts, thresholds: Thresholds) -> Optional[str]:
    """Of a server that needs a restart to listen elsewhere: what a person has to do first; None: graceful_restart runs
    as it is printed."""
    preflight, snapshot = facts["restart"], facts["snapshot"]
    if preflight is None or snapshot is None or snapshot["configured"]["hba_rules"] is None:
        why = facts["errors"].get("restart") or "our login role may not read pg_hba_file_rules"
        found = [("whether that is safe cannot be seen: %s" % why, "Set login_user to a superuser")]
    else:
        found = in_the_way(facts, thresholds, preflight) + _others(facts) + _values(facts, preflight["waiting"])
        found += interrupts(preflight)
    for reason, hint in found:
        return "a restart would apply the corrected setting, but %s. %s" % (reason, hint.rstrip("."))
    return None


def _others(facts: Facts) -> List[Tuple[str, str]]:
    users = facts["server"]["directory_used_by"] if facts["server"] else []
    paused = ["%s is paused" % client["name"] for client in facts["clients"] if client["state"] == "paused"]
    return [
        *((running.user_line(user), "Find out what that is") for user in users),
        *((text, "Find out who paused it, and unpause it") for text in paused),
    ]


def _values(facts: Facts, waiting: Sequence[Mapping[str, Any]]) -> List[Tuple[str, str]]:
    """What only the server's own binary can judge for certain, and triage does not start it."""
    server, check = facts["server"], "Check that, then run graceful_restart"
    more = [each["name"] for each in waiting if each["name"] not in _LISTENS]
    if more:
        return [("it would apply %s as well" % names(more), check)]
    new = {each["name"]: str(each["setting"]) for each in waiting}
    addresses = [each.strip() for each in new.get("listen_addresses", "*").split(",")]
    own = {each["address"] for each in server["networks"]} if server else set()
    if not any(each in _HERE or each in own for each in addresses):
        text = "listen_addresses = '%s' names no address that is known to be the server's" % ", ".join(addresses)
        return [(text, check)]
    held = [each for each in (server["listening"] if server else None) or [] if str(each["port"]) == new.get("port")]
    return [("port %s is taken" % each["port"], "Free it, or choose another one") for each in held]
