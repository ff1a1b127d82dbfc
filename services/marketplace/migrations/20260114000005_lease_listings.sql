-- migrate:up

-- The new rules take all that the old one took, and there are few listings.
-- squawk-ignore ban-drop-constraint
alter table listing drop constraint listing_format_check;
-- The programme from which a machine is leased; empty where it is sold.
alter table listing add column lease_programme text not null default '';
-- squawk-ignore constraint-missing-not-valid
alter table listing add constraint listing_format_check check (
    format in ('FIXED', 'OFFER', 'TIMED_AUCTION', 'LEASE')
    and (format = 'LEASE') = (lease_programme <> '')
);

-- migrate:down
