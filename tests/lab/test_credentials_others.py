# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody who uses the role is locked out unless somebody has said so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .driving import LIGHT, module
from .env_project import Project, state
from .looks import containers
from .stack import PASSWORD, docker, wait_for

SLEEP = {"image": "${LAB_API_IMAGE}", "command": ["sleep", "9999"], "init": True, "healthcheck": {"disable": True}}
MORE: dict[str, Any] = {
    "services": {
        **LIGHT,
        # A second service of the same role, idle at the moment, and one that has nothing to do with it.
        "worker": {**SLEEP, "environment": {"PGHOST": "postgres", "PGUSER": "app", "PGPASSWORD": "${LAB_PASSWORD}"}},
        "bystander": {**SLEEP, "environment": {"PGHOST": "postgres", "PGUSER": "somebody", "PGPASSWORD": "x"}},
    }
}


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    made = Project(more=MORE)
    with made:
        made.up()
        yield made


def reset(project: Project, *keys: str, check: bool = False, **more: Any) -> dict[str, Any]:
    asked = {"role": "app", "env_file": str(project.env), "env_keys": ["LAB_PASSWORD", *keys], **more}
    return module(project, "credentials", check, **asked)


def refused(project: Project, *says: str, **more: Any) -> str:
    before, running = state(project), containers(project)
    for check in (True, False):
        result = reset(project, check=check, **more)
        assert result["failed"] and all(each in result["msg"] for each in says), result.get("msg")
        assert "bystander" not in result["msg"] and PASSWORD not in result["msg"]
        assert (state(project), containers(project)) == (before, running)
    return str(result["msg"])


def test_a_service_with_the_same_role_in_its_environment(project: Project) -> None:
    worker = project.name("worker")
    said = refused(project, "%s (its environment (PG*))" % worker, "may_lock_out")
    assert "api-1" not in said
    docker("stop", "-t", "1", worker)
    refused(project, worker)  # it will be back
    docker("start", worker)


def test_sessions_of_the_role_from_elsewhere(project: Project) -> None:
    """From a container that is not the project's, whose environment says nothing."""
    stranger = project.project + "-stranger"
    program = "import sys, psycopg2, time; c = psycopg2.connect(sys.argv[1]); time.sleep(9999)"
    url = "host=postgres user=app dbname=shop application_name=batch password=" + PASSWORD
    argv = ["run", "-d", "--name", stranger, "--network", project.network(), "--entrypoint", "/usr/bin/python3"]
    docker(*argv, project.environment["LAB_API_IMAGE"], "-c", program, url)
    try:
        wait_for(lambda: "batch" in project.sql("SELECT string_agg(application_name, ' ') FROM pg_stat_activity"), 20)
        refused(project, "%s (1 session of application batch)" % stranger, may_lock_out=["worker"])
    finally:
        docker("rm", "-f", stranger)


def test_keys_that_hold_the_old_password(project: Project) -> None:
    text = project.env.read_text()
    url = "postgresql://app:%s@postgres/shop" % PASSWORD
    project.env.write_text(text + "OTHER_URL='%s'\nBATCH_PW=%s\nUNRELATED=x\n" % (url, PASSWORD))
    try:
        said = refused(project, "OTHER_URL (a key of %s" % project.env, "BATCH_PW", may_lock_out=["worker"])
        assert "Add OTHER_URL and BATCH_PW to env_keys" in said and "UNRELATED" not in said
        planned = reset(project, "OTHER_URL", "BATCH_PW", check=True, may_lock_out=["worker"])
        assert planned["diff"]["after"][str(project.env)] == "password: changed (LAB_PASSWORD, OTHER_URL, BATCH_PW)"
    finally:
        project.env.write_text(text)


def test_whoever_has_the_new_password_is_not_locked_out(project: Project) -> None:
    project.sql("ALTER ROLE app PASSWORD 'somebody-Elses-4716'")
    result = module(project, "credentials", role="app", password_of="api")
    assert not result["failed"] and result["role_changed"], result


def test_permitted(project: Project) -> None:
    result = reset(project, may_lock_out=["all"])
    assert not result["failed"] and result["recreated"] == ["api"], result
    assert result["warnings_found"] == ["%s may be locked out, as permitted" % project.name("worker")]
