# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A procedure as a user starts it: from what triage finds to healthy."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.stack import PASSWORD as APP_PASSWORD

from .test_real_servers import PASSWORD, Controller

OTHER = "somebody-Elses-4714"


def carry_out(controller: Controller, verb: str, found: str, **variables: Any) -> str:
    """The verb's command: exit code 0, the report says ``found`` before and healthy after. Its output."""
    given = {"oncall_report_dir": "reports", **variables}
    code, out = controller.run("ansible-playbook", "oncall.postgresql.%s" % verb, "-e", json.dumps(given))
    assert code == 0, out
    before = json.loads((controller.reports / "before" / "db.json").read_text())["verdict"]
    assert "%s / %s" % (before["code"], before["cause"]) == found, out
    assert controller.result("db")["verdict"]["code"] == "healthy", out
    assert PASSWORD not in out and OTHER not in out and APP_PASSWORD not in out
    return out
