#!/bin/sh
# Makes the cluster on the first start, then becomes the server. Takes the variables of the official image:
# POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB. The cluster comes from a template made with the image: 0.3 s, not 2 s.
set -eu

case "${1:-postgres}" in
  -*) set -- postgres "$@" ;;
esac

if [ "${1:-}" = postgres ] && [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA" || true
  find "$PGDATA" \! -user postgres -exec chown postgres '{}' + || true
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ "${1:-}" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?give POSTGRES_PASSWORD to initialise the cluster}"
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  cp -R /usr/share/postgresql/template-cluster/. "$PGDATA"
  quote() { printf %s "$1" | sed "s/$2/$2$2/g"; }
  {
    # The session's own role cannot be renamed by ALTER ROLE; 10 is the bootstrap superuser's oid.
    printf "UPDATE pg_authid SET rolname = '%s' WHERE oid = 10\n" "$(quote "$user" "'")"
    printf "ALTER ROLE \"%s\" PASSWORD '%s'\n" "$(quote "$user" '"')" "$(quote "$POSTGRES_PASSWORD" "'")"
    [ "$database" = postgres ] || printf 'CREATE DATABASE "%s"\n' "$(quote "$database" '"')"
  } | postgres --single -D "$PGDATA" -c log_statement=none -c log_min_error_statement=panic postgres > /dev/null
  echo "PostgreSQL init process complete; ready for start up."
fi

exec "$@"
