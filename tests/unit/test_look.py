# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real tools said, as facts. That the script brings it is tests/integration/test_pg_ctl.py's."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.look import Look, parse, script

TOKEN = "oncall-903d3bfce52f436c"
DATA = "/var/lib/postgresql/my data"
SECTIONS: dict[str, tuple[str, int]] = {
    "where": (f"directory={DATA}\npostmaster=1\npostmaster_uid=101\ncwd={DATA}\npostgres_uid=999\n", 0),
    "directory": ("version=18\nentries=24\nholds_global=1\nholds_base=1\ndatabases=3\n", 0),
    "stat": (
        f"700 101 103 65024 1795499000 {DATA}\n700 101 103 65024 1795499000 {DATA}/pg_wal\n"
        f"600 101 103 65024 1795499000 {DATA}/PG_VERSION\n600 101 103 65024 1795499915 {DATA}/global/pg_control\n",
        0,
    ),
    "space": (
        "Filesystem     1024-blocks     Used Available Capacity Mounted on\n"
        "/dev/vda         264212084 32053928  74336984      31% /\n"
        "/dev/vda         264212084 32053928  74336984      31% /\n",
        0,
    ),
    "statfs": (
        f"4096 66053021 18584190 16777216 16088015 {DATA}/.\n4096 66053021 18584182 16777216 16088015 {DATA}/pg_wal/.",
        0,
    ),
    "lock": (f"1\n{DATA}\n1795499491\n5433\n/var/run/postgresql\n*\n  5432001         2\nready   \n", 0),
    "alive": ("1\n", 0),
    "control": (
        "pg_control version number:            1800\n"
        "Database cluster state:               in production\n"
        "pg_control last modified:             Tue Nov 24 05:58:35 2026\n"
        "Latest checkpoint location:           0/1715968\n"
        "Latest checkpoint's REDO location:    0/1715910\n"
        "Latest checkpoint's REDO WAL file:    000000010000000000000001\n",
        0,
    ),
    "sockets": (
        "   0: 0100007F:1539 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 300960 1 0 100 0\n"
        "   6: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19 1 0 100 0 0 10\n"
        "   1: 00000000000000000000000001000000:1539 00000000000000000000000000000000:0000 0A 00000000:00000000"
        " 00:00000000 00000000   101        0 300961 1 0 100 0 0 10\n"
        "   2: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 00000000:00000000"
        " 00:00000000 00000000     0        0 20 1 0 100 0 0 10\n",
        0,
    ),
    "descriptors": (
        "total 0\nlrwx------ 1 postgres postgres 64 Nov 24 05:58 7 -> socket:[300960]\n"
        "lrwx------ 1 postgres postgres 64 Nov 24 05:58 8 -> socket:[300961]\n",
        0,
    ),
    "limits": ("Max open files            1024                 524288               files     \n", 0),
    "log_path": (f"{DATA}/log/postgresql.log\n", 0),
    "log": ("one\ntwo\nthree\n", 0),
}


def look(log_lines: int = 100, **changes: tuple[str, int] | None) -> Look:
    """The sections above, some changed (None: left out), as the script writes them."""
    sections: dict[str, Any] = {**SECTIONS, **changes}
    text = f"look {TOKEN} {log_lines}\n"
    for name, section in sections.items():
        if section is not None:
            text += f"\n{TOKEN} {name}\n{section[0]}\n{TOKEN} = {section[1]}\n"
    return parse(text)


def test_what_would_start_it_and_what_the_mounts_hold() -> None:
    found = look(
        program=("postgres (PostgreSQL) 18beta1 (Debian 18~beta1-1)\n", 0),
        clusters=("15=/var/lib/postgresql/data\n9.6=/a=b\n", 0),
    )
    assert found["program_version"] == "18beta1"
    assert found["other_clusters"] == [
        {"path": "/var/lib/postgresql/data", "version": "15"},
        {"path": "/a=b", "version": "9.6"},
    ]


