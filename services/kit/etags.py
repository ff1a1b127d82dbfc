"""Entity tags: a row's version on the wire (AIP-154)."""

from services.kit.errors import Aborted


class EtagMismatch(Aborted):
    """The resource changed since the caller read it."""

    reason = "ETAG_MISMATCH"

    def __init__(self, given: str, present: str) -> None:
        super().__init__(f"etag {given} is no longer true, the present one is {present}")


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
