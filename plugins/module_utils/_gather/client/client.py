# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client examined from its own place: a network namespace beside the engine, a toolbox container, or right here.

    facts = examine_namespace(pid, option, login, deadline)      # as root beside the engine
    facts = examine_toolbox(run, option, login, deadline)        # the client is down, or the engine is elsewhere
    facts = examine_here(option, login, deadline)                # this host is the client
    facts.update({"name": "shop-api-1", "networks": [...], "shared_networks": [...]})

Each gives whole ``ClientFacts``, never raises for what the network or the server does, and leaves what only the
caller knows (``name``, ``state``, ``networks``, ``shared_networks``, ``password_matches``) at its defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Sequence, Tuple

from ..._core.deadline import Deadline
from ..._core.errors import OncallError
from ..._core.mask import mask
from ..._core.rooted import Rooted
from ..._core.side_by_side import side_by_side
from ..runtime.base import ClientOption, Completed, Login
from ..wire.dns import resolve
from ..wire.wire import Address, answered, login, probe, reach
from .health import check_health
from .place import in_namespace
from .pool import resolve_pool
from .settings import secrets_of

if TYPE_CHECKING:
    from ..._model.facts import ClientFacts, Reach

__all__ = [
    "ToolboxRun",
    "blank",
    "check_health",
    "examine_here",
    "examine_login",
    "examine_namespace",
    "examine_toolbox",
]

ToolboxRun = Callable[[Sequence[str], str, Deadline], Completed]  # (argv, standard input, deadline)

STARTUP_SECONDS = 3.0  # a server that has not said a word by then is silent
HOPELESS_SECONDS = 1.5  # for what is tried although the step before it failed: the evidence, not the hope
HEALTH_SECONDS = 5.0  # a health page that takes longer is not one
_MARGIN_SECONDS = 0.25  # our answer must be back before the caller's deadline
_MOST_ADDRESSES = 4


def blank(
    option: ClientOption,
    settings: Optional[Login] = None,
    state: str = "missing",
    place: str = "none",
    error: Optional[str] = None,
) -> ClientFacts:
    """Facts of a client that nothing has been asked about yet."""
    return {
        "service": option.service,
        "name": option.service,
        "state": state,
        "exit_code": None,
        "started_at": None,
        "finished_at": None,
        "out_of_memory": None,
        "place": place,
        "application_name": option.application_name,
        "networks": [],
        "shared_networks": [],
        "login": None
        if settings is None
        else {
            "host": settings.host,
            "port": settings.port,
            "user": settings.user,
            "database": settings.database,
            "ssl_mode": settings.ssl_mode,
            "password_given": settings.password is not None,
            "source": settings.source,
        },
        "pool": resolve_pool(option.pool, {}),
        "resolution": None,
        "reach": None,
        "startup": None,
        "attempt": None,
        "password_matches": None,
        "health": None,
        "error": error,
    }


def examine_namespace(
    pid: int, option: ClientOption, settings: Optional[Login], deadline: Deadline, ca_cert: Optional[str] = None
) -> ClientFacts:
    """From inside the network namespace of process ``pid`` (``_place.can_enter`` says whether that works)."""
    facts = blank(option, settings, state="running", place="namespace")
    root = "/proc/%d/root" % pid
    try:
        facts.update(in_namespace(pid, lambda: _examine(option, settings, root, deadline, ca_cert), deadline))
    except OncallError as error:
        facts["error"] = str(error)
    return facts


def examine_here(
    option: ClientOption, settings: Optional[Login], deadline: Deadline, ca_cert: Optional[str] = None
) -> ClientFacts:
    """From this host: ``name`` is "here", ``state`` "running"."""
    facts = blank(option, settings, state="running", place="here")
    facts["name"] = "here"
    facts.update(_examine(option, settings, None, deadline, ca_cert))
    return facts


def examine_toolbox(
    run: ToolboxRun, option: ClientOption, settings: Optional[Login], deadline: Deadline
) -> ClientFacts:
    """By a short-lived container of the server's image in the client's networks.

    ``run`` starts it with exactly that command line and standard input (the input holds the password: it must reach
    no configuration, environment or log) and gives back what it printed. The health page cannot be asked this way.
    """
    from .toolbox import parse_toolbox, toolbox_command

    facts = blank(option, settings, state="running", place="toolbox")
    if settings is None:
        return facts
    argv, stdin = toolbox_command(settings, deadline.left() - _MARGIN_SECONDS, _may_log_in(settings))
    try:
        completed = run(argv, stdin, deadline)
    except OncallError as error:
        facts["error"] = str(error)
        return facts
    found: Any = parse_toolbox(completed.out, settings)
    facts.update(found)
    if not found.get("resolution"):
        said = mask((completed.err or completed.out).strip(), secrets_of(settings))[:300]
        facts["error"] = "the toolbox container exited with code %d before it could check: %s" % (completed.code, said)
    return facts


