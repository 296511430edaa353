# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian host with PostgreSQL 17 as Debian sets it up, behind sshd: a container with systemd, or with cron alone."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path
from typing import Any

from tests.integration.containers import docker, inspect, wait_for

from .images import image

_CRON_SH = "install -d -m 755 /run/sshd; pg_ctlcluster 17 main start && /usr/sbin/sshd && exec cron -f"
# A group of its own in the second hierarchy of cgroups, on whatever the engine uses, and systemd sees nothing above it.
_SYSTEMD_SH = """
set -e
mkdir /run/cgroup
mount -t cgroup2 none /run/cgroup
mkdir "/run/cgroup/$1"
echo 1 >"/run/cgroup/$1/cgroup.procs"
umount /run/cgroup
exec unshare -C sh -c 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec /sbin/init'
"""
# Where the engine uses the first, nobody else removes it.
_SWEEP_SH = """
place=$(mktemp -d)
mount -t cgroup2 none "$place" && { find "$place/$1" -depth -type d -exec rmdir {} +; umount "$place"; }
rmdir "$place"
"""
_SYSTEMD = (
    "--cap-add=SYS_ADMIN --security-opt=apparmor=unconfined --tmpfs=/run --tmpfs=/run/lock --env=container=docker"
)


class Host:
    """``key``: a directory that has, or gets, the key that opens it."""

    def __init__(self, name: str, systemd: bool, key: Path) -> None:
        self.name, self.container = name, "oncall-host-%s" % uuid.uuid4().hex[:10]
        self._systemd, self.key = systemd, key / "id_ed25519"

    def start(self) -> Host:
        if not self.key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        own = _SYSTEMD.split() if self._systemd else []
        first = ["sh", "-c", _SYSTEMD_SH if self._systemd else _CRON_SH, "sh", self.container]
        docker("run", "-d", "--name", self.container, "--hostname", self.name, *own, image("host"), *first)
        docker("exec", self.container, "install", "-d", "-m", "700", "/root/.ssh")
        docker("cp", "%s.pub" % self.key, "%s:/root/.ssh/authorized_keys" % self.container)
        docker("exec", self.container, "chown", "0:0", "/root/.ssh/authorized_keys")
        ready = "pg_isready -q && pgrep -x sshd >/dev/null && pgrep -x cron >/dev/null && echo yes"
        wait_for(lambda: docker("exec", self.container, "sh", "-c", ready, check=False) == "yes")
        return self

    def instance(self) -> dict[str, Any]:
        """As Molecule's instance_config has it."""
        network = next(iter(inspect(self.container)["NetworkSettings"]["Networks"].values()))
        return {
            "instance": self.name,
            "address": network["IPAddress"],
            "user": "root",
            "port": 22,
            "identity_file": str(self.key),
            "container": self.container,
        }

    @staticmethod
    def remove(container: str) -> None:
        docker("exec", container, "pg_ctlcluster", "17", "main", "stop", "-m", "fast", check=False)
        docker("rm", "-f", "-v", container, check=False)
        subprocess.run(["sh", "-c", _SWEEP_SH, "sh", container], check=False, capture_output=True)
