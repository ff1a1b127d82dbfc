-- migrate:up

-- The keys under which roots are signed; the newest signs, all verify.
create table root_key (
    id text primary key,
    pem bytea not null,
    create_time timestamptz not null default now()
);

-- A signed root over the records of a batch, or of the single valuations of an hour.
create table merkle_root (
    subject text primary key,
    leaves bigint not null check (leaves > 0),
    root bytea not null check (length(root) = 32),
    signature bytea not null,
    key_id text not null references root_key,
    -- Of an hour: the valuations created in [from_time, to_time), by create_time and id.
    from_time timestamptz,
    to_time timestamptz,
    create_time timestamptz not null,
    check ((from_time is null) = (to_time is null))
);
create index merkle_root_hour on merkle_root (to_time desc) where to_time is not null;

-- One row a batch, however many its rows: those stand in files.
create table batch (
    id uuid primary key,
    party text not null,
    request_id uuid,
    as_of date not null,
    rows bigint not null,
    errors bigint not null,
    model text not null,
    policy text not null,
    root_subject text not null references merkle_root,
    result_file text not null,
    result_sha256 text not null,
    create_time timestamptz not null,
    unique (party, request_id)
);

-- migrate:down
