# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The toolbox: what a shell in the official postgres image finds out at a client's place. Script and parser.

Needs sh, getent, timeout and psql; with bash (both flavours of the official image have it) TCP is probed plainly and
the start-up packet is sent byte by byte, so that the answer's SQLSTATE is seen. The login is psql's: its message is
the server's, in the server's language, and tells no SQLSTATE; the catalog says why it failed. (A refusal that comes
before the password is that of the start-up packet, too, which tells its SQLSTATE.)
The password comes on the first line of standard input: it is in no argument list and in no container's configuration.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from ..._core.deadline import libpq_seconds
from ..._core.mask import mask
from ..._core.numbers import decimal, median, whole
from ..wire import protocol
from ..wire.reach import show_address
from ..wire.wire import answered, read_answer
from .settings import secrets_of

if TYPE_CHECKING:
    from ..._model.facts import LoginAttempt, Reach, Resolution, WireAnswer
    from ..runtime.base import Login

# bash -c TEXT address port: the seconds of the epoch before and after connecting.
_PROBE_BASH = r"""
begin=$EPOCHREALTIME; exec 3<>"/dev/tcp/$0/$1" || exit 1; echo "$begin $EPOCHREALTIME"
"""
# bash -c TEXT address port packet(as printf's format): the answer's first message, in hexadecimal.
_STARTUP_BASH = r"""
exec 3<>"/dev/tcp/$0/$1" || exit 1
# shellcheck disable=SC2059 # the packet is written as a format: its bytes are octal escapes
printf "$2" >&3
header=$(timeout 2 head -c 5 <&3 | od -An -v -tx1 | tr -d " \n"; exit "${PIPESTATUS[0]}") || exit 124
length=$((16#${header:2}0 / 16 - 4))
body=
if [ "${#header}" -eq 10 ] && [ "$length" -gt 0 ] && [ "$length" -lt 20000 ]; then
  body=$(timeout 1 head -c "$length" <&3 | od -An -v -tx1 | tr -d " \n")
fi
echo "$header$body"
"""
# Arguments: host port user database ssl_mode seconds start-up-packet(as printf's format) attempt(yes|no) and the two
# texts above, for where there is bash.
_TOOLBOX_SH = r"""
IFS= read -r PGPASSWORD
export LC_ALL=C PGPASSWORD RES_OPTIONS='timeout:1 attempts:1'
[ -n "$PGPASSWORD" ] || unset PGPASSWORD
host=$1 port=$2 seconds=$6
say() { printf '%s\t%s\n' "$1" "$2"; }
mark() { say "$1" "$(date +%s%N)"; }
mark begin
case $host in
(/*) addresses= ;;
(*) addresses=$(timeout 3 getent ahosts "$host" | while read -r address rest; do echo "$address"; done | uniq |
  head -n 4) ;;
esac
mark resolved
for address in $addresses; do say resolve "$address"; done
say resolve-done ''
open=no
for address in $addresses; do
  say reach "$address"
  if command -v bash > /dev/null; then
    found=$(
      for _ in 1 2 3 4 5 6 7 8 9 10; do
        (
          text=$(timeout 0.9 bash -c "$9" "$address" "$port" 2>&1)
          code=$?
          printf 'probe\t%s %s\n' "$code" "$(printf %s "$text" | tr '\n\t' '  ')"
        ) &
      done
      wait)
    printf '%s\n' "$found"
    case $found in (*"probe	0 "*) open=yes; break ;; esac
  else
    pg_isready -q -h "$address" -p "$port" -t 2; code=$?
    say ready "$code"
    [ "$code" -lt 2 ] && { open=yes; break; }
  fi
done
let_in=no
if [ "$8" = yes ] && { [ -n "$addresses" ] || [ "${host#/}" != "$host" ]; }; then
  export PGHOST="$host" PGPORT="$port" PGUSER="$3" PGDATABASE="$4" PGSSLMODE="$5" PGAPPNAME=oncall
  [ "$open" = yes ] || [ -z "$addresses" ] || seconds=2
  export PGCONNECT_TIMEOUT="$seconds"
  mark login-begin
  text=$(timeout "$seconds" psql -XAtqw -F ' ' -c "SELECT coalesce(host(inet_client_addr()), '-'), \
    (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())" 2>&1); code=$?
  mark login-end
  say login "$code"
  [ "$code" -ne 0 ] || let_in=yes
  printf '%s\n' "$text" | while IFS= read -r line; do say login-text "$line"; done
fi
# Only where the login did not tell: the packet knows no TLS, and the server may log a refusal of it.
if [ "$open" = yes ] && [ "$let_in" = no ] && command -v bash > /dev/null; then
  mark asked
  hex=$(timeout 2 bash -c "${10}" "$address" "$port" "$7" 2> /dev/null)
  say startup "$? $hex"
  mark answered
fi
"""

_HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2})*\Z")
_CONNECTION_FAILED = re.compile(
    r"^psql: (?:error: )?(?:could not connect to server: |connection to server .*? failed: )?"
)
_FROM_SERVER = re.compile(r"^\S+:  \S")  # libpq prints an ErrorResponse as "SEVERITY:  text", in any language
_OWN_TEXTS = (  # libpq's own messages, which LC_ALL=C keeps in English
    ("timeout expired", "timeout"),
    ("server does not support SSL, but SSL was required", "no_tls"),
    ("certificate verify failed", "bad_certificate"),
    ("server closed the connection unexpectedly", "closed"),
)


def toolbox_command(settings: Login, seconds: float, attempt: bool) -> Tuple[List[str], str]:
    """(argv, standard input) for the toolbox. ``seconds`` is all the time it has; whole ones are psql's unit."""
    packet = protocol.startup(settings.user, settings.database, "oncall")
    ssl_mode = "require" if settings.ssl_mode in ("verify-ca", "verify-full") else settings.ssl_mode
    argv = [
        "sh",
        "-c",
        _TOOLBOX_SH,
        "oncall",
        settings.host,
        str(settings.port),
        settings.user,
        settings.database,
        ssl_mode,
        str(libpq_seconds(seconds - 4, 4)),
        "".join("\\%03o" % byte for byte in packet),
        "yes" if attempt else "no",
        _PROBE_BASH,
        _STARTUP_BASH,
    ]
    return argv, (settings.password or "") + "\n"


def parse_toolbox(text: str, settings: Login) -> Dict[str, Any]:
    """{resolution, reach, startup, attempt} of what the script printed; empty when it did not get that far."""
    lines: List[Tuple[str, str]] = []
    for line in text.splitlines():
        key, tab, value = line.partition("\t")
        if tab:
            lines.append((key, value))
    words = dict(lines)
    if "resolve-done" not in words:
        return {}
    secrets = secrets_of(settings)
    addresses = list(dict.fromkeys(value for key, value in lines if key == "resolve"))
    resolution = _resolution(settings.host, addresses, _between(words, "begin", "resolved"))
    reach = _reach(lines, settings.port)
    attempt = _attempt(lines, words, secrets)
    startup = None if reach is None else _startup(words, reach, attempt, secrets)
    if attempt and startup and attempt["outcome"] == "rejected" and attempt["message"] == startup["message"]:
        attempt["sqlstate"] = startup["sqlstate"]  # the same refusal, where it tells its code
    return {
        "resolution": None if settings.host.startswith("/") else resolution,
        "reach": reach,
        "startup": startup,
        "attempt": attempt,
    }


def _between(words: Dict[str, str], first: str, second: str) -> float:
    """Milliseconds; 0 where ``date`` knows no nanoseconds."""
    begin, end = whole(words.get(first)), whole(words.get(second))
    if begin is None or end is None or min(begin, end) < 10**15:
        return 0.0
    return round((end - begin) / 1e6, 3)


def _resolution(name: str, addresses: List[str], elapsed_ms: float) -> Resolution:
    # getent tells a missing name and a silent name server apart only by the time it takes.
    error = None if addresses else ("timeout" if elapsed_ms > 900 else "not_found")
    return {"name": name, "addresses": addresses, "nameserver": None, "error": error, "elapsed_ms": elapsed_ms}


