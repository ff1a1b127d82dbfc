"""Legal entities and users, and the check digits of their identifiers."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.kit.ids import name
from services.parties.errors import CheckDigitWrong

# GB 32100-2015: the 31 characters of a unified social credit code and the weight of each place.
_USCC_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))


class UserState(StrEnum):
    """Whether a user may sign in."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True)
class Party:
    """A legal entity; `roles` are those that its users may be given."""

    id: UUID
    version: int
    event_sequence: int
    legal_name: str
    uscc: str | None
    lei: str | None
    roles: list[str]
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "parties/<uuid>"."""
        return name("parties", self.id)


@dataclass(frozen=True, slots=True)
class User:
    """A person who acts for a party. The password is kept as an Argon2id hash only."""

    id: UUID
    version: int
    party_id: UUID
    login: str
    password_hash: str
    roles: list[str]
    state: UserState
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "users/<uuid>"."""
        return name("users", self.id)


def check_uscc(uscc: str) -> None:
    """Check a unified social credit code's last character (GB 32100-2015, ISO 7064 MOD 31-3).

    Args:
        uscc: 18 characters of the code's own alphabet.

    Raises:
        CheckDigitWrong: The last character does not fit.
    """
    if uscc_of(uscc[:-1]) != uscc:
        raise CheckDigitWrong("uscc", uscc, standard="GB 32100")


def uscc_of(body: str) -> str:
    """Return a unified social credit code of 17 characters with its check digit."""
    weighted = sum(
        weight * _USCC_CHARACTERS.index(character)
        for weight, character in zip(_USCC_WEIGHTS, body, strict=True)
    )
    return body + _USCC_CHARACTERS[-weighted % 31]


def check_lei(lei: str) -> None:
    """Check a legal entity identifier's two last digits (ISO 17442, ISO 7064 MOD 97-10).

    Args:
        lei: 20 characters, digits and upper-case letters.

    Raises:
        CheckDigitWrong: The digits do not fit.
    """
    digits = "".join(str(int(character, 36)) for character in lei)
    if int(digits) % 97 != 1:
        raise CheckDigitWrong("lei", lei, standard="ISO 17442")
