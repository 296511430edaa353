# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``respond.yml`` does about a verdict, and what it says afterwards. Pure.

One remedy a host and run, never a second; none where corruption is suspected, whatever the verdict is.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional

from ..module_utils._judge.verdicts import VERDICTS
from ._report.words import ESCALATIONS, verdict_code

PREFIX = "oncall.postgresql."
REMEDIES = sorted({row.remedy.playbook for row in VERDICTS.values() if row.remedy})
# While these run, clients may be cut off: one server of a fleet after the other.
ONE_BY_ONE = ("credentials_reset", "graceful_restart", "network_repair", "pool_reset")


def allowed(given: Any) -> List[str]:
    """The operator's list as verbs: a list, or text with commas, blanks or lines between (as a survey gives it).

    Raises ValueError for a name that no verdict recommends: a slip of the pen is no permission.
    """
    names = re.split(r"[\s,]+", given) if isinstance(given, str) else [str(name) for name in given or []]
    verbs = [name[len(PREFIX) :] if name.startswith(PREFIX) else name for name in names if name]
    for verb in verbs:
        if verb not in REMEDIES:
            raise ValueError("oncall_auto_remedies names %r. Give any of %s." % (verb, ", ".join(REMEDIES)))
    return verbs


def respond(triage: Mapping[str, Any], auto_remedies: Any) -> Dict[str, Any]:
    """``triage`` as registered -> {verb, extra_vars, way, why}, and ``verdict`` where a remedy is to be carried out.

    ``way`` is one_by_one or side_by_side, or by_a_person: then ``verb`` is None and ``why`` says why.
    """
    verbs = allowed(auto_remedies)
    verdict = triage.get("verdict")
    if not isinstance(verdict, Mapping):
        return _nothing("it could not be looked at")
    if verdict["code"] == "healthy":
        return _nothing("")
    if suspected(triage):
        return _nothing("corruption is suspected, nothing may be touched. %s" % _tell(verdict))
    remedy = verdict.get("remedy")
    if not remedy:
        return _nothing("no remedy is safe, a person must act")
    verb = str(remedy["playbook"])[len(PREFIX) :]
    if verb not in verbs:
        return _nothing("%s is only recommended, it is not among oncall_auto_remedies" % verb)
    return {
        "verb": verb,
        "extra_vars": dict(remedy.get("extra_vars") or {}),
        "way": "one_by_one" if verb in ONE_BY_ONE else "side_by_side",
        "why": "",
        "verdict": {key: verdict.get(key) for key in ("code", "cause", "severity", "summary", "escalation")},
    }


def suspected(triage: Mapping[str, Any]) -> bool:
    """Any sign of damaged data, in the verdict or beside it."""
    verdict = triage["verdict"]
    codes = [verdict["code"], verdict.get("cause")] + [found.get("code") for found in triage.get("findings") or []]
    return "data_corruption" in codes


def outcome(response: Mapping[str, Any], after: Mapping[str, Any], failure: str = "", plan: bool = False) -> List[str]:
    """What the report says was done: nothing and why, or the remedy, how it went, and who must be told if it is still
    wrong. ``after`` is the last look, ``failure`` what the remedy said when it failed."""
    verb = response["verb"]
    if not verb:
        return ["nothing: %s" % response["why"]] if response["why"] else []
    reason = " ".join(failure.split())
    if plan:
        return ["nothing: %s would not go: %s" % (verb, reason) if reason else "nothing: this is the plan of %s" % verb]
    done = "%s, which failed: %s" % (verb, reason) if reason else verb
    verdict = after.get("verdict")
    if not isinstance(verdict, Mapping):
        said = " ".join(str(after.get("msg") or "no answer").split())
        return [done, "It could not be looked at again (%s). %s" % (said, _tell(response["verdict"]))]
    if verdict["code"] == "healthy":
        return [done]
    same = (verdict["code"], verdict.get("cause")) == (response["verdict"]["code"], response["verdict"]["cause"])
    what = "It is still wrong" if same else "Now it is %s" % verdict_code(verdict)
    return [done, "%s; nothing else is tried. %s" % (what, _tell(verdict))]


def _nothing(why: str) -> Dict[str, Any]:
    return {"verb": None, "extra_vars": {}, "way": "by_a_person", "why": why}


def _tell(verdict: Optional[Mapping[str, Any]]) -> str:
    """At once: the time that the verdict gives is for somebody to try its remedy, and that has been done."""
    to = ((verdict or {}).get("escalation") or {}).get("to")
    return "Tell the %s now." % ESCALATIONS.get(to if to not in (None, "none") else "dba", to)
