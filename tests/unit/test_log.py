# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What real servers wrote, in six languages and five formats, and what it means.

``logs/*.log``: one PostgreSQL 15 a language, put through the same faults: an empty lock file, a directory of mode 0755,
an unknown setting, three broken pg_hba.conf, a taken port, 40 open files, an unreadable directory, missing WAL, a cut
control file.
"""

from __future__ import annotations

import pathlib
import time

import pytest

from ansible_collections.oncall.postgresql.plugins.module_utils._gather.runtime.log import classify

LOGS = pathlib.Path(__file__).parent / "logs"
SAME_FAULTS = [
    ("FATAL", "stale_lock_file"),
    ("FATAL", "permission_denied"),
    ("OTHER", "invalid_configuration"),
    ("FATAL", "invalid_configuration"),
    ("OTHER", "invalid_configuration"),
    ("OTHER", "invalid_configuration"),
    ("OTHER", "invalid_configuration"),
    ("FATAL", "invalid_configuration"),
    ("OTHER", "port_conflict"),
    ("FATAL", "port_conflict"),
    ("FATAL", "too_many_open_files"),
    ("OTHER", "permission_denied"),
    ("OTHER", "data_corruption"),
    ("PANIC", "data_corruption"),
    ("PANIC", "data_corruption"),
]


@pytest.mark.parametrize("language", ["de", "es", "fr", "ja", "ru", "zh_CN"])
def test_the_same_faults_in_any_language(language: str) -> None:
    entries = classify((LOGS / f"{language}.log").read_text(), 1000)
    assert [(entry["severity"], entry["cause"]) for entry in entries] == SAME_FAULTS
    assert "max_connections" not in entries[0]["text"]
    assert entries[0]["at"] is not None
    assert entries[0]["at"].startswith("2026-11-24T05:51:")
    assert " HINT: " in entries[0]["text"], "the hint belongs to its entry"
    assert entries[7]["text"].endswith("(3 times)")


EMPTY_LOCK = '2026-11-24 05:51:31.455 UTC [7936] FATAL:  lock file "postmaster.pid" is empty'
ENGLISH = [
    # (line, severity, cause): messages of PostgreSQL 13 to 18
    (EMPTY_LOCK, "FATAL", "stale_lock_file"),
    ('FATAL:  lock file "postmaster.pid" already exists', "FATAL", "stale_lock_file"),
    ('FATAL:  bogus data in lock file "postmaster.pid": "x"', "FATAL", "stale_lock_file"),
    ('FATAL:  lock file "/tmp/.s.PGSQL.5432.lock" already exists', "FATAL", "port_conflict"),
    ('FATAL:  could not create lock file "postmaster.pid": Permission denied', "FATAL", "permission_denied"),
    ('FATAL:  could not create lock file "postmaster.pid": No space left on device', "FATAL", "disk_full"),
    ('FATAL:  could not open directory "/data": Too many open files', "FATAL", "too_many_open_files"),
    ('PANIC:  could not write to file "pg_wal/xlogtemp.29": No space left on device', "PANIC", "disk_full"),
    ('ERROR:  could not extend file "base/5/16384": Disk quota exceeded', "ERROR", "disk_full"),
    ('LOG:  could not write temporary statistics file "x": No space left on device', "OTHER", "disk_full"),
    ('LOG:  could not bind IPv4 address "0.0.0.0": Address already in use', "OTHER", "port_conflict"),
    ("FATAL:  could not map anonymous shared memory: Cannot allocate memory", "FATAL", "out_of_memory"),
    ("LOG:  could not fork new process for connection: Cannot allocate memory", "OTHER", "out_of_memory"),
    ('FATAL:  data directory "/data" has wrong ownership', "FATAL", "permission_denied"),
    ("FATAL:  could not locate required checkpoint record", "FATAL", "data_corruption"),
    ("PANIC:  could not locate a valid checkpoint record at 0/1715968", "PANIC", "data_corruption"),
    ("FATAL:  incorrect checksum in control file", "FATAL", "data_corruption"),
    ('FATAL:  could not open file "global/pg_control": No such file or directory', "FATAL", "data_corruption"),
    ("WARNING:  page verification failed, calculated checksum 1 but expected 2", "OTHER", "data_corruption"),
    ("ERROR:  invalid page in block 0 of relation base/5/16384", "ERROR", "data_corruption"),
    ("FATAL:  could not load /data/pg_hba.conf", "FATAL", "invalid_configuration"),
    ("FATAL:  could not load pg_hba.conf", "FATAL", "invalid_configuration"),
    (
        'LOG:  configuration file "/data/postgresql.auto.conf" contains errors; unaffected changes were applied',
        "OTHER",
        "invalid_configuration",
    ),
    (
        'postgres: could not access the server configuration file "/data/postgresql.conf": No such file or directory',
        "OTHER",
        "invalid_configuration",
    ),
    ("mkdir: cannot create directory '/var/lib/postgresql/data': Permission denied", "OTHER", "permission_denied"),
    # no cause: what a client did, or what may have several
    ('FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "app", database "shop", no encryption', "FATAL", None),
    ('FATAL:  password authentication failed for user "app"', "FATAL", None),
    ("FATAL:  sorry, too many clients already", "FATAL", None),
    ("FATAL:  the database system is starting up", "FATAL", None),
    ('FATAL:  unrecognized configuration parameter "foo"', "FATAL", None),
    ('ERROR:  unrecognized configuration parameter "foo"', "ERROR", None),
    ('ERROR:  relation "nosuch" does not exist at character 15', "ERROR", None),
    ('ERROR:  could not open file "/etc/shadow" for writing: Permission denied', "ERROR", None),
    ("ERROR:  out of memory", "ERROR", None),
    ("postgres: could not find the database system", "OTHER", None),
]


@pytest.mark.parametrize(("line", "severity", "cause"), ENGLISH, ids=[line[:60] for line, _severity, _cause in ENGLISH])
def test_english(line: str, severity: str, cause: str | None) -> None:
    (entry,) = classify(line + "\n", 100)
    assert (entry["severity"], entry["cause"]) == (severity, cause)


NO_FAULT = [
    "LOG:  database system was interrupted; last known up at 2026-11-24 05:51:31 UTC",
    "LOG:  database system was not properly shut down; automatic recovery in progress",
    "LOG:  database system was shut down at 2026-11-24 05:51:31 UTC",
    "LOG:  invalid record length at 0/1715968: expected at least 24, got 0",
    'LOG:  parameter "max_connections" changed to "200"',
    "LOG:  received SIGHUP, reloading configuration files",
    'LOG:  could not open file "postmaster.pid": No such file or directory; continuing anyway',
    'LOG:  could not bind IPv6 address "::1": Cannot assign requested address',
    "LOG:  statement: SELECT 'FATAL:  lock file \"postmaster.pid\" is empty'",
    "WARNING:  there is no transaction in progress",
    "cp: error writing '/archive/000000010000000000000001': No space left on device",  # an archive's disk
    "Aborted",
    "",
]


@pytest.mark.parametrize("line", NO_FAULT)
def test_no_fault(line: str) -> None:
    assert classify(line + "\n", 100) == []


OTHER_LANGUAGES = [
    ("PÂNICO:  não pôde gravar no arquivo: Não há espaço disponível no dispositivo", "PANIC", "disk_full"),
    ("FATAL:  não pôde abrir: Permissão negada", "FATAL", "permission_denied"),
    ('ERRO:  relação "x" não existe', "ERROR", None),
    ("FEHLER:  Relation »nosuch« existiert nicht", "ERROR", None),
    ("ERREUR:  la relation « nosuch » n'existe pas", "ERROR", None),
    ('ОШИБКА:  отношение "nosuch" не существует', "ERROR", None),
    ('错误:  关系 "nosuch" 不存在', "ERROR", None),
    ("치명적오류:  파일을 열 수 없습니다: 허가 거부", "FATAL", "permission_denied"),
    # a language without a table: the facts that no language changes
    ('ΜΟΙΡΑΙΟ:  το αρχείο κλειδώματος "postmaster.pid" είναι κενό', "OTHER", "stale_lock_file"),  # noqa: RUF001
]


@pytest.mark.parametrize(("line", "severity", "cause"), OTHER_LANGUAGES)
def test_other_languages(line: str, severity: str, cause: str | None) -> None:
    (entry,) = classify("2026-11-24 05:51:31.455 UTC [7936] " + line, 100)
    assert (entry["severity"], entry["cause"]) == (severity, cause)


CSV = '''b' from y
;",19,,"psql","client backend",,0
2026-11-24 06:52:29.254 CET,,,16362,,6b05261d.3fea,1,,2026-11-24 06:52:29 CET,,0,LOG,00000,"starting PostgreSQL 18.4",,,,,,,,,"","postmaster",,0
2026-11-24 06:52:29.386 CET,"postgres","postgres",16394,"[local]",6b05261d.400a,1,"INSERT",2026-11-24 06:52:29 CET,2/2,754,ERROR,23505,"duplicate key value violates unique constraint ""t_pkey""","Key (a)=(1) already exists.",,,,,"insert into t values (1,'a'),(1,'hunter2')",,,"psql","client backend",,0
2026-11-24 06:52:29.397 CET,"postgres","postgres",16398,"[local]",6b05261d.400e,1,"SELECT",2026-11-24 06:52:29 CET,4/2,0,ERROR,42P01,"relation ""x"" does not exist",,,,,,"select 'a
b' from x
;",19,,"psql","client backend",,0
2026-11-24 06:52:29.410 CET,"app","postgres",16405,"127.0.0.1:43316",6b05261d.4015,1,"authentication",2026-11-24 06:52:29 CET,5/1,0,FATAL,28P01,"password authentication failed for user ""app""","Connection matched file ""/data/pg_hba.conf"" line 2: ""host all all all scram-sha-256""",,,,,,,,"","client backend",,0
2026-11-24 06:52:29.420 CET,"app","postgres",16408,"127.0.0.1:43324",6b05261d.4018,1,"authentication",2026-11-24 06:52:29 CET,6/1,0,FATAL,28P01,"password authentication failed for user ""app""","Connection matched file ""/data/pg_hba.conf"" line 2: ""host all all all scram-sha-256""",,,,,,,,"","client backend",,0
2026-11-24 06:52:29.434 CET,,,16362,,6b05261d.3fea,8,,2026-11-24 06:52:29 CET,,0,LOG,00000,"database system is shut down",,,,,,,,,"","postmaster",,0
'''  # noqa: E501

JSON = r"""
{"timestamp":"2026-11-24 06:52:29.386 CET","user":"postgres","dbname":"postgres","pid":16394,"remote_host":"[local]","session_id":"6b05261d.400a","line_num":1,"ps":"INSERT","session_start":"2026-11-24 06:52:29 CET","vxid":"2/2","txid":754,"error_severity":"ERROR","state_code":"23505","message":"duplicate key value violates unique constraint \"t_pkey\"","detail":"Key (a)=(1) already exists.","statement":"insert into t values (1,'a'),(1,'hunter2')","application_name":"psql","backend_type":"client backend","query_id":0}
{"timestamp":"2026-11-24 06:52:29.397 CET","user":"postgres","dbname":"postgres","pid":16398,"remote_host":"[local]","session_id":"6b05261d.400e","line_num":1,"ps":"SELECT","session_start":"2026-11-24 06:52:29 CET","vxid":"4/2","txid":0,"error_severity":"ERROR","state_code":"42P01","message":"relation \"x\" does not exist","statement":"select 'a\nb' from x\n;","cursor_position":19,"application_name":"psql","backend_type":"client backend","query_id":0}
{"timestamp":"2026-11-24 06:52:29.410 CET","user":"app","dbname":"postgres","pid":16405,"remote_host":"127.0.0.1","remote_port":43316,"session_id":"6b05261d.4015","line_num":1,"ps":"authentication","session_start":"2026-11-24 06:52:29 CET","vxid":"5/1","txid":0,"error_severity":"FATAL","state_code":"28P01","message":"password authentication failed for user \"app\"","detail":"Connection matched file \"/data/pg_hba.conf\" line 2: \"host all all all scram-sha-256\"","backend_type":"client backend","query_id":0}
{"timestamp":"2026-11-24 06:52:29.420 CET","user":"app","dbname":"postgres","pid":16408,"remote_host":"127.0.0.1","remote_port":43324,"session_id":"6b05261d.4018","line_num":1,"ps":"authentication","session_start":"2026-11-24 06:52:29 CET","vxid":"6/1","txid":0,"error_severity":"FATAL","state_code":"28P01","message":"password authentication failed for user \"app\"","detail":"Connection matched file \"/data/pg_hba.conf\" line 2: \"host all all all scram-sha-256\"","backend_type":"client backend","query_id":0}
{"timestamp":"2026-11-24 06:52:29.434 CET","pid":16362,"session_id":"6b05261d.3fea","line_num":8,"session_start":"2026-11-24 06:52:29 CET","txid":0,"error_severity":"LOG","message":"database system is shut down","backend_type":"postmaster","query_id":0}
{"timestamp":"2026-11-24 06:52:29.434 CET","pid":16362,"sess
"""  # noqa: E501

PREFIXED = r"""
2026-11-24 06:52:29 CET 16524 00000  : LOG:  starting PostgreSQL 18.4
2026-11-24 06:52:29 CET 16591 23505 [local] psql: ERROR:  duplicate key value violates unique constraint "t_pkey"
2026-11-24 06:52:29 CET 16591 23505 [local] psql: DETAIL:  Key (a)=(1) already exists.
2026-11-24 06:52:29 CET 16591 23505 [local] psql: STATEMENT:  insert into t values (1,'a'),(1,'hunter2')
2026-11-24 06:52:29 CET 16595 42P01 [local] psql: ERROR:  relation "x" does not exist
2026-11-24 06:52:29 CET 16595 42P01 [local] psql: STATEMENT:  select 'a
	b' from x
	;
2026-11-24 06:52:29 CET 42501 28P01 127.0.0.1(42501) [unknown]: FATAL:  password authentication failed for user "app"
2026-11-24 06:52:29 CET 42501 28P01 127.0.0.1(42501) [unknown]: DETAIL:  Connection matched file "/data/pg_hba.conf" line 2: "host all all all scram-sha-256"
2026-11-24 06:52:30 CET 16605 28P01 127.0.0.1(44988) [unknown]: FATAL:  password authentication failed for user "app"
2026-11-24 06:52:30 CET 16605 28P01 127.0.0.1(44988) [unknown]: DETAIL:  Connection matched file "/data/pg_hba.conf" line 2: "host all all all scram-sha-256"
2026-11-24 06:52:30 CET 16524 00000  : LOG:  database system is shut down
"""  # noqa: E501


@pytest.mark.parametrize("text", [CSV, JSON, PREFIXED], ids=["csvlog", "jsonlog", "stderr with %e"])
def test_formats_agree(text: str) -> None:
    entries = classify(text, 100)
    assert [(entry["severity"], entry["sqlstate"], entry["cause"]) for entry in entries] == [
        ("ERROR", "23505", None),
        ("ERROR", "42P01", None),
        ("FATAL", "28P01", None),
    ]
    assert entries[0]["text"] == 'duplicate key value violates unique constraint "t_pkey"', "no row's values"
    assert entries[2]["text"].startswith('password authentication failed for user "app" DETAIL: Connection matched')
    assert entries[2]["text"].endswith("(2 times)")
    assert all((entry["at"] or "").startswith("2026-11-24T05:52:") for entry in entries), "CET is an hour ahead of UTC"
    assert "hunter2" not in str(entries)


@pytest.mark.parametrize(
    ("prefix", "at"),
    [
        ("2026-11-24 05:51:31.455 UTC [7936] ", "2026-11-24T05:51:31.455Z"),
        ("2026-11-24 05:51:31 GMT ", "2026-11-24T05:51:31Z"),
        ("2026-11-24 02:21:31.455 -0330 [7936] ", "2026-11-24T05:51:31.455Z"),
        ("2026-11-24 08:51:31 +03 ", "2026-11-24T05:51:31Z"),
        ("1795499491.455 [7936]: [3-1] user=,db= ", "2026-11-24T05:51:31.455Z"),
        ("2026-11-24T05:51:31.455123456Z 2026-11-24 05:51:31.454 UTC [1] ", "2026-11-24T05:51:31.454Z"),
        ("2026-11-24T05:51:31.455123456Z ", "2026-11-24T05:51:31.455123Z"),
        ("2026-11-24 11:21:31 IST [7936] ", None),  # India, Israel or Ireland
        ("", None),
    ],
)
def test_times(prefix: str, at: str | None) -> None:
    (entry,) = classify(prefix + 'FATAL:  lock file "postmaster.pid" is empty', 100)
    assert (entry["at"], entry["cause"], entry["sqlstate"]) == (at, "stale_lock_file", None)


def test_a_pid_is_no_sqlstate() -> None:
    (entry,) = classify("2026-11-24 05:51:31.455 UTC [53100] FATAL:  sorry, too many clients already", 100)
    assert (entry["sqlstate"], entry["cause"]) == (None, None)


def test_a_sqlstate_tells_in_any_language() -> None:
    text = "x 00000 HERRIA:  abc\nx 53100 LARRIA:  fitxategia ezin da luzatu\nx XX001 LARRIA:  orria\n"
    assert [(entry["severity"], entry["cause"]) for entry in classify(text, 100)] == [
        ("OTHER", "disk_full"),
        ("OTHER", "data_corruption"),
    ]


def test_secrets_are_masked_and_long_texts_cut() -> None:
    text = "FATAL:  invalid connection string: host=db password=hunter2 " + "x" * 500
    (entry,) = classify(text, 100)
    assert "hunter2" not in entry["text"]
    assert len(entry["text"]) == 300


def test_only_the_last_lines_count() -> None:
    text = EMPTY_LOCK + "\n" + "LOG:  checkpoint starting: time\n" * 10
    assert classify(text, 10) == []
    assert len(classify(text, 11)) == 1
    assert classify("", 10) == []


def test_many_different_entries_leave_those_with_a_cause() -> None:
    text = EMPTY_LOCK + "\n" + "".join(f"ERROR:  relation {number} does not exist\n" for number in range(500))
    entries = classify(text, 1000)
    assert len(entries) == 50
    assert entries[0]["cause"] == "stale_lock_file"
    assert entries[-1]["text"] == "relation 499 does not exist"


def test_huge_statements_cost_little() -> None:
    line = '2026-11-24 05:51:31.455 UTC [7936] ERROR:  syntax error at or near "%s"\n' % ("password 'x " * 20000)
    begin = time.process_time()
    entries = classify(line * 20 + "\t" + "x" * 1000000 + "\n" + EMPTY_LOCK, 100)
    assert time.process_time() - begin < 2
    assert [entry["severity"] for entry in entries] == ["ERROR", "FATAL"]
    assert entries[0]["text"].endswith("(20 times)")
    assert len(entries[0]["text"]) == 300


BEGIN = "LOG:  starting PostgreSQL 18.4 on x86_64-pc-linux-gnu, compiled by gcc (GCC) 14.2.1, 64-bit"


@pytest.mark.parametrize(
    ("lines", "own"),
    [
        (["[1] " + BEGIN, '[7] FATAL:  role "x" does not exist', "[1] LOG:  shutting down"], [False]),
        (["[1] " + BEGIN, "[7] FATAL:  bad", "[1] LOG:  startup process (PID 7) exited with exit code 1"], [True]),
        (["[9] FATAL:  could not create any sockets", "[9] LOG:  database system is shut down"], [True]),
        (["[9] " + BEGIN, "[9] FATAL:  bad", "[12] " + BEGIN], [True]),  # the next try of a restart loop
        (['FATAL:  role "x" does not exist', "LOG:  shutting down"], [None]),
        (["[1] LOG:  x", "[7] PANIC:  could not write to file", "[1] LOG:  aborting"], [True]),
    ],
)
def test_whose_words_they_are(lines: list[str], own: list[bool | None]) -> None:
    text = "".join("2026-11-24 05:51:31.455 UTC %s\n" % line for line in lines)
    assert [entry["own"] for entry in classify(text, 100)] == own
