-- What `kvit status` counts by destination: the newest receipts of each that name a member left out.
drop index kvit.delivery_incomplete;
create index delivery_incomplete on kvit.delivery (destination, finished_at) where outcome = 'delivered' and reason is not null;
