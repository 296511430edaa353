# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout's decisions: windows, batches, what comes first, what is worse than before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._model.standby import OF_STANDBYS
from ansible_collections.oncall.postgresql.plugins.plugin_utils._rollout import (
    cluster,
    judge,
    outcomes,
    plan,
    snapshots,
    verbs,
)
from ansible_collections.oncall.postgresql.plugins.plugin_utils._rollout.fleet import Member, arrange, batches
from ansible_collections.oncall.postgresql.plugins.plugin_utils._rollout.window import windows

BERLIN = ZoneInfo("Europe/Berlin")
RUNNING = dict.fromkeys(OF_STANDBYS, 100)


@pytest.mark.parametrize(
    ("window", "at", "open_"),
    [
        ("Sun 02:00-04:00", "2026-11-29T02:00", True),
        ("Sun 02:00-04:00", "2026-11-29T03:59", True),
        ("Sun 02:00-04:00", "2026-11-29T04:00", False),
        ("Sun 02:00-04:00", "2026-11-30T03:00", False),
        ("22:00-04:00", "2026-11-30T03:00", True),
        ("22:00-04:00", "2026-11-30T21:59", False),
        ("Sun 22:00-04:00", "2026-11-30T03:59", True),  # it began on Sunday
        ("Sun 22:00-04:00", "2026-11-29T03:59", False),
        ("Fri-Mon 00:00-24:00", "2026-11-30T12:00", True),
        ("Fri-Mon 00:00-24:00", "2026-12-01T12:00", False),
        ("Sat, sunday 1:00 - 3:00", "2026-11-29T01:30", True),
        (["Mon 01:00-02:00", "Sun 02:00-04:00"], "2026-11-29T02:30", True),
    ],
)
def test_a_window(window: Any, at: str, open_: bool) -> None:
    given = [window] if isinstance(window, str) else window
    here = datetime.fromisoformat(at).replace(tzinfo=BERLIN)
    found = windows([each + " Europe/Berlin" for each in given])
    assert any(each.ends(here.astimezone(UTC)) for each in found) is open_


@pytest.mark.parametrize(
    "text",
    [
        "Sun",
        "02:00",
        "02:00-25:00",
        "Son 02:00-03:00",
        "Sun-Mon-Tue 1:00-2:00",
        "1:75-2:00",
        "1:00-2:00 Mars/Base",
        "2:00-02:00",
        "",
    ],
)
def test_no_window(text: str) -> None:
    with pytest.raises(ValueError, match=r"window|time|day"):
        windows(text)


def member(
    host: str, standby: bool = False, identifier: str | None = "7", strangers: Any = (), **wanted: int
) -> Member:
    return Member(host, identifier, standby, RUNNING, wanted, strangers)


def test_raised_on_standbys_first() -> None:
    order = arrange(
        [
            member("p", max_connections=200),
            member("s1", True, max_connections=200),
            member("s2", True, max_connections=300),
        ]
    )
    assert order.hosts == ["s1", "s2", "p"] and order.after == {"p": ["s1", "s2"]} and not order.left


def test_lowered_on_the_primary_first() -> None:
    order = arrange([member("s", True, max_connections=50), member("p", max_connections=50)])
    assert order.hosts == ["p", "s"] and order.after == {"s": ["p"]} and not order.left


def test_up_and_down_at_once_takes_two_runs() -> None:
    order = arrange(
        [
            member("p", max_connections=200, max_wal_senders=50),
            member("s", True, max_connections=200, max_wal_senders=50),
        ]
    )
    assert order.hosts == ["s", "p"] and set(order.left["s"]) == {"max_wal_senders"} and "p" not in order.left


@pytest.mark.parametrize(
    ("members", "left"),
    [
        ([member("p", max_connections=200), member("s", True)], {"p"}),  # the standby would have less
        ([member("p"), member("s", True, max_connections=50)], {"s"}),
        ([member("s", True, max_connections=50)], {"s"}),  # nobody knows what its primary has
        ([member("s", True, max_connections=150)], set()),
        ([member("p", strangers=["walreceiver"], max_connections=200)], {"p"}),
        ([member("p", strangers=["walreceiver"], max_connections=50)], set()),
        ([member("a", max_connections=200), member("b", max_connections=50)], set()),  # two copies, no standby
        ([member("p", identifier=None, max_connections=200), member("s", True, identifier=None)], set()),
    ],
)
def test_what_a_standby_could_not_replay_is_left(members: list[Member], left: set[str]) -> None:
    assert set(arrange(members).left) == left


