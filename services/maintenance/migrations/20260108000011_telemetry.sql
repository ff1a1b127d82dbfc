-- migrate:up

-- Readings as they were sent; a row never changes. One partition a month of read_at (UTC).
create table telemetry (
    machine_id uuid not null,
    -- The number of ironloop.maintenance.v1.TelemetryElement.
    element smallint not null,
    read_at timestamptz not null,
    -- Which engine or input, or the name of an unknown element.
    label text not null default '',
    -- The figure; the latitude of a location.
    value numeric,
    longitude numeric,
    altitude numeric,
    capacity numeric,
    units text,
    text text,
    -- Parts that the standard does not know, as the page had them.
    extras json,
    primary key (machine_id, element, label, read_at)
) partition by range (read_at);
revoke update, delete on telemetry from ironloop_maintenance;

-- Makes the partition of a month (UTC); false where it exists. Attached, not created in place, so
-- that nobody who writes has to wait.
create function make_telemetry_partition(month date) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    first_day date := date_trunc('month', month)::date;
    part text := 'telemetry_' || to_char(first_day, 'YYYYMM');
begin
    perform pg_advisory_xact_lock(hashtext('make_telemetry_partition'));
    if to_regclass(part) is not null then
        return false;
    end if;
    execute format('create table %I (like telemetry including defaults including indexes)', part);
    execute format('revoke all on %I from ironloop_maintenance', part);
    execute format('alter table telemetry attach partition %I for values from (%L) to (%L)', part,
        first_day::timestamp at time zone 'UTC',
        (first_day + interval '1 month')::timestamp at time zone 'UTC');
    return true;
end $$;
revoke all on function make_telemetry_partition(date) from public;
grant execute on function make_telemetry_partition(date) to ironloop_maintenance;

do $$ begin
    for ahead in -1..3 loop
        perform make_telemetry_partition((now() at time zone 'UTC' + ahead * interval '1 month')::date);
    end loop;
end $$;

-- Which series of readings there are, so that the latest of each is found without reading them.
create table telemetry_series (
    machine_id uuid not null,
    element smallint not null,
    label text not null,
    primary key (machine_id, element, label)
);

-- How a sender of fleet pages knows a machine, by its newest page.
create table fleet_unit (
    machine_id uuid primary key references monitored_machine,
    equipment_id text not null,
    oem_name text,
    model text,
    serial_number text,
    pin text,
    unit_install_time timestamptz,
    extras json,
    update_time timestamptz not null
);
create index fleet_unit_equipment_id on fleet_unit (upper(equipment_id));

-- Running totals of a machine: what was last believed.
create table meter (
    machine_id uuid not null references monitored_machine,
    kind text not null check (kind in ('HOURS', 'IDLE_HOURS', 'FUEL', 'DISTANCE')),
    version bigint not null default 1,
    figure numeric not null check (figure >= 0),
    -- What earlier meters and roll-overs had run beyond the figure.
    run_before numeric not null default 0,
    read_at timestamptz not null,
    rolls_over_at numeric check (rolls_over_at > 0),
    replacements int not null default 0,
    roll_overs int not null default 0,
    -- Life and business date of the last event; null before the first.
    announced numeric,
    announced_on date,
    create_time timestamptz not null,
    update_time timestamptz not null,
    primary key (machine_id, kind)
) with (fillfactor = 70);

-- Readings that moved a meter in a way others hear of, or that wait for a decision.
create table meter_reading (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null default 0,
    state text not null check (state in ('ACCEPTED', 'QUARANTINED', 'REJECTED', 'CORRECTED')),
    machine_id uuid not null references monitored_machine,
    kind text not null,
    figure numeric not null check (figure >= 0),
    run_before numeric,
    read_at timestamptz not null,
    source text not null check (source in ('TELEMETRY', 'REPORTED', 'CORRECTION')),
    reference text not null default '',
    reporter text not null default '',
    reason text not null default '',
    last_figure numeric,
    occurrences int not null default 1,
    corrects uuid references meter_reading,
    comment text not null default '',
    decided_by text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index meter_reading_machine on meter_reading (machine_id, kind, read_at desc, id desc);
-- What a machine says wrong again and again makes one row.
create unique index meter_reading_open on meter_reading (machine_id, kind, reason)
    where state = 'QUARANTINED' and source = 'TELEMETRY';
-- A person's reading of an instant is one.
create unique index meter_reading_reported on meter_reading (machine_id, kind, read_at)
    where source = 'REPORTED';

-- Each replacement of a meter.
create table meter_replacement (
    id uuid primary key,
    machine_id uuid not null references monitored_machine,
    kind text not null,
    replace_time timestamptz not null,
    old_figure numeric not null,
    new_figure numeric not null,
    reference text not null,
    recorded_by text not null,
    create_time timestamptz not null
);
create index meter_replacement_machine on meter_replacement (machine_id, kind, replace_time);

create table fault (
    id uuid primary key,
    version bigint not null default 1,
    event_sequence bigint not null,
    state text not null check (state in ('ACTIVE', 'ACKNOWLEDGED', 'WORK_ORDERED', 'CLEARED')),
    machine_id uuid not null references monitored_machine,
    -- "spn/fmi/sa", or "oem/code": what counts as the same fault.
    code text not null,
    spn int check (spn between 0 and 524287),
    fmi int check (fmi between 0 and 31),
    source_address int check (source_address between 0 and 253),
    oem_code text not null default '',
    severity text not null check (severity in ('INFO', 'WARN', 'STOP')),
    lamps text[] not null default '{}',
    count int not null check (count > 0),
    description text not null default '',
    raise_time timestamptz not null,
    last_report_time timestamptz not null,
    clear_time timestamptz,
    cleared_by text not null default '',
    acknowledged_by text not null default '',
    work_order text not null default '',
    create_time timestamptz not null,
    update_time timestamptz not null
);
create unique index fault_open on fault (machine_id, code) where state <> 'CLEARED';
create index fault_machine on fault (machine_id, id desc);
create index fault_stop on fault (machine_id) where state <> 'CLEARED' and severity = 'STOP';
create index fault_work_order on fault (work_order) where work_order <> '';
create index fault_last_cleared on fault (machine_id, code, last_report_time desc)
    where state = 'CLEARED';

-- How far the poller has come with each endpoint of the settings.
create table fleet_source (
    name text primary key,
    -- The page that comes next; empty: the next walk begins at the start.
    next_href text not null default '',
    pages int not null default 0,
    failures int not null default 0,
    last_error text not null default '',
    finish_time timestamptz,
    next_time timestamptz not null
);

-- migrate:down
