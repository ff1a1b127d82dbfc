-- migrate:up

-- One currency of one book; its row is locked by every commit of its transfers, which numbers
-- transfers, commits and events without gaps.
create table ledger (
    id int primary key check (id between 1 and 999999),
    book text not null,
    currency_code text not null,
    event_sequence bigint not null default 0,
    commit_count bigint not null default 0,
    transfer_count bigint not null default 0,
    last_event_at timestamptz,
    create_time timestamptz not null,
    unique (book, currency_code)
) with (fillfactor = 50);
insert into ledger (id, book, currency_code, create_time) values (1, 'main', 'CNY', now());

create sequence account_serial;

-- No index on what a transfer changes, and room in every page, so that updates stay in place.
create table account (
    id bigint primary key,
    ledger int not null references ledger check (ledger = id / 1000000000000),
    code smallint not null,
    flags smallint not null,
    version bigint not null default 1,
    owner uuid not null, -- the nil UUID where it has none: then equality finds it by the index
    reference text not null,
    debits_pending bigint not null default 0 check (debits_pending >= 0),
    credits_pending bigint not null default 0 check (credits_pending >= 0),
    debits_posted bigint not null default 0 check (debits_posted >= 0),
    credits_posted bigint not null default 0 check (credits_posted >= 0),
    create_time timestamptz not null,
    update_time timestamptz not null,
    -- The last net: the rules refuse such a transfer before.
    constraint debits_within_credits
        check (flags & 1 = 0 or debits_posted + debits_pending <= credits_posted),
    constraint credits_within_debits
        check (flags & 2 = 0 or credits_posted + credits_pending <= debits_posted)
) with (fillfactor = 50);
create unique index account_key on account (ledger, code, owner, reference);
create index account_owner on account (owner, id);
create index account_reference on account (reference, id) where reference <> '';

-- The ledger itself. It is only ever added to.
create table transfer (
    id uuid not null,
    txn uuid not null,
    pending_id uuid,
    number bigint not null,
    debit_account bigint not null,
    credit_account bigint not null,
    amount bigint not null check (amount > 0),
    released bigint not null check (released >= 0),
    debit_balance bigint not null,
    debit_available bigint not null,
    credit_balance bigint not null,
    credit_available bigint not null,
    event_at timestamptz not null,
    ledger int not null,
    timeout_s int not null,
    kind smallint not null check (kind between 1 and 5),
    code smallint not null,
    linked boolean not null,
    digest bytea not null,
    purpose text not null,
    memo text not null,
    primary key (id),
    check (debit_account <> credit_account)
) partition by range (id);
create index transfer_debit on transfer (debit_account, number);
create index transfer_credit on transfer (credit_account, number);
-- Numbers rise with time, so that a summary per range of pages finds them.
create index transfer_number on transfer using brin (number) with (pages_per_range = 16);
create table transfer_default partition of transfer default;

-- Accounts move by transfers and by nothing else: the service has no right to change a balance.
-- Each account must come to stand as the plan says, which its last transfer here carries, and
-- debits must have changed by as much as credits; else nothing is committed.
create function move_accounts() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    wrong bigint;
    posted numeric;
    pending numeric;
