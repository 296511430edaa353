# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's page, parsed as a whole: what is in it, and what must never be."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Dict, List, Tuple
from xml.etree import ElementTree

import pytest
from jinja2 import StrictUndefined

from ansible_collections.oncall.postgresql.plugins.plugin_utils._report import files, html, pictures
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.model import file_names, worst_first
from tests.unit import samples

EVERY: Dict[str, Any] = {
    "night": samples.night(),
    "fleet": samples.fleet(40),
    "hostile": {"db6": samples.hostile(), samples.HOSTILE: samples.failed()},
    "one": {"db1": samples.healthy()},
    "nobody answers": {"db7": samples.failed(), "db8": samples.unreachable(), "db9": None},
    "nobody": {},
}
FORBIDDEN = ("script", "link", "img", "iframe", "object", "embed", "base", "form", "foreignObject")
CSS = (html.HERE / "page.css").read_text("utf-8")


def page(results: Dict[str, Any]) -> str:
    return html.render(worst_first(results), "2026-11-24 04:02 UTC", undefined=StrictUndefined)


def tree(results: Dict[str, Any]) -> ElementTree.Element:
    """Strict: every element closed, every attribute quoted, no identifier twice."""
    root = ElementTree.fromstring(page(results))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    return root


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


@pytest.mark.parametrize("results", EVERY.values(), ids=EVERY.keys())
def test_no_script_and_nothing_from_outside(results: Dict[str, Any]) -> None:
    beside = {name + ".json" for name in file_names(list(results)).values()}
    for element in tree(results).iter():
        assert element.tag not in FORBIDDEN
        for name, value in element.attrib.items():
            assert not name.startswith("on") and name not in ("style", "src"), (element.tag, name)
            if name == "href":
                assert value.startswith("#") or value in beside
    assert not re.search(r"url\(|@import|@font-face", CSS)


