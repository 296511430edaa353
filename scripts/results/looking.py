# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that only read return."""

from __future__ import annotations

from typing import Any, Optional, TypedDict

from ansible_collections.oncall.postgresql.plugins.module_utils._model import baseline as kept
from ansible_collections.oncall.postgresql.plugins.module_utils._model import capacity as has
from ansible_collections.oncall.postgresql.plugins.module_utils._model import evidence as before
from ansible_collections.oncall.postgresql.plugins.module_utils._model import facts as model
from ansible_collections.oncall.postgresql.plugins.module_utils._model import integrity as whole
from ansible_collections.oncall.postgresql.plugins.module_utils._model import load as busy
from ansible_collections.oncall.postgresql.plugins.module_utils._model import pressure as pressed


class Finding(TypedDict):
    """One thing that was noticed."""

    code: str  # what was noticed
    severity: str  # `ok`, `warning`, `critical` or `emergency`
    summary: str  # the same in one line
    evidence: list[str]  # the readings that prove it


class Question(TypedDict):
    """One question of the decision tree, asked alone."""

    target: model.TargetFacts  # the server that was checked
    question: str  # the question that was asked
    answer: str  # `yes`, `no`, or `not_asked` when it could not be answered
    detail: str  # the answer in one line
    reason: Optional[str]  # why the question could not be answered; null when it was
    code: Optional[str]  # the verdict's code; null unless the answer is `no`
    cause: Optional[str]  # the verdict's cause; null unless the answer is `no`
    evidence: list[str]  # the readings that prove the answer `no`, the decisive one first
    findings: list[Finding]  # everything else that was noticed
    errors: dict[str, str]  # the steps that failed, and why
    elapsed_ms: dict[str, float]  # milliseconds that each step took, and the total


class ServerInfo(Question):
    server: Optional[model.ServerFacts]  # the server's process, storage and log


class ReadinessInfo(Question):
    wire: list[model.WireAnswer]  # what each of the server's own addresses answered
    configured: Optional[model.Configured]  # the configuration the server runs with; null when SQL did not get through
    started_at: Optional[str]  # when the server started; null when SQL did not get through
    listening: Optional[list[model.Listening]]  # the TCP sockets that listen where the server lives
    lock_file: Optional[model.LockFile]  # what `postmaster.pid` says; null when there is no such file


class NetworkInfo(Question):
    clients: list[model.ClientFacts]  # each client from its own place
    networks: list[model.Network]  # the networks of the server, its addresses and aliases there


class ConnectionsInfo(Question):
    # the sessions of clients, and the slots there are for them; null when SQL did not get through
    connections: Optional[model.Connections]
    limits: Optional[model.Limits]  # roles and databases with a limit of their own; null when SQL did not get through
    processes: list[model.Process]  # the server's processes; their titles say who holds the slots when SQL cannot


class LoginInfo(Question):
    clients: list[model.ClientFacts]  # each client from its own place
    roles: Optional[list[model.Role]]  # the roles that the clients log in as; null when SQL did not get through
    databases: Optional[list[model.Database]]  # the databases they ask for; null when SQL did not get through
    hba_rules: Optional[list[model.HbaRule]]  # the rules of `pg_hba.conf`; null without the right to read them


class ActivityInfo(Question):
    activity: Optional[model.Activity]  # what the sessions do and wait for; null when SQL did not get through


class Remedy(TypedDict):
    """The playbook that fixes it."""

    playbook: str  # its fully qualified name
    extra_vars: dict[str, Any]  # its variables
    command: str  # the command to paste


class Escalation(TypedDict):
    """Who has to be informed."""

    to: str  # `none`, `dba` or `emergency`
    after_minutes: Optional[int]  # minutes from now, 0 is immediately; null when nobody has to be informed
    reason: str  # why
    or_if: Optional[str]  # what makes it due immediately; null when nothing does


class Verdict(TypedDict):
    """The answer."""

    code: str  # what is wrong; `healthy` when nothing is
    cause: Optional[str]  # why it is wrong; null when nothing is, or the cause is unknown
    question: Optional[str]  # the question that was answered with no; null when none was
    severity: str  # `ok`, `warning`, `critical` or `emergency`
    summary: str  # the verdict in one line
    evidence: list[str]  # the readings that prove it, the decisive one first
    remedy: Optional[Remedy]  # the playbook that fixes it; null when there is no safe one
    escalation: Escalation  # who has to be informed


class Step(TypedDict):
    """A question on the way to the verdict."""

    question: str  # the question
    answer: str  # `yes`, `no` or `not_asked`
    detail: str  # the answer in one line
    reason: Optional[str]  # why the question was not asked; null when it was


class Triage(TypedDict):
    """All questions, and one verdict."""

    schema: int  # version of this result's shape
    target: model.TargetFacts  # the server that was checked
    verdict: Verdict  # the answer
    path: list[Step]  # the questions in the order in which they are asked
    findings: list[Finding]  # everything that was noticed, the worst first
    # all that was read; docs/facts.md in the collection's repository describes every field; null with `compact=true`
    facts: Optional[model.Facts]
    facts_json: Optional[str]  # with `compact=true`: the facts as one JSON text; null otherwise
    elapsed_ms: dict[str, float]  # milliseconds that each step took, and the total