def _examine(
    option: ClientOption, settings: Optional[Login], root: Optional[str], deadline: Deadline, ca_cert: Optional[str]
) -> Any:
    """The keys of ClientFacts that looking brings; the health page is asked while the login goes on."""
    inner = Deadline(deadline.left() - _MARGIN_SECONDS)
    steps: Dict[str, Callable[[], Any]] = {}
    if settings is not None:
        wanted = settings
        steps["login"] = lambda: examine_login(wanted, root, inner, ca_cert)
    if option.health_url:
        url = option.health_url
        steps["health"] = lambda: check_health(url, root, inner.sooner(HEALTH_SECONDS))
    outcome = side_by_side(steps, Deadline(deadline.left() - _MARGIN_SECONDS / 2))
    found: Dict[str, Any] = dict(outcome.values.get("login", {}))
    if "health" in outcome.values:
        found["health"] = outcome.values["health"]
    elif "health" in outcome.errors and option.health_url:
        found["health"] = {
            "url": mask(option.health_url),
            "status": None,
            "ok": False,
            "body": None,
            "error": "no answer in time",
        }
    if "login" in outcome.errors:
        found["error"] = mask("the login could not be tested: %s" % outcome.errors["login"])
    return found


def examine_login(
    settings: Login, root: Optional[str], deadline: Deadline, ca_cert: Optional[str] = None
) -> Dict[str, Any]:
    """{resolution, reach, startup, attempt} of these settings; ``root`` as in ``_dns.resolve``.

    One after the other, so that no more than one connection is ever taken. A host that begins with "/" is the
    directory of a Unix socket, as libpq has it: nothing to resolve and to reach then. No login is attempted where
    nobody said how the client logs in (``_may_log_in``).
    """
    found: Dict[str, Any] = {"resolution": None, "reach": None, "startup": None, "attempt": None}
    reachable = True
    address: Address
    if settings.host.startswith("/"):
        path = "%s/.s.PGSQL.%d" % (settings.host.rstrip("/"), settings.port)
        address = path if root is None else Rooted(root, path)
    else:
        found["resolution"] = resolve(settings.host, deadline, root)
        addresses = found["resolution"]["addresses"][:_MOST_ADDRESSES]
        if not addresses:
            return found
        best = _reach_best(addresses, settings.port, deadline)
        found["reach"], address = best
        reachable = found["reach"]["outcome"] == "open"

    def ask() -> Any:
        hopeless = found["attempt"] is not None or not reachable
        seconds = HOPELESS_SECONDS if hopeless else STARTUP_SECONDS
        return probe(address, deadline.sooner(seconds), _kind(address), settings.user, settings.database)

    def attempt(seconds: float = float("inf")) -> Any:
        return _log_in(address, settings, ca_cert, deadline.sooner(seconds))

    if not reachable and _may_log_in(settings):  # nothing to take: both at once
        both = side_by_side({"startup": ask, "attempt": lambda: attempt(HOPELESS_SECONDS)}, deadline)
        found.update(both.values)
        return found
    # The login tells all that a start-up packet would, and as the client asks for it: with TLS, where only that is let
    # in. The packet is for where there is no login, or no answer to it: who is silent, the server or what it asks?
    if _may_log_in(settings):
        found["attempt"] = attempt(STARTUP_SECONDS)
        if found["attempt"]["outcome"] in ("ok", "rejected"):
            found["startup"] = answered(address, _kind(address), found["attempt"])
            return found
    found["startup"] = ask()
    if _may_log_in(settings) and found["attempt"]["outcome"] == "timeout" and found["startup"]["outcome"] != "silent":
        found["attempt"] = attempt()
    return found


def _kind(address: Address) -> str:
    return "network" if isinstance(address, tuple) else "socket"


def _may_log_in(settings: Login) -> bool:
    """Settings that are nothing but the target's own defaults, without a password, would test an unused login."""
    return settings.source != "target" or settings.password is not None


def _log_in(address: Address, settings: Login, ca_cert: Optional[str], deadline: Deadline) -> Any:
    """With the client's settings. Where only the client knows the certificate authority, TLS is not verified."""
    unverified = settings.ssl_mode in ("verify-ca", "verify-full") and ca_cert is None
    result = login(
        address,
        settings.user,
        settings.password,
        settings.database,
        "require" if unverified else settings.ssl_mode,
        ca_cert,
        deadline,
        host=settings.host,
    )
    if unverified and result["succeeded"]:
        result["message"] = "the certificate was not verified: the client's authority is not known here (ca_cert)"
    return result


def _reach_best(addresses: Sequence[str], port: int, deadline: Deadline) -> Tuple[Reach, Tuple[str, int]]:
    """All addresses at once; the first that is open counts (libpq tries them in turn), else the first."""
    steps = {address: (lambda address=address: reach(address, port, deadline)) for address in addresses}
    if len(steps) == 1:
        return steps[addresses[0]](), (addresses[0], port)
    outcome = side_by_side(steps, deadline)
    results = [(outcome.values[address], (address, port)) for address in addresses if address in outcome.values]
    if not results:
        return reach(addresses[0], port, deadline), (addresses[0], port)
    return next((one for one in results if one[0]["outcome"] == "open"), results[0])
