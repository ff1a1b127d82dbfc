"""What is done with part families, one transaction a command."""

from dataclasses import replace
from uuid import UUID

from services.kit.connection import Connection
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import principal
from services.kit.transaction import Transaction
from services.remanufacturing import family_store
from services.remanufacturing.errors import PartFamilyExists
from services.remanufacturing.family_model import FamilyContent, PartFamily, check_content


async def create_family(tx: Transaction, *, code: str, content: FamilyContent) -> PartFamily:
    """Add a family to the caller's catalogue.

    Raises:
        InvalidArgument: The content contradicts itself.
        PartFamilyExists: The caller has one of this code.
    """
    check_content(content)
    family = PartFamily(
        id=new_id(),
        version=1,
        code=code,
        remanufacturer=principal().require_party(),
        content=content,
        create_time=tx.now,
        update_time=tx.now,
    )
    if not await family_store.insert_family(tx.connection, family):
        raise PartFamilyExists(code)
    return family


async def update_family(
    tx: Transaction, family_id: UUID, *, etag: str, content: FamilyContent
) -> PartFamily:
    """Replace what a family of the caller says.

    Raises:
        NotFound: It is not the caller's.
        EtagMismatch: It changed since `etag` was read.
        InvalidArgument: The content contradicts itself.
    """
    check_content(content)
    family = await family_store.lock_family(
        tx.connection, family_id, remanufacturer=principal().require_party()
    )
    if family is None:
        raise NotFound(name("partFamilies", family_id))
    check_etag(etag, family.version)
    changed = replace(family, version=family.version + 1, content=content, update_time=tx.now)
    await family_store.update_family(tx.connection, changed)
    return changed


async def get_family(connection: Connection, family_id: UUID) -> PartFamily:
    """Return a family as it is in force.

    Raises:
        NotFound: There is none.
    """
    family = await family_store.find_family(connection, family_id)
    if family is None:
        raise NotFound(name("partFamilies", family_id))
    return family
