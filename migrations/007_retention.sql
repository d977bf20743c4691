-- Why an order was erased, what was found when it was looked for, and runs that the brake stopped.

-- Certificates from before this have neither, and are hashed without.
alter table kvit.erasure_certificate
    alter column erp_imported_at drop not null,  -- an order that the ERP never got goes by another clock
    add column clock        text,                -- imported, never_imported, request, replay, or one of retention.clocks
    add column verification jsonb;               -- {"left": 0, "shared": 1}: rows that still hold what should be gone; rows that other orders have, too

-- An index on random texts was two fifths of the cost of a certificate. The chain is what keeps hashes apart.
alter table kvit.erasure_certificate drop constraint erasure_certificate_hash_key;

-- The number of orders that were due when a run stopped before its first row. Null: it did not.
alter table kvit.erasure_run add column braked_at integer;
