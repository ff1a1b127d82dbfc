-- migrate:up

create table part_family (
    id uuid primary key,
    version int not null check (version > 0),
    code text not null,
    remanufacturer text not null,
    component text not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    unique (remanufacturer, code)
);
create index part_family_component on part_family (component, id desc);
create index part_family_remanufacturer on part_family (remanufacturer, id desc);

-- What a family said, version by version; rows are added, never changed.
create table part_family_version (
    family_id uuid not null references part_family,
    version int not null check (version > 0),
    content jsonb not null,
    primary key (family_id, version)
);

create sequence rma_serial;
create sequence label_serial;

create table core_return (
    id uuid primary key,
    version bigint not null,
    event_sequence bigint not null,
    state text not null check (state in (
        'DEPOSIT_CHARGED', 'AUTHORISED', 'RECEIVED', 'GRADED', 'CREDITED', 'REJECTED',
        'FORFEITED', 'CANCELLED'
    )),
    party text not null,
    remanufacturer text not null check (remanufacturer <> party),
    machine text not null,
    work_order text not null,
    family_id uuid not null,
    family_version int not null,
    deposit_fen bigint not null check (deposit_fen > 0),
    deposit_account text not null,
    deposit_on date not null,
    rma_number text not null,
    core_part_number text,
    core_serial_number text,
    core_hours numeric(8, 2) check (core_hours >= 0),
    received_on date,
    grading jsonb,
    credit_fen bigint,
    return_freight_fen bigint check (return_freight_fen >= 0),
    reject_reason text not null,
    closing_txn uuid,
    create_time timestamptz not null,
    update_time timestamptz not null,
    foreign key (family_id, family_version) references part_family_version (family_id, version),
    -- A core is in time up to day 180.
    check (received_on between deposit_on and deposit_on + 180),
    check (state not in ('RECEIVED', 'GRADED', 'CREDITED') or received_on is not null),
    check (state not in ('GRADED', 'CREDITED') or grading is not null),
    check ((state = 'REJECTED') = (return_freight_fen is not null)),
    -- Once a return has ended, its deposit is divided to the fen.
    check (
        (state in ('CREDITED', 'REJECTED', 'FORFEITED', 'CANCELLED'))
        = (credit_fen is not null and closing_txn is not null)
    ),
    check (credit_fen between 0 and deposit_fen),
    check (state not in ('REJECTED', 'FORFEITED') or credit_fen = 0),
    check (state <> 'CANCELLED' or credit_fen = deposit_fen)
);
create unique index core_return_rma on core_return (rma_number) where rma_number <> '';
create index core_return_party on core_return (party, id desc);
create index core_return_remanufacturer on core_return (remanufacturer, id desc);
create index core_return_state on core_return (state, id desc);

create table reman_order (
    id uuid primary key,
    version bigint not null,
    event_sequence bigint not null,
    state text not null check (state in (
        'QUEUED', 'DISASSEMBLED', 'CLEANED', 'INSPECTED', 'REWORKED', 'ASSEMBLED', 'TESTED',
        'CERTIFIED', 'STOCKED', 'INSTALLED', 'SOLD', 'SCRAPPED'
    )),
    remanufacturer text not null,
    family_id uuid not null,
    family_version int not null,
    component text not null,
    core_return text not null,
    part_number text not null,
    prior_serial_number text not null,
    prior_hours numeric(8, 2) check (prior_hours >= 0),
    parts jsonb not null,
    certificate jsonb,
    label_no text unique,
    scrap_reason text not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    foreign key (family_id, family_version) references part_family_version (family_id, version),
    check (
        (state in ('CERTIFIED', 'STOCKED', 'INSTALLED', 'SOLD')) = (certificate is not null)
    ),
    check ((certificate is null) = (label_no is null)),
    check ((state = 'SCRAPPED') = (scrap_reason <> ''))
);
-- A core is remanufactured once.
create unique index reman_order_core on reman_order (core_return) where core_return <> '';
create index reman_order_remanufacturer on reman_order (remanufacturer, id desc);
create index reman_order_state on reman_order (state, id desc);

-- What was recorded of an order; rows are added, never changed.
create table reman_step (
    order_id uuid not null references reman_order,
    number int not null check (number > 0),
    kind text not null,
    note text not null,
    documents jsonb not null,
    recorder text not null,
    record_time timestamptz not null,
    primary key (order_id, number)
);

create table bench_run (
    order_id uuid not null references reman_order,
    number int not null check (number > 0),
    measurements jsonb not null,
    tester text not null,
    test_time timestamptz not null,
    primary key (order_id, number)
);

create table unit (
    id uuid primary key references reman_order,
    version bigint not null,
    state text not null check (state in ('STOCKED', 'RESERVED', 'INSTALLED', 'SOLD')),
    remanufacturer text not null,
    family_id uuid not null references part_family,
    component text not null,
    reman_class text not null check (reman_class in ('REMANUFACTURED', 'RECONDITIONED')),
    label_no text not null,
    serial_number text not null,
    prior_serial_number text not null,
    warranty_months int not null,
    warranty_hours int,
    price_fen bigint not null check (price_fen > 0),
    location text not null,
    reference text not null,
    installation jsonb,
    warranty_end date,
    buyer text not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check ((state = 'STOCKED') = (reference = '')),
    check ((state = 'INSTALLED') = (installation is not null)),
    check ((state = 'SOLD') = (buyer <> '')),
    check ((state in ('INSTALLED', 'SOLD')) = (warranty_end is not null))
);
create index unit_stocked on unit (family_id, create_time, id) where state = 'STOCKED';
-- A reference holds one unit of a family.
create unique index unit_reference on unit (reference, family_id) where state = 'RESERVED';
create index unit_remanufacturer on unit (remanufacturer, id desc);
create index unit_buyer on unit (buyer, id desc) where buyer <> '';
create index unit_state on unit (state, id desc);

-- One passport a machine or unit; its row is locked while an entry is added, so that they form one
-- chain. event_sequence counts what we tell of a machine.
create table passport (
    subject text primary key,
    holder text not null,
    maker text not null,
    machine text not null,
    entry_count bigint not null check (entry_count >= 0),
    head_sha256 text not null,
    event_sequence bigint not null,
    create_time timestamptz not null,
    update_time timestamptz not null
);

-- Rows are added, never changed: each holds the hash of the one before.
create table passport_entry (
    subject text not null references passport,
    number bigint not null check (number > 0),
    kind text not null,
    entry_time timestamptz not null,
    public_facts jsonb not null,
    private_facts jsonb not null,
    salt text not null,
    private_sha256 text not null,
    previous_sha256 text not null,
    sha256 text not null unique,
    primary key (subject, number)
);

-- What was said, recorded, measured or told is never changed.
revoke update, delete on part_family_version, reman_step, bench_run, passport_entry
from ironloop_remanufacturing;

-- migrate:down
