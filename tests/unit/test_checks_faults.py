# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each question, asked alone, sees its own faults, and nothing in what is none."""

from __future__ import annotations

from typing import Dict

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.tree import QUESTIONS
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from tests.unit.faults import ALL, WELL, Fault, Well

CHECKS = dict(QUESTIONS)
OWN = [pytest.param(question, fault, id="%s: %s" % (question, fault.name)) for question, fault in ALL if question]


@pytest.mark.parametrize(("question", "fault"), OWN)
def test_each_question_sees_its_faults(question: str, fault: Fault) -> None:
    answer = CHECKS[question](fault.facts, Thresholds())
    assert (answer.question, answer.answer, answer.code, answer.cause) == (question, "no", fault.code, fault.cause)
    assert fault.first in answer.evidence[0]
    assert answer.detail
    assert all("\n" not in line for line in answer.evidence)


@pytest.mark.parametrize("well", [pytest.param(well, id=well.name) for well in WELL])
def test_no_question_says_no_without_a_fault(well: Well) -> None:
    answers: Dict[str, str] = {}
    for question, check in QUESTIONS:
        answer = check(well.facts, Thresholds())
        assert answer.question == question
        answers[question] = answer.answer
        if answer.answer == "not_asked":
            assert answer.reason and answer.detail == "not asked: %s" % answer.reason
    assert "no" not in answers.values()
