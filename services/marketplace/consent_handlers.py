"""What marketplace does with consents, one transaction a command."""

from services.kit.connection import Connection
from services.kit.errors import Aborted, NotFound
from services.kit.ids import new_id
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.marketplace import consent_store, listing_events
from services.marketplace.consent_model import TEXTS, Consent, ConsentPurpose, ConsentState
from services.marketplace.lifecycle import CONSENT


async def grant_consent(
    tx: Transaction, purpose: ConsentPurpose, *, text_version: int, sha256: str, viewer: Principal
) -> Consent:
    """Give a consent for the caller's party; one under the same text stays as it is.

    Raises:
        ConsentTextMismatch: Another text was shown than that in force.
    """
    party = viewer.require_party()
    text = TEXTS[purpose]
    text.check_shown(text_version, sha256)
    present = await consent_store.find_latest(tx.connection, party, purpose, lock=True)
    if present is not None and present.state is ConsentState.ACTIVE:
        if present.text_sha256 == sha256:
            return present
        await _revoke(tx, present, by=viewer.subject)
    consent = Consent(
        id=new_id(),
        version=1,
        event_sequence=1,
        party=party,
        purpose=purpose,
        state=ConsentState.ACTIVE,
        text_version=text.version,
        text_sha256=text.sha256,
        granted_by=viewer.subject,
        revoked_by="",
        create_time=tx.now,
        revoke_time=None,
        update_time=tx.now,
    )
    if not await consent_store.insert_consent(tx.connection, consent):
        raise Aborted(f"another user of {party} gives this consent")
    await tx.emit(listing_events.consent_granted(consent))
    return consent


async def revoke_consent(tx: Transaction, purpose: ConsentPurpose, *, viewer: Principal) -> Consent:
    """Take the consent of the caller's party back.

    Raises:
        NotFound: None was given.
        TransitionRefused: It was taken back before.
    """
    party = viewer.require_party()
    consent = await consent_store.find_latest(tx.connection, party, purpose, lock=True)
    if consent is None:
        raise NotFound(f"the consent of {party}")
    return await _revoke(tx, consent, by=viewer.subject)


async def get_consent(
    connection: Connection, party: str, purpose: ConsentPurpose, *, viewer: Principal
) -> Consent:
    """Return a party's latest consent to that party.

    Raises:
        NotFound: None was given, or the party is another one.
    """
    is_own = viewer.sees_all or viewer.party == party
    consent = (
        await consent_store.find_latest(connection, party, purpose, lock=False) if is_own else None
    )
    if consent is None:
        raise NotFound(f"the consent of {party}")
    return consent


async def _revoke(tx: Transaction, consent: Consent, *, by: str) -> Consent:
    step = CONSENT.next(consent.state, "revoke", subject=consent.name)
    revoked = await consent_store.revoke_consent(
        tx.connection, consent.id, state=step.target, by=by, at=tx.now
    )
    await tx.emit(listing_events.consent_revoked(revoked))
    return revoked
