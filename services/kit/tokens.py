"""Tokens verified against the issuer's published keys, which may rotate at any time."""

import asyncio
import json
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, Protocol

import jwt
import structlog
from ironloop.options.v1 import options_pb2
from jwt import PyJWK, PyJWKSet

from services.kit.errors import DomainError, Unauthenticated, Unavailable
from services.kit.principals import Principal

ALGORITHMS = ["EdDSA", "ES256", "RS256"]
TOKEN_BYTES_MAX = 4_096  # ours have a tenth of it; from 8 KiB of headers on gRPC refuses some calls
VERIFIED_MAX = 10_000  # verified tokens kept; verifying one takes about 150 µs
KEYS_FETCH_TIMEOUT_S = 3.0
KEYS_REFETCH_AFTER_S = 1.0  # an unknown key id waits for the issuer, asked at most this often
KEYS_STALE_AFTER_S = 300.0  # keys withdrawn by the issuer stop counting after this long
KEYS_USABLE_FOR_S = 3_600.0  # where the issuer does not answer, those it had count for this long
LEEWAY_S = 5.0  # clocks differ

log = structlog.get_logger(__name__)


class Keys(Protocol):
    """The issuer's public keys."""

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key of this id, or None where the issuer has none."""
        ...


class FixedKeys:
    """Keys handed over in process: those of the issuer itself, and of tests."""

    def __init__(self, load: Callable[[], dict[str, Any]]) -> None:
        self._load = load

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key of this id, read anew each time."""
        return _index(self._load()).get(key_id)


class PublishedKeys:
    """Keys fetched from a JWKS address, off the event loop, and again when they may be old."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at_s = float("-inf")
        self._tried_at_s = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key of this id; one not known yet may have been made a moment ago.

        Raises:
            Unavailable: The keys are needed and the issuer does not answer.
        """
        if self._is_at_hand(key_id):
            return self._keys[key_id]
        asked_at_s = time.monotonic()
        async with self._lock:
            if self._is_at_hand(key_id):  # whoever held the lock has just fetched it
                return self._keys[key_id]
            if self._tried_at_s < asked_at_s:
                await asyncio.sleep(self._tried_at_s + KEYS_REFETCH_AFTER_S - time.monotonic())
                await self._fetch()
        has_failed = self._fetched_at_s < self._tried_at_s
        if has_failed and (key_id not in self._keys or self._age_s() > KEYS_USABLE_FOR_S):
            raise KeysUnavailable(self._url)
        return self._keys.get(key_id)

    def _is_at_hand(self, key_id: str) -> bool:
        return key_id in self._keys and self._age_s() < KEYS_STALE_AFTER_S

    def _age_s(self) -> float:
        return time.monotonic() - self._fetched_at_s

    async def _fetch(self) -> None:
        self._tried_at_s = time.monotonic()
        try:
            self._keys = _index(await asyncio.to_thread(_read_json, self._url))
        except (OSError, ValueError, HTTPException, jwt.PyJWTError) as error:
            log.warning("keys_not_fetched", url=self._url, error=repr(error))
            return
        self._fetched_at_s = time.monotonic()


class KeysUnavailable(Unavailable):
    """The issuer's keys cannot be fetched, so no token can be verified."""

    reason = "KEYS_UNAVAILABLE"

    def __init__(self, url: str) -> None:
        super().__init__(f"the issuer's keys at {url} cannot be read")


class Authenticator:
    """Turns a bearer token into a principal; remembers verified ones until they expire."""

    def __init__(self, keys: Keys, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._verified: OrderedDict[object, tuple[Principal, float]] = OrderedDict()

    def known(self, authorization: object) -> Principal | None:
        """Return whom this `authorization` header proved the caller to be, if it still does."""
        known = self._verified.get(authorization)
        return known[0] if known and known[1] > time.time() else None

    async def principal(self, authorization: str) -> Principal:
        """Return who the `authorization` header proves the caller to be.

        Raises:
            Unauthenticated: No token, or one that is malformed, forged, expired or not for us.
            Unavailable: The issuer's keys are needed and cannot be read.
        """
        if (known := self.known(authorization)) is not None:
            return known
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("the call carries no bearer token in its authorization header")
        if len(token) > TOKEN_BYTES_MAX:
            raise Unauthenticated(f"the token is longer than {TOKEN_BYTES_MAX} bytes")
        caller, expires_at_s = await self._verify(token)
        # Looked at again now and then, so that a withdrawn key's tokens stop counting.
        counts_until_s = min(expires_at_s, time.time() + KEYS_STALE_AFTER_S)
        self._verified[authorization] = (caller, counts_until_s)
        if len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)
        return caller

    async def _verify(self, token: str) -> tuple[Principal, float]:
        try:
            key = await self._keys.find(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise Unauthenticated("the token's key is not one of the issuer's")
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "sub"]},
            )
            return _principal(claims), float(claims["exp"])
        except DomainError:
            raise
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token is not accepted: {error}") from error
        except Exception as error:  # whatever strange bytes a token may be made of
            raise Unauthenticated("the token is not accepted: it is malformed") from error


def _principal(claims: dict[str, Any]) -> Principal:
    known_roles = dict(options_pb2.Role.items())
    roles = claims.get("roles", [])
    if not isinstance(roles, list):
        raise Unauthenticated("the token's roles are no list")
    return Principal(
        subject=claims["sub"],
        party=str(claims.get("party", "")),
        roles=frozenset(
            known_roles[f"ROLE_{role}"] for role in roles if f"ROLE_{role}" in known_roles
        ),
        on_behalf_of=str(claims.get("obo", "")),
    )


def _index(document: dict[str, Any]) -> dict[str, PyJWK]:
    return {str(key.key_id): key for key in PyJWKSet.from_dict(document).keys}


def _read_json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=KEYS_FETCH_TIMEOUT_S) as answer:
        document: dict[str, Any] = json.load(answer)
        return document
