-- migrate:up

-- One version of the policy tables; never changed once published.
create table policy (
    id uuid primary key,
    version text not null unique,
    effective_on date not null,
    parameters jsonb not null,
    hours_limits jsonb not null,
    create_time timestamptz not null
);
create index policy_create_time on policy (create_time desc, id desc);

create table facility (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 1,
    state text not null check (state in ('ACTIVE', 'SUSPENDED', 'CLOSED')),
    funder text not null,
    borrower text not null,
    limit_fen bigint not null,
    outstanding_fen bigint not null default 0,
    reserved_fen bigint not null default 0,
    nominal_rate numeric(9, 6) not null,
    day_count text not null,
    basis text not null,
    overrides jsonb not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check (funder <> borrower),
    -- The last net under the row lock: concurrent draws never exceed the limit.
    check (outstanding_fen >= 0 and reserved_fen >= 0),
    check (outstanding_fen + reserved_fen <= limit_fen)
);
create index facility_create_time on facility (create_time desc, id desc);
create index facility_funder on facility (funder, create_time desc, id desc);
create index facility_borrower on facility (borrower, create_time desc, id desc);

create table offer (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 0,
    state text not null check (state in (
        'REQUESTED', 'OFFERED', 'REFUSED', 'ACCEPTED', 'DRAWN', 'REPAID', 'DEFAULTED', 'EXPIRED',
        'WITHDRAWN')),
    facility_id uuid not null references facility,
    funder text not null,
    borrower text not null,
    nominal_rate numeric(9, 6) not null,
    -- What was asked for.
    machine text not null,
    purchase_price_fen bigint not null,
    requested_fen bigint,
    term_months int not null,
    balloon_fen bigint not null,
    hours_per_year int not null,
    purchase_money boolean not null,
    -- What it rests on.
    valuation text,
    record_sha256 text,
    valuation_state text,
    grade text,
    fmv_median_fen bigint,
    fmv_q10_fen bigint,
    olv_median_fen bigint,
    olv_q10_fen bigint,
    flv_q10_fen bigint,
    valuation_expire_at timestamptz,
    -- What was decided.
    policy_version text,
    amount_fen bigint check (amount_fen > 0),
    bound text,
    haircut numeric(9, 6),
    ltv_cap numeric(9, 6),
    loan_to_fmv numeric(20, 4),
    collateral_fen bigint,
    payment_fen bigint,
    total_interest_fen bigint,
    effective_rate numeric(9, 6),
    worst_month int,
    worst_ratio numeric(20, 4),
    refusal_reason text not null default '',
    refusal_message text not null default '',
    draw_id uuid,
    expire_at timestamptz,
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index offer_create_time on offer (create_time desc, id desc);
create index offer_facility on offer (facility_id, create_time desc, id desc);
create index offer_funder on offer (funder, create_time desc, id desc);
create index offer_borrower on offer (borrower, create_time desc, id desc);

create table draw (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 0,
    state text not null check (state in (
        'PENDING', 'ACTIVE', 'REPAID', 'DEFAULTED', 'CANCELLED')),
    offer_id uuid not null references offer,
    facility_id uuid not null references facility,
    funder text not null,
    borrower text not null,
    machine text not null,
    principal_fen bigint not null check (principal_fen > 0),
    balloon_fen bigint not null check (balloon_fen >= 0),
    nominal_rate numeric(9, 6) not null,
    day_count text not null,
    term_months int not null,
    start_on date,
    maturity_on date,
    outstanding_fen bigint not null,
    lien text not null default '',
    registry_no text not null default '',
    transfer_id text not null default '',
    policy_version text not null,
    valuation text not null,
    haircut numeric(9, 6) not null,
    collateral_fen bigint not null,
    olv_median_fen bigint not null,
    watch_line numeric(9, 6) not null,
    maintenance_cap numeric(9, 6) not null,
    penalty_daily_rate numeric(9, 6) not null,
    penalty_cap numeric(9, 6) not null,
    collateral_state text not null check (collateral_state in (
        'COMPLIANT', 'WATCH', 'SHORTFALL', 'CURED', 'ENFORCEMENT')),
    cure_by date,
    overdue_bucket int not null default 0,
    calendar_version text not null default '',
    held_by text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null,
    check (outstanding_fen between 0 and principal_fen)
);
-- An offer is drawn once.
create unique index draw_offer on draw (offer_id) where state <> 'CANCELLED';
create index draw_machine on draw (machine) where state in ('PENDING', 'ACTIVE') or held_by <> '';
create index draw_create_time on draw (create_time desc, id desc);
create index draw_facility on draw (facility_id, create_time desc, id desc);
create index draw_funder on draw (funder, create_time desc, id desc);
create index draw_borrower on draw (borrower, create_time desc, id desc);

create table draw_instalment (
    draw_id uuid not null references draw,
    number int not null,
    contract_on date not null,
    due_on date not null,
    interest_fen bigint not null,
    principal_fen bigint not null,
    balance_fen bigint not null,
    penalty_fen bigint not null default 0,
    penalty_until date,
    interest_paid_fen bigint not null default 0,
    principal_paid_fen bigint not null default 0,
    penalty_paid_fen bigint not null default 0,
    primary key (draw_id, number),
    check (interest_paid_fen between 0 and interest_fen),
    check (principal_paid_fen between 0 and principal_fen),
    check (penalty_paid_fen between 0 and penalty_fen)
);

-- What was paid on a draw; a transfer counts once.
create table draw_payment (
    id uuid primary key,
    draw_id uuid not null references draw,
    kind text not null,
    transfer_id text not null unique,
    amount_fen bigint not null check (amount_fen > 0),
    penalty_fen bigint not null,
    interest_fen bigint not null,
    principal_fen bigint not null,
    excess_fen bigint not null,
    business_date date not null,
    create_time timestamptz not null,
    check (amount_fen = penalty_fen + interest_fen + principal_fen + excess_fen)
);
create index draw_payment_draw on draw_payment (draw_id, create_time desc, id desc);

create table factoring (
    id uuid primary key,
    version bigint not null default 1,
    state text not null check (state in (
        'OFFERED', 'ASSIGNED', 'FUNDED', 'SETTLED', 'CANCELLED')),
    lease text not null,
    machine text not null,
    from_number int not null,
    to_number int not null,
    lessor text not null,
    debtor text not null,
    funder text not null,
    facility_id uuid references facility,
    nominal_rate numeric(9, 6) not null,
    as_of date not null,
    gross_fen bigint not null,
    price_fen bigint not null check (price_fen > 0),
    draw_id uuid references draw,
    draw_repaid_fen bigint,
    registry_no text not null default '',
    policy_version text not null,
    expire_at timestamptz not null,
    held_by text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null,
    check (from_number <= to_number)
);
create index factoring_create_time on factoring (create_time desc, id desc);
create index factoring_lessor on factoring (lessor, create_time desc, id desc);
create index factoring_funder on factoring (funder, create_time desc, id desc);
create index factoring_open on factoring (lease) where state = 'OFFERED';
create index factoring_facility on factoring (facility_id, debtor);

create table receivable (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 0,
    state text not null check (state in (
        'CREATED', 'CONFIRMED', 'OFFERED', 'ASSIGNED', 'FUNDED', 'COLLECTING', 'SETTLED',
        'DISPUTED', 'DILUTED', 'RECOURSE')),
    lease text not null,
    number int not null,
    machine text not null,
    debtor text not null,
    creditor text not null,
    owner text not null,
    amount_fen bigint not null check (amount_fen >= 0),
    principal_fen bigint not null,
    interest_fen bigint not null,
    paid_fen bigint not null default 0 check (paid_fen >= 0),
    due_on date not null,
    factoring_id uuid references factoring,
    registry_no text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null,
    unique (lease, number)
);
create index receivable_debtor on receivable (debtor, lease, number);
create index receivable_creditor on receivable (creditor, lease, number);
create index receivable_owner on receivable (owner, lease, number);
create index receivable_factoring on receivable (factoring_id, number);

-- Which receivable stands in which offer or assignment; in one live one at most.
create table receivable_assignment (
    factoring_id uuid not null references factoring,
    receivable_id uuid not null references receivable,
    price_fen bigint not null,
    live boolean not null,
    primary key (factoring_id, receivable_id)
);
create unique index receivable_assignment_live on receivable_assignment (receivable_id) where live;

create table assignment_notice (
    id uuid primary key,
    factoring_id uuid not null references factoring,
    lease text not null,
    from_number int not null,
    to_number int not null,
    debtor text not null,
    assignor text not null,
    assignee text not null,
    registry_no text not null,
    withdrawn boolean not null default false,
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index assignment_notice_create_time on assignment_notice (create_time desc, id desc);
create index assignment_notice_factoring on assignment_notice (factoring_id);
create index assignment_notice_debtor on assignment_notice (debtor, create_time desc, id desc);

-- The starting values (domain page, section 3.11): [value, lowest override, highest override].
insert into policy (id, version, effective_on, parameters, hours_limits, create_time) values (
    '01970000-0000-7000-8000-000000020261',
    '2026.1',
    '2026-01-01',
    '{
        "HAIRCUT_A": ["0.10", "0.05", "0.60"],
        "HAIRCUT_B": ["0.15", "0.05", "0.60"],
        "HAIRCUT_C": ["0.25", "0.10", "0.60"],
        "LTV_CAP_FMV": ["0.65", "0.30", "0.75"],
        "LTV_CAP_OLV": ["0.85", "0.30", "0.90"],
        "LTV_CAP_FLV": ["0.95", "0.30", "1.00"],
        "PRICE_CAP": ["0.80", "0.40", "0.90"],
        "WATCH_LINE": ["0.87", "0.40", "0.95"],
        "MAINTENANCE_CAP": ["0.90", "0.40", "0.95"],
        "COVER_MAX": ["1.00", "0.50", "1.00"],
        "AGE_AT_MATURITY_YEARS_MAX": ["12", "1", "15"],
        "TERM_MONTHS_MAX": ["60", "1", "84"],
        "OFFER_VALID_DAYS": ["7", null, null],
        "DEBTOR_CONCENTRATION_MAX": ["0.25", "0.05", "0.50"],
        "RECEIVABLE_ADVANCE_INVESTMENT_GRADE": ["0.90", "0.50", "0.95"],
        "RECEIVABLE_ADVANCE_OTHER": ["0.80", "0.50", "0.90"],
        "RECEIVABLE_OVERDUE_DAYS_MAX": ["90", "30", "90"],
        "PENALTY_DAILY_RATE": ["0.0005", "0", "0.0005"],
        "PENALTY_CAP": ["0.20", "0", "0.20"],
        "DEFAULT_PROBABILITY": ["0.02", null, null],
        "LOSS_SECURED": ["0.25", null, null],
        "LOSS_UNSECURED": ["0.40", null, null],
        "LOSS_HAIRCUT": ["0.40", null, null]
    }',
    '{
        "HYDRAULIC_EXCAVATOR": 15000,
        "TRACK_TYPE_TRACTOR": 20000,
        "BACKHOE_LOADER": 12000,
        "WHEEL_LOADER": 20000,
        "SKID_STEER_LOADER": 8000,
        "MOTOR_GRADER": 20000,
        "*": 12000
    }',
    '2026-01-01T00:00:00Z'
);

-- migrate:down