def test_batches() -> None:
    hosts = ["h%02d" % number for number in range(30)]

    def sizes(*given: Any) -> list[int]:
        return [len(each) for each in batches(*given)]

    assert sizes(hosts, {}, [1, "10%", "100%"]) == [1, 3, 26]
    assert sizes(hosts, {}, "1, 10%") == [1] + [3] * 9 + [2]
    assert sizes(hosts[:1], {}, "5") == [1] and batches([], {}, "5") == []
    assert batches(["s", "p", "x"], {"p": ["s"]}, "100%") == [["s", "x"], ["p"]]
    with pytest.raises(ValueError, match="oncall_serial"):
        batches(hosts, {}, "0")


def test_a_fleet_of_pairs_is_not_batches_of_two() -> None:
    pairs = range(500)
    members = [member("%s%d" % (kind, n), kind == "s", str(n), max_connections=200) for n in pairs for kind in "ps"]
    order = arrange(members)
    found = batches(order.hosts, order.after, "1,10%,100%")
    assert [len(each) for each in found] == [1, 100, 499, 400]
    place = {host: number for number, each in enumerate(found) for host in each}
    assert all(place["s%d" % n] < place["p%d" % n] for n in pairs)


HEALTHY = {"verdict": {"code": "healthy", "cause": None, "severity": "ok", "summary": "fine"}, "findings": []}
DOWN = {
    "verdict": {"code": "server_down", "cause": "unknown", "severity": "critical", "summary": "it is down"},
    "findings": [],
}
CLUSTER = {"system_identifier": "7", "in_recovery": False, "of_standbys": RUNNING}


def setting(name: str, before: str, after: str, waits: bool = False, changed: bool = True) -> dict[str, Any]:
    row = {"name": name, "before": before, "after": after, "in_use": before}
    return {**row, "changed": changed, "waits_for_restart": waits}


