-- migrate:up

-- Transfers of a ledger in a range of numbers that lie in detached partitions whose tables are still
-- here, or were brought back from the archive: events can be made of them anew.
create function list_detached_transfers(of_ledger int, first_number bigint, end_number bigint)
returns setof transfer
language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
    part text;
begin
    for part in select name from transfer_partition where state = 'DETACHED' order by lower_ms loop
        if to_regclass(quote_ident(part)) is not null then
            return query execute format(
                'select * from %I where ledger = $1 and number >= $2 and number < $3', part)
                using of_ledger, first_number, end_number;
        end if;
    end loop;
end $$;
revoke all on function list_detached_transfers(int, bigint, bigint) from public;
grant execute on function list_detached_transfers(int, bigint, bigint) to ironloop_settlement;

-- migrate:down
