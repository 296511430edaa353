# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults in a server's log, whatever its prefix and language.

A cause is named only where the text leaves no doubt: the log adds to what can be read directly, it does not replace it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Collection, Dict, Iterator, List, Optional, Sequence, Tuple, cast

from ..._core.mask import MASK, mask
from ..._core.times import utc
from . import log_words as words

if TYPE_CHECKING:
    from ..._model.facts import LogEntry
    from ..._model.pressure import LogCounts

_TEXT_CHARACTERS = 300
_PREFIX_CHARACTERS = 1000  # no log_line_prefix is longer, and a statement may have megabytes
_MESSAGE_CHARACTERS = 4000
_AT_MOST = 50  # entries, different ones

# severity words stand before ":" and two blanks (French: before " :"), whatever log_line_prefix holds
_NAMES = {
    word: name for table in (words.SEVERITIES, words.PARTS) for name, spellings in table.items() for word in spellings
}
_LABEL = re.compile(r"(?<!\w)(%s) ?:  " % "|".join(sorted(map(re.escape, _NAMES), key=len, reverse=True)))
_STRANGE_LABEL = re.compile(r"(?<!\S)([^\W\d_]{2,20}) ?:  ")  # a language that the tables do not know
_ENGINE_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) ")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d{1,6})\d*)? ?"
    r"(Z|[+-]\d\d(?::?\d\d)?|[A-Z]{3,4})?(?!\w)"
)
# hours east of UTC of the abbreviations that mean one zone only
_ZONES = {
    "Z": 0,
    "UTC": 0,
    "GMT": 0,
    "WET": 0,
    "WEST": 1,
    "CET": 1,
    "CEST": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "JST": 9,
    "KST": 9,
    "EST": -5,
    "EDT": -4,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
    "AKST": -9,
    "AKDT": -8,
    "HST": -10,
}
_EPOCH = re.compile(r"(?<![\d.])(1\d{9})\.(\d{3})(?!\d)")
_CSV_LINE = re.compile(r'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^\s,]+,("|,|[^,]*,)')
# what writes to a container's log without a severity before and beside the server
_PROGRAM = re.compile(
    r"^(?:\S*/)?(?:postgres|postmaster|initdb|pg_ctl|mkdir|chmod|chown|find|ls|cat|touch|"
    r"docker-entrypoint\.sh|docker-ensure-initdb\.sh)(?:\[\d+\])?\s?: "
)
_SERVER = re.compile(r"^(?:\S*/)?(?:postgres|postmaster|initdb)\s?: ")  # of these, what it says before its log is up


@dataclass
class _Record:
    """One message of the server, as written."""

    severity: Optional[str]  # English, "" where the language is not known, None for a line without any
    message: str
    at: Optional[str] = None
    sqlstate: Optional[str] = None
    prefix: str = ""
    pid: Optional[int] = None
    kind: str = ""  # of process, as backend_type has it
    own: Optional[bool] = None  # LogEntry's
    parts: Dict[str, str] = field(default_factory=dict)


def classify(text: str, limit: int) -> List[LogEntry]:
    """The entries of the last ``limit`` lines that report a fault, newest last, secrets masked.

    The same entry again and again is one entry with its count, at the place and time of the last one.
    """
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")[-limit:] if limit > 0 else []
    entries: Dict[Tuple[str, Optional[str], str], Tuple[LogEntry, int]] = {}
    before = None
    records = list(_records(lines))
    _set_owners(records)
    for record in records:
        entry = _entry(record)
        if entry is None:
            continue
        if before == "port_conflict" and entry["cause"] is None and re.search("TCP/IP|Unix", entry["text"]):
            entry["cause"] = before  # "could not create any TCP/IP sockets": the end of what it began with
        before = entry["cause"]
        key = (entry["severity"], entry["sqlstate"], entry["text"])
        _earlier, count = entries.pop(key, (entry, 0))
        entries[key] = (entry, count + 1)
    found = [_counted(entry, count) for entry, count in entries.values()]
    while len(found) > _AT_MOST:  # the oldest go first, but what names a cause stays longest
        found.pop(next((place for place, entry in enumerate(found) if entry["cause"] is None), 0))
    return found


