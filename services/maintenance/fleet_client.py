"""Asks a telematics endpoint for pages: with a key, or with a token that it fetches itself.

Nothing is followed to another host: neither a redirect nor a link takes the credentials along.
"""

import asyncio
import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import timedelta
from email.message import Message
from http.client import HTTPException
from typing import Any

from services.iso15143.errors import PageRefused
from services.iso15143.tree import read_bounded
from services.maintenance.settings import FleetSource

TIMEOUT_S = 30.0
TOKEN_BYTES_MAX = 64 * 1024
TOKEN_LEEWAY_S = 30.0  # a token is renewed this long before it ends
TOKEN_LIFETIME_S = 300.0  # where the endpoint does not say
RETRY_AFTER_MAX = timedelta(hours=1)
UNAUTHORIZED = 401


class FetchFailed(Exception):
    """An endpoint did not give a page; the message says why and holds no secret.

    Attributes:
        status: The HTTP status; 0 where there was no answer.
        retry_after: When the endpoint asked to come back; zero where it did not.
    """

    def __init__(self, why: str, *, status: int = 0, retry_after: timedelta = timedelta()) -> None:
        super().__init__(why)
        self.status = status
        self.retry_after = retry_after


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nothing: urllib would send the credentials along to any host."""
        return


class FleetClient:
    """The way to one endpoint."""

    def __init__(self, source: FleetSource) -> None:
        self._source = source
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._token = ""
        self._token_ends_at_s = 0.0

    async def fetch(self, url: str) -> bytes:
        """Return the page at an address of the endpoint.

        Raises:
            FetchFailed: It leads elsewhere, or the endpoint gives no page that may be read.
        """
        if origin(url) != origin(self._source.base_url):
            raise FetchFailed(f"the link leads to {origin(url)}, not to the endpoint")
        try:
            return await asyncio.to_thread(self._get, url)
        except FetchFailed as failure:
            if failure.status != UNAUTHORIZED or not self._token:
                raise
        self._token = ""  # it may have been withdrawn before its end
        return await asyncio.to_thread(self._get, url)

    def _get(self, url: str) -> bytes:
        headers = {"Accept": self._source.accept, "User-Agent": "ironloop-maintenance"}
        if self._source.auth == "api_key":
            headers[self._source.api_key_header] = self._source.api_key.get_secret_value()
        elif self._source.auth != "none":
            headers["Authorization"] = f"Bearer {self._bearer()}"
        return self._open(urllib.request.Request(url, headers=headers))

    def _bearer(self) -> str:
        if not self._token or time.monotonic() > self._token_ends_at_s:
            answer = self._ask_for_token()
            self._token = answer["access_token"]
            lifetime_s = float(answer.get("expires_in") or TOKEN_LIFETIME_S)
            self._token_ends_at_s = time.monotonic() + max(lifetime_s - TOKEN_LEEWAY_S, 1.0)
        return self._token

    def _ask_for_token(self) -> dict[str, Any]:
        """Ask for a token (RFC 6749 sections 4.3 and 4.4, the client by section 2.3.1)."""
        source = self._source
        form: dict[str, str] = {"grant_type": source.auth}
        if source.auth == "password":
            form |= {"username": source.username, "password": source.password.get_secret_value()}
        if source.scope:
            form["scope"] = source.scope
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if source.client_id:
            pair = [source.client_id, source.client_secret.get_secret_value()]
            stated = ":".join(urllib.parse.quote(part, safe="") for part in pair)
            headers["Authorization"] = f"Basic {base64.b64encode(stated.encode()).decode()}"
        request = urllib.request.Request(
            source.token_url, data=urllib.parse.urlencode(form).encode(), headers=headers
        )
        try:
            answer = json.loads(self._open(request)[:TOKEN_BYTES_MAX])
            if isinstance(answer, dict) and isinstance(answer.get("access_token"), str):
                return answer
        except ValueError as error:
            raise FetchFailed("the token's endpoint does not answer JSON") from error
        except FetchFailed as failure:
            raise FetchFailed(f"no token: {failure}", status=failure.status) from failure
        raise FetchFailed("the token's endpoint gives no access_token")

    def _open(self, request: urllib.request.Request) -> bytes:
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return read_bounded(answer)
        except urllib.error.HTTPError as error:
            raise FetchFailed(
                f"HTTP {error.code}", status=error.code, retry_after=_retry_after(error.headers)
            ) from None
        except PageRefused as error:
            raise FetchFailed(str(error)) from error
        except (OSError, HTTPException, ValueError) as error:
            raise FetchFailed(f"no answer ({type(error).__name__})") from error


def origin(url: str) -> str:
    """Return an address's scheme, host and port."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def _retry_after(headers: Message) -> timedelta:
    stated = (headers.get("Retry-After") or "").strip()
    if not stated.isdigit() or len(stated) > 6:
        return timedelta()
    return min(timedelta(seconds=int(stated)), RETRY_AFTER_MAX)
