# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does about what it found, and what it says afterwards. Pure.

One procedure a host and run, never a second; unattended none where corruption is suspected, whatever the verdict is.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .._report.words import ESCALATIONS, verdict_code
from .variables import RESPOND, registry

PREFIX = "oncall.postgresql."
ONE_BY_ONE, SIDE_BY_SIDE, MANUAL = "one_by_one", "side_by_side", "manual"
# What became of a procedure, as the action ``procedure`` returns it.
DONE, UNCHANGED, PLANNED, REFUSED, FAILED = "done", "unchanged", "planned", "refused", "failed"


def remedies() -> List[str]:
    """The procedures that some verdict recommends."""
    from ...module_utils._judge.verdicts import VERDICTS

    return sorted({row.remedy.playbook for row in VERDICTS.values() if row.remedy})


def allowed(given: Any) -> List[str]:
    """The operator's list as verbs: a list, or text with commas, blanks or lines between (as a survey gives it).

    Raises ValueError for a name that no verdict recommends: a slip of the finger is no permission.
    """
    if given and not isinstance(given, (str, list, tuple)):
        raise ValueError("oncall_auto_remedies is %r. Give a list, of any of: %s." % (given, ", ".join(remedies())))
    names = re.split(r"[\s,]+", given) if isinstance(given, str) else [str(name) for name in given or []]
    verbs = [name[len(PREFIX) :] if name.startswith(PREFIX) else name for name in names if name]
    known = remedies() if verbs else []
    for verb in verbs:
        if verb not in known:
            raise ValueError("oncall_auto_remedies contains %r. Give any of: %s." % (verb, ", ".join(known)))
    return verbs


def respond(triage: Mapping[str, Any], asked: str, auto_remedies: Any = ()) -> Dict[str, Any]:
    """``triage`` as registered -> {asked, verb, variables, way, why}, and the ``verdict`` that was found before.

    ``asked`` is a procedure that the operator wants, or ``respond``: then the verdict chooses. ``way`` is one_by_one
    or side_by_side, or manual: then ``verb`` is None and ``why`` says why. ``variables`` are the remedy's.
    """
    return dict(_chosen(triage, asked, allowed(auto_remedies)), asked=asked)


def _chosen(triage: Mapping[str, Any], asked: str, verbs: Sequence[str]) -> Dict[str, Any]:
    verdict = triage.get("verdict")
    if not isinstance(verdict, Mapping):
        return _nothing("triage could not check it")
    if asked != RESPOND:
        return _step(asked, {}, verdict)
    if verdict["code"] == "healthy":
        return _nothing("")
    if suspected(triage):
        return _nothing("data corruption is suspected, so nothing may be touched.", _tell(verdict))
    remedy = verdict.get("remedy")
    if not remedy:
        return _nothing("there is no safe automatic fix; it has to be fixed by hand")
    chosen = str(remedy["playbook"])[len(PREFIX) :]
    if chosen not in verbs:
        return _nothing("%s is only recommended; oncall_auto_remedies does not allow it" % chosen)
    permissions = [each.variable for each in registry()[chosen].variables if each.permission]
    variables = {name: value for name, value in (remedy.get("extra_vars") or {}).items() if name not in permissions}
    return _step(chosen, variables, verdict)


def suspected(triage: Mapping[str, Any]) -> bool:
    """Any sign of damaged data, in the verdict or beside it."""
    verdict = triage["verdict"]
    codes = [verdict["code"], verdict.get("cause")] + [found.get("code") for found in triage.get("findings") or []]
    return "data_corruption" in codes


