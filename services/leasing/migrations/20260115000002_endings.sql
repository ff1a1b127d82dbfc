-- migrate:up

alter table lease
    add column notice_on date,
    add column defaulted_on date,
    -- The day on which the machine left the lessee: taken back, returned or lost.
    add column ended_on date,
    add column inspector text not null default '',
    -- Written once each, read whole with the lease.
    add column loss jsonb,
    add column inspection jsonb,
    -- What the lessor said of the machine when it came back or was taken back.
    add column return_condition text not null default '';
-- Both are partial and empty so far: they are made at once.
-- squawk-ignore require-concurrent-index-creation
create index lease_inspector on lease (inspector, create_time desc, id desc) where inspector <> '';
-- squawk-ignore require-concurrent-index-creation
create index lease_insurer on lease ((loss ->> 'insurer'), create_time desc, id desc)
    where loss is not null;

-- The hour meter as maintenance accepted it: the last reading of each business day.
create table accepted_hours (
    machine text not null,
    read_on date not null,
    read_at timestamptz not null,
    hours numeric(14, 2) not null check (hours >= 0),
    reading text not null,
    primary key (machine, read_on)
);

create table claim (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null,
    state text not null check (state in ('OPEN', 'PAID', 'WAIVED')),
    kind text not null,
    lease_id uuid not null references lease,
    machine text not null,
    lessor text not null,
    creditor text not null,
    debtor text not null,
    amount_fen bigint not null check (amount_fen > 0),
    paid_fen bigint not null default 0 check (paid_fen between 0 and amount_fen),
    reference text not null,
    due_on date not null,
    reason text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null,
    check (creditor <> debtor),
    check ((state = 'PAID') = (paid_fen = amount_fen))
);
create index claim_create_time on claim (create_time desc, id desc);
create index claim_creditor on claim (creditor, create_time desc, id desc);
create index claim_debtor on claim (debtor, create_time desc, id desc);
create index claim_lessor on claim (lessor, create_time desc, id desc);
create index claim_lease on claim (lease_id, create_time desc, id desc);

create table disposal_policy (
    version int primary key,
    steps jsonb not null,
    create_time timestamptz not null
);
-- Starting values, open to change: after each second sale without a buyer a tenth less.
insert into disposal_policy (version, steps, create_time) values (1,
    '[[0, "1"], [2, "0.9"], [4, "0.8"], [6, "0.7"]]', '2026-01-01T00:00:00Z');

create table disposal (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null,
    state text not null check (state in ('OPEN', 'SETTLED', 'CANCELLED')),
    lease_id uuid not null references lease,
    machine text not null,
    lessor text not null,
    lessee text not null,
    beneficiary text not null,
    carrier text not null,
    cost_rate numeric(12, 8) not null check (cost_rate between 0 and 1),
    transport_fen bigint not null check (transport_fen >= 0),
    debt_fen bigint not null check (debt_fen >= 0),
    as_of date not null,
    valuation text not null default '',
    reserve_fen bigint check (reserve_fen >= 0),
    policy_version int not null references disposal_policy,
    unsold_count int not null default 0,
    sale_order text not null default '',
    price_fen bigint not null default 0 check (price_fen >= 0),
    surplus_fen bigint not null default 0 check (surplus_fen >= 0),
    claims text[] not null default '{}',
    settle_time timestamptz,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check ((state = 'SETTLED') = (settle_time is not null))
);
create unique index disposal_open on disposal (machine) where state = 'OPEN';
create index disposal_create_time on disposal (create_time desc, id desc);
create index disposal_lessor on disposal (lessor, create_time desc, id desc);
create index disposal_lessee on disposal (lessee, create_time desc, id desc);
create index disposal_lease on disposal (lease_id, create_time desc, id desc);

-- Who has claims on a disposal's proceeds, by rank, and what each was paid.
create table disposal_line (
    disposal_id uuid not null references disposal,
    rank int not null,
    claimant text not null,
    creditor text not null,
    draw text not null,
    due_fen bigint not null check (due_fen >= 0),
    paid_fen bigint not null check (paid_fen between 0 and due_fen),
    transfer_id uuid,
    primary key (disposal_id, rank)
);
create index disposal_line_creditor on disposal_line (creditor, disposal_id);

-- migrate:down
