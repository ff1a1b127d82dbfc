-- migrate:up

-- What is installed in a machine, and what was. In each place one component at each instant.
create table component_interval (
    machine_id uuid not null references machine,
    number int not null,
    kind text not null,
    position text not null,
    serial_number text not null,
    manufacture_class text not null
        check (manufacture_class in ('NEW', 'REMANUFACTURED', 'RECONDITIONED')),
    installed_on date not null,
    hours_at_install numeric(8, 2) not null check (hours_at_install >= 0),
    label_no text not null,
    unit text not null,
    reference text not null,
    start_time timestamptz not null,
    end_time timestamptz check (end_time > start_time),
    primary key (machine_id, number)
);
create unique index component_in_place on component_interval (machine_id, kind, position)
    where end_time is null;

-- The disposal that a sale is part of; procurement settles it by leasing's waterfall.
alter table listing add column disposal text;

-- migrate:down
