-- migrate:up transaction:false

-- A status report speaks of a file's payments.
create index concurrently if not exists payment_of_file on payment (file) where file is not null;

-- migrate:down transaction:false
