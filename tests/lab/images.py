# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's container images, made on demand from Debian's packages: no registry of images is needed.

    python -m tests.lab.images          # all of them
    image("postgres:17")                # the tag, built if the engine does not have it

``ONCALL_LAB_POSTGRES_IMAGE=postgres:17`` uses that image wherever PostgreSQL 17 is asked for; ``postgres:{version}``
does so for every version.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent / "image"
SUITES = {"13": "bullseye", "15": "bookworm", "17": "trixie", "18": "forky"}
NAMES = ("api", "postgres:17", "api-shellless", "host", "postgres:13", "postgres:15", "postgres:18")
PYTHON_SUITE, PYTHON = "trixie", "3.13"  # what that suite's python3 is: the wheels must fit

# Documentation and the JIT compiler are two thirds of the size. Translations stay: the lab has a German server.
LEAN = [
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/lib/postgresql/*/lib/bitcode/*",
    "--dpkgopt=path-exclude=/usr/lib/postgresql/*/lib/llvmjit*",
    "--dpkgopt=path-exclude=/usr/lib/*/libLLVM*",
    "--dpkgopt=path-exclude=/usr/lib/llvm-*",
]

POSTGRES_ESSENTIAL = """
echo 'postgres:x:999:999::/var/lib/postgresql:/bin/sh' >> "$1/etc/passwd"
echo 'postgres:x:999:' >> "$1/etc/group"
mkdir -p "$1/etc/postgresql-common"
echo 'create_main_cluster = false' > "$1/etc/postgresql-common/createcluster.conf"
"""

POSTGRES_CUSTOMIZE = r"""
set -eu
for locale in en_US de_DE; do chroot "$1" localedef -i $locale -f UTF-8 $locale.UTF-8; done
bin=/usr/lib/postgresql/%(version)s/bin
conf="$1/usr/share/postgresql/%(version)s/postgresql.conf.sample"
sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "$conf"
chroot "$1" install -d -o postgres -g postgres -m 700 /usr/share/postgresql/template-cluster /var/lib/postgresql/data
chroot "$1" setpriv --reuid=postgres --regid=postgres --clear-groups env LANG=en_US.UTF-8 $bin/initdb --no-sync \
  --data-checksums --encoding=UTF8 --locale=en_US.UTF-8 --auth=trust \
  -D /usr/share/postgresql/template-cluster > /dev/null
echo 'host all all all %(method)s' >> "$1/usr/share/postgresql/template-cluster/pg_hba.conf"
"""

SHELLLESS = """
set -eu
cd "$1"
find usr/bin usr/sbin -mindepth 1 ! -name 'python3*' -delete
test ! -e bin/sh
"""

# A host as Debian sets it up, its cluster made by the package.
HOST_PACKAGES = "systemd-sysv,cron,logrotate,openssh-server,python3,procps,postgresql-17"
HOST_CUSTOMIZE = """
set -eu
test -f "$1/var/lib/postgresql/17/main/PG_VERSION"
"""
RECIPES = {"postgres": (POSTGRES_ESSENTIAL, POSTGRES_CUSTOMIZE), "host": (HOST_PACKAGES, HOST_CUSTOMIZE)}


class ImageError(Exception):
    """An image could not be made; says what failed and what to do."""


def _run(argv: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, **kwargs)  # type: ignore[call-overload]
    except FileNotFoundError:
        raise ImageError("%s is not installed; run scripts/install-docker.sh" % argv[0]) from None
    if done.returncode:
        tail = (done.stderr or done.stdout).strip().splitlines()[-15:]
        raise ImageError("%s ended with %s:\n%s" % (" ".join(argv[:3]), done.returncode, "\n".join(tail)))
    return done  # type: ignore[no-any-return]


