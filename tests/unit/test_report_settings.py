# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the settings, as the report shows it: in the terminal, on the page, in a host's file."""

from __future__ import annotations

import textwrap
from typing import Any, Dict, List, Optional, Tuple
from xml.etree import ElementTree

import pytest
from jinja2 import StrictUndefined

from ansible_collections.oncall.postgresql.plugins.plugin_utils._report import html, settings, settings_text, text
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.model import Host, document, worst_first
from tests.unit import samples

Row = Dict[str, Optional[str]]


def row(name: str, before: Optional[str], after: Optional[str], state: str, why: str = "") -> Row:
    return {"name": name, "before": before, "after": after, "state": state, "why": why}


TUNED = [
    row("shared_buffers", None, "256MB", "waits_for_restart"),
    row("checkpoint_completion_target", "0.5", "0.9", "tuned"),
    row("max_connections", "200", "200", "left", "fixed on the command line (-c max_connections=200)"),
    row("work_mem", "4MB", "4MB", "unchanged"),
]
BROKEN = [
    row("shared_buffers", None, "8GB", "failed", "the server does not start with it"),
    row("work_mem", "4MB", None, "put_back"),
]
SKIPPED = [row("shared_buffers", None, None, "skipped", "pool_exhausted / idle_connections")]
SAME = [row("work_mem", "4MB", "4MB", "unchanged")]
FLEET = {"db1": TUNED, "db2": TUNED, "db3": BROKEN, "db4": SKIPPED, "db5": SAME}


def hosts(given: Dict[str, Any]) -> List[Host]:
    results = {name: samples.healthy(name) for name in given}
    return worst_first(results, settings={name: settings.read(rows) for name, rows in given.items()})


def shown(given: Dict[str, Any], width: int) -> str:
    lines = settings_text.table({name: settings.read(rows) for name, rows in given.items()}, width)
    return text.plain(lines)


