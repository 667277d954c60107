#!/usr/bin/env bash
# Makes the gateway's role and database when the volume is new. The role is not a superuser, so that row-level security holds for it.
set -euo pipefail

psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 --set password="$(cat /run/secrets/postgres_password)" <<'SQL'
CREATE ROLE billwire LOGIN PASSWORD :'password';
CREATE DATABASE billwire OWNER billwire;
SQL