def _mirror() -> list[str]:
    """Debian's mirror as this machine's own apt sources name it; nothing (mmdebstrap's default) on other systems."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=False
    )
    for uri in listed.stdout.split():
        if uri.rstrip("/").endswith("/debian"):
            return [uri]
    return []


def _import_root(tag: str, suite: str, options: list[str]) -> None:
    """Make a root file system and import it as ``tag``."""
    command = ["mmdebstrap", "--quiet", *LEAN, '--aptopt=Acquire::Check-Valid-Until "false"', *options, suite, "-"]
    with tempfile.TemporaryFile("w+") as said:
        make = subprocess.Popen([*command, *_mirror()], stdout=subprocess.PIPE, stderr=said)
        take = subprocess.run(
            ["docker", "import", "-", tag], stdin=make.stdout, capture_output=True, text=True, check=False
        )
        if make.stdout:
            make.stdout.close()
        if make.wait() or take.returncode:
            said.seek(0)
            raise ImageError("mmdebstrap %s | docker import: %s%s" % (suite, said.read()[-3000:], take.stderr))


def _build(tag: str, context: Path, base: str, **arguments: str) -> None:
    given = [word for key, value in arguments.items() for word in ("--build-arg", "%s=%s" % (key, value))]
    legacy = {**os.environ, "DOCKER_BUILDKIT": "0"}
    words = ["--network", "none", "-q", "-t", tag, "--build-arg", "BASE=" + base, *given]
    _run(["docker", "build", *words, str(context)], env=legacy)


def _postgres(tag: str, base: str, version: str) -> None:
    if not _present(base):
        # What the official image's entrypoint finds out by ``postgres -C password_encryption``.
        values = {"version": version, "method": "md5" if version == "13" else "scram-sha-256"}
        hooks = ["--essential-hook=" + POSTGRES_ESSENTIAL, "--customize-hook=" + POSTGRES_CUSTOMIZE % values]
        packages = "--include=postgresql-%s,locales" % version
        _import_root(base, SUITES[version], ["--variant=minbase", packages, "--dpkgopt=force-confold", *hooks])
    _build(tag, HERE / "postgres", base, VERSION=version)


def _api(tag: str, base: str, shell: bool) -> None:
    if not _present(base):
        packages = "base-files,python3,ca-certificates,zlib1g" + (",dash,coreutils,libc-bin" if shell else "")
        hooks = [] if shell else ["--customize-hook=" + SHELLLESS]
        _import_root(base, PYTHON_SUITE, ["--variant=extract", "--include=" + packages, *hooks])
    with tempfile.TemporaryDirectory(prefix="oncall-lab-") as name:
        context = Path(name)
        for file in (HERE / "api").iterdir():
            if file.is_file():
                shutil.copy(file, context)
        wheels = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
        wheels += ["--platform", "manylinux_2_28_" + platform.machine()]
        wheels += ["--platform", "manylinux2014_" + platform.machine()]
        requirements = ["-r", str(HERE / "api" / "requirements.txt")]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*pip, "--no-deps", "--no-compile", "--target", str(context / "packages"), *wheels, *requirements])
        _build(tag, context, base)


def _host(tag: str) -> None:
    options = ["--variant=minbase", "--include=" + HOST_PACKAGES, "--customize-hook=" + HOST_CUSTOMIZE]
    _import_root(tag, SUITES["17"], options)


def _present(tag: str) -> bool:
    try:
        return subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        raise ImageError("docker is not installed; run scripts/install-docker.sh") from None


def _digest(*parts: object) -> str:
    """A short hash of what an image is made from: another recipe, another tag."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def _content(folder: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted((HERE / folder).glob("*")) if file.is_file()]


def image(name: str) -> str:
    """The tag of one of ``NAMES``, built if need be. Raises ImageError with the reason when that fails."""
    kind, _sep, version = name.partition(":")
    chosen = os.environ.get("ONCALL_LAB_POSTGRES_IMAGE", "")
    if kind == "postgres" and chosen:
        official = chosen.replace("{version}", version)
        if official.rpartition(":")[2].split(".")[0].split("-")[0] == version:
            return official
    if name not in NAMES:
        raise ImageError("there is no image %r; there are %s" % (name, ", ".join(NAMES)))
    recipe = RECIPES.get(kind, (SHELLLESS,))
    root = _digest(LEAN, version, *recipe)
    base = "oncall-lab-base:%s-%s" % (name.replace(":", ""), root)
    repository = "oncall-lab-" + kind
    tag = "%s:%s%s" % (repository, version + "-" if version else "", _digest(root, _content(kind.split("-")[0])))
    if _present(tag):
        return tag
    # One builder an image on this machine: a second process waits and then finds it made.
    with open(Path(tempfile.gettempdir()) / ("%s.lock" % tag.replace(":", "-")), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _present(tag):
            if kind == "postgres":
                _postgres(tag, base, version)
            elif kind == "host":
                _host(tag)
            else:
                _api(tag, base, shell=kind == "api")
    return tag


def build_all() -> list[str]:
    """Every image, two at a time: the work is half downloading, half unpacking."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(image, NAMES))


if __name__ == "__main__":
    try:
        for built in build_all():
            print(built)
    except ImageError as problem:
        sys.exit(str(problem))