def page(given: Dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(html.render(hosts(given), "2026-11-29 10:41 UTC", StrictUndefined))


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


WIDE = """

── Settings ────────────────────────────────────────────────────────────────────
  5 servers: 1 failed, 1 skipped, 2 waiting for a restart, 1 unchanged
  ! db1, db2
    shared_buffers                not set → 256MB  waits for a restart
    checkpoint_completion_target  0.5 → 0.9        tuned
    max_connections               200              left as it is: fixed on the
                                                   command line (-c
                                                   max_connections=200)
  · db4
    shared_buffers                                 skipped: pool_exhausted /
                                                   idle_connections
  ✗ db3
    shared_buffers                not set → 8GB    failed: the server does not
                                                   start with it
    work_mem                      4MB → not set    put back"""
NARROW = """

── Settings ──────────────────────────────────────
  5 servers: 1 failed, 1 skipped, 2 waiting for a
  restart, 1 unchanged
  ! db1, db2
    shared_buffers: not set → 256MB
      waits for a restart
    checkpoint_completion_target: 0.5 → 0.9
      tuned
    max_connections: 200
      left as it is: fixed on the command line (-c
      max_connections=200)
  · db4
    shared_buffers
      skipped: pool_exhausted / idle_connections
  ✗ db3
    shared_buffers: not set → 8GB
      failed: the server does not start with it
    work_mem: 4MB → not set
      put back"""


@pytest.mark.parametrize("width, expected", [(80, WIDE), (50, NARROW)])
def test_servers_with_the_same_rows_stand_together_and_the_worst_come_last(width: int, expected: str) -> None:
    assert shown(FLEET, width) == textwrap.dedent(expected)[1:]


def test_it_stands_after_the_hosts_and_before_the_fleet() -> None:
    out = text.plain(text.render(hosts({"db1": TUNED, "db2": BROKEN}), 80))
    places = [out.index(each) for each in ("── db1", "── Settings", "═" * 80, "  ✓ Healthy")]
    assert places == sorted(places)
    assert "Settings" not in text.plain(text.render(hosts({"db1": [], "db2": []}), 80))


def test_one_server_with_nothing_to_change_says_so() -> None:
    assert shown({"db5": SAME}, 80).splitlines()[1:] == ["── Settings %s" % ("─" * 68), "  unchanged"]


def test_colours_follow_the_state() -> None:
    lines = settings_text.table({"db1": settings.read(TUNED), "db3": settings.read(BROKEN)}, 120)
    spans = {words.strip(): status for line in lines for words, status in line}
    assert spans["waits for a restart"] == "warning" and spans["tuned"] == "ok" and spans["put back"] == "warning"
    assert spans["failed: the server does not start with it"] == "critical" and spans["✗"] == "critical"
    assert spans["left as it is: fixed on the command line (-c max_connections=200)"] == "skip"


@pytest.mark.parametrize("width", [text.NARROWEST, 80, text.WIDEST])
def test_lines_fit(width: int) -> None:
    long = [
        row("archive_command", None, "/usr/bin/pgbackrest --stanza=shop archive-push %p " * 3, "tuned"),
        row("idle_in_transaction_session_timeout", None, "60s", "waits_for_restart", "x" * 200),
        row("my_extension.a_setting_with_a_name_that_is_as_long_as_names_may_be_x", "on", "off", "planned"),
    ]
    fleet = {"pg-%03d.production.example.net" % number: long for number in range(40)}
    for line in shown({**FLEET, **fleet, "\x1b[2J": BROKEN}, width).splitlines():
        assert len(line) <= width and line.isprintable(), line


def test_a_thousand_servers_are_a_screen_or_two() -> None:
    sizes = {"pg-%04d" % n: [row("shared_buffers", None, "%dGB" % (n % 8 + 1), "tuned")] for n in range(1000)}
    lines = shown({**sizes, "pg-0500": BROKEN}, 80).splitlines()
    assert lines[2] == "  1000 servers: 1 failed, 999 tuned" and len(lines) < 60
    assert lines[-3] == "  ✗ pg-0500" and lines[7] == "    ... 125 in all"
    each = {"pg-%04d" % n: [row("shared_buffers", None, "%dMB" % n, "tuned")] for n in range(1000)}
    lines = shown({**each, "pg-0500": BROKEN}, 80).splitlines()
    assert len(lines) == 2 + 1 + 1 + 2 * settings_text.GROUPS + 1
    assert lines[3] == "  ... and 970 more; with oncall_report_dir each server's file has its settings"


def test_a_secret_is_masked_everywhere() -> None:
    secret = "s3cretOfTheStandby"
    given = [
        row("primary_conninfo", "host=a password=%s" % secret, "host=b password=%s" % secret, "tuned"),
        row("archive_command", None, "PGPASSWORD=%s /usr/bin/archive %%p" % secret, "failed", "password=%s" % secret),
    ]
    (host,) = hosts({"db1": given})
    said = text.plain(text.render([host], 120))
    for made in (said, words(page({"db1": given})), str(document(host))):
        assert secret not in made and "********" in made
    assert "primary_conninfo  ******** → ********" in " ".join(said.split("\n")).replace("   ", "  ")


@pytest.mark.parametrize("given", [None, "text", {"name": "work_mem"}, ["work_mem", {"before": "4MB"}, None]], ids=str)
def test_what_is_no_row_is_passed_over(given: Any) -> None:
    assert settings.read(given) == ()


def test_a_state_and_values_that_nobody_knows_are_shown() -> None:
    (found,) = settings.read([{"name": "work_mem", "before": 64, "after": "", "state": "half_done"}])
    assert (found.shown.said, found.shown.status, found.change) == ("half done", "warning", "64 → ''")


# --- the page and the files ----------------------------------------------------------------------------------------


def test_the_file_of_a_host_has_all_rows_and_without_rows_no_such_key() -> None:
    seen, unseen = hosts({"db1": TUNED, "db2": []})
    assert document(seen)["settings"] == TUNED and "settings" not in document(unseen)
    (failed,) = worst_first({"db7": samples.failed()}, settings={"db7": settings.read(BROKEN)})
    assert document(failed)["settings"] == BROKEN and document(failed)["error"]["kind"] == "failed"


def card(given: Dict[str, Any]) -> ElementTree.Element:
    (found,) = (each for each in page(given).iter("section") if each.get("id") == "settings")
    return found


def folds(given: Dict[str, Any]) -> List[Tuple[str, List[List[str]], Optional[str]]]:
    """Of each fold its summary, the cells of its table, and whether it is open."""
    return [
        (
            " ".join(words(each) for each in fold.iter("summary")),
            [[words(cell) for cell in line] for line in fold.iter("tr")][1:],
            fold.get("open"),
        )
        for fold in card(given).iter("details")
    ]


def test_the_page_has_a_fold_for_the_servers_whose_rows_say_the_same() -> None:
    broken, skipped, tuned = folds(FLEET)
    assert broken == (
        "db3 1 failed, 1 put back",
        [
            ["shared_buffers", "not set", "8GB", "failedthe server does not start with it"],
            ["work_mem", "4MB", "not set", "put back"],
        ],
        "open",
    )
    assert skipped[:2] == ("db4 1 skipped", [["shared_buffers", "", "", "skippedpool_exhausted / idle_connections"]])
    assert tuned[0] == "db1, db2 1 waits for a restart, 1 left as it is, 1 tuned"
    assert tuned[1][2][:3] == ["max_connections", "200", "200"] and len(tuned[1]) == 3
    (counts,) = (each for each in card(FLEET).iter("ul") if each.get("class") == "counts")
    assert [words(each) for each in counts] == ["1 failed", "1 skipped", "2 waiting for a restart", "1 unchanged"]
    links = [link.get("href") for link in card(FLEET).iter("a")]
    assert links == ["db3.json", "db4.json", "db1.json", "db2.json"]


def test_no_settings_no_card() -> None:
    assert "settings" not in [each.get("id") for each in page({"db1": [], "db2": []}).iter("section")]


def test_the_page_of_a_fleet_stays_small_and_links_to_every_file() -> None:
    each = {"pg-%04d" % n: [*TUNED, row("work_mem", None, "%dMB" % n, "tuned")] for n in range(400)}
    made = html.render(hosts(each), "now", StrictUndefined)
    assert len(made.encode("utf-8")) < 400_000
    found = folds(each)
    assert len(found) == html.DETAILED + 1 and found[-1][0] == "360 more servers" and not found[0][2]
