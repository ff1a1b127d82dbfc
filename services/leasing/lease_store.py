"""All SQL of leases and their usage."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.finmath.day_count import DayCount
from services.kit.connection import Connection, Row
from services.kit.errors import NotFound
from services.kit.ids import name
from services.kit.principals import Principal
from services.leasing.errors import MachineLeased
from services.leasing.model import LIVE, BuyoutQuote, Lease, LeaseState
from services.leasing.papers import inspection_of, loss_of, to_json
from services.leasing.quote import Figures
from services.leasing.terms import LeaseTerms
from services.leasing.usage_model import Reading

_TERMS = [field.name for field in fields(LeaseTerms)]
_FIGURES = [field.name for field in fields(Figures)]
# What changes in the course of a lease; terms and figures never do.
_COURSE = [
    "state",
    "saga_id",
    "event_sequence",
    "expire_at",
    "lessor_signer",
    "lessor_sign_time",
    "lessee_signer",
    "lessee_sign_time",
    "start_on",
    "maturity_on",
    "registry_no",
    "calendar_version",
    "schedule_revision",
    "outstanding_fen",
    "residual_now_fen",
    "deposit_held_fen",
    "reason",
    "notice_on",
    "defaulted_on",
    "ended_on",
    "inspector",
    "return_condition",
    "is_machine_free",
]
_BUYOUT = ["as_of", "due_fen", "principal_fen", "interest_fen", "fee_fen"]
_DERIVED = ["overdue_count", "arrears_bucket", "overdue_since"]
_KEPT = ["id", "version", "canonical_terms", "terms_sha256", "create_time", "update_time"]
_ROW = ", ".join(
    f"l.{column}"
    for column in (*_KEPT, *_TERMS, *_FIGURES, *_COURSE, *(f"buyout_{part}" for part in _BUYOUT))
)
_FROM = """
    a.overdue_count, a.arrears_bucket, a.overdue_since
    from lease l cross join lateral (
        select count(*) as overdue_count, coalesce(max(i.bucket), 0) as arrears_bucket,
            min(i.payable_on) as overdue_since
        from instalment i where i.lease_id = l.id and i.state = 'OVERDUE') as a
"""
_SELECT = f"select {_ROW}, l.loss, l.inspection, {_FROM}"
# A page of leases would be as large as all their papers.
_SELECT_BARE = f"select {_ROW}, null::jsonb as loss, null::jsonb as inspection, {_FROM}"
# Lessor, lessee, owners of instalments, the inspector and the insurer see a lease; so do those who
# see every party's rows.
_SEEN = """
    ({0} or l.lessor = {1} or l.lessee = {1} or l.inspector = {1} or l.loss ->> 'insurer' = {1}
     or exists (select from instalment i
                where i.lease_id = l.id and i.owner = {1} and i.assignment <> ''))
