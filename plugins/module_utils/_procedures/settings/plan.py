# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parameters are changed, which are not and why, and whether what was changed took effect. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..._core import mask
from ..._core.errors import RefusedError
from ..._core.text import count, did_you_mean, names, nearest, quoted
from ..configuration import allowed, values
from ..configuration.plan import decide as decide_reload
from ..procedure import Change

# Of these the value is the server's own; what a role, a database or the session sets hides it.
_COMMAND_LINE, _FILE = "command line", "configuration file"
_VISIBLE = ("default", "environment variable", _FILE, _COMMAND_LINE, "override")
# Read with those that are asked for: together they decide whether the server starts again.
TOGETHER = (
    "archive_mode",
    "max_connections",
    "max_wal_senders",
    "reserved_connections",
    "superuser_reserved_connections",
    "wal_level",
)
LIBRARIES = "shared_preload_libraries"
SSL_FILES = ("ssl_ca_file", "ssl_cert_file", "ssl_crl_file", "ssl_key_file")  # read with ssl itself
_TAKES_EFFECT = {"postmaster": "restart", "backend": "new sessions", "superuser-backend": "new sessions"}
_GRANTS = {
    "pg_read_all_settings": ("GRANT pg_read_all_settings TO %s",),
    "pg_file_settings": (
        "GRANT SELECT ON pg_file_settings TO %s",
        "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO %s",
    ),
    "pg_hba_file_rules": (
        "GRANT SELECT ON pg_hba_file_rules TO %s",
        "GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO %s",
    ),
    "pg_stat_file": ("GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean) TO %s",),
    "pg_reload_conf": ("GRANT EXECUTE ON FUNCTION pg_reload_conf() TO %s",),
    "pg_read_server_files": ("GRANT pg_read_server_files TO %s",),
}
_GRANTED_SINCE = 150000
_LOGGED = (
    "its value is a secret, now or then, and the server writes it into its log when it is loaded: keep it in a file of "
    "its own (passfile), or change it by hand"
)


class _WinsError(ValueError):
    """What counts for more than postgresql.auto.conf sets it."""


@dataclass(frozen=True)
class State:
    """``who``, ``files``, ``now``: rows of ``sql``; the last two are empty where the login role may not read them.
    ``missing_libraries``: those asked for of which there is no file. ``missing_files``: settings whose file is not
    there, and which the server would have to read (``ssl_files``). ``command_line``: as postmaster.opts has it, empty
    where it was not read."""

    who: Mapping[str, Any]
    files: Mapping[str, Any] = field(default_factory=dict)
    now: Mapping[str, Any] = field(default_factory=dict)
    missing_libraries: Sequence[str] = ()
    command_line: str = ""
    missing_files: Sequence[str] = ()


@dataclass(frozen=True)
class Step:
    """One parameter. ``row``: of pg_settings. ``text``: what it is to be, None to reset it. ``former``: what
    postgresql.auto.conf says, None for nothing. ``before``, ``after``: what the server's files make of it, with where
    that comes from. ``alter``: a row of postgresql.auto.conf is changed; ``load``: a reload has something to do.
    ``hidden_by``: what sets it for our own session, or for others."""

    row: Mapping[str, Any]
    text: Optional[str]
    former: Optional[str]
    before: Tuple[str, str]
    after: Tuple[str, str]
    alter: bool
    load: bool
    waits: bool
    hidden_by: Tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.row["name"])

    @property
    def changed(self) -> bool:
        return self.alter or self.load

    @property
    def secret(self) -> bool:
        """Whether one is read or written here, or would be where it is taken back."""
        return any(_secret(self.name, each) for each in (self.text, self.former, self.before[0], self.after[0]) if each)

    def shown(self, text: str) -> str:
        return mask.setting(self.name, values.shown(self.row, text))


@dataclass(frozen=True)
class Plan:
    steps: Tuple[Step, ...]
    pending_restart: Tuple[str, ...]  # of all parameters, before
    load_time: Optional[str]
    timeout_seconds: float
    database: str  # the session's own
    auto_file: str
    cluster: Mapping[str, Any]  # as the result has it

    @property
    def empty(self) -> bool:
        return not any(step.changed for step in self.steps)

    def foreseen(self) -> Change:
        waiting = {step.name for step in self.steps if step.waits}
        ours = {step.name for step in self.steps}
        pending = waiting | {name for name in self.pending_restart if name not in ours}
        return change(self, sorted(pending), self.load_time)


