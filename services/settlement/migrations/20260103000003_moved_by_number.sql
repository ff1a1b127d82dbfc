-- migrate:up

-- Events of 500 transfers: to compress them would cost a posting more than all else of its outbox.
alter table outbox alter payload set storage external;

-- Sums of amounts in fen, which stay within a bigint; the built-in sum of bigints is a numeric.
create aggregate sum_fen(bigint) (sfunc = int8pl, stype = bigint, initcond = '0');

-- As before: accounts move by transfers and by nothing else, and must come to stand as the plan
-- says, which each one's last transfer here carries. The plan of its update is the same however
-- many accounts there are: each is found by its number. (Where PostgreSQL chose, it read all
-- accounts for every commit as long as they were few.)
create or replace function move_accounts() returns trigger
language plpgsql security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_bitmapscan = off as $$
declare
    wrong bigint;
    posted bigint;
    pending bigint;
begin
    with side as (
        select debit_account as account, number,
            row(number, debit_balance, debit_available) as stood,
            case kind when 1 then 0 when 2 then amount else -released end as debit_held,
            0::bigint as credit_held,
            case when kind in (1, 3) then amount else 0 end as debit_posted,
            0::bigint as credit_posted
        from added
        union all
        select credit_account, number, row(number, credit_balance, credit_available),
            0, case kind when 1 then 0 when 2 then amount else -released end,
            0, case when kind in (1, 3) then amount else 0 end
        from added
    ), delta as (
        select account, max(stood) as last, max(number) as number,
            sum_fen(debit_held) as debit_held, sum_fen(credit_held) as credit_held, sum_fen(debit_posted) as debit_posted,
            sum_fen(credit_posted) as credit_posted
        from side group by account
    ), moved as (
        update account a set
            debits_pending = a.debits_pending + debit_held,
            credits_pending = a.credits_pending + credit_held,
            debits_posted = a.debits_posted + debit_posted,
            credits_posted = a.credits_posted + credit_posted
        from delta where a.id = delta.account
        returning with (old as o, new as n)
            delta.number, delta.last, n.credits_posted - n.debits_posted as balance,
            n.debits_pending as held,
            n.debits_posted - o.debits_posted - n.credits_posted + o.credits_posted as posted,
            n.debits_pending - o.debits_pending - n.credits_pending + o.credits_pending as pending
    )
    select count(*) filter (where last <> row(number, balance, balance - held)),
        sum_fen(m.posted), sum_fen(m.pending)
    into wrong, posted, pending from moved m;
    if wrong <> 0 or posted <> 0 or pending <> 0 then
        raise exception '% accounts would not stand as planned; debits and credits would differ '
            'by % posted and % pending', wrong, posted, pending
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;

-- migrate:down
