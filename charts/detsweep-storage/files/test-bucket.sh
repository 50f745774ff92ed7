#!/bin/sh
# Put an object, get it back, and remove it.
set -eu
. "$(dirname "$0")/s3.sh"

sent="detsweep $(date)"
object="$bucket_url/helm-test/$(hostname)"
s3 --fail --request PUT --data-binary "$sent" "$object"
received=$(s3 --fail "$object")
s3 --fail --request DELETE "$object"
if [ "$received" != "$sent" ]; then
    echo "$object: sent '$sent', received '$received'" >&2
    exit 1
fi
if curl --fail --silent --output /dev/null "$bucket_url"; then
    echo "$bucket_url answers requests without credentials" >&2
    exit 1
fi
echo "an object was put, got and removed below $bucket_url"
