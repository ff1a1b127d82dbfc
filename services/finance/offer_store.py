"""All SQL of offers."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.finance.offer_model import Appraisal, Bound, Decision, Offer, OfferState, Wish
from services.kit.connection import Connection, Row
from services.kit.principals import Principal

# Columns whose names differ from the field's, because two of the parts have such a field.
_APPRAISAL_COLUMNS = {"state": "valuation_state", "expire_at": "valuation_expire_at"}


async def insert_offer(connection: Connection, offer: Offer) -> None:
    """Write a requested offer."""
    wish = offer.wish
    await connection.execute(
        """
        insert into offer
            (id, state, facility_id, funder, borrower, nominal_rate, machine, purchase_price_fen,
             requested_fen, term_months, balloon_fen, hours_per_year, purchase_money,
             subordination_id, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
        """,
        offer.id,
        offer.state,
        offer.facility_id,
        offer.funder,
        offer.borrower,
        offer.nominal_rate,
        wish.machine,
        wish.purchase_price_fen,
        wish.requested_fen,
        wish.term_months,
        wish.balloon_fen,
        wish.hours_per_year,
        wish.purchase_money,
        wish.subordination_id,
        offer.create_time,
    )


async def find_offer(connection: Connection, offer_id: UUID, *, viewer: Principal) -> Offer | None:
    """Return an offer that the viewer may see: as its funder or borrower, or any."""
    row = await connection.fetchrow(
        "select * from offer where id = $1 and ($2 or funder = $3 or borrower = $3)",
        offer_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _offer(row)


async def lock_offer(connection: Connection, offer_id: UUID) -> Offer:
    """Return an offer that is known to exist, locked for change."""
    row = await connection.fetchrow("select * from offer where id = $1 for no key update", offer_id)
    assert row is not None
    return _offer(row)


async def lock_offer_of(
    connection: Connection, offer_id: UUID, *, party: str, borrower_only: bool
) -> Offer | None:
    """Return an offer of a party as its borrower, or as either side, locked for change."""
    row = await connection.fetchrow(
        """
        select * from offer
        where id = $1 and (borrower = $2 or (funder = $2 and not $3)) for no key update
        """,
        offer_id,
        party,
        borrower_only,
    )
    return None if row is None else _offer(row)


async def list_offers(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    facility_id: UUID | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Offer]:
    """Return offers that the viewer may see, the newest first, after a (create_time, id)."""
    rows = await connection.fetch(
        """
        select * from offer
        where ($1 or funder = $2 or borrower = $2)
          and ($3::text is null or state = $3)
          and ($4::uuid is null or facility_id = $4)
          and ($5::timestamptz is null or (create_time, id) < ($5, $6::uuid))
        order by create_time desc, id desc limit $7
        """,
        viewer.sees_all,
        viewer.party,
        state,
        facility_id,
        *(after or (None, None)),
        limit,
    )
    return [_offer(row) for row in rows]


async def update_offer(
    connection: Connection, offer: Offer, *, at: datetime, events: int = 0
) -> Offer:
    """Write a locked offer's state, refusal, draw and expiry; takes `events` event sequences."""
    row = await connection.fetchrow(
        """
        update offer set state = $2, refusal_reason = $3, refusal_message = $4, draw_id = $5,
            expire_at = $6, version = version + 1, event_sequence = event_sequence + $7,
            update_time = $8
        where id = $1 returning *
        """,
        offer.id,
        offer.state,
        offer.refusal_reason,
        offer.refusal_message,
        offer.draw_id,
        offer.expire_at,
        events,
        at,
    )
    assert row is not None
    return _offer(row)


async def write_appraisal(connection: Connection, offer: Offer, appraisal: Appraisal) -> Offer:
    """Keep what an offer rests on."""
    await connection.execute(
        """
        update offer set valuation = $2, record_sha256 = $3, valuation_state = $4, grade = $5,
            fmv_median_fen = $6, fmv_q10_fen = $7, olv_median_fen = $8, olv_q10_fen = $9,
            flv_q10_fen = $10, valuation_expire_at = $11
        where id = $1
        """,
        offer.id,
        appraisal.valuation,
        appraisal.record_sha256,
        appraisal.state,
        appraisal.grade,
        appraisal.fmv_median_fen,
        appraisal.fmv_q10_fen,
        appraisal.olv_median_fen,
        appraisal.olv_q10_fen,
        appraisal.flv_q10_fen,
        appraisal.expire_at,
    )
    return replace(offer, appraisal=appraisal)


async def write_decision(connection: Connection, offer: Offer, decision: Decision) -> Offer:
    """Keep what was decided."""
    await connection.execute(
        """
        update offer set policy_version = $2, amount_fen = $3, bound = $4, haircut = $5,
            ltv_cap = $6, loan_to_fmv = $7, collateral_fen = $8, payment_fen = $9,
            total_interest_fen = $10, effective_rate = $11, worst_month = $12, worst_ratio = $13,
            senior_fen = $14
        where id = $1
        """,
        offer.id,
        decision.policy_version,
        decision.amount_fen,
        decision.bound,
        decision.haircut,
        decision.ltv_cap,
        decision.loan_to_fmv,
        decision.collateral_fen,
        decision.payment_fen,
        decision.total_interest_fen,
        decision.effective_rate,
        decision.worst_month,
        decision.worst_ratio,
        decision.senior_fen,
    )
    return replace(offer, decision=decision)


def _offer(row: Row) -> Offer:
    wish = Wish(**{field.name: row[field.name] for field in fields(Wish)})
    appraisal = decision = None
    if row["valuation"] is not None:
        columns = {f.name: _APPRAISAL_COLUMNS.get(f.name, f.name) for f in fields(Appraisal)}
        appraisal = Appraisal(**{name: row[column] for name, column in columns.items()})
    if row["amount_fen"] is not None:
        values = {field.name: row[field.name] for field in fields(Decision)}
        decision = Decision(**values | {"bound": Bound(row["bound"])})
    return Offer(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        state=OfferState(row["state"]),
        facility_id=row["facility_id"],
        funder=row["funder"],
        borrower=row["borrower"],
        wish=wish,
        nominal_rate=row["nominal_rate"],
        appraisal=appraisal,
        decision=decision,
        refusal_reason=row["refusal_reason"],
        refusal_message=row["refusal_message"],
        draw_id=row["draw_id"],
        expire_at=row["expire_at"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
