-- migrate:up

-- A machine's condition is read from its latest inspection.
create index inspection_machine on inspection (machine_id, inspected_on desc, id desc);

-- migrate:down
