"""What parties refuses."""

import grpc

from services.kit.errors import (
    AlreadyExists,
    DomainError,
    InvalidArgument,
    PreconditionFailed,
    Unauthenticated,
)


class CheckDigitWrong(InvalidArgument):
    """An identifier's check digit does not fit its other characters."""

    reason = "CHECK_DIGIT_WRONG"

    def __init__(self, field: str, value: str, *, standard: str) -> None:
        super().__init__(field, f'"{value}" fails the check digit of {standard}')


class PartyUnknown(DomainError):
    """No party has this name; lists those that there are."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "PARTY_UNKNOWN"

    def __init__(self, wanted: str, known: list[str]) -> None:
        asked = f'no party is called "{wanted}"' if wanted else "name a party"
        super().__init__("\n  ".join([f"{asked}; there are:", *known]))


class PartyExists(AlreadyExists):
    """A legal entity with this identifier is registered."""

    reason = "PARTY_EXISTS"

    def __init__(self, identifier: str) -> None:
        super().__init__(f"a party with {identifier} is registered", identifier=identifier)


class UserExists(AlreadyExists):
    """The login name is taken."""

    reason = "USER_EXISTS"

    def __init__(self, login: str) -> None:
        super().__init__(f'the login "{login}" is taken', login=login)


class RoleNotHeld(PreconditionFailed):
    """A user can hold only roles that its party holds."""

    reason = "ROLE_NOT_HELD"

    def __init__(self, party: str, role: str) -> None:
        super().__init__(f"{party} does not hold the role {role}", subject=party, role=role)


class BadCredentials(Unauthenticated):
    """Login and password, or service and secret, do not fit; which of them is not said."""

    reason = "BAD_CREDENTIALS"

    def __init__(self) -> None:
        super().__init__("the credentials are not accepted")


class IssuerDisabled(PreconditionFailed):
    """Another issuer is set, or this is not the local setting."""

    reason = "ISSUER_DISABLED"

    def __init__(self) -> None:
        super().__init__(
            "tokens come from the outside issuer that the settings name, not from here"
        )
