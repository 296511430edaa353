# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server is worse than before: by samples, as tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.plugin_utils._rollout.soak import lost, summary, worse

MB = 1 << 20
GROUP = "/sys/fs/cgroup/shop"


def log(seconds: float = 10, **kinds: int) -> dict[str, Any]:
    nothing = dict.fromkeys(("panic", "fatal", "error", "out_of_memory", "could_not_fork", "no_space"), 0)
    return {"since": "2026-11-24T01:00:00.000Z", "seconds": seconds, **nothing, **kinds}


def sample(**parts: Any) -> dict[str, Any]:
    return {
        "at": "2026-11-24T01:00:10.000Z",
        "memory": {"used_bytes": 400 * MB, "limit_bytes": 1000 * MB, "source": GROUP},
        "swap": {"used_bytes": 100 * MB, "source": GROUP},
        "oom_kills": {"count": 2, "source": GROUP},
        "log": log(),
        "probe": {"milliseconds": 20.0, "error": None},
        "connections": 7,
        "started": "2026-11-24T00:00:00+00:00",
        **parts,
    }


def memory(used: int, limit: int = 1000) -> dict[str, Any]:
    return sample(memory={"used_bytes": used * MB, "limit_bytes": limit * MB, "source": GROUP})


def swap(used: int, source: str = GROUP) -> dict[str, Any]:
    return sample(swap={"used_bytes": used * MB, "source": source})


def killed(number: int, source: str = GROUP) -> dict[str, Any]:
    return sample(oom_kills={"count": number, "source": source})


def took(milliseconds: float) -> dict[str, Any]:
    return sample(probe={"milliseconds": milliseconds, "error": None})


SILENT = sample(probe={"milliseconds": None, "error": "timed out"}, connections=None, started=None)
SAME = sample()


def test_what_is_as_before_is_not_worse() -> None:
    assert worse(SAME, []) == [] and worse(SAME, [SAME] * 20) == []
    blind = lost("nobody there")
    assert worse(blind, [SAME] * 20) == [] and worse(SAME, [blind]) == []


@pytest.mark.parametrize(
    ("before", "samples", "said"),
    [
        (SAME, [SAME, memory(901)], "memory is at 90 % of its limit (before: 40 %)"),
        (SAME, [memory(900)], ""),
        (memory(910), [memory(990)], ""),
        (SAME, [sample(memory={"used_bytes": 15, "limit_bytes": 16, "source": "host"})], ""),  # while it was down
        (sample(memory=None), [memory(990)], "memory is at 99 % of its limit (before: unknown)"),
        (SAME, [memory(950), SAME], "memory is at 95 %"),
        (SAME, [swap(164)], ""),
        (SAME, [swap(165)], "165 MiB of swap space is in use (before: 100 MiB)"),
        (swap(1000), [swap(1100)], ""),  # 10 %
        (swap(1000), [swap(1101)], "1.1 GiB of swap space"),
        (swap(0), [swap(65)], "65 MiB of swap space is in use (before: 0 B)"),
        (SAME, [swap(900, "host")], ""),  # of another whole
        (SAME, [killed(3), killed(4)], "the kernel killed 2 processes for want of memory"),
        (SAME, [killed(2)], ""),
        (SAME, [killed(0)], ""),  # its container was made anew
        (SAME, [killed(9, "host")], ""),
    ],
)
def test_memory(before: dict[str, Any], samples: list[dict[str, Any]], said: str) -> None:
    found = worse(before, samples)
    assert len(found) == bool(said) and "".join(found).startswith(said)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("panic", "PANIC"),
        ("out_of_memory", "out of memory"),
        ("could_not_fork", "could not fork"),
        ("no_space", "no space left on device"),
    ],
)
def test_one_of_the_grave_kind_is_enough(kind: str, words: str) -> None:
    assert worse(SAME, [sample(log=log(**{kind: 1}))]) == ["its log has 1 new message: %s" % words]
    had = sample(log=log(300, **{kind: 30}))
    assert worse(had, [sample(log=log(10, **{kind: 10}))]) == []  # ten times as many
    assert worse(had, [sample(log=log(10, **{kind: 11}))]) == ["its log has 11 new messages: %s" % words]


