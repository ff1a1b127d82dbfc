-- migrate:up

-- Money that leaves a wallet over a rail.
create table payment (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 0,
    state text not null check (
        state in ('CREATED', 'AUTHORISED', 'SUBMITTED', 'SETTLED', 'RETURNED', 'FAILED')),
    rail text not null check (rail in ('INTERNAL', 'BANK', 'ECNY_SIMULATOR')),
    account bigint not null references account,
    party uuid not null,
    amount bigint not null check (amount > 0),
    destination bigint references account,
    creditor_name text not null,
    creditor_account text not null,
    creditor_agent text not null,
    end_to_end_id text not null unique,
    remittance text not null,
    maker text not null,
    checker text not null default '',
    failure text not null default '',
    hold_transfer uuid,
    post_transfer uuid,
    file text,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check ((rail = 'INTERNAL') = (destination is not null)),
    check (post_transfer is null or state in ('SETTLED', 'RETURNED'))
);
create index payment_party on payment (party, create_time desc, id desc);
create index payment_create_time on payment (create_time desc, id desc);
create index payment_to_export on payment (create_time, id)
    where rail = 'BANK' and state = 'SUBMITTED' and file is null;

-- A pain.001 file, as it was written.
create table payment_file (
    message_id text primary key,
    payment_count int not null check (payment_count > 0),
    control_sum bigint not null check (control_sum > 0),
    xml text not null,
    create_time timestamptz not null
);

-- A line of a bank statement, once for each account and reference of the bank.
create table statement_line (
    id uuid primary key,
    event_sequence bigint not null default 0,
    bank_account bigint not null references account,
    statement text not null,
    reference text not null,
    state text not null check (state in ('MATCHED', 'UNMATCHED', 'RESOLVED')),
    amount bigint not null check (amount > 0),
    is_credit boolean not null,
    end_to_end_id text not null,
    remittance text not null,
    booking_date date not null,
    matched text not null,
    create_time timestamptz not null,
    unique (bank_account, reference)
);
create index statement_line_create_time on statement_line (create_time, id);
create index statement_line_state on statement_line (state, create_time, id);

-- migrate:down
