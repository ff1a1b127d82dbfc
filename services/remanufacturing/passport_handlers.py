"""How passports grow, how they are shown, and whether a document is one of ours."""

import asyncio
import secrets
from typing import Any

from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.remanufacturing import passport_store
from services.remanufacturing.passport_model import Facts, document_of, next_entry
from services.remanufacturing.passport_proof import Verdict, verify

SALT_BYTES = 16  # 128 bits: nobody guesses private facts by trying


async def append(
    tx: Transaction, subject: str, kind: str, *, public: Facts, private: Facts | None = None
) -> None:
    """Add an entry to a passport, which is begun where there is none.

    Args:
        public: What everybody may know; "identity", "component" and "savings" show in the summary.
        private: What its owner may know.
    """
    passport = await passport_store.lock_or_begin(tx.connection, subject, at=tx.now)
    entry = next_entry(
        subject,
        number=passport.entry_count + 1,
        previous_sha256=passport.head_sha256,
        kind=kind,
        at=tx.now,
        public=public,
        private=private or {},
        salt=secrets.token_hex(SALT_BYTES),
    )
    await passport_store.add_entry(tx.connection, subject, entry, at=tx.now)


async def identify(
    tx: Transaction, subject: str, kind: str, *, identity: dict[str, Any], holder: str
) -> None:
    """Say who a machine is, where its passport says something else, and note who owns it."""
    await passport_store.lock_or_begin(tx.connection, subject, at=tx.now)
    known: dict[str, Any] = {}
    for said in await passport_store.list_identities(tx.connection, subject):
        known |= said
    if known | identity != known:
        await append(tx, subject, kind, public={"identity": identity})
    await passport_store.set_holder(tx.connection, subject, holder)


async def get_passport(
    database: Database, subject: str, *, viewer: Principal, owners_view: bool | None
) -> tuple[passport_store.Passport, str, bool]:
    """Return a passport, its document, and whether that shows private facts.

    Args:
        owners_view: Whether private facts are asked for; None: where the viewer may see them.

    Raises:
        NotFound: It was not begun, or private facts are asked for by somebody else.
    """
    async with database.read() as connection:
        found = await passport_store.find_passport(connection, subject, viewer=viewer)
        if found is None or (owners_view and not found[1]):
            raise NotFound(subject)
        passport, is_owners = found
        entries = await passport_store.list_entries(connection, subject, up_to=passport.entry_count)
    shows_private = is_owners if owners_view is None else owners_view
    return passport, document_of(subject, entries, shows_private=shows_private), shows_private


async def verify_passport(database: Database, document: str) -> tuple[Verdict, int | None]:
    """Return what a check of a document finds, and how many entries have followed its last one.

    The second is None where the document is not intact, or is none of ours.
    """
    # A document of megabytes takes a while to hash, and other calls go on meanwhile.
    verdict = await asyncio.to_thread(verify, document)
    if not verdict.is_intact:
        return verdict, None
    async with database.read() as connection:
        link = await passport_store.find_link(connection, verdict.head_sha256)
    if link is None or link[:2] != (verdict.subject, verdict.entry_count):
        return verdict, None
    return verdict, link[2] - verdict.entry_count
