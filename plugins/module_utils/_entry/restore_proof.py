# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``restore_proof``: a backup is as good as its restore, so it is restored, checked, and thrown away."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple, cast

from .._core import once  # noqa: F401  # pylint: disable=unused-import  # first: what follows is compiled once
from .._core.deadline import Deadline
from .._core.errors import OptionsError, RefusedError
from .._core.times import utc
from .._gather.integrity.gather import Wanted, gather, nothing, silent
from .._gather.runtime.compose import containers
from .._gather.sql.integrity import DATABASES, IDENTIFIER
from .._judge.integrity.grade import graded, items_of
from .._procedures.restore_proof.container import SERVICE, sweep, throwaway
from .._procedures.restore_proof.plan import Backup, Outcome, Place, item
from .._procedures.restore_proof.run import Restore, examine, mounted
from .._procedures.restore_proof.scripts import DATA
from .baseline import compare, not_compared
from .target import SAY
from .work import opened

if TYPE_CHECKING:
    from .._core.spec import Spec
    from .._gather.runtime.compose.runtime import ComposeRuntime
    from .._gather.target import Target
    from .._model.baseline import Compared
    from .._model.integrity import IntegrityFacts

# Of the container, or of its settings, and not of what was restored; of a dump all that is the cluster's own as well.
_OF_THE_COPY = ("log", "archiving", "slots", "backups")
_OF_ITS_CLUSTER = (*_OF_THE_COPY, "control_file", "checksums", "leftovers")
_COMPARING = 0.4
_SEQUENCE_PERCENT = 80.0


