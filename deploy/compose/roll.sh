#!/bin/sh
# Restarts every API process with the present image and settings, one after the other, without a lost call.
#
#   ./roll.sh            all of them
#   ./roll.sh api-2      this one
#
# A process is taken out of nginx, ends what it has begun, is made anew, and is put back once it is ready.
set -eu
cd "$(dirname "$0")"

servers=nginx/api_servers.conf
compose=${COMPOSE:-docker compose}
pause=${PAUSE:-3}  # seconds in which nginx's old workers pass on what they have just received

address() { grep -n "" compose.yml | sed -n "/^[0-9]*:  $1:/,/ipv4_address/s/.*ipv4_address: \([0-9.]*\).*/\1/p" | head -n 1; }
reload() { $compose exec -T nginx nginx -c /etc/nginx/yout/nginx.conf -t -q && $compose exec -T nginx nginx -c /etc/nginx/yout/nginx.conf -s reload; }
# Written in place: a bind mount of a single file would not see another file of the same name, a folder does.
take_out() { sed -i "s/^\( *server $1:8080 [^;]*[^;n ]\) *;/\1 down;/" $servers; }
put_back() { sed -i "s/^\( *server $1:8080 .*\) down;/\1;/" $servers; }

[ $# -gt 0 ] || set -- api-1 api-2 api-3
for service in "$@"; do
    at=$(address "$service")
    [ -n "$at" ] || { echo "roll.sh: compose.yml has no address of $service" >&2; exit 2; }
    echo "$service: out"
    take_out "$at"
    reload
    sleep "$pause"
    $compose up --detach --no-deps --force-recreate --wait "$service"
    put_back "$at"
    reload
    echo "$service: back"
    sleep "$pause"
done
