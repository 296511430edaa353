# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Question 1: is PostgreSQL running? If not, what ended it, or keeps it from starting?

What can be read directly comes before what the log says. From outside (``remote``) a server cannot be told from its
port: a port that refuses is taken for a server that is down, with the cause unknown; silence of the network says
nothing about the server and is left to question 3.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, List, NamedTuple, Optional, Tuple

from ..._core.numbers import major
from ..._core.text import count, duration, line, names, size
from ..._model.answers import CRITICAL, NO, WARNING, YES, Answer, Finding, Thresholds, Values
from ..refused import SECRET, meant
from .readings import WAL_SEGMENT_BYTES, down, log_lines, not_asked, this_run, when, wire_line

if TYPE_CHECKING:
    import datetime

    from ..._model.facts import Cluster, DataDirectory, DirectoryUser, Disk, Facts, LogEntry, ServerFacts

QUESTION = "running"
ANSWERING = ("accepting", "rejecting", "silent")
RECENTLY_SECONDS = 3600
FEWEST_FILES = 128  # PostgreSQL refuses below about 60 (fd.c: set_max_safe_fds), extensions and libraries add theirs
LAST_WORDS = 5  # of the log: the end of a start that failed
PORT_TAKEN = ("address already in use", "port is already allocated", "ports are not available", "failed to bind")


class Reason(NamedTuple):
    cause: str
    evidence: List[str]


def check(facts: Facts, thresholds: Thresholds) -> Answer:
    server = facts["server"]
    if server is None or server["state"] == "unknown":
        return _from_outside(facts)
    live = not down(facts)
    if live and not _seen(server):
        return Answer(QUESTION, YES, _running(server), findings=tuple(_findings(server)))
    reason, cluster = _why(server), _cluster(server)
    evidence = _state(server) + reason.evidence if reason.cause == "unknown" else reason.evidence + _state(server)
    refused = refused_settings(server) if reason.cause == "invalid_configuration" else []
    return Answer(
        QUESTION,
        NO,
        evidence[0] if evidence else "the server is down",
        "server_down",
        reason.cause,
        tuple(dict.fromkeys(evidence)),
        values=Values(
            server=server["name"],
            service=server["service"] or server["name"],
            directory=_directory(server),
            engine=server["engine_command"] or "docker",
            loop=" (restart loop)" if server["restart_loop"] else "",
            why=_last_words(server),
            data_version=cluster["version"] if cluster else None,
            program_version=server["program_version"],
            name=names(refused) or "a setting",
            # of several, or one whose value would be told nowhere, a person decides
            reset_settings=tuple(refused) if len(refused) == 1 and refused[0].lower() not in SECRET else (),
            what=_sharing(server, live)[0],
            advice=_sharing(server, live)[1],
        ),
        severity=CRITICAL if reason.cause == "directory_in_use" and not _seen(server) else None,
    )


def _why(server: ServerFacts) -> Reason:
    """The first of these that holds; the order is from what excludes everything else to what is left."""
    entries = this_run(server)
    for reason in (
        _in_use(server),
        _port_taken(server, entries),
        _missing(server),
        _incompatible(server),
        _not_initialised(server),
        _out_of_memory(server),
        _disk_full(server),
        _permission(server),
        _files(server),
        _damaged(server),
        _configuration(server),
        _setting(server),
        _clean(server),
        _lock_file(server),
        _logged(server, entries),
        _killed(server),
        _stopped(server),
    ):
        if reason:
            lines = log_lines([entry for entry in entries if entry["cause"] == reason.cause])
            return Reason(reason.cause, reason.evidence + [text for text in lines if text not in reason.evidence])
    return Reason("unknown", _hints(server) + log_lines(entries))


def _in_use(server: ServerFacts) -> Optional[Reason]:
    evidence = [user_line(user) for user in server["directory_used_by"]] or _contradictions(server)
    return Reason("directory_in_use", evidence) if evidence else None


def _seen(server: ServerFacts) -> List[DirectoryUser]:
    return [user for user in server["directory_used_by"] if user["seen"]]


