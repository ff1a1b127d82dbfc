"""All SQL of consents."""

from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.marketplace.consent_model import Consent, ConsentPurpose, ConsentState


async def insert_consent(connection: Connection, consent: Consent) -> bool:
    """Write a new consent; False where one is active."""
    written = await connection.fetchval(
        """
        insert into consent (id, party, purpose, state, text_version, text_sha256, granted_by,
                             create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
        on conflict (party, purpose) where state = 'ACTIVE' do nothing returning true
        """,
        consent.id,
        consent.party,
        consent.purpose,
        consent.state,
        consent.text_version,
        consent.text_sha256,
        consent.granted_by,
        consent.create_time,
    )
    return bool(written)


async def find_latest(
    connection: Connection, party: str, purpose: ConsentPurpose, *, lock: bool
) -> Consent | None:
    """Return a party's latest consent, locked for change where asked."""
    row = await connection.fetchrow(
        f"""
        select * from consent where party = $1 and purpose = $2 order by id desc limit 1
        {"for no key update" if lock else ""}
        """,
        party,
        purpose,
    )
    return None if row is None else _consent(row)


async def revoke_consent(
    connection: Connection, consent_id: UUID, *, state: ConsentState, by: str, at: datetime
) -> Consent:
    """Take a consent back; takes the next event sequence."""
    row = await connection.fetchrow(
        """
        update consent set state = $2, revoked_by = $3, revoke_time = $4, version = version + 1,
            event_sequence = event_sequence + 1, update_time = $4
        where id = $1 returning *
        """,
        consent_id,
        state,
        by,
        at,
    )
    assert row is not None
    return _consent(row)


def _consent(row: Row) -> Consent:
    return Consent(
        **{
            **row,
            "purpose": ConsentPurpose(row["purpose"]),
            "state": ConsentState(row["state"]),
        }
    )