def seen(*settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    undo = {each["name"]: None for each in settings if each["changed"]}
    foreseen = {"settings": list(settings), "undo": undo, "cluster": CLUSTER}
    wanted = {"settings": {each["name"]: each["after"] for each in settings}, "roles": {}}
    return {"oncall_triage": HEALTHY, "oncall_wanted": wanted, "oncall_foreseen": foreseen, **more}


def test_what_is_planned_of_a_host() -> None:
    found = plan.planned(seen(setting("work_mem", "4MB", "8MB"), setting("wal_buffers", "4MB", "16MB", True)), [])
    assert found["go"] and found["outcome"] == "planned" and found["waiting"] == ["wal_buffers"]
    assert found["settings"] == {"work_mem": "8MB", "wal_buffers": "16MB"} == found["asked"]
    assert found["undo"] == {"work_mem": None, "wal_buffers": None}


def test_a_tuned_host_is_left_alone_until_it_may_restart() -> None:
    variables = seen(setting("wal_buffers", "16MB", "16MB", True, changed=False))
    assert plan.planned(variables, [])["outcome"] == "unchanged"
    kept = [{"state": "done", "settings": {"wal_buffers": "4MB"}, "roles": {}}]
    found = plan.planned(variables, kept, restarts=True)
    assert found["go"] and found["undo"] == {"wal_buffers": "4MB"}


def test_an_interrupted_one_goes_on_and_back_to_what_was_before_it() -> None:
    roles = {"shop": {"statement_timeout": None}}
    kept: list[dict[str, Any]] = [{"state": "begun", "settings": {"work_mem": "1MB"}, "roles": roles}]
    found = plan.planned(seen(setting("work_mem", "8MB", "8MB", changed=False)), kept)
    assert found["go"] and found["resumed"] and found["undo"] == {"work_mem": "1MB"}
    assert found["undo_roles"] == {"shop": {"statement_timeout": None}}
    # The report has what that run changed already.
    kept[0]["rows"] = [outcomes.table_row(name, "1MB", "8MB", "planned") for name in ("work_mem", "gone")]
    variables = seen(setting("work_mem", "8MB", "8MB", changed=False))
    found = plan.as_now(plan.planned(variables, kept), variables)
    assert [each["name"] for each in found["rows"]] == ["work_mem"] and found["rows"][0]["before"] == "1MB"
    done = judge.ended("db1", {**found, "no_restart": ""}, {}, {"oncall_triage": HEALTHY})
    assert outcomes.notes(done)[0] == "tuned: 1 setting changed; a run that came to no end had begun it"


@pytest.mark.parametrize(
    ("more", "outcome", "why"),
    [
        ({"oncall_triage": DOWN}, "skipped", "server_down"),
        ({"oncall_triage": {"unreachable": True, "msg": "no route"}}, "skipped", "no route"),
        ({"oncall_refused": "it does not fit"}, "refused", "it does not fit"),
        ({"oncall_foreseen": {"failed": True, "msg": "Settings refused: x"}}, "refused", "Settings refused"),
        ({"oncall_wanted": {"settings": {}, "system_identifier": "8", "at": "T"}}, "refused", "another cluster"),
    ],
)
def test_what_is_not_touched(more: dict[str, Any], outcome: str, why: str) -> None:
    found = plan.planned(seen(setting("work_mem", "4MB", "8MB"), **more), [])
    assert not found["go"] and found["outcome"] == outcome and why in found["why"]


def planned(**more: Any) -> dict[str, Any]:
    return {**plan.planned(seen(setting("work_mem", "4MB", "8MB")), []), "no_restart": "", **more}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, []),
        ({"oncall_applied": {"failed": True, "msg": "no"}}, ["settings not changed: no"]),
        ({"oncall_applied": {"unreachable": True, "msg": "gone"}}, ["settings not changed: gone"]),
        ({"oncall_roles_applied": {"results": [{"failed": True, "msg": "no"}]}}, ["roles not changed: no"]),
        (
            {"oncall_done": {"failed": True, "outcome": "failed", "msg": "it stays down"}},
            ["restart failed: it stays down"],
        ),
        (
            {
                "oncall_done": {
                    "failed": True,
                    "outcome": "refused",
                    "msg": "Restart refused: it would not start again: x",
                }
            },
            ["Restart refused: it would not start again: x"],
        ),
        ({"oncall_done": {"failed": True, "outcome": "refused", "msg": "Restart refused: a backup runs"}}, []),
        ({"oncall_triage": DOWN}, ["server_down / unknown: it is down"]),
        ({"oncall_shown": {"settings": [setting("work_mem", "4MB", "8MB")]}}, ["SHOW work_mem is 4MB, not 8MB"]),
        ({"oncall_soaked": {"worse": ["memory at 95 %"]}}, ["memory at 95 %"]),
        (
            {
                "oncall_triage": {
                    **HEALTHY,
                    "findings": [{"code": "pool_nearly_exhausted", "severity": "warning", "summary": "97 of 97"}],
                }
            },
            ["97 of 97"],
        ),
        (
            {
                "oncall_triage": {
                    **HEALTHY,
                    "findings": [{"code": "long_running", "severity": "warning", "summary": "x"}],
                }
            },
            [],
        ),
    ],
)
def test_what_is_worse_than_before(more: dict[str, Any], why: list[str]) -> None:
    assert judge.judged(planned(), HEALTHY, {"oncall_triage": HEALTHY, **more}) == why


def test_what_the_soak_could_not_look_at_is_told() -> None:
    soaked = {"worse": [], "not_covered": ["log: log_destination is syslog, which is not read: add stderr to it"]}
    done = judge.ended("db1", planned(), {}, {"oncall_triage": HEALTHY, "oncall_soaked": soaked})
    assert "not watched meanwhile: log: log_destination is syslog" in outcomes.notes(done)[1]


def test_a_batch_goes_back_as_a_whole() -> None:
    variables = {"oncall_triage": HEALTHY}
    worse = {"db1": ["it is down"]}
    one, other = (judge.ended(host, planned(), worse, variables) for host in ("db1", "db2"))
    assert one["outcome"] == other["outcome"] == "put_back" and one["why"] == "it is down" and "db1" in other["why"]
    assert one["rows"] == [{"name": "work_mem", "before": "8MB", "after": "4MB", "state": "put_back", "why": ""}]
    bad = judge.ended("db1", planned(), worse, {**variables, "oncall_back": {"failed": True, "msg": "no way"}})
    assert bad["outcome"] == "failed" and "NOT put back: no way" in outcomes.failure(bad)


