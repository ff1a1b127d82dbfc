-- migrate:up

-- The alarm of each segment of machines by class, as valuation tells it.
create table drift_alarm (
    segment text not null,
    equipment_class text not null,
    level int not null check (level between 1 and 2),
    primary key (segment, equipment_class)
);
create index drift_alarm_class on drift_alarm (equipment_class);

-- The domain page's section 3.11: + 5 % at alarm 1.
update policy set parameters = parameters || '{"HAIRCUT_DRIFT": ["0.05", null, null]}'
where not parameters ? 'HAIRCUT_DRIFT';

-- migrate:down
