"""SQL of ledgers and accounts, and what reads statements and balances."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.settlement.account import (
    CHART,
    KIND_OF_CODE,
    LEDGER_MAX,
    NUMBERS_PER_LEDGER,
    Account,
    AccountKey,
    AccountKind,
    AccountRecord,
    Flags,
    Ledger,
)
from services.settlement.transfer import Standing

NOBODY = UUID(int=0)  # the owner of an account that has none

STRETCH_BITS = 18  # of a number: how many numbers the index of entries keeps together

# The stretches of a ledger below a bound, the last first. What follows is looked for in one after
# the other, so that rows come in falling order and the search ends once there are enough.
_STRETCHES = f"generate_series(bound.number >> {STRETCH_BITS}, 0, -1) as stretch"

_ACCOUNT = """
    select a.id, a.ledger, a.code, a.flags, a.version, a.owner, a.reference, a.debits_pending,
        a.credits_pending, a.debits_posted, a.credits_posted, a.create_time, a.update_time,
        l.currency_code
    from account a join ledger l on l.id = a.ledger
"""


async def insert_ledger(
    connection: Connection, *, book: str, currency_code: str, at: datetime
) -> Ledger | None:
    """Open a ledger under the next number, or return the one of this book and currency.

    None where the numbers are used up.
    """
    await connection.execute("select pg_advisory_xact_lock(hashtext('insert_ledger'))")
    await connection.execute(
        """
        insert into ledger (id, book, currency_code, create_time)
        select max(id) + 1, $1, $2, $3 from ledger having max(id) < $4
        on conflict (book, currency_code) do nothing
        """,
        book,
        currency_code,
        at,
        LEDGER_MAX,
    )
    row = await connection.fetchrow(
        "select * from ledger where book = $1 and currency_code = $2", book, currency_code
    )
    return None if row is None else Ledger(**row)


async def list_ledgers(connection: Connection, *, after: int, limit: int) -> list[Ledger]:
    """Return ledgers by number, after a number."""
    rows = await connection.fetch(
        "select * from ledger where id > $1 order by id limit $2", after, limit
    )
    return [Ledger(**row) for row in rows]


async def list_ledger_ids(connection: Connection) -> frozenset[int]:
    """Return the numbers of all ledgers."""
    return frozenset(row["id"] for row in await connection.fetch("select id from ledger"))


async def insert_accounts(
    connection: Connection, keys: Sequence[AccountKey], *, at: datetime
) -> None:
    """Open the accounts that do not exist."""
    lines = [CHART[key.kind] for key in keys]
    await connection.execute(
        f"""
        insert into account
            (id, ledger, code, flags, owner, reference, create_time, update_time)
        select k.ledger * {NUMBERS_PER_LEDGER} + nextval('account_serial'), k.*, $6, $6
        from (
            select distinct k.ledger, k.code, k.flags, k.owner, k.reference
            from unnest($1::int[], $2::smallint[], $3::smallint[], $4::uuid[], $5::text[])
                as k (ledger, code, flags, owner, reference)
            where not exists (
                select from account a
                where a.ledger = k.ledger and a.code = k.code
                  and a.owner = k.owner and a.reference = k.reference)
            order by 1, 2, 4, 5
        ) as k (ledger, code, flags, owner, reference)
        on conflict (ledger, code, owner, reference) do nothing
        """,
        [key.ledger for key in keys],
        [line.code for line in lines],
        [int(line.flags) for line in lines],
        [key.owner or NOBODY for key in keys],
        [key.reference for key in keys],
        at,
    )


async def list_accounts_of(
    connection: Connection, keys: Sequence[AccountKey]
) -> list[AccountRecord]:
    """Return the accounts of keys that exist."""
    rows = await connection.fetch(
        f"""
        {_ACCOUNT} join (
            select distinct * from unnest($1::int[], $2::smallint[], $3::uuid[], $4::text[])
        ) as k (ledger, code, owner, reference)
            on a.ledger = k.ledger and a.code = k.code
            and a.owner = k.owner and a.reference = k.reference
        """,
        [key.ledger for key in keys],
        [CHART[key.kind].code for key in keys],
        [key.owner or NOBODY for key in keys],
        [key.reference for key in keys],
    )
    return [_record(row) for row in rows]


async def find_account(
    connection: Connection, number: int, *, viewer: Principal
) -> AccountRecord | None:
    """Return an account that the viewer may see: one of their own party, or any."""
    row = await connection.fetchrow(
        f"""
        {_ACCOUNT} where a.id = $1 and ($2 or 'parties/' || a.owner = $3)
        """,
        number,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _record(row)


async def is_wallet(connection: Connection, number: int, *, ledger: int) -> bool:
    """Whether a number is that of a ledger's wallet, whoever owns it."""
    found = await connection.fetchval(
        "select true from account where id = $1 and ledger = $2 and code = $3",
        number,
        ledger,
        CHART[AccountKind.WALLET].code,
    )
    return bool(found)


async def list_open_wallets(
    connection: Connection, numbers: Iterable[int], *, ledger: int
) -> set[int]:
    """Return which numbers are those of wallets of a ledger that take part in transfers."""
    rows = await connection.fetch(
        """
        select id from account
        where id = any($1::bigint[]) and ledger = $2 and code = $3 and flags & $4 = 0
        """,
        list(numbers),
        ledger,
        CHART[AccountKind.WALLET].code,
        int(Flags.FROZEN | Flags.CLOSED),
    )
    return {row["id"] for row in rows}