def change(plan: Plan, pending: Sequence[str], load_time: Optional[str]) -> Change:
    """``pending``: the parameters that wait for a restart, as foreseen or as the server says."""
    done = [step for step in plan.steps if step.changed]
    rows = [
        {
            "name": step.name,
            "before": step.shown(step.before[0]),
            "before_source": step.before[1],
            "in_use": step.shown(step.row["setting"]),
            "after": step.shown(step.after[0]),
            "after_source": step.after[1],
            "changed": step.changed,
            "takes_effect": _TAKES_EFFECT.get(step.row["context"], "reload"),
            "waits_for_restart": step.name in pending,
            "hidden_by": list(step.hidden_by),
        }
        for step in plan.steps
    ]
    undo = {step.name: None if step.former is None else _kept(step) for step in done if step.alter}
    details = {
        "msg": _told(done, [step.name for step in plan.steps if step.name in pending]),
        "settings": rows,
        "pending_restart": list(pending),
        "undo": undo,
        "load_time": load_time,
        "cluster": dict(plan.cluster),
    }
    before = {step.name: step.shown(step.before[0]) for step in done}
    return Change(bool(done), before, {step.name: step.shown(step.after[0]) for step in done}, details)


def _kept(step: Step) -> str:
    """What was there, to be given as it is; a secret is not handed out, and what stands for it is refused."""
    return mask.setting(step.name, step.former or "")


def _told(done: Sequence[Step], waiting: Sequence[str]) -> str:
    changed = names(["%s %s -> %s" % (s.name, s.shown(s.before[0]), s.shown(s.after[0])) for s in done])
    parts = ["%s changed: %s" % (count(len(done), "setting"), changed) if done else "All settings are as asked"]
    if waiting:
        parts.append("waiting for a restart: %s" % names(waiting))
    return "; ".join(parts)


def decide(state: State, asked: Mapping[str, Any], timeout_seconds: float) -> Plan:
    """``asked``: by name; None resets. Raises RefusedError, with all that is wrong, before anything is touched."""
    if state.who["missing"]:
        _refuse_rights(state.who, state.who["missing"], state.who["may_not_alter"])
    steps: List[Step] = []
    problems: List[Dict[str, Any]] = []
    for name, value in asked.items():
        try:
            steps.append(_step(state, name, value))
        except ValueError as error:
            problems.append({"name": name, "problem": str(error), "wins": isinstance(error, _WinsError)})
    steps.sort(key=lambda step: step.name.lower())
    plan = Plan(
        tuple(steps),
        tuple(state.files["pending_restart"]),
        state.files["load_time"],
        timeout_seconds,
        state.who["database"],
        state.now["auto_file"],
        {
            "system_identifier": state.who["system_identifier"],
            "in_recovery": state.who["in_recovery"],
            "of_standbys": state.now["of_standbys"],
        },
    )
    altered = [step for step in steps if step.alter]
    problems += [_problem(_LOGGED, each.name) for each in steps if each.changed and each.secret]
    problems += [_problem(why) for why in _keeps_down(state, altered)]
    hints = ["Correct them: nothing was touched."] if problems else []
    if altered and state.who["allow_alter_system"] == "off":
        problems.append(_problem("ALTER SYSTEM is not allowed here (allow_alter_system is off)"))
        hints.append("Change them where this server's configuration is managed (Patroni, an operator).")
    if not plan.empty:
        why, hint = _not_ours(state, steps)
        problems += [_problem(each) for each in why]
        hints += hint
    if problems:
        told = ["%s: %s" % (each["name"], each["problem"]) if each["name"] else each["problem"] for each in problems]
        raise RefusedError(
            "Settings refused: %s" % "; ".join(str(each) for each in told),
            " ".join(hints),
            details={"problems": problems},
        )
    denied = [step.name for step in altered if step.name.lower() in state.who["may_not_alter"]]
    if denied:
        _refuse_rights(state.who, [], denied)
    return plan


def _problem(why: str, name: Optional[str] = None) -> Dict[str, Any]:
    return {"name": name, "problem": why, "wins": False}


