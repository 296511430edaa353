# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``oncall_*`` variables of a run: which there are, and what was given, typed. Pure.

A slip of the finger must not widen what is done: what is unknown, empty or of another type is a problem, in one line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Collection, Dict, List, Mapping, NamedTuple, Optional, Set

from ...module_utils._core.spec import Spec
from ...module_utils._core.text import did_you_mean, nearest
from ...module_utils._entry.looks import LOOKS
from ...module_utils._model.answers import SEVERITIES
from .._notify import channels
from .._report.files import MODES
from .checking import Problem, check

if TYPE_CHECKING:
    from ...module_utils._model.verb import Row

RESPOND, TRIAGE = "respond", "triage"
# What the frame itself understands, whichever the verb.
FRAME = Spec(
    {
        "oncall_hosts": {"type": "raw"},
        "oncall_target": {"type": "raw"},
        "oncall_report_dir": {"type": "str"},
        "oncall_report_mode": {"type": "str", "choices": list(MODES)},
        "oncall_incident_dir": {"type": "str"},
        "oncall_notify": {"type": "raw"},
        "oncall_fail_on": {"type": "str", "choices": list(SEVERITIES[1:])},
        "oncall_plan": {"type": "bool"},
        "oncall_auto_remedies": {"type": "raw"},
    }
)
# May be empty, which is the same as not given: a survey sends it so.
_MAY_BE_EMPTY = (
    "oncall_report_dir",
    "oncall_report_mode",
    "oncall_incident_dir",
    "oncall_notify",
    "oncall_fail_on",
    "oncall_auto_remedies",
)
_ONLY_ACTING = ("oncall_plan",)
_ONLY_RESPOND = ("oncall_auto_remedies",)
# Registered by the playbooks themselves; another play of the same run finds them among its variables.
_OURS = frozenset(
    "oncall_%s" % name
    for name in (
        "verb",
        "triage",
        "response",
        "only_plan",
        "only_looks",
        "evidence",
        "kept",
        "statements",
        "incident",
        "due",
        "sent_first",
        "sent_rest",
        "mailed_first",
        "mailed_rest",
        "told",
        "silences",
        "silenced",
        "done",
        "notes",
        "failure",
        "report",
        "wanted",
        "foreseen",
        "foreseen_then",
        "roles_foreseen",
        "left",
        "refused",
        "listed",
        "kept_settings",
        "planned",
        "allowed",
        "rollout",
        "tuned",
        "before",
        "begun",
        "again",
        "lifted",
        "told_begun",
        "told_ended",
        "pressure",
        "applied",
        "changed",
        "roles_applied",
        "shown",
        "judged",
        "soaked",
        "back",
        "back_started",
        "back_roles",
        "back_restarted",
        "ended",
        "settings",
    )
)
_NO_RECORD = "oncall_notify needs oncall_incident_dir: who has been told is kept there."
_EMPTY = "%s is empty. Give a value, or leave it out."
_TEMPLATE = re.compile(r"\{[{%#]")


def registry() -> "Dict[str, Row]":
    """The rows. They bring the code of all procedures with them: triage, which needs none, does not wait for that."""
    from ...module_utils._procedures._registry import REGISTRY

    return REGISTRY


def rollouts() -> "Dict[str, Row]":
    from .._rollout.verbs import ROLLOUTS

    return ROLLOUTS


def rollout_problems(verb: str, variables: Mapping[str, Any]) -> List[Problem]:
    from .._rollout.verbs import problems

    return problems(verb, variables)


def verbs() -> List[str]:
    return [TRIAGE, *LOOKS, *rollouts(), *registry(), RESPOND]


def is_verb(name: str) -> bool:
    return only_looks(name) or name == RESPOND or name in registry() or name in rollouts()


def only_looks(verb: str) -> bool:
    return verb == TRIAGE or verb in LOOKS


def row_of(verb: str) -> "Row":
    return LOOKS.get(verb) or registry().get(verb) or rollouts()[verb]


class Given(NamedTuple):
    """Of a verb: its module's options, as far as given; and what is wrong with the variables."""

    options: Dict[str, Any]
    problems: List[Problem]


def names(verb: str) -> Set[str]:
    """The variables that a run of ``verb`` understands."""
    found = set(FRAME.options)
    if verb != RESPOND:
        found -= set(_ONLY_RESPOND)
    if only_looks(verb):
        found -= set(_ONLY_ACTING)
    return found | {each.variable for row in _rows(verb) for each in row.variables}