def errors(number: int, kind: str = "error", seconds: float = 10) -> dict[str, Any]:
    return sample(log=log(seconds, **{kind: number}))


@pytest.mark.parametrize(
    ("before", "samples", "said"),
    [
        (SAME, [SAME, *[errors(11)] * 3], "its log has 1.1 errors a second (before: 0)"),
        (SAME, [SAME, *[errors(11)] * 2], ""),
        (SAME, [SAME, *[errors(10)] * 9], ""),
        (SAME, [SAME, *[errors(20, "fatal")] * 3], "its log has 2.0 errors a second"),
        (SAME, [errors(1000, "fatal"), errors(20), errors(20)], ""),  # what the change itself has caused
        (SAME, [SAME, SAME, SAME, errors(9000)], ""),  # one burst
        (SAME, [SAME, errors(90), SAME, errors(90), SAME, errors(90)], ""),
        (SAME, [SAME, errors(20), sample(log=None), errors(20), errors(20)], "its log has 2.0 errors a second"),
        (SAME, [SAME, *[errors(900)] * 3, SAME], ""),  # over
        (errors(60, seconds=300), [SAME, *[errors(20)] * 3], ""),
        (errors(60, seconds=300), [SAME, *[errors(21)] * 3], "its log has 2.1 errors a second (before: 0.2)"),
        (sample(log=None), [SAME, *[errors(21)] * 3], "its log has 2.1 errors a second"),
        (SAME, [SAME, sample(log=None)], ""),
    ],
)
def test_errors(before: dict[str, Any], samples: list[dict[str, Any]], said: str) -> None:
    found = worse(before, samples)
    assert len(found) == bool(said) and "".join(found).startswith(said)


@pytest.mark.parametrize(
    ("before", "samples", "said"),
    [
        (SAME, [took(251)] * 5, "a new connection takes 251 ms (before: 20 ms)"),
        (SAME, [took(250)] * 5, ""),
        (SAME, [took(251)] * 4, ""),
        (took(100), [took(999)] * 5, ""),
        (took(100), [took(1001)] * 5, "a new connection takes 1.00 s (before: 100 ms)"),
        (SAME, [took(9000)] * 2 + [SAME] * 3, ""),
        (SAME, [took(9000)] * 5 + [SAME] * 3, ""),
        (SILENT, [took(300)] * 5, ""),  # than no answer
        (SAME, [SILENT] * 2, ""),
        (SAME, [SILENT, SILENT, SAME, SILENT], ""),
        (SAME, [SAME, SILENT, SILENT, SILENT], "it did not answer 3 times in a row: timed out"),
        (SAME, [lost("no route to host")] * 3, "it did not answer 3 times in a row: no route to host"),
    ],
)
def test_answers(before: dict[str, Any], samples: list[dict[str, Any]], said: str) -> None:
    found = worse(before, samples)
    assert len(found) == bool(said) and "".join(found).startswith(said)


def test_a_restart_that_nobody_planned() -> None:
    again = sample(started="2026-11-24T01:00:07+00:00")
    assert worse(SAME, [again, SILENT, again]) == []  # before the first sample: the change's own
    assert worse(SAME, [SAME, SILENT, again]) == ["it was restarted while it was watched, at 2026-11-24T01:00:07+00:00"]


def test_all_reasons_are_told() -> None:
    bad = sample(**{**memory(990), "swap": swap(900)["swap"], "log": log(panic=1)})
    assert len(worse(SAME, [bad])) == 3


@pytest.mark.parametrize("make", [sample, lambda: lost("gone")])
def test_the_summary_has_every_key_whatever_was_read(make: Callable[[], dict[str, Any]]) -> None:
    seen = summary(SAME, [SAME, errors(3), took(40.0)])
    assert (seen["count"], seen["failed_probes"], seen["errors"], seen["probe_ms_median"]) == (3, 0, 3, 20.0)
    assert (seen["memory_percent_most"], seen["connections_most"], seen["swap_bytes_most"]) == (40.0, 7, 100 * MB)
    assert set(summary(make(), [make()])) == set(seen)
