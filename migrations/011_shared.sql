-- Rows that had to stay although their order went, and documents in columns of text.

-- One row a row of the shop's that other orders still had when its order was erased. It goes when the last of
-- them is gone, also where that one is not erased by kvit but deleted by the shop: a cart, for instance.
create table kvit.erasure_left (
    id         bigint      not null generated always as identity primary key,
    table_name text        not null,               -- "schema.table"
    row_key    jsonb       not null,               -- its primary key: {"id": 4711}
    way        text        not null,               -- how it was found
    order_ref  text        not null,               -- the order that left it
    noted_at   timestamptz not null default now(),
    unique (table_name, row_key, way)
);

comment on table kvit.erasure_left is 'Rows of the shop that stay with other orders, after one of theirs was erased.';

grant select (id, table_name, way, order_ref, noted_at) on kvit.erasure_left to kvit_ops;

-- A text as a document; null if it is none. With a null inside, a text that is JSON cannot become jsonb either.
create function kvit.parse_json(value text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return value::jsonb;
exception when invalid_text_representation or untranslatable_character then
    return null;
end
$$;

revoke execute on function kvit.parse_json(text) from public;
