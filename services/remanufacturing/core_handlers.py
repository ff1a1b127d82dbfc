"""What is done with core returns, one transaction a command."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from ironloop.options.v1 import options_pb2

from services.kit import sagas
from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal, principal
from services.kit.sagas import Facts, Saga
from services.kit.transaction import Transaction
from services.remanufacturing import core_store, family_handlers, family_store
from services.remanufacturing.core_model import (
    Core,
    CoreReturn,
    CoreState,
    Grade,
    Grading,
    forfeits_at,
    graded,
)
from services.remanufacturing.core_wire import (
    authorised_event,
    charged_event,
    graded_event,
    received_event,
)
from services.remanufacturing.errors import (
    DepositChanged,
    NothingToConfirm,
    NotYours,
    OwnCore,
    PartNotAccepted,
    ReturnDeadlinePassed,
    SamePerson,
)
from services.remanufacturing.lifecycle import CORE_RETURN

CHARGE_DEPOSIT = "charge_core_deposit"
CREDIT_CORE = "credit_core"

FORFEITURE_TIMER = "core_forfeiture"


async def get_core_return(
    database: Database, core_return_id: UUID, *, viewer: Principal
) -> CoreReturn:
    """Return a core return.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        found = await core_store.find_core_return(connection, core_return_id, viewer=viewer)
    if found is None:
        raise NotFound(name("coreReturns", core_return_id))
    return found


async def begin_charge(
    tx: Transaction,
    *,
    party: str,
    machine: str,
    work_order: str,
    family_id: UUID,
    stated_fen: int | None,
) -> Saga:
    """Begin to take a family's deposit from the payer.

    Raises:
        NotFound: There is no such family.
        NotYours: A user names another party than its own.
        OwnCore: The payer takes these cores back itself.
        DepositChanged: Another deposit than the family's was stated.
    """
    caller = principal()
    if not caller.holds(options_pb2.ROLE_SERVICE) and caller.party != party:
        raise NotYours("charge a deposit to", side="party itself", subject=party)
    family = await family_handlers.get_family(tx.connection, family_id)
    deposit_fen = family.content.core_deposit_fen
    if party == family.remanufacturer:
        raise OwnCore(party)
    if stated_fen is not None and stated_fen != deposit_fen:
        raise DepositChanged(stated_fen, deposit_fen, family=family.name)
    return await tx.start_saga(
        CHARGE_DEPOSIT,
        name("coreReturns", new_id()),
        facts={
            "party": party,
            "remanufacturer": family.remanufacturer,
            "machine": machine,
            "work_order": work_order,
            "family_id": str(family.id),
            "family_version": family.version,
            "deposit_fen": deposit_fen,
        },
    )


async def record_charge(
    tx: Transaction, core_return_id: UUID, facts: Facts, *, deposit_on: date
) -> None:
    """Write a core return whose deposit is paid, and when it is forfeited."""
    core_return = CoreReturn(
        id=core_return_id,
        version=1,
        event_sequence=1,
        state=CoreState.DEPOSIT_CHARGED,
        party=facts["party"],
        remanufacturer=facts["remanufacturer"],
        machine=facts["machine"],
        work_order=facts["work_order"],
        family_id=UUID(facts["family_id"]),
        family_version=facts["family_version"],
        deposit_fen=facts["deposit_fen"],
        deposit_account=facts["deposit_account"],
        deposit_on=deposit_on,
        create_time=tx.now,
        update_time=tx.now,
    )
    await core_store.insert_core_return(tx.connection, core_return)
    await tx.set_timer(FORFEITURE_TIMER, core_return.name, due_at=forfeits_at(deposit_on))
    await tx.emit(charged_event(core_return))


async def authorise(tx: Transaction, core_return_id: UUID, *, etag: str) -> CoreReturn:
    """Let the remanufacturer allow a core to be sent.

    Raises:
        NotFound, NotYours, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        ReturnDeadlinePassed: Day 180 is over.
    """
    core_return = await lock_own(tx, core_return_id, "authorise", etag=etag)
    step = CORE_RETURN.next(core_return.state, "authorise", subject=core_return.name)
    _require_in_time(tx, core_return)
    rma_number = await core_store.next_rma_number(tx.connection, tx.today)
    authorised = core_return.moved(step, at=tx.now, rma_number=rma_number)
    await core_store.update_core_return(tx.connection, authorised)
    await tx.emit(authorised_event(authorised))
    return authorised


