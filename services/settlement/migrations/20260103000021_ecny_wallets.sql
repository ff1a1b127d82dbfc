-- migrate:up

-- A wallet at the simulated e-CNY operator: the money of a wallet account, under conditions.
create table ecny_wallet (
    id uuid primary key,
    version bigint not null default 1,
    account bigint not null references account,
    party uuid not null,
    payees text[] not null,
    purposes text[] not null,
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index ecny_wallet_party on ecny_wallet (party, create_time, id);
create index ecny_wallet_create_time on ecny_wallet (create_time, id);

-- The conditions of a payment from such a wallet.
alter table payment
    add column ecny_wallet uuid,
    add column purpose text not null default '',
    add column release_event text not null default '',
    add column release_deadline timestamptz,
    add column release_time timestamptz,
    add constraint payment_conditions check (
        (ecny_wallet is null or rail = 'ECNY_SIMULATOR')
        and (release_event = '' or ecny_wallet is not null)
        and ((release_event = '') = (release_deadline is null))
        and (release_time is null or release_event <> '')) not valid;

-- migrate:down
