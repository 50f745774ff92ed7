#!/bin/sh
# Create the bucket unless it is there. Fails, and says why, where that can't be done yet.
set -eu
. "$(dirname "$0")/s3.sh"

status() {
    s3 --output /dev/null --write-out '%{http_code}' "$@" || true
}

found=$(status --head "$bucket_url")
if [ "$found" = 404 ]; then
    set -- --request PUT
    # S3 takes the name of its first region from no one.
    if [ "$region" != us-east-1 ]; then
        set -- "$@" --data "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>$region</LocationConstraint></CreateBucketConfiguration>"
    fi
    echo "creating bucket $BUCKET: HTTP $(status "$@" "$bucket_url")"
    found=$(status --head "$bucket_url")
fi
case $found in
200)
    echo "bucket $BUCKET is there"
    exit 0
    ;;
403)
    echo "bucket $BUCKET is refused (HTTP 403): the credentials in the Secret are wrong, or it is someone else's" >&2
    ;;
*)
    echo "no bucket $BUCKET at $AWS_ENDPOINT_URL yet (HTTP $found)" >&2
    ;;
esac
exit 1
