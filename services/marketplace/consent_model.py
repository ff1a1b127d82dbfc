"""Consents of a party, and the texts that they are given to."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.kit.ids import name
from services.marketplace.errors import ConsentTextMismatch


class ConsentPurpose(StrEnum):
    """What a consent is given for."""

    SALE_PRICE_LABEL = "SALE_PRICE_LABEL"


class ConsentState(StrEnum):
    """Whether a consent holds."""

    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True)
class ConsentText:
    """A text that parties agree to; a change of it is a new version."""

    purpose: ConsentPurpose
    version: int
    text: str

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the text in UTF-8, as hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def check_shown(self, version: int, sha256: str) -> None:
        """Check that this text was shown to whoever agrees.

        Raises:
            ConsentTextMismatch: It was another one.
        """
        if (version, sha256) != (self.version, self.sha256):
            raise ConsentTextMismatch(self.version, self.sha256)


@dataclass(frozen=True, slots=True)
class Consent:
    """One consent, from its grant to its revocation."""

    id: UUID
    version: int
    event_sequence: int
    party: str
    purpose: ConsentPurpose
    state: ConsentState
    text_version: int
    text_sha256: str
    granted_by: str
    revoked_by: str
    create_time: datetime
    revoke_time: datetime | None
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "consents/<uuid>"."""
        return name("consents", self.id)


TEXTS = {
    ConsentPurpose.SALE_PRICE_LABEL: ConsentText(
        ConsentPurpose.SALE_PRICE_LABEL,
        1,
        "We agree that the prices at which our machines are sold on Ironloop, together with the "
        "machine's make, model, class, build year, hours and condition, may be used to train and "
        "to check the model that values used machines. Our name is not part of it. We may take "
        "this consent back at any time; sales from then on are not used.",
    )
}
