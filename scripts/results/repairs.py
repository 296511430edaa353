# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is returned of configuration files, networks, passwords and prepared transactions."""

from __future__ import annotations

from typing import Optional, TypedDict

from ansible_collections.oncall.postgresql.plugins.module_utils._model.facts import ClientFacts


class ChangedSetting(TypedDict):
    name: str  # its name
    before: str  # the value that was loaded, in the setting's own unit
    after: str  # the value in the file


class Configuration(TypedDict):
    load_time: Optional[str]  # when the server last loaded its configuration files
    changed_files: list[str]  # files that were changed since they had been loaded
    # settings that took effect (in check mode, would), as far as this session can see them
    changed_settings: list[ChangedSetting]
    pending_restart: list[str]  # names of the settings that wait for a restart
    # changed settings that the server does not use after all; the task fails when there are any
    not_applied: list[str]


class ConfigurationErrors(TypedDict):
    configuration_errors: list[str]  # errors in the files, each with its file and line


class RoleSetting(TypedDict):
    role: str  # the role
    name: str  # the setting
    before: Optional[str]  # its value before, as the role has it; null when it had none
    after: Optional[str]  # its value afterwards (in check mode, it would be); null when it has none
    changed: bool  # whether it was changed (in check mode, would be)
    hidden_by: list[str]  # databases in which the role has a value of its own, with that value; it wins there


class RoleSettings(TypedDict):
    msg: str  # the outcome in one line
    settings: list[RoleSetting]  # each setting of each role


class Setting(TypedDict):
    name: str  # its name
    before: str  # what the files, or the default, gave before, as SHOW prints it; a secret is masked
    before_source: str  # where that came from: a file and its line, `default`, `command line`, `ALTER ROLE ALL`
    in_use: str  # what the server used then
    after: str  # what they give afterwards (in check mode, would)
    after_source: str  # where that comes from
    changed: bool  # whether it was changed (in check mode, would be)
    takes_effect: str  # when a change counts: `reload`, `new sessions` or `restart`
    waits_for_restart: bool  # whether the server runs with another value until it is restarted
    hidden_by: list[str]  # roles and databases that have a value of their own, with that value


class SettingsCluster(TypedDict):
    system_identifier: Optional[str]  # the same for a primary and its standbys; null without the right to read it
    in_recovery: bool  # whether it is a standby
    # those that a standby must have at least as high as its primary, as the server uses them now, by their names
    of_standbys: dict[str, int]


class Settings(TypedDict):
    msg: str  # the outcome in one line
    settings: list[Setting]  # setting by setting, in the order of their names
    pending_restart: list[str]  # names of all settings of the server that wait for a restart
    # what to give as `settings` to undo it: each changed one with its former value in postgresql.auto.conf, null for
    # none; what may be a secret is masked there and has to be filled in
    undo: dict[str, Optional[str]]
    load_time: Optional[str]  # when the server last loaded its configuration files
    cluster: SettingsCluster  # the cluster that it belongs to


class SettingProblem(TypedDict):
    name: Optional[str]  # the setting; null for what concerns all of them
    problem: str  # what is wrong
    wins: bool  # whether it is set where that counts for more than `ALTER SYSTEM`


class SettingsRefused(TypedDict):
    problems: list[SettingProblem]  # all that is wrong


class SettingsRights(TypedDict):
    grants: list[
        str
    ]  # what a superuser would have to run; empty before PostgreSQL 15, where only a superuser can do it


class SettingsRestored(TypedDict):
    put_back: list[str]  # settings whose former value in postgresql.auto.conf was put back
    not_put_back: list[str]  # settings of which it could not be


class Step(TypedDict):
    kind: str  # `connect`, `reconnect` or `recreate`
    container: Optional[str]  # the container; null for `recreate`
    network: str  # the network
    aliases: list[str]  # the container's names in that network
    done: bool  # whether it was done


class Network(TypedDict):
    steps: list[Step]  # what was done (in check mode, would be); also returned by a task that failed halfway
    expected: dict[str, list[str]]  # the networks that each container should be on
    source: str  # where that comes from: `options`, `compose file` or `labels`
    foreign_networks: list[str]  # containers missing on a network of another project, which is left to its owner
    detail: str  # whether the clients reach the server, in one line; after the repair, if there was one
    # each client from its own place, as `network_info` returns it
    clients: list[ClientFacts]
    seconds: float  # how long it took, 0 when nothing was done


class StillCutOff(TypedDict):
    answer: str  # the answer to the question whether the clients reach the server, after the repair
    cause: Optional[str]  # the verdict's cause; null unless the answer is `no`
    evidence: list[str]  # the readings that prove it