class IntegrityCheck(TypedDict):
    # `control_file`, `checksums`, `log`, `leftovers`, `collations`, `amcheck`, `schema`, `sequences`, `age`,
    # `archiving`, `slots`, `backups` or `baseline`
    check: str
    grade: Optional[str]  # `go`, `caution` or `no_go`; null when nothing of it could be looked at
    summary: str  # the same in one line
    evidence: list[str]  # the readings that prove it
    not_covered: list[str]  # what of it was not looked at, and why
    remedy: Optional[Remedy]  # what rebuilds the indexes, as in a verdict; null where that is not the answer


class IntegrityInfo(TypedDict):
    target: model.TargetFacts  # the server that was checked
    grade: str  # the worst grade of all checks: `go`, `caution` or `no_go`
    summary: str  # the answer in one line
    checks: list[IntegrityCheck]  # what was checked
    not_covered: list[str]  # all that was not looked at, and why
    integrity: whole.IntegrityFacts  # what was read
    elapsed_ms: dict[str, float]  # milliseconds that each step took, and the total


class BackupFile(TypedDict):
    path: str  # as it was given
    kind: str  # `plain`, `custom`, `tar` or `directory` for a dump, `base_directory` or `base_tar` for a base backup
    compressed: bool  # whether it is packed by gzip
    bytes: int  # how much room it takes
    modified_at: Optional[str]  # when it was last written to
    age_seconds: Optional[float]  # how long ago that was, by the clock of the engine's host
    version: Optional[str]  # the version of the server that it was made of; null where it does not say
    database: Optional[str]  # the database that a dump is of; null where it is of a whole cluster


class ProofCheck(TypedDict):
    # `restore`, `control_file`, `checksums`, `leftovers`, `collations`, `amcheck`, `schema`, `sequences`, `age` or
    # `baseline`
    check: str
    grade: Optional[str]  # `go`, `caution` or `no_go`; null when nothing of it could be looked at
    summary: str  # the same in one line
    evidence: list[str]  # the readings that prove it
    not_covered: list[str]  # what of it was not looked at, and why
    remedy: Optional[Remedy]  # always null: a backup is not repaired


class RestoreProof(TypedDict):
    target: model.TargetFacts  # the restored server; the host is that of the server whose backup it is
    grade: str  # the worst grade of all checks: `go`, `caution` or `no_go`
    summary: str  # the answer in one line
    checks: list[ProofCheck]  # what was checked, the restore first
    not_covered: list[str]  # all that was not looked at, and why
    backup: BackupFile  # what was restored
    container: Optional[str]  # the throw-away container's name, which is removed; null in check mode
    leftovers: list[str]  # containers of earlier runs that were killed, removed by this one
    integrity: whole.IntegrityFacts  # what was read in the restored server
    elapsed_ms: dict[str, float]  # milliseconds that each step took, the restore first, and the total


class StatementsInfo(TypedDict):
    target: model.TargetFacts  # the server that was checked
    statements: Optional[busy.StatementsFacts]  # what pg_stat_statements counts; null when it cannot be read
    reason: Optional[str]  # why it cannot be read, and what to do; null when it was
    not_covered: list[str]  # what could not be seen, and why
    errors: dict[str, str]  # the steps that failed, and why
    elapsed_ms: dict[str, float]  # milliseconds that each step took, and the total


class LoadInfo(TypedDict):
    target: model.TargetFacts  # the server that was checked
    load: busy.LoadFacts  # where its time goes
    not_covered: list[str]  # what could not be seen, and why
    errors: dict[str, str]  # the steps that failed, and why
    elapsed_ms: dict[str, float]  # milliseconds that each step took, and the total


class CapacityInfo(TypedDict):
    target: model.TargetFacts  # the server that was checked
    capacity: has.Capacity  # what it has to work with
    not_covered: list[str]  # what could not be seen, and why
    errors: dict[str, str]  # the steps that failed, and why
    elapsed_ms: dict[str, float]  # milliseconds that each step took, and the total


class PressureInfo(TypedDict):
    target: model.TargetFacts  # the server that was checked
    pressure: pressed.Sample  # how hard it is pressed
    not_covered: list[str]  # what could not be seen, and why
    elapsed_ms: dict[str, float]  # milliseconds that it took


class EvidenceInfo(TypedDict):
    target: model.TargetFacts  # the server that was looked at
    evidence: Optional[before.EvidenceFacts]  # what was read, every text masked; null with `compact=true`
    # with `compact=true`, the same as JSON, compressed by gzip, in base64; null otherwise
    evidence_packed: Optional[str]
    not_covered: list[str]  # what was not read, and why
    elapsed_ms: dict[str, float]  # milliseconds that each step took, and the total


class BaselineKept(TypedDict):
    target: model.TargetFacts  # the server
    msg: str  # what was written, in one line
    path: str  # the file that holds this; in check mode, the one that would be written
    previous: Optional[str]  # the last file before; null where there was none that can be read
    changes: list[kept.Change]  # what is different from that one
    removed: list[str]  # older files that were removed
    baseline: kept.Baseline  # what was read
    not_covered: list[str]  # what was not read, and why
    elapsed_ms: dict[str, float]  # milliseconds that it took
