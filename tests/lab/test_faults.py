# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault on a fresh stack: verdict, cause, decisive evidence, path, remedy; nothing else wrong, nothing changed."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from .faults import FAULTS, QUESTIONS, Fault
from .looks import containers, files
from .stack import Stack

GRAVE = ("critical", "emergency")


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.id for fault in FAULTS])
def test_fault(fault: Fault) -> None:
    with Stack("lab-%d" % os.getpid(), version=fault.version) as stack:
        override = fault.before(stack) if fault.before else fault.override
        stack.up(override)
        fault.make(stack)
        before = containers(stack), files(stack)
        result = stack.triage(**fault.options)
        assert fault.moves or (containers(stack), files(stack)) == before, "triage changed something"
    check(fault, result)


def check(fault: Fault, result: dict[str, Any]) -> None:
    verdict = result["verdict"]
    said = "%s/%s: %s" % (verdict["code"], verdict["cause"], verdict["evidence"])
    assert (verdict["code"], verdict["cause"]) == (fault.code, fault.cause), said
    assert any(re.search(fault.evidence, line) for line in verdict["evidence"]), said
    assert verdict["question"] == fault.question

    answers = {step["question"]: step["answer"] for step in result["path"]}
    assert list(answers) == list(QUESTIONS)
    if fault.question:
        at = QUESTIONS.index(fault.question)
        assert answers[fault.question] == "no"
        assert "no" not in [answers[name] for name in QUESTIONS[:at]]
        assert {answers[name] for name in QUESTIONS[at + 1 :]} <= {"not_asked"}
    else:
        assert set(answers.values()) == {"yes"}, result["path"]

    remedy = verdict["remedy"]
    assert (remedy and remedy["playbook"]) == (fault.remedy and "oncall.postgresql." + fault.remedy), remedy
    for name, value in fault.variables.items():
        assert remedy["extra_vars"][name] == value

    others = [one for one in result["findings"] if one["code"] not in (fault.code, *fault.also)]
    grave = [one for one in others if one["severity"] in GRAVE or (fault.code == "healthy" and one["severity"] != "ok")]
    assert not grave, "also found: %s" % grave

    assert result["elapsed_ms"]["total"] <= 12_000, result["elapsed_ms"]
