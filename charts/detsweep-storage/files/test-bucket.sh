#!/bin/sh
# Put an object, get it back, and remove it, as a run does.
set -eu
. "$(dirname "$0")/s3.sh"

if [ -z "${AWS_DEFAULT_REGION:-}" ] && [ "$S3_REGION" != us-east-1 ]; then
    echo "the Secret $S3_SECRET names no region, so a run would sign for us-east-1 in place of $S3_REGION:" >&2
    echo "add AWS_DEFAULT_REGION and AWS_REGION to it" >&2
    exit 1
fi
sent="detsweep $(date)"
object="$bucket_url/helm-test/$(hostname)"
s3 --fail-with-body --request PUT --data-binary "$sent" "$object"
received=$(s3 --fail-with-body "$object")
s3 --fail-with-body --request DELETE "$object"
if [ "$received" != "$sent" ]; then
    echo "$object: sent '$sent', received '$received'" >&2
    exit 1
fi
if curl --fail --silent --connect-timeout 5 --max-time 60 --output /dev/null "$bucket_url"; then
    echo "$bucket_url answers requests without credentials" >&2
    exit 1
fi
echo "an object was put, got and removed below $bucket_url"
