# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault on a fresh stack: verdict, cause, decisive evidence, path, remedy; nothing else wrong, nothing changed.

Then the remedy that the verdict recommends, just as it says. Where there is none, ``respond`` looked, with leave to
carry out everything: then nothing may have been touched.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from . import remedy
from .conftest import NEXT
from .faults import FAULTS, QUESTIONS, Fault
from .looks import containers, files
from .stack import Stack
from .writer import Writer

GRAVE = ("critical", "emergency")


class Ahead:
    """The next fault's stack comes up, and the last one's goes down, while this one is looked at."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=2)
        self._coming: dict[str, Future[Stack]] = {}
        self._going: list[Future[None]] = []

    def take(self, fault: Fault, following: Fault | None) -> Stack:
        self._prepare(fault)
        if following:
            self._prepare(following)
        stack = self._coming[fault.id].result()
        del self._coming[fault.id]
        return stack

    def give_back(self, stack: Stack) -> None:
        self._going.append(self._pool.submit(stack.close))

    def close(self) -> None:
        for future in self._coming.values():
            if not future.exception():
                self.give_back(future.result())
        self._pool.shutdown()
        for gone in self._going:
            gone.result()

    def _prepare(self, fault: Fault) -> None:
        if fault.id not in self._coming:
            self._coming[fault.id] = self._pool.submit(_up, fault)


def _up(fault: Fault) -> Stack:
    stack = Stack("lab-" + fault.id, version=fault.version)
    try:
        stack.up(fault.before(stack) if fault.before else fault.override)
    except BaseException:
        stack.close()
        raise
    return stack


@pytest.fixture(scope="module")
def ahead() -> Iterator[Ahead]:
    made = Ahead()
    yield made
    made.close()


@pytest.fixture
def stack(request: pytest.FixtureRequest, ahead: Ahead, fault: Fault) -> Iterator[Stack]:
    spec = getattr(request.node.stash[NEXT], "callspec", None)
    following = spec.params.get("fault") if spec else None
    made = ahead.take(fault, following if isinstance(following, Fault) else None)
    yield made
    ahead.give_back(made)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.id for fault in FAULTS])
def test_fault(stack: Stack, fault: Fault) -> None:
    if not fault.remedy:
        without_remedy(stack, fault)
        return
    with Writer(stack) as writer:
        rows = remedy.rows(stack)
        with writer.away() if fault.code == "pool_exhausted" else contextlib.nullcontext():
            fault.make(stack)
        before = containers(stack), files(stack)
        result = stack.triage(**fault.options)
        assert fault.moves or (containers(stack), files(stack)) == before, "triage changed something"
        check(fault, result)
        remedy.fix(stack, result["verdict"], writer, rows, **fault.options)


def without_remedy(stack: Stack, fault: Fault) -> None:
    fault.make(stack)
    before, sessions = (containers(stack), files(stack)), remedy.sessions(stack)
    result = remedy.respond(stack, **fault.options)
    assert fault.moves or (containers(stack), files(stack)) == before, "something was changed"
    assert fault.moves or sessions <= remedy.sessions(stack), "a session is gone"
    check(fault, result)
    if fault.code != "healthy":
        remedy.check_advice(result["verdict"])


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

    recommended = verdict["remedy"]
    assert (recommended and recommended["playbook"]) == (fault.remedy and "oncall.postgresql." + fault.remedy), verdict
    for name, value in fault.variables.items():
        assert recommended["extra_vars"][name] == value

    others = [one for one in result["findings"] if one["code"] not in (fault.code, *fault.also)]
    grave = [one for one in others if one["severity"] in GRAVE or (fault.code == "healthy" and one["severity"] != "ok")]
    assert not grave, "also found: %s" % grave

    assert result["elapsed_ms"]["total"] <= 30_000, result["elapsed_ms"]  # all looking has a deadline, of 10 s
