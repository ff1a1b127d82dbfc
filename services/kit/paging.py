"""Page tokens that cannot be forged, and that fit only the listing they were made for."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from services.kit.errors import InvalidArgument
from services.kit.principals import method, principal

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 200
SIGNATURE_BYTES = 16

Row = TypeVar("Row")
Key = tuple[Any, ...]


class InvalidPageToken(InvalidArgument):
    """The page token was not made by this service for this listing."""

    reason = "INVALID_PAGE_TOKEN"

    def __init__(self) -> None:
        super().__init__("page_token", "was not made for this listing; start again without one")


@dataclass(frozen=True, slots=True)
class Page:
    """What to read: at most `limit` rows after the row whose sort key is `after`."""

    limit: int
    after: Key | None


class Pages:
    """Opens and makes page tokens under a secret of the service."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def open(self, request: Any) -> Page:
        """Return the page that a List request asks for; a page size of 0 means 50.

        Raises:
            InvalidPageToken: The token is forged, or was made for another caller, rpc or filter.
            InvalidArgument: The page size is negative.
        """
        if request.page_size < 0:
            raise InvalidArgument("page_size", "must be zero or more")
        limit = min(request.page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        if not request.page_token:
            return Page(limit, None)
        try:
            sealed = base64.urlsafe_b64decode(request.page_token)
            signature, body = sealed[:SIGNATURE_BYTES], sealed[SIGNATURE_BYTES:]
            if not hmac.compare_digest(signature, self._sign(request, body)):
                raise InvalidPageToken
            return Page(limit, tuple(_thaw(part) for part in json.loads(body)))
        except (ValueError, KeyError) as error:
            raise InvalidPageToken from error

    def cut(
        self, request: Any, page: Page, rows: Sequence[Row], *, key: Callable[[Row], Key]
    ) -> tuple[Sequence[Row], str]:
        """Cut rows read with `page.limit` + 1 to the page, and return the token of the next one."""
        if len(rows) <= page.limit:
            return rows, ""
        kept = rows[: page.limit]
        return kept, self.next_token(request, key(kept[-1]))

    def next_token(self, request: Any, last: Key) -> str:
        """Return the token that continues after the row whose sort key is `last`."""
        body = json.dumps([_freeze(part) for part in last], ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(self._sign(request, body) + body).decode()

    def _sign(self, request: Any, body: bytes) -> bytes:
        listing = type(request)()
        listing.CopyFrom(request)
        listing.ClearField("page_token")
        listing.ClearField("page_size")
        bound = b"\x00".join(
            (
                principal().subject.encode(),
                method().encode(),
                listing.SerializeToString(deterministic=True),
                body,
            )
        )
        return hmac.new(self._secret, bound, hashlib.sha256).digest()[:SIGNATURE_BYTES]


def _freeze(part: Any) -> list[str]:
    if isinstance(part, bool):
        raise TypeError("a truth value cannot be part of a page token")
    if isinstance(part, datetime | date):
        return ["instant" if isinstance(part, datetime) else "date", part.isoformat()]
    for kind in (int, str, UUID, Decimal):
        if isinstance(part, kind):
            return [kind.__name__, str(part)]
    raise TypeError(f"{part!r} cannot be part of a page token")


def _thaw(part: Any) -> Any:
    kind, text = part
    thaw: dict[str, Callable[[str], Any]] = {
        "instant": datetime.fromisoformat,
        "date": date.fromisoformat,
        "int": int,
        "str": str,
        "UUID": UUID,
        "Decimal": Decimal,
    }
    return thaw[kind](text)
