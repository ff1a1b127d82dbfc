-- migrate:up

-- The registry of model versions; their files lie in the folder of models.
create table model (
    version text primary key,
    row_version bigint not null default 1,
    event_sequence bigint not null default 0,
    state text not null check (
        state in ('TRAINED', 'VALIDATED', 'APPROVED', 'CHAMPION', 'RETIRED', 'ROLLED_BACK')
    ),
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    window_end date not null,
    trained_by text not null,
    registered_by text not null,
    approved_by text not null default '',
    gates jsonb not null default '[]',
    -- The champion before it, to which a rollback returns.
    predecessor text references model,
    reason text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null
);
create unique index model_champion on model ((true)) where state = 'CHAMPION';
create index model_newest on model (window_end desc, version desc);

-- migrate:down
