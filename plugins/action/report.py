# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the controller: gather what every host of the play registered, show it, write it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc

from ..module_utils._core.times import now
from ..plugin_utils._incident.state import Incident
from ..plugin_utils._incident.store import Store
from ..plugin_utils._report import files, settings, text
from ..plugin_utils._report.lines import Span
from ..plugin_utils._report.model import Host, raw_variables, registered, summary, worst_first


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True  # once for the whole play, whoever forgets run_once
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        result: Dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(
            argument_spec={
                "variable": {"type": "str", "default": "oncall_triage"},
                "before": {"type": "str"},
                "notes": {"type": "str"},
                "settings": {"type": "str"},
                "hosts": {"type": "list", "elements": "str"},
                "report_dir": {"type": "path"},
                "incident_dir": {"type": "path"},
                "evidence": {"type": "str", "default": ""},
                "report_mode": {"type": "str", "choices": list(files.MODES), "default": files.MODES[0]},
            }
        )[1]
        variables = task_vars or {}
        names = options["hosts"] if options["hosts"] is not None else variables["ansible_play_hosts_all"]
        found = raw_variables(variables["hostvars"], names)
        hosts = worst_first(
            registered(found, options["variable"]),
            registered(found, options["before"]) if options["before"] else None,
            _notes(found, options["notes"]) if options["notes"] else None,
            {name: settings.read(mine.get(options["settings"] or "")) for name, mine in found.items()},
        )
        failure, report, unread = None, None, ""
        if options["report_dir"]:
            incidents, unread = _incidents(options["incident_dir"], [host.name for host in hosts])
            try:
                at, mode = now().strftime(files.AT), int(options["report_mode"], 8)
                report = files.write(hosts, options["report_dir"], at, mode, incidents)
            except OSError as error:
                failure = "The report cannot be written to %s: %s. Give another directory with report_dir." % (
                    options["report_dir"],
                    error.strerror or error,
                )
        self._show(hosts, report, "\n".join(filter(None, [options["evidence"], unread])))
        if failure:
            return dict(result, failed=True, msg=failure)
        result.update(changed=False, summary=summary(hosts), report=report)
        # The screen has it already; with -v it is not to come again.
        result["_ansible_verbose_override"] = True
        return result

    def _show(self, hosts: List[Host], report: Optional[str], evidence: str) -> None:
        if constants.DEFAULT_STDOUT_CALLBACK.rpartition(".")[2] in ("json", "jsonl", "null"):
            return  # its output is read by a program
        lines = text.render(hosts, self._display.columns, report, evidence)
        coloured = "\n".join("".join(_coloured(span) for span in line).rstrip() for line in lines)
        plain = text.plain(lines)
        if coloured == plain:
            self._display.display(plain)
        else:
            self._display.display(coloured, screen_only=True)
            self._display.display(plain, log_only=True)


def _notes(variables: Mapping[str, Mapping[str, Any]], variable: str) -> Dict[str, List[Any]]:
    """Lines (text, or {text, tells}), or one line, that each host has in ``variable``."""
    found: Dict[str, List[Any]] = {}
    for name, mine in variables.items():
        value = mine.get(variable)
        lines = [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else []
        found[name] = [line for line in lines if line]
    return found


def _incidents(directory: Optional[str], names: List[str]) -> Tuple[Dict[str, List[Incident]], str]:
    """Those to be shown of each host; and a line where they cannot be read, which stops no report."""
    if not directory:
        return {}, ""
    try:
        return Store(directory).shown(names, now()), ""
    except OSError as error:
        return {}, "Incidents: not on the page, %s cannot be read (%s)." % (directory, error.strerror or error)


def _coloured(span: Span) -> str:
    words, status = span
    colours = {
        "ok": constants.COLOR_OK,
        "warning": "yellow",
        "critical": constants.COLOR_ERROR,
        "emergency": "bright purple",
        "unreachable": constants.COLOR_UNREACHABLE,
        "failed": constants.COLOR_UNREACHABLE,
        "skip": constants.COLOR_SKIP,
    }
    colour = colours.get(status) if status else None
    return str(stringc(words, colour)) if colour and words.strip() else words
