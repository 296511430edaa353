# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set in postgresql.auto.conf from here: by ALTER SYSTEM, or while the server is down. Pure."""

from __future__ import annotations

from ..._core.mask import MASK

# The server refuses them in postgresql.auto.conf; pg_settings does not say so.
ELSEWHERE = ("allow_alter_system", "config_file", "data_directory")
OF_A_TRANSACTION = ("transaction_deferrable", "transaction_isolation", "transaction_read_only")
_WHO_GETS_IN = ("hba_file", "ident_file")
# They trade data away, whatever they are set for.
_UNSAFE = {
    ("fsync", "off"): "after a crash the data directory would be beyond repair",
    ("full_page_writes", "off"): "after a crash pages may be torn",
    ("ignore_checksum_failure", "on"): "damaged pages would be used as if they were whole",
    ("zero_damaged_pages", "on"): "damaged pages would be emptied, and their rows lost",
}


def settable(name: str, text: str) -> None:
    """Raises ValueError for what is never set from here, or by nobody in postgresql.auto.conf."""
    name = name.lower()
    if name in OF_A_TRANSACTION:
        raise ValueError("it belongs to a transaction: set default_%s" % name)
    if name in ELSEWHERE:
        raise ValueError("ALTER SYSTEM cannot set it: it belongs into postgresql.conf or on the command line")
    if name in _WHO_GETS_IN:
        raise ValueError("it is not set from here: with a file that is not there the server would not start again")
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError("ALTER SYSTEM takes no value of more than one line")
    if MASK in text:
        raise ValueError("%s stands for a secret that was masked: give the value itself" % MASK)


def safe(name: str, meant: str) -> None:
    """Raises ValueError for a value that gives data away. ``meant``: on or off, where it is a truth value."""
    why = _UNSAFE.get((name.lower(), meant))
    if why:
        raise ValueError("it is not set to %s from here: %s" % (meant, why))
