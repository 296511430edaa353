# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server is worse than before, by samples of pressure_info. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ...module_utils._core.numbers import median
from ...module_utils._core.text import count, line, milliseconds, size

Sample = Mapping[str, Any]  # pressure of what pressure_info returned

MEMORY_PERCENT = 90
SWAP_BYTES, SWAP_PERCENT = 64 * 1024 * 1024, 10
TIMES = 10  # more than so many times as before is worse
ERRORS_PER_SECOND = 1.0
LEAST_MILLISECONDS = 250.0
PROBES, FAILURES = 5, 3
_RECENT = 3  # samples, each of which has to have many errors: one burst is none
_GRAVE = {
    "panic": "PANIC",
    "out_of_memory": "out of memory",
    "could_not_fork": "could not fork",
    "no_space": "no space left on device",
}


def lost(why: str) -> Dict[str, Any]:
    """In place of a sample that could not be taken."""
    nothing = dict.fromkeys(("at", "memory", "swap", "oom_kills", "log", "connections", "started"))
    return {**nothing, "probe": {"milliseconds": None, "error": why}}


def worse(before: Sample, samples: Sequence[Sample]) -> List[str]:
    """Why the server is worse than ``before``, a line each; empty: it is not.

    ``samples``: oldest first; the log of the first one goes back to ``before``, so it holds what the change itself has
    caused, such as sessions that ended with a restart: of that, only what is grave counts.
    """
    if not samples:
        return []
    found = [_memory(before, samples), _swap(before, samples), _killed(before, samples)]
    found += [_grave(before, samples, kind, words) for kind, words in _GRAVE.items()]
    found += [_errors(before, samples), _slower(before, samples), _silent(samples), _restarted(samples)]
    return [each for each in found if each]


def percent(each: Sample) -> Optional[float]:
    """How much of the memory that it may use."""
    memory = each["memory"]
    return 100 * memory["used_bytes"] / memory["limit_bytes"] if memory else None


def _memory(before: Sample, samples: Sequence[Sample]) -> str:
    then, now = percent(before), []
    for each in samples:
        used = percent(each)
        # While the server is down, its cgroup is not known, and what is told is its host's: another whole.
        if used is not None and (then is None or _of_host(each) == _of_host(before)):
            now.append(used)
    if not now or max(now) <= MEMORY_PERCENT or (then is not None and then > MEMORY_PERCENT):
        return ""
    was = "unknown" if then is None else "%d %%" % then
    return "memory is at %d %% of its limit (before: %s)" % (max(now), was)


def _of_host(each: Sample) -> bool:
    return bool(each["memory"]["source"] == "host")


def _swap(before: Sample, samples: Sequence[Sample]) -> str:
    then = before["swap"]
    now = [each["swap"] for each in samples if each["swap"] and then and each["swap"]["source"] == then["source"]]
    if not now:
        return ""
    was, most = then["used_bytes"], max(each["used_bytes"] for each in now)
    grown = most - was
    if grown <= SWAP_BYTES or grown * 100 <= was * SWAP_PERCENT:
        return ""
    return "%s of swap space is in use (before: %s)" % (size(most), size(was))


def _killed(before: Sample, samples: Sequence[Sample]) -> str:
    then = before["oom_kills"]
    now = [each["oom_kills"] for each in samples if each["oom_kills"]]
    same = [each["count"] for each in now if then and each["source"] == then["source"]]
    killed = max(same) - then["count"] if same else 0
    return "the kernel killed %s for want of memory" % count(killed, "process", "processes") if killed > 0 else ""


def _per_second(samples: Sequence[Sample], *kinds: str) -> Optional[float]:
    """On average; None where no log was read."""
    logs = [each["log"] for each in samples if each["log"]]
    seconds = sum(each["seconds"] for each in logs)
    return sum(each[kind] for each in logs for kind in kinds) / seconds if seconds > 0 else None


def _grave(before: Sample, samples: Sequence[Sample], kind: str, words: str) -> str:
    """None is too many, unless there were as many before."""
    number = sum(each["log"][kind] for each in samples if each["log"])
    if not number or (_per_second(samples, kind) or 0) <= TIMES * (_per_second([before], kind) or 0):
        return ""
    return "its log has %s: %s" % (count(number, "new message"), words)


def _errors(before: Sample, samples: Sequence[Sample]) -> str:
    recent = [each for each in samples[1:] if each["log"]][-_RECENT:]
    rates = [_per_second([each], "fatal", "error") or 0 for each in recent]
    now, then = _per_second(recent, "fatal", "error") or 0, _per_second([before], "fatal", "error") or 0
    if len(rates) < _RECENT or min(rates) <= ERRORS_PER_SECOND or now <= TIMES * then:
        return ""
    return "its log has %.1f errors a second (before: %.2g)" % (now, then)


def _slower(before: Sample, samples: Sequence[Sample]) -> str:
    answered = [each["probe"]["milliseconds"] for each in samples if each["probe"]["milliseconds"] is not None]
    then = before["probe"]["milliseconds"]
    if then is None or len(answered) < PROBES:
        return ""
    now = median(answered[-PROBES:])
    if now <= max(TIMES * then, LEAST_MILLISECONDS):
        return ""
    return "a new connection takes %s (before: %s)" % (milliseconds(now), milliseconds(then))


def _silent(samples: Sequence[Sample]) -> str:
    last = [each["probe"]["error"] for each in samples[-FAILURES:]]
    if len(last) < FAILURES or not all(last):
        return ""
    return "it did not answer %d times in a row: %s" % (FAILURES, line(last[-1]))


def _restarted(samples: Sequence[Sample]) -> str:
    """After the change and its own restart, which is over when the first sample is taken."""
    starts = [each["started"] for each in samples if each["started"]]
    later = [each for each in starts if each != starts[0]]
    return "it was restarted while it was watched, at %s" % later[-1] if later else ""


def summary(before: Sample, samples: Sequence[Sample]) -> Dict[str, Any]:
    """The samples in a few numbers; None where nothing was read."""
    answered = [each["probe"]["milliseconds"] for each in samples if each["probe"]["milliseconds"] is not None]
    used = [found for each in samples for found in [percent(each)] if found is not None]
    swapped = [each["swap"]["used_bytes"] for each in samples if each["swap"]]
    sessions = [each["connections"] for each in samples if each["connections"] is not None]
    logs = [each["log"] for each in samples[1:] if each["log"]]
    return {
        "count": len(samples),
        "failed_probes": len(samples) - len(answered),
        "memory_percent_before": _rounded(percent(before)),
        "memory_percent_most": _rounded(max(used)) if used else None,
        "swap_bytes_before": before["swap"]["used_bytes"] if before["swap"] else None,
        "swap_bytes_most": max(swapped) if swapped else None,
        "probe_ms_before": before["probe"]["milliseconds"],
        "probe_ms_median": _rounded(median(answered)) if answered else None,
        "connections_before": before["connections"],
        "connections_most": max(sessions) if sessions else None,
        "errors": sum(each["panic"] + each["fatal"] + each["error"] for each in logs) if logs else None,
    }


def _rounded(value: Optional[float]) -> Optional[float]:
    return None if value is None else round(value, 1)