async def list_accounts(
    connection: Connection,
    *,
    owner: UUID | None,
    kind: AccountKind | None,
    reference: str,
    after: int,
    limit: int,
) -> list[AccountRecord]:
    """Return accounts by number, after a number."""
    rows = await connection.fetch(
        f"""
        {_ACCOUNT}
        where a.id > $1 and ($2::uuid is null or a.owner = $2)
          and ($3::smallint is null or a.code = $3) and ($4 = '' or a.reference = $4)
        order by a.id limit $5
        """,
        after,
        owner,
        None if kind is None else CHART[kind].code,
        reference,
        limit,
    )
    return [_record(row) for row in rows]


async def set_flags(connection: Connection, number: int, flags: int, *, at: datetime) -> None:
    """Replace an account's flags."""
    await connection.execute(
        "update account set flags = $2, version = version + 1, update_time = $3 where id = $1",
        number,
        flags,
        at,
    )


async def list_entries(
    connection: Connection, number: int, *, ledger: int, before: int | None, limit: int
) -> list[Row]:
    """Return an account's transfers, the newest first, before a number of the ledger."""
    return await connection.fetch(
        f"""
        with bound as (
            select coalesce($2::bigint - 1, transfer_count) as number from ledger where id = $4
        )
        select entry.* from bound, {_STRETCHES}, lateral (
            (select * from transfer
             where number >> {STRETCH_BITS} = stretch and debit_account = $1
                and number <= bound.number order by number desc limit $3)
            union all
            (select * from transfer
             where number >> {STRETCH_BITS} = stretch and credit_account = $1
                and number <= bound.number order by number desc limit $3)
            order by number desc limit $3
        ) as entry limit $3
        """,
        number,
        before,
        limit,
        ledger,
    )


async def standing_at(
    connection: Connection, number: int, *, ledger: int, at: datetime
) -> Standing:
    """Return how an account stood at an instant: after the last transfer posted until then."""
    row = await connection.fetchrow(
        f"""
        with bound as (
            select first_number + transfer_count - 1 as number from ledger_commit
            where ledger = $2 and event_at <= $3 order by event_at desc, sequence desc limit 1
        )
        select balance, available from (
            (select entry.* from bound, {_STRETCHES}, lateral (
                (select number, debit_balance, debit_available from transfer
                 where number >> {STRETCH_BITS} = stretch and debit_account = $1
                    and number <= bound.number order by number desc limit 1)
                union all
                (select number, credit_balance, credit_available from transfer
                 where number >> {STRETCH_BITS} = stretch and credit_account = $1
                    and number <= bound.number order by number desc limit 1)
                order by number desc limit 1
            ) as entry limit 1)
            union all
            (select last_number, balance, available from closing_sum, bound
             where account = $1 and last_number <= bound.number
             order by last_number desc limit 1)
        ) as stood (number, balance, available) order by number desc limit 1
        """,
        number,
        ledger,
        at,
    )
    return Standing(0, 0) if row is None else Standing(row["balance"], row["available"])


async def sum_kinds(connection: Connection, ledger: int) -> list[Row]:
    """Return the sums of each kind of account by chart code, one snapshot, with the ledger's own.

    A ledger without accounts gives one row whose code is null, an unknown one none.
    """
    return await connection.fetch(
        """
        select l.transfer_count, l.currency_code, a.code, count(a.id) as account_count,
            sum(debits_posted)::bigint as debits_posted,
            sum(credits_posted)::bigint as credits_posted,
            sum(debits_pending)::bigint as debits_pending,
            sum(credits_pending)::bigint as credits_pending
        from ledger l left join account a on a.ledger = l.id where l.id = $1
        group by l.id, a.code order by a.code
        """,
        ledger,
    )


async def lookup_transfers(
    connection: Connection, ids: Sequence[UUID], *, viewer: Principal
) -> list[Row]:
    """Return transfers that the viewer may see, by number, with their holds and owners."""
    return await connection.fetch(
        """
        select t.*, h.state as hold_state, h.expires_at,
            d.owner as debit_owner, c.owner as credit_owner
        from transfer t
        join account d on d.id = t.debit_account
        join account c on c.id = t.credit_account
        left join hold h on h.pending_id = t.id
        where t.id = any($1::uuid[])
          and ($2 or 'parties/' || d.owner = $3 or 'parties/' || c.owner = $3)
        order by t.ledger, t.number
        """,
        ids,
        viewer.sees_all,
        viewer.party,
    )


async def lookup_refusals(connection: Connection, ids: Sequence[UUID]) -> list[Row]:
    """Return what was refused, by id."""
    return await connection.fetch(
        "select id, reason, event_at from rejection where id = any($1::uuid[]) order by id", ids
    )


def _record(row: Any) -> AccountRecord:
    return AccountRecord(
        key=AccountKey(
            row["ledger"],
            KIND_OF_CODE[row["code"]],
            None if row["owner"] == NOBODY else row["owner"],
            row["reference"],
        ),
        currency=row["currency_code"],
        version=row["version"],
        account=Account(
            row["id"],
            row["flags"],
            row["debits_pending"],
            row["credits_pending"],
            row["debits_posted"],
            row["credits_posted"],
        ),
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