def counts(texts: Collection[str], since: float, until: float) -> Optional[LogCounts]:
    """How many messages of each kind are from ``since`` to before ``until``, seconds of the epoch.

    A line without a time is of the time of the one before. None where no line has one.
    """
    begin, end = utc(since) or "", utc(until) or ""
    found = dict.fromkeys(("panic", "fatal", "error", "out_of_memory", "could_not_fork", "no_space"), 0)
    timed = not any(texts)
    for text in texts:
        at: Optional[str] = None
        for record in _records(text.replace("\r\n", "\n").rstrip("\n").split("\n")):
            at = record.at or at
            timed = timed or at is not None
            if at is not None and begin[:-1] <= _to_milliseconds(at) < end[:-1]:
                for kind in _kinds(record):
                    found[kind] += 1
    whole: Dict[str, Any] = {"since": begin, "seconds": round(until - since, 3), **found}
    return cast("LogCounts", whole) if timed else None


def _to_milliseconds(at: str) -> str:
    """%t in log_line_prefix has whole seconds, and would be sorted before the moment itself."""
    return at[:-1] if "." in at else at[:-1] + ".000"


def _kinds(record: _Record) -> Iterator[str]:
    severity, message = record.severity, record.message[:_MESSAGE_CHARACTERS]
    if severity in ("PANIC", "FATAL", "ERROR"):
        yield severity.lower()
    elif severity == "" and record.sqlstate is not None and record.sqlstate[:2] not in ("00", "01", "02"):
        yield "error"  # in a language that the tables do not know
    if severity is None:
        return
    # What the server says by itself ends with the C library's words; a statement that it logs may hold any.
    for kind, phrases in (("out_of_memory", words.NO_MEMORY), ("no_space", words.NO_SPACE)):
        if message.rstrip().endswith(phrases) or (
            severity in ("PANIC", "FATAL", "ERROR", "") and _names(message, phrases)
        ):
            yield kind
    if message.startswith(words.NO_FORK):
        yield "could_not_fork"


def _counted(entry: LogEntry, count: int) -> LogEntry:
    if count > 1:
        note = " (%d times)" % count
        entry["text"] = entry["text"][: _TEXT_CHARACTERS - len(note)] + note
    return entry


def _records(lines: Sequence[str]) -> Iterator[_Record]:
    for line in lines:
        if _CSV_LINE.match(line):
            return _csv_records(lines)
        if line.startswith("{") and '"error_severity"' in line:
            return _json_records(lines)
    return _plain_records(lines)


def _csv_records(lines: Sequence[str]) -> Iterator[_Record]:
    """csvlog. A statement may hold newlines, so the reading starts at the first line that begins a record."""
    start = 0
    while not _CSV_LINE.match(lines[start]):
        start += 1
    try:
        for row in csv.reader(io.StringIO("\n".join(lines[start:]))):
            if len(row) >= 19:
                parts = {name: row[at] for name, at in (("DETAIL", 14), ("HINT", 15), ("CONTEXT", 18)) if row[at]}
                yield _Record(
                    _NAMES.get(row[11], ""),
                    row[13],
                    _time(row[0]),
                    row[12] or None,
                    pid=_number(row[3]),
                    kind=row[23] if len(row) > 23 else "",
                    parts=parts,
                )
    except csv.Error:  # the file's end is being written
        return


def _json_records(lines: Sequence[str]) -> Iterator[_Record]:
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and "message" in row:
            yield _Record(
                _NAMES.get(str(row.get("error_severity")), ""),
                str(row["message"]),
                _time(str(row.get("timestamp", ""))),
                str(row["state_code"]) if row.get("state_code") else None,
                pid=_number(str(row.get("pid", ""))),
                kind=str(row.get("backend_type", "")),
                parts={name: str(row[name.lower()]) for name in ("DETAIL", "HINT", "CONTEXT") if row.get(name.lower())},
            )


def _plain_records(lines: Sequence[str]) -> Iterator[_Record]:
    records: List[_Record] = []
    early = 0
    part: Optional[str] = None  # which part of the last record a continuation line belongs to
    for line in lines:
        engine = _ENGINE_TIME.match(line)
        if engine:
            line = line[engine.end() :]
        if line.startswith("\t") and records:  # the server indents the further lines of a message by a tab
            if part is None:
                records[-1].message += " " + line.strip()
            else:
                records[-1].parts[part] = records[-1].parts.get(part, "") + " " + line.strip()
            continue
        label = _LABEL.search(line, 0, _PREFIX_CHARACTERS) or _STRANGE_LABEL.search(line, 0, _PREFIX_CHARACTERS)
        name = _NAMES.get(label.group(1), "") if label else None
        if label and name in words.PARTS:
            part = str(name)
            if records:
                records[-1].parts[part] = line[label.end() :]
            continue
        part = None
        if label is None and early and not _PROGRAM.match(line):
            records[-1].message += " " + line.strip()
            early -= 1
            continue
        early = 3 if label is None and _SERVER.match(line) else 0  # such a complaint may go on for some lines
        prefix = line[: label.start()] if label else ""
        at = _time(prefix) or (_time(engine.group(1)) if engine else None)
        bracket = _PID.search(prefix)
        pid = _number(bracket.group(1)) if bracket else None
        records.append(_Record(name, line[label.end() :] if label else line, at, prefix=prefix, pid=pid))
    _set_sqlstates(records)
    return iter(records)