def _refuse_rights(who: Mapping[str, Any], missing: Sequence[str], denied: Sequence[str]) -> None:
    """``missing``: what may not be read or run; ``denied``: the parameters that may not be changed."""
    role = quoted(str(who["user"]))
    lacks = ["use %s" % each for each in missing] + ["change %s" % names(denied)] * bool(denied)
    grants = []
    if who["version_num"] >= _GRANTED_SINCE:
        grants = [each.replace("%s", role) for name in missing for each in _GRANTS[name]]
        grants += ["GRANT ALTER SYSTEM ON PARAMETER %s TO %s" % (", ".join(denied), role)] * bool(denied)
    raise RefusedError(
        "Settings refused: the login role %s has no right to %s" % (who["user"], ", ".join(lacks)),
        "Set login_user to a superuser%s." % (", or have one run: %s" % "; ".join(grants) if grants else ""),
        details={"grants": grants},
    )


def _step(state: State, name: str, value: Any) -> Step:
    """Raises ValueError with the reason why that parameter cannot be that."""
    now = state.now
    entries = [each for each in now["entries"] if each["name"] == name.lower()]
    auto = [each for each in entries if each["file"] == now["auto_file"]]
    others = [each for each in entries if each["file"] != now["auto_file"]]
    row = next((each for each in now["rows"] if each["name"].lower() == name.lower()), None)
    row = row and _servers_own(row, entries, state.command_line)
    if row is None and value is None and auto:  # of an extension that is gone
        row = _unknown(name.lower(), auto[-1]["value"])
    if row is None:
        raise ValueError(_no_such(name, now["known"]))
    former = auto[-1]["value"] if auto else None
    levels = [each for each in now["levels"] if each["name"] == name.lower()]
    others_have = tuple(_level(row, each) for each in levels)
    before = _before(row, entries)
    waits = bool(row["pending_restart"]) and row["source"] != _COMMAND_LINE
    if value is None:
        last = others[-1] if others else None
        after = (last["value"], _place(last)) if last else (row["default"] or "", "default")
        if former is None:
            return Step(row, None, None, before, before, False, False, waits, others_have)
        if row["context"] == "postmaster" and row["source"] != _COMMAND_LINE:
            # What is in no file any more waits, whatever its default is, if the server was started with it.
            waits = not values.in_use(row, after[0]) if last else row["source"] == _FILE
        return Step(row, None, former, before, after, True, True, waits, others_have)
    text = values.given(row, value)
    _may_be(row, text)
    winner = _winner(row, levels)
    if winner is not None:
        present, where, advice = winner
        if not values.same(row, present, text):
            raise _WinsError("%s sets it to %s, which wins: %s" % (where, _masked(row, present), advice))
        return Step(row, text, former, (present, where), (present, where), False, False, False, others_have)
    last = entries[-1] if entries else None
    if last is not None and auto and last["file"] != now["auto_file"]:
        raise _WinsError("%s sets it to %s, and is read last" % (_place(last), _masked(row, last["value"])))
    reached, loaded = _reached(row, text, last)
    alter = not reached
    if alter and row["context"] == "postmaster":
        waits = not values.in_use(row, text)
    after = (text, now["auto_file"]) if alter else (text, before[1] if last is None else _place(last))
    return Step(row, text, former, before, after, alter, alter or not loaded, waits, others_have)


def _servers_own(row: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], command_line: str) -> Mapping[str, Any]:
    """``row`` as it would be without what our own session has of its role, its database or its client."""
    if not hidden([row]):
        return row
    given = _given_at_start(row["name"], command_line)
    if given is not None:
        return dict(row, setting=given, source=_COMMAND_LINE)
    if entries:
        last = entries[-1]
        return dict(row, setting=last["value"], source=_FILE, file=last["file"], line=last["line"])
    return dict(row, setting=row["default"] or "", source="default")