def _user(user: DirectoryUser) -> str:
    if user["container"] is None:
        return "the host" if user["pid"] is None else "pid %d of the host" % user["pid"]
    return "container %s" % user["container"] if user["container"] else "a container (pid %s)" % user["pid"]


def user_line(user: DirectoryUser) -> str:
    """``container shop-b-1 runs PostgreSQL on this data directory (pid 4711: postgres)``"""
    pid = "pid %d" % user["pid"] if user["container"] and user["pid"] else ""
    said = ": ".join(word for word in (pid, line(user["title"] or "", 300)) if word)
    what = "runs PostgreSQL on this data directory" if user["seen"] else "may run PostgreSQL on this data directory"
    return "%s %s%s" % (_user(user), what, " (%s)" % said if said else "")


def _contradictions(server: ServerFacts) -> List[str]:
    """What only another server can have written: after this one had ended, by the clock of the engine's host."""
    lock, control, directory = server["lock_file"], server["control"], server["data_directory"]
    if lock and lock["pid"] == 1 and server["engine_command"] is None and server["state"] == "exited":
        return ["postmaster.pid names pid 1: a server in a container wrote it, and it was not shut down"]
    if server["state"] not in ("exited", "dead") or server["restart_loop"]:
        return []
    ended = when(server["finished_at"])
    found = []
    if lock and _after(lock["started_at"], ended):
        found.append(
            "postmaster.pid is of a server started at %s, after this one had ended (%s)"
            % (lock["started_at"], server["finished_at"])
        )
    # A base backup brings the control file of the server it was taken from.
    copied = _restoring(server) or (directory is not None and directory["backup_label"])
    if control and control["state"] and not _shut_down(control["state"]) and not copied:
        told = 'control state "%s"' % control["state"]
        if _after(control["written_at"], ended):
            found.append("%s, written at %s, after this one had ended" % (told, control["written_at"]))
        elif server["exit_code"] == 0 and (lock or not (ended and control["written_at"])):
            found.append("exit code 0, but %s: it did not write that" % told)
    return found


def _after(text: Optional[str], ended: Optional[datetime.datetime]) -> bool:
    """Beyond what the two clock readings, one of whole seconds, may differ by."""
    at = when(text)
    return at is not None and ended is not None and (at - ended).total_seconds() > 2


def _sharing(server: ServerFacts, live: bool) -> Tuple[str, str]:
    """What is wrong, and what to do."""
    name, who = server["name"], names(_user(user) for user in _seen(server))
    if live:
        return "Two servers are running on one data directory: %s and %s" % (name, who), (
            "they destroy the data; stop all writing now, ask a DBA which one to shut down (never kill -9), "
            "and check the data before it is used again"
        )
    if who:
        return "%s is down, but %s is using its data directory" % (name, who), (
            "do not start it, two servers destroy the data; find out who started the other one"
        )
    return "%s is down, and another server may be using its data directory" % name, (
        "do not start it, two servers destroy the data; find the other one first"
    )


def _last_words(server: ServerFacts) -> str:
    """For a cause that is not known: the FATAL of the last start, which says more than that nothing is known. Not one
    of a client, which says nothing of the server."""
    said = [entry["text"] for entry in this_run(server) if entry["own"] and entry["severity"] in ("FATAL", "PANIC")]
    loop = " (restart loop)" if server["restart_loop"] else ""
    return "%s%s: %s" % (
        ("the reason in its log", loop, line(said[-1])) if said else ("an unknown reason", loop, "read its full log")
    )


def _port_taken(server: ServerFacts, entries: List[LogEntry]) -> Optional[Reason]:
    error = server["engine_error"] or ""
    if any(words in error.lower() for words in PORT_TAKEN):
        return Reason("port_conflict", [_engine(error)])
    told = [entry["text"] for entry in entries[-LAST_WORDS:] if entry["cause"] == "port_conflict"]
    if not told:
        return None
    lock = server["lock_file"]
    for holder in server["listening"] or []:
        port = str(holder["port"])
        if holder["ours"] is not True and (
            any(port in text for text in told) or (lock and lock["port"] == holder["port"])
        ):
            held = "port %s is held by another process (%s:%s)" % (port, holder["address"], port)
            return Reason("port_conflict", [held])
    return None


