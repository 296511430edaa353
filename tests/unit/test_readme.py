# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links: those of README.md are absolute, since it is read on Galaxy; those of the other documents lead to a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
GALAXY = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())
DOCUMENTS = [
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob("docs/*.md")),
]
_LINK = re.compile(r"\]\(([^)]+)\)")


def test_the_links_of_the_readme_are_absolute_and_lead_to_files() -> None:
    links = _LINK.findall((CHECKOUT / "README.md").read_text())
    assert len(links) > 10
    for link in links:
        place = re.fullmatch(re.escape(GALAXY["repository"]) + r"/(?:(?:blob|raw)/main/(.+)|issues)", link)
        assert place, link
        assert place[1] is None or (CHECKOUT / place[1]).is_file(), link


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_links_of_a_document_lead_somewhere(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"(?m)^#+ (.+)$", text)}
    for link in _LINK.findall(text):
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif "://" not in link:
            assert ((CHECKOUT / name).parent / link.partition("#")[0]).exists(), link


def test_the_manifest_names_one_repository() -> None:
    for key in ("documentation", "homepage", "issues"):
        assert GALAXY[key].startswith(GALAXY["repository"]), key
