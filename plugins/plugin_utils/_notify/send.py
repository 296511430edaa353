# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends what is due: all channels side by side, so that several dead ones cost no more than one. I/O only.

By the library under ``ansible.builtin.uri``, and by Python's own for mail: a module a message would be a process each,
one after the other, with its secrets in a file.
"""

from __future__ import annotations

import json
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import open_url

from ...module_utils._core.deadline import Deadline
from ...module_utils._core.mask import MASK
from ...module_utils._core.side_by_side import side_by_side
from ...module_utils._core.text import line
from . import channels
from .requests import Request

Key = Tuple[str, str]
SECONDS = 10.0  # in all, whatever is down: a recovery waits for it
_CONNECT_SECONDS = 5.0
_SUBMISSIONS = 465  # TLS from the first byte
_NO_ANSWER = "no answer within %d seconds" % SECONDS
_BEFORE = "the message before it did not arrive"


@dataclass
class Delivery:
    """``problems``: of each request that was tried, why it did not arrive, or nothing; ``notes``: what else to say."""

    channel: channels.Channel
    requests: Sequence[Request]
    problems: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)


def deliver(deliveries: Sequence[Delivery]) -> None:
    side_by_side({str(n): partial(_send, each) for n, each in enumerate(deliveries)}, Deadline(SECONDS))
    for each in deliveries:
        each.problems = list(each.problems)  # a thread that is left behind has the other list
        if len(each.problems) < len(each.requests):
            last = each.problems[-1] if each.problems else ""
            each.problems += [_BEFORE if last else _NO_ANSWER]
            each.problems += [_BEFORE] * (len(each.requests) - len(each.problems))


def answers(wanted: Mapping[Key, Tuple[channels.Channel, Dict[str, Any]]]) -> Dict[Key, Tuple[str, Any]]:
    """Of each request: why it brought nothing, and the JSON that it brought."""
    steps = {str(key): partial(_answer, *each) for key, each in wanted.items()}
    brought = side_by_side(steps, Deadline(SECONDS)).values
    return {key: brought.get(str(key), (_NO_ANSWER, None)) for key in wanted}


def _send(delivery: Delivery) -> None:
    """In order, until one does not arrive: a channel that is down is tried once."""
    channel, done = delivery.channel, delivery.problems
    server: Optional[smtplib.SMTP] = None
    try:
        if channel["type"] == channels.MAIL:
            server = _connected(channel)
        for each in delivery.requests:
            if server:
                _mail(server, delivery, each)
            else:
                _post(channel, each.body)
            done.append("")
    except Exception as error:  # whatever it is, it stops no recovery
        done.append(_why(error, channel))
    finally:
        if server:
            server.close()


def _answer(channel: channels.Channel, body: Dict[str, Any]) -> Tuple[str, Any]:
    try:
        return "", _post(channel, body)
    except Exception as error:
        return _why(error, channel), None


def _post(channel: channels.Channel, request: Mapping[str, Any]) -> Any:
    data = None if request["body"] is None else json.dumps(request["body"]).encode("ascii")
    with open_url(
        request["url"],
        data=data,
        method=request["method"],
        headers={"Content-Type": "application/json", **request["headers"]},
        timeout=_CONNECT_SECONDS,
        follow_redirects="no",  # a POST that is sent elsewhere becomes a GET, and tells nobody
        force_basic_auth=True,
        use_netrc=False,  # it would take the place of a token
        http_agent="oncall.postgresql",
        ca_path=channel["ca_path"],
    ) as answer:
        if not 200 <= answer.getcode() < 300:
            raise OSError("HTTP status %d" % answer.getcode())
        text = answer.read(65536)
    try:
        return json.loads(text.decode("utf-8"))
    except ValueError:
        return None


def _connected(channel: channels.Channel) -> smtplib.SMTP:
    secure, secret = channel["secure"], channel["password"]
    trusted = ssl.create_default_context(cafile=channel["ca_path"])
    place = {"host": channel["host"], "port": channel["port"], "timeout": _CONNECT_SECONDS}
    if secure == "always" or (secure == "try" and channel["port"] == _SUBMISSIONS):
        server: smtplib.SMTP = smtplib.SMTP_SSL(context=trusted, **place)
    else:
        server = smtplib.SMTP(**place)
        server.ehlo_or_helo_if_needed()
        if secure == "starttls" or (secure == "try" and server.has_extn("starttls")):
            # A mail server's own certificate is often nobody's: without a password to lose, a mail is worth more.
            server.starttls(context=trusted if secret or secure == "starttls" else ssl._create_unverified_context())
        elif secure == "try" and secret:
            raise OSError(
                "the server offers no TLS, so the password is not sent. To send it all the same: secure: never"
            )
    if channel["username"]:
        server.login(channel["username"], secret or "")
    return server


def _mail(server: smtplib.SMTP, delivery: Delivery, request: Request) -> None:
    told = request.body
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = delivery.channel["from"], ", ".join(told["to"]), told["subject"]
    mail["Date"], mail["Message-ID"] = formatdate(localtime=True), make_msgid(domain="oncall.postgresql")
    mail["Auto-Submitted"] = "auto-generated"  # so that no absence assistant answers
    if told["references"]:
        mail["References"] = told["references"]
    mail.set_content(told["text"])
    for address, (code, text) in (server.send_message(mail) or {}).items():
        note = "not accepted for %s: SMTP status %d: %s" % (address, code, _text(text))
        delivery.notes.append(_shown(note, delivery.channel))


def _why(error: Exception, channel: channels.Channel) -> str:
    """One line, without what is secret."""
    if isinstance(error, HTTPError):
        try:
            body = _text(error.read(2000))
        except Exception:  # it was cut off; the status is known
            body = ""
        text = "HTTP status %d%s" % (error.code, ": " + body if body else "")
        text += " (a redirect is not followed: give the address it leads to)" if 300 <= error.code < 400 else ""
    elif isinstance(error, smtplib.SMTPRecipientsRefused):
        refused = ("%s: SMTP status %d: %s" % (to, code, _text(why)) for to, (code, why) in error.recipients.items())
        text = "not accepted for %s" % ", ".join(refused)
    elif isinstance(error, smtplib.SMTPResponseException):
        text = "SMTP status %d: %s" % (error.smtp_code, _text(error.smtp_error))
    else:
        reason = error.reason if isinstance(error, URLError) and not isinstance(error.reason, str) else error
        text = str(reason) or type(reason).__name__
    if isinstance(error, FileNotFoundError) and channel["ca_path"]:
        text = "ca_path: %s: %s" % (channel["ca_path"], error.strerror)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        text += ". If it is your own authority's, give its file as ca_path"
    return _shown(text, channel)


def _shown(text: str, channel: channels.Channel) -> str:
    """Masked first, then cut: half a secret is one, too."""
    for secret in sorted(channels.secrets(channel), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return line(text, 250)


def _text(found: Any) -> str:
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)
