#!/bin/sh
# Appends to each image of compose.yml and traces.yml the digest that the registry has for its tag now. A later pull gets the same bytes.
#
#   ./pin.sh             all images but our own, which is built here
#
# An image with a digest stays as it is: to move to a newer version, write its tag without one and run this again.
set -eu
cd "$(dirname "$0")"

failed() { echo "pin.sh: $1" >&2; exit 1; }
inspect='docker buildx imagetools inspect --format {{.Manifest.Digest}}'
digest_of=${DIGEST_OF:-$inspect}
[ -n "${DIGEST_OF:-}" ] || docker buildx version > /dev/null 2>&1 || failed "it needs Docker's plugin buildx, which asks the registries"

for image in $(sed -n 's/^ *image: *\([^ @#]*\) *$/\1/p' compose.yml traces.yml | sort -u); do
    case $image in yout:*) continue ;; esac
    answer=$($digest_of "$image" 2>&1) && code=0 || code=$?
    digest=$(printf '%s\n' "$answer" | tail -n 1)
    [ $code -eq 0 ] || failed "no digest of $image: $digest"
    printf '%s\n' "$digest" | grep -qx 'sha256:[0-9a-f]\{64\}' || failed "$image has no digest but \"$digest\""
    sed -i "s|^\( *image: *\)$image *$|\1$image@$digest|" compose.yml traces.yml
    echo "$image@$digest"
done
