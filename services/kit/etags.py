"""Entity tags: a row's version on the wire (AIP-154)."""

import grpc

from services.kit.errors import DomainError


class EtagMismatch(DomainError):
    """The resource changed since the caller read it; to repeat the call as it is would not help."""

    code = grpc.StatusCode.ABORTED
    reason = "ETAG_MISMATCH"

    def __init__(self, given: str, present: str) -> None:
        super().__init__(f"etag {given} is no longer true, the present one is {present}")

    @property
    def is_definite(self) -> bool:
        """Always: the etag that was given will not come back."""
        return True


def etag(version: int) -> str:
    """Return the etag of a row's version."""
    return f'"{version}"'


def check_etag(given: str, version: int) -> None:
    """Check a caller's etag; an empty one is not checked.

    Raises:
        EtagMismatch: The row has another version.
    """
    if given and given != etag(version):
        raise EtagMismatch(given, etag(version))
