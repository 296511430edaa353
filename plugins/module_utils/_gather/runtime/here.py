# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of a server that no engine runs: their place in the network is this host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from ..client import client
from ..client.settings import named_user, resolve_login

if TYPE_CHECKING:
    from ..._core.deadline import Deadline
    from ..._model.facts import ClientFacts
    from .base import ClientOption, Login


class HereClient:
    """One declared client; ``defaults`` (host, port, user, password, database, ssl_mode) fill what it leaves out."""

    def __init__(self, option: ClientOption, defaults: Mapping[str, Any], ca_cert: Optional[str] = None) -> None:
        self._option, self._ca_cert = option, ca_cert
        self.login: Optional[Login] = resolve_login(option.login, {}, defaults)
        self.user = named_user(option.login, {})
        self.application_name = option.application_name
        self.addresses: Sequence[str] = ()
        self.process: Optional[int] = os.getpid()

    def examine(self, deadline: Deadline) -> ClientFacts:
        return client.examine_here(self._option, self.login, deadline, self._ca_cert)
