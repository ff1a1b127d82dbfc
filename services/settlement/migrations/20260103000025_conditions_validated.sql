-- migrate:up

alter table payment validate constraint payment_of_ecny_wallet;
alter table payment validate constraint payment_conditions;

-- migrate:down
