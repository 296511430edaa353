# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking takes little memory, whatever the server allows: in a container at its limit it would be what kills it."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.oncall.postgresql.plugins.module_utils._core.deadline import Deadline
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.session.libpq import LibpqSession
from ansible_collections.oncall.postgresql.plugins.module_utils._gather.snapshot import take
from ansible_collections.oncall.postgresql.plugins.module_utils._model.answers import Thresholds
from tests.embedded import Server


def test_a_large_work_mem_is_not_used() -> None:
    with Server(18, settings={"work_mem": "512MB", "hash_mem_multiplier": "4"}) as server:
        session = LibpqSession(None, server.port, "postgres", None, "postgres", unix_socket=str(server.directory))
        take(session, Deadline(20), Thresholds(), ["postgres"], ["postgres"])
        other = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        pid = int(server.sql("SELECT pid FROM pg_stat_activity WHERE %s" % other))
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/%d/status" % pid).read_text())
        session.close()
        assert peak and int(peak[1]) < 100 * 1024, "%s kB" % (peak and peak[1])
