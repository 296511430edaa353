# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application of the lab: a pool on PostgreSQL, a health endpoint, and ways to misbehave.

What it holds is held until ``/fault/release``; several replicas share nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from fastapi import FastAPI, HTTPException
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError


def _setting(name: str, default: str = "") -> str:
    """A variable, or the content of the file that ``<name>_FILE`` names, as Docker's secrets are."""
    file = os.environ.get(name + "_FILE")
    return os.environ.get(name) or (Path(file).read_text().rstrip("\n") if file else default)


def _url() -> str:
    """Without a password libpq looks for one in ``PGPASSFILE``."""
    if _setting("DATABASE_URL"):
        return _setting("DATABASE_URL")
    password = _setting("POSTGRES_PASSWORD")
    return "postgresql://%s%s@%s:5432/%s" % (
        _setting("POSTGRES_USER", "app"),
        ":" + quote(password, safe="") if password else "",
        _setting("POSTGRES_HOST", "postgres"),
        _setting("POSTGRES_DB", "shop"),
    )


URL = _url()
NAME = os.environ.get("APPLICATION_NAME", "api")

app = FastAPI()
engine = create_engine(
    URL.replace("postgresql://", "postgresql+psycopg2://", 1),
    pool_size=2,
    max_overflow=3,
    pool_pre_ping=True,
    connect_args={"application_name": NAME, "connect_timeout": 3},
)
held: list[Any] = []


def _connect(dsn: str | None) -> Any:
    connection = psycopg2.connect(dsn or URL, application_name=NAME, connect_timeout=3)
    held.append(connection)
    return connection


@app.get("/api/v1/db/health")
def health() -> dict[str, Any]:
    """The runbook's health check."""
    try:
        with engine.connect() as connection:
            return {"status": "healthy", "version": connection.execute(text("SHOW server_version")).scalar()}
    except SQLAlchemyError as problem:
        raise HTTPException(503, {"status": "unhealthy", "error": str(problem.__cause__ or problem)}) from None


@app.post("/fault/leak")
def leak(connections: int, dsn: str | None = None, sql: str = "SELECT 1") -> dict[str, Any]:
    """Open connections and keep them, idle. Stops at the first that is refused."""
    for number in range(connections):
        try:
            connection = _connect(dsn)
        except psycopg2.OperationalError as problem:
            return {"opened": number, "error": str(problem)}
        connection.autocommit = True
        connection.cursor().execute(sql)
    return {"opened": connections, "error": None}


@app.post("/fault/transaction")
def transaction(connections: int, sql: str = "SELECT 1", dsn: str | None = None) -> dict[str, int]:
    """Leave transactions open after one statement."""
    for _number in range(connections):
        _connect(dsn).cursor().execute(sql)
    return {"opened": connections}


@app.post("/fault/load")
def load(connections: int, sql: str = "SELECT pg_sleep(3600)", dsn: str | None = None) -> dict[str, int]:
    """Keep connections busy with a statement that does not end by itself; when it is cancelled they are closed."""

    def work(connection: Any) -> None:
        with contextlib.suppress(psycopg2.Error), contextlib.closing(connection):
            connection.cursor().execute(sql)

    for _number in range(connections):
        connection = _connect(dsn)
        connection.autocommit = True
        threading.Thread(target=work, args=(connection,), daemon=True).start()
    return {"opened": connections}


@app.post("/fault/release")
def release() -> dict[str, int]:
    """Close what the faults hold."""
    count = len(held)
    while held:
        connection = held.pop()
        with contextlib.suppress(psycopg2.Error):
            connection.cancel()
            connection.close()
    return {"closed": count}
