-- A restore of data alone fires the triggers of kvit.erp_receipt. Its rows are kept as they were: what was judged
-- stays judged, and an open receipt is queued once, since the restore brings its job along.

-- hands_out_receipt tells whether the number is one that the table gave itself. A restore writes the numbers
-- that it has, and sets the sequence when all rows are in.
create function kvit.hands_out_receipt(id bigint) returns boolean
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select s.is_called and id <= s.last_value from kvit.erp_receipt_id_seq s
$$;

-- keeps_receipt tells whether a row is stored as the writer has it: if he is the owner, as whoever restores is,
-- and says what became of it or which number it had. The shop and the ERP are not asked what they write there.
create function kvit.keeps_receipt(writer name, id bigint, status text) returns boolean
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    select pg_has_role(writer, c.relowner, 'USAGE') and (status <> 'new' or not kvit.hands_out_receipt(id))
    from pg_class c
    where c.oid = 'kvit.erp_receipt'::regclass
$$;

drop trigger insert_erp_receipt on kvit.erp_receipt;
create trigger insert_erp_receipt before insert on kvit.erp_receipt
    for each row when (not kvit.keeps_receipt(current_user, new.id, new.status))
    execute function kvit.insert_erp_receipt();

drop trigger enqueue_erp_receipt on kvit.erp_receipt;
create trigger enqueue_erp_receipt after insert on kvit.erp_receipt
    for each row when (new.status = 'new' and kvit.hands_out_receipt(new.id))
    execute function kvit.enqueue_erp_receipt();
