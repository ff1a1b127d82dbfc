-- migrate:up

-- A new request is known by its id alone, before its transaction does anything else.
alter table request_record drop constraint request_record_pkey;
alter table request_record add primary key (request_id, principal, method);

-- migrate:down
