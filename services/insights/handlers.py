"""What insights answers, each from one look at its copies."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.insights import timeline_store, turnover_store
from services.insights.errors import PeriodRefused
from services.insights.turnover_model import Period, Turnover, measure
from services.kit.connection import Connection, Row
from services.kit.errors import NotFound
from services.kit.ids import name
from services.kit.principals import Principal

DAYS_MAX = 5 * 366  # a longer look is a report, not a call


async def get_turnover(
    connection: Connection,
    owner: str,
    period: Period,
    *,
    machines: Sequence[UUID],
    viewer: Principal,
) -> Turnover:
    """Return the turnover of a fleet over a period.

    Raises:
        NotFound: The fleet is another party's, or a machine was never of it in the period.
        PeriodRefused: The period has no day, or too many.
    """
    if owner != viewer.party and not viewer.sees_all:
        raise NotFound(owner)
    if not 1 <= period.days <= DAYS_MAX:
        raise PeriodRefused(days_max=DAYS_MAX)
    strangers = await turnover_store.list_machines_not_of(
        connection, owner, period, machines=machines
    )
    if strangers:
        raise NotFound(name("machines", strangers[0]))
    facts = await turnover_store.read_facts(connection, owner, period, machines=machines)
    return measure(facts, period)


async def list_timeline(
    connection: Connection,
    machine: UUID,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
    viewer: Principal,
) -> Sequence[Row]:
    """Return lines of a machine's life, the oldest first.

    Raises:
        NotFound: There is no such machine, or the viewer neither owns nor has it.
    """
    if not await timeline_store.is_seen(connection, machine, viewer=viewer):
        raise NotFound(name("machines", machine))
    return await timeline_store.list_entries(connection, machine, after=after, limit=limit)
