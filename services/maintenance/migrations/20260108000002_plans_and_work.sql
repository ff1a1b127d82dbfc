-- migrate:up

create table plan_template (
    id uuid primary key,
    version bigint not null,
    state text not null check (state in ('ACTIVE', 'RETIRED')),
    -- "parties/…"; empty: the platform's.
    owner text not null,
    title text not null,
    make text not null,
    model text not null,
    equipment_class text not null,
    tasks jsonb not null,
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index plan_template_owner on plan_template (owner, id desc);

-- The platform's own: the usual grid of construction machines, by hours and, for little use, by
-- months. Prices are set by workshops' own templates.
insert into plan_template
(id, version, state, owner, title, make, model, equipment_class, tasks, create_time, update_time)
values (
    '01940000-0000-7000-8000-000000000001', 1, 'ACTIVE', '', 'Standard service 250/500/1000/2000 h',
    '', '', '',
    '[
        {"code": "SERVICE_250", "title": "Engine oil and filter, greasing, inspection",
         "interval_hours": "250", "interval_months": 6, "weight": 1, "kit": []},
        {"code": "SERVICE_500", "title": "Fuel filters, oil sample, belts",
         "interval_hours": "500", "interval_months": 12, "weight": 2, "kit": []},
        {"code": "SERVICE_1000", "title": "Hydraulic return filters, swing and final drive oil",
         "interval_hours": "1000", "interval_months": 12, "weight": 3, "kit": []},
        {"code": "SERVICE_2000", "title": "Hydraulic oil, coolant, valve clearance",
         "interval_hours": "2000", "interval_months": 24, "weight": 4, "kit": []}
    ]',
    '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'
);

create table service_plan (
    id uuid primary key,
    version bigint not null,
    -- The machine's sequence after the plan's last event.
    event_sequence bigint not null,
    state text not null check (state in ('ACTIVE', 'CLOSED')),
    machine_id uuid not null references monitored_machine,
    template_id uuid not null references plan_template,
    reference text not null,
    -- The accepted hours that it was last computed with.
    hours numeric(10, 2) check (hours >= 0),
    compliance numeric(5, 2) not null check (compliance between 0 and 100),
    told_compliance numeric(5, 2) check (told_compliance between 0 and 100),
    overdue_items int not null check (overdue_items >= 0),
    -- Hours and day from which on some item may stand otherwise.
    next_check_hours numeric(12, 3),
    next_check_on date,
    create_time timestamptz not null,
    update_time timestamptz not null
);
-- A machine has one active plan; ingestion finds the few that its readings move by this index.
create unique index service_plan_active on service_plan (machine_id) include (next_check_hours, hours)
where state = 'ACTIVE';
create index service_plan_machine on service_plan (machine_id, id desc);
create index service_plan_overdue on service_plan (id desc) where overdue_items > 0 and state = 'ACTIVE';

create table plan_item (
    plan_id uuid not null references service_plan,
    number int not null check (number > 0),
    code text not null,
    title text not null,
    interval_hours numeric(8, 2) check (interval_hours > 0),
    interval_months int not null check (interval_months >= 0),
    weight int not null check (weight > 0),
    kit jsonb not null,
    last_hours numeric(10, 2),
    last_on date not null,
    trigger_kind text check (trigger_kind in ('OIL_SAMPLE', 'CONDITION')),
    trigger_note text not null,
    trigger_hours numeric(10, 2),
    trigger_on date,
    is_told boolean not null,
    times_done int not null,
    primary key (plan_id, code),
    check (interval_hours is not null or interval_months > 0),
    check ((trigger_kind is null) = (trigger_on is null))
);