class Login(TypedDict):
    service: Optional[str]  # the client's service; null when it could not be examined
    name: str  # its container, or `here`
    place: str  # where the login was tried from, such as `namespace`, `toolbox` or `here`
    succeeded: bool  # whether it succeeded
    method: Optional[str]  # the authentication method, such as `scram-sha-256`, or `trust` (no password was checked)
    message: Optional[str]  # what the server said; null when it said nothing


class Credentials(TypedDict):
    role: str  # the role
    role_changed: bool  # whether the role's password or its expiry was changed (in check mode, would be)
    files: list[str]  # files that were changed (in check mode, would be)
    # the machine that has the files of `env_file` and `password_file`: `the controller`, or the host by its name;
    # null when neither was given
    files_on: Optional[str]
    recreated: list[str]  # services whose containers were recreated (in check mode, would be)
    restart_needed: list[str]  # clients that are no containers, and need a restart to use the new password
    # the logins with the new password that verify it; empty in check mode, and where nothing was changed
    logins: list[Login]
    warnings_found: list[str]  # what is no reason to refuse the new password, but should be known
    seconds: float  # how long all of it took


class RolledBack(TypedDict):
    put_back: list[str]  # what was restored
    not_put_back: list[str]  # what could not be restored, and why


class PoolVariable(TypedDict):
    name: str  # its name
    # its value in the file before; null when it was not there, "a variable" where it takes the value of another one
    before: Optional[str]
    after: str  # its value afterwards (in check mode, it would be)


class PoolBudget(TypedDict):
    connections: int  # what the pools may open together
    slots: int  # what there is room for
    sum: str  # the sum written out, and what the room is made of


class ResizedClient(TypedDict):
    service: str  # the client's service
    name: str  # its container
    state: str  # the state of the new container
    health: Optional[str]  # what its own health check said; null when it has none
    sessions: Optional[int]  # its new sessions on the server; null where it has no application_name
    error: Optional[str]  # what is missing; null when it is back with the values


class ClientPool(TypedDict):
    env_file: str  # the file
    files_on: str  # the machine that has it: `the controller`, or the host by its name
    variables: list[PoolVariable]  # the variables in the file
    recreated: list[str]  # services whose containers were recreated (in check mode, would be)
    # the new containers, also of a task that failed; empty in check mode, and where none was recreated
    containers: list[ResizedClient]
    # all pools against the slots of the server, then those of each role and database with a limit of its own; empty
    # where sessions come by way of a pooler
    budget: list[PoolBudget]
    warnings_found: list[str]  # what is no reason to refuse it, but should be known
    seconds: float  # how long all of it took


class Waiting(TypedDict):
    pid: int  # its backend's pid, as the server sees it
    user: Optional[str]  # its role
    application: str  # its application_name
    blocked_seconds: float  # for how long it had been waiting
    query: Optional[str]  # its query, without values, at most 200 characters; null without the right to see it


class PreparedTransaction(TypedDict):
    msg: str  # the outcome in one line
    gid: str  # its name
    owner: Optional[str]  # the role that prepared it; null when it does not exist
    database: Optional[str]  # its database; null when it does not exist
    prepared: Optional[str]  # when it was prepared; null when it does not exist
    age_seconds: Optional[float]  # since it was prepared; null when it does not exist
    blocks: list[Waiting]  # the sessions that waited for it, longest first


class Twice(TypedDict):
    key: list[str]  # the value of each column as text, at most 100 characters of it; NULL for none
    rows: int  # how many rows have it


class RebuiltIndex(TypedDict):
    name: str  # the index, with its database and schema
    table: str  # its table, with its schema
    # `rebuilt`, `dropped` (it was left by a rebuild that failed), `refused`, `failed`, or `untouched`; in check mode
    # what it would be
    state: str
    why: Optional[str]  # why it was refused or failed, and what became of its leftover; null otherwise
    collations: list[str]  # the collations that have moved and that it sorts by
    bytes: Optional[int]  # its size before; null while somebody has it locked
    bytes_after: Optional[int]  # its size afterwards; null where it was not rebuilt
    seconds: Optional[float]  # how long the rebuild took; null where there was none
    # `amcheck` (the new index was read), `rebuild` (it is new and valid, and amcheck cannot be had), `gone`; null where
    # nothing was done
    proved_by: Optional[str]
    duplicates: list[Twice]  # values that it should hold once and that its table holds twice, at most five


class Reindex(TypedDict):
    msg: str  # the outcome in one line
    indexes: list[RebuiltIndex]  # index by index
    refreshed: list[str]  # collations whose version was written down anew (in check mode, would be)
    not_refreshed: list[str]  # collations of which it was not, and why
    needed_bytes: int  # the room on the disk that the largest rebuild takes


class MonitoringRole(TypedDict):
    msg: str  # the outcome in one line
    role: str  # the role
    # what was changed of it (in check mode, would be): `create`, `attributes`, `powers`, `password`, `drop`, and the
    # predefined roles that it became a member of
    steps: list[str]
