# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""collection.py NAMESPACE.NAME: into this virtualenv, out of the package ``ansible``, which holds them all.

The package is that of requirements/benchmark.txt; it is fetched once, and not installed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


def main(name: str) -> None:
    place = Path(sysconfig.get_path("purelib"))
    folder = "ansible_collections/%s/" % name.replace(".", "/")
    if (place / folder / "MANIFEST.json").is_file():
        return
    found = re.search(r"^ansible==(\S+)", (CHECKOUT / "requirements" / "benchmark.txt").read_text(), re.M)
    if not found:
        raise SystemExit("error: requirements/benchmark.txt names no version of the package ansible")
    version, packages = found.group(1), CHECKOUT / "build" / "packages"
    if not list(packages.glob("ansible-%s-*.whl" % version)):
        print("fetching ansible %s, for %s" % (version, name))
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-input"]
        command += ["--no-deps", "--ignore-requires-python", "--dest", str(packages), "ansible==%s" % version]
        subprocess.run(command, check=True)
    (wheel,) = packages.glob("ansible-%s-*.whl" % version)
    with zipfile.ZipFile(wheel) as archive:
        files = [each for each in archive.namelist() if each.startswith(folder)]
        last = folder + "MANIFEST.json"  # that it is there says that all of it is
        archive.extractall(place, [each for each in files if each != last])
        archive.extract(last, place)


if __name__ == "__main__":
    main(sys.argv[1])