_PID = re.compile(r"\[(\d+)\]")
_BEGIN = re.compile(r"PostgreSQL \d\S* .*compiled by")  # no language translates it
_NAMED = re.compile(r"PID (\d{1,10})")


def _number(text: str) -> Optional[int]:
    return int(text) if re.match(r"^\d{1,10}$", text, re.ASCII) else None


def _set_owners(records: Sequence[_Record]) -> None:
    """A postmaster names its version first and has the last word; the startup process is one that it names."""
    last = next((each.pid for each in reversed(records) if each.pid is not None), None)
    postmasters = {each.pid for each in records if each.pid is not None and _BEGIN.search(each.message)} | {last}
    named = {
        _number(pid)
        for each in records
        if each.pid in postmasters and each.pid is not None
        for pid in _NAMED.findall(each.message[:_MESSAGE_CHARACTERS])
    }
    for each in records:
        if each.severity == "PANIC" or each.kind in ("postmaster", "startup"):
            each.own = True
        elif each.pid is not None:
            each.own = each.pid in postmasters | named and each.kind in ("", "postmaster", "startup")


def _time(text: str) -> Optional[str]:
    """UTC, ISO 8601; None where the zone's abbreviation has several meanings."""
    try:
        return _read_time(text)
    except (ValueError, OverflowError, OSError):  # no such day, or none that this calendar knows
        return None


def _read_time(text: str) -> Optional[str]:
    match = _TIME.search(text)
    if match is None:
        epoch = _EPOCH.search(text)
        return _iso(datetime.fromtimestamp(int(epoch.group(1)), timezone.utc), epoch.group(2)) if epoch else None
    zone = match.group(4)
    if zone in _ZONES:
        minutes = _ZONES[zone] * 60
    elif zone and zone[0] in "+-":
        minutes = (int(zone[1:3]) * 60 + (int(zone[-2:]) if len(zone) > 3 else 0)) * (1 if zone[0] == "+" else -1)
    else:
        return None
    moment = datetime.strptime(match.group(1) + " " + match.group(2), "%Y-%m-%d %H:%M:%S")
    return _iso(moment - timedelta(minutes=minutes), match.group(3))


def _iso(moment: datetime, fraction: Optional[str]) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + ("." + fraction.ljust(3, "0") if fraction else "") + "Z"


_SQLSTATE = re.compile(r"^(?:00|0[1-9A-Z]|2[0-9A-F]|3[4-9BDF]|4[024]|5[3-8]|72|F0|HV|P0|XX)[0-9A-Z]{3}$")


def _set_sqlstates(records: Sequence[_Record]) -> None:
    """Where %e stands in the prefix: five digits may also be a pid, so a letter or 00000 must have shown the place."""
    tokens = [re.findall(r"[0-9A-Za-z]+", re.sub(r"\(\d+\)", "", record.prefix)) for record in records]  # (port)
    places: List[int] = []  # from the left, and from the right (negative), for either side of it may vary in length
    for each in tokens:
        for at, token in enumerate(each):
            if token == "00000" or (_SQLSTATE.match(token) and re.search("[A-Z]", token)):
                places += [place for place in (at, at - len(each)) if place not in places]
    for record, each in zip(records, tokens):
        for place in sorted(places, reverse=True):
            if -len(each) <= place < len(each) and _SQLSTATE.match(each[place]):
                record.sqlstate = each[place]
                break


def _entry(record: _Record) -> Optional[LogEntry]:
    record.message = record.message[:_MESSAGE_CHARACTERS]
    cause = _cause(record)
    if record.sqlstate is not None and record.severity == "" and record.sqlstate[:2] not in ("00", "01", "02"):
        severity = "OTHER"  # a fault in a language that the tables do not know
    elif record.severity in ("FATAL", "PANIC", "ERROR"):
        severity = record.severity
    elif cause is not None or (record.severity is None and _SERVER.match(record.message)):
        severity = "OTHER"
    else:
        return None
    text = record.message.strip()
    for name in ("DETAIL", "HINT", "CONTEXT"):
        value = record.parts.get(name, "").strip()
        # a query's DETAIL may hold the values of a row, and its CONTEXT or STATEMENT anything
        if value and (name != "DETAIL" or severity != "ERROR" or cause) and (name != "CONTEXT" or _FILES.search(value)):
            text += " %s: %s" % (name, without_archive_command(value) if name == "DETAIL" else value)
    text = mask(without_command(re.sub(r"\s+", " ", text[:_MESSAGE_CHARACTERS])))
    if severity == "ERROR" and cause is None:
        text = without_value(text)
    if len(text) > _TEXT_CHARACTERS:
        text = text[: _TEXT_CHARACTERS - 3] + "..."
    return {
        "at": record.at,
        "severity": severity,
        "sqlstate": record.sqlstate,
        "cause": cause,
        "pid": record.pid,
        "own": record.own,
        "text": text,
    }


