# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that alert rules are proved with: promtool, postgres_exporter and Prometheus, on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .embedded import free_port


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, "the tests need %s: scripts/install-notified.sh" % name
    return found


def promtool(*words: str | Path) -> str:
    done = subprocess.run([program("promtool"), *map(str, words)], check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def _running(argv: list[str], log: Path, url: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, env={**os.environ, **environment})
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(url, timeout=10).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < until, log.read_text()
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def exporter(directory: Path, dsn: str, queries: Path | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address and its process."""
    address = "127.0.0.1:%d" % free_port()
    argv = [program("prometheus-postgres-exporter"), "--web.listen-address=%s" % address]
    argv += ["--extend.query-path=%s" % queries] if queries else []
    log = directory / ("exporter-%s.log" % address.partition(":")[2])
    with _running(argv, log, "http://%s/metrics" % address, DATA_SOURCE_NAME=dsn) as process:
        yield address, process


class Prometheus:
    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid

    def _get(self, path: str, **parameters: str) -> Any:
        url = "%s/api/v1/%s?%s" % (self.url, path, urllib.parse.urlencode(parameters))
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """Those that fire."""
        return [each for each in self._get("alerts")["alerts"] if each["state"] == "firing"]

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]


@contextlib.contextmanager
def prometheus(directory: Path, rules: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """Scrapes ``targets`` (inventory host -> address) and evaluates ``rules`` all the time.

    Two seconds, since postgres_exporter 0.11 waits for one before it says that it cannot log in.
    """
    jobs = [{"targets": [address], "labels": {"instance": host}} for host, address in targets.items()]
    config = directory / "prometheus.yml"
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
                "rule_files": [str(rules)],
                "scrape_configs": [{"job_name": "postgresql", "static_configs": jobs}],
            }
        )
    )
    url = "http://127.0.0.1:%d" % free_port()
    argv = [
        program("prometheus"),
        "--config.file=%s" % config,
        "--storage.tsdb.path=%s" % (directory / "prometheus"),
        "--web.listen-address=%s" % url.partition("//")[2],
    ]
    with _running(argv, directory / "prometheus.log", url + "/-/ready") as process:
        yield Prometheus(url, process.pid)
