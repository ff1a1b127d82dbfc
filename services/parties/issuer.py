"""The local issuer: Ed25519 keys as rows, tokens as JWT, the public keys as a JWKS."""

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from services.kit.database import Database
from services.kit.ids import new_id
from services.kit.transaction import Transaction
from services.parties import store


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; tokens name its id in their header."""

    id: str
    private: Ed25519PrivateKey


async def make_key(tx: Transaction) -> SigningKey:
    """Make a key and keep it."""
    key = SigningKey(str(new_id()), Ed25519PrivateKey.generate())
    await store.insert_signing_key(tx.connection, key.id, _to_pem(key.private))
    return key


class Issuer:
    """Signs tokens with the newest key and publishes all of them."""

    def __init__(self, *, issuer: str, audience: str, lifetime: timedelta) -> None:
        self._issuer = issuer
        self._audience = audience
        self.lifetime = lifetime
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._signing_key_id = ""

    async def load(self, database: Database) -> None:
        """Read the keys, making the first one where there is none."""
        async with database.read() as connection:
            kept = await store.list_signing_keys(connection)
        if not kept:
            self.use(await database.run(make_key))
            return
        self._keys = {key_id: _from_pem(pem) for key_id, pem in kept}
        self._signing_key_id = kept[0][0]

    def use(self, key: "SigningKey") -> None:
        """Sign with a key from now on, whose row is committed; the others still verify."""
        self._keys[key.id] = key.private
        self._signing_key_id = key.id

    def issue(self, subject: str, *, party: str, roles: list[str], on_behalf_of: str = "") -> str:
        """Return a signed token that is good for `lifetime` of real time."""
        now_s = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "iat": now_s,
            "exp": now_s + int(self.lifetime.total_seconds()),
            "roles": roles,
        }
        if party:
            claims["party"] = party
        if on_behalf_of:
            claims["obo"] = on_behalf_of
        return jwt.encode(
            claims,
            self._keys[self._signing_key_id],
            algorithm="EdDSA",
            headers={"kid": self._signing_key_id},
        )

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set (RFC 7517)."""
        return {
            "keys": [
                {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}
                for key_id, key in self._keys.items()
            ]
        }

    def document(self) -> tuple[str, bytes]:
        """Return the JWKS as an HTTP document."""
        return "application/json", json.dumps(self.jwks()).encode()


def _to_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _from_pem(pem: bytes) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key