@dataclass(frozen=True)
class RestoreProof:
    """See ``Work``."""

    spec: Spec

    def do(self, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        _check(options)
        started, say = time.monotonic(), options.get(SAY) or silent
        deadline = Deadline(options["restore_seconds"])
        say("examining the backup")
        with opened(options) as target:
            runtime = cast("ComposeRuntime", target.runtime)
            view = runtime.view(deadline)
            if view.server is None:
                raise RefusedError(
                    "Service %s has no container: nothing says which image to restore into" % runtime.service,
                    "Create it: %s compose up --no-start %s" % (view.engine.command, runtime.service),
                )
            leftovers = [] if check_mode else sweep(view.engine, deadline)
            backup, place = examine(runtime, view.server, options["backup"], options["databases"], deadline)
            about = backup.facts(view.engine.now(), utc(backup.modified))
            outcome: Optional[Outcome] = None
            name: Optional[str] = None
            facts = nothing(not_compared("not restored in check mode"))
            known: Mapping[str, Any] = _unseen(target, place)
            elapsed_ms: Dict[str, float] = {}
            items = []
            if not check_mode:
                programs = runtime.session_settings()["bin_directory"] or ""
                roles = _roles(options, containers.environment(view.server))
                memory = options["memory_mib"] * 1024 * 1024
                whole = Deadline(options["restore_seconds"] + options["check_seconds"] * 1.5)
                user, image = "%s:%s" % (place.uid, place.gid), view.server["Image"]
                with throwaway(view.engine, image, mounted(options["backup"]), user, memory, whole) as made:
                    name = made.name
                    say("restoring")
                    restore = Restore(made, backup, place, programs, roles)
                    outcome = restore.carry_out(deadline)
                    if outcome.failed or outcome.hindered:
                        facts = nothing(not_compared("it was not restored"))
                    else:
                        proof = dict(options, **_proof(options, name, restore.owner, programs, backup))
                        with opened(proof) as copy:
                            known, facts, elapsed_ms = _checked(copy, proof, backup, restore)
                            items = items_of(facts, copy.thresholds, 0)
                    say("removing the container")
        without = _OF_THE_COPY if backup.physical else _OF_ITS_CLUSTER
        items = [item(about, outcome), *(each for each in items if each.item not in without)]
        total = round((time.monotonic() - started) * 1000, 1)
        restored = {"restore": outcome.seconds * 1000} if outcome is not None else {}
        return {
            "changed": False,
            "target": {**known["target"], "host": target.host},
            **graded(items, facts["errors"], {}),
            "backup": about,
            "container": name,
            "leftovers": leftovers,
            "integrity": facts,
            "elapsed_ms": {**restored, **elapsed_ms, "total": total},
        }


def _check(options: Mapping[str, Any]) -> None:
    if options["runtime"] != "compose":
        raise OptionsError(
            "restore_proof needs a container engine, and runtime is %s" % options["runtime"],
            "Restore the backup beside a server of its own, and run integrity_check there.",
        )
    for name in ("restore_seconds", "check_seconds"):
        if options[name] <= 0:
            raise OptionsError("%s must be above 0" % name)
    if options["jobs"] < 1:
        raise OptionsError("jobs must be at least 1")
    if options["memory_mib"] < 256:
        raise OptionsError("memory_mib must be at least 256")
    if options["tolerance_percent"] < 0:
        raise OptionsError("tolerance_percent must be at least 0")


def _roles(options: Mapping[str, Any], environment: Mapping[str, str]) -> List[str]:
    """Who may be the first role of the cluster; the first of them is that of a new one."""
    given = (environment.get("POSTGRES_USER"), "postgres", options["login_user"])
    return list(dict.fromkeys(each for each in given if each))


def _proof(options: Mapping[str, Any], name: str, owner: str, programs: str, backup: Backup) -> Dict[str, Any]:
    """The options of the copy, where they differ from the server's."""
    without = ("login_host", "login_port", "login_password", "login_unix_socket", "ca_cert")
    return {
        **dict.fromkeys(without),
        "project": name,
        "service": SERVICE,
        "data_directory": DATA,
        "bin_directory": programs or None,
        "login_user": owner,
        "login_db": options["login_db"] if backup.physical else None,
        "ssl_mode": "prefer",
        "clients": [],
    }


def _checked(
    copy: Target, options: Mapping[str, Any], backup: Backup, restore: Restore
) -> Tuple[Mapping[str, Any], IntegrityFacts, Dict[str, float]]:
    started, say = time.monotonic(), options.get(SAY) or silent
    seconds = float(options["check_seconds"])
    say("comparing with the baseline")
    within = Deadline(seconds)
    databases = list(options["databases"]) or [each for each in (backup.database,) if each]
    there = [each["name"] for each in copy.session.query(DATABASES, within)]
    databases = [each for each in databases if each in there]
    identifier = str(copy.session.query(IDENTIFIER, within)[0]["identifier"])
    compared = _compare(copy, options, databases, None if backup.physical else identifier, seconds * _COMPARING)
    restore.add_amcheck(within)  # not before: it is in no baseline
    took = time.monotonic() - started
    wanted = Wanted(databases, max(1.0, seconds - took), options["jobs"], _SEQUENCE_PERCENT, None, say)
    known, facts, elapsed_ms = gather(copy, wanted, compared)
    facts["errors"].pop("server.log", None)  # the engine keeps none of it
    for one in facts["databases"] if not backup.physical else ():
        one["short_files"] = []  # a dump may bring the counts of the server that it was made of
    return known, facts, {"baseline": round(took * 1000, 1), **elapsed_ms}


def _compare(
    copy: Target, options: Mapping[str, Any], databases: List[str], identifier: Optional[str], seconds: float
) -> Compared:
    """``identifier``: of a dump's cluster, which is a new one. What it takes on the disk says nothing then."""
    before = options["baseline"]
    if before and identifier and before.get("system_identifier"):
        before = dict(before, system_identifier=identifier)
    compared = compare(copy, before, dict(options, databases=databases), seconds)
    if identifier:
        compared["changes"] = [each for each in compared["changes"] if each["kind"] != "bytes"]
        compared["sizes"] = []
    return compared


def _unseen(target: Target, place: Place) -> Mapping[str, Any]:
    return {
        "target": {"host": target.host, "runtime": target.runtime.name, "version": place.program, "in_recovery": None}
    }
