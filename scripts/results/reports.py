# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks' own tasks return."""

from __future__ import annotations

from typing import Any, Optional, TypedDict

from . import looking


class Procedure(TypedDict):
    # `done`, `unchanged`, `planned` in check mode, `refused` when nothing was touched, or `failed`; the values of the
    # module that did it are returned, too
    outcome: str
    seconds: float  # how long it took


class Look(TypedDict):
    verdict: looking.Verdict  # the answer, as triage has it: its cause is the grade
    path: list[looking.Step]  # what was checked, in this order
    findings: list[looking.Finding]  # what else was noticed


class Soaked(TypedDict):
    """The samples in a few numbers, each null where nothing was read."""

    count: int  # how many were taken after the change
    failed_probes: int  # in how many of them the server did not answer
    memory_percent_before: Optional[float]  # memory in use before, in percent of what it may use
    memory_percent_most: Optional[float]  # the most that it was
    swap_bytes_before: Optional[int]  # swap space in use before
    swap_bytes_most: Optional[int]  # the most that it was
    probe_ms_before: Optional[float]  # how long a new connection took before
    probe_ms_median: Optional[float]  # the median of those after it
    connections_before: Optional[int]  # client connections before
    connections_most: Optional[int]  # the most that they were
    errors: Optional[int]  # messages of severity PANIC, FATAL or ERROR


class Soak(TypedDict):
    msg: str  # the outcome in one line
    worse: list[str]  # why the server is worse than before, a line each; empty when it is not
    samples: Optional[Soaked]  # what was seen; null in check mode
    not_covered: list[str]  # what no sample could read, each with the reason; empty when nothing is missing
    seconds: float  # how long it was watched


class Earlier(TypedDict):
    code: str  # the earlier verdict's code
    cause: Optional[str]  # its cause; null when it had none
    severity: str  # its severity


class ReportedHost(TypedDict):
    host: str  # its name in the inventory
    status: str  # its state: `emergency`, `critical`, `unreachable`, `failed` (not checked), `warning` or `ok`
    code: Optional[str]  # the verdict's code; null where the host was not checked
    cause: Optional[str]  # the verdict's cause; null when there is none
    summary: str  # the verdict in words, or why there is none
    before: Optional[Earlier]  # the earlier verdict; null when there is none
    notes: list[str]  # what was done in between


class Fleet(TypedDict):
    worst: Optional[str]  # the state of the host that is worst off; null without hosts
    counts: dict[str, int]  # how many hosts are in each state
    hosts: list[ReportedHost]  # one entry for each host, worst first


class Report(TypedDict):
    summary: Fleet  # the fleet at a glance
    report: Optional[str]  # path of the page; null without `report_dir`


class Evidence(TypedDict):
    msg: str  # a line for the report; empty when there was nothing to save
    # the file; of several hosts, the pattern that matches all of their files; with `report_dir`, the page; null when
    # nothing was written
    path: Optional[str]


class RecordedIncident(TypedDict):
    id: str  # when it was opened, its host, and the code of its verdict
    host: str  # its host
    code: str  # the code of the verdict that opened it
    open: bool  # whether it is still open


class ClosedHost(TypedDict):
    closed: bool  # whether its incidents were closed
    notes: list[str]  # lines for the report: what is open, what was accepted
    failure: str  # why they were not closed; empty where they were
    incidents: list[RecordedIncident]  # its incidents


class Incident(TypedDict):
    hosts: dict[str, ClosedHost]  # with `state=closed`, for each host with an open incident, how it went; else empty
    # a line for the report, which names the post-mortems or says why nothing could be recorded; empty without an
    # incident
    msg: str
    incidents: list[RecordedIncident]  # those of the play's hosts that were written to or are open


class Silence(TypedDict):
    host: str  # a silenced host that has the channel
    channel: str  # the channel's name in C(oncall_notify)
    id: str  # what Alertmanager calls it


class Notification(TypedDict):
    msg: str  # what could not be sent or kept, one line each; empty when all went well
    # with `state=silenced`, what to hand to `state=lifted`; else empty
    silences: list[Silence]


class Rollout(TypedDict):
    # what becomes of each host, by its name: `outcome` and `why`, `rows` of settings, `notes` for the report,
    # `failure` where the run is to fail for it
    hosts: dict[str, Any]
    order: list[str]  # with `planned`: the hosts that are changed, in this order
    batches: list[int]  # with `planned`: how many of them each batch has
    any: bool  # with `begun`: whether any host of the batch is changed
    worse: dict[str, list[str]]  # with `judged`: why hosts are worse than before, by host
    back: dict[str, Any]  # with `judged`: how each host would get its former values back


class Snapshots(TypedDict):
    msg: str  # all of the lines
    lines: list[str]  # one for each that is kept: its time, what it was made before, how that ended, what was changed
    wanted: dict[str, Any]  # of the one that was asked for: `settings` and `roles` to be put back; empty without
