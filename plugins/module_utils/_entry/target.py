# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options in, a Target out: the runtime and the session that they describe. Nothing is asked of the server yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List

from .._gather.runtime.base import ClientOption, Runtime
from .._gather.target import Target
from .options import check_target, thresholds

_WHERE = ("login_host", "login_unix_socket", "login_port")
SAY = "_say"  # beside them, too: what is to be told how far a long look is; missing or None on a host
PLACE = "_place"  # beside the validated options: what the machine that this runs on is called, see Target.place

if TYPE_CHECKING:
    from .._gather.session.base import Session


def open_target(options: Dict[str, Any], host: str) -> Target:
    """Build the target that ``options`` (validated by ``_options.TARGET``) describe.

    Raises OptionsError for contradictions and missing libraries, TargetError where the engine cannot be reached.
    """
    check_target(options)
    clients = _client_options(options)
    runtime = _open_runtime(options, clients)
    return Target(
        host,
        runtime,
        _open_session(options, runtime),
        thresholds(options),
        options["deadline_seconds"],
        options["connect_timeout_seconds"],
        tuple(clients),
        options.get(PLACE) or "this host",
        options["query_text"],
        tuple(options["playbook_options"] or ()),
    )


def _client_options(options: Dict[str, Any]) -> List[ClientOption]:
    return [
        ClientOption(
            service=client["service"],
            health_url=client.get("health_url"),
            application_name=client.get("application_name"),
            login={key: value for key, value in (client.get("login") or {}).items() if value is not None},
            pool={key: value for key, value in (client.get("pool") or {}).items() if value is not None},
        )
        for client in options["clients"] or []
    ]


def _open_runtime(options: Dict[str, Any], clients: List[ClientOption]) -> Runtime:
    # Imports are lazy: a target pays for what it uses. A systemd runtime takes its place here.

    if options["runtime"] == "compose":
        from .._gather.runtime.compose.runtime import ComposeRuntime

        return ComposeRuntime(
            options["project"],
            options["service"],
            options["docker_host"],
            clients,
            options["log_lines"],
            options["login_user"],
            options["login_db"],
            options["data_directory"],
            options["bin_directory"],
            options["connect_timeout_seconds"],
        )
    if options["runtime"] == "pg_ctl":
        from .._gather.runtime.pg_ctl.runtime import PgCtlRuntime

        return PgCtlRuntime(
            options["data_directory"],
            options["bin_directory"],
            options["os_user"],
            clients,
            options["log_file"],
            options["log_lines"],
            _login(options),
            options["ca_cert"],
        )
    from .._gather.runtime.remote import RemoteRuntime

    return RemoteRuntime(
        options["login_host"],
        options["login_port"],
        clients,
        _login(options),
        options["ca_cert"],
        options["connect_timeout_seconds"],
    )


def _open_session(options: Dict[str, Any], runtime: Runtime) -> Session:
    from .._gather.session.proved import Proof

    where = ", ".join("%s %s" % (name, options[name]) for name in _WHERE if options[name] is not None)
    if options["login_host"]:
        from .._gather.session.libpq import LibpqSession

        # remote: whoever answers there is meant
        return LibpqSession(
            options["login_host"],
            options["login_port"],
            options["login_user"],
            options["login_password"],
            options["login_db"],
            options["ssl_mode"],
            options["ca_cert"],
            connect_timeout_seconds=options["connect_timeout_seconds"],
            proof=None if options["runtime"] == "remote" else Proof(runtime, where, lasting=True),
        )
    from .._gather.session.psql import PsqlSession

    given = {"socket_directory": options["login_unix_socket"], "port": options["login_port"]}
    settings = dict(runtime.session_settings(), password=options["login_password"])
    settings.update({name: value for name, value in given.items() if value is not None})
    # Where postmaster.pid says where to go, and its process is alive, nobody else can be there.
    return PsqlSession(
        runtime.run_beside, settings, None if set(given.values()) == {None} else Proof(runtime, where, lasting=False)
    )


def _login(options: Dict[str, Any]) -> Dict[str, Any]:
    given = {
        "host": options["login_host"],
        "port": options["login_port"],
        "user": options["login_user"],
        "password": options["login_password"],
        "database": options["login_db"],
        "ssl_mode": options["ssl_mode"],
        "unix_socket": options["login_unix_socket"],
    }
    return {name: value for name, value in given.items() if value is not None}
