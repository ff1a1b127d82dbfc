"""All SQL of listings but search, which has a file of its own."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.marketplace.listing_model import (
    Content,
    Document,
    LienDisclosure,
    ListedMachine,
    Listing,
    ListingFormat,
    ListingState,
    Sale,
    guide_from_json,
    guide_to_json,
)
from services.marketplace.search_words import search_terms


async def insert_listing(connection: Connection, listing: Listing) -> bool:
    """Write a new draft; False where the seller's reference is taken."""
    content, machine = listing.content, listing.machine
    written = await connection.fetchval(
        """
        insert into listing
            (id, state, machine_id, seller, reference, format, ask_fen, price_override_reason,
             region, description, photos, title_proofs, lien_disclosure, make, model,
             equipment_class, build_year, hours_meter, search_terms, disposal, create_time,
             update_time, lease_programme)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, nullif($20, ''), $21, $21, $22)
        on conflict (seller, reference) where reference is not null do nothing returning true
        """,
        listing.id,
        listing.state,
        listing.machine_id,
        listing.seller,
        listing.reference,
        content.format,
        content.ask_fen,
        content.price_override_reason,
        content.region,
        content.description,
        _documents(content.photos),
        _documents(content.title_proofs),
        _disclosure(content.lien_disclosure),
        machine.make,
        machine.model,
        machine.equipment_class,
        machine.build_year or 0,
        machine.hours_meter,
        _terms_of(listing),
        listing.disposal,
        listing.create_time,
        content.lease_programme,
    )
    return bool(written)


async def update_listing(
    connection: Connection, listing: Listing, *, at: datetime, announced: bool
) -> Listing:
    """Write what may change of a locked listing; `announced` takes the next event sequence."""
    content, machine, sale = listing.content, listing.machine, listing.sale
    row = await connection.fetchrow(
        """
        update listing set state = $2, format = $3, ask_fen = $4, price_override_reason = $5,
            region = $6, description = $7, photos = $8, title_proofs = $9, lien_disclosure = $10,
            rejection_reason = $11, make = $12, model = $13, equipment_class = $14,
            build_year = $15, hours_meter = $16, search_terms = $17, guide = $18,
            order_name = $19, buyer = $20, agreed_price_fen = $21, publish_time = $22,
            expire_time = $23, version = version + 1,
            event_sequence = event_sequence + $24, update_time = $25, lease_programme = $26
        where id = $1 returning *
        """,
        listing.id,
        listing.state,
        content.format,
        content.ask_fen,
        content.price_override_reason,
        content.region,
        content.description,
        _documents(content.photos),
        _documents(content.title_proofs),
        _disclosure(content.lien_disclosure),
        listing.rejection_reason,
        machine.make,
        machine.model,
        machine.equipment_class,
        machine.build_year or 0,
        machine.hours_meter,
        _terms_of(listing),
        guide_to_json(listing.guide) if listing.guide else None,
        sale.order if sale else None,
        sale.buyer if sale else None,
        sale.price_fen if sale else None,
        listing.publish_time,
        listing.expire_time,
        int(announced),
        at,
        content.lease_programme,
    )
    assert row is not None
    return to_listing(row)


async def take_sequence(connection: Connection, listing_id: UUID) -> int:
    """Take the next event sequence of a locked listing whose row does not change otherwise."""
    sequence: int = await connection.fetchval(
        "update listing set event_sequence = event_sequence + 1 where id = $1 "
        "returning event_sequence",
        listing_id,
    )
    return sequence


async def find_listing(connection: Connection, listing_id: UUID) -> Listing | None:
    """Return a listing, whoever asks."""
    row = await connection.fetchrow("select * from listing where id = $1", listing_id)
    return None if row is None else to_listing(row)


async def lock_listing(connection: Connection, listing_id: UUID) -> Listing | None:
    """Return a listing, locked for change; its machine must be locked before it."""
    row = await connection.fetchrow(
        "select * from listing where id = $1 for no key update", listing_id
    )
    return None if row is None else to_listing(row)


async def find_machine_of(
    connection: Connection, listing_id: UUID, *, viewer: Principal, inspects: bool
) -> UUID | None:
    """Return the machine of a listing that the viewer may see.

    That is one of their own, one whose order is theirs, a published one, and for a technician
    (`inspects`) one that is submitted or inspected.
    """
    machine_id: UUID | None = await connection.fetchval(
        """
        select machine_id from listing
        where id = $1 and ($2 or seller = $3 or buyer = $3 or state = 'PUBLISHED'
                           or ($4 and state in ('SUBMITTED', 'INSPECTED')))
        """,
        listing_id,
        viewer.sees_all,
        viewer.party,
        inspects,
    )
    return machine_id


