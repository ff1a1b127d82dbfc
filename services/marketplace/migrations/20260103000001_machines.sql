-- migrate:up

-- A span of one id: through it a GiST exclusion compares ids without the btree_gist extension.
create type uuid_span as range (subtype = uuid);

create table machine (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 1,
    id_scheme text not null check (id_scheme in ('ISO10261', 'OEM_LEGACY', 'VIN')),
    check_status text not null check (check_status in ('UNCHECKED', 'PASSED', 'FAILED')),
    pin text,
    serial_number text,
    make text not null,
    model text not null,
    equipment_class text not null,
    build_year int,
    hours_meter numeric(8, 2) check (hours_meter >= 0),
    hours_time timestamptz,
    replacement_cost_fen bigint check (replacement_cost_fen > 0),
    title_holder text not null,
    title_since timestamptz not null,
    lifecycle text not null
        check (lifecycle in ('REGISTERED', 'IN_SERVICE', 'IN_REMAN', 'SCRAPPED')),
    custody text not null
        check (custody in ('AVAILABLE', 'RESERVED', 'ON_LEASE', 'IN_SHOP', 'IN_TRANSIT')),
    custodian text not null,
    reservation_reference text,
    reservation_party text,
    reservation_expire_time timestamptz,
    lease_reference text,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check (pin is not null or serial_number is not null),
    check ((custody = 'RESERVED') = (reservation_reference is not null)),
    check ((reservation_reference is null) = (reservation_party is null)),
    check (custody not in ('ON_LEASE', 'IN_TRANSIT') or lease_reference is not null)
);
create unique index machine_pin on machine (pin) where pin is not null;
create unique index machine_serial on machine (upper(make), upper(serial_number))
    where serial_number is not null;
create index machine_title_holder on machine (title_holder, id desc);
create index machine_custodian on machine (custodian, id desc);

-- Who held the title, and when. One holder at each instant: intervals may not overlap, and the
-- next begins where the last ended.
create table title_interval (
    machine_id uuid not null references machine,
    number int not null,
    holder text not null,
    reference text not null,
    start_time timestamptz not null,
    end_time timestamptz check (end_time > start_time),
    primary key (machine_id, number),
    constraint one_title_at_each_instant exclude using gist (
        uuid_span(machine_id, machine_id, '[]') with &&, tstzrange(start_time, end_time) with &&
    )
);

-- How a machine was held, by whom, and when; with it no two reservations or leases overlap.
create table custody_interval (
    machine_id uuid not null references machine,
    number int not null,
    custody text not null,
    holder text not null,
    reference text not null,
    start_time timestamptz not null,
    end_time timestamptz check (end_time > start_time),
    primary key (machine_id, number),
    constraint one_custody_at_each_instant exclude using gist (
        uuid_span(machine_id, machine_id, '[]') with &&, tstzrange(start_time, end_time) with &&
    )
);

create table lien (
    id uuid primary key,
    version bigint not null default 1,
    number bigint generated always as identity unique,
    machine_id uuid not null references machine,
    holder text not null,
    reference text not null,
    registry_no text not null,
    secured_amount_fen bigint not null check (secured_amount_fen > 0),
    purchase_money boolean not null,
    super_priority boolean not null,
    register_time timestamptz not null,
    state text not null check (state in ('ACTIVE', 'RELEASED')),
    release_time timestamptz,
    machine_sequence bigint not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    unique (machine_id, holder, reference),
    check ((state = 'RELEASED') = (release_time is not null))
);
create index lien_machine on lien (machine_id, number);

-- migrate:down
