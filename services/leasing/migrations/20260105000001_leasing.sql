-- migrate:up

create table programme (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 1,
    state text not null check (state in ('PUBLISHED', 'RETIRED')),
    lessor text not null,
    revision int not null,
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index programme_create_time on programme (create_time desc, id desc);
create index programme_lessor on programme (lessor, create_time desc, id desc);

-- What a programme offers at each revision; a row never changes.
create table programme_revision (
    programme_id uuid not null references programme,
    revision int not null,
    publish_time timestamptz not null,
    title text not null,
    nominal_rate numeric(12, 8) not null check (nominal_rate >= 0),
    fee_rate numeric(12, 8) not null check (fee_rate >= 0),
    deposit_rate numeric(12, 8) not null check (deposit_rate >= 0),
    in_advance boolean not null,
    day_count text not null,
    term_months_min int not null check (term_months_min > 0),
    term_months_max int not null check (term_months_max >= term_months_min),
    residual_rate_min numeric(12, 8) not null check (residual_rate_min >= 0),
    residual_rate_max numeric(12, 8) not null check (residual_rate_max between residual_rate_min and 1),
    amount_min_fen bigint not null check (amount_min_fen > 0),
    amount_max_fen bigint not null check (amount_max_fen >= amount_min_fen),
    hours_per_year int not null check (hours_per_year >= 0),
    excess_hour_rate_fen bigint not null check (excess_hour_rate_fen >= 0),
    buyout_fee_rate numeric(12, 8) not null check (buyout_fee_rate >= 0),
    penalty_daily_rate numeric(12, 8) not null check (penalty_daily_rate >= 0),
    penalty_cap_rate numeric(12, 8) not null check (penalty_cap_rate >= 0),
    extension_months_max int not null check (extension_months_max >= 0),
    extension_residual_rate numeric(12, 8) not null check (extension_residual_rate between 0 and 1),
    initial_direct_cost_fen bigint not null check (initial_direct_cost_fen >= 0),
    economic_life_months int not null check (economic_life_months >= 0),
    primary key (programme_id, revision)
);

create table lease (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 0,
    state text not null,
    -- The saga under way, which keeps other commands off.
    saga_id uuid,

    -- The terms: quoted, hashed, signed; they never change.
    programme_id uuid not null,
    programme_revision int not null,
    machine text not null,
    machine_number text not null,
    lessor text not null,
    lessee text not null,
    financed_fen bigint not null check (financed_fen > 0),
    residual_fen bigint not null check (residual_fen between 0 and financed_fen),
    guaranteed_residual_fen bigint not null check (guaranteed_residual_fen between 0 and residual_fen),
    term_months int not null check (term_months > 0),
    in_advance boolean not null,
    nominal_rate numeric(12, 8) not null check (nominal_rate >= 0),
    day_count text not null,
    fee_fen bigint not null check (fee_fen >= 0),
    deposit_fen bigint not null check (deposit_fen >= 0),
    hours_per_year int not null,
    excess_hour_rate_fen bigint not null,
    buyout_fee_rate numeric(12, 8) not null,
    penalty_daily_rate numeric(12, 8) not null,
    penalty_cap_rate numeric(12, 8) not null,
    extension_months_max int not null,
    extension_residual_rate numeric(12, 8) not null,
    canonical_terms text not null,
    terms_sha256 text not null,

    -- The quote's figures; they never change.
    payment_fen bigint not null,
    last_payment_fen bigint not null,
    payments_fen bigint not null,
    interest_fen bigint not null,
    effective_rate numeric(14, 8) not null,
    all_in_nominal_rate numeric(14, 8) not null,
    all_in_effective_rate numeric(14, 8) not null,
    reasons text[] not null,
    implicit_rate numeric(14, 8) not null,
    payments_value_fen bigint not null,
    value_share numeric(20, 6) not null,
    unguaranteed_value_fen bigint not null,

    expire_at timestamptz,
    lessor_signer text not null default '',
    lessor_sign_time timestamptz,
    lessee_signer text not null default '',
    lessee_sign_time timestamptz,
    start_on date,
    maturity_on date,
    registry_no text not null default '',
    calendar_version text not null default '',
    schedule_revision int not null default 0,
    outstanding_fen bigint not null default 0 check (outstanding_fen >= 0),
    residual_now_fen bigint not null check (residual_now_fen >= 0),
    deposit_held_fen bigint not null default 0 check (deposit_held_fen >= 0),
    buyout_as_of date,
    buyout_due_fen bigint,
    buyout_principal_fen bigint,
    buyout_interest_fen bigint,
    buyout_fee_fen bigint,
    reason text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null,

    check (lessor <> lessee),
    check (state not in ('ACTIVE', 'BUYOUT_QUOTED') or (start_on is not null and registry_no <> '')),
    check ((state = 'BUYOUT_QUOTED') = (buyout_as_of is not null))
);
-- A machine is in one live lease at most; free again once the return is inspected.
create unique index lease_live_machine on lease (machine) where state in (
    'APPROVED', 'SIGNED', 'ACTIVE', 'BUYOUT_QUOTED', 'MATURED', 'EXTENDED', 'RETURN_PENDING',
    'RETURNED', 'DEFAULTED', 'REPOSSESSED', 'TOTAL_LOSS'
);
create index lease_create_time on lease (create_time desc, id desc);
create index lease_lessor on lease (lessor, create_time desc, id desc);
create index lease_lessee on lease (lessee, create_time desc, id desc);
create index lease_machine on lease (machine, create_time desc, id desc);

create table instalment (
    lease_id uuid not null references lease,
    number int not null check (number > 0),
    state text not null check (state in (
        'SCHEDULED', 'DUE', 'PARTIAL', 'OVERDUE', 'PAID', 'WRITTEN_OFF', 'PAID_OFF'
    )),
    lessor text not null,
    lessee text not null,
    owner text not null,
    assignment text not null default '',
    due_on date not null,
    payable_on date not null check (payable_on >= due_on),
    fees_fen bigint not null check (fees_fen >= 0),
    penalty_fen bigint not null check (penalty_fen >= 0),
    interest_fen bigint not null check (interest_fen >= 0),
    principal_fen bigint not null check (principal_fen >= 0),
    paid_fees_fen bigint not null check (paid_fees_fen between 0 and fees_fen),
    paid_penalty_fen bigint not null check (paid_penalty_fen between 0 and penalty_fen),
    paid_interest_fen bigint not null check (paid_interest_fen between 0 and interest_fen),
    paid_principal_fen bigint not null check (paid_principal_fen between 0 and principal_fen),
    balance_fen bigint not null check (balance_fen >= 0),
    penalty_through date not null,
    bucket int not null default 0,
    pay_time timestamptz,
    primary key (lease_id, number),
    check ((owner = lessor) = (assignment = ''))
);
create index instalment_payable on instalment (payable_on, lease_id, number);
create index instalment_lessor on instalment (lessor, payable_on, lease_id, number);
create index instalment_lessee on instalment (lessee, payable_on, lease_id, number);
create index instalment_owner on instalment (owner, payable_on, lease_id, number)
    where assignment <> '';
create index instalment_overdue on instalment (lease_id) where state = 'OVERDUE';
create index instalment_arrears on instalment (payable_on, lease_id, number)
    where state = 'OVERDUE';

-- Runs of instalments that were assigned, by what assigned them.
create table assignment (
    lease_id uuid not null references lease,
    reference text not null,
    owner text not null,
    from_number int not null,
    to_number int not null check (to_number >= from_number),
    create_time timestamptz not null,
    primary key (lease_id, reference)
);

-- The hour meter as reported; the first row is the one at delivery.
create table usage_reading (
    lease_id uuid not null references lease,
    seq int not null,
    reported_on date not null,
    hours numeric(12, 2) not null check (hours >= 0),
    reporter text not null,
    create_time timestamptz not null,
    primary key (lease_id, seq)
);

-- migrate:down
