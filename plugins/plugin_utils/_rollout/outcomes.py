# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a host of a rollout, its rows of the table of settings, and the words for it. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from ...module_utils._core.text import count, names

# What became of a host.
LISTED, TUNED, UNCHANGED, PLANNED, SKIPPED, REFUSED, PUT_BACK, FAILED, NOT_BEGUN = (
    "listed",
    "tuned",
    "unchanged",
    "planned",
    "skipped",
    "refused",
    "put_back",
    "failed",
    "not_begun",
)
STOPS = (PUT_BACK, FAILED)
LEFT = "left"  # a setting, not a host
RESTORED = "restored"  # of a setting
TUNE, RESTORE = "tune", "tune_restore"


def nothing(outcome: str, why: str = "", verb: str = TUNE) -> Dict[str, Any]:
    """A host that is left alone."""
    return {
        "go": False,
        "verb": verb,
        "outcome": outcome,
        "why": why,
        "rows": [],
        "settings": {},  # what is changed
        "asked": {},  # what is wanted, changed or not
        "roles": {},
        "undo": {},
        "undo_roles": {},
        "first": {"settings": {}, "roles": {}, "rows": []},  # what it had before a run that was interrupted
        "waiting": [],
        "is_down": False,
        "resumed": False,
        "held": [],
        "restarts": False,
    }


def table_row(name: str, before: Any, after: Any, state: str, role: str = "", why: str = "") -> Dict[str, Any]:
    return {
        "name": "%s of role %s" % (name, role) if role else name,
        "before": before,
        "after": after,
        "state": state,
        "why": why,
    }


def leave(mine: Mapping[str, Any], left: Mapping[str, str]) -> Dict[str, Any]:
    """``mine`` without the settings of ``left``: name -> why."""

    def rest(name: str) -> Dict[str, Any]:
        return {key: value for key, value in mine[name].items() if key not in left}

    rows = [each for each in mine["rows"] if each["name"] not in left]
    rows += [table_row(name, None, None, LEFT, why=why) for name, why in left.items()]
    found = {
        **mine,
        "settings": rest("settings"),
        "asked": rest("asked"),
        "undo": mine["undo"] if mine["resumed"] else rest("undo"),  # an interrupted run may have written it
        "waiting": [each for each in mine["waiting"] if each not in left],
        "rows": rows,
    }
    if not (found["settings"] or found["roles"] or found["resumed"] or (found["waiting"] and found["restarts"])):
        found.update(go=False, outcome=UNCHANGED)
    return found


def left_out(mine: Mapping[str, Any], outcome: str, why: str) -> Dict[str, Any]:
    """What becomes of a host that was planned, and is not touched."""
    rows = [dict(each, state=SKIPPED) if each["state"] == PLANNED else each for each in mine["rows"]]
    return {"outcome": outcome, "why": why, "rows": rows, "waiting": []}


def notes(done: Mapping[str, Any]) -> List[str]:
    """What the report says of a host."""
    outcome, why = done["outcome"], done.get("why") or ""
    word = "restored" if done.get("verb") == RESTORE else "tuned"
    if outcome == LISTED:
        return list(done["listed"])
    changed = [each for each in done["rows"] if each["state"] != LEFT]
    told = {
        TUNED: "%s: %s changed%s%s"
        % (
            word,
            count(len(changed), "setting"),
            done.get("restarted") or "",
            "; a run that came to no end had begun it" if done.get("resumed") else "",
        ),
        UNCHANGED: "not changed: all settings are as asked",
        PLANNED: "plan: %s would be changed" % count(len(changed), "setting"),
        SKIPPED: "not %s: %s" % (word, why),
        REFUSED: "refused: %s" % why,
        PUT_BACK: "put back: %s" % why,
        FAILED: "FAILED: %s" % why,
        NOT_BEGUN: "not %s: %s" % (word, why),
    }[outcome]
    lines = [told]
    if done.get("waiting"):
        plan = "would be restarted for" if done.get("restarts") else "would wait for a restart"
        words = {PLANNED: plan, PUT_BACK: "in use with the new value until it is restarted"}
        more = " (%s)" % why if why and outcome == TUNED else ""
        lines.append("%s: %s%s" % (words.get(outcome, "waiting for a restart"), names(done["waiting"], 10), more))
    lines += ["not watched meanwhile: %s" % each for each in done.get("unwatched") or []]
    lines += ["%s left as it is: %s" % (each["name"], each["why"]) for each in done["rows"] if each["state"] == LEFT]
    return lines


def failure(done: Mapping[str, Any]) -> str:
    """Why the run fails for this host; empty: it does not."""
    if done["outcome"] in (REFUSED, PUT_BACK, FAILED):
        return notes(done)[0]
    return str(done.get("refused") or "")
