# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines on the screen while a long look goes on. To standard error: what a program reads of a run stays as it is."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping

from ansible.utils.display import Display

_EVERY_SECONDS, _MOST_HOSTS = 5.0, 10


@contextlib.contextmanager
def progress(
    name: str, seconds: float, variables: Mapping[str, Any], every: float = _EVERY_SECONDS
) -> Iterator[Callable[[str], None]]:
    """Gives what is to be told how far it is. ``seconds``: its deadline; ``every`` so many a line, never more often.

    A module on the host cannot tell: Ansible hands on nothing before its end. Then the time that has passed is shown.
    """
    what, host = name.replace("_info", ""), str(variables.get("inventory_hostname"))
    hosts: List[str] = list(variables.get("ansible_play_batch") or [host])
    said: Dict[str, str] = {"text": "running on the host"}
    over = threading.Event()
    begun, every = time.monotonic(), max(every, _EVERY_SECONDS)

    def tell() -> None:
        wait = every * (1 + (hosts.index(host) if host in hosts else 0))  # the hosts take turns
        while not over.wait(wait):
            wait = every * len(hosts)
            passed = time.monotonic() - begun
            Display().display("%s %s: %s, %d s of %d s" % (what, host, said["text"], passed, seconds), stderr=True)

    def tell_once() -> None:
        if host == hosts[0] and not over.wait(every):
            Display().display("%s: %d hosts, at most %d s each" % (what, len(hosts), seconds), stderr=True)

    thread = threading.Thread(target=tell if len(hosts) <= _MOST_HOSTS else tell_once, daemon=True)
    thread.start()
    try:
        yield lambda text: said.update(text=text)
    finally:
        over.set()
        thread.join()
