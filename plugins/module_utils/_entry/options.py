# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that modules share, and how they merge. The doc fragment ``target`` says the same in words."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, Dict, Iterator, List, Set, Tuple

from .._core.errors import OptionsError
from .._core.mask import PROSE, is_common, setting
from .._core.shape import QUERY_TEXTS
from .._core.spec import Spec
from .._gather.runtime.base import SSL_MODES
from .._model.answers import Thresholds

RUNTIMES = ("compose", "pg_ctl", "remote")

# Each field of the dataclass is an option of its type and default.
THRESHOLDS = Spec({each.name: {"type": each.type, "default": each.default} for each in fields(Thresholds)})

_CLIENT = {
    "service": {"type": "str", "required": True},
    "health_url": {"type": "str"},
    "application_name": {"type": "str"},
    "login": {
        "type": "dict",
        "options": {
            "host": {"type": "str"},
            "port": {"type": "int"},
            "user": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "database": {"type": "str"},
            "ssl_mode": {"type": "str", "choices": list(SSL_MODES)},
        },
    },
    "pool": {
        "type": "dict",
        "options": {
            "size": {"type": "int"},
            "overflow": {"type": "int", "default": 0},
            "replicas": {"type": "int"},
        },
    },
}

TARGET = (
    Spec(
        {
            "host": {"type": "str"},
            "playbook_options": {"type": "list", "elements": "str"},
            "runtime": {"type": "str", "choices": list(RUNTIMES), "default": "compose"},
            "project": {"type": "str"},
            "service": {"type": "str", "default": "postgres"},
            "docker_host": {"type": "str"},
            "data_directory": {"type": "path"},
            "bin_directory": {"type": "path"},
            "os_user": {"type": "str"},
            "log_file": {"type": "path"},
            "login_host": {"type": "str"},
            "login_port": {"type": "int"},
            "login_user": {"type": "str"},
            "login_password": {"type": "str", "no_log": True},
            "login_db": {"type": "str"},
            "login_unix_socket": {"type": "path"},
            "ssl_mode": {"type": "str", "choices": list(SSL_MODES), "default": "prefer"},
            "ca_cert": {"type": "path"},
            "connect_timeout_seconds": {"type": "float", "default": 5},
            "clients": {"type": "list", "elements": "dict", "default": [], "options": _CLIENT},
            "log_lines": {"type": "int", "default": 100},
            "query_text": {"type": "str", "choices": list(QUERY_TEXTS), "default": QUERY_TEXTS[0]},
            "deadline_seconds": {"type": "float", "default": 10},
        },
        required_if=(
            ("runtime", "compose", ("project",)),
            ("runtime", "pg_ctl", ("data_directory",)),
            ("runtime", "remote", ("login_host",)),
        ),
        mutually_exclusive=(("login_host", "login_unix_socket"),),
    )
    + THRESHOLDS
)

# Which server is meant. Where a task leaves all of these out, the host's oncall_target says it.
WHICH = frozenset(("runtime", "project", "service", "docker_host", "data_directory", "login_host", "login_unix_socket"))

TRIAGE = EVIDENCE = TARGET + Spec({"compact": {"type": "bool", "default": False}})
INTEGRITY = TARGET + Spec(
    {
        "backup_file": {"type": "str"},
        "backup_hours": {"type": "float", "default": 26},
        "check_seconds": {"type": "float", "default": 300},
        "databases": {"type": "list", "elements": "str", "default": []},
        "jobs": {"type": "int", "default": 2},
        "sequence_percent": {"type": "float", "default": 80},
        "baseline": {"type": "dict"},
        "tolerance_percent": {"type": "float", "default": 20},
    }
)
BASELINE = TARGET + Spec(
    {
        "directory": {"type": "str", "required": True},
        "keep": {"type": "int", "default": 10},
        "tables": {"type": "list", "elements": "raw", "default": []},
        "estimate": {"type": "bool", "default": False},
        "databases": {"type": "list", "elements": "str", "default": []},
        "jobs": {"type": "int", "default": 2},
        "count_seconds": {"type": "float", "default": 60},
        "check_seconds": {"type": "float", "default": 300},
    }
)
RESTORE_PROOF = TARGET + Spec(
    {
        "backup": {"type": "str", "required": True},
        "restore_seconds": {"type": "float", "default": 3600},
        "memory_mib": {"type": "int", "default": 1024},
        "check_seconds": {"type": "float", "default": 300},
        "databases": {"type": "list", "elements": "str", "default": []},
        "jobs": {"type": "int", "default": 2},
        "baseline": {"type": "dict"},
        "tolerance_percent": {"type": "float", "default": 20},
    }
)
PRESSURE = TARGET + Spec({"since": {"type": "str"}})
STATEMENTS = TARGET + Spec({"top": {"type": "int", "default": 10}})
LOAD = STATEMENTS + Spec(
    {
        "databases": {"type": "list", "elements": "str", "default": []},
        "large_table_mib": {"type": "float", "default": 10},
    }
)

