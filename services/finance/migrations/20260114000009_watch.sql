-- migrate:up

alter table draw
    add column hours_per_year int not null default 0,
    add column equipment_class text not null default '',
    -- What its newest valuation rested on, against which hours and compliance are compared.
    add column valued_hours numeric(12, 2),
    add column valued_compliance numeric(9, 6),
    add column breach_month int,
    add column shortfall_cause text not null default '',
    add column enforced_by text not null default ''
        check (enforced_by in ('', 'DEADLINE', 'LEASE'));
update draw set hours_per_year = offer.hours_per_year from offer where offer.id = draw.offer_id;

-- The highest loan to value first.
-- A table of draws is small: tens of thousands of rows, indexed in less than a second.
-- squawk-ignore require-concurrent-index-creation
create index draw_watchlist on draw
    (round(outstanding_fen::numeric / greatest(collateral_fen, 1), 4) desc, id desc)
    where state = 'ACTIVE' and (collateral_state <> 'COMPLIANT' or breach_month is not null);
-- squawk-ignore require-concurrent-index-creation
create index draw_class on draw (equipment_class) where state = 'ACTIVE';

-- The curve of a draw's newest valuation: month 0, 1, … from its day on.
create table draw_curve (
    draw_id uuid primary key references draw,
    valuation text not null,
    as_of date not null,
    olv_q10_fen bigint[] not null,
    flv_q10_fen bigint[] not null,
    update_time timestamptz not null
);

-- One time that a machine is valued again for a funder. One runs and one waits at most.
create table revaluation (
    id uuid primary key,
    machine text not null,
    funder text not null,
    state text not null check (state in ('QUEUED', 'RUNNING', 'DONE', 'FAILED')),
    reasons jsonb not null,
    given text not null,
    valuation text not null default '',
    former_valuation text not null default '',
    failure text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null
);
create unique index revaluation_running on revaluation (machine, funder) where state = 'RUNNING';
create unique index revaluation_queued on revaluation (machine, funder) where state = 'QUEUED';
create index revaluation_create_time on revaluation (create_time desc, id desc);
create index revaluation_funder on revaluation (funder, create_time desc, id desc);
create index revaluation_machine on revaluation (machine, create_time desc, id desc);

-- One time that a draw was short of collateral.
create table shortfall (
    id uuid primary key,
    draw_id uuid not null references draw,
    machine text not null,
    funder text not null,
    borrower text not null,
    state text not null check (state in ('OPEN', 'CURED', 'ENFORCED')),
    cause text not null,
    month int,
    loan_to_value numeric(20, 4) not null,
    paydown_fen bigint not null,
    valuation text not null,
    cure_by date not null,
    create_time timestamptz not null,
    end_time timestamptz
);
create unique index shortfall_open on shortfall (draw_id) where state = 'OPEN';
create index shortfall_create_time on shortfall (create_time desc, id desc);
create index shortfall_funder on shortfall (funder, create_time desc, id desc);
create index shortfall_borrower on shortfall (borrower, create_time desc, id desc);
create index shortfall_draw on shortfall (draw_id, create_time desc, id desc);

-- The domain page's section 3.11: monthly, or hours + 250, STOP fault, reman, index; and what a
-- borrowing base leaves out after 30 and 45 days.
update policy set parameters = '{
    "REVALUATION_MONTHS": ["1", null, null],
    "REVALUATION_HOURS": ["250", null, null],
    "REVALUATION_ON_STOP_FAULT": ["1", null, null],
    "REVALUATION_ON_COMPONENT": ["1", null, null],
    "REVALUATION_COMPLIANCE_BAND": ["0.10", null, null],
    "REVALUATION_ON_INDEX": ["1", null, null],
    "BASE_LOCATION_DAYS_MAX": ["30", "1", "90"],
    "BASE_HOURS_DAYS_MAX": ["45", "1", "90"],
    "PORTFOLIO_CONCENTRATION_MAX": ["0.25", null, null],
    "PORTFOLIO_CONCENTRATION_FROM": ["10000000", null, null]
}'::jsonb || parameters;

-- migrate:down
