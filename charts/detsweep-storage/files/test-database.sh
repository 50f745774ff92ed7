#!/bin/sh
# Write and read a table as the role that agents use.
set -eu

sum=$(
    psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --single-transaction <<'SQL'
CREATE TABLE detsweep_helm_test (number integer);
INSERT INTO detsweep_helm_test SELECT generate_series(1, 4);
SELECT sum(number) FROM detsweep_helm_test;
DROP TABLE detsweep_helm_test;
SQL
)
if [ "$sum" != 10 ]; then
    echo "1 + 2 + 3 + 4 came out as '$sum'" >&2
    exit 1
fi
echo "a table was written, read and removed in $PGDATABASE at $PGHOST"
