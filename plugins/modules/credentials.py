#!/usr/bin/python
# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: credentials
short_description: Change a role's password and verify it from its clients, or restore everything
version_added: 0.1.0
description:
  - Changes the password of a role, the files that hold it, and the containers that were created with it, in that order.
  - A login from the place of each declared client of the role verifies it. When one fails, role and files are restored,
    the containers are recreated from those, and the task fails and says what was restored.
  - The server is given a SCRAM-SHA-256 verifier that is computed here. The password itself never reaches it, nor its
    log, whatever its log settings. Clients need a driver that supports SCRAM, as those of PostgreSQL 10 and newer do;
    the C(pg_hba.conf) method C(md5) accepts it, too.
  - Where the session is a superuser's, the verifier is kept out of the server's log and C(pg_stat_statements), too.
    Otherwise a warning names the settings that may have written it down.
  - No password is in a result, a diff, a message, an argument list, or the environment of a process that is started.
  - With O(password_of) no client is touched. The role gets the password that its clients use already.
  - O(env_file) is replaced atomically, so that no reader ever sees half of it. Its mode, owner, SELinux context,
    comments, order, line ends and quotes are kept. No copy of it is left behind.
  - A container keeps the environment that it was created with, so with O(runtime=compose) those of the role's clients
    are recreated by Compose v2, which must be installed on the target host. This is refused before anything is touched
    where the Compose files cannot be read, do not pass the password of O(env_file) to the client, or would create
    another container than the existing one. The configuration hash that Compose gave the container proves that they
    would not, passwords apart; where it does not match, the message names each setting that would differ, such as ports
    and limits that come from a variable of somebody's shell. So does what was changed since with C(docker update) or
    C(docker network connect).
  - A container is asked to end by its own stop signal before Compose recreates it, and is never killed. One that does
    not end within O(grace_seconds) keeps running with the old password, which is restored.
  - All of it is one process in a session of its own. Ctrl-C, SIGTERM or SIGHUP restore everything; a client that was
    stopped is started again, or named as still stopped.
  - With O(runtime=compose) the role, the files and the clients that are stopped are written to C(~/.oncall) before any
    of them is touched, unless the role alone is changed. If the process is killed, clients are started by whoever
    started it, or else named by the next M(oncall.postgresql.triage), which also says that the reset is to be run
    again. It is refused while a restart of the same clients is running.
  - Clients that are not containers must be restarted by hand; RV(restart_needed) names them.
author:
  - The oncall.postgresql contributors (@oncall-postgresql)
extends_documentation_fragment:
  - oncall.postgresql.attributes
  - oncall.postgresql.target
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The diff says which things change, never a password.
  platform:
    support: full
