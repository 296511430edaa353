# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``project.py up FILE`` brings up a project that outlives this program and writes FILE: its target and where it is.

``project.py fill FILE`` has every container of the API use its pool to the last connection.
``project.py down FILE`` removes it all.
"""

from __future__ import annotations

import json
import pathlib
import pickle
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.lab.pooled import Pooled


def up(file: pathlib.Path) -> None:
    project = Pooled(2)
    try:
        project.begin()
        known = {"target": project.target(), "project": project.project, "work": str(project.work)}
        file.with_suffix(".pickle").write_bytes(pickle.dumps(project))
        file.write_text(json.dumps(known))
    except BaseException:
        project.close()
        raise


def brought_up(file: pathlib.Path) -> Pooled:
    project: Pooled = pickle.loads(file.with_suffix(".pickle").read_bytes())
    return project


def fill(file: pathlib.Path) -> None:
    project = brought_up(file)
    for name in project.names("api"):
        project.fill(name)


def down(file: pathlib.Path) -> None:
    brought_up(file).close()
    file.with_suffix(".pickle").unlink()
    file.unlink()


if __name__ == "__main__":
    {"up": up, "fill": fill, "down": down}[sys.argv[1]](pathlib.Path(sys.argv[2]))
