-- migrate:up

create table party (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 1,
    legal_name text not null,
    uscc text unique,
    lei text unique,
    roles text[] not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check (uscc is not null or lei is not null)
);
create index party_legal_name on party (legal_name, id);

create table app_user (
    id uuid primary key,
    version bigint not null default 1,
    party_id uuid not null references party,
    login text not null unique,
    password_hash text not null,
    roles text[] not null,
    state text not null check (state in ('ACTIVE', 'DISABLED')),
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index app_user_party on app_user (party_id);

-- The local issuer's keys: the newest signs, the others still verify until they are removed.
create table signing_key (
    id text primary key,
    private_pem bytea not null,
    create_time timestamptz not null default now()
);

-- migrate:down