def test_who_may_begin() -> None:
    fine, stopped = {"outcome": "tuned", "waiting": []}, {"outcome": "put_back"}
    assert judge.may_begin("p", planned(), {"oncall_triage": HEALTHY}, {"s": fine}, ["s"]) == {}
    for tuned, triage, outcome in (
        ({"x": stopped}, HEALTHY, "not_begun"),
        ({"s": {"outcome": "skipped"}}, HEALTHY, "skipped"),
        ({"s": fine}, DOWN, "skipped"),
    ):
        assert judge.may_begin("p", planned(), {"oncall_triage": triage}, tuned, ["s"])["outcome"] == outcome


def test_a_window_closes() -> None:
    (found,) = windows("Sun 22:00-04:00 Europe/Berlin")
    assert found.ends(datetime(2026, 11, 30, 3, 59, tzinfo=BERLIN)) == datetime(2026, 11, 30, 4, tzinfo=BERLIN)


@pytest.mark.parametrize(
    "found",
    [
        {"msg": "it broke"},
        {"msg": "it broke", "sqlstate": None, "refused": True},
        {"msg": "it broke", "sqlstate": None, "refused": False, "undo": {}, "pending_restart": []},
        {"msg": "it broke", "unreachable": True},
        {"msg": "All items completed", "results": [{"settings": []}, {"msg": "it broke", "sqlstate": None}]},
    ],
)
def test_a_failure_is_one_whatever_ansible_says(found: dict[str, Any]) -> None:
    """failed_when: false makes Ansible say that it is none."""
    told = {"changed": False, "failed": False, "failed_when_result": False, **found}
    for each in told.get("results", []):
        each.update(failed=False, failed_when_result=False)
    assert judge.applied({"oncall_applied": told}) == ["settings not changed: it broke"]
    assert plan.planned(seen(MORE, oncall_roles_foreseen=told), [])["outcome"] == "refused"
    bad = {"oncall_triage": HEALTHY, "oncall_back": told}
    assert "NOT put back: it broke" in judge.ended("db1", planned(), {"db1": ["x"]}, bad)["why"]


@pytest.mark.parametrize("found", [{"skipped": True}, {"undo": {}}, {"results": []}, {"results": [{"settings": []}]}])
def test_what_is_no_failure(found: dict[str, Any]) -> None:
    assert judge.applied({"oncall_applied": {"changed": False, "failed": False, **found}}) == []


def test_what_is_not_written_down_before_others_run_with_it() -> None:
    """A crash is a restart, too."""
    mine = {**plan.planned(seen(setting("max_connections", "100", "200", True), setting("jit", "on", "off")), [])}
    waits = {"s": {"outcome": "tuned", "waiting": ["max_connections"]}}
    found = cluster.not_yet({**mine, "after": ["s"]}, waits)
    assert found["settings"] == {"jit": "off"} and found["waiting"] == [] and found["go"]
    assert "s must be restarted first" in str(outcomes.notes(found))
    fast = {"s": {"outcome": "tuned", "waiting": []}}
    assert cluster.not_yet({**mine, "after": ["s"]}, fast)["settings"] == mine["settings"]


def test_a_host_of_which_all_is_left_is_not_watched_for_nothing() -> None:
    """It goes on waiting for its restart, which nobody allows now."""
    waiting = setting("wal_buffers", "16MB", "16MB", True, changed=False)
    hosts = {"p": plan.planned(seen(MORE, waiting, oncall_streams={"names": ["x"]}), [])}
    cluster.together(hosts, {"p": seen(MORE, waiting, oncall_streams={"names": ["x"]})})
    assert hosts["p"]["outcome"] == "unchanged" and not hosts["p"]["go"] and hosts["p"]["waiting"] == ["wal_buffers"]


