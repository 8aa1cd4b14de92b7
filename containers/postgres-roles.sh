#!/bin/sh
# Runs once, when the database is made: its owner, the exporter's restricted role, and Grafana's, which only reads.
set -eu

psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set owner `cat /run/secrets/owner`
\set exporter `cat /run/secrets/exporter`
\set grafana `cat /run/secrets/grafana`
CREATE ROLE bandwidth_owner LOGIN PASSWORD :'owner';
CREATE ROLE bandwidth LOGIN PASSWORD :'exporter';
CREATE ROLE bandwidth_grafana LOGIN PASSWORD :'grafana';
CREATE DATABASE bandwidth OWNER bandwidth_owner;
GRANT pg_read_all_data TO bandwidth_grafana;
ALTER ROLE bandwidth_grafana SET default_transaction_read_only = on;
ALTER ROLE bandwidth_grafana SET jit = off; -- compiling a view takes seconds, and running it milliseconds
SQL