def outcome(response: Mapping[str, Any], done: Mapping[str, Any], after: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The report's lines on what was done: nothing and why, or the procedure, how it went, and who must be told if
    it is still wrong. ``done`` is what the procedure returned, ``after`` the last look."""
    verb = response["verb"]
    if not verb:
        return [_line("nothing: %s" % response["why"], response.get("tell", ""))] if response["why"] else []
    said = " ".join(str(done.get("msg") or "").split())
    result = _result(done)
    if result == PLANNED:
        plan = said or _differences(done.get("diff") or {}) or "nothing would be changed"
        return [_line("nothing: this is the plan of %s: %s" % (verb, plan))]
    if result == REFUSED:
        named = "refused" in said.partition(":")[0]  # "Restart refused: ..."
        lines = [_line("nothing: %s" % (said if named else "%s refused: %s" % (verb, said)))]
    elif result == FAILED:
        lines = [_line("%s, which failed: %s" % (verb, said or "it did not say why"))]
    elif result is None:
        return [_line("nothing: %s" % (said or "%s did not run" % verb))]
    else:
        lines = [_line(_did(verb, done, said) if result == DONE else "%s: nothing had to be changed" % verb)]
        lines += [_line(str(note)) for note in done.get("notes") or []]
    verdict = after.get("verdict")
    if not isinstance(verdict, Mapping):
        why = " ".join(str(after.get("msg") or "no answer").split())
        return [*lines, _line("Triage could not check it again (%s)." % why, _tell(response["verdict"]))]
    if verdict["code"] == "healthy":
        return lines
    same = (verdict["code"], verdict.get("cause")) == (response["verdict"]["code"], response["verdict"]["cause"])
    what = "Still wrong" if same else "Now it is %s" % verdict_code(verdict)
    more = "; nothing else is tried" if response["asked"] == RESPOND else ""
    return [*lines, _line("%s%s." % (what, more), _tell(verdict))]


def failure(response: Mapping[str, Any], done: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Why the host's run has failed, whatever ``oncall_fail_on`` says; empty: it has not."""
    if not isinstance(after.get("verdict"), Mapping):
        return " ".join(str(after.get("msg") or "It was not checked.").split())
    if response["verb"] and _result(done) in (REFUSED, FAILED, None):
        return " ".join(str(done.get("msg") or "%s did not run" % response["verb"]).split())
    return ""


def may_go_on(others: Mapping[str, Mapping[str, Any]]) -> str:
    """Of one host after the other: empty, or why the next is not touched: one before it was left half done.

    ``others``: what the procedure returned on each host. A refusal has touched nothing, so the others go on.
    """
    bad = [host for host, done in others.items() if done.get("unreachable") or _result(done) == FAILED]
    return "not touched, since it failed on %s" % ", ".join(bad) if bad else ""


def _result(done: Mapping[str, Any]) -> Optional[str]:
    if done.get("unreachable"):
        return FAILED
    outcome = done.get("outcome")
    return str(outcome) if outcome else None


def _differences(diff: Mapping[str, Any]) -> str:
    """``work_mem: 4096kB -> 9MB; restarted: no -> yes``."""
    before, after = (diff.get(side) or {} for side in ("before", "after"))
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return "; ".join("%s: %s -> %s" % (key, _shown(before.get(key)), _shown(after.get(key))) for key in keys)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join("%s %s" % (key, _shown(inner)) for key, inner in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "none"
    return "none" if value is None else str(value)


def _did(verb: str, done: Mapping[str, Any], said: str) -> str:
    seconds = done.get("downtime_seconds")
    verb = verb if seconds is None else "%s, downtime %.1f s" % (verb, seconds)
    return "%s: %s" % (verb, said) if said else verb


def _step(verb: str, variables: Dict[str, Any], verdict: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "verb": verb,
        "variables": variables,
        "way": ONE_BY_ONE if registry()[verb].cuts_off else SIDE_BY_SIDE,
        "why": "",
        "verdict": {key: verdict.get(key) for key in ("code", "cause", "severity", "summary", "escalation")},
    }


def _nothing(why: str, tell: str = "") -> Dict[str, Any]:
    return {"verb": None, "variables": {}, "way": MANUAL, "why": why, "tell": tell}


def _line(text: str, tell: str = "") -> Dict[str, Any]:
    return {"text": ("%s %s" % (text, tell)).strip(), "tells": bool(tell)}


def _tell(verdict: Optional[Mapping[str, Any]]) -> str:
    """At once: the time that the verdict gives is for trying its remedy, and that has been done."""
    to = ((verdict or {}).get("escalation") or {}).get("to")
    return "Tell the %s now." % ESCALATIONS.get(to if to not in (None, "none") else "dba", to)
