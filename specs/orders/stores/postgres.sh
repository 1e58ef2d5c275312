#!/bin/sh
# Runs a PostgreSQL server that keeps its data in FOLDER, makes it at the first start, and syncs what it commits.
# Usage: postgres.sh PORT FOLDER
set -eu
port=$1 folder=$2
if [ -n "${STEADFAST_POSTGRES:-}" ]; then
    bin=$(dirname "$STEADFAST_POSTGRES")
else
    bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
fi
mkdir -p "$folder"
# PostgreSQL refuses to run as root.
as=
if [ "$(id -u)" = 0 ]; then
    chown postgres:postgres "$folder"
    as="setpriv --reuid postgres --regid postgres --clear-groups --"
    if ! $as test -w "$folder"; then
        echo "the user \`postgres\` cannot reach $folder: choose an --out that all may enter" >&2
        exit 1
    fi
fi
cd /
if [ ! -e "$folder/PG_VERSION" ]; then
    $as "$bin/initdb" --pgdata "$folder" --username postgres --auth trust --encoding UTF8 --no-locale --no-sync >&2
fi
exec $as "$bin/postgres" -D "$folder" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c shared_buffers=16MB -c max_connections=100 -c log_min_messages=warning
