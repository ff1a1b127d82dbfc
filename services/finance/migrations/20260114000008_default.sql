-- migrate:up

-- A draw in default is bound to its machine until that is sold, and its balance until it is paid.
alter table draw add column secured boolean not null default true;
-- A table of draws is small: tens of thousands of rows, indexed in less than a second.
-- squawk-ignore require-concurrent-index-deletion
drop index draw_machine;
-- squawk-ignore require-concurrent-index-creation
create index draw_machine on draw (machine)
    where state in ('PENDING', 'ACTIVE') or held_by <> '' or (state = 'DEFAULTED' and secured);

-- What the disposal of a machine paid on its draw, and what it left: a claim on the borrower.
create table claim (
    id uuid primary key,
    draw_id uuid not null unique references draw,
    state text not null check (state in ('OPEN', 'PAID')),
    transfer_ids text[] not null,
    paid_fen bigint not null check (paid_fen >= 0),
    interest_fen bigint not null check (interest_fen >= 0),
    principal_fen bigint not null check (principal_fen >= 0),
    penalty_fen bigint not null check (penalty_fen >= 0),
    as_of date not null,
    create_time timestamptz not null,
    update_time timestamptz not null
);

-- migrate:down
