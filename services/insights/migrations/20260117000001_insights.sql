-- migrate:up

-- Copies fed by events. Days are business dates; an end is the day after the last, null while open.
-- Nothing refers to anything else by a foreign key: topics arrive in any order beside each other.

create table machine (
    id uuid primary key,
    title_holder text not null,
    custodian text not null,
    custody text not null,
    replacement_cost bigint not null check (replacement_cost >= 0)
);

create table ownership (
    machine uuid not null,
    holder text not null,
    from_day date not null,
    to_day date,
    primary key (machine, holder, from_day)
);
create index ownership_holder on ownership (holder);

create table purchase (
    machine uuid not null,
    buyer text not null,
    day date not null,
    price bigint not null check (price >= 0),
    primary key (machine, buyer, day)
);

create table shop_stay (
    machine uuid not null,
    from_day date not null,
    to_day date,
    primary key (machine, from_day)
);

create table lease (
    id text primary key,
    machine uuid not null,
    lessor text not null,
    from_day date not null,
    to_day date,
    is_returned boolean not null default false
);
create index lease_machine on lease (machine, from_day);

create table instalment (
    lease text not null,
    number int not null,
    owner text not null,
    due_day date not null,
    rental bigint not null check (rental >= 0),
    due bigint not null check (due >= 0),
    primary key (lease, number)
);
create index instalment_owner on instalment (owner, due_day);

create table payment (
    lease text not null,
    sequence bigint not null,
    number int not null,
    day date not null,
    paid bigint not null check (paid >= 0),
    primary key (lease, sequence)
);
create index payment_instalment on payment (lease, number);

create table listing (
    id text primary key,
    machine uuid not null,
    published_day date not null,
    sold_day date
);
create index listing_machine on listing (machine, published_day);

create table run (
    machine uuid not null,
    sequence bigint not null,
    day date not null,
    hours numeric(12, 4) not null check (hours >= 0),
    primary key (machine, sequence)
);
create index run_day on run (machine, day);

create table failure (
    work_order text primary key,
    machine uuid not null,
    day date not null,
    downtime_hours numeric(12, 4) not null check (downtime_hours > 0)
);
create index failure_machine on failure (machine, day);

create table core (
    id text primary key,
    machine uuid,
    party text not null,
    charged_day date not null,
    end_day date,
    is_returned boolean
);
create index core_party on core (party, end_day);

create table timeline (
    number bigint generated always as identity primary key,
    machine uuid not null,
    event_time timestamptz not null,
    event text not null,
    reference text not null,
    party text not null,
    amount bigint,
    hours numeric(12, 4),
    note text not null
);
create index timeline_machine on timeline (machine, event_time, number);

-- migrate:down
