-- migrate:up

-- What the rail last said of a payment, and whether a line of the bank's statement has told that it
-- is booked: a status report may settle it before.
alter table payment
    add column rail_status text not null default '',
    add column rail_reason_code text not null default '',
    add column is_booked boolean not null default false;
update payment set is_booked = true where rail = 'BANK' and post_transfer is not null;

-- A pain.002 report, as it came.
create table status_report (
    message_id text primary key,
    digest bytea not null check (length(digest) = 32),
    original_file text not null,
    xml text not null,
    create_time timestamptz not null
);

-- What a report says of a payment.
create table payment_status (
    id uuid primary key,
    report text not null references status_report,
    original_file text not null,
    end_to_end_id text not null,
    code text not null,
    reason_code text not null,
    reason text not null,
    outcome text not null check (outcome in ('APPLIED', 'NOTED', 'UNMATCHED')),
    problem text not null,
    payment uuid references payment,
    is_simulated boolean not null,
    create_time timestamptz not null,
    unique (report, end_to_end_id),
    check ((outcome = 'UNMATCHED') = (problem <> ''))
);
create index payment_status_create_time on payment_status (create_time, id);
create index payment_status_outcome on payment_status (outcome, create_time, id);

-- migrate:down