async def find_machine_of_own(
    connection: Connection, listing_id: UUID, *, seller: str
) -> UUID | None:
    """Return the machine of a seller's own listing."""
    machine_id: UUID | None = await connection.fetchval(
        "select machine_id from listing where id = $1 and seller = $2", listing_id, seller
    )
    return machine_id


async def lock_on_offer(connection: Connection, machine_id: UUID) -> Listing | None:
    """Return the listing of a locked machine that is published or reserved, locked."""
    row = await connection.fetchrow(
        """
        select * from listing where machine_id = $1 and state in ('PUBLISHED', 'RESERVED')
        for no key update
        """,
        machine_id,
    )
    return None if row is None else to_listing(row)


async def lock_guided(connection: Connection, machine_id: UUID, *, valuation: str) -> list[Listing]:
    """Return the listings of a machine whose guide is this valuation, locked."""
    rows = await connection.fetch(
        """
        select * from listing where machine_id = $1 and guide->>'valuation' = $2
        order by id for no key update
        """,
        machine_id,
        valuation,
    )
    return [to_listing(row) for row in rows]


async def find_by_reference(connection: Connection, seller: str, reference: str) -> Listing | None:
    """Return a seller's listing with a reference."""
    row = await connection.fetchrow(
        "select * from listing where seller = $1 and reference = $2", seller, reference
    )
    return None if row is None else to_listing(row)


async def lock_by_references(
    connection: Connection, seller: str, references: Sequence[str]
) -> list[Listing]:
    """Return a seller's listings with these references, locked; their machines must be before."""
    rows = await connection.fetch(
        """
        select * from listing where seller = $1 and reference = any ($2::text[])
        order by id for no key update
        """,
        seller,
        references,
    )
    return [to_listing(row) for row in rows]


async def list_of_seller(
    connection: Connection, *, seller: str, state: str | None, after: UUID | None, limit: int
) -> list[Listing]:
    """Return a seller's listings, the newest first, after an id."""
    rows = await connection.fetch(
        """
        select * from listing
        where seller = $1 and ($2::text is null or state = $2) and ($3::uuid is null or id < $3)
        order by id desc limit $4
        """,
        seller,
        state,
        after,
        limit,
    )
    return [to_listing(row) for row in rows]


async def list_all(
    connection: Connection, *, state: str | None, after: UUID | None, limit: int
) -> list[Listing]:
    """Return every party's listings, the newest first, after an id."""
    rows = await connection.fetch(
        """
        select * from listing
        where ($1::text is null or state = $1) and ($2::uuid is null or id < $2)
        order by id desc limit $3
        """,
        state,
        after,
        limit,
    )
    return [to_listing(row) for row in rows]


async def list_submitted(
    connection: Connection, *, not_of: str, after: UUID | None, limit: int
) -> list[Listing]:
    """Return submitted listings of parties other than `not_of`, the oldest first, after an id."""
    rows = await connection.fetch(
        """
        select * from listing
        where state = 'SUBMITTED' and seller <> $1 and ($2::uuid is null or id > $2)
        order by id limit $3
        """,
        not_of,
        after,
        limit,
    )
    return [to_listing(row) for row in rows]


def to_listing(row: Row) -> Listing:
    """Return a listing from its row."""
    return Listing(
        id=row["id"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        state=ListingState(row["state"]),
        machine_id=row["machine_id"],
        seller=row["seller"],
        reference=row["reference"],
        content=_content(row),
        machine=ListedMachine(
            row["make"],
            row["model"],
            row["equipment_class"],
            row["build_year"] or None,
            row["hours_meter"],
        ),
        guide=None if row["guide"] is None else guide_from_json(row["guide"]),
        sale=None
        if row["order_name"] is None
        else Sale(row["order_name"], row["buyer"], row["agreed_price_fen"]),
        rejection_reason=row["rejection_reason"],
        disposal=row["disposal"] or "",
        publish_time=row["publish_time"],
        expire_time=row["expire_time"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def _content(row: Row) -> Content:
    disclosure = row["lien_disclosure"]
    return Content(
        format=ListingFormat(row["format"]),
        ask_fen=row["ask_fen"],
        price_override_reason=row["price_override_reason"],
        region=row["region"],
        description=row["description"],
        photos=tuple(Document(**photo) for photo in row["photos"]),
        title_proofs=tuple(Document(**proof) for proof in row["title_proofs"]),
        lien_disclosure=None if disclosure is None else LienDisclosure(**disclosure),
        lease_programme=row["lease_programme"],
    )


def _documents(documents: Sequence[Document]) -> list[dict[str, Any]]:
    return [asdict(document) for document in documents]


def _disclosure(disclosure: LienDisclosure | None) -> dict[str, Any] | None:
    return None if disclosure is None else asdict(disclosure)


def _terms_of(listing: Listing) -> list[str]:
    machine, content = listing.machine, listing.content
    return search_terms(machine.make, machine.model, content.region, content.description)
