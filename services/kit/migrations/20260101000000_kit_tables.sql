-- migrate:up

-- A write's answer, kept so that a repeated call gets the same one (AIP-155).
create table request_record (
    principal text not null,
    method text not null,
    request_id uuid not null,
    request_sha256 bytea not null,
    saga_id uuid,
    response bytea,
    refusal bytea,
    create_time timestamptz not null default now(),
    primary key (principal, method, request_id)
);
create index request_record_saga on request_record (saga_id) where saga_id is not null;
create index request_record_create_time on request_record (create_time);

-- Events written with their facts, until the broker has acknowledged them.
create table outbox (
    seq bigint generated always as identity primary key,
    event_id uuid not null,
    topic text not null,
    key text not null,
    headers jsonb not null,
    payload bytea not null
);

-- Events already applied, so that a second delivery has no second effect.
create table inbox (
    consumer text not null,
    event_id uuid not null,
    topic text not null,
    key text not null,
    sequence bigint not null,
    is_seed boolean not null default false,
    create_time timestamptz not null default now(),
    primary key (consumer, event_id)
);
-- A key's highest sequence is also where its next event must follow on.
create unique index inbox_sequence on inbox (consumer, topic, key, sequence);
create index inbox_create_time on inbox (create_time);

-- An event that could not be applied, and the later ones of its key, in their order.
create table parked_event (
    consumer text not null,
    topic text not null,
    key text not null,
    sequence bigint not null,
    event_id uuid not null,
    event_type text not null,
    headers jsonb not null,
    payload bytea not null,
    error text not null,
    create_time timestamptz not null default now(),
    primary key (consumer, topic, key, sequence)
);

-- What falls due at an instant of domain time.
create table timer (
    kind text not null,
    subject text not null,
    due_at timestamptz not null,
    payload jsonb not null,
    attempts int not null default 0,
    retry_at timestamptz,
    last_error text,
    primary key (kind, subject)
);
create index timer_due_at on timer (due_at);

-- Steps across services.
create table saga (
    id uuid primary key,
    kind text not null,
    subject text not null,
    state text not null check (state in ('RUNNING', 'DONE', 'REFUSED')),
    step int not null,
    undoing boolean not null default false,
    attempts int not null default 0,
    facts jsonb not null,
    actor text not null,
    traceparent text not null,
    last_error text not null default '',
    refusal bytea,
    stuck_reported boolean not null default false,
    create_time timestamptz not null,
    update_time timestamptz not null,
    touched_time timestamptz not null default clock_timestamp()
);
create unique index saga_running on saga (kind, subject) where state = 'RUNNING';
create index saga_create_time on saga (create_time desc, id desc);

-- Work that outlasts a call.
create table operation (
    id uuid primary key,
    kind text not null,
    party text not null,
    request bytea not null,
    items_done bigint not null default 0,
    items_total bigint not null,
    checkpoint jsonb not null default '{}',
    cancel_requested boolean not null default false,
    done boolean not null default false,
    error bytea,
    response bytea,
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index operation_running on operation (create_time) where not done;

-- How far the local setting has moved its business date ahead of the calendar.
create table business_clock (
    is_only_row boolean primary key default true check (is_only_row),
    days_ahead int not null default 0
);
insert into business_clock default values;

-- migrate:down
