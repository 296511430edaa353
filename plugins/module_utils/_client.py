# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client examined from its own place: a network namespace beside the engine, a toolbox container, or right here.

    facts = examine_namespace(pid, option, login, deadline)      # as root beside the engine
    facts = examine_toolbox(run, option, login, deadline)        # the client is down, or the engine is elsewhere
    facts = examine_here(option, login, deadline)                # this host is the client
    facts.update(name="shop-api-1", state="running", networks=[...], shared_networks=[...])

Each gives whole ``ClientFacts``, never raises for what the network or the server does, and leaves what only the
caller knows (``name``, ``state``, ``networks``, ``shared_networks``, ``password_matches``) empty.
"""
from __future__ import annotations

from typing import Callable, Optional, Sequence

from ._deadline import Deadline
from ._facts import ClientFacts, Health
from ._runtime import ClientOption, Completed, Login

ToolboxRun = Callable[[Sequence[str], str, Deadline], Completed]  # (argv, standard input, deadline)


def blank(option: ClientOption, login: Optional[Login] = None, state: str = "missing", place: str = "none",
          error: Optional[str] = None) -> ClientFacts:
    """Facts of a client that nothing has been asked about yet."""
    raise NotImplementedError


def examine_namespace(pid: int, option: ClientOption, login: Optional[Login], deadline: Deadline) -> ClientFacts:
    """From inside the network namespace of process ``pid`` (``_place.can_enter`` says whether that works)."""
    raise NotImplementedError


def examine_here(option: ClientOption, login: Optional[Login], deadline: Deadline) -> ClientFacts:
    """From this host: ``name`` is "here", ``state`` "running"."""
    raise NotImplementedError


def examine_toolbox(run: ToolboxRun, option: ClientOption, login: Optional[Login], deadline: Deadline) -> ClientFacts:
    """By a short-lived container of the server's image in the client's networks.

    ``run`` starts it with exactly that command line and standard input (the input holds the password: it must reach
    no configuration, environment or log) and gives back what it printed. Health cannot be asked this way.
    """
    raise NotImplementedError


def check_health(url: str, root: Optional[str], deadline: Deadline) -> Health:
    """The client's own health page; ``root`` as in ``_dns.resolve``."""
    raise NotImplementedError
