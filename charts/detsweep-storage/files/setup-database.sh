#!/bin/sh
# Create the role and the database unless they are there, and give the role the Secret's password.
# Runs as the superuser: within PostgreSQL's image when its volume is new, and as a Job ever after.
set -eu

until psql --no-psqlrc --quiet --command 'SELECT' >/dev/null; do
    echo "waiting for PostgreSQL at ${PGHOST:-its socket}"
    sleep 2
done

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
\getenv role DETSWEEP_USER
\getenv password DETSWEEP_PASSWORD
\getenv database DETSWEEP_DATABASE
SELECT format('CREATE ROLE %I', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
SQL
echo "role $DETSWEEP_USER and database $DETSWEEP_DATABASE are there"
