#!/bin/sh
# Restarts every API process with the present image and settings, one after the other, without a lost call.
#
#   ./roll.sh            all of them
#   ./roll.sh api-2      this one
#
# A process that stops lets no new connection begin, and ends what it has. nginx passes over it, and is not reloaded: that
# would close connections that clients are about to use again.
set -eu
cd "$(dirname "$0")"

compose=${COMPOSE:-docker compose}
pause=${PAUSE:-3}  # longer than `fail_timeout` in nginx/api_servers.conf: nginx asks the process again after that

[ $# -gt 0 ] || set -- api-1 api-2 api-3
for service in "$@"; do
    $compose up --detach --no-deps --force-recreate --wait "$service"
    echo "$service: restarted"
    sleep "$pause"
done