@pytest.mark.parametrize("results", EVERY.values(), ids=EVERY.keys())
def test_the_policy_allows_the_style_sheet_and_nothing_else(results: Dict[str, Any]) -> None:
    root = tree(results)
    policy = [meta.get("content") for meta in root.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    styles = [style.text or "" for style in root.iter("style")]
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    assert len(styles) == 1
    assert policy == ["default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'" % digest]


def test_strangers_strings_are_text() -> None:
    raw = page(EVERY["hostile"])
    assert "<script" not in raw and "<img" not in raw and "\x1b" not in raw and "\x07" not in raw
    assert "{{ 7*7 }}" in raw and "&lt;script&gt;alert(1)" in raw
    assert samples.HOSTILE.split("\x1b")[0] in words(ElementTree.fromstring(raw))


@pytest.mark.parametrize("results", EVERY.values(), ids=EVERY.keys())
def test_every_host_is_there_and_every_link_leads_somewhere(results: Dict[str, Any]) -> None:
    root = tree(results)
    hosts = worst_first(results)
    shown = [host for host in hosts if len(hosts) <= html.FEW or not host.quiet]
    listed = len(hosts) - len(shown)
    sections = [section.get("class") for section in root.iter("section")]
    assert sections == ["card " + host.status for host in shown] + ["card ok"] * bool(listed)
    ids = {element.get("id") for element in root.iter()}
    links = [link.get("href", "") for link in root.iter("a")]
    assert all(link[1:] in ids for link in links if link.startswith("#"))
    for name in file_names(list(results)).values():
        assert name + ".json" in links
    if len(hosts) > 1:
        assert len([link for link in links if link.startswith("#host-")]) == len(shown)


def test_a_healthy_server_among_many_is_one_line() -> None:
    root = tree(samples.fleet(40))
    names = next(element for element in root.iter("ul") if element.get("class") == "names")
    rows = [words(row) for row in names]
    assert len(rows) == 39 and rows[0] == "pg-000.example.net 17.5 primary"
    assert "39 healthy servers" in words(root)


def broken(number: int, hosts: int, every: int) -> Dict[str, Any]:
    """So many hosts, each ``every``-th of them with a fault (0: none), of all kinds; ``number`` is where they begin."""
    kinds = itertools.cycle(
        (
            samples.pool_exhausted,
            samples.blocked,
            samples.server_down,
            samples.corrupted,
            samples.nearly_exhausted,
            samples.lagging,
        )
    )
    found: Dict[str, Any] = {}
    for host in range(number, number + hosts):
        name = "pg-%04d.production.example.net" % host
        found[name] = next(kinds)(name) if every and host % every == 0 else samples.healthy(name)
    return found


@pytest.mark.parametrize("every", [0, 10, 1], ids=["healthy", "10 % broken", "all broken"])
@pytest.mark.parametrize(("hosts", "limit"), [(200, 1_000_000), (1000, 3_000_000)])
def test_the_page_of_a_fleet_stays_small(hosts: int, limit: int, every: int) -> None:
    results = broken(0, hosts, every)
    made = page(results)
    assert len(made.encode("utf-8")) < limit
    assert all('href="%s.json"' % name in made for name in results)


def test_beyond_the_worst_ones_a_server_in_trouble_keeps_its_verdict_and_a_link_to_the_rest() -> None:
    results = {"db%03d" % number: samples.blocked("db%03d" % number) for number in range(html.DETAILED + 1)}
    sections = list(tree(results).iter("section"))
    assert [bool(list(section.iter("details"))) for section in sections] == [True] * html.DETAILED + [False]
    said = words(sections[-1])
    verdict = samples.blocked("db%03d" % html.DETAILED)["verdict"]
    for line in [*verdict["evidence"], verdict["summary"], verdict["remedy"]["command"]]:
        assert line in said
    assert [link.get("href") for link in sections[-1].iter("a")] == ["db%03d.json" % html.DETAILED]


def test_among_many_servers_long_lists_of_sessions_are_cut_and_say_so() -> None:
    alone = words(tree({"db2": samples.pool_exhausted()}))
    among = words(
        tree({**{"db%02d" % number: samples.healthy() for number in range(9)}, "db2": samples.pool_exhausted()})
    )
    assert "649shop@shop" in alone and "649shop@shop" not in among
    assert "Idle the longest (50)" in among and "40 more in db2.json." in among


def test_the_fleet_table_is_worst_first() -> None:
    rows = [words(row) for row in next(tree(samples.night()).iter("table")).iter("tr")][1:]
    assert [row.split()[0] for row in rows] == ["db11", "db2", "db3", "db4", "db8", "db7", "db10", "db5"]
    assert "Emergency %s" % samples.corrupted()["verdict"]["summary"] in rows[0]
    assert rows[0].endswith("Tell the emergency contacts now")


def test_verdict_evidence_path_and_remedy_are_shown() -> None:
    root = tree({"db2": samples.pool_exhausted("db2")})
    said = words(root)
    verdict = samples.pool_exhausted("db2")["verdict"]
    for proof in [*verdict["evidence"], verdict["summary"], verdict["remedy"]["command"]]:
        assert proof in said
    assert "pool_exhausted / idle_connections" in said
    answers = [step.get("class") for step in root.iter("li") if step.get("class") in ("yes", "no", "not_asked")]
    assert answers == ["yes"] * 3 + ["no"] + ["not_asked"] * 3


def test_before_and_what_was_done_are_shown() -> None:
    hosts = worst_first({"db2": samples.healthy()}, {"db2": samples.pool_exhausted()}, {"db2": ["<b>pool_reset</b>"]})
    said = html.render(hosts, "now", StrictUndefined)
    assert "pool_exhausted / idle_connections: " in said
    assert "&lt;b&gt;pool_reset&lt;/b&gt;" in said


@pytest.mark.parametrize(
    "results, before, said",
    [
        ({"db1": samples.healthy()}, None, "The server is healthy"),
        ({"db1": samples.healthy()}, {"db1": samples.pool_exhausted()}, "The server is healthy"),
        (
            {"db1": samples.healthy(), "db2": samples.healthy()},
            {"db1": samples.pool_exhausted()},
            "All 2 servers are healthy",
        ),
    ],
    ids=["well", "well again", "one well again"],
)
def test_what_was_fixed_is_no_warning(results: Dict[str, Any], before: Any, said: str) -> None:
    hosts = worst_first(results, before, {"db1": ["pool_reset"]} if before else None)
    assert "<h1>%s</h1>" % said in html.render(hosts, "2026-11-24 04:02 UTC", undefined=StrictUndefined)


def test_headings_do_not_skip_a_level() -> None:
    levels = [int(element.tag[1]) for element in tree(samples.night()).iter() if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("results", EVERY.values(), ids=EVERY.keys())
def test_pictures_have_a_text_or_are_hidden(results: Dict[str, Any]) -> None:
    for picture in tree(results).iter("svg"):
        assert picture.get("aria-hidden") == "true" or (picture.get("role") == "img" and picture.get("aria-label"))


def test_a_reading_that_is_missing_leaves_a_gap_and_not_an_error() -> None:
    result = samples.healthy()
    del result["facts"]["server"]["networks"], result["facts"]["clients"][0]["reach"]
    assert "shop-api-1" in html.render(worst_first({"db1": result}), "now")


def test_connections_add_up_to_the_bar() -> None:
    held = samples.pool_exhausted()["facts"]["snapshot"]["connections"]
    parts = pictures.connections(held)
    assert [(part["label"], part["count"]) for part in parts] == [
        ("idle in transaction", 4),
        ("idle", 90),
        ("active", 3),
        ("reserved", 3),
    ]
    assert parts[-1]["x"] + parts[-1]["width"] == pytest.approx(pictures.BAR_WIDTH - pictures.GAP, abs=0.2)
    by_superusers = dict(held, groups=[samples.group("idle", 100)])
    assert [(part["label"], part["count"]) for part in pictures.connections(by_superusers)] == [("idle", 100)]


def nodes(activity: Dict[str, Any]) -> List[Tuple[int, int]]:
    drawn = pictures.blocking(activity)
    assert drawn is not None
    return [(node["depth"], node["pid"]) for node in drawn["nodes"]]


def test_the_blocking_tree_has_its_depth_and_the_worst_root_first() -> None:
    activity = samples.blocked()["facts"]["snapshot"]["activity"]
    assert nodes(activity) == [(0, 0), (1, 810), (2, 820), (3, 830), (2, 821), (1, 811), (0, 840), (1, 841)]
    drawn = pictures.blocking(activity)
    assert drawn is not None and "blocks 5" in drawn["nodes"][0]["detail"]
    assert pictures.blocking(samples.healthy()["facts"]["snapshot"]["activity"]) is None


def test_a_ring_and_a_second_blocker_are_drawn_once() -> None:
    def edge(waits: int, holds: int) -> Dict[str, Any]:
        return {
            "blocked_pid": waits,
            "blocking_pid": holds,
            "blocking_gid": None,
            "blocked_seconds": 1.0,
            "relation": None,
            "lock_mode": None,
        }

    empty: Dict[str, Any] = {"involved": [], "prepared": []}
    assert nodes(dict(empty, blocking=[edge(1, 2), edge(2, 1)])) == [(0, 1), (1, 2)]
    both = dict(empty, blocking=[edge(3, 1), edge(3, 2)])
    assert nodes(both) == [(0, 1), (1, 3), (0, 2)]
    drawn = pictures.blocking(both)
    assert drawn is not None and drawn["nodes"][1]["detail"].endswith("and for 1 more")
    long = dict(empty, blocking=[edge(n + 1, n) for n in range(1, 500)])
    drawn = pictures.blocking(long)
    assert drawn is not None and (len(drawn["nodes"]), drawn["left_out"]) == (pictures.TREE_NODES, 440)


# --- colours ---------------------------------------------------------------------------------------------------------


def palette(dark: bool) -> Dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[0]))
    if dark:
        found.update(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[1]))
    return found


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, 1.4.3."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast(dark: bool) -> None:
    colours = palette(dark)
    statuses = ("emergency", "critical", "unreachable", "failed", "warning", "ok")
    pairs = [(text, back) for text in ("text", "quiet", "link") for back in ("page", "card", "inset")]
    pairs += [(text, status + "-tint") for status in statuses for text in ("text", "quiet", status)]
    pairs += [(status, back) for status in statuses for back in ("page", "card")]
    for text, back in pairs:
        assert contrast(colours[text], colours[back]) >= 4.5, (text, back)
    for name in colours:
        if name.startswith("s-") and name != "s-free":
            assert contrast(colours[name], colours["card"]) >= 3, name


