-- migrate:up

-- Rises whenever a ledger's row is locked. A posting that looked without a lock goes on only where
-- neither this nor the count of commits has moved since: else an account may have been frozen, an
-- id refused, or a partition closed.
alter table ledger add column revision bigint not null default 0;
grant update (revision) on ledger to ironloop_settlement;

-- As before, and it voids what postings have seen.
create or replace function close_transfer_partition(part text) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    p transfer_partition;
begin
    perform pg_advisory_xact_lock(hashtext('make_transfer_partition'));
    perform from ledger order by id for no key update;
    update ledger set revision = revision + 1;
    select * into p from transfer_partition where name = part for update;
    if p.state is null then
        return 'there is no such partition';
    elsif p.state <> 'ATTACHED' then
        return null;
    elsif exists (select from transfer_partition
                  where state = 'ATTACHED' and lower_ms < p.lower_ms) then
        return 'an older partition is attached';
    elsif not exists (select from transfer_partition
                      where state = 'ATTACHED' and lower_ms > p.lower_ms) then
        return 'no other partition is attached';
    elsif p.upper_ms > extract(epoch from now() - interval '12 months') * 1000 then
        return 'it holds ids of the last twelve months';
    elsif exists (select from hold where state = 1
                  and pending_id >= id_floor(p.lower_ms) and pending_id < id_floor(p.upper_ms)) then
        return 'it holds pending transfers that are open';
    end if;
    update transfer_partition set state = 'CLOSING' where name = part;
    return null;
end $$;

-- migrate:down
