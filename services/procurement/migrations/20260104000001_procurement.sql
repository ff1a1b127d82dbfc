-- migrate:up

-- Versions of the rules that orders follow; rows are added, never changed.
create table trade_policy (
    version int primary key check (version > 0),
    platform_fee_rate numeric(6, 5) not null check (platform_fee_rate between 0 and 0.2),
    payment_days int not null check (payment_days > 0),
    acceptance_business_days int not null check (acceptance_business_days > 0),
    publisher text not null,
    create_time timestamptz not null
);
-- The starting values of the domain page: 1.5 %, 7 days, 2 business days.
insert into trade_policy values (1, 0.015, 7, 2, '', '2026-01-01T00:00:00Z');

create table demand_pool (
    id uuid primary key,
    version bigint not null,
    event_sequence bigint not null,
    state text not null
    check (state in ('OPEN', 'LOCKED', 'QUOTED', 'AWARDED', 'ORDERED', 'FAILED')),
    organiser text not null,
    specification jsonb not null,
    region text not null,
    minimum_quantity int not null check (minimum_quantity > 0),
    target_quantity int not null check (target_quantity >= minimum_quantity),
    pooled_quantity int not null check (pooled_quantity >= 0),
    member_count int not null check (member_count >= 0),
    join_until date not null,
    quote_until date check (quote_until >= join_until),
    awarded_quote_id uuid,
    awarded_unit_price_fen bigint not null check (awarded_unit_price_fen >= 0),
    awarded_landed_cost_fen bigint not null check (awarded_landed_cost_fen >= 0),
    failure text check (failure in ('BELOW_MINIMUM', 'NO_VALID_QUOTE')),
    create_time timestamptz not null,
    update_time timestamptz not null,
    check ((state in ('AWARDED', 'ORDERED')) = (awarded_quote_id is not null)),
    check ((state = 'FAILED') = (failure is not null)),
    check (state not in ('LOCKED', 'QUOTED', 'AWARDED', 'ORDERED')
        or pooled_quantity >= minimum_quantity)
);
create index demand_pool_open on demand_pool (id desc) where state in ('OPEN', 'LOCKED', 'QUOTED');
create index demand_pool_state on demand_pool (state, id desc);
create index demand_pool_organiser on demand_pool (organiser, id desc);

create table pool_membership (
    id uuid primary key,
    pool_id uuid not null references demand_pool,
    member text not null,
    quantity int not null check (quantity > 0),
    address jsonb not null,
    state text not null check (state in ('JOINED', 'LEFT')),
    order_id uuid,
    join_time timestamptz not null,
    update_time timestamptz not null,
    unique (pool_id, member)
);
create index pool_membership_order on pool_membership (pool_id, join_time, id);
create index pool_membership_member on pool_membership (member, pool_id);

create table pool_quote (
    id uuid primary key,
    version bigint not null,
    pool_id uuid not null references demand_pool,
    seller text not null,
    state text not null check (state in ('OFFERED', 'AWARDED', 'LOST', 'WITHDRAWN', 'LAPSED')),
    unit_price_fen bigint not null check (unit_price_fen > 0),
    tiers jsonb not null,
    transport_fen bigint not null check (transport_fen >= 0),
    other_fen bigint not null check (other_fen >= 0),
    pooled_unit_price_fen bigint not null check (pooled_unit_price_fen > 0),
    landed_cost_fen bigint not null check (landed_cost_fen > 0),
    machines text [] not null,
    valid_until date not null,
    lapse_reason text not null,
    create_time timestamptz not null,
    update_time timestamptz not null
);
-- A seller has one quote in a pool, and a pool one winner.
create unique index pool_quote_offered on pool_quote (pool_id, seller)
where state in ('OFFERED', 'AWARDED');
create unique index pool_quote_awarded on pool_quote (pool_id) where state = 'AWARDED';
create index pool_quote_pool on pool_quote (pool_id, create_time, id);
create index pool_quote_seller on pool_quote (seller, pool_id);

create table purchase_order (
    id uuid primary key,
    version bigint not null,
    event_sequence bigint not null,
    state text not null check (state in (
        'CREATED', 'CONFIRMED', 'FUNDED', 'DISPATCHED', 'DELIVERED', 'DISPUTED', 'ACCEPTED',
        'SETTLEMENT_BLOCKED', 'SETTLED', 'RETURNED', 'CANCELLED'
    )),
    buyer text not null,
    seller text not null,
    pool_id uuid references demand_pool,
    total_fen bigint not null check (total_fen > 0),
    address jsonb not null,
    policy_version int not null references trade_policy,
    escrow_account text not null,
    allowance_fen bigint not null check (allowance_fen between 0 and total_fen),
    dispatch_document jsonb,
    delivery_proof jsonb,
    payment_deadline_at timestamptz,
    acceptance_deadline_at timestamptz,
    accepted_automatically boolean not null,
    block_reason text not null,
    block_detail text not null,
    cancel_reason text check (cancel_reason in ('BUYER', 'SELLER', 'UNPAID')),
    platform_fee_fen bigint,
    payoffs_fen bigint,
    seller_proceeds_fen bigint,
    settlement_txn uuid,
    settle_time timestamptz,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check (buyer <> seller),
    check (state not in (
        'FUNDED', 'DISPATCHED', 'DELIVERED', 'DISPUTED', 'ACCEPTED', 'SETTLEMENT_BLOCKED',
        'SETTLED', 'RETURNED'
    ) or escrow_account <> ''),
    check ((state = 'SETTLEMENT_BLOCKED') = (block_reason <> '')),
    check ((state = 'CANCELLED') = (cancel_reason is not null)),
    -- A settled order's escrow was paid out to the fen.
    check ((state = 'SETTLED') = (settle_time is not null)),
    check (settle_time is null or (
        platform_fee_fen >= 0 and payoffs_fen >= 0 and seller_proceeds_fen >= 0
        and platform_fee_fen + payoffs_fen + seller_proceeds_fen + allowance_fen = total_fen
    ))
);
create index purchase_order_buyer on purchase_order (buyer, id desc);
create index purchase_order_seller on purchase_order (seller, id desc);
create unique index purchase_order_pool_buyer on purchase_order (pool_id, buyer)
where pool_id is not null;

create table order_line (
    order_id uuid not null references purchase_order,
    number int not null check (number > 0),
    machine text not null,
    listing text,
    price_fen bigint not null check (price_fen > 0),
    transport_fen bigint not null check (transport_fen >= 0),
    other_fen bigint not null check (other_fen >= 0),
    is_live boolean not null default true,
    primary key (order_id, number)
);
-- A machine is in one live order at a time.
create unique index order_line_live_machine on order_line (machine) where is_live;

create table order_dispute (
    order_id uuid primary key references purchase_order,
    reason text not null,
    claim text not null check (claim in ('ALLOWANCE', 'RETURN')),
    claimed_allowance_fen bigint not null check (claimed_allowance_fen >= 0),
    documents jsonb not null,
    dispute_time timestamptz not null,
    outcome text check (outcome in ('ALLOWANCE', 'RETURN')),
    resolver text not null
);

create table lien_payoff (
    order_id uuid not null references purchase_order,
    machine text not null,
    lien text not null,
    draw text not null,
    amount_fen bigint not null check (amount_fen > 0),
    account text not null,
    primary key (order_id, lien)
);

-- migrate:down