create table work_order (
    id uuid primary key,
    version bigint not null,
    event_sequence bigint not null,
    state text not null check (state in (
        'DRAFT', 'OPEN', 'ASSIGNED', 'IN_PROGRESS', 'ON_HOLD', 'COMPLETED', 'VERIFIED', 'INVOICED',
        'CLOSED', 'CANCELLED'
    )),
    machine_id uuid not null references monitored_machine,
    title text not null,
    work_class text not null
    check (work_class in ('CORRECTIVE', 'PREVENTIVE', 'INSPECTION', 'MODIFICATION')),
    work_place text not null check (work_place in ('FIELD', 'SHOP')),
    payer text not null,
    workshop text not null,
    technician text not null,
    fault_ids uuid [] not null,
    plan_id uuid references service_plan,
    plan_items text [] not null,
    warranty_of uuid references work_order,
    approved_cost_fen bigint not null check (approved_cost_fen >= 0),
    down_since timestamptz,
    hold_reason text check (hold_reason in ('PARTS', 'ACCESS')),
    hold_note text not null,
    -- How the machine was held before it came into the shop: custody, custodian, reference.
    held_before jsonb,
    in_shop boolean not null,
    hours numeric(10, 2),
    downtime_hours numeric(8, 2) check (downtime_hours >= 0),
    findings text not null,
    parts_fen bigint check (parts_fen >= 0),
    labour_fen bigint check (labour_fen >= 0),
    warranty_fen bigint check (warranty_fen >= 0),
    units_fen bigint check (units_fen >= 0),
    completer text not null,
    complete_time timestamptz,
    warranty_end date,
    warranty_hours_end numeric(10, 2),
    verifier text not null,
    verify_time timestamptz,
    txn uuid,
    invoice_time timestamptz,
    cancel_reason text not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check ((state = 'ON_HOLD') = (hold_reason is not null)),
    check ((state = 'CANCELLED') = (cancel_reason <> '')),
    check ((complete_time is not null) = (completer <> '')),
    check (
        (state in ('COMPLETED', 'VERIFIED', 'INVOICED', 'CLOSED')) = (complete_time is not null)
    ),
    check (state not in ('VERIFIED', 'INVOICED', 'CLOSED') or verifier <> ''),
    -- Nobody verifies what they reported.
    check (verifier = '' or verifier <> completer),
    check ((state in ('INVOICED', 'CLOSED')) = (invoice_time is not null)),
    check (not in_shop or held_before is not null)
);
create index work_order_machine on work_order (machine_id, id desc);
create index work_order_payer on work_order (payer, id desc);
create index work_order_workshop on work_order (workshop, id desc);
-- Reliability counts completed work of a machine over the last months.
create index work_order_failures on work_order (machine_id, complete_time)
where work_class = 'CORRECTIVE' and complete_time is not null;

create table work_part (
    work_order_id uuid not null references work_order,
    is_planned boolean not null,
    number int not null check (number > 0),
    part_number text not null,
    description text not null,
    quantity numeric(9, 3) not null check (quantity > 0),
    unit_price_fen bigint not null check (unit_price_fen >= 0),
    under_warranty boolean not null,
    serial_number text not null,
    primary key (work_order_id, is_planned, number)
);

create table work_labour (
    work_order_id uuid not null references work_order,
    number int not null check (number > 0),
    technician text not null,
    hours numeric(6, 2) not null check (hours > 0),
    hourly_rate_fen bigint not null check (hourly_rate_fen >= 0),
    under_warranty boolean not null,
    primary key (work_order_id, number)
);

-- What was done under a plan; `run` is the part of the interval that had run by then.
create table plan_service (
    plan_id uuid not null references service_plan,
    code text not null,
    work_order_id uuid not null references work_order,
    done_on date not null,
    hours numeric(10, 2),
    run numeric(12, 6) not null,
    weight int not null check (weight > 0),
    primary key (plan_id, code, work_order_id)
);
create index plan_service_day on plan_service (plan_id, done_on);

create table exchange (
    id uuid primary key,
    version bigint not null,
    event_sequence bigint not null,
    state text not null check (state in (
        'REQUESTED', 'UNIT_RESERVED', 'DEPOSIT_CHARGED', 'SHIPPED', 'FITTED', 'INSTALLED', 'CLOSED',
        'CANCELLED'
    )),
    work_order_id uuid not null references work_order,
    machine_id uuid not null references monitored_machine,
    payer text not null,
    part_family text not null,
    position text not null,
    deposit_fen bigint not null check (deposit_fen >= 0),
    unit text not null,
    unit_price_fen bigint not null check (unit_price_fen >= 0),
    remanufacturer text not null,
    core_return text not null,
    waybill jsonb,
    removed_serial text not null,
    install_hours numeric(10, 2),
    core_outcome text check (core_outcome in ('CREDITED', 'FORFEITED', 'REJECTED')),
    credit_fen bigint not null check (credit_fen between 0 and deposit_fen),
    cancel_reason text not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    check (state in ('REQUESTED', 'CANCELLED') or unit <> ''),
    check (state in ('REQUESTED', 'UNIT_RESERVED', 'CANCELLED') or core_return <> ''),
    check (state not in ('FITTED', 'INSTALLED', 'CLOSED') or removed_serial <> ''),
    check (state <> 'CLOSED' or core_outcome is not null)
);
create index exchange_work_order on exchange (work_order_id, id desc);
create index exchange_machine on exchange (machine_id, id desc);
create index exchange_remanufacturer on exchange (remanufacturer, id desc)
where remanufacturer <> '';
create unique index exchange_core_return on exchange (core_return) where core_return <> '';
-- A unit goes into one machine.
create unique index exchange_unit on exchange (unit) where unit <> '' and state <> 'CANCELLED';

create table exchange_step (
    exchange_id uuid not null references exchange,
    number int not null check (number > 0),
    step text not null,
    detail text not null,
    actor text not null,
    step_time timestamptz not null,
    primary key (exchange_id, number)
);

-- migrate:down
