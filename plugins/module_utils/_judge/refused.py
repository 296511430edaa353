# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings a server means that refuses to start. Pure."""

from __future__ import annotations

import re
from typing import Iterable, List

# Settings whose values may be secret: what is not told again may not be taken out.
SECRET = ("primary_conninfo", "ssl_passphrase_command")
# What a FATAL names where it does not name the setting itself.
_MEANT = (
    ("TCP/IP sockets", ("listen_addresses", "port")),
    ("Unix-domain socket", ("unix_socket_directories", "unix_socket_group", "port")),
    (".s.PGSQL.", ("unix_socket_directories", "unix_socket_group", "port")),
    ("could not access file", ("shared_preload_libraries",)),
    ("could not load library", ("shared_preload_libraries",)),
    ("shared memory", ("huge_pages", "huge_page_size", "shared_buffers", "max_connections")),
    ("ssl", ("ssl", "ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file")),
    ("certificate", ("ssl", "ssl_cert_file", "ssl_ca_file", "ssl_crl_file")),
    ("private key", ("ssl", "ssl_key_file")),
)


def meant(said: str, names: Iterable[str]) -> List[str]:
    """Of ``names`` those that the server's words name, else those that they mean."""
    known = list(dict.fromkeys(names))  # a hand may have written one twice; the last counts
    named = [name for name in known if re.search(r"\b%s\b" % re.escape(name), said, re.IGNORECASE)]
    others = [name for words, settings in _MEANT if words.lower() in said.lower() for name in settings]
    return named or [name for name in known if name.lower() in others]
