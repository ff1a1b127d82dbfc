"""Signed roots: the Ed25519 key kept as a row, and the root of an hour's single valuations."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.ids import new_id
from services.kit.transaction import Transaction
from services.valuation import root_store
from services.valuation.merkle import HASH_BYTES, build_tree, leaf_hash

FORMAT = "ironloop.valuation.root/1"
HOUR = timedelta(hours=1)
# A valuation is committed seconds after its create_time; an hour is sealed well after that.
SETTLED_AFTER = timedelta(minutes=2)
LOOK_EVERY_S = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SignedRoot:
    """A root with its signature."""

    subject: str
    leaves: int
    root: bytes
    signature: bytes
    key_id: str
    public_key: bytes


class RootSigner:
    """Signs roots with the newest key."""

    def __init__(self, key_id: str, private: Ed25519PrivateKey) -> None:
        self.key_id = key_id
        self._private = private
        self.public_key = public_bytes(private)

    @classmethod
    async def load(cls, database: Database) -> "RootSigner":
        """Read the newest key, making the first one where there is none."""
        async with database.read() as connection:
            kept = await root_store.newest_key(connection)
        if kept is None:
            private = Ed25519PrivateKey.generate()
            kept = str(new_id()), _to_pem(private)
            key_id, pem = kept
            await database.run(lambda tx: root_store.insert_key(tx.connection, key_id, pem))
        return cls(kept[0], _from_pem(kept[1]))

    async def sign(
        self,
        tx: Transaction,
        subject: str,
        *,
        leaves: int,
        root: bytes,
        window: tuple[datetime, datetime] | None = None,
    ) -> SignedRoot:
        """Sign a root and keep it.

        Args:
            window: Of an hour, the first instant and the one after its last.
        """
        signed = SignedRoot(
            subject=subject,
            leaves=leaves,
            root=root,
            signature=self._private.sign(signed_bytes(subject, leaves, root)),
            key_id=self.key_id,
            public_key=self.public_key,
        )
        await root_store.insert_root(tx.connection, signed, window=window, at=tx.now)
        return signed


class HourSealer:
    """Puts the single valuations of each past hour under a signed root."""

    def __init__(self, database: Database, clock: Clock, signer: RootSigner) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer

    async def run(self) -> None:
        """Seal the hours as they pass, for as long as the service runs."""
        while True:
            try:
                while await self.seal_next():
                    pass
            except Exception as error:
                log.warning("sealing_failed", error=repr(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def seal_next(self) -> bool:
        """Seal the earliest hour that has valuations under no root; False where there is none."""
        until = hour_of(self._clock.now() - SETTLED_AFTER)
        return await self._database.run(lambda tx: self._seal(tx, until))

    async def _seal(self, tx: Transaction, until: datetime) -> bool:
        await root_store.lock_sealing(tx.connection)
        first = await root_store.first_unsealed(tx.connection, until=until)
        if first is None:
            return False
        # Only rows after the last root's end: SETTLED_AFTER is what no commit is late by.
        end = hour_of(first) + HOUR
        leaves = await root_store.list_records(tx.connection, first, end)
        tree = build_tree(b"".join(leaf_hash(bytes.fromhex(record)) for record in leaves))
        await self._signer.sign(
            tx,
            f"hours/{hour_of(first):%Y-%m-%dT%H}",
            leaves=len(leaves),
            root=tree[-HASH_BYTES:],
            window=(first, end),
        )
        return True


def hour_of(instant: datetime) -> datetime:
    """Return the beginning of an instant's hour."""
    return instant.replace(minute=0, second=0, microsecond=0)


def signed_bytes(subject: str, leaves: int, root: bytes) -> bytes:
    """Return what is signed of a root."""
    return "".join(f"{part}\n" for part in (FORMAT, subject, leaves, root.hex())).encode()


def verify(root: SignedRoot) -> None:
    """Check a root's signature.

    Raises:
        InvalidSignature: It is not of this key over this root.
    """
    key = Ed25519PublicKey.from_public_bytes(root.public_key)
    key.verify(root.signature, signed_bytes(root.subject, root.leaves, root.root))


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return a key's public half, 32 bytes."""
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def public_bytes_of_pem(pem: bytes) -> bytes:
    """Return the public half of a kept key."""
    return public_bytes(_from_pem(pem))


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