def fleet(primary: dict[str, Any], **standbys: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """One cluster; together() as after its plan."""
    variables = {"p": primary, **standbys}
    for name in standbys:
        variables[name] = {**variables[name]}
        variables[name]["oncall_foreseen"] = {
            **variables[name]["oncall_foreseen"],
            "cluster": {**CLUSTER, "in_recovery": True},
        }
    hosts = {name: plan.planned(mine, []) for name, mine in variables.items()}
    cluster.together(hosts, variables)
    return hosts


MORE = setting("max_connections", "100", "200", True)


@pytest.mark.parametrize(
    ("primary", "standby", "left"),
    [
        ({"names": ["a"]}, {"receives": True}, False),
        ({"names": ["a", "b"]}, {"receives": True}, True),
        ({"names": ["x"]}, {"receives": False}, True),  # it replays from an archive: x is somebody else
        ({"names": ["a"]}, {"receives": True, "names": ["x"]}, True),  # x follows the standby
        ({"names": [], "away": ["gone"]}, {"receives": True}, True),
        ({"names": ["a", "sub"], "logical": 1}, {"receives": True}, False),
    ],
)
def test_who_else_follows(primary: dict[str, Any], standby: dict[str, Any], left: bool) -> None:
    hosts = fleet(seen(MORE, oncall_streams=primary), s=seen(MORE, oncall_streams=standby))
    assert ("max_connections" not in hosts["p"]["settings"]) is left and "max_connections" in hosts["s"]["settings"]


def test_a_restart_does_not_bring_into_force_what_was_left() -> None:
    """max_connections, written down by somebody, waits on the primary; a standby is not ready for it."""
    primary = seen(setting("shared_buffers", "16MB", "1GB", True), oncall_streams={"names": ["x"]})
    primary["oncall_foreseen"]["pending_restart"] = ["max_connections", "shared_buffers"]
    held = fleet(primary)["p"]
    assert held["held"] == ["max_connections"]
    assert "max_connections into force" in judge.restart({**held, "after": []}, True, True, True, {})
    alone = {**primary, "oncall_streams": {}}
    assert fleet(alone)["p"]["held"] == []


def test_back_means_that_the_server_uses_it() -> None:
    """Where it was not restarted back, it goes on with the new value, and the report says so; not where it has never
    had that: of what goes out of its file a server says that it waits for a restart, whatever it had in use."""
    mine, worse = planned(undo={"wal_buffers": None}), {"db1": ["it is slow"]}
    variables = {"oncall_triage": HEALTHY, "oncall_back": {"pending_restart": ["wal_buffers", "port"]}}
    assert judge.ended("db1", mine, worse, variables)["waiting"] == []
    for done, resumed in (({"changed": True}, False), ({}, True)):
        way = judge.way_back({**mine, "resumed": resumed, "no_restart": "no"}, {**variables, "oncall_done": done})
        variables["oncall_way"] = {"back": {"db1": way}}
    found = judge.ended("db1", mine, worse, variables)
    assert found["waiting"] == ["wal_buffers"] and "in use with the new value" in outcomes.notes(found)[1]
    again = {**variables, "oncall_back_restarted": {"changed": True, "outcome": "done"}}
    assert judge.ended("db1", mine, worse, again)["waiting"] == []
    crashed = {**variables, "oncall_back_restarted": {"failed": True, "msg": "it stays down"}}
    assert "NOT put back: restart: it stays down" in judge.ended("db1", mine, worse, crashed)["why"]
    # One that an interrupted run has restarted, or whose connection was lost meanwhile, is restarted again.
    for done, resumed in (({"unreachable": True}, False), ({}, True)):
        way = judge.way_back({**mine, "resumed": resumed}, {"oncall_triage": HEALTHY, "oncall_done": done})
        assert way["restart"] is True
    assert not judge.way_back({**mine, "resumed": True, "no_restart": "no"}, {"oncall_triage": HEALTHY})["restart"]


def test_when_there_is_a_restart() -> None:
    waits = {"s": {"outcome": "tuned", "waiting": ["max_connections"]}}
    alone, primary = planned(after=[]), planned(after=["s"])
    assert judge.restart(alone, True, False, True, {}) == "" == judge.restart(alone, True, True, False, {})
    assert "oncall_restart" in judge.restart(alone, False, True, True, {})
    assert "oncall_window" in judge.restart(alone, True, False, False, {})
    assert "s must be restarted first" in judge.restart(primary, True, True, False, waits)


def test_a_snapshot_is_a_point_in_time() -> None:
    def kept(at: str, **settings: Any) -> dict[str, Any]:
        return {"at": at, "system_identifier": "7", "settings": settings, "roles": {}}

    every = [kept("1", work_mem=None), kept("2", work_mem="8MB", jit="on"), kept("3", geqo="on")]
    found = snapshots.before(every, every[0])
    assert found["settings"] == {"work_mem": None, "jit": "on", "geqo": "on"} and found["at"] == "1"
    assert snapshots.before(every, every[2])["settings"] == {"geqo": "on"}


def test_a_snapshot_of_another_cluster_is_none_of_this_one() -> None:
    """The host was set up anew under its old name."""
    old = {"at": "1", "state": "begun", "system_identifier": "6", "settings": {"work_mem": "1MB"}, "roles": {}}
    found = plan.planned(seen(setting("jit", "on", "off")), [old])
    assert not found["resumed"] and found["undo"] == {"jit": None}
    new = {**old, "at": "2", "system_identifier": "7", "settings": {"jit": None}}
    assert snapshots.before([old, new], old)["settings"] == {"work_mem": "1MB"}


def test_what_could_not_be_put_back_is_left() -> None:
    variables = seen(setting("archive_command", "cp ********", "cp ********"), setting("jit", "on", "off"))
    variables["oncall_foreseen"]["undo"]["archive_command"] = "cp ********"
    found = plan.planned(variables, [])
    assert found["settings"] == {"jit": "off"} and found["undo"] == {"jit": None}
    assert "archive_command left as it is" in outcomes.notes(found)[1]


def test_what_a_server_had_that_is_down_is_kept_as_well() -> None:
    wanted = {"settings": {"shared_buffers": None}, "roles": {}, "system_identifier": "7", "at": "T"}
    down = {"oncall_triage": DOWN, "oncall_wanted": wanted, "oncall_foreseen_then": {"undo": {"shared_buffers": "9GB"}}}
    down["oncall_streams"] = {"identifier": "7"}
    found = plan.planned(down, [], verb="tune_restore")
    assert found["go"] and found["is_down"] and found["undo"] == {"shared_buffers": "9GB"}
    begun = [{"state": "begun", "settings": {"shared_buffers": "1GB"}, "roles": {}, "system_identifier": "7"}]
    assert plan.planned(down, begun, verb="tune_restore")["undo"] == {"shared_buffers": "1GB"}
    hosts = {"db1": found}
    assert list(cluster.together(hosts, {"db1": down}).hosts) == ["db1"] and hosts["db1"]["go"]
    refusal = {"msg": "Start refused: its cause is unknown", "refused": True, "sqlstate": None}
    refused = plan.planned({**down, "oncall_foreseen_then": refusal}, [], verb="tune_restore")
    assert refused["outcome"] == "refused" and "cause is unknown" in refused["why"]


@pytest.mark.parametrize(
    ("here", "said"), [("8", "is of another cluster"), (None, "pg_controldata could not read"), ("7", "")]
)
def test_a_server_that_is_down_gets_only_what_its_own_cluster_had(here: str | None, said: str) -> None:
    """Its control file says which that is; the host may have been set up anew under its old name."""
    wanted = {"settings": {"shared_buffers": None}, "roles": {}, "system_identifier": "7", "at": "T"}
    down = {"oncall_triage": DOWN, "oncall_wanted": wanted, "oncall_streams": {"identifier": here}}
    found = plan.planned(down, [], verb="tune_restore")
    assert found["go"] is (not said) and said in found["why"] and (found["outcome"] == "refused") is bool(said)


@pytest.mark.parametrize("name", ["port", "Listen_Addresses", "ssl_cert_file", "primary_conninfo", "recovery_target"])
def test_what_would_cut_off_clients_is_refused(name: str) -> None:
    found = plan.planned(seen(setting("jit", "on", "off"), setting(name, "1", "2")), [])
    assert found["outcome"] == "refused" and found["why"].startswith("%s may cut off clients" % name)


def test_a_standby_that_is_down_is_known_by_its_control_file() -> None:
    for ready, standby, left in (([], True, True), (["s"], True, False), ([], False, False)):  # the last one is a copy
        down = {"oncall_triage": DOWN, "oncall_streams": {"identifier": "7", "was_standby": standby}}
        variables = {"p": seen(MORE, oncall_allowed={"ready": ready}), "s": down, "x": {"oncall_triage": DOWN}}
        hosts = {name: plan.planned(mine, []) for name, mine in variables.items()}
        cluster.together(hosts, variables)
        assert ("max_connections" not in hosts["p"]["settings"]) is left
        assert ("s, whose values are not known, may be a standby" in str(outcomes.notes(hosts["p"]))) is left


def test_a_batch_begins_with_what_is_there_then() -> None:
    """That may be hours after the plan, and another run's doing."""
    mine = plan.planned(seen(setting("work_mem", "4MB", "8MB"), setting("jit", "on", "off")), [])
    now: dict[str, Any] = {
        "settings": [setting("work_mem", "6MB", "8MB")],
        "undo": {"work_mem": "6MB"},
        "cluster": CLUSTER,
    }
    then: dict[str, Any] = {"oncall_foreseen": {"cluster": CLUSTER}, "oncall_now": now}
    found = plan.as_now(mine, then)
    assert found["go"] and found["undo"] == {"work_mem": "6MB"}  # somebody else's jit stays
    assert found["rows"][0]["before"] == "6MB"
    first = {**mine, "first": {**mine["first"], "settings": {"work_mem": "1MB"}}}
    assert plan.as_now(first, then)["undo"] == {"work_mem": "1MB"}  # before the run that was interrupted
    refused = plan.as_now(mine, {**then, "oncall_now": {"msg": "Settings refused: x", "refused": True}})
    assert refused["outcome"] == "refused" and not refused["go"]
    moved = {**then, "oncall_now": {**now, "cluster": {**CLUSTER, "in_recovery": True}}}
    assert "run it again" in plan.as_now(mine, moved)["why"] and not plan.as_now(mine, moved)["go"]


def test_a_batch_that_came_to_no_end_stops_the_rollout() -> None:
    lost = {"x": {"outcome": "planned", "kept": "/a/b.json"}, "later": {"outcome": "planned"}}
    found = judge.may_begin("p", planned(), {"oncall_triage": HEALTHY}, lost, [])
    assert found["outcome"] == "not_begun" and found["why"] == "the rollout was stopped at x"


def test_a_restore_says_restored() -> None:
    mine, fine = planned(verb="tune_restore"), {"oncall_triage": HEALTHY}
    found = judge.ended("db1", mine, {}, fine)
    assert outcomes.notes(found) == ["restored: 1 setting changed"] and found["rows"][0]["state"] == "restored"
    late = {**mine, **outcomes.left_out(mine, outcomes.NOT_BEGUN, "x")}
    assert outcomes.notes(late) == ["not restored: x"]


def test_a_host_that_is_lost_is_named_once_with_what_to_do() -> None:
    gone = {"unreachable": True, "msg": "Task failed: no route"}
    lost = {"oncall_triage": gone, "oncall_back": gone, "oncall_applied": gone}
    found = judge.ended("db1", planned(), {"db1": judge.applied(lost)}, lost)
    assert found["why"].startswith("settings not changed: no route. NOT put back: it is not reached. Once that is")
    assert found["why"].endswith(
        "run this again to go on, or oncall.postgresql.tune_restore -e oncall_snapshot=latest to put them back"
    )


@pytest.mark.parametrize(("clients", "left"), [(22, False), (23, True)])
def test_clients_that_are_there_keep_their_slots(clients: int, left: bool) -> None:
    fewer = setting("max_connections", "100", "25", True)
    found = plan.planned(seen(fewer, oncall_streams={"clients": clients, "reserved": 3}), [])
    assert ("max_connections" not in found["settings"]) is left
    assert ("with 25 only 22 could be" in str(outcomes.notes(found))) is left


def test_snapshots_are_kept(tmp_path: Path) -> None:
    snapshot = {
        "at": "20261129T020000.000Z",
        "state": "begun",
        "settings": {"work_mem": None},
        "roles": {},
        "verb": "tune",
        "rows": [],
        "system_identifier": "7",
    }
    path = Path(snapshots.write(str(tmp_path / "a b"), "shop db/1", snapshot))
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    kept = snapshots.read(str(tmp_path / "a b"), "shop db/1")
    assert snapshots.interrupted(kept) == {**snapshot, "schema": 1} and snapshots.read(str(tmp_path), "other") == []
    for text in ("{", "[]", '{"schema": 1, "settings": {}}', "\0"):
        path.write_text(text)
        with pytest.raises(snapshots.UnreadableError, match="move it away"):
            snapshots.read(str(tmp_path / "a b"), "shop db/1")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"oncall_restart": "true"}, "oncall_window"),
        ({"oncall_restart": True, "oncall_approve": True}, ""),
        ({"oncall_restart": True, "oncall_window": "Sun 02:00-04:00"}, ""),
        ({"oncall_window": "tonight"}, "no maintenance window"),
        ({"oncall_serial": "half"}, "oncall_serial"),
    ],
)
def test_wrong_variables(variables: dict[str, Any], said: str) -> None:
    found = verbs.problems("tune", variables)
    assert (said in found[0].text) if said else not found