def check_names(
    verb: str, given: Collection[str], on_command_line: Collection[str], of_role: Collection[str] = ()
) -> List[Problem]:
    """Misspelt ones. On the command line (-e) each must be meant for ``verb``. ``of_role``: variables of the role that
    it takes its settings from.

    One of the inventory may belong to another verb, or to someone else's roles: it is only refused when it is all but
    the name of one of ours.
    """
    mine = names(verb)
    # -e goes before what a playbook sets: a verdict or a decision given there would be taken for the run's own.
    problems = [
        Problem(name, "%s is the playbooks' own. Leave it out." % name) for name in sorted(_OURS & set(on_command_line))
    ]
    # oncal_plan, oncall-plan, ONCALL_PLAN, plan: left alone, the run would act for real, or on everyone.
    for name in sorted(each for each in on_command_line if not each.startswith("oncall_")):
        if name in of_role:
            continue
        written = re.sub(r"\W", "_", name.lower())
        close = nearest(written, of_role, 0.8)
        if close is not None:
            problems.append(Problem(name, "there is no variable %s. %s" % (name, did_you_mean(close, ""))))
            continue
        close = nearest(written, names(RESPOND) | names(TRIAGE), 0.9)
        if not only_looks(verb) and "oncall_" + written in mine:
            text = (
                "there is no variable %s. Did you mean oncall_%s? One of your inventory's own belongs there, not in -e."
            )
            problems.append(Problem(name, text % (name, written)))
        elif close is not None:
            problems.append(Problem(name, "there is no variable %s. %s" % (name, did_you_mean(close, ""))))
    for name in sorted(each for each in given if each.startswith("oncall_") and each not in _OURS):
        if name in mine:
            continue
        everything = names(RESPOND).union(*(names(each) for each in (TRIAGE, *LOOKS, *rollouts())))
        if name in on_command_line:
            others = sorted(each for each in (*LOOKS, *registry(), *rollouts()) if name in names(each))
            listed = "Its variables: %s." % ", ".join(sorted(mine - {"oncall_target"}))
            hint = "%s has." % " and ".join(others) if others else did_you_mean(_nearest(name, mine), listed)
            problems.append(Problem(name, "%s has no variable %s. %s" % (verb, name, hint)))
        elif name not in everything:
            close = _nearest(name, everything, 0.85)
            if close is not None:
                problems.append(Problem(name, "there is no variable %s. %s" % (name, did_you_mean(close, ""))))
    return problems


def check_frame(variables: Mapping[str, Any]) -> List[Problem]:
    """The frame's own variables, by type."""
    given = {name: value for name, value in variables.items() if name in FRAME.options}
    given = {name: value for name, value in given.items() if not (name in _MAY_BE_EMPTY and value in ("", None, []))}
    empty = [name for name, value in given.items() if value is None and name in _ONLY_ACTING]
    problems = [Problem(name, _EMPTY % name) for name in empty] + check(FRAME, given).problems
    problems += [
        Problem(name, "%s is %r. Give the path of a directory." % (name, value))
        for name, value in given.items()
        if name.endswith("_dir") and value and (isinstance(value, (list, Mapping)) or not str(value).strip())
    ]
    problems += channels.read(given.get(channels.VARIABLE))[1]
    if given.get(channels.VARIABLE) and not given.get("oncall_incident_dir"):
        problems.append(Problem(channels.VARIABLE, _NO_RECORD))
    return problems


def of_verb(verb: str, variables: Mapping[str, Any], required: bool = True) -> Given:
    """The options of ``verb``'s module, from its variables among ``variables``."""
    row = row_of(verb)
    given = {each.variable: variables[each.variable] for each in row.variables if each.variable in variables}
    empty = [
        name
        for name, value in given.items()
        if value is None or (isinstance(value, (str, list, tuple, dict)) and len(value) == 0)
    ]
    problems = [Problem(name, _EMPTY % name) for name in empty]
    spec = row.spec()
    if not required:
        spec = Spec({name: dict(rule, required=False) for name, rule in spec.options.items()})
    given = {name: value for name, value in given.items() if name not in empty}
    checked = check(spec, given)
    problems += [_explained(row, each) for each in checked.problems]
    options = {}
    for each in row.variables:
        if each.variable in given and not problems:
            options[each.option] = checked.options[each.variable]
    return Given(options, problems)


def check_verb(verb: str, variables: Mapping[str, Any]) -> List[Problem]:
    """What is wrong before any server is checked. Of ``respond`` every row's, without what only a verdict can name."""
    if verb not in (RESPOND, TRIAGE):
        more = rollout_problems(verb, variables) if verb in rollouts() else []
        return of_verb(verb, variables).problems + more
    return list(dict.fromkeys(one for each in _names_of(verb) for one in of_verb(each, variables, False).problems))


def evaluated(name: str, raw: Any, value: Any) -> Optional[Problem]:
    """A problem where a text given on the command line was taken for a template, such as a password with ``{{``."""
    if isinstance(raw, str) and _TEMPLATE.search(raw) and raw != value:
        return Problem(
            name,
            '%s contains template marks, which Ansible would evaluate. Give it as text: -e \'{"%s": !unsafe "..."}\'.'
            % (name, name),
        )
    return None


def _nearest(name: str, names_: Collection[str], likeness: float = 0.6) -> Optional[str]:
    """Without the prefix, which all of them share."""
    cut = len("oncall_")
    found = nearest(name[cut:], [each[cut:] for each in names_], likeness)
    return None if found is None else "oncall_" + found


def _names_of(verb: str) -> List[str]:
    return [] if verb == TRIAGE else list(registry()) if verb == RESPOND else [verb]


def _rows(verb: str) -> List[Row]:
    return [row_of(each) for each in _names_of(verb)]


def _explained(row: Row, problem: Problem) -> Problem:
    """A variable that is missing, with what it is."""
    variable = row.variable(problem.name) if problem.missing else None
    if variable is None:
        return problem
    text = "%s. Give -e %s=NAME (%s)." % (problem.text, variable.variable, variable.about)
    return problem._replace(text=text)


def is_plain(value: Any) -> bool:
    """Whether ``value`` is what it says: nothing in it is to be evaluated, or decrypted."""
    if isinstance(value, str):
        return not _TEMPLATE.search(value) and not value.startswith("#jinja2:")
    if isinstance(value, Mapping):
        return all(map(is_plain, value.values()))
    return all(map(is_plain, value)) if isinstance(value, list) else isinstance(value, (int, float, type(None)))


def is_ours(verb: str, name: str) -> bool:
    """Whether a variable is one that a run of ``verb`` understands."""
    return name in FRAME.options or any(row.variable(name) for row in _rows(verb))
