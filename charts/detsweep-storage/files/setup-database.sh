#!/bin/sh
# Create the role and the database unless they are there, and give the role and the superuser the
# Secret's passwords. Runs beside the server, as the superuser, whom its socket asks for no password.
set -eu

# By TCP, for while a new database is made the server answers at its socket only.
pg_isready --host=127.0.0.1

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
\getenv superuser PGUSER
\getenv superuser_password DETSWEEP_SUPERUSER_PASSWORD
\getenv role DETSWEEP_USER
\getenv password DETSWEEP_PASSWORD
\getenv database DETSWEEP_DATABASE
ALTER ROLE :"superuser" PASSWORD :'superuser_password';
SELECT format('CREATE ROLE %I', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
SQL
echo "role $DETSWEEP_USER and database $DETSWEEP_DATABASE are there"
