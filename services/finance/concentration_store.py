"""All SQL of how much of what is owed is owed by one debtor."""

from dataclasses import dataclass
from uuid import UUID

from services.kit.connection import Connection


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What a funder holds outside any facility, in fen: of all debtors, and of one."""

    whole_fen: int
    debtor_fen: int


async def facility_exposure_fen(connection: Connection, facility_id: UUID, debtor: str) -> int:
    """Return what a debtor still owes on receivables that stand under a facility, in fen."""
    exposure_fen: int = await connection.fetchval(
        """
        select coalesce(sum(r.amount_fen - r.paid_fen), 0)::bigint
        from factoring f join receivable r on r.factoring_id = f.id
        where f.facility_id = $1 and f.debtor = $2
          and r.state in ('OFFERED', 'ASSIGNED', 'FUNDED', 'COLLECTING')
        """,
        facility_id,
        debtor,
    )
    return exposure_fen


async def lock_portfolio(connection: Connection, funder: str) -> None:
    """Let one transaction at a time add to what a funder holds outside any facility."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 513))", funder)


async def portfolio_fen(connection: Connection, funder: str, debtor: str) -> Portfolio:
    """Return what is still owed to a funder outside any facility.

    An offer that the funder has not accepted is none of it: others make those.
    """
    row = await connection.fetchrow(
        """
        select coalesce(sum(r.amount_fen - r.paid_fen), 0)::bigint as whole_fen,
            coalesce(sum(r.amount_fen - r.paid_fen) filter (where f.debtor = $2), 0)::bigint
                as debtor_fen
        from factoring f join receivable r on r.factoring_id = f.id
        where f.funder = $1 and f.facility_id is null
          and (r.state in ('ASSIGNED', 'FUNDED', 'COLLECTING')
               or (r.state = 'OFFERED' and f.held_by <> ''))
        """,
        funder,
        debtor,
    )
    assert row is not None
    return Portfolio(**row)