def test_a_running_server() -> None:
    assert look(log_lines=2) == {
        "data_directory": {
            "path": DATA,
            "exists": True,
            "mode": "0700",
            "owner_uid": 101,
            "expected_uid": 101,
            "version": "18",
            "entries": 24,
            "cluster_files": ["global", "base"],
            "databases": 3,
            "standby_signal": False,
            "recovery_signal": False,
            "backup_label": False,
        },
        "program_version": None,
        "other_clusters": [],
        "disks": [
            {
                "role": "data",
                "path": DATA,
                "total_bytes": 264212084 * 1024,
                "free_bytes": 74336984 * 1024,
                "total_inodes": 16777216,
                "free_inodes": 16088015,
            }
        ],
        "lock_file": {
            "pid": 1,
            "pid_alive": True,
            "started_at": "2026-11-24T05:51:31.000Z",
            "port": 5433,
            "socket_directory": "/var/run/postgresql",
            "listen_address": "*",
            "status": "ready",
        },
        "control": {
            "readable": True,
            "crc_ok": True,
            "system_identifier": None,
            "state": "in production",
            "written_at": "2026-11-24T05:58:35.000Z",
            "checkpoint_lsn": "0/1715968",
            "checkpoint_wal_file": "000000010000000000000001",
            "checkpoint_readable": None,
            "message": None,
        },
        "configuration": None,
        "altered_settings": None,
        "system_identifier": None,
        "settings": {},
        "listening": [
            {"address": "::ffff:7f00:1", "port": 80, "ours": False},
            {"address": "0.0.0.0", "port": 2024, "ours": False},
            {"address": "127.0.0.1", "port": 5433, "ours": True},
            {"address": "::1", "port": 5433, "ours": True},
        ],
        "nofile_soft": 1024,
        "nofile_hard": 524288,
        "log_text": "two\nthree",
        "log_path": f"{DATA}/log/postgresql.log",
        "postmaster_cwd": DATA,
        "errors": {},
    }


def test_where_a_stopped_server_would_listen() -> None:
    found = look(
        setting_port=("WARNING:  a setting is odd\n5433\n", 0),
        setting_listen_addresses=("\n", 0),
        setting_unix_socket_directories=("FATAL:  no\n", 1),
    )
    assert found["settings"] == {"port": "5433", "listen_addresses": ""}


def test_wal_on_its_own_file_system() -> None:
    found = look(
        stat=(f"700 101 103 65024 17 {DATA}\n700 101 103 45 17 {DATA}/pg_wal\n", 0),
        space=(
            "Filesystem           1024-blocks    Used Available Capacity Mounted on\n"
            "/dev/mapper/a very long name\n"
            "                     264212084  32059776  74331136  30% /var/lib/postgresql\n"
            "tmpfs                 24684084      3160        -5 100% /mnt/my wal\n",
            0,
        ),
        statfs=(f"4096 66053021 18584190 16777216 16088015 {DATA}/.\n4096 6171021 0 0 0 {DATA}/pg_wal/.\n", 0),
    )
    assert [(disk["role"], disk["free_bytes"], disk["free_inodes"]) for disk in found["disks"]] == [
        ("data", 74331136 * 1024, 16088015),
        ("wal", 0, None),
    ]
    assert found["disks"][1]["path"] == f"{DATA}/pg_wal"


def test_df_that_knows_no_mount() -> None:
    found = look(space=("df: /var/lib/postgresql/my data: can't find mount point\n", 1))
    assert [(disk["total_bytes"], disk["free_bytes"]) for disk in found["disks"]] == [
        (66053021 * 4096, 18584190 * 4096)
    ]
    nothing = look(space=("sh: df: not found\n", 127), statfs=("sh: stat: not found\n", 127))
    assert nothing["disks"] == []
    assert nothing["errors"]["disks"] == "sh: df: not found"


LOCK_FILES = [
    ("", None, {"pid": None, "pid_alive": None, "port": None, "status": None}),
    ("garbage\n", None, {"pid": None, "pid_alive": None, "port": None}),
    (
        "4711\n/data\n1795499491\n5432\n\nlocalhost\n",
        "0\n",
        {"pid": 4711, "pid_alive": False, "socket_directory": None},
    ),
    ("-4711\n/data\n", "1\n", {"pid": 4711, "pid_alive": True, "port": None}),  # a stand-alone backend
]