# --- files -----------------------------------------------------------------------------------------------------------


def test_files_are_written_whole_and_for_their_owner_only(tmp_path: Path) -> None:
    place = tmp_path / "new" / "reports"
    results = dict(samples.night(), **{"../x": samples.healthy()})
    written = files.write(worst_first(results), str(place), "now")
    assert written == str(place / "index.html")
    names = sorted(os.listdir(str(place)))
    assert len(names) == len(results) + 1 and not [name for name in names if name.startswith(".")]
    assert json.loads((place / "db2.json").read_text("utf-8"))["verdict"]["code"] == "pool_exhausted"
    assert json.loads((place / "db8.json").read_text("utf-8"))["error"]["kind"] == "unreachable"
    assert {mode_of(place / name) for name in names} == {0o600}
    assert mode_of(place) == mode_of(place.parent) == 0o700
    files.write(worst_first({"db2": samples.healthy()}), str(place), "now")
    assert json.loads((place / "db2.json").read_text("utf-8"))["verdict"]["code"] == "healthy"


@pytest.mark.parametrize(("mode", "directory"), [(0o600, 0o700), (0o640, 0o750), (0o644, 0o755)])
def test_a_mode_holds_for_the_files_and_the_directories_that_are_made(
    tmp_path: Path, mode: int, directory: int
) -> None:
    (tmp_path / "there").mkdir(mode=0o711)
    place = tmp_path / "there" / "new" / "reports"
    umask = os.umask(0o077)
    try:
        files.write(worst_first({"db1": samples.healthy()}), str(place), "now", mode)
    finally:
        os.umask(umask)
    assert mode_of(place / "index.html") == mode_of(place / "db1.json") == mode
    assert mode_of(place) == mode_of(place.parent) == directory
    assert mode_of(place.parent.parent) == 0o711


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


