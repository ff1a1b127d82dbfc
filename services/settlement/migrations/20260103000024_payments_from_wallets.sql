-- migrate:up

alter table payment
    add constraint payment_of_ecny_wallet foreign key (ecny_wallet) references ecny_wallet not valid;

-- migrate:down