async def receive(
    tx: Transaction,
    core_return_id: UUID,
    *,
    etag: str,
    part_number: str,
    serial_number: str,
    hours: Decimal | None,
) -> CoreReturn:
    """Take a core in.

    Raises:
        NotFound, NotYours, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        ReturnDeadlinePassed: Day 180 is over.
        PartNotAccepted: The family takes no cores of this part number.
    """
    core_return = await lock_own(tx, core_return_id, "receive", etag=etag)
    step = CORE_RETURN.next(core_return.state, "receive", subject=core_return.name)
    _require_in_time(tx, core_return)
    terms = await family_store.get_content(
        tx.connection, core_return.family_id, core_return.family_version
    )
    if part_number not in terms.part_numbers:
        raise PartNotAccepted(part_number, family=core_return.part_family)
    core = Core(part_number, serial_number, hours, received_on=tx.today)
    received = core_return.moved(step, at=tx.now, core=core)
    await core_store.update_core_return(tx.connection, received)
    await tx.cancel_timers(core_return.name, kind=FORFEITURE_TIMER)
    await tx.emit(received_event(received))
    return received


async def grade(
    tx: Transaction,
    core_return_id: UUID,
    *,
    etag: str,
    grade: Grade,
    codes: Sequence[str],
    note: str,
    send_back: bool,
) -> CoreReturn:
    """Grade a core; above 20,000.00 of deposit the grading waits for a second person.

    Raises:
        NotFound, NotYours, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        GradeCodeUnknown, InvalidArgument: The codes do not carry the grade.
    """
    core_return = await lock_own(tx, core_return_id, "grade", etag=etag)
    command = "propose_grade" if core_return.needs_two_persons else "grade"
    step = CORE_RETURN.next(core_return.state, command, subject=core_return.name)
    grading = graded(
        core_return,
        await family_store.get_content(
            tx.connection, core_return.family_id, core_return.family_version
        ),
        grade=grade,
        codes=codes,
        note=note,
        send_back=send_back,
        grader=principal().actor,
        at=tx.now,
    )
    if not core_return.needs_two_persons:
        return await _settle_grading(tx, core_return, grading)
    proposed = core_return.moved(step, at=tx.now, grading=grading)
    await core_store.update_core_return(tx.connection, proposed)
    return proposed


async def confirm_grade(tx: Transaction, core_return_id: UUID, *, etag: str) -> CoreReturn:
    """Confirm a grading as a second person.

    Raises:
        NotFound, NotYours, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        NothingToConfirm: No grading waits.
        SamePerson: The caller has graded.
    """
    core_return = await lock_own(tx, core_return_id, "confirm", etag=etag)
    CORE_RETURN.next(core_return.state, "grade", subject=core_return.name)
    grading = core_return.grading
    if grading is None:
        raise NothingToConfirm(core_return.name)
    if grading.grader == principal().actor:
        raise SamePerson("confirm the grading of", subject=core_return.name)
    confirmed = replace(grading, confirmer=principal().actor)
    return await _settle_grading(tx, core_return, confirmed)


async def lock(tx: Transaction, core_return_id: UUID) -> CoreReturn:
    """Return a core return, locked for change.

    Raises:
        NotFound: There is none that the caller may see.
    """
    found = await core_store.find_core_return(
        tx.connection, core_return_id, viewer=principal(), lock=True
    )
    if found is None:
        raise NotFound(name("coreReturns", core_return_id))
    return found


async def lock_own(tx: Transaction, core_return_id: UUID, command: str, *, etag: str) -> CoreReturn:
    """Return a core return of the caller as remanufacturer, locked, that no saga works on."""
    core_return = await lock(tx, core_return_id)
    if core_return.remanufacturer != principal().party:
        raise NotYours(command, side="remanufacturer", subject=core_return.name)
    await sagas.require_idle(tx.connection, core_return.name)
    check_etag(etag, core_return.version)
    return core_return


async def _settle_grading(tx: Transaction, core_return: CoreReturn, grading: Grading) -> CoreReturn:
    """Make a grading final; its credit begins, unless the core is to go back."""
    step = CORE_RETURN.next(core_return.state, "grade", subject=core_return.name)
    settled = core_return.moved(step, at=tx.now, grading=grading)
    await core_store.update_core_return(tx.connection, settled)
    if not grading.send_back:
        facts = money_facts(core_return) | {"credit_fen": grading.credit_fen}
        await tx.start_saga(CREDIT_CORE, core_return.name, facts=facts)
    await tx.emit(graded_event(settled, grading))
    return settled


def _require_in_time(tx: Transaction, core_return: CoreReturn) -> None:
    if tx.today > core_return.return_by:
        raise ReturnDeadlinePassed(core_return.name, core_return.return_by)


def money_facts(core_return: CoreReturn) -> Facts:
    """Return what a saga must know to pay a deposit out."""
    return {
        "party": core_return.party,
        "remanufacturer": core_return.remanufacturer,
        "deposit_fen": core_return.deposit_fen,
        "deposit_account": core_return.deposit_account,
    }
