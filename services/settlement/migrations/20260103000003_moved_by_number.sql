-- migrate:up

-- Events of 500 transfers: to compress them would cost a posting more than all else of its outbox.
alter table outbox alter payload set storage external;

-- Sums of amounts in fen, which stay within a bigint; the built-in sum of bigints is a numeric.
create aggregate sum_fen(bigint) (sfunc = int8pl, stype = bigint, initcond = '0');

-- As before: accounts move by transfers and by nothing else, and must come to stand as the plan
-- says, which each one's last transfer here carries. Each account is found by its number, however
-- few or many the statistics say there are: left to choose, PostgreSQL read all accounts for every
-- commit as long as they were thirty thousand.
create or replace function move_accounts() returns trigger
language plpgsql security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_bitmapscan = off
set enable_nestloop = off set enable_mergejoin = off as $$
declare
    wrong bigint;
    posted bigint;
    pending bigint;
begin
    with side as (
        select debit_account as account, number,
            case kind when 1 then 0 when 2 then amount else -released end as debit_held,
            0::bigint as credit_held,
            case when kind in (1, 3) then amount else 0 end as debit_posted,
            0::bigint as credit_posted
        from added
        union all
        select credit_account, number,
            0, case kind when 1 then 0 when 2 then amount else -released end,
            0, case when kind in (1, 3) then amount else 0 end
        from added
    ), delta as materialized (
        select account, max(number) as last, sum_fen(debit_held) as debit_held,
            sum_fen(credit_held) as credit_held, sum_fen(debit_posted) as debit_posted,
            sum_fen(credit_posted) as credit_posted
        from side group by account
    ), moved as (
        update account a set
            debits_pending = a.debits_pending + debit_held,
            credits_pending = a.credits_pending + credit_held,
            debits_posted = a.debits_posted + debit_posted,
            credits_posted = a.credits_posted + credit_posted
        from delta where a.id = delta.account and a.id = any(array(select account from delta))
        returning with (old as o, new as n)
            a.id, delta.last, n.credits_posted - n.debits_posted as balance,
            n.debits_pending as held,
            n.debits_posted - o.debits_posted - n.credits_posted + o.credits_posted as posted,
            n.debits_pending - o.debits_pending - n.credits_pending + o.credits_pending as pending
    )
    select count(*) filter (where case when a.debit_account = m.id
            then balance <> debit_balance or balance - held <> debit_available
            else balance <> credit_balance or balance - held <> credit_available end),
        sum_fen(m.posted), sum_fen(m.pending)
    into wrong, posted, pending from moved m join added a on a.number = m.last;
    if wrong <> 0 or posted <> 0 or pending <> 0 then
        raise exception '% accounts would not stand as planned; debits and credits would differ '
            'by % posted and % pending', wrong, posted, pending
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;

-- migrate:down
