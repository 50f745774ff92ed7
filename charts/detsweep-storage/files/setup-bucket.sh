#!/bin/sh
# Create the bucket unless it is there. Waits for the server; whoever runs this ends it in time.
set -eu
. "$(dirname "$0")/s3.sh"

status() {
    s3 --output /dev/null --write-out '%{http_code}' "$@" || true
}

while true; do
    found=$(status --head "$bucket_url")
    case $found in
    200)
        echo "bucket $BUCKET is there"
        exit 0
        ;;
    404)
        set -- --request PUT
        # S3 takes the name of its first region from no one.
        if [ "$AWS_DEFAULT_REGION" != us-east-1 ]; then
            set -- "$@" --data "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>$AWS_DEFAULT_REGION</LocationConstraint></CreateBucketConfiguration>"
        fi
        created=$(status "$@" "$bucket_url")
        echo "creating bucket $BUCKET: HTTP $created"
        ;;
    403)
        echo "bucket $BUCKET is refused (HTTP 403): the credentials in the Secret are wrong, or it is someone else's" >&2
        ;;
    *)
        echo "waiting for $AWS_ENDPOINT_URL (HTTP $found)"
        ;;
    esac
    sleep 2
done
