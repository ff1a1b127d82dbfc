"""Publishing, revising and retiring lease programmes, one transaction a command."""

from dataclasses import replace
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.transaction import Transaction
from services.leasing import programme_store as store
from services.leasing.lifecycle import PROGRAMME
from services.leasing.programme_model import Programme, ProgrammeState, ProgrammeTerms


async def create_programme(tx: Transaction, *, lessor: str, terms: ProgrammeTerms) -> Programme:
    """Publish a programme at revision 1.

    Raises:
        InvalidArgument: A lower limit lies above its upper one.
    """
    terms.check()
    programme = Programme(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=ProgrammeState.PUBLISHED,
        lessor=lessor,
        revision=1,
        terms=terms,
        create_time=tx.now,
        update_time=tx.now,
    )
    await store.insert_programme(tx.connection, programme)
    await _announce_revision(tx, programme)
    return programme


async def update_programme(
    tx: Transaction, programme_id: UUID, *, lessor: str, etag: str, terms: ProgrammeTerms
) -> Programme:
    """Publish a programme's next revision.

    Raises:
        InvalidArgument: A lower limit lies above its upper one.
        NotFound: The lessor has no such programme.
        EtagMismatch: It changed since `etag` was read.
        TransitionRefused: It is retired.
    """
    terms.check()
    programme = await _lock(tx, programme_id, lessor=lessor, etag=etag)
    PROGRAMME.next(programme.state, "update", subject=programme.name)
    revised = replace(_moved(tx, programme), revision=programme.revision + 1, terms=terms)
    await store.insert_revision(tx.connection, revised, at=tx.now)
    await store.update_programme(tx.connection, revised)
    await _announce_revision(tx, revised)
    return revised


async def retire_programme(
    tx: Transaction, programme_id: UUID, *, lessor: str, etag: str
) -> Programme:
    """Retire a programme.

    Raises:
        NotFound: The lessor has no such programme.
        EtagMismatch: It changed since `etag` was read.
        TransitionRefused: It is retired already.
    """
    programme = await _lock(tx, programme_id, lessor=lessor, etag=etag)
    step = PROGRAMME.next(programme.state, "retire", subject=programme.name)
    retired = replace(_moved(tx, programme), state=step.target)
    await store.update_programme(tx.connection, retired)
    await tx.emit(
        events.LeaseProgrammeRetired(
            programme=retired.name, sequence=retired.event_sequence, lessor=lessor
        )
    )
    return retired


async def _lock(tx: Transaction, programme_id: UUID, *, lessor: str, etag: str) -> Programme:
    programme = await store.lock_programme(tx.connection, programme_id, lessor=lessor)
    if programme is None:
        raise NotFound(name("leaseProgrammes", programme_id))
    check_etag(etag, programme.version)
    return programme


def _moved(tx: Transaction, programme: Programme) -> Programme:
    return replace(
        programme,
        version=programme.version + 1,
        event_sequence=programme.event_sequence + 1,
        update_time=tx.now,
    )


async def _announce_revision(tx: Transaction, programme: Programme) -> None:
    await tx.emit(
        events.LeaseProgrammePublished(
            programme=programme.name,
            sequence=programme.event_sequence,
            lessor=programme.lessor,
            revision=programme.revision,
        )
    )