def _missing(server: ServerFacts) -> Optional[Reason]:
    if server["state"] != "missing":
        return None
    return Reason("missing_container", ["service %s has no container" % (server["service"] or server["name"])])


def _incompatible(server: ServerFacts) -> Optional[Reason]:
    """Another major version cannot read the data, and its tools take the control file for damaged."""
    program = server["program_version"]
    if not program:
        return None
    other = _cluster(server)
    if other is None or major(other["version"]) == major(program):
        return None
    evidence = ["%s is a cluster of PostgreSQL %s" % (other["path"], other["version"])]
    evidence.append("the server program is PostgreSQL %s" % program)
    if other["path"] != _directory(server):
        evidence.append("its own data directory %s holds no cluster" % _directory(server))
    return Reason("incompatible_version", evidence)


def _cluster(server: ServerFacts) -> Optional[Cluster]:
    """The cluster in its data directory; where there is none, the one that its mounts hold instead."""
    directory = server["data_directory"]
    if directory and directory["version"]:
        return {"path": directory["path"], "version": directory["version"]}
    return next(iter(server["other_clusters"]), None)


def _not_initialised(server: ServerFacts) -> Optional[Reason]:
    """Nothing that could be damaged. Nothing to start either: that would make a new cluster beside the old one."""
    directory = server["data_directory"]
    if directory is None or _finished(directory):
        return None
    path, entries = directory["path"], directory["entries"]
    if not directory["exists"]:
        text = "data directory %s does not exist: is its volume mounted?" % path
    elif entries == 0:
        text = "data directory %s is empty: is its volume mounted?" % path
    elif not directory["cluster_files"] and directory["version"] is None:
        text = "data directory %s holds %s, but no cluster" % (path, count(entries or 0, "other file"))
    else:
        text = "initdb did not finish in %s: it has no database but template1" % path
    other = [
        "%s holds a cluster of PostgreSQL %s, which the server does not use" % (each["path"], each["version"])
        for each in server["other_clusters"]
    ]
    return Reason("not_initialised", [text, *other])


def _finished(directory: DataDirectory) -> bool:
    """initdb makes template1 first and the control file with it, then the other databases."""
    if not directory["exists"] or directory["entries"] == 0:
        return False
    files, databases = directory["cluster_files"], directory["databases"]
    if files is None:  # it may not be read
        return True
    return (databases or 0) > 1 or (databases is None and bool(files))


def _out_of_memory(server: ServerFacts) -> Optional[Reason]:
    # The engine sets the flag when any process of the container was killed; a clean exit afterwards was not for it.
    if not server["out_of_memory"] or server["exit_code"] == 0:
        return None
    limit = server["memory_limit_bytes"]
    code = "exit code %s, " % server["exit_code"] if server["exit_code"] is not None else ""
    text = code + "OOM flag set" + (", memory limit %s" % size(limit) if limit else "")
    return Reason("out_of_memory", [text])


def _disk_full(server: ServerFacts) -> Optional[Reason]:
    evidence = [text for disk in server["disks"] for text in [_full(disk)] if text]
    return Reason("disk_full", evidence) if evidence else None


def _full(disk: Disk) -> Optional[str]:
    if disk["total_bytes"] > 0 and disk["free_bytes"] < min(WAL_SEGMENT_BYTES, disk["total_bytes"] / 10):
        return "free space on %s: %s of %s" % (disk["path"], size(disk["free_bytes"]), size(disk["total_bytes"]))
    if disk["total_inodes"] and disk["free_inodes"] == 0:
        return "free inodes on %s: 0 of %d" % (disk["path"], disk["total_inodes"])
    return None


