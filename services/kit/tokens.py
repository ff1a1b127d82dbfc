"""Tokens verified against the issuer's published keys, which may rotate at any time."""

import asyncio
import json
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import jwt
from ironloop.options.v1 import options_pb2
from jwt import PyJWK, PyJWKSet

from services.kit.errors import Unauthenticated, Unavailable
from services.kit.principals import Principal

ALGORITHMS = ["EdDSA", "ES256", "RS256"]
TOKEN_BYTES_MAX = 8_192  # a header larger than this is not a token of ours
VERIFIED_MAX = 10_000  # verified tokens kept; verifying one takes about 150 µs
KEYS_FETCH_TIMEOUT_S = 3.0
KEYS_REFETCH_AFTER_S = 5.0  # an unknown key id asks the issuer at most this often
KEYS_STALE_AFTER_S = 300.0  # keys withdrawn by the issuer stop counting after this long
LEEWAY_S = 5.0  # clocks differ


class Keys(Protocol):
    """The issuer's public keys."""

    generation: int

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key of this id, or None where the issuer has none."""
        ...


class FixedKeys:
    """Keys handed over in process: those of the issuer itself, and of tests."""

    def __init__(self, load: Callable[[], dict[str, Any]]) -> None:
        self.generation = 0
        self._load = load

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key of this id, read anew each time."""
        return _index(self._load()).get(key_id)


class PublishedKeys:
    """Keys fetched from a JWKS address, off the event loop, and again when they may be old."""

    def __init__(self, url: str) -> None:
        self.generation = 0
        self._url = url
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key of this id.

        Raises:
            Unavailable: The keys are needed and the issuer does not answer.
        """
        age_s = time.monotonic() - self._fetched_at
        if (key_id in self._keys and age_s < KEYS_STALE_AFTER_S) or age_s < KEYS_REFETCH_AFTER_S:
            return self._keys.get(key_id)
        async with self._lock:
            if time.monotonic() - self._fetched_at >= min(age_s, KEYS_REFETCH_AFTER_S):
                await self._fetch()
        return self._keys.get(key_id)

    async def _fetch(self) -> None:
        try:
            document = await asyncio.to_thread(_read_json, self._url)
            self._keys = _index(document)
        except (OSError, ValueError, jwt.PyJWTError) as error:
            raise KeysUnavailable(self._url) from error
        self._fetched_at = time.monotonic()
        self.generation += 1


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
        self._verified: OrderedDict[str, tuple[Principal, float, int]] = OrderedDict()

    async def principal(self, authorization: str) -> Principal:
        """Return who the `authorization` header proves the caller to be.

        Raises:
            Unauthenticated: No token, or one that is malformed, forged, expired or not for us.
            Unavailable: The issuer's keys are needed and cannot be read.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("the call carries no bearer token in its authorization header")
        if len(token) > TOKEN_BYTES_MAX:
            raise Unauthenticated(f"the token is longer than {TOKEN_BYTES_MAX} bytes")
        known = self._verified.get(token)
        if known and known[1] > time.time() and known[2] == self._keys.generation:
            return known[0]
        caller, expires_at = await self._verify(token)
        self._verified[token] = (caller, expires_at, self._keys.generation)
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
        except (jwt.PyJWTError, UnicodeError) as error:
            raise Unauthenticated(f"the token is not accepted: {error}") from error


def _principal(claims: dict[str, Any]) -> Principal:
    known_roles = dict(options_pb2.Role.items())
    roles = claims.get("roles", [])
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
