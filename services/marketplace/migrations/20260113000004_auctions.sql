-- migrate:up

-- The new rule takes all that the old one took, and there are few listings.
-- squawk-ignore ban-drop-constraint
alter table listing drop constraint listing_format_check;
-- squawk-ignore constraint-missing-not-valid
alter table listing add constraint listing_format_check
    check (format in ('FIXED', 'OFFER', 'TIMED_AUCTION'));

-- Versions of the table of increments; rows are added, never changed.
create table increment_policy (
    version int primary key check (version > 0),
    steps jsonb not null,
    publisher text not null,
    create_time timestamptz not null
);
-- The starting values of the domain page, section 3.11.
insert into increment_policy values (
    1,
    '[{"below_fen": 10000000, "increment_fen": 100000},
      {"below_fen": 50000000, "increment_fen": 250000},
      {"below_fen": 200000000, "increment_fen": 500000},
      {"below_fen": null, "increment_fen": 1000000}]',
    '',
    '2026-01-01T00:00:00Z'
);

-- A storm of bids updates one row again and again: room in its page keeps those updates out of the
-- indexes.
create table auction (
    id uuid primary key,
    version bigint not null,
    event_sequence bigint not null,
    state text not null check (state in (
        'SCHEDULED', 'OPEN', 'EXTENDED', 'CLOSED_SOLD', 'CLOSED_UNSOLD', 'CANCELLED'
    )),
    listing_id uuid not null references listing,
    machine_id uuid not null references machine,
    seller text not null,
    disposal text not null,
    open_time timestamptz not null,
    close_time timestamptz not null check (close_time > open_time),
    scheduled_close_time timestamptz not null,
    reserve_fen bigint check (reserve_fen > 0),
    deposit_fen bigint not null check (deposit_fen >= 0),
    policy_version int not null references increment_policy,
    bid_sequence bigint not null,
    accepted_bids bigint not null check (accepted_bids between 0 and bid_sequence),
    high_fen bigint not null,
    high_bidder text not null,
    extensions int not null,
    order_name text not null,
    is_settled boolean not null,
    unsold_count int not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check ((accepted_bids > 0) = (high_fen > 0) and (high_fen > 0) = (high_bidder <> '')),
    check (state <> 'CLOSED_SOLD' or high_fen >= coalesce(reserve_fen, 1)),
    check (order_name = '' or state = 'CLOSED_SOLD')
) with (fillfactor = 40);
create unique index auction_live on auction (listing_id)
    where state in ('SCHEDULED', 'OPEN', 'EXTENDED');
create index auction_listing on auction (listing_id, id desc);
create index auction_state on auction (state, id desc);
create index auction_disposal on auction (disposal) where disposal <> '';

-- Every bid that was decided, in the lot's order. Rows are added, never changed.
create table bid (
    auction_id uuid not null references auction,
    sequence bigint not null check (sequence > 0),
    id uuid not null,
    bidder text not null,
    amount_fen bigint not null check (amount_fen > 0),
    state text not null check (state in ('ACCEPTED', 'REFUSED')),
    minimum_fen bigint not null,
    place_time timestamptz not null,
    close_time timestamptz not null,
    primary key (auction_id, sequence),
    check ((state = 'ACCEPTED') = (amount_fen >= minimum_fen))
);
create index bid_of_bidder on bid (auction_id, bidder, sequence);

create table bid_deposit (
    id uuid primary key,
    version bigint not null,
    auction_id uuid not null references auction,
    bidder text not null,
    amount_fen bigint not null check (amount_fen > 0),
    state text not null check (state in ('HELD', 'RELEASED', 'FORFEITED')),
    account text not null,
    transfer_id uuid not null unique,
    auction_sequence bigint not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    unique (auction_id, bidder)
);
create index bid_deposit_auction on bid_deposit (auction_id, id desc);

-- migrate:down
