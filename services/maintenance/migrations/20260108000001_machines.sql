-- migrate:up

-- What marketplace told of a machine, and the one sequence of its events here.
create table monitored_machine (
    id uuid primary key,
    event_sequence bigint not null default 0,
    -- marketplace's own sequence as of this copy.
    registry_sequence bigint not null default 0,
    pin text not null default '',
    serial_number text not null default '',
    make text not null default '',
    model text not null default '',
    equipment_class text not null default '',
    title_holder text not null,
    custodian text not null default '',
    custody text not null default '',
    -- The lease it is out under, "leases/…", also while in the shop; empty where it is on none.
    lease text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index monitored_machine_pin on monitored_machine (upper(pin)) where pin <> '';
create index monitored_machine_serial_number on monitored_machine (upper(serial_number))
    where serial_number <> '';
create index monitored_machine_title_holder on monitored_machine (title_holder, id);
create index monitored_machine_custodian on monitored_machine (custodian, id) where custodian <> '';

-- migrate:down
