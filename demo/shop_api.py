# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small shop with a bug: a price that is not found returns early, and its connection is never given back.

Connects by the usual PG* variables. Serves customers until the database has no connection left, says so, and from then
on only holds what it has leaked.
"""

from __future__ import annotations

import itertools
import signal
from typing import Any

import psycopg2

lost: list[Any] = []  # what keeps a leaked connection alive in a real program: a list, a closure, a traceback


def price(article: int) -> int | None:
    connection = psycopg2.connect(application_name="shop-api")
    cursor = connection.cursor()
    cursor.execute("SELECT cents FROM prices WHERE article = %s", (article,))
    row = cursor.fetchone()
    connection.commit()
    if row is None:
        lost.append(connection)
        return None
    connection.close()
    return int(row[0])


def main() -> None:
    for customer in itertools.count():
        try:
            price(customer % 4)
        except psycopg2.OperationalError as error:
            print("psycopg2.OperationalError: %s" % str(error).strip(), flush=True)
            signal.pause()


if __name__ == "__main__":
    main()