@pytest.mark.parametrize(("text", "alive", "facts"), LOCK_FILES)
def test_lock_files(text: str, alive: str | None, facts: dict[str, Any]) -> None:
    found = look(lock=(text, 0), alive=(alive, 0) if alive else None)["lock_file"]
    assert found is not None
    assert {key: dict(found)[key] for key in facts} == facts


def test_no_lock_file() -> None:
    assert look(lock=None, alive=None)["lock_file"] is None


CONTROLS = [
    (
        "pg_controldata: warning: calculated CRC checksum does not match value stored in control file\n"
        "pg_controldata: detail: Either the control file is corrupt, or it has a different layout.\n"
        "Database cluster state:               shut down\n",
        0,
        {"readable": True, "crc_ok": False},
        "warning: calculated CRC checksum does not match",
    ),
    (
        "WARNING: Calculated CRC checksum does not match value stored in file.\n"
        "Either the file is corrupt, or it has a different layout than this program\nis expecting.\n\n"
        "Database cluster state:               unrecognized status code\n",
        0,
        {"readable": True, "crc_ok": False},
        "WARNING: Calculated CRC checksum does not match",
    ),
    (
        'pg_controldata: error: could not read file "/data/global/pg_control": read 100 of 296\n',
        1,
        {"readable": False, "crc_ok": None, "state": None},
        "read 100 of 296",
    ),
    (
        'pg_controldata: error: could not open file "/data/global/pg_control" for reading: No such file or directory\n',
        1,
        {"readable": False},
        "No such file or directory",
    ),
]


@pytest.mark.parametrize(("text", "code", "facts", "message"), CONTROLS)
def test_control_files(text: str, code: int, facts: dict[str, Any], message: str) -> None:
    found = look(control=(text, code))["control"]
    assert found is not None
    assert {key: dict(found)[key] for key in facts} == facts
    assert message in (found["message"] or "")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("oncall: pg_controldata was not found\n", 127),
        ("pg_controldata: error: could not open file: Permission denied\n", 1),
        ("", -1),
    ],
)
def test_a_control_file_that_we_could_not_ask_about_is_unknown(text: str, code: int) -> None:
    found = look(control=(text, code))
    assert found["control"] is None
    assert found["errors"]["control"]


RECORD = (
    "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: %s, prev 0/017157D0, desc: %s redo 0/1715910"
)
CHECKPOINTS = [
    (RECORD % ("0/01715968", "CHECKPOINT_SHUTDOWN"), 0, True),
    (RECORD % ("0/01715968", "CHECKPOINT_ONLINE"), 0, True),
    (RECORD % ("0/01715A00", "CHECKPOINT_ONLINE"), 0, False),  # the next one that could be read
    (RECORD % ("0/01715968", "SWITCH"), 0, False),
    ("pg_waldump: error: could not find any WAL file\n", 1, False),
    ("pg_waldump: error: could not find a valid record after 0/1715968\n", 1, False),
    ('pg_waldump: error: could not open file "pg_wal/000000010000000000000001": Permission denied\n', 1, None),
    ("oncall: pg_waldump was not found\n", 127, None),
]


@pytest.mark.parametrize(("text", "code", "readable"), CHECKPOINTS)
def test_checkpoints(text: str, code: int, readable: bool | None) -> None:
    found = look(checkpoint=(text, code))["control"]
    assert found is not None
    assert found["checkpoint_readable"] is readable
    assert bool(found["message"]) == (readable is False)


@pytest.mark.parametrize("sign", ["standby=1", "recovery=1", "backup_label=1"])
def test_a_checkpoint_that_an_archive_may_have_is_no_damage(sign: str) -> None:
    missing = ("pg_waldump: error: could not find any WAL file\n", 1)
    found = look(checkpoint=missing, directory=(f"version=18\nentries=24\n{sign}\n", 0))["control"]
    assert found is not None
    assert found["checkpoint_readable"] is None


