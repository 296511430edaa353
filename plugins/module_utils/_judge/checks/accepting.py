# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Question 2: is it accepting connections?

Any answer but 57P03 (cannot_connect_now) means that it does: whom it refuses, and why, is asked later. A listener that
no client needs (everything goes by the Unix socket) may be as closed as it likes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from ..._core.text import duration, line, names
from ..._model.answers import NO, OK, WARNING, YES, Answer, Finding, Thresholds, Values
from .. import titles
from ..hba import broken, describe
from . import restart
from .readings import CANNOT_CONNECT_NOW, down, loopback, not_asked, refusals, socket_path, wire_line

if TYPE_CHECKING:
    from ..._model.facts import ClientFacts, Facts, Listening, ServerFacts, Snapshot, WireAnswer

QUESTION = "accepting"
LOCAL = ("socket", "loopback", "network")
YOUNG_SECONDS = 60


def check(facts: Facts, thresholds: Thresholds) -> Answer:
    if down(facts):
        return not_asked(QUESTION, "the server is down")
    answer = _frozen(facts) or _cannot_connect_now(facts) or _not_listening(facts, thresholds) or _nobody_answers(facts)
    findings = tuple(_findings(facts))
    if answer:
        cause, evidence, values = answer
        name = (
            facts["server"]["name"]
            if facts["server"]
            else facts["wire"][0]["address"]
            if facts["wire"]
            else "the server"
        )
        return Answer(
            QUESTION,
            NO,
            evidence[0],
            "not_accepting",
            cause,
            tuple(dict.fromkeys(evidence)),
            findings,
            replace(values, server=name),
        )
    accepting = [reply for reply in facts["wire"] if _answers(reply)]
    if facts["snapshot"] or accepting:
        detail = wire_line(accepting[0]) if accepting else "SQL answers"
        return Answer(QUESTION, YES, detail, findings=findings)
    if _waiting(facts):
        return Answer(QUESTION, YES, "new sessions start, but wait for a lock", findings=findings)
    why = facts["errors"].get("wire") or "its listeners are unknown"
    if facts["wire"]:
        why = "no connection could be made: " + wire_line(facts["wire"][0])
    return not_asked(QUESTION, line(why), findings)


Result = Tuple[str, List[str], Values]


def _answers(reply: WireAnswer) -> bool:
    if reply["outcome"] == "accepting":
        return True
    return reply["outcome"] == "rejecting" and reply["sqlstate"] != CANNOT_CONNECT_NOW


def _frozen(facts: Facts) -> Optional[Result]:
    server, wire = facts["server"], facts["wire"]
    silent = [wire_line(reply) for reply in wire if reply["outcome"] in ("silent", "timeout")]
    if server and server["state"] == "paused":
        return (
            "unresponsive",
            ["%s is paused" % server["name"], *silent],
            Values(advice="%s unpause %s" % (server["engine_command"] or "docker", server["name"])),
        )
    if server and (server["postmaster_state"] or "").upper() == "T":
        pid = server["postmaster_pid"]
        text = "postmaster (pid %s) was stopped by a signal (process state T)" % pid
        return "unresponsive", [text, *silent], Values(advice="kill -CONT %s" % pid)
    if facts["snapshot"] or not wire or _waiting(facts):
        return None
    # Seen from its own place, a connection that times out is a full backlog; from elsewhere it is the network.
    direct = _direct(wire)
    mute = [
        reply for reply in direct if reply["outcome"] == "silent" or (reply["outcome"] == "timeout" and _near(reply))
    ]
    if len(mute) == len(direct):
        return "unresponsive", silent, Values(advice="check its storage (iostat) and look for processes in state D")
    return None


def _direct(wire: Sequence[WireAnswer]) -> List[WireAnswer]:
    """Without what the engine's own proxy accepts in the server's name, unless that is all there is."""
    return [reply for reply in wire if reply["kind"] != "published"] or list(wire)


def _near(reply: WireAnswer) -> bool:
    return reply["kind"] in LOCAL


def _waiting(facts: Facts) -> bool:
    """A backend that waits for a lock while it starts: a session holds a lock on the catalog, the server is fine."""
    server = facts["server"]
    return bool(server) and any(
        backend.waiting and backend.state == titles.AUTHENTICATION
        for backend in titles.backends(server["processes"] if server else [])
    )


