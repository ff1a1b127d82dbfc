-- migrate:up

-- Which party lets its sale prices serve as labels, as marketplace tells it.
create table consent (
    consent text primary key,
    party text not null,
    is_active boolean not null
);
create index consent_party on consent (party) where is_active;

-- A machine's sale. It is RECORDED as the order tells it; then its facts are read from the registry
-- and it is a LABEL where the seller consents, else WITHHELD and its price is forgotten.
create table label (
    order_name text not null,
    machine text not null,
    state text not null check (state in ('RECORDED', 'LABEL', 'WITHHELD')),
    seller text not null,
    consent text not null default '',
    sold_on date not null,
    price_fen bigint,
    hours_meter numeric(12, 2),
    specification jsonb,
    product_group text not null default '',
    -- What the champion said of it as of that day: FMV quantiles in fen, and ln(predicted ÷ paid).
    model text not null default '',
    fmv_fen bigint[],
    log_error double precision,
    features jsonb,
    record_time timestamptz not null,
    primary key (order_name, machine),
    check ((state = 'LABEL') = (specification is not null)),
    check (state <> 'WITHHELD' or price_fen is null)
);
create index label_recorded on label (record_time) where state = 'RECORDED';
create index label_window on label (sold_on) where state = 'LABEL';

-- The alarm of each product group, and of all of them ("ALL").
create table drift_segment (
    segment text primary key,
    level int not null default 0 check (level between 0 and 2),
    event_sequence bigint not null default 0,
    findings jsonb not null default '[]',
    update_time timestamptz not null
);

-- migrate:down
