# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note of a restart that did not finish is read aloud; one that is out of date, or still in use, is not."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._judge.tree import judge
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import Facts, NotedClient, NotedRole
from tests.unit.facts import client, healthy, set_client

BEFORE, LATER = "2026-11-28T09:00:00Z", "2026-11-28T11:00:00Z"
DOWN: Dict[str, Any] = {"state": "exited", "exit_code": 0, "started_at": BEFORE, "finished_at": "2026-11-28T10:00:05Z"}
RUNS: Dict[str, Any] = {"state": "running", "started_at": BEFORE}
NOTE = "graceful_restart of db1, begun at 2026-11-28T10:00:00+00:00, did not finish (its note: /root/.oncall/n.json)"


def noted(name: str = "shop-api-1", asked: bool = True, service: str = "api") -> NotedClient:
    return {"service": service, "name": name, "started_at": BEFORE, "finished_at": None, "asked": asked}


def facts(now: Dict[str, Any], *clients: NotedClient, running: bool = False) -> Facts:
    made = healthy(set_client(**now))
    made["restart_note"] = {
        "path": "/root/.oncall/n.json",
        "written_at": "2026-11-28T10:00:00+00:00",
        "why": "graceful_restart of db1",
        "running": running,
        "clients": list(clients or [noted()]),
        "roles": [],
    }
    return made


def finding(of: Facts) -> Optional[Dict[str, Any]]:
    found: List[Dict[str, Any]] = judge(of, Thresholds(), "db1")["findings"]
    return next((one for one in found if one["code"] == "restart_unfinished"), None)


def test_a_client_left_stopped_is_named_with_the_command_that_starts_it() -> None:
    of = facts(DOWN)
    start = "docker start shop-api-1"
    line = "shop-api-1 was stopped by it and ended at 2026-11-28T10:00:05Z: " + start
    assert finding(of) == {
        "code": "restart_unfinished",
        "severity": "critical",
        "summary": "shop-api-1 is STILL STOPPED: graceful_restart of db1 did not finish; " + start,
        "evidence": [NOTE, line],
    }
    verdict = judge(of, Thresholds(), "db1")["verdict"]
    assert (verdict["code"], verdict["cause"]) == ("client_down", "stopped")
    assert verdict["evidence"][1:] == [NOTE, line]


def test_one_of_two_containers_left_stopped_is_critical_though_the_service_runs() -> None:
    of = facts(DOWN)
    of["clients"].append(dict(client(), name="shop-api-2"))  # type: ignore[arg-type]
    found = finding(of)
    assert found and found["severity"] == "critical"
    assert judge(of, Thresholds(), "db1")["verdict"]["code"] == "healthy"


def test_with_podman_it_is_podmans_command() -> None:
    of = facts(DOWN)
    assert of["server"]
    of["server"]["engine_command"] = "podman"
    found = finding(of)
    assert found and found["summary"].endswith("podman start shop-api-1")


def test_one_that_has_not_ended_yet_is_a_warning() -> None:
    found = finding(facts(RUNS))
    assert found and found["severity"] == "warning"
    assert found["summary"] == "graceful_restart of db1 did not finish: shop-api-1 may STOP LATER"
    assert found["evidence"][1].endswith("may STOP LATER. When it has: docker start shop-api-1")


def test_one_that_is_not_declared_here_is_not_looked_at() -> None:
    found = finding(facts(RUNS, noted("shop-web-1", service="web")))
    assert found and found["severity"] == "warning" and "shop-web-1 may be STILL STOPPED" in found["summary"]


def test_a_note_that_cannot_be_read_may_name_somebody() -> None:
    of = healthy()
    of["errors"]["restart_note"] = "/root/.oncall/n.json cannot be read: denied. It names clients ..."
    found = finding(of)
    assert found and found["severity"] == "warning" and found["evidence"] == [of["errors"]["restart_note"]]


@pytest.mark.parametrize(
    ("now", "clients"),
    [
        pytest.param({**RUNS, "started_at": LATER}, [noted()], id="started since"),
        pytest.param({**DOWN, "started_at": LATER, "finished_at": LATER}, [noted()], id="started and stopped since"),
        pytest.param(DOWN, [noted(asked=False)], id="never asked to stop: somebody else did it"),
        pytest.param({**DOWN, "finished_at": None}, [noted()], id="was down before"),
        pytest.param(RUNS, [noted("shop-api-7")], id="removed since"),
    ],
)
def test_a_stale_note_says_nothing(now: Dict[str, Any], clients: List[NotedClient]) -> None:
    of = facts(now, *clients)
    assert finding(of) is None
    assert "did not finish" not in str(judge(of, Thresholds(), "db1")["verdict"]["evidence"])


ROLE: NotedRole = {"role": "app", "begun_at": "2026-11-28T10:00:00+00:00", "files": ["/srv/shop/.env"]}


@pytest.mark.parametrize("running", [False, True])
def test_a_password_reset_that_did_not_finish_is_named_though_every_client_runs(running: bool) -> None:
    of = facts({**RUNS, "started_at": LATER}, running=running)
    assert of["restart_note"]
    of["restart_note"]["roles"] = [ROLE]
    found = [one for one in judge(of, Thresholds(), "db1")["findings"] if one["code"] == "reset_unfinished"]
    assert [(one["severity"], one["summary"]) for one in found] == [
        (
            "warning",
            "credentials_reset of role app did not finish: role, files and clients may have different passwords; "
            "run it again with the same variables",
        )
    ] * (not running)
    assert running or found[0]["evidence"][1:] == ["it was to change /srv/shop/.env"]


@pytest.mark.parametrize("prefix", ["", "0123456789ab_"])
def test_a_container_that_was_made_and_never_started_is_named(prefix: str) -> None:
    of = facts({"state": "created", "started_at": None, "finished_at": None})
    name = of["clients"][0]["name"] = prefix + of["clients"][0]["name"]
    found = finding(of)
    assert found and found["severity"] == "critical" and found["summary"].endswith("docker start " + name), found


def test_a_restart_that_is_still_running_is_no_finding_but_why_its_client_is_down() -> None:
    of = facts(DOWN, running=True)
    assert finding(of) is None
    evidence = judge(of, Thresholds(), "db1")["verdict"]["evidence"]
    assert evidence[1].endswith("has stopped shop-api-1 and is still running: it starts it again")
