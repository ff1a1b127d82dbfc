"""SQL of the proof. Every query returns what is wrong, at most `FINDINGS_MAX` of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.kit.connection import Connection, Row
from services.settlement.posting_store import posted_of
from services.settlement.transfer import Posted

FINDINGS_MAX = 10  # the first ones show what happened; the rest would only scroll

# What a transfer of each kind moves and holds; 1 POSTED, 2 PENDING, 3 POST_PENDING.
_POSTED = "case when kind in (1, 3) then amount else 0 end"
_HELD = "case kind when 1 then 0 when 2 then amount else -released end"

# The bytes that `copy_form` digests, made from the row.
DIGEST = """
substring(sha256(
    int2send(21::int2) || int4send(4) || int4send(ledger)
    || int4send(8) || timestamptz_send(event_at) || int4send(8) || int8send(number)
    || int4send(16) || uuid_send(id) || int4send(16) || uuid_send(txn)
    || int4send(2) || int2send(kind) || int4send(8) || int8send(debit_account)
    || int4send(8) || int8send(credit_account) || int4send(8) || int8send(amount)
    || int4send(8) || int8send(released) || int4send(4) || int4send(timeout_s)
    || int4send(1) || boolsend(linked) || int4send(2) || int2send(code)
    || int4send(8) || int8send(debit_balance) || int4send(8) || int8send(debit_available)
    || int4send(8) || int8send(credit_balance) || int4send(8) || int8send(credit_available)
    || int4send(octet_length(purpose)) || convert_to(purpose, 'UTF8')
    || int4send(octet_length(memo)) || convert_to(memo, 'UTF8')
    || coalesce(int4send(16) || uuid_send(pending_id), '\\xffffffff')
) for 16)
"""


async def list_unbalanced_ledgers(connection: Connection) -> list[Row]:
    """Return ledgers whose debits are not their credits."""
    return await connection.fetch(
        """
        select ledger, sum(debits_posted - credits_posted) as posted,
            sum(debits_pending - credits_pending) as pending
        from account group by ledger
        having sum(debits_posted - credits_posted) <> 0
            or sum(debits_pending - credits_pending) <> 0
        order by ledger limit $1
        """,
        FINDINGS_MAX,
    )


async def list_drifted_accounts(connection: Connection) -> list[Row]:
    """Return accounts that are not the sum of their transfers, with both sums of each kind."""
    return await connection.fetch(
        f"""
        with side as (
            select debit_account as account, sum({_HELD}) as debit_held, 0 as credit_held,
                sum({_POSTED}) as debit_posted, 0 as credit_posted
            from transfer group by debit_account
            union all
            select credit_account, 0, sum({_HELD}), 0, sum({_POSTED})
            from transfer group by credit_account
            union all
            select account, debits_pending, credits_pending, debits_posted, credits_posted
            from closing_sum
        ), explained as (
            select account, sum(debit_held) as debits_pending, sum(credit_held) as credits_pending,
                sum(debit_posted) as debits_posted, sum(credit_posted) as credits_posted
            from side group by account
        )
        select coalesce(a.id, e.account) as id,
            array[a.debits_pending, a.credits_pending, a.debits_posted, a.credits_posted] as holds,
            array[e.debits_pending, e.credits_pending, e.debits_posted, e.credits_posted]::bigint[]
                as explained
        from account a full join explained e on e.account = a.id
        where a.id is null
            or (a.debits_pending, a.credits_pending, a.debits_posted, a.credits_posted)
            is distinct from (coalesce(e.debits_pending, 0), coalesce(e.credits_pending, 0),
                coalesce(e.debits_posted, 0), coalesce(e.credits_posted, 0))
        order by 1 limit $1
        """,
        FINDINGS_MAX,
    )


async def list_wrong_holds(connection: Connection) -> list[Row]:
    """Return pending transfers whose hold or resolution is not what the transfers say."""
    return await connection.fetch(
        """
        with oldest as (
            select id_floor(coalesce(min(lower_ms), 0)) as id
            from transfer_partition where state = 'ATTACHED'
        ), resolution as (
            select pending_id, count(*) as times, min(id::text)::uuid as id, min(kind) as kind,
                min(released) as released
            from transfer where kind > 2 group by pending_id
        )
        select coalesce(t.id, h.pending_id, r.pending_id) as id,
            case when h.pending_id is null then 'has no hold'
                when r.times > 1 then 'is resolved ' || r.times || ' times'
                when t.id is null and h.pending_id >= oldest.id then 'is held and not posted'
                when (h.debit_account, h.credit_account, h.amount)
                    <> (t.debit_account, t.credit_account, t.amount)
                    then 'is held otherwise than posted'
                when h.state = 1 then 'is open and resolved by ' || r.id
                when r.id is null then 'is resolved by no transfer'
                else 'is resolved otherwise than noted' end as problem
        from oldest cross join (select * from transfer where kind = 2) t
        full join hold h on h.pending_id = t.id
        full join resolution r on r.pending_id = h.pending_id
        where h.pending_id is null or r.times > 1
            or (t.id is null and h.pending_id >= oldest.id)
            or (h.debit_account, h.credit_account, h.amount)
                <> (t.debit_account, t.credit_account, t.amount)
            or (h.state = 1) <> (r.id is null)
            or (h.state > 1 and (r.id, r.kind, r.released)
                is distinct from (h.resolved_by, h.state + 1, h.amount))
        order by 1 limit $1
        """,
        FINDINGS_MAX,
    )


async def list_wrong_pending_sums(connection: Connection) -> list[Row]:
    """Return accounts whose pending sums are not those of their open holds."""
    return await connection.fetch(
        """
        with side as (
            select debit_account as account, amount as debit, 0 as credit
            from hold where state = 1
            union all
            select credit_account, 0, amount from hold where state = 1
        ), held as (
            select account, sum(debit) as debit, sum(credit) as credit from side group by account
        )
        select a.id, a.debits_pending, a.credits_pending, coalesce(h.debit, 0)::bigint as debit,
            coalesce(h.credit, 0)::bigint as credit
        from account a left join held h on h.account = a.id
        where a.debits_pending <> coalesce(h.debit, 0)
            or a.credits_pending <> coalesce(h.credit, 0)
        order by a.id limit $1
        """,
        FINDINGS_MAX,
    )


async def list_wrong_reversals(connection: Connection) -> list[Row]:
    """Return reversals that are not noted, or noted and not posted."""
    return await connection.fetch(
        """
        select coalesce(t.id, r.reversed_by) as id
        from (select * from transfer where code = 39 and kind = 1) t
        full join reversal r on r.reversed_by = t.id and t.purpose = 'transfers/' || r.reversed
        where (t.id is null and r.reversed_by >= (
                select id_floor(coalesce(min(lower_ms), 0))
                from transfer_partition where state = 'ATTACHED'))
            or r.reversed is null
        order by 1 limit $1
        """,
        FINDINGS_MAX,
    )


async def count_accounts(connection: Connection) -> int:
    """Return how many accounts there are."""
    count: int = await connection.fetchval("select count(*) from account")
    return count


async def count_holds(connection: Connection) -> int:
    """Return how many holds there are, resolved ones too."""
    count: int = await connection.fetchval("select count(*) from hold")
    return count


async def list_ledgers(connection: Connection) -> list[Row]:
    """Return every ledger with its counters."""
    return await connection.fetch(
        """
        select l.id, l.transfer_count, l.commit_count, l.event_sequence,
            count(c.sequence) as commits, coalesce(sum(c.transfer_count), 0)::bigint as transfers,
            coalesce(sum(c.event_count), 0)::bigint as events
        from ledger l left join ledger_commit c on c.ledger = l.id
        group by l.id order by l.id
        """
    )


async def list_broken_commits(connection: Connection, ledger: int) -> list[Row]:
    """Return commits that do not follow the one before them without a gap."""
    return await connection.fetch(
        """
        select sequence from (
            select sequence, first_number, first_event,
                lag(sequence, 1, 0::bigint) over w + 1 as next_sequence,
                lag(first_number + transfer_count, 1, 1::bigint) over w as next_number,
                lag(first_event + event_count, 1, 1::bigint) over w as next_event
            from ledger_commit where ledger = $1 window w as (order by sequence)
        ) as row
        where (sequence, first_number, first_event) <> (next_sequence, next_number, next_event)
        order by sequence limit $2
        """,
        ledger,
        FINDINGS_MAX,
    )


async def list_commits(
    connection: Connection, ledger: int, *, since: datetime | None, after: int, limit: int
) -> list[Row]:
    """Return commits in order, with how many of their transfers were detached."""
    return await connection.fetch(
        """
        select c.sequence, c.first_number, c.transfer_count, c.first_event, c.event_at, c.digest,
            c.event_digest, coalesce(d.detached, 0) as detached
        from ledger_commit c
        left join (
            select ledger, sequence, sum(transfer_count)::bigint as detached
            from closing_count group by ledger, sequence
        ) as d on d.ledger = c.ledger and d.sequence = c.sequence
        where c.ledger = $1 and c.sequence > $2
            and ($3::timestamptz is null or c.event_at >= $3)
        order by c.sequence limit $4
        """,
        ledger,
        after,
        since,
        limit,
    )


async def list_detached(
    connection: Connection, ledger: int, *, first_number: int, end_number: int
) -> list[Posted]:
    """Return transfers in a range of numbers whose partitions are detached, their tables here."""
    rows = await connection.fetch(
        "select * from list_detached_transfers($1, $2, $3) order by number",
        ledger,
        first_number,
        end_number,
    )
    return [posted_of(row) for row in rows]


async def list_transfers(
    connection: Connection, ledger: int, *, first_number: int, end_number: int
) -> Sequence[Any]:
    """Return (number, id, digest, whether it is that of the row) in a range of numbers."""
    return await connection.fetch(
        f"""
        select number, id, digest, digest = {DIGEST} as is_sound
        from transfer where ledger = $1 and number >= $2 and number < $3
        order by number, id
        """,
        ledger,
        first_number,
        end_number,
    )


async def count_stray_transfers(connection: Connection, ledger: int, *, count: int) -> int:
    """Return how many transfers lie outside the numbers that a ledger has given out."""
    strays: int = await connection.fetchval(
        "select count(*) from transfer where ledger = $1 and (number < 1 or number > $2)",
        ledger,
        count,
    )
    return strays


async def list_outbox(connection: Connection, topic: str) -> list[Row]:
    """Return (key, payload) of the events that wait for the broker."""
    return await connection.fetch(
        "select key, payload from outbox where topic = $1 order by seq", topic
    )
