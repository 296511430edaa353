# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe's answer means: pure, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._procedures.server import probe

WORK = "/tmp/oncall-probe.abcdef/data"
SLOT = {"name": "standby", "type": "physical"}
LOGICAL = {"name": "feed", "type": "logical"}


def answer(status: str, text: str = "", **facts: str) -> str:
    rows = ["work " + WORK, *("%s %s" % each for each in facts.items())]
    return "oncall-probe %s\n%s\n\n%s\n" % (status, "\n".join(rows), text)


def read(out: str, **known: Any) -> probe.Probe:
    return probe.read(out, "/data", **known)


def test_the_fatal_with_what_led_to_it_and_its_hint() -> None:
    text = (
        "LOG:  too many background workers\nHINT:  Consider this.\n"
        'LOG:  could not bind IPv4 address "203.0.113.7": No\n'
        "FATAL:  could not create\n\tany sockets\nDETAIL:  None.\nHINT:  Look at %s/x.\nLOG:  down\n" % WORK
    )
    found = read(answer("refused", text, code="1"))
    said = 'FATAL: could not create any sockets (could not bind IPv4 address "203.0.113.7": No; None.)'
    assert (found.status, found.said, found.hint) == (probe.REFUSED, said, "Look at /data/x.")


@pytest.mark.parametrize(
    ("out", "text"),
    [
        ("", "returned nothing"),
        ("sh: not found", "sh: not found"),
        (answer("unprobed", "initdb was not found beside the server"), "initdb was not found beside the server"),
    ],
)
def test_what_could_not_be_probed_is_said_and_refuses_nothing(out: str, text: str) -> None:
    found = read(out)
    assert found.status == probe.UNPROBED and len(found.notes) == 1
    assert found.notes[0].startswith("Whether it would start again could not be probed: ") and text in found.notes[0]


def test_one_of_several_addresses_that_cannot_be_had_is_told() -> None:
    found = read(answer("started", 'WARNING:  could not create listen socket for "203.0.113.7"\nLOG:  ready\n'))
    note = 'It would start, but: could not create listen socket for "203.0.113.7".'
    assert (found.status, found.notes) == (probe.STARTED, (note,))


def test_a_probe_that_was_killed_names_memory() -> None:
    assert "memory limit" in read(answer("refused", "LOG:  starting\n", code="137")).said


@pytest.mark.parametrize(
    ("values", "slots", "prepared", "said"),
    [
        ({"wal_level": "replica", "max_replication_slots": "10"}, [SLOT], 0, None),
        ({"wal_level": "minimal"}, [SLOT], 0, "replication slot standby exists, but wal_level is minimal"),
        ({"wal_level": "replica"}, [LOGICAL], 0, "logical replication slot feed exists, but wal_level is replica"),
        ({"wal_level": "logical", "max_replication_slots": "1"}, [SLOT, LOGICAL], 0, "is 1, but 2 replication slots"),
        ({"max_prepared_transactions": "0"}, [], 2, "is 0, but 2 transactions are prepared"),
        ({"max_prepared_transactions": "2"}, [], 2, None),
    ],
)
def test_what_the_empty_directory_does_not_know(
    values: dict[str, str], slots: list[dict[str, str]], prepared: int, said: str | None
) -> None:
    found = probe.contradictions(values, slots, prepared)
    assert (said is None and not found) or (said is not None and said in found[0])


def waiting(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "file": "/f", "line": 3, "setting": "new", "current": "old"} for name in names]


@pytest.mark.parametrize(
    ("said", "names", "expected"),
    [
        ('FATAL: WAL streaming ("max_wal_senders" > 0) requires "wal_level" to be', ("port", "wal_level"), "wal_level"),
        ("FATAL: could not create any TCP/IP sockets", ("listen_addresses", "wal_level"), "listen_addresses"),
        ("FATAL: could not map anonymous shared memory", ("huge_pages", "wal_level"), "huge_pages"),
        ('FATAL: could not load server certificate file "server.crt"', ("port", "ssl"), "ssl"),
        ('FATAL: private key file "server.key" has group or world access', ("ssl_key_file",), "ssl_key_file"),
        ("FATAL: nobody knows", ("port", "wal_level"), "port or wal_level"),
    ],
)
def test_which_setting_it_refuses(said: str, names: tuple[str, ...], expected: str) -> None:
    text = probe.advice(said, waiting(*names))
    assert text.startswith("It refuses %s (waits for this restart). Correct " % expected)
    assert "in /f line 3 (new; it was old)" in text
    assert probe.advice(said, []) == ""
