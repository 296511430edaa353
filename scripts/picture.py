# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw docs/report.png: the page of a small fleet, as a browser shows it. Needs Chromium (apt-get install chromium).

.venv/bin/python -m scripts.picture
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ansible_collections.oncall.postgresql.plugins.plugin_utils._report import files
from ansible_collections.oncall.postgresql.plugins.plugin_utils._report.model import worst_first
from tests.unit import samples

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "report.png"
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
        page = files.write(worst_first(fleet), directory, "2026-11-24 04:02:11 UTC")
        profile = "--user-data-dir=%s/profile" % directory
        size = "--window-size=%d,%d" % (WIDTH, HEIGHT)
        argv = [browser, *OPTIONS.split(), profile, size, "--screenshot=%s" % PICTURE, Path(page).as_uri()]
        subprocess.run(argv, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print(PICTURE)


if __name__ == "__main__":
    main()