def _reach(lines: List[Tuple[str, str]], port: int) -> Optional[Reach]:
    """Of the addresses tried, the last one if it is open, else the first."""
    tried: List[Reach] = []
    for index, (key, address) in enumerate(lines):
        if key != "reach":
            continue
        probes: List[Tuple[str, Optional[float]]] = []
        for key_after, value in lines[index + 1 :]:
            if key_after == "reach":
                break
            if key_after == "probe":
                probes.append(_probe(value))
            elif key_after == "ready":
                probes.append((("open" if value in ("0", "1") else "lost"), None))
        if not probes:
            continue
        kinds = [kind for kind, _unused in probes]
        outcome = next((name for name in ("open", "refused", "unreachable") if name in kinds), "timeout")
        answered = kinds.count(outcome) if outcome in ("open", "refused") else 0
        times = [milliseconds for kind, milliseconds in probes if kind == "open" and milliseconds is not None]
        tried.append(
            {
                "address": show_address(address, port),
                "probes": len(probes),
                "answered": answered,
                "loss_percent": round(100.0 * (len(probes) - answered) / len(probes), 1),
                "latency_ms": round(median(times), 3) if times else None,
                "outcome": outcome,
            }
        )
    if not tried:
        return None
    return tried[-1] if tried[-1]["outcome"] == "open" else tried[0]


def _probe(value: str) -> Tuple[str, Optional[float]]:
    """bash's exit code, and its two times (seconds) or its complaint."""
    code, _unused, text = value.partition(" ")
    if code == "0":
        times = [decimal(word) for word in text.replace(",", ".").split()]
        known = [each for each in times if each is not None]
        return "open", (known[1] - known[0]) * 1000 if len(known) == len(times) == 2 else None
    if "refused" in text:
        return "refused", None
    return ("unreachable" if "No route" in text or "unreachable" in text else "lost"), None


def _startup(
    words: Dict[str, str], reach: Reach, attempt: Optional[LoginAttempt], secrets: List[str]
) -> Optional[WireAnswer]:
    """None where the port is open, but the image has no bash to ask with."""
    result: WireAnswer = {
        "kind": "network",
        "address": reach["address"] or "",
        "outcome": reach["outcome"],
        "severity": None,
        "sqlstate": None,
        "message": "no connection",
        "elapsed_ms": 0.0,
    }
    if reach["outcome"] != "open":
        return result
    if attempt and attempt["succeeded"]:
        return answered(result["address"], "network", attempt)
    if "startup" not in words:
        return None
    code, _unused, digits = words["startup"].partition(" ")
    result["elapsed_ms"] = _between(words, "asked", "answered")
    if code == "0":
        answer = read_answer(binascii.unhexlify(digits) if _HEXADECIMAL.match(digits) else b"?")
        result["outcome"], result["severity"], result["sqlstate"] = answer.outcome, answer.severity, answer.sqlstate
        result["message"] = answer.message and mask(answer.message, secrets)
    elif code == "124":
        result["outcome"], result["message"] = "silent", "connected, but no answer to the start-up packet"
    else:
        result["outcome"] = "timeout"
    return result


def _attempt(lines: List[Tuple[str, str]], words: Dict[str, str], secrets: List[str]) -> Optional[LoginAttempt]:
    if "login" not in words:
        return None
    said = [value for key, value in lines if key == "login-text" and value.strip()]
    result: LoginAttempt = {
        "succeeded": False,
        "outcome": "failed",
        "severity": None,
        "sqlstate": None,
        "message": None,
        "method": None,
        "tls": False,
        "source_address": None,
        "elapsed_ms": _between(words, "login-begin", "login-end"),
    }
    if words["login"] == "0":
        result["succeeded"], result["outcome"] = True, "ok"
        answer = (said[-1] if said else "").split()
        if len(answer) == 2:
            result["source_address"] = None if answer[0] == "-" else answer[0]
            result["tls"] = answer[1] == "t"
        return result
    if words["login"] in ("124", "143"):
        result["outcome"], result["message"] = "timeout", "no answer in time"
        return result
    text = _CONNECTION_FAILED.sub("", said[0]) if said else "psql printed nothing (exit code %s)" % words["login"]
    result["message"] = mask(text, secrets)[:300]
    if _FROM_SERVER.match(text):
        result["outcome"], result["severity"] = "rejected", "FATAL"  # what ends a connection always is
        result["message"] = mask(text.split(":  ", 1)[1], secrets)[:300]
    else:
        result["outcome"] = next((outcome for words_, outcome in _OWN_TEXTS if words_ in " ".join(said)), "failed")
    return result