def _cannot_connect_now(facts: Facts) -> Optional[Result]:
    server = facts["server"]
    if facts["snapshot"] or any(_answers(reply) for reply in facts["wire"]):
        return None
    refused = refusals(facts, CANNOT_CONNECT_NOW)
    lock_status = server["lock_file"]["status"] if server and server["lock_file"] else None
    if not refused and lock_status != "stopping":
        return None
    evidence = [wire_line(reply) for reply in facts["wire"] if reply["sqlstate"] == CANNOT_CONNECT_NOW]
    evidence = evidence or ["%s: SQLSTATE %s: %s" % (who, CANNOT_CONNECT_NOW, said) for who, said, _unused in refused]
    if lock_status == "stopping":
        return "shutting_down", ['postmaster.pid says "stopping"', *evidence], Values()
    replay = _replay(server) if server else []
    if replay:
        return "recovering", replay + evidence, Values()
    if not server or server["state"] == "unknown":
        # From outside the words are all there is; in another language the server is taken to be starting up.
        said = " ".join(message.lower() for _who, message, _client in refused)
        if "shutting down" in said:
            return "shutting_down", evidence, Values()
        if "recovery" in said or "not yet accepting" in said or "hot standby" in said:
            return "recovering", evidence, Values()
    if lock_status:
        evidence.append('postmaster.pid says "%s"' % lock_status)
    return "starting_up", evidence, Values()


def _replay(server: ServerFacts) -> List[str]:
    found = []
    startup = titles.startup(server["processes"])
    if startup is not None and startup.split(" ")[0] in ("recovering", "waiting"):
        found.append("startup process: %s" % startup)
    control, directory = server["control"], server["data_directory"]
    if control and control["state"] in ("in crash recovery", "in archive recovery"):
        found.append('control state is "%s"' % control["state"])
    if directory and (directory["standby_signal"] or directory["recovery_signal"]):
        signal = "standby.signal" if directory["standby_signal"] else "recovery.signal"
        found.append("%s is present" % signal)
    return found


def _not_listening(facts: Facts, thresholds: Thresholds) -> Optional[Result]:
    """It answers at its own place, and its clients have no port to knock at."""
    server = facts["server"]
    inside = [reply for reply in facts["wire"] if reply["kind"] in ("socket", "loopback") and _answers(reply)]
    if server is None or server["state"] == "unknown" or not (inside or facts["snapshot"]):
        return None
    clients = [client for client in facts["clients"] if _needs_network(client)]
    published = [reply for reply in facts["wire"] if reply["kind"] == "published"]
    turned_away = [reply for reply in published if reply["outcome"] == "refused"]
    if not clients and not turned_away:
        return None
    # A client that gets through (by a proxy, say) proves that nothing is wrong with the listener.
    unheard = [client for client in clients if not _through(client)]
    if clients and not unheard:
        return None
    network = [reply for reply in facts["wire"] if reply["kind"] == "network"]
    refused = [reply for reply in network if reply["outcome"] == "refused"]
    evidence: List[str] = []
    ours = [held for held in server["listening"] or [] if held["ours"] is not False]
    where = names("%s:%d" % (held["address"], held["port"]) for held in ours) or "no TCP port"
    unheard_at = [reply for reply in refused if not any(_listens_at(held, reply["address"]) for held in ours)]
    if network and len(unheard_at) == len(network):
        evidence += [wire_line(reply) for reply in unheard_at]
    if ours and all(loopback(held["address"]) for held in ours):
        evidence.append("listens on %s only" % where)
    elif server["listening"] == [] and not any(_answers(reply) for reply in network):
        evidence.append("listens on no TCP port")
    evidence += _wrong_port(server, unheard, [held["port"] for held in ours], where)
    if not evidence:
        return None
    snapshot = facts["snapshot"]
    advice: Optional[str] = "correct listen_addresses or port (or the clients), then restart it"
    if snapshot:
        configured = snapshot["configured"]
        evidence.append("listen_addresses = '%s', port = %d" % (configured["listen_addresses"], configured["port"]))
        pending = [
            row["name"] for row in configured["pending_restart"] if row.get("name") in ("listen_addresses", "port")
        ]
        if pending:
            evidence.append("%s was changed, pending restart" % names(pending))
            advice = restart.instead(facts, thresholds)
    evidence += [
        "%s: connection to %s refused" % (client["name"], client["reach"]["address"] or "the server")
        for client in unheard
        if client["reach"] and client["reach"]["outcome"] == "refused"
    ]
    return "not_listening", evidence, Values(where=where, advice=advice, restart_helps=advice is None)