CONFIGURATIONS = [
    (f"{DATA}\n", 0, True, None),
    (
        '2026-11-24 05:58:36.316 GMT [1] LOG:  unrecognized configuration parameter "foo" in file "/d/postgresql.conf" '
        'line 895\n2026-11-24 05:58:36.316 GMT [1] FATAL:  configuration file "/d/postgresql.conf" contains errors\n',
        1,
        False,
        'unrecognized configuration parameter "foo" in file "/d/postgresql.conf" line 895; '
        'configuration file "/d/postgresql.conf" contains errors',
    ),
    (
        'postgres: could not access the server configuration file "/d/postgresql.conf": No such file or directory\n',
        2,
        False,
        'postgres: could not access the server configuration file "/d/postgresql.conf": No such file or directory',
    ),
    (
        '2026-11-24 05:58:36.316 GMT [1] FATAL:  invalid value for parameter "primary_conninfo": "password=x%"\n',
        1,
        False,
        'invalid value for parameter "primary_conninfo": "password=********"',
    ),
    ("oncall: no way to run a command as uid 999\n", 126, None, "oncall: no way to run a command as uid 999"),
    ('postgres: could not access directory "/d": Permission denied\n', 2, None, None),
    ("", -1, None, None),
]


@pytest.mark.parametrize(("text", "code", "valid", "message"), CONFIGURATIONS)
def test_configurations(text: str, code: int, valid: bool | None, message: str | None) -> None:
    found = look(configuration=(text, code))["configuration"]
    assert found is not None
    assert found["valid"] is valid
    assert message is None or found["message"] == message


def test_a_directory_that_is_not_there() -> None:
    found = look(stat=(f"stat: cannot statx '{DATA}': No such file or directory\n", 0), control=None, lock=None)
    assert found["data_directory"] is not None
    assert found["data_directory"]["exists"] is False
    assert found["data_directory"]["mode"] is None


def test_a_directory_that_we_may_not_see() -> None:
    found = look(stat=(f"stat: cannot statx '{DATA}': Permission denied\n", 0))
    assert found["data_directory"] is None
    assert "Permission denied" in found["errors"]["data_directory"]


def test_expected_owner() -> None:
    where = f"directory={DATA}\npostmaster=\npostmaster_uid=\ncwd=\npostgres_uid=%s\n"
    known = look(where=(where % "999", 0))["data_directory"]
    unknown = look(where=(where % "", 0))["data_directory"]
    assert known is not None and known["expected_uid"] == 999
    assert unknown is not None and unknown["expected_uid"] == 101, "whoever ran initdb"


@pytest.mark.parametrize("out", ["", "sh: not found", f"look {TOKEN}", f"look {TOKEN} 100\n"])
def test_nothing_came_back(out: str) -> None:
    found = parse(out)
    assert found["data_directory"] is None
    assert found["errors"]


def test_cut_anywhere_is_never_an_error() -> None:
    whole = f"look {TOKEN} 100\n" + "".join(f"\n{TOKEN} {n}\n{t}\n{TOKEN} = {c}\n" for n, (t, c) in SECTIONS.items())
    for end in range(0, len(whole), 7):
        parse(whole[:end])


def test_content_is_never_taken_for_a_separator() -> None:
    found = look(log=("oncall-0000000000000000 lock\n99\nlook oncall-0000000000000000 1\n", 0))
    assert found["lock_file"] is not None and found["lock_file"]["pid"] == 1
    assert found["log_text"] == "oncall-0000000000000000 lock\n99\nlook oncall-0000000000000000 1"


def test_arguments_are_quoted_and_the_program_left_out() -> None:
    text = script("/my data/$(x)", None, True, ["postgres", "-c", "search_path=a b';c"])
    (check,) = [line for line in text.split("\n") if line.startswith("CHECK=")]
    command = shlex.split(check[len("CHECK=") :])[0]
    assert shlex.split(command) == [
        "exec", "$ONCALL_BIN/postgres", "-D", "$ONCALL_DATA", "-c", "search_path=a b';c", "-C", "$ONCALL_NAME",
    ]  # fmt: skip
    assert "\nD='/my data/$(x)'\n" in text
    assert script("/d", None, False) != script("/d", None, False), "a token of its own each time"