def _permission(server: ServerFacts) -> Optional[Reason]:
    directory = server["data_directory"]
    if not directory or not directory["exists"] or directory["entries"] == 0:
        return None  # an empty one is made ready by whoever initialises it
    evidence = []
    mode = _octal(directory["mode"])
    # checkDataDir() in miscinit.c: nothing for others, no writing for the group; and the owner needs it all
    if mode is not None and (mode & 0o027 or mode & 0o700 != 0o700):
        evidence.append("data directory mode is %s, must be 0700 or 0750" % directory["mode"])
    owner, expected = directory["owner_uid"], directory["expected_uid"]
    if owner is not None and expected is not None and owner != expected:
        evidence.append("data directory is owned by uid %d, but the server runs as uid %d" % (owner, expected))
    evidence += [
        "%s is mounted read-only" % mount["destination"]
        for mount in server["mounts"]
        if mount["read_only"] and mount["destination"] == directory["path"]
    ]
    return Reason("permission_denied", evidence) if evidence else None


def _octal(text: Optional[str]) -> Optional[int]:
    try:
        return int(text or "", 8)
    except ValueError:
        return None


def _files(server: ServerFacts) -> Optional[Reason]:
    soft = server["nofile_soft"]
    if soft is None or not 0 <= soft < FEWEST_FILES:
        return None
    return Reason("too_many_open_files", ["open-file limit is %d, PostgreSQL needs at least %d" % (soft, FEWEST_FILES)])


def _damaged(server: ServerFacts) -> Optional[Reason]:
    directory, control = server["data_directory"], server["control"]
    evidence = []
    if directory and directory["version"] is None and directory["entries"]:
        evidence.append("%s has no PG_VERSION" % directory["path"])
    message = line((control["message"] if control else None) or "")
    said = ": " + message if message else ""
    if control and not control["readable"] and not _tool_failed(message):
        evidence.append("pg_control cannot be read" + said)
    elif control and control["crc_ok"] is False:
        evidence.append("pg_control fails its CRC check" + said)
    # A standby or a restored backup may have its checkpoint's WAL in the archive, not here.
    elif control and control["checkpoint_readable"] is False and not _restoring(server):
        where = "%s in %s" % (control["checkpoint_lsn"] or "unknown LSN", control["checkpoint_wal_file"] or "pg_wal")
        evidence.append("the last checkpoint's WAL record (%s) cannot be read%s" % (where, said))
    return Reason("data_corruption", evidence) if evidence else None


def _tool_failed(message: str) -> bool:
    """pg_controldata itself did not run, which says nothing about the file."""
    text = message.lower()
    return any(words in text for words in ("permission denied", "command not found", "executable file", "toolbox"))


def _restoring(server: ServerFacts) -> bool:
    directory = server["data_directory"]
    return bool(directory and (directory["standby_signal"] or directory["recovery_signal"]))


def _configuration(server: ServerFacts) -> Optional[Reason]:
    configuration = server["configuration"]
    if not configuration or configuration["valid"] is not False:
        return None
    said = line(configuration["message"] or "no message")
    return Reason("invalid_configuration", ["the server rejects its configuration: %s" % said, *_altered(server)])


def _setting(server: ServerFacts) -> Optional[Reason]:
    """Its files are well written, and it refuses what ALTER SYSTEM has set in them."""
    evidence = _altered(server)
    return Reason("invalid_configuration", [_refusal(server), *evidence]) if evidence else None


def _altered(server: ServerFacts) -> List[str]:
    refused = refused_settings(server)
    return ["ALTER SYSTEM has set %s (postgresql.auto.conf)" % names(refused, 5)] if refused else []


def refused_settings(server: ServerFacts) -> List[str]:
    """Of those that ALTER SYSTEM has set, the ones for which its program would not start."""
    return meant(_refusal(server), server["altered_settings"] or [])


def _refusal(server: ServerFacts) -> str:
    """What its program says against its files, else what it said when it failed to start; or nothing."""
    configuration = server["configuration"]
    if configuration and configuration["valid"] is False:
        return configuration["message"] or ""
    fatal = [
        entry for entry in this_run(server) if entry["own"] is not False and entry["severity"] in ("FATAL", "PANIC")
    ]
    return log_lines(fatal[-1:])[0] if fatal and _failed_start(server, fatal[-1]) else ""


