#!/usr/bin/env bash
# Write into each image's Dockerfile which digest the tag of its base has today: images/pin.sh
#
# A later build then starts from that very base, whatever the tag comes to mean. Run it again to take
# the newer one. It asks the base's registry, by crane or skopeo.
set -euo pipefail
cd "$(dirname "$0")"

digest_of() {
    if command -v crane >/dev/null; then
        crane digest "$1"
    elif command -v skopeo >/dev/null; then
        skopeo inspect --format '{{.Digest}}' "docker://$1"
    else
        echo "neither crane nor skopeo is installed, which ask a registry for a digest" >&2
        return 1
    fi
}

for dockerfile in */Dockerfile; do
    base=$(sed -nE 's/^ARG BASE_IMAGE=([^@]*).*$/\1/p' "$dockerfile")
    digest=$(digest_of "$base")
    if [[ ! $digest =~ ^sha256:[0-9a-f]{64}$ ]]; then
        echo "$base: the registry answered \"$digest\", which is no digest" >&2
        exit 1
    fi
    sed -i.before -E "s|^ARG BASE_IMAGE=.*$|ARG BASE_IMAGE=$base@$digest|" "$dockerfile"
    rm "$dockerfile.before"
    echo "images/$dockerfile: $base@$digest"
done