def hidden(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether our own session has one of them for itself."""
    return any(row["source"] not in (*_VISIBLE, "global") for row in rows)


def _given_at_start(name: str, command_line: str) -> Optional[str]:
    """What ``"-c" "NAME=VALUE"`` or ``"--NAME=VALUE"`` of postmaster.opts says last; a dash is as good as ``_``."""
    found = None
    for match in re.finditer(r'"(?:-c" "|-c|--)([\w.-]+)=([^"]*)"', command_line):
        if match.group(1).replace("-", "_").lower() == name.lower():
            found = match.group(2)
    return found


def _reached(row: Mapping[str, Any], text: str, last: Optional[Mapping[str, Any]]) -> Tuple[bool, bool]:
    """(whether the files, or what goes for them, say so; whether the server has loaded it)"""
    visible = row["name"].lower() not in values.REWRITTEN
    loads = row["context"] != "postmaster" and visible  # a reload changes it, and that can be seen
    if last is not None:
        return values.same(row, last["value"], text), not loads or values.in_use(row, text)
    by_default = row["default"] is not None and values.same(row, row["default"], text)
    if row["source"] == _FILE:  # it was taken out of the files
        return by_default, not loads or values.in_use(row, text)
    return by_default or (visible and values.in_use(row, text)), True


def _winner(row: Mapping[str, Any], levels: Sequence[Mapping[str, Any]]) -> Optional[Tuple[str, str, str]]:
    """What counts for more than postgresql.auto.conf in every session: (its value, what it is, what to do about it)"""
    if row["source"] == _COMMAND_LINE:
        where = "command in the Compose file, ExecStart of the unit, pg_ctl -o, or Patroni's configuration"
        return row["setting"], "the server's command line", "change it there (%s)" % where
    everyone = [each for each in levels if each["role"] is None and each["database"] is None]
    if everyone:
        return everyone[-1]["value"], "ALTER ROLE ALL", "ALTER ROLE ALL RESET %s" % row["name"]
    return None


def _before(row: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Tuple[str, str]:
    """What the server goes by: the files' last word where it counts, else what it uses."""
    if row["source"] in (_COMMAND_LINE, "global"):
        return row["setting"], "ALTER ROLE ALL" if row["source"] == "global" else _COMMAND_LINE
    # The next start takes it; or what is shown is not what was given.
    if entries and (row["context"] == "postmaster" or row["name"].lower() in values.REWRITTEN):
        return entries[-1]["value"], _place(entries[-1])
    if row["source"] == _FILE and row["file"]:
        return row["setting"], "%s line %s" % (row["file"], row["line"])
    return row["setting"], "default" if row["source"] == "override" else row["source"]


def _may_be(row: Mapping[str, Any], text: str) -> None:
    if row["context"] == "internal":
        raise ValueError("it cannot be set: it tells how the server was built or its cluster was made")
    allowed.settable(row["name"], text)
    name, found = row["name"].lower(), values.meaning(row, text)
    if name in values.QUOTED_LISTS and (not found or ("" in str(found) and "" in values.elements(name, text))):
        raise ValueError("ALTER SYSTEM would make one empty name of an empty list: set it in postgresql.conf")
    allowed.safe(name, str(found))


def _keeps_down(state: State, altered: Sequence[Step]) -> List[str]:
    """Why the server would not start again with these: each is valid, and together they are not."""
    new = {step.name.lower(): step.after[0] for step in altered}
    found = ["there is no library %s: the server would not start again" % each for each in state.missing_libraries]
    found += [
        "there is no file of %s: encrypted connections would fail, and the server would not start again" % each
        for each in (state.missing_files if altered else ())
    ]
    if not set(new) & set(TOGETHER):
        return found
    then: Dict[str, Any] = {}
    for row in state.now["rows"]:
        entries = [each["value"] for each in state.now["entries"] if each["name"] == row["name"]]
        next_one = row["setting"] if row["source"] == _COMMAND_LINE or not entries else entries[-1]
        if row["name"] in TOGETHER:
            then[row["name"]] = values.meaning(row, new.get(row["name"], next_one))
    reserved = then["superuser_reserved_connections"] + then.get("reserved_connections", 0)  # the latter came with 16
    if reserved >= then["max_connections"]:
        found.append(
            "the server would not start again with max_connections %d and %d reserved connections"
            % (then["max_connections"], reserved)
        )
    if then["wal_level"] == "minimal" and (then["archive_mode"] != "off" or then["max_wal_senders"]):
        found.append(
            "the server would not start again with wal_level minimal and archive_mode %s, max_wal_senders %d"
            % (then["archive_mode"], then["max_wal_senders"])
        )
    return found


def libraries(asked: Mapping[str, Any]) -> List[str]:
    """The libraries that are to be loaded at the start; none where that is no list of them."""
    value = next((value for name, value in asked.items() if name.lower() == LIBRARIES), None)
    try:
        return values.elements(LIBRARIES, values.given({"name": LIBRARIES, "type": "string"}, value)) if value else []
    except ValueError:
        return []


def ssl_files(asked: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    """The files that the server would have to read, by the setting that names them; none where ssl is off then, or
    nothing of it is asked for."""
    new = {name.lower(): value for name, value in asked.items() if value is not None}
    if not {"ssl", *SSL_FILES} & set(new):
        return {}
    then = {row["name"]: new.get(row["name"], row["setting"]) for row in rows if row["name"] in ("ssl", *SSL_FILES)}
    if then.get("ssl") is not True and values.boolean(str(then.get("ssl") or "off")) != "on":
        return {}
    return {name: str(then[name]) for name in SSL_FILES if then.get(name)}


def _secret(name: str, text: str) -> bool:
    """What is shown of a command or of a connection is less than that: any word may be one."""
    by_name = name.lower() != "primary_conninfo" and not name.endswith("_command")
    return mask.mask(text) != text or (by_name and mask.setting(name, text) != text)


def _no_such(name: str, known: Sequence[str]) -> str:
    meant = nearest(name.lower(), [each.lower() for each in known])
    exact = next((each for each in known if each.lower() == meant), meant)
    if "." in name and not exact:
        return "there is no such parameter: its extension must be in shared_preload_libraries, loaded by a restart"
    return "there is no such parameter. %s" % did_you_mean(exact, "This server's version may not have it.").rstrip(".")


def _not_ours(state: State, steps: Sequence[Step]) -> Tuple[List[str], List[str]]:
    """What a reload would load beside: errors, and what somebody else has changed."""
    ours = {step.name.lower() for step in steps if step.changed}

    def is_mended(error: Mapping[str, Any]) -> bool:
        return error["file"] == state.now["auto_file"] and str(error["name"]).lower() in ours

    errors = [each for each in state.files["file_errors"] if not is_mended(each)]
    try:
        plan = decide_reload(dict(state.files, file_errors=errors), False)
    except RefusedError as error:
        return [error.msg[0].lower() + error.msg[1:]], [error.hint]
    others = [each["name"] for each in plan.changes if each["name"].lower() not in ours]
    others += state.now["unloaded"]
    if not others:
        return [], []
    return (
        ["the reload would also load what others have changed: %s" % names(others)],
        ["Load that first (oncall.postgresql.reload; its --check --diff shows it), or take it back."],
    )


def written(plan: Plan, now: Mapping[str, Any], former: bool = False) -> List[str]:
    """The parameters of which postgresql.auto.conf does not say what it should; or what it did before (``former``)."""
    found = {each["name"]: each["value"] for each in now["entries"] if each["file"] == plan.auto_file}
    wrong = []
    for step in plan.steps:
        wanted = step.former if former else step.text
        has = found.get(step.name.lower())
        if step.alter and not (has == wanted or (has and wanted and values.same(step.row, has, wanted))):
            wrong.append(step.name)
    return wrong


def unproven(plan: Plan, now: Mapping[str, Any]) -> List[str]:
    """What the server does not use after the reload, each with what it has instead; ``now`` by a new session."""
    rows = {each["name"]: each for each in now["rows"]}
    wrong = ["%s is not in %s" % (name, plan.auto_file) for name in written(plan, now)]
    for step in plan.steps:
        row = rows.get(step.name)
        if row is None or not step.changed or step.name in written(plan, now):
            continue
        visible = row["source"] in _VISIBLE and row["source"] != _COMMAND_LINE
        if step.row["context"] == "postmaster" or not visible or step.name.lower() in values.REWRITTEN:
            continue
        if step.text is None:
            if row["source"] == _FILE and row["file"] == plan.auto_file:
                wrong.append("%s is still %s" % (step.name, step.shown(row["setting"])))
        elif not values.in_use(row, step.text):
            wrong.append("%s is %s, not %s" % (step.name, step.shown(row["setting"]), step.shown(step.text)))
    return wrong


def _level(row: Mapping[str, Any], each: Mapping[str, Any]) -> str:
    whose = ["%s %s" % (kind, each[kind]) for kind in ("role", "database") if each[kind] is not None] or ["every role"]
    return "%s: %s" % (" in ".join(whose), _masked(row, each["value"]))


def _masked(row: Mapping[str, Any], text: str) -> str:
    return mask.setting(row["name"], values.shown(row, text))


def _place(entry: Mapping[str, Any]) -> str:
    return "%s line %s" % (entry["file"], entry["line"])


def _unknown(name: str, value: str) -> Dict[str, Any]:
    return {
        "name": name,
        "setting": value,
        "unit": None,
        "type": "string",
        "context": "user",
        "min": None,
        "max": None,
        "enum": None,
        "default": None,
        "source": _FILE,
        "file": None,
        "line": None,
        "pending_restart": False,
    }
