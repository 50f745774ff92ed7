# Signed requests to S3, for the scripts beside this file, which source it.

bucket_url="${AWS_ENDPOINT_URL%/}/$BUCKET"
# A Secret of one's own may name no region.
region=${AWS_DEFAULT_REGION:-$S3_REGION}

# s3 CURL_ARGUMENTS: the credentials go through standard input, for arguments can be read by others.
# Bodies are not signed, since versions of curl differ in how they do it.
s3() {
    printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" |
        curl --config - --silent --show-error --connect-timeout 5 --max-time 60 \
            --aws-sigv4 "aws:amz:$region:s3" --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@"
}
