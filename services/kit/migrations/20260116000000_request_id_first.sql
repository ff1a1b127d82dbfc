-- migrate:up

-- A new request is known by its id alone, before its transaction does anything else. The table
-- holds a week's records: its index is made in seconds, and writes wait for that long, once.
alter table request_record
    -- squawk-ignore ban-drop-constraint
    drop constraint request_record_pkey,
    -- squawk-ignore constraint-missing-not-valid, adding-serial-primary-key-field
    add constraint request_record_pkey primary key (request_id, principal, method);

-- migrate:down
