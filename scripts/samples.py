# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``scripts/samples.json``: what the modules returned in real runs (``scripts/scenes.py``).

python -m scripts.samples             # make all of it anew (takes Docker); then python -m scripts.returns
python -m scripts.samples sessions    # the scenes that show this module
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from scripts.results import RESULTS
from scripts.returns import SAMPLES

Task = dict[str, Any]


def task(module: str, options: Mapping[str, Any], register: str = "", fails: bool = False) -> Task:
    """``register``: under which name what comes of it is kept, the module's own unless said."""
    found: Task = {"oncall.postgresql.%s" % module: dict(options), "register": register or module}
    return {**found, "ignore_errors": True} if fails else found


def play(tasks: Sequence[Task]) -> dict[str, Any]:
    """What each task registered, run by Ansible against this machine."""
    place = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"postgresql": {"hosts": {"shop-db": place}}}
    with tempfile.TemporaryDirectory() as work:
        found = pathlib.Path(work, "found.json")
        wanted = ", ".join("'%s': %s" % (each["register"], each["register"]) for each in tasks if "register" in each)
        keep = {"content": "{{ {%s} | to_json }}" % wanted, "dest": str(found), "mode": "0600"}
        document = [
            {"hosts": "postgresql", "gather_facts": False, "tasks": [*tasks, {"ansible.builtin.copy": keep}]},
        ]
        pathlib.Path(work, "play.json").write_text(json.dumps(document))
        pathlib.Path(work, "inventory.json").write_text(json.dumps(inventory))
        program = str(pathlib.Path(sys.executable).with_name("ansible-playbook"))
        home = str(pathlib.Path(work, "home"))
        environment = {**os.environ, "ANSIBLE_HOME": home, "HOME": home}
        subprocess.run([program, "-i", "inventory.json", "play.json"], cwd=work, env=environment, check=True)
        results: dict[str, Any] = json.loads(found.read_text())
    return results


def sample(module: str, values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The documented keys of the run that succeeded, and of those that failed what is documented for a failure."""
    result = RESULTS[module]
    (done,) = [value for value in values if not value.get("failed")]
    found = {key: done[key] for key in get_type_hints(result.shape)}
    for key in (key for shape in result.sometimes.values() for key in get_type_hints(shape) if key not in found):
        said = [value[key] for value in values if value.get("failed") and key in value]
        if said:
            found[key] = next((each for each in said if each not in (None, [])), said[0])
    return found


def main(wanted: Sequence[str]) -> None:
    from scripts.scenes import SCENES

    samples: dict[str, Any] = json.loads(SAMPLES.read_text()) if SAMPLES.exists() else {}
    for modules, scene in SCENES.items():
        if wanted and not set(wanted) & set(modules):
            continue
        found = scene()
        for module in modules:
            samples[module] = sample(module, [found[each] for each in found if each.partition("__")[0] == module])
    SAMPLES.write_text(json.dumps({name: samples[name] for name in RESULTS if name in samples}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
