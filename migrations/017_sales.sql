-- What shops find out about their events: fields that were left out, and the id of what they have written.

-- Receipts of what was delivered without a field; kvit status counts those of the last days.
create index delivery_incomplete on kvit.delivery (finished_at) where outcome = 'delivered' and reason is not null;

-- More events that shops write. The names stand within the function, whose other parts stay as they are.
do $$
declare
    before text := pg_get_functiondef('kvit.insert_tracking_event()'::regprocedure);
    after  text := replace(before, $names$'search', 'page_viewed'$names$, $names$'search', 'page_viewed',
        'order_partly_refunded', 'cart_item_removed', 'wishlist_item_added', 'list_viewed',
        'shipping_info_given', 'payment_info_given', 'promotion_viewed', 'promotion_selected', 'logged_in'$names$);
begin
    if after = before then
        raise exception 'kvit.insert_tracking_event lists its events in a way that this migration does not know';
    end if;
    execute after;
end
$$;

-- For ORMs that write "insert … returning id". It tells when the event was written among all, and nothing of it.
grant select (id) on kvit.tracking_event to kvit_shop;

-- The plain insert as a function, for clients that call those more easily: with named arguments and defaults. It
-- runs with its caller's own right to insert. It returns the event's id; null for a key that is known already.
create function kvit.track(
    event_key   text,
    name        text,
    order_ref   text        default null,
    payload     json        default null,
    consent     json        default '{}',
    occurred_at timestamptz default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into kvit.tracking_event (event_key, name, order_ref, payload, consent, occurred_at)
    values (event_key, name, order_ref, payload, consent, coalesce(occurred_at, now()))
    returning id
$$;

comment on function kvit.track(text, text, text, json, json, timestamptz) is
    'Writes a tracking event, as an insert into kvit.tracking_event does; the id, or null for a repeat.';

revoke execute on function kvit.track(text, text, text, json, json, timestamptz) from public;
grant execute on function kvit.track(text, text, text, json, json, timestamptz) to kvit_shop;
