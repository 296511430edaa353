# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a target."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  host:
    description:
      - The target's name in results, messages and the commands that they print. When not given, the name of the
        inventory host.
    type: str
  playbook_options:
    description:
      - Options of C(ansible-playbook) that the printed commands get. When not given, those of this run that the next
        one needs as well, such as C(-i) and C(--vault-id).
    type: list
    elements: str
  runtime:
    description:
      - How the server's process is observed and controlled.
      - V(compose) finds the containers of a Docker Compose project by their labels.
      - V(pg_ctl) finds a server on this host by its O(data_directory).
      - V(remote) reaches the server only over the network and needs O(login_host).
    type: str
    choices: [compose, pg_ctl, remote]
    default: compose
  project:
    description: Name of the Compose project. Required with O(runtime=compose).
    type: str
  service:
    description: Name of the Compose service that runs PostgreSQL.
    type: str
    default: postgres
  docker_host:
    description:
      - Address of the Docker Engine, such as V(unix:///var/run/docker.sock), V(ssh://admin@db1) or V(tcp://db1:2376).
      - When not given, E(DOCKER_HOST) or else the local socket.
      - Podman's socket does as well, V(unix:///run/podman/podman.sock).
      - An address that is not a local socket is reached from the controller itself; nothing runs on the inventory host.
    type: str
  data_directory:
    description:
      - The server's data directory. Required with O(runtime=pg_ctl).
      - With O(runtime=compose) it is the path inside the container, and only needed where neither E(PGDATA) nor the
        server's command line names it.
    type: path
  bin_directory:
    description: Directory of the server's programs. Found automatically when not given.
    type: path
  os_user:
    description:
      - The operating system user that owns the server, for O(runtime=pg_ctl).
      - When not given, the owner of O(data_directory).
    type: str
  log_file:
    description: The server's log, for O(runtime=pg_ctl), where it cannot be found automatically.
    type: path
  login_host:
    description:
      - Host to connect to over TCP, with psycopg2 on the machine where the module runs.
      - When not given, SQL runs through C(psql) beside the server, which needs neither psycopg2 nor a password.
    type: str
  login_port:
    description:
      - Port of the server. When not given, the port the server itself reports, or 5432.
      - A connection pooler's will do, except for what says that it needs the server's own.
    type: int
  login_user:
    description:
      - Role to log in as. A superuser sees everything, a member of C(pg_monitor) most of it.
      - When not given, the container's E(POSTGRES_USER), the name of the server's operating system user with
        O(runtime=pg_ctl), or C(postgres).
    type: str
  login_password:
    description:
      - Password for O(login_user).
      - Without O(login_host), SQL runs beside the server and needs a password only where C(pg_hba.conf) demands one of
        its own OS user. A container's C(POSTGRES_PASSWORD) or C(POSTGRES_PASSWORD_FILE) is then used for its superuser.
    type: str
  login_db:
    description: Database to log in to. When not given, C(postgres).
    type: str
  login_unix_socket:
    description: Directory of the server's Unix socket, where it cannot be found automatically.
    type: path
  ssl_mode:
    description: TLS of the connection to O(login_host), as in libpq.
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
    default: prefer
  ca_cert:
    description: File with the certificates that O(ssl_mode=verify-ca) and O(ssl_mode=verify-full) trust.
    type: path
  connect_timeout_seconds:
    description: How long to wait for a connection.
    type: float
    default: 5
  clients:
    description:
      - The services that use the database. Each is examined from its own place in the network - with
        O(runtime=compose), the network namespace of each of its containers.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the Compose service, or any name for a client that is not a container.
        type: str
        required: true
      health_url:
        description: URL of its health page, as seen from the client itself. It answers 200 while the client is healthy.
        type: str
      application_name:
        description: The C(application_name) its sessions carry.
        type: str
      login:
        description:
          - How the client logs in. Whatever is left out is read from the environment of its container
            (E(DATABASE_URL), E(POSTGRES_*), E(PG*), E(DB_*)), from the files these name (E(POSTGRES_PASSWORD_FILE)
            and the like, Compose and Docker secrets), and from libpq's password file (E(PGPASSFILE)).
        type: dict
        suboptions:
          host:
            description: Host name that the client uses.
            type: str
          port:
            description: Port that the client uses.
            type: int
          user:
            description: Role that the client logs in as.
            type: str
          password:
            description: Its password.
            type: str
          database:
            description: Database that the client uses.
            type: str
          ssl_mode:
            description: TLS of the client's connection, as in libpq.
            type: str
            choices: [disable, allow, prefer, require, verify-ca, verify-full]
      pool:
        description:
          - How many connections the client may open. Whatever is not declared is read from the environment of its
            container (E(DATABASE_POOL_SIZE) and E(DATABASE_MAX_OVERFLOW), or the same with C(DB_) or C(SQLALCHEMY_)).
            All pools together are held against the slots of the server.
        type: dict
        version_added: 0.2.0
        suboptions:
          size:
            description: Connections that each of its pools keeps.
            type: int
          overflow:
            description: Connections that each may open beside them.
            type: int
            default: 0
          replicas:
            description:
              - How many such pools there are, such as one for each worker process. They count while no container runs,
                too. One for each running container if not given.
            type: int
  connection_percent:
    description: Warn that connections are nearly exhausted from this percentage of usable slots on.
    type: float
    default: 80
  idle_minutes:
    description: Sessions idle for longer than this are reported.
    type: float
    default: 30
  long_query_seconds:
    description: Queries that run for longer than this count as long-running.
    type: float
    default: 300
  blocked_seconds:
    description: Sessions that wait for a lock for longer than this count as hanging.
    type: float
    default: 30
  idle_in_transaction_seconds:
    description: Transactions left idle for longer than this are reported.
    type: float
    default: 300
  free_disk_gib:
    description: Less free disk space than this, in GiB, is reported.
    type: float
    default: 5
  xid_age:
    description: A higher transaction or multixact age than this is a wraparound risk.
    type: int
    default: 1000000000
  replication_lag_seconds:
    description: Standbys further behind than this are lagging.
    type: float
    default: 300
  pool_reserve:
    description: Slots that the pools of O(clients) have to leave for others.
    type: int
    default: 10
    version_added: 0.2.0
  log_lines:
    description: How many lines to read from the end of the log.
    type: int
    default: 100
  query_text:
    description:
      - How queries are shown, in results, reports and what is kept before a procedure acts.
      - V(shape) replaces every literal by C(?) and leaves comments out, so that no value of a row, no key and no
        password is shown.
      - V(masked) shows literals and comments, and masks what looks like a password. It cannot know all of them.
    type: str
    choices: [shape, masked]
    default: shape
    version_added: 0.2.0
  deadline_seconds:
    description: Checks end after this time, and report what has been found by then.
    type: float
    default: 10
"""