begin
    with side as (
        select debit_account as account, max(number) as last,
            sum(case kind when 1 then 0 when 2 then amount else -released end) as debit_held,
            0 as credit_held,
            sum(case when kind in (1, 3) then amount else 0 end) as debit_posted,
            0 as credit_posted
        from added group by debit_account
        union all
        select credit_account, max(number),
            0, sum(case kind when 1 then 0 when 2 then amount else -released end),
            0, sum(case when kind in (1, 3) then amount else 0 end)
        from added group by credit_account
    ), delta as (
        select account, max(last) as last, sum(debit_held)::bigint as debit_held,
            sum(credit_held)::bigint as credit_held, sum(debit_posted)::bigint as debit_posted,
            sum(credit_posted)::bigint as credit_posted
        from side group by account
    ), moved as (
        update account a set
            debits_pending = a.debits_pending + debit_held,
            credits_pending = a.credits_pending + credit_held,
            debits_posted = a.debits_posted + debit_posted,
            credits_posted = a.credits_posted + credit_posted
        from delta where a.id = delta.account
        returning with (old as o, new as n)
            a.id, delta.last, n.credits_posted - n.debits_posted as balance,
            n.debits_pending as held,
            n.debits_posted - o.debits_posted - n.credits_posted + o.credits_posted as posted,
            n.debits_pending - o.debits_pending - n.credits_pending + o.credits_pending as pending
    )
    select count(*) filter (where case when a.debit_account = m.id
            then balance <> debit_balance or balance - held <> debit_available
            else balance <> credit_balance or balance - held <> credit_available end),
        sum(m.posted), sum(m.pending)
    into wrong, posted, pending from moved m join added a on a.number = m.last;
    if wrong <> 0 or posted <> 0 or pending <> 0 then
        raise exception '% accounts would not stand as planned; debits and credits would differ '
            'by % posted and % pending', wrong, posted, pending
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;
create trigger transfer_moves_accounts after insert on transfer
    referencing new table as added for each statement execute function move_accounts();

-- Which months of ids have a partition of their own. Ids below the oldest attached one are too old.
create table transfer_partition (
    name text primary key,
    lower_ms bigint not null unique,
    upper_ms bigint not null check (upper_ms > lower_ms),
    state text not null check (state in ('ATTACHED', 'CLOSING', 'DETACHED')) default 'ATTACHED'
);

create function id_floor(ms bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex(ms), 12, '0') || '00000000000000000000')::uuid
$$;

-- Makes the partition of a month of ids (UTC); false where it exists, or where ids of that month
-- already rest in the default partition, which then keeps the whole month.
create function make_transfer_partition(month date) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    first_day timestamp := date_trunc('month', month);
    part text := 'transfer_' || to_char(first_day, 'YYYYMM');
    lower_bound bigint := extract(epoch from first_day) * 1000;
    upper_bound bigint := extract(epoch from first_day + interval '1 month') * 1000;
begin
    perform pg_advisory_xact_lock(hashtext('make_transfer_partition'));
    if exists (select from transfer_partition where name = part) or exists (
        select from transfer_default
        where id >= id_floor(lower_bound) and id < id_floor(upper_bound)) then
        return false;
    end if;
    execute format('create table %I partition of transfer for values from (%L) to (%L)',
        part, id_floor(lower_bound), id_floor(upper_bound));
    execute format('revoke all on %I from ironloop_settlement', part);
    insert into transfer_partition (name, lower_ms, upper_ms)
        values (part, lower_bound, upper_bound);
    return true;
end $$;
revoke all on function make_transfer_partition(date) from public;
grant execute on function make_transfer_partition(date) to ironloop_settlement;

do $$ begin
    for ahead in -1..3 loop
        perform make_transfer_partition((now() at time zone 'UTC' + ahead * interval '1 month')::date);
    end loop;
end $$;

-- What the transfers of a detached partition had moved, so that every account is still the sum
-- of what is at hand; and how the account stood after the last of them.
create table closing_sum (
    partition text not null references transfer_partition,
    account bigint not null,
    debits_pending bigint not null,
    credits_pending bigint not null,
    debits_posted bigint not null,
    credits_posted bigint not null,
    last_number bigint not null,
    balance bigint not null,
    available bigint not null,
    primary key (account, last_number)
);
-- How many transfers of a commit lie in a detached partition.
create table closing_count (
    partition text not null references transfer_partition,
    ledger int not null,
    sequence bigint not null,
    transfer_count bigint not null,
    primary key (ledger, sequence, partition)
);

-- What pending transfers hold. Resolved once.
create table hold (
    pending_id uuid primary key,
    ledger int not null,
    debit_account bigint not null,
    credit_account bigint not null,
    amount bigint not null check (amount > 0),
    state smallint not null check (state between 1 and 4),
    expires_at timestamptz,
    resolved_by uuid,
    check ((state = 1) = (resolved_by is null))
);
create index hold_expiry on hold (ledger, expires_at) where state = 1 and expires_at is not null;

