# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note of whom a restart has stopped: on the disk before, correct at each moment, gone afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.oncall.postgresql.plugins.module_utils._core.errors import RefusedError
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.client import note
from ansible_collections.oncall.postgresql.plugins.module_utils._model.note import Note, Noted, NotedRole
from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.clients.note import Writer, alone

WEB, API = Noted("web", "web-1", "t1", "t0"), Noted("api", "api-1", "t1", None)


def test_it_says_at_each_moment_who_is_to_be_started(tmp_path: Path) -> None:
    where = str(tmp_path / "restart-shop.json")
    writer = Writer(where, "graceful_restart of db1", (WEB, API))
    writer.begin()
    found = note.read(where)
    assert found.clients == (WEB, API) and found.why == "graceful_restart of db1" and found.written_at.startswith("20")
    assert os.stat(where).st_mode & 0o777 == 0o600
    writer.asking(["web-1"])
    assert {one.name: one.asked for one in note.read(where).clients} == {"web-1": True, "api-1": False}
    writer.running("web-1")
    assert [one.name for one in note.read(where).clients] == ["api-1"]
    writer.settle({"api-1"})
    assert [one.name for one in note.read(where).clients] == ["api-1"]
    writer.settle(set())
    assert note.read(where) == Note() and list(tmp_path.iterdir()) == []


def test_a_role_stays_noted_until_its_password_is_proved(tmp_path: Path) -> None:
    where, role = str(tmp_path / "restart-shop.json"), NotedRole("app", "2026-11-28T10:00:00+00:00", ("/srv/.env",))
    writer = Writer(where, "credentials_reset of db1", (), (role,))
    writer.begin()
    writer.stopping([API])
    found = note.read(where)
    assert found.roles == (role,) and [(one.name, one.asked) for one in found.clients] == [("api-1", True)]
    writer.settle(set())
    assert note.read(where).roles == (role,) and note.read(where).clients == ()
    shown = note.facts(where)
    assert shown and shown["roles"] == [{"role": "app", "begun_at": role.begun_at, "files": ["/srv/.env"]}]
    writer.settle(set(), "web")
    assert note.read(where).roles == (role,)
    writer.settle(set(), "app")
    assert note.read(where) == Note() and list(tmp_path.iterdir()) == []


def test_without_a_note_nobody_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"Refused: .*missing"):
        Writer(str(tmp_path / "missing" / "note.json"), "", (WEB,)).begin()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"clients": []}', '{"written_at": "", "why": "", "clients": [{"x": 1}]}']
)
def test_one_that_cannot_be_read_is_nothing_to_pass_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "note.json").write_text(content)
    with pytest.raises(RefusedError, match=r"note.json cannot be read.*start those that are down"):
        note.read(str(tmp_path / "note.json"))


def test_each_project_of_each_engine_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    default = note.path(None, "shop")
    assert default.startswith("/home/anna/.oncall/restart-shop-") and default.endswith(".json")
    assert default == note.path("unix:///var/run/docker.sock", "shop")
    assert len({default, note.path("ssh://root@db1", "shop"), note.path(None, "shop2")}) == 3
    monkeypatch.setenv("DOCKER_HOST", "ssh://root@db1")
    assert note.path(None, "shop") == note.path("ssh://root@db1", "shop")
    assert "/" not in note.path(None, "../../etc/x")[len("/home/anna/.oncall/") :]


def test_nothing_stays_beside_a_note_that_is_settled(tmp_path: Path) -> None:
    """Neither the lock file, nor what a run that was killed in the middle of a write has left."""
    where = tmp_path / "home" / "restart-shop.json"
    with alone(str(where)):
        assert note.held(str(where)) and (where.parent / "restart-shop.json.lock").exists()
        writer = Writer(str(where), "graceful_restart of db1", (WEB,))
        writer.begin()
        (left := where.parent / ".restart-shop.json.k1lled").write_text("{")
        (other := where.parent / ".restart-shop-2.json.k1lled").write_text("{")
        with pytest.raises(RefusedError, match="another restart or password reset"), alone(str(where)):
            pass
        assert left.exists()  # it may be at work
    assert not note.held(str(where))
    with alone(str(where)):
        writer.settle(set())
    assert list(where.parent.iterdir()) == [other]


def test_a_lock_file_that_goes_lets_no_two_in(tmp_path: Path) -> None:
    """Several take it in turn as fast as they can, each removes it, and each counts one up from what it has read."""
    where, number = str(tmp_path / "note.json"), tmp_path / "number"
    number.write_text("0")
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_count, args=(where, number, 100)) for _unused in range(4)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        note.held(where)  # triage looks all the time
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert number.read_text() == "400" and list(tmp_path.iterdir()) == [number]


def _count(where: str, number: Path, times: int) -> None:
    while times:
        with contextlib.suppress(RefusedError), alone(where):
            assert note.held(where)
            number.write_text("%d" % (int(number.read_text()) + 1))
            times -= 1


GOOD = dataclasses.asdict(
    Note("2026-11-28T10:00:00+00:00", "graceful_restart of db1", (WEB, API), (NotedRole("app", "t"),))
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    """A note in which one thing is something else, or missing."""
    found = json.loads(json.dumps(GOOD))
    part = draw(st.sampled_from([found, found["clients"][0], found["roles"][0]]))
    key = draw(st.sampled_from(sorted(part)))
    if draw(st.booleans()):
        part[key] = draw(JSON)
    else:
        del part[key]
    return json.dumps(draw(st.one_of(JSON, st.just(found))))


@given(st.one_of(spoilt(), st.text(max_size=20), st.just("[" * 100_000), st.just('{"a":' * 100_000)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_a_note_that_is_none_is_said_in_one_line(tmp_path: Path, text: str) -> None:
    where = tmp_path / "restart-shop.json"
    where.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        found = note.facts(str(where))
    except RefusedError as error:
        assert "cannot be read: " in error.msg and "\n" not in error.msg and len(error.msg) < 600
        return
    for one in found["clients"] if found else []:
        assert all(isinstance(value, (str, bool, type(None))) for value in one.values())


def test_a_good_note_is_read(tmp_path: Path) -> None:
    where = tmp_path / "restart-shop.json"
    where.write_text(json.dumps(GOOD))
    assert dataclasses.asdict(note.read(str(where))) == GOOD