_VALUE = re.compile(r': "[^"\n]*"(?=\s*\Z| at character \d+\s*\Z)')


def without_value(text: str) -> str:
    """A statement's error without the value that it names: invalid input syntax for type integer: "..."."""
    return _VALUE.sub(': "%s"' % MASK, text)


# A command of the settings, as the server tells that it failed: the archiver's, whose every word may be a secret, has
# the file's name in it.
_WAL_FILE = re.compile(r"(?<![\w])(?:pg_wal/|[0-9A-F]{24}|[0-9A-F]{8}\.history)")
_COMMAND = re.compile(r"(\w*command |Befehl )([\"»«\u201c\u201e]).*?([\"»«\u201d\u201c])(?=: |\s|\Z)", re.S)


def without_command(text: str) -> str:
    return _COMMAND.sub(r"\1\2%s\3" % MASK, text)


def without_archive_command(detail: str) -> str:
    return MASK if _WAL_FILE.search(detail) else detail


_BY_SQLSTATE = {
    "53100": "disk_full",
    "XX001": "data_corruption",
    "XX002": "data_corruption",
    "F0000": "invalid_configuration",
}
_MARKS = "\u00ab\u00bb\u201c\u201d\u201e\u300c\u300d\u300e\u300f"
# quoted by whatever marks the language uses; "no pg_hba.conf entry for ..." names the file without quotes or a path
_FILES = re.compile('["\'/%s]\\s?(?:[^"%s]*/)?(?:postgresql(?:\\.auto)?|pg_hba|pg_ident)\\.conf' % (_MARKS, _MARKS))
_NO_HBA = re.compile(r"(?<![/\w])pg_(?:hba|ident)\.conf", re.ASCII)
_QUOTES = re.compile('["' + _MARKS + "]")
_LOCK = re.compile(r"(?<![\w-])postmaster\.pid(?!\w)", re.ASCII)
_SOCKET_LOCK = re.compile(r"\.s\.PGSQL\.\d+\.lock")


def _names(text: str, phrases: Sequence[str]) -> bool:
    return any(phrase in text for phrase in phrases)


def _cause(record: _Record) -> Optional[str]:
    """By SQLSTATE, the C library's words for errno, file names, and then PostgreSQL's own words."""
    severity, message = record.severity, record.message
    if severity is None and not _PROGRAM.match(message):
        return None  # the output of some other program, such as an archive command
    end = severity in ("FATAL", "PANIC", "", None)  # it could not go on; a client's statement says ERROR
    whole = "%s %s" % (message, record.parts.get("DETAIL", ""))
    if record.sqlstate in _BY_SQLSTATE:
        return _BY_SQLSTATE[record.sqlstate]
    if _names(whole, words.NO_SPACE):
        return "disk_full"
    if _names(whole, words.OPEN_FILES):
        return "too_many_open_files"
    if _names(message, words.ADDRESS_IN_USE) and severity != "ERROR":
        return "port_conflict"
    if end and _names(whole, words.DENIED):
        return "permission_denied"
    if _names(message, words.NO_MEMORY) and (end or (severity == "LOG" and message.endswith(words.NO_MEMORY))):
        return "out_of_memory"
    if _names(message, words.DAMAGED):
        return "data_corruption"
    if end and severity is not None:
        if _SOCKET_LOCK.search(message):
            return "port_conflict"
        if _LOCK.search(message):
            return "stale_lock_file"
        if "global/pg_control" in message:
            return "data_corruption"
    if severity != "ERROR" and _is_configuration(message, record.parts.get("CONTEXT", ""), severity):
        return "invalid_configuration"
    return None


def _is_configuration(message: str, context: str, severity: Optional[str]) -> bool:
    if _FILES.search(message) or _FILES.search(context):
        return True
    # "could not load pg_hba.conf": that a client found no entry names the client in quotes
    return severity == "FATAL" and bool(_NO_HBA.search(message)) and not _QUOTES.search(message)