def _failed_start(server: ServerFacts, entry: LogEntry) -> bool:
    """It ended with this entry, which is of no client: by its own exit code, else after it had been shut down."""
    if server["exit_code"] == 137:
        return False
    if server["restart_loop"]:
        return True
    if server["exit_code"] is not None:
        return server["exit_code"] not in (0, 130, 143)
    written, ended = when(entry["at"]), when(server["finished_at"])
    return bool(written and ended and written > ended)


def _clean(server: ServerFacts) -> Optional[Reason]:
    """Shut down cleanly: whatever the log told before that did not end it."""
    control = server["control"]
    if server["exit_code"] == 0 and not server["restart_loop"] and control and _shut_down(control["state"]):
        return Reason("stopped", ['exit code 0, control state "%s"' % control["state"]])
    return None


def _lock_file(server: ServerFacts) -> Optional[Reason]:
    lock = server["lock_file"]
    if not lock:
        return None
    if lock["pid"] is None:
        return Reason("stale_lock_file", ["postmaster.pid is empty or unreadable, so PostgreSQL refuses to start"])
    # A container's postmaster is pid 1, and so is whoever looks in its place: that one proves nothing.
    if lock["pid_alive"] and lock["pid"] > 1:
        text = "postmaster.pid names pid %d, which is alive but not a postmaster of this directory" % lock["pid"]
        return Reason("stale_lock_file", [text])
    return None


def _logged(server: ServerFacts, entries: List[LogEntry]) -> Optional[Reason]:
    for entry in reversed(entries):
        if _of_a_reload(server, entry):
            continue
        if entry["cause"] in CAUSES and not _past(server, entry):
            return Reason(str(entry["cause"]), log_lines([entry]))
    return None


def _of_a_reload(server: ServerFacts, entry: LogEntry) -> bool:
    """A reload, too, tells that the files "contain errors", be it only a setting that waits for a restart; who was
    killed did not end for that."""
    configuration = server["configuration"]
    good = configuration is not None and configuration["valid"] is True
    return entry["cause"] == "invalid_configuration" and good and _killed(server) is not None


def _past(server: ServerFacts, entry: LogEntry) -> bool:
    """An old story in the log of a server that was shut down cleanly since: what can be read directly denies it."""
    if not (server["control"] and _shut_down(server["control"]["state"])):
        return False
    if server["exit_code"] not in (None, 0, 130, 143):
        return False  # a later start failed, before it touched the control file
    written, ended = when(entry["at"]), when(server["finished_at"])
    if server["exit_code"] is None and written and ended and written > ended:
        return False  # the same, where the shutdown's time is known and the start's exit code is not
    cause = entry["cause"]
    directory, configuration = server["data_directory"], server["configuration"]
    return (
        (cause == "disk_full" and bool(server["disks"]))
        or (cause == "permission_denied" and directory is not None and directory["mode"] is not None)
        or (cause == "invalid_configuration" and configuration is not None and configuration["valid"] is True)
        or (cause == "too_many_open_files" and server["nofile_soft"] is not None)
        or cause in ("killed", "out_of_memory", "data_corruption")
    )


def _killed(server: ServerFacts) -> Optional[Reason]:
    if server["signal"] == 9 or server["exit_code"] == 137:
        flag = ", OOM flag not set" if server["out_of_memory"] is False else ""
        return Reason("killed", ["exit code %s: killed by signal 9 (SIGKILL)%s" % (server["exit_code"] or 137, flag)])
    lock, control = server["lock_file"], server["control"]
    left = lock is not None and lock["pid_alive"] is False
    if server["exit_code"] is None and left and lock and control and control["state"] == "in production":
        text = 'stale postmaster.pid: pid %s is dead, control state is "in production"' % lock["pid"]
        return Reason("killed", [text])
    return None


def _stopped(server: ServerFacts) -> Optional[Reason]:
    control = server["control"]
    state = control["state"] if control else None
    if server["state"] == "created" and not server["engine_error"]:
        return Reason("stopped", ["the container was created but never started"])
    if server["exit_code"] in (0, 130, 143) and not server["restart_loop"]:
        return Reason("stopped", ["exit code %d%s" % (server["exit_code"] or 0, _control_text(state))])
    if server["exit_code"] is None and _shut_down(state) and not server["restart_loop"]:
        return Reason("stopped", ['control state is "%s"' % state])
    return None


