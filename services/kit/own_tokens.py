"""The tokens that a service carries itself: for its own sake, or on behalf of a user."""

import asyncio
import json
import time
import urllib.parse
import urllib.request
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from http.client import HTTPException

import grpc
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

ASK_TIMEOUT_S = 10.0
RENEW_AT = 0.8  # of a token's lifetime
HELD_MAX = 10_000  # one for each user on whose behalf a call was made lately
LIFETIME_DEFAULT_S = 60.0  # where an outside issuer does not say

# Gives a token and its lifetime in seconds; takes the user for whom it is, or "".
Issue = Callable[[str], Awaitable[tuple[str, float]]]


class Tokens:
    """Tokens kept while they are good, each asked for once however many calls need it."""

    def __init__(self, issue: Issue) -> None:
        self._issue = issue
        self._held: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[str]] = {}

    async def token(self, on_behalf_of: str, *, timeout_s: float) -> str:
        """Return a token that is still good for a while; "" is the service for itself.

        Raises:
            TimeoutError: The issuer does not answer in time.
            AioRpcError, OSError: It refused, or cannot be reached.
        """
        token, renew_at_s = self._held.get(on_behalf_of, ("", 0.0))
        if time.monotonic() < renew_at_s:
            return token
        # Calls that need the same token at the same time share one question to the issuer.
        asked = self._asked.get(on_behalf_of)
        if asked is None:
            asked = asyncio.create_task(self._ask(on_behalf_of))
            self._asked[on_behalf_of] = asked
            asked.add_done_callback(lambda task: self._answered(on_behalf_of, task))
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(asked)

    def forget(self, on_behalf_of: str, token: str) -> None:
        """Drop a token that was not accepted, so that the next call asks for another."""
        if self._held.get(on_behalf_of, ("", 0.0))[0] == token:
            del self._held[on_behalf_of]

    def _answered(self, on_behalf_of: str, asked: "asyncio.Task[str]") -> None:
        del self._asked[on_behalf_of]
        if not asked.cancelled():
            asked.exception()  # seen here, also where every caller gave up waiting

    async def _ask(self, on_behalf_of: str) -> str:
        token, lifetime_s = await self._issue(on_behalf_of)
        self._held[on_behalf_of] = (token, time.monotonic() + lifetime_s * RENEW_AT)
        if len(self._held) > HELD_MAX:
            self._held.popitem(last=False)
        return token


class LocalIssuer:
    """Parties, which issues tokens in the local setting."""

    def __init__(self, channel: grpc.aio.Channel, *, service: str, secret: str) -> None:
        self._stub = parties_pb2_grpc.PartiesServiceStub(channel)
        self._service = service
        self._secret = secret

    async def issue(self, on_behalf_of: str) -> tuple[str, float]:
        """Ask for a token."""
        answer = await self._stub.IssueToken(
            parties_pb2.IssueTokenRequest(
                client=parties_pb2.ClientCredentials(
                    service=f"services/{self._service}",
                    secret=self._secret,
                    on_behalf_of=on_behalf_of,
                )
            ),
            timeout=ASK_TIMEOUT_S,
        )
        return answer.token, answer.lifetime.ToTimedelta().total_seconds()


class OutsideIssuer:
    """An issuer that gives services tokens by OAuth 2.0 client credentials (RFC 6749, 4.4).

    The user for whom a token is goes as the parameter `on_behalf_of`; the issuer is to put it into
    the claim `obo`, and the service's name into `sub`.
    """

    def __init__(self, url: str, *, service: str, secret: str) -> None:
        self._url = url
        self._service = service
        self._secret = secret

    async def issue(self, on_behalf_of: str) -> tuple[str, float]:
        """Ask for a token, off the event loop."""
        return await asyncio.to_thread(self._ask, on_behalf_of)

    def _ask(self, on_behalf_of: str) -> tuple[str, float]:
        form = {
            "grant_type": "client_credentials",
            "client_id": f"services/{self._service}",
            "client_secret": self._secret,
            **({"on_behalf_of": on_behalf_of} if on_behalf_of else {}),
        }
        body = urllib.parse.urlencode(form).encode()
        try:
            with urllib.request.urlopen(self._url, data=body, timeout=ASK_TIMEOUT_S) as answer:
                document = json.load(answer)
            lifetime_s = float(document.get("expires_in", LIFETIME_DEFAULT_S))
            return str(document["access_token"]), lifetime_s
        except (KeyError, TypeError, ValueError, AttributeError, HTTPException) as error:
            raise OSError(f"{self._url} answers with no token") from error