ODD = [
    "db1",
    "DB1",
    "../../etc/passwd",
    "..",
    ".hidden",
    "-rf",
    "",
    "a/b",
    "a b",
    "a_b",
    "C:\\db",
    "javascript:alert(1)",
    '"><script>alert(1)</script>',
    "it's & <b>bold</b>",
    "{{ 7 * 7 }}",
    "x" * 200,
    "x" * 201,
    "x" * 100,
    "dätenbank",
    "データベース",
    "データベーズ",
    "db\u202eevil",
    "db\nnext",
    "db\ud800",
    "index.html",
    "index",
]


def test_odd_names_give_safe_and_distinct_files_that_the_page_links_to(tmp_path: Path) -> None:
    hosts = worst_first({name: samples.healthy(name) for name in ODD})
    written = files.write(hosts, str(tmp_path / "reports"), "now")
    there = sorted(os.listdir(str(tmp_path / "reports")))
    assert os.listdir(str(tmp_path)) == ["reports"]
    assert len({name.lower() for name in there}) == len(ODD) + 1
    for name in there:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name) and len(name) < 130
    root = ElementTree.fromstring(Path(written).read_text("utf-8"))
    assert sorted(str(link.get("href")) for link in root.iter("a") if link.get("href") != "#healthy") == sorted(
        set(there) - {"index.html"}
    )
    named = {
        json.loads((tmp_path / "reports" / name).read_text("utf-8"))["target"]["host"]
        for name in there
        if name != "index.html"
    }
    assert len(named) == len(ODD)


def test_a_directory_that_cannot_be_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        files.write(worst_first(samples.night()), str(tmp_path / "file" / "reports"), "now")
