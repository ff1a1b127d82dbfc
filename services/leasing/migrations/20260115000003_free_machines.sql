-- migrate:up

-- A sold or paid-for machine is free for another lease before its old one is closed.
alter table lease add column is_machine_free boolean not null default false;
-- Both in one transaction, so that no second lease of a machine slips in between.
-- squawk-ignore require-concurrent-index-deletion
drop index lease_live_machine;
-- squawk-ignore require-concurrent-index-creation
create unique index lease_live_machine on lease (machine) where state in (
    'APPROVED', 'SIGNED', 'ACTIVE', 'BUYOUT_QUOTED', 'MATURED', 'EXTENDED', 'RETURN_PENDING',
    'RETURNED', 'DEFAULTED', 'REPOSSESSED', 'TOTAL_LOSS'
) and not is_machine_free;

-- migrate:down
