-- Erasure table by table, and inside JSON documents.

-- A table that the column policy does not fit stops its own erasure alone. What is done of an order
-- meanwhile stands here, until the rest is done and the certificate counts it all.
create table kvit.erasure_progress (
    order_ref  text        not null primary key,
    tables     jsonb       not null,               -- rows deleted or overwritten: {"public.payments": 1, "kvit.event": 3, …}
    updated_at timestamptz not null default now()
);

comment on table kvit.erasure_progress is 'Orders of which some tables are erased and others wait for the column policy to fit.';

grant select on kvit.erasure_progress to kvit_ops;

-- The HMAC-SHA256 of a text in hex. inner and outer are the key's two pads (RFC 2104), so that the
-- key itself is nowhere in the database. With "again", what looks like a hash stays as it is.
create function kvit.keyed_hash(value text, inner_pad bytea, outer_pad bytea, again boolean) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when again and value ~ '^[0-9a-f]{64}$' then value
        else encode(sha256(outer_pad || sha256(inner_pad || convert_to(value, 'UTF8'))), 'hex')
    end
$$;

-- What is left of a document. The plan is a tree: {"members": {name: plan}} for objects,
-- {"items": plan} for arrays, {"strategy": …} for a value. What the plan does not name is removed, and
-- so is a value of another kind than the plan expects: null says that nothing of it is left.
create function kvit.erase_json(document jsonb, plan jsonb, inner_pad bytea, outer_pad bytea, again boolean) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    kind text := jsonb_typeof(document);
    result jsonb;
    part record;
    value text;
begin
    if kind = 'null' and plan ->> 'strategy' is distinct from 'text' then
        return document;
    end if;
    if plan ? 'members' then
        if kind <> 'object' then
            return null;
        end if;
        result := '{}';
        for part in
            select m.key, kvit.erase_json(document -> m.key, m.value, inner_pad, outer_pad, again) as left_over
            from jsonb_each(plan -> 'members') m
            where document ? m.key
        loop
            if part.left_over is not null then
                result := result || jsonb_build_object(part.key, part.left_over);
            end if;
        end loop;
        return result;
    end if;
    if plan ? 'items' then
        if kind <> 'array' then
            return null;
        end if;
        select coalesce(jsonb_agg(i.left_over order by i.place) filter (where i.left_over is not null), '[]')
        into result
        from (
            select a.place, kvit.erase_json(a.item, plan -> 'items', inner_pad, outer_pad, again) as left_over
            from jsonb_array_elements(document) with ordinality a (item, place)
        ) i;
        return result;
    end if;
    value := document #>> '{}';
    case plan ->> 'strategy'
        when 'keep' then
            return document;
        when 'text' then
            return to_jsonb(coalesce(plan ->> 'text', ''));
        when 'hash' then
            return to_jsonb(kvit.keyed_hash(value, inner_pad, outer_pad, again));
        when 'generalise' then
            if kind in ('string', 'number') then
                return to_jsonb(left(value, (plan ->> 'length')::integer));
            end if;
        when 'truncate_date' then
            -- Only what begins as an ISO 8601 date; anything else might hide more than a date.
            if kind = 'string' and value ~ '^[0-9]{4}-[0-9]{2}(-|$)' then
                return to_jsonb(case plan ->> 'unit'
                    when 'month' then left(value, 7) || '-01'
                    else left(value, 4) || '-01-01'
                end);
            end if;
        else
            null;
    end case;
    return 'null';
end
$$;

revoke execute on function kvit.keyed_hash(text, bytea, bytea, boolean),
    kvit.erase_json(jsonb, jsonb, bytea, bytea, boolean) from public;
