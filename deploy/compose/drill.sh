#!/bin/sh
# Restores a backup beside the running database, and proves it: books, secrets, what was in flight. Nothing else is touched.
#
#   ./drill.sh               makes a backup now, and proves that one
#   ./drill.sh yout.dump     proves a backup that `pg_dump --format=custom` has made
#
# Exit code 0: it can be restored. 1: its books or its secrets are not right. 2: it could not be restored.
set -eu
umask 077
compose=${COMPOSE:-docker compose}
service=${SERVICE:-api-1}  # `api` with docker-compose.yml
database=${DATABASE:-yout}
owner=${DATABASE_OWNER:-yout}
copy=drill_$(date -u +%Y%m%d%H%M%S)_$$

made=

failed() { echo "drill: $1" >&2; exit 2; }
postgres() { $compose exec -T postgres "$@"; }
query() { postgres psql --username="$owner" --dbname="$copy" --no-psqlrc --tuples-only --no-align --command="$1"; }
# In a container of the application, as the application, at the restored copy.
ours() { $compose run --rm --no-deps -T "$service" sh -euc "export YOUT_DATABASE_URL=\"\${YOUT_DATABASE_URL%/*}/$copy\"; $1"; }
clean_up() {
    [ -z "$made" ] || rm -f "$made"
    postgres dropdb --username="$owner" --force --if-exists "$copy" || true
}
trap clean_up EXIT

dump=${1:-}
if [ -z "$dump" ]; then
    dump=$(mktemp) && made=$dump
    postgres pg_dump --username="$owner" --format=custom "$database" > "$dump" || failed "there is no backup"
fi
echo "backup: $(wc -c < "$dump" | tr -d ' ') bytes"

postgres createdb --username="$owner" "$copy" || failed "a database beside the running one cannot be made"
postgres pg_restore --username="$owner" --exit-on-error --single-transaction --dbname="$copy" < "$dump" ||
    failed "the backup cannot be restored"
echo "restored: schema $(query 'SELECT version_num FROM alembic_version'), $(query 'SELECT count(*) FROM accounts') accounts," \
    "$(query 'SELECT count(*) FROM transactions') transactions"
echo "in flight: $(query "SELECT count(*) FROM holds WHERE state = 'open'") holds," \
    "$(query "SELECT count(*) FROM media_jobs WHERE state IN ('queued', 'running')") jobs"

wrong=0
# Calls that were in flight have run out since: after a restore the sweeper ends their holds.
checks='import json, sys; wrong = set(json.load(sys.stdin)["counts"]) - {"hold_expired"}; print(*sorted(wrong)); sys.exit(1 if wrong else 0)'
if found=$(ours "yout audit --json | python -I -c '$checks'"); then
    echo "books: right"
else
    echo "books: NOT right: ${found:-the audit could not run}"
    wrong=1
fi
if ours "yout secrets status" > /dev/null; then
    echo "secrets: the current one opens all"
else
    echo "secrets: the current one does NOT open all; yout secrets status says what is missing"
    wrong=1
fi
exit $wrong