def _listens_at(held: Listening, address: str) -> bool:
    """There is a listener at ``address`` (host:port): whoever is refused there meets a firewall."""
    host, _unused, port = address.rpartition(":")
    return str(held["port"]) == port and held["address"] in ("0.0.0.0", "::", "*", host.strip("[]"))


def _wrong_port(server: ServerFacts, clients: Sequence[ClientFacts], ports: Sequence[int], where: str) -> List[str]:
    own = [network["address"] for network in server["networks"] if network["address"]]
    found = []
    for client in clients:
        login, reach, resolution = client["login"], client["reach"], client["resolution"]
        if not (login and reach and reach["outcome"] == "refused" and ports) or login["port"] in ports:
            continue
        if resolution and set(resolution["addresses"]) & set(own):  # it is this server that it asks
            found.append(
                "%s connects to port %d, but the server listens on %s" % (client["name"], login["port"], where)
            )
    return found


def _needs_network(client: ClientFacts) -> bool:
    login = client["login"]
    if login is None or socket_path(login["host"]):
        return False
    return not (client["place"] == "here" and loopback(login["host"]))


def _through(client: ClientFacts) -> bool:
    reach, attempt, startup = client["reach"], client["attempt"], client["startup"]
    return bool(
        (reach and reach["outcome"] == "open") or (attempt and attempt["succeeded"]) or (startup and _answers(startup))
    )


def _nobody_answers(facts: Facts) -> Optional[Result]:
    """The process is there, and no port nor socket of it is: too young, or something is amiss that has no name."""
    server, wire = facts["server"], facts["wire"]
    if facts["snapshot"] or not wire or any(_answers(reply) for reply in wire):
        return None
    evidence = [wire_line(reply) for reply in wire]
    if all(reply["outcome"] == "not_postgresql" for reply in wire):
        return "unknown", evidence, Values()
    if server is None or server["state"] != "running":
        return None
    if not all(reply["outcome"] in ("refused", "missing", "not_postgresql") for reply in _direct(wire)):
        return None
    lock, uptime = server["lock_file"], server["uptime_seconds"]
    if (lock and lock["status"] == "starting") or (uptime is not None and uptime < YOUNG_SECONDS):
        if lock and lock["status"]:
            evidence.append('postmaster.pid says "%s"' % lock["status"])
        if uptime is not None:
            evidence.append("up for %s" % duration(uptime))
        return "starting_up", evidence, Values()
    return "unknown", evidence, Values()


def _findings(facts: Facts) -> List[Finding]:
    snapshot = facts["snapshot"]
    if not snapshot:
        return []
    return _configuration(snapshot) + _limited(snapshot)


def _configuration(snapshot: Snapshot) -> List[Finding]:
    configured = snapshot["configured"]
    found = []
    if configured["file_errors"]:
        evidence = tuple(
            "%s line %s: %s: %s" % (row.get("file"), row.get("line"), row.get("name"), line(str(row.get("error"))))
            for row in configured["file_errors"]
        )
        text = "Configuration files contain errors: a reload would fail"
        found.append(Finding("configuration_error", WARNING, text, evidence))
    wrong = [rule for rule in configured["hba_rules"] or [] if broken(rule)]
    if wrong:
        text = "pg_hba.conf contains errors: a reload would keep the old rules, a restart would fail"
        found.append(Finding("hba_error", WARNING, text, tuple(describe(rule) for rule in wrong)))
    if configured["pending_restart"]:
        evidence = tuple("%s = %s" % (row.get("name"), row.get("setting")) for row in configured["pending_restart"])
        found.append(Finding("pending_restart", WARNING, "Changed settings are pending a restart", evidence))
    return found


def _limited(snapshot: Snapshot) -> List[Finding]:
    if not snapshot["limited"]:
        return []
    text = "The login role cannot see everything: grant it pg_monitor for a full answer"
    return [Finding("limited_view", OK, text)]