-- Refusals, so that a retry gets the answer that was given.
create table rejection (
    id uuid primary key,
    txn uuid not null,
    pending_id uuid,
    debit_account bigint not null,
    credit_account bigint not null,
    amount bigint not null,
    event_at timestamptz not null,
    ledger int not null,
    timeout_s int not null,
    kind int not null,
    code int not null,
    linked boolean not null,
    reason smallint not null,
    purpose text not null,
    memo text not null
);

-- A transfer is reversed once.
create table reversal (
    reversed uuid primary key,
    reversed_by uuid not null unique
);

-- One row a commit, for good: what it held, by which its transfers and events can be proved.
create table ledger_commit (
    ledger int not null references ledger,
    sequence bigint not null,
    first_number bigint not null,
    transfer_count int not null check (transfer_count > 0),
    first_event bigint not null,
    event_count int not null check (event_count > 0),
    event_at timestamptz not null,
    digest bytea not null,
    event_digest bytea not null,
    primary key (ledger, sequence)
);
create unique index ledger_commit_number on ledger_commit (ledger, first_number);
create index ledger_commit_event_at on ledger_commit (ledger, event_at, sequence);

-- Closes the oldest attached partition: from here on its ids are too old. Waits for the postings
-- that are under way. Says why not, or null.
create function close_transfer_partition(part text) returns text
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    p transfer_partition;
begin
    perform pg_advisory_xact_lock(hashtext('make_transfer_partition'));
    perform from ledger order by id for no key update;
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

-- Sums a closing partition up and detaches it; the table stays, for the archive.
create function detach_transfer_partition(part text) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    kept bigint;
begin
    perform pg_advisory_xact_lock(hashtext('make_transfer_partition'));
    if not exists (select from transfer_partition where name = part and state = 'CLOSING') then
        raise exception '% is not closing', part;
    end if;
    execute format($sum$
        insert into closing_sum (partition, account, debits_pending, credits_pending,
            debits_posted, credits_posted, last_number, balance, available)
        select %1$L, account, sum(debit_held), sum(credit_held), sum(debit_posted),
            sum(credit_posted), max(number), (array_agg(balance order by number desc))[1],
            (array_agg(available order by number desc))[1]
        from (
            select debit_account as account, number, debit_balance as balance,
                debit_available as available,
                case kind when 1 then 0 when 2 then amount else -released end as debit_held,
                0 as credit_held,
                case when kind in (1, 3) then amount else 0 end as debit_posted,
                0 as credit_posted
            from %1$I
            union all
            select credit_account, number, credit_balance, credit_available,
                0, case kind when 1 then 0 when 2 then amount else -released end,
                0, case when kind in (1, 3) then amount else 0 end
            from %1$I
        ) as side group by account
    $sum$, part);
    execute format($count$
        insert into closing_count (partition, ledger, sequence, transfer_count)
        select %1$L, c.ledger, c.sequence, count(*)
        from %1$I t join lateral (
            select ledger, sequence from ledger_commit
            where ledger = t.ledger and first_number <= t.number
            order by first_number desc limit 1) c on true
        group by c.ledger, c.sequence
    $count$, part);
    execute format('select count(*) from %I', part) into kept;
    execute format('alter table transfer detach partition %I', part);
    update transfer_partition set state = 'DETACHED' where name = part;
    return kept;
end $$;
revoke all on function close_transfer_partition(text), detach_transfer_partition(text) from public;
grant execute on function close_transfer_partition(text), detach_transfer_partition(text)
    to ironloop_settlement;

-- The service adds to the ledger and takes nothing from it.
revoke update, delete on transfer, transfer_default, transfer_partition, rejection, reversal,
    ledger_commit, closing_sum, closing_count from ironloop_settlement;
revoke insert on transfer_default, transfer_partition, closing_sum, closing_count
    from ironloop_settlement;
revoke update, delete on account, ledger, hold from ironloop_settlement;
grant update (flags, version, update_time) on account to ironloop_settlement;
grant update (event_sequence, commit_count, transfer_count, last_event_at)
    on ledger to ironloop_settlement;
grant update (state, resolved_by) on hold to ironloop_settlement;

-- migrate:down
