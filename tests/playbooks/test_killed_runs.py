# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed at any moment: the record tells what is known, the next run says it, closes the gap and goes on.

python -m tests.playbooks.test_killed_runs 20     # so many moments, and what was found at each
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.state import Incident
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.store import Store
from tests.embedded import Server

from .test_real_servers import PASSWORD, Controller, beside, connect

VERBS = ("pool_reset", "reload", "cancel_queries")
MORE: dict[str, dict[str, float]] = {
    "pool_reset": {"oncall_idle_minutes": 0.001},
    "reload": {},
    "cancel_queries": {"oncall_query_seconds": 3600},
}
Moment = Callable[[], bool]


@contextlib.contextmanager
def leak(directory: Path) -> Iterator[Controller]:
    """A server with an open incident: a role without a slot left."""
    with Server() as server, contextlib.ExitStack() as stack:
        server.hba("local all all trust", "host all all 127.0.0.1/32 scram-sha-256")
        server.sql("CREATE ROLE shop LOGIN PASSWORD '%s' CONNECTION LIMIT 3" % PASSWORD)
        server.sql("CREATE DATABASE shop OWNER shop")
        controller = Controller(directory, {"db": beside(server)})
        for _unused in range(3):
            stack.enter_context(contextlib.closing(connect(server)))
        code, out = controller.run("ansible-playbook", "oncall.postgresql.triage", *given())
        assert code == 0 and record(controller).code == "pool_exhausted", out
        yield controller


def given(verb: str = "") -> list[str]:
    return ["-e", json.dumps({"oncall_incident_dir": "incidents", **MORE.get(verb, {})})]


def record(controller: Controller) -> Incident:
    """As any reader finds it."""
    (file,) = (controller.directory / "incidents").glob("*.jsonl")
    return Store(str(file.parent)).read(file.stem)


def begun(controller: Controller, verb: str) -> int:
    return len([each for each in record(controller).attempts if each.verb == verb])


def killed(controller: Controller, verb: str, moment: Moment) -> bool:
    """Whether the run was killed, with all that is of its process group; it may have ended before the moment came."""
    home = str(controller.directory / "home")
    own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    words = ["-i", "inventory.json", "oncall.postgresql.%s" % verb, *given(verb)]
    run = subprocess.Popen(
        [str(Path(sys.executable).with_name("ansible-playbook")), *words],
        cwd=controller.directory,
        env={**own, "LC_ALL": "C.UTF-8", "HOME": home, "ANSIBLE_HOME": home},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while run.poll() is None and not moment():
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    was_killed = run.wait() == -signal.SIGKILL
    while _at_work(controller.directory):  # workers are in process groups of their own, and end with their task
        time.sleep(0.01)
    return was_killed


def _at_work(directory: Path) -> list[str]:
    found: list[str] = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            found += [str(place)] if os.readlink(place) == str(directory) else []
    return found


def at_random(controller: Controller, _verb: str) -> Moment:
    """Up to a second after one of the events that a run writes, or after none of them."""
    so_far = len(record(controller).events) + random.randrange(4)
    begun_at: list[float] = []
    patience = time.monotonic() + random.uniform(5, 15)

    def moment() -> bool:
        if not begun_at and (len(record(controller).events) >= so_far or time.monotonic() > patience):
            begun_at.append(time.monotonic() + random.uniform(0, 1))
        return bool(begun_at) and time.monotonic() > begun_at[0]

    return moment


def as_it_begins(controller: Controller, verb: str) -> Moment:
    so_far = begun(controller, verb)
    return lambda: begun(controller, verb) > so_far


def kill_and_go_on(
    controller: Controller, verbs: Sequence[str], moments: Sequence[Callable[[Controller, str], Moment]]
) -> list[str]:
    """What was found after each kill. Each run is the next one of the run before it."""
    found: list[str] = []
    for verb, moment in zip(verbs, moments):
        before = len(record(controller).events)
        was_killed = killed(controller, verb, moment(controller, verb))
        now = record(controller)
        kinds = [each["kind"] for each in now.events[before:]]
        gaps = [each for each in now.attempts if each.outcome is None]
        assert len(gaps) <= 1 and now.torn <= len(found) + 1
        found.append(
            "%s: %s, %s%s" % (verb, "killed" if was_killed else "ended", " ".join(kinds) or "-", ", gap" * len(gaps))
        )
    return found


def goes_on(controller: Controller) -> None:
    """The next run: no procedure is left without an end, what was interrupted is said, and no line is lost."""
    before = record(controller)
    gaps = [each for each in before.attempts if each.outcome is None]
    code, out = controller.run("ansible-playbook", "oncall.postgresql.reload", *given("reload"))
    assert code == 0, out
    now = record(controller)
    assert now.events[: len(before.events)] == before.events
    assert [each.outcome for each in now.attempts if each.outcome is None] == [] and now.attempts[
        -1
    ].outcome != "interrupted"
    said = [line for line in out.splitlines() if line.startswith("Interrupted: ")]
    assert len(said) == len(gaps), out
    for each in gaps:
        assert "Interrupted: %s on db, begun at %s: its run ended before" % (each.verb, each.began) in out
    assert len(now.attempts) == len(before.attempts) + 1
    (page,) = (controller.directory / "incidents").glob("*.md")
    assert page.read_text().count("| interrupted |") == len(
        [one for one in now.attempts if one.outcome == "interrupted"]
    )


def test_a_run_that_is_killed_at_any_moment(tmp_path: Path) -> None:
    with leak(tmp_path) as controller:
        verbs = ("pool_reset", "reload", "cancel_queries", "reload")
        moments = (as_it_begins, at_random, at_random, as_it_begins)
        found = kill_and_go_on(controller, verbs, moments)
        assert found[0].startswith("pool_reset: killed") and "begins" in found[0], found
        goes_on(controller)


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as work, leak(Path(work)) as controller:
        began = time.monotonic()
        controller.run("ansible-playbook", "oncall.postgresql.reload", *given("reload"))
        whole = time.monotonic() - began
        verbs = list(itertools.islice(itertools.cycle(VERBS), count))
        for line in kill_and_go_on(controller, verbs, [at_random] * count):
            print(line)
        goes_on(controller)
        now = record(controller)
        kinds = [each.outcome for each in now.attempts]
        print("a run: %.1f s; %d attempts: %s" % (whole, len(kinds), {kind: kinds.count(kind) for kind in set(kinds)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
