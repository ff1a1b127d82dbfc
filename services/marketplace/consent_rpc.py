"""The contract of consents: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.marketplace.v1 import consents_pb2

from services.kit.database import Database
from services.kit.principals import principal
from services.kit.requests import Commands
from services.kit.transaction import Transaction
from services.marketplace import consent_handlers
from services.marketplace.consent_model import TEXTS
from services.marketplace.listing_wire import consent_text_to_wire, consent_to_wire, purpose_of


class ConsentRpc:
    """The part of ListingService that keeps consents."""

    _database: Database
    _commands: Commands

    async def GrantConsent(
        self, request: consents_pb2.GrantConsentRequest, context: Any
    ) -> consents_pb2.Consent:
        """Give a consent for the caller's party."""

        async def work(tx: Transaction) -> consents_pb2.Consent:
            consent = await consent_handlers.grant_consent(
                tx,
                purpose_of(request.purpose),
                text_version=request.text_version,
                sha256=request.text_sha256,
                viewer=principal(),
            )
            return consent_to_wire(consent)

        return await self._commands.run(request, work)

    async def RevokeConsent(
        self, request: consents_pb2.RevokeConsentRequest, context: Any
    ) -> consents_pb2.Consent:
        """Take the consent of the caller's party back."""

        async def work(tx: Transaction) -> consents_pb2.Consent:
            purpose = purpose_of(request.purpose)
            return consent_to_wire(
                await consent_handlers.revoke_consent(tx, purpose, viewer=principal())
            )

        return await self._commands.run(request, work)

    async def GetConsent(
        self, request: consents_pb2.GetConsentRequest, context: Any
    ) -> consents_pb2.Consent:
        """Return a party's latest consent."""
        async with self._database.read() as connection:
            consent = await consent_handlers.get_consent(
                connection, request.party, purpose_of(request.purpose), viewer=principal()
            )
        return consent_to_wire(consent)

    async def GetConsentText(
        self, request: consents_pb2.GetConsentTextRequest, context: Any
    ) -> consents_pb2.ConsentText:
        """Return the text in force."""
        return consent_text_to_wire(TEXTS[purpose_of(request.purpose)])
