#!/bin/sh
# Appends to each image of compose.yml and traces.yml the digest that the registry has for its tag now. A later pull gets the same bytes.
#
#   ./pin.sh             all images but our own, which is built here
#
# An image with a digest stays as it is: to move to a newer version, write its tag without one and run this again.
set -eu
cd "$(dirname "$0")"

inspect='docker buildx imagetools inspect --format {{.Manifest.Digest}}'
digest_of=${DIGEST_OF:-$inspect}

for image in $(sed -n 's/^ *image: *\([^ @#]*\) *$/\1/p' compose.yml traces.yml | sort -u); do
    case $image in yout:*) continue ;; esac
    digest=$($digest_of "$image") || { echo "pin.sh: no digest of $image" >&2; exit 1; }
    printf '%s\n' "$digest" | grep -qx 'sha256:[0-9a-f]\{64\}' || { echo "pin.sh: $image has no digest but \"$digest\"" >&2; exit 1; }
    sed -i "s|^\( *image: *\)$image *$|\1$image@$digest|" compose.yml traces.yml
    echo "$image@$digest"
done
