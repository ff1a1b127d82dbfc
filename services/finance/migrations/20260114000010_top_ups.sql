-- migrate:up

-- Cash of the borrower that is held for the funder beside the machine.
alter table draw add column top_up_fen bigint not null default 0 check (top_up_fen >= 0);

create table top_up (
    id uuid primary key,
    draw_id uuid not null references draw,
    state text not null check (state in ('HELD', 'RELEASED', 'APPLIED')),
    amount_fen bigint not null check (amount_fen > 0),
    applied_fen bigint not null default 0 check (applied_fen between 0 and amount_fen),
    hold_id uuid not null unique,
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index top_up_draw on top_up (draw_id, id);

-- A table of draws is small: tens of thousands of rows, indexed in less than a second.
-- squawk-ignore require-concurrent-index-deletion
drop index draw_watchlist;
-- squawk-ignore require-concurrent-index-creation
create index draw_watchlist on draw
    (round(greatest(outstanding_fen - top_up_fen, 0)::numeric / greatest(collateral_fen, 1), 4)
        desc, id desc)
    where state = 'ACTIVE' and (collateral_state <> 'COMPLIANT' or breach_month is not null);

-- migrate:down