options:
  role:
    description:
      - The role, which must exist and be allowed to log in. At least one of O(clients) must log in as it.
    type: str
    required: true
  password:
    description:
      - The password. Keep it in a vault, for what is given on a command line can be seen by others.
      - When neither this nor O(password_of) is given, one of 43 characters is generated, all of them letters, digits,
        V(-) and V(_). It is written to O(env_file) and O(password_file) and shown nowhere.
    type: str
  password_of:
    description:
      - One of the services in O(clients). The role gets the password that this service uses already, the remedy for a
        password that was changed on one side only. Refused unless all clients of the role use the same one.
      - Where the role was given another password on purpose this undoes it. Then correct the client instead.
    type: str
  env_file:
    description:
      - A file of lines C(KEY=value) that the role's clients get their password from, such as the C(.env) of a Compose
        project.
      - It is a file of the target host. Where the target is reached from the controller (O(runtime=remote), or
        O(docker_host) of another machine) it is a file of the controller. RV(files_on) and every message say which.
      - Refused with O(docker_host) of another machine when containers would have to be made anew, because the Compose
        files are there. Have Ansible reach that host instead.
      - Without it the password must be the one that the role's containers have already.
    type: path
  env_keys:
    description:
      - The keys in O(env_file) that hold the password. A value is the password itself, or a URL such as
        C(postgresql://app:password@postgres/shop) of which only the password changes.
    type: list
    elements: str
  password_file:
    description:
      - A file that gets the password and nothing else. Created with mode 0600 if it is not there.
      - On the target host or on the controller, as O(env_file) is.
    type: path
  valid_until:
    description:
      - When the password expires, as PostgreSQL's C(VALID UNTIL) takes it, such as V(infinity). Left as it is if not
        given. The password of a role that has expired is only changed together with this.
    type: str
  allow_superuser:
    description: Whether the password of a superuser may be changed.
    type: bool
    default: false
  may_lock_out:
    description:
      - Who else uses the role may be left with the old password. Names of containers, services, addresses or keys, as
        the refusal lists them, or V(all).
      - Without it the change is refused where somebody who is not in O(clients) uses the role, as sessions and the
        environment of every container on the server's networks show, or where O(env_file) or the C(.env) of the Compose
        project holds the old password in another key than O(env_keys), alone or in a URL.
      - Whoever has the new password already is not counted.
    type: list
    elements: str
    version_added: 0.2.0
  grace_seconds:
    description:
      - How long a client's container may take to stop before it is recreated. It is never killed. When it has not
        stopped by then, everything is restored.
    type: int
    default: 30
  timeout_seconds:
    description: How long recreated containers may take to run and be healthy again.
    type: float
    default: 60
seealso:
  - module: oncall.postgresql.login_info
  - module: oncall.postgresql.clients
"""

EXAMPLES = r"""
- name: Let the role have the password that the api uses
  oncall.postgresql.credentials:
    project: shop
    clients: [{service: api}]
    role: app
    password_of: api

- name: Generate a new password and have the clients use it
  oncall.postgresql.credentials:
    project: shop
    clients: [{service: api}, {service: worker}]
    role: app
    env_file: /srv/shop/.env
    env_keys: [DB_PASSWORD, DATABASE_URL]

- name: Set a password from the vault that does not expire, on a server without containers
  oncall.postgresql.credentials:
    runtime: pg_ctl
    data_directory: /var/lib/postgresql/17/main
    clients:
      - service: shop
        login: {host: localhost, user: app, database: shop}
    role: app
    password: "{{ vault_shop_password }}"
    env_file: /etc/shop/environment
    env_keys: [DATABASE_URL]
    valid_until: infinity
"""

RETURN = r"""
# Written by scripts/returns.py.
role:
  description: The role.
  returned: success
  type: str
  sample: shop
role_changed:
  description: Whether the role's password or its expiry was changed (in check mode, would be).
  returned: success
  type: bool
  sample: true
files:
  description: Files that were changed (in check mode, would be).
  returned: success
  type: list
  elements: str
  sample:
    - /tmp/oncall-pg-rdf9jgrq/password
files_on:
  description: 'The machine that has the files of O(env_file) and O(password_file): V(the controller),
    or the host by its name; null when neither was given.'
  returned: success
  type: str
  sample: the controller
recreated:
  description: Services whose containers were recreated (in check mode, would be).
  returned: success
  type: list
  elements: str
  sample: []
restart_needed:
  description: Clients that are no containers, and need a restart to use the new password.
  returned: success
  type: list
  elements: str
  sample:
    - shop
logins:
  description: The logins with the new password that verify it; empty in check mode, and where nothing
    was changed.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The client's service; null when it could not be examined.
      type: str
    name:
      description: Its container, or V(here).
      type: str
    place:
      description: Where the login was tried from, such as V(namespace), V(toolbox) or V(here).
      type: str
    succeeded:
      description: Whether it succeeded.
      type: bool
    method:
      description: The authentication method, such as V(scram-sha-256), or V(trust) (no password was checked);
        null when unknown.
      type: str
    message:
      description: What the server said; null when it said nothing.
      type: str
  sample:
    - service: shop
      name: here
      place: here
      succeeded: true
      method: scram-sha-256
      message: null
warnings_found:
  description: What is no reason to refuse the new password, but should be known.
  returned: success
  type: list
  elements: str
  sample: []
seconds:
  description: How long all of it took.
  returned: success
  type: float
  sample: 0.4
put_back:
  description: What was restored.
  returned: when the new password could not be verified
  type: list
  elements: str
  sample:
    - the password of role shop
    - /tmp/oncall-pg-rdf9jgrq/password on the controller
not_put_back:
  description: What could not be restored, and why.
  returned: when the new password could not be verified
  type: list
  elements: str
  sample: []
refused:
  description: Whether the task was refused before anything was changed.
  returned: failure
  type: bool
  sample: false
sqlstate:
  description: PostgreSQL's SQLSTATE; null when the failure has none.
  returned: failure
  type: str
  sample: null
"""

from ..module_utils._entry.module import run
from ..module_utils._entry.options import TARGET
from ..module_utils._entry.surviving import Surviving
from ..module_utils._procedures.credentials.run import OPTIONS, Reset

WORK = Surviving(TARGET + OPTIONS, Reset())


def main() -> None:
    run(WORK)


if __name__ == "__main__":
    main()
