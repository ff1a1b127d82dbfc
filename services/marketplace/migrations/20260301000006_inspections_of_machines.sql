-- migrate:up transaction:false

-- A machine's condition is read from its latest inspection.
create index concurrently if not exists inspection_machine on inspection (machine_id, inspected_on desc, id desc);

-- migrate:down transaction:false