"""


async def insert_lease(connection: Connection, lease: Lease) -> None:
    """Write a new lease."""
    values = {
        "id": lease.id,
        "state": lease.state,
        "canonical_terms": lease.canonical_terms,
        "terms_sha256": lease.terms_sha256,
        "expire_at": lease.expire_at,
        "residual_now_fen": lease.residual_now_fen,
        "create_time": lease.create_time,
        "update_time": lease.update_time,
    }
    values |= {column: getattr(lease.terms, column) for column in _TERMS}
    values |= {column: getattr(lease.figures, column) for column in _FIGURES}
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    await connection.execute(
        f"insert into lease ({', '.join(values)}) values ({places})", *values.values()
    )


async def find_lease(connection: Connection, lease_id: UUID, *, viewer: Principal) -> Lease | None:
    """Return a lease that the viewer may see."""
    row = await connection.fetchrow(
        f"{_SELECT} where l.id = $1 and {_SEEN.format('$2', '$3')}",
        lease_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _lease(row)


async def lock_lease(connection: Connection, lease_id: UUID, *, viewer: Principal) -> Lease:
    """Return a lease that the viewer has a part in, locked for change.

    Lessor, lessee, inspector and insurer have; a service, and what acts for one, may change any.

    Raises:
        NotFound: There is none, or the viewer has no part in it.
    """
    part = "$3 in (l.lessor, l.lessee, l.inspector, l.loss ->> 'insurer')"
    row = await connection.fetchrow(
        f"{_SELECT} where l.id = $1 and ($2 or {part}) for no key update of l",
        lease_id,
        viewer.sees_all,
        viewer.party,
    )
    if row is None:
        raise NotFound(name("leases", lease_id))
    return _lease(row)


async def list_leases(
    connection: Connection,
    *,
    viewer: Principal,
    state: str,
    machine: str,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Lease]:
    """Return leases that the viewer may see, the newest first, after a (create time, id).

    They come without their papers, so none of them is to be written.

    Each way of seeing is a branch of its own, read in the order of its own index.
    """
    wanted = """
        ($2 = '' or l.state = $2) and ($3 = '' or l.machine = $3)
        and ($4::timestamptz is null or (l.create_time, l.id) < ($4, $5::uuid))
    """
    page = "order by l.create_time desc, l.id desc limit $6"
    # An array is read first and once; as a join the planner may walk every lease to find none.
    assigned = """l.id = any(array(
        select distinct lease_id from instalment where owner = $1 and assignment <> ''))"""
    mine = ["l.lessor = $1", "l.lessee = $1", "l.inspector = $1 and l.inspector <> ''", assigned]
    mine.append("l.loss ->> 'insurer' = $1 and l.loss is not null")
    ways = ["$1 = ''"] if viewer.sees_all else mine
    branches = " union ".join(
        f"(select l.id from lease l where {way} and {wanted} {page})" for way in ways
    )
    rows = await connection.fetch(
        f"{_SELECT_BARE} where l.id in (select id from ({branches}) as seen) {page}",
        "" if viewer.sees_all else viewer.party,
        state,
        machine,
        *(after or (None, None)),
        limit,
    )
    return [_lease(row) for row in rows]


async def is_machine_leased(connection: Connection, lease: Lease) -> bool:
    """Whether another live lease holds the machine."""
    found: bool = await connection.fetchval(
        """
        select exists (
            select from lease
            where machine = $1 and id <> $2 and state = any($3::text[]) and not is_machine_free)
        """,
        lease.terms.machine,
        lease.id,
        sorted(LIVE),
    )
    return found


async def update_lease(connection: Connection, lease: Lease, *, at: datetime) -> Lease:
    """Write a lease's course, and return it with its new version.

    Raises:
        MachineLeased: It became live, and another live lease holds the machine.
    """
    values = {column: getattr(lease, column) for column in _COURSE}
    values |= {f"buyout_{part}": getattr(lease.buyout, part, None) for part in _BUYOUT}
    values |= {"loss": to_json(lease.loss), "inspection": to_json(lease.inspection)}
    changes = ", ".join(f"{column} = ${place}" for place, column in enumerate(values, start=3))
    try:
        version: int = await connection.fetchval(
            f"""
            update lease set version = version + 1, update_time = $2, {changes}
            where id = $1 returning version
            """,
            lease.id,
            at,
            *values.values(),
        )
    except asyncpg.UniqueViolationError as error:
        raise MachineLeased(lease.terms.machine) from error
    return replace(lease, version=version, update_time=at)


async def add_reading(
    connection: Connection, lease_id: UUID, reading: Reading, *, reporter: str, at: datetime
) -> None:
    """Write a reading of the hour meter at delivery; the lease's row is locked."""
    await connection.execute(
        """
        insert into usage_reading (lease_id, seq, reported_on, hours, reporter, create_time)
        select $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5 from usage_reading where lease_id = $1
        """,
        lease_id,
        reading.reported_on,
        reading.hours,
        reporter,
        at,
    )


async def find_delivery(connection: Connection, lease_id: UUID) -> Reading | None:
    """Return the hours at the delivery of a lease's machine, where they were read."""
    row = await connection.fetchrow(
        "select reported_on, hours from usage_reading where lease_id = $1 order by seq limit 1",
        lease_id,
    )
    return None if row is None else Reading(row["reported_on"], row["hours"])


def _lease(row: Row) -> Lease:
    terms = {column: row[column] for column in _TERMS} | {"day_count": DayCount(row["day_count"])}
    buyout = {part: row[f"buyout_{part}"] for part in _BUYOUT}
    course = {column: row[column] for column in _COURSE} | {"state": LeaseState(row["state"])}
    return Lease(
        id=row["id"],
        version=row["version"],
        terms=LeaseTerms(**terms),
        figures=Figures(**{column: row[column] for column in _FIGURES}),
        canonical_terms=row["canonical_terms"],
        terms_sha256=row["terms_sha256"],
        buyout=None if buyout["as_of"] is None else BuyoutQuote(**buyout),
        loss=loss_of(row["loss"]),
        inspection=inspection_of(row["inspection"]),
        **{column: row[column] for column in _DERIVED},
        create_time=row["create_time"],
        update_time=row["update_time"],
        **course,
    )
