# Copyright: (c) 2026, the oncall.postgresql contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a target."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  runtime:
    description:
      - How the server's process is seen and driven.
      - V(compose) finds the containers of a Docker Compose project by their labels.
      - V(pg_ctl) looks at a server on this host by its O(data_directory).
      - V(remote) has nothing but the wire and needs O(login_host).
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
      - An address that is no local socket is reached from the controller itself, nothing runs on the inventory host.
    type: str
  data_directory:
    description:
      - The server's data directory. Required with O(runtime=pg_ctl).
      - With O(runtime=compose) it is the path inside the container, and only needed where neither E(PGDATA) nor the
        server's command line names it.
    type: path
  bin_directory:
    description: Where the server's programs are. Found by itself when not given.
    type: path
  os_user:
    description:
      - The operating system's user that owns the server, for O(runtime=pg_ctl).
      - When not given, the owner of O(data_directory).
    type: str
  log_file:
    description: The server's log, for O(runtime=pg_ctl), where it cannot be found by itself.
    type: path
  login_host:
    description:
      - Host to reach by TCP, with psycopg2 on the machine where the module runs.
      - When not given, SQL runs by C(psql) beside the server, which needs neither psycopg2 nor a password.
    type: str
  login_port:
    description: Port of the server. When not given, what the server itself says, or 5432.
    type: int
  login_user:
    description:
      - Role to log in as. A superuser sees everything, a member of C(pg_monitor) most of it.
      - When not given, the container's E(POSTGRES_USER), the name of the server's operating system user with
        O(runtime=pg_ctl), or C(postgres).
    type: str
  login_password:
    description: Password for O(login_user). Only with O(login_host).
    type: str
  login_db:
    description: Database to log in to. When not given, C(postgres).
    type: str
  login_unix_socket:
    description: Directory of the server's Unix socket, where it cannot be found by itself.
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
    description: How long to wait for one connection.
    type: float
    default: 5
  clients:
    description:
      - The services that use the database. Each is examined from its own place, for V(compose) the network namespace of
        each of its containers.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the Compose service, or any name for a client that is no container.
        type: str
        required: true
      health_url:
        description: URL that answers 200 while the client is healthy, as seen from the client's own place.
        type: str
      application_name:
        description: The C(application_name) of its sessions.
        type: str
      login:
        description:
          - How the client logs in. What is left out is read from the environment of its container
            (E(DATABASE_URL), E(POSTGRES_*), E(PG*), E(DB_*)), from the files that it names (E(POSTGRES_PASSWORD_FILE)
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
  connection_percent:
    description: From this share of the usable slots on, connections are nearly exhausted.
    type: float
    default: 80
  idle_minutes:
    description: A session idle for longer is worth a mention.
    type: float
    default: 30
  long_query_seconds:
    description: A query that runs for longer is long.
    type: float
    default: 300
  blocked_seconds:
    description: A session that waits for a lock for longer is hanging.
    type: float
    default: 30
  idle_in_transaction_seconds:
    description: A transaction left idle for longer is worth a mention.
    type: float
    default: 300
  free_disk_gib:
    description: Less free space than this, in GiB, is worth a mention.
    type: float
    default: 5
  xid_age:
    description: An older transaction or multixact age is a wraparound risk.
    type: int
    default: 1000000000
  replication_lag_seconds:
    description: A standby further behind is lagging.
    type: float
    default: 300
  log_lines:
    description: How many of the log's last lines to read.
    type: int
    default: 100
  deadline_seconds:
    description: All looking ends after this time, with whatever has been seen until then.
    type: float
    default: 10
"""
