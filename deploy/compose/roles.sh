#!/bin/sh
# kvit's own role, which owns no more than kvit's schema: steps 2 and 3 of the README. Postgres' image runs it at the first start.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$KVIT_PASSWORD" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
create role kvit login password :'password';
alter role kvit set search_path = pg_catalog, pg_temp;
create role kvit_shop nologin;
create role kvit_erp nologin;
create role kvit_ops nologin;
grant create on database :"DBNAME" to kvit;
grant select, update on public.orders to kvit;
grant select, update, delete on public.order_lines to kvit;
SQL
