"""SQL that keeps the copies which events feed."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from services.insights.timeline_model import Entry
from services.kit.connection import Connection


async def save_machine(
    connection: Connection, machine: UUID, *, holder: str, replacement_cost_fen: int, day: date
) -> None:
    """Begin to know a machine and who owns it."""
    await connection.execute(
        """
        insert into machine (id, title_holder, custodian, custody, replacement_cost)
        values ($1, $2, $2, 'AVAILABLE', $3)
        on conflict (id) do update set replacement_cost = excluded.replacement_cost
        """,
        machine,
        holder,
        replacement_cost_fen,
    )
    await _begin_ownership(connection, machine, holder=holder, day=day)


async def update_cost(connection: Connection, machine: UUID, *, replacement_cost_fen: int) -> None:
    """Note what a new machine of the kind costs."""
    await connection.execute(
        "update machine set replacement_cost = $2 where id = $1", machine, replacement_cost_fen
    )


async def move_title(
    connection: Connection, machine: UUID, *, holder: str, replacement_cost_fen: int, day: date
) -> None:
    """End one ownership and begin the next."""
    await connection.execute(
        "update ownership set to_day = $2 where machine = $1 and to_day is null", machine, day
    )
    await _begin_ownership(connection, machine, holder=holder, day=day)
    await connection.execute(
        "update machine set title_holder = $2, replacement_cost = $3 where id = $1",
        machine,
        holder,
        replacement_cost_fen,
    )


async def _begin_ownership(
    connection: Connection, machine: UUID, *, holder: str, day: date
) -> None:
    await connection.execute(
        """
        insert into ownership (machine, holder, from_day) values ($1, $2, $3)
        on conflict (machine, holder, from_day) do update set to_day = null
        """,
        machine,
        holder,
        day,
    )


async def move_custody(
    connection: Connection, machine: UUID, *, custody: str, custodian: str, day: date
) -> None:
    """Note how a machine is held; a stay in the shop begins and ends with it."""
    await connection.execute(
        "update machine set custody = $2, custodian = $3 where id = $1", machine, custody, custodian
    )
    if custody == "IN_SHOP":
        await connection.execute(
            """
            insert into shop_stay (machine, from_day) values ($1, $2)
            on conflict (machine, from_day) do update set to_day = null
            """,
            machine,
            day,
        )
        return
    await connection.execute(
        "update shop_stay set to_day = $2 where machine = $1 and to_day is null", machine, day
    )


async def insert_purchase(
    connection: Connection, machine: UUID, *, buyer: str, price_fen: int, day: date
) -> None:
    """Note what a machine cost its buyer."""
    await connection.execute(
        """
        insert into purchase (machine, buyer, day, price) values ($1, $2, $3, $4)
        on conflict (machine, buyer, day) do update set price = excluded.price
        """,
        machine,
        buyer,
        day,
        price_fen,
    )


async def begin_lease(
    connection: Connection, lease: str, *, machine: UUID, lessor: str, day: date
) -> None:
    """Note that a machine went out on a lease."""
    await connection.execute(
        "insert into lease (id, machine, lessor, from_day) values ($1, $2, $3, $4)",
        lease,
        machine,
        lessor,
        day,
    )


async def end_lease(connection: Connection, lease: str, *, day: date, is_returned: bool) -> None:
    """Note that a lease's machine came back or stayed for good; the first end counts."""
    await connection.execute(
        "update lease set to_day = $2, is_returned = $3 where id = $1 and to_day is null",
        lease,
        day,
        is_returned,
    )


async def insert_instalment(
    connection: Connection,
    lease: str,
    number: int,
    *,
    owner: str,
    due_day: date,
    rental_fen: int,
    due_fen: int,
) -> None:
    """Note an instalment that fell due."""
    await connection.execute(
        """
        insert into instalment (lease, number, owner, due_day, rental, due)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (lease, number) do update set owner = excluded.owner
        """,
        lease,
        number,
        owner,
        due_day,
        rental_fen,
        due_fen,
    )


async def insert_payment(
    connection: Connection, lease: str, sequence: int, *, number: int, paid_fen: int, day: date
) -> None:
    """Note a payment of an instalment."""
    await connection.execute(
        "insert into payment (lease, sequence, number, day, paid) values ($1, $2, $3, $4, $5)",
        lease,
        sequence,
        number,
        day,
        paid_fen,
    )


async def save_listing(connection: Connection, listing: str, *, machine: UUID, day: date) -> None:
    """Note that a listing was published."""
    await connection.execute(
        """
        insert into listing (id, machine, published_day) values ($1, $2, $3)
        on conflict (id) do nothing
        """,
        listing,
        machine,
        day,
    )


async def sell_listing(connection: Connection, listing: str, *, day: date) -> None:
    """Note that a listing was sold."""
    await connection.execute("update listing set sold_day = $2 where id = $1", listing, day)


async def insert_run(
    connection: Connection, machine: UUID, sequence: int, *, day: date, hours: Decimal
) -> None:
    """Note hours that a machine ran."""
    await connection.execute(
        "insert into run (machine, sequence, day, hours) values ($1, $2, $3, $4)",
        machine,
        sequence,
        day,
        hours,
    )


async def insert_failure(
    connection: Connection, work_order: str, *, machine: UUID, day: date, downtime_hours: Decimal
) -> None:
    """Note a failure that was mended."""
    await connection.execute(
        "insert into failure (work_order, machine, day, downtime_hours) values ($1, $2, $3, $4)",
        work_order,
        machine,
        day,
        downtime_hours,
    )


async def insert_core(
    connection: Connection, core: str, *, machine: UUID | None, party: str, day: date
) -> None:
    """Note a core deposit."""
    await connection.execute(
        "insert into core (id, machine, party, charged_day) values ($1, $2, $3, $4)",
        core,
        machine,
        party,
        day,
    )


async def end_core(connection: Connection, core: str, *, day: date, is_returned: bool) -> None:
    """Note that a core came back, or will not."""
    await connection.execute(
        "update core set end_day = $2, is_returned = $3 where id = $1", core, day, is_returned
    )


async def insert_entry(
    connection: Connection, machine: UUID, entry: Entry, *, at: datetime
) -> None:
    """Write a line of a machine's life."""
    await connection.execute(
        """
        insert into timeline (machine, event_time, event, reference, party, amount, hours, note)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        machine,
        at,
        entry.event,
        entry.reference,
        entry.party,
        entry.amount_fen,
        entry.hours,
        entry.note,
    )
