# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw docs/report.png, the page of a small fleet, and docs/incident.png, that of an incident, as a browser shows them.

Needs Chromium (apt-get install chromium).

.venv/bin/python -m scripts.picture
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident import frame, timeline
from ansible_collections.oncall.postgresql.plugins.plugin_utils._incident.state import Incident, fold
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report import files, html
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.model import worst_first
from tests.unit import samples

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH, HEIGHT = 1300, 1500
OPTIONS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --hide-scrollbars
"""


def main() -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        sys.exit("no Chromium here: apt-get install chromium")
    fleet = {
        "db1": samples.healthy("db1"),
        "db2": samples.pool_exhausted("db2"),
        "db5": samples.nearly_exhausted("db5"),
    }
    with tempfile.TemporaryDirectory() as directory:
        page = Path(files.write(worst_first(fleet), directory, "2026-11-24 04:02:11 UTC"))
        alone = page.with_name("incident.html")
        alone.write_text(html.incident(leak()))
        for drawn, picture in ((page, DOCS / "report.png"), (alone, DOCS / "incident.png")):
            profile = "--user-data-dir=%s/profile" % directory
            size = "--window-size=%d,%d" % (WIDTH, HEIGHT)
            argv = [browser, *OPTIONS.split(), profile, size, "--screenshot=%s" % picture, drawn.as_uri()]
            subprocess.run(argv, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            print(picture)


def leak() -> Incident:
    """From the alarm to health."""

    def at(minutes: float) -> datetime:
        return datetime(2026, 11, 24, 3, 36, 2, tzinfo=UTC) + timedelta(minutes=minutes)

    def sent(minutes: float, notice: str, level: str) -> timeline.Event:
        return timeline.event(at(minutes), "sent", channel="slack", notice=notice, levels=[level], round=0)

    refused = {"outcome": "refused", "msg": "71 sessions, and max_sessions is 50", "seconds": 0.4}
    return fold(
        "20261124T033602Z-db2-pool_exhausted",
        [
            frame.opened("db2", samples.pool_exhausted("db2"), at(0)),
            frame.look(samples.pool_exhausted("db2"), "triage", at(0)),
            sent(0.1, "trigger", "on_call"),
            frame.look(samples.pool_exhausted("db2"), "triage", at(12)),
            sent(12.1, "remind", "on_call"),
            frame.begins("pool_reset", "1", "ann", at(18)),
            frame.ended("pool_reset", "1", refused, at(18.1)),
            timeline.event(at(20), timeline.ESCALATED, to="dba", why="unresolved for 20 minutes", round=0),
            sent(20.1, "escalate_dba", "dba"),
            frame.begins("pool_reset", "2", "ann", at(25)),
            frame.ended("pool_reset", "2", {"outcome": "done", "msg": "71 terminated", "seconds": 3.2}, at(26)),
            frame.look(samples.healthy("db2"), "pool_reset", at(26.1)),
        ],
    )


if __name__ == "__main__":
    main()