# What only one runtime can use: given to another it is a mistake, and a silent one would cost minutes at night.
_ONLY = {
    "project": ("compose",),
    "docker_host": ("compose",),
    "data_directory": ("compose", "pg_ctl"),
    "bin_directory": ("compose", "pg_ctl"),
    "os_user": ("pg_ctl",),
    "log_file": ("pg_ctl",),
    "login_unix_socket": ("compose", "pg_ctl"),
}
_POSITIVE = tuple(THRESHOLDS.options) + ("connect_timeout_seconds", "log_lines", "deadline_seconds")


def check_target(options: Dict[str, Any]) -> None:
    """Raise OptionsError for options that an argument spec cannot refuse: contradictions and impossible numbers."""
    runtime = options["runtime"]
    problems: List[str] = []
    for name, runtimes in _ONLY.items():
        if options.get(name) is not None and runtime not in runtimes:
            problems.append("%s has no meaning with runtime=%s (only with %s)" % (name, runtime, " or ".join(runtimes)))
    if options.get("ca_cert") and options["ssl_mode"] in ("disable", "allow", "prefer"):
        problems.append("ca_cert is only checked with ssl_mode=require, verify-ca or verify-full")
    for name in _POSITIVE:
        least = 0 if name in THRESHOLDS.options else 1
        if options.get(name) is not None and options[name] < least:
            problems.append("%s is %s: it must be at least %d" % (name, options[name], least))
    if options.get("connection_percent", 0) > 100:
        problems.append("connection_percent is %s: it must be at most 100" % options["connection_percent"])
    for client in options.get("clients") or []:
        for name, number in (client.get("pool") or {}).items():
            if number is not None and number < 0:
                problems.append("pool.%s of client %s is %s: it must be at least 0" % (name, client["service"], number))
    services = [client["service"] for client in options.get("clients") or []]
    twice = sorted({service for service in services if services.count(service) > 1})
    if twice and runtime == "compose":
        problems.append("clients names %s twice" % ", ".join(twice))
    if problems:
        raise OptionsError("Contradictory options: %s" % "; ".join(problems), "Correct them in oncall_target.")


def thresholds(options: Dict[str, Any]) -> Thresholds:
    return Thresholds(**{name: options[name] for name in THRESHOLDS.options})


def hide(options: Dict[str, Any], spec: Dict[str, Dict[str, Any]]) -> Dict[str, Any]:
    """A copy of ``options`` in which no secret is left, to be shown as the task's arguments."""
    shown: Dict[str, Any] = {}
    for name, value in options.items():
        rule = spec.get(name, {})
        if value is not None and rule.get("no_log"):
            shown[name] = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
        elif isinstance(value, dict) and "options" in rule:
            shown[name] = hide(value, rule["options"])
        elif isinstance(value, list) and "options" in rule:
            shown[name] = [hide(item, rule["options"]) for item in value]
        elif isinstance(value, dict):  # names of its own, such as those of a server's settings
            shown[name] = {
                key: setting(str(key), each) if isinstance(each, str) else each for key, each in value.items()
            }
        else:
            shown[name] = value
    return shown


def nets(secrets: Set[str], options: Dict[str, Any], spec: Dict[str, Dict[str, Any]]) -> Tuple[Set[str], Set[str]]:
    """``secrets`` as the last net below a result takes them out: (wherever they occur, where they are whole words).

    No result holds a secret in the first place. A password such as ``hop`` is part of the database's name ``shop``:
    replaced everywhere it would make the verdict unreadable. One such as ``postgres`` *is* a role, a service and half
    of this collection's name, given in plain words; taken out it would be told by what is missing. It is in neither.
    """
    said = set(_leaves(hide(options, spec))) | PROSE
    words = said | {word for text in said for word in re.findall(r"\w+", text)}
    told = {secret for secret in secrets if not is_common(secret) and secret not in words}
    partly = {secret for secret in told if any(secret in text for text in said)}
    return told - partly, partly


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield str(value)
