-- migrate:up

-- The consent of the lender of a draw to another lender's lien behind its own.
create table subordination (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 0,
    state text not null check (state in ('GIVEN', 'USED', 'EXPIRED', 'REVOKED')),
    senior_draw_id uuid not null references draw,
    machine text not null,
    senior_funder text not null,
    junior_funder text not null check (junior_funder <> senior_funder),
    borrower text not null,
    senior_cap_fen bigint not null check (senior_cap_fen > 0),
    junior_draw_id uuid references draw,
    expire_at timestamptz not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check (state <> 'USED' or junior_draw_id is not null)
);
-- One junior lender at a time.
create unique index subordination_given on subordination (senior_draw_id) where state = 'GIVEN';
create index subordination_create_time on subordination (create_time desc, id desc);
create index subordination_senior on subordination (senior_funder, create_time desc, id desc);
create index subordination_junior on subordination (junior_funder, create_time desc, id desc);
create index subordination_borrower on subordination (borrower, create_time desc, id desc);
create index subordination_machine on subordination (machine, create_time desc, id desc);

alter table offer
    add column subordination_id uuid,
    add column senior_fen bigint not null default 0;

-- Which consent a draw stands under, how its lien ranks, and what ranks before it.
alter table draw
    add column subordination_id uuid,
    add column senior_draw_id uuid,
    add column senior_cap_fen bigint,
    add column senior_fen bigint not null default 0,
    add column lien_first boolean not null default false,
    add column lien_time timestamptz,
    add column lien_place int not null default 0;
update draw set lien_time = create_time where lien <> '';

-- A table of draws is small: tens of thousands of rows, indexed in less than a second.
-- squawk-ignore require-concurrent-index-creation
create index draw_senior on draw (senior_draw_id) where senior_draw_id is not null;
-- squawk-ignore require-concurrent-index-deletion
drop index draw_watchlist;
-- squawk-ignore require-concurrent-index-creation
create index draw_watchlist on draw
    (round((greatest(outstanding_fen - top_up_fen, 0) + senior_fen)::numeric
        / greatest(collateral_fen, 1), 4) desc, id desc)
    where state = 'ACTIVE' and (collateral_state <> 'COMPLIANT' or breach_month is not null);

-- migrate:down