def _control_text(state: Optional[str]) -> str:
    return ', control state "%s"' % state if state else ""


def _shut_down(state: Optional[str]) -> bool:
    return state in ("shut down", "shut down in recovery")


def _hints(server: ServerFacts) -> List[str]:
    return [_engine(server["engine_error"])] if server["engine_error"] else []


def _state(server: ServerFacts) -> List[str]:
    parts = [_stands(server)]
    if server["exit_code"] is not None and server["state"] not in ("running", "created", "missing"):
        parts.append("exit code %d" % server["exit_code"])
    if server["restart_loop"]:
        parts.append("restart loop, %s" % count(server["restart_count"] or 0, "restart"))
    if server["finished_at"] and server["state"] == "exited":
        parts.append("since %s" % server["finished_at"])
    return [", ".join(parts)]


def _running(server: ServerFacts) -> str:
    uptime = server["uptime_seconds"]
    text = _stands(server)
    if server["state"] == "running" and uptime is not None:
        text = "%s has been running for %s" % (server["name"], duration(uptime))
    unseen = server["directory_unseen"]
    return text + ("; not checked for servers on its data directory: %s" % unseen if unseen else "")


def _stands(server: ServerFacts) -> str:
    return "%s %s %s" % (server["name"], "has" if server["state"] == "exited" else "is", server["state"])


def _findings(server: ServerFacts) -> List[Finding]:
    unsure = [user_line(user) for user in server["directory_used_by"]]
    found = []
    if unsure:
        text = "Another server may be using the same data directory"
        found.append(Finding("directory_shared", WARNING, text, tuple(unsure)))
    if server["out_of_memory"]:
        limit = server["memory_limit_bytes"]
        text = "OOM flag set" + (", memory limit %s" % size(limit) if limit else "")
        found.append(
            Finding("memory_exhausted", WARNING, "A server process was killed because memory ran out", (text,))
        )
    uptime = server["uptime_seconds"]
    if server["restart_count"] and uptime is not None and uptime < RECENTLY_SECONDS:
        text = "restarted %s, up for %s" % (count(server["restart_count"], "time"), duration(uptime))
        found.append(Finding("restarted", WARNING, "The server was restarted by its engine recently", (text,)))
    return found


def _engine(error: str) -> str:
    """The engine's words, less the long ids in them: the reason comes last and must not be cut off."""
    return "engine: %s" % line(re.sub(r" \([0-9a-f]{64}\)", "", error), 300)


def _from_outside(facts: Facts) -> Answer:
    if facts["snapshot"]:
        return Answer(QUESTION, YES, "SQL answers")
    wire = facts["wire"]
    answering = [answer for answer in wire if answer["outcome"] in ANSWERING]
    if answering:
        return Answer(QUESTION, YES, wire_line(answering[0]))
    refusing = [answer for answer in wire if answer["outcome"] in ("refused", "missing")]
    if refusing and len(refusing) == len(wire):
        evidence = [wire_line(answer) for answer in refusing]
        evidence.append("seen over the network only: a firewall that rejects, or another port, would look the same")
        address = refusing[0]["address"]
        why = "an unknown reason: read its full log"
        values = Values(server=address, service=address, directory="the data directory", loop="", why=why)
        return Answer(QUESTION, NO, evidence[0], "server_down", "unknown", tuple(evidence), values=values)
    why = (
        facts["errors"].get("server")
        or "nothing answers; from outside, a server that is down looks like a network that drops packets"
    )
    return not_asked(QUESTION, line(why))


def _directory(server: ServerFacts) -> str:
    return server["data_directory"]["path"] if server["data_directory"] else "the data directory"


CAUSES = (
    "stopped",
    "killed",
    "out_of_memory",
    "disk_full",
    "permission_denied",
    "data_corruption",
    "too_many_open_files",
    "invalid_configuration",
    "stale_lock_file",
    "port_conflict",
    "missing_container",
    "incompatible_version",
    "not_initialised",
    "directory_in_use",
    "unknown",
)
