# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of a timeline, one JSON line each: how they are written, and read again whatever became of a line. Pure.

Each has ``at`` (UTC) and ``kind``:

opened        host, code, cause, severity, summary, impact {start, source}
look          verb, code, cause, severity, summary, evidence, figures     what a triage found; code null: it could not
              look; ``figures``: see there
acknowledged  by, text
begins        verb, run, by                                      a procedure is about to act
ended         verb, run, outcome, seconds, downtime_seconds, message; noticed_by: a later run, of one that was killed
graded        grade, summary, checks, not_covered                the integrity check's
evidence      path
note          by, text
escalated     to, why                                            and what else its writer wants to keep
refused       by, open                                           it was to be closed, and these items were open
closed        by, root_cause, corrective_actions, items, accepted
queued        channel, notice, levels, round                     a message to those on call is about to be sent
sent          the same
failed        the same, and why, run

A kind that is not known is kept and shown as it is: another version, or somebody's own.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any, Dict, List, NamedTuple, Optional

Event = Dict[str, Any]
OPENED, LOOK, ACKNOWLEDGED, BEGINS, ENDED = "opened", "look", "acknowledged", "begins", "ended"
GRADED, EVIDENCE, NOTE, ESCALATED, REFUSED, CLOSED = "graded", "evidence", "note", "escalated", "refused", "closed"
QUEUED, SENT, FAILED = MESSAGES = "queued", "sent", "failed"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d(?::?\d\d)?)?(?: UTC| GMT)?$")


class Read(NamedTuple):
    events: List[Event]
    torn: int  # lines that are no event: a write was interrupted


def event(at: datetime, kind: str, **more: Any) -> Event:
    return {"at": written(at), "kind": kind, **more}


def written(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def time_of(text: Any) -> Optional[datetime]:
    """A time as the facts, a log or a timeline writes it; None for what is none, or is in a zone known by name only."""
    found = _TIME.match(str(text or "").strip())
    if not found:
        return None
    day, clock, fraction, zone = found.groups()
    zone = {None: "+0000", "Z": "+0000"}.get(zone) or (zone.replace(":", "") + "00")[:5]
    try:
        return datetime.strptime("%s %s.%s%s" % (day, clock, fraction or "0", zone), "%Y-%m-%d %H:%M:%S.%f%z")
    except ValueError:
        return None


def line(each: Event) -> bytes:
    """Plain ASCII, whatever a name holds: half a character cannot be left behind."""
    return json.dumps(each, sort_keys=False).encode("ascii") + b"\n"


def read(data: bytes) -> Read:
    events, torn = [], 0
    for text in data.split(b"\n"):
        if not text.strip():
            continue
        try:
            found = json.loads(text.decode("utf-8"))
        except ValueError:  # UnicodeDecodeError is one
            found = None
        except RecursionError:
            found = None
        if isinstance(found, dict) and isinstance(found.get("kind"), str) and time_of(found.get("at")):
            events.append(found)
        else:
            torn += 1
    return Read(events, torn)
