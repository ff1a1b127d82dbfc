"""What is done with remanufacturing orders until their unit is in stock, one transaction a command.

Each step is written three times in one transaction: as the order's state, as a row of its record,
and as an entry of the component's passport.
"""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events

from services.kit import wire
from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name
from services.kit.principals import Principal, principal
from services.kit.transaction import Transaction
from services.remanufacturing import (
    family_store,
    order_facts,
    order_store,
    passport_handlers,
)
from services.remanufacturing.certificate_model import (
    Certificate,
    class_of,
    savings_of,
    tested,
)
from services.remanufacturing.errors import SamePerson
from services.remanufacturing.family_model import FamilyContent
from services.remanufacturing.lifecycle import REMAN_ORDER
from services.remanufacturing.order_model import Record, RemanOrder, StepKind
from services.remanufacturing.order_wire import class_number, moved_event, savings_to_wire
from services.remanufacturing.part_model import (
    PartDecision,
    PartWork,
    decided,
    reworked,
    taken_apart,
)
from services.remanufacturing.passport_model import Facts
from services.remanufacturing.unit_model import warranty_end


async def get_order(database: Database, order_id: UUID, *, viewer: Principal) -> RemanOrder:
    """Return an order.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        order = await order_store.find_order(connection, order_id, viewer=viewer)
    if order is None:
        raise NotFound(name("remanOrders", order_id))
    return order


async def inspect_incoming(
    tx: Transaction, order_id: UUID, *, etag: str, record: Record
) -> RemanOrder:
    """Record what a core looked like when it came in.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, RecordFull: As they say.
    """
    order = await lock(tx, order_id, etag=etag)
    return await _advance(tx, order, "inspect_incoming", StepKind.INCOMING_INSPECTION, record)


async def disassemble(
    tx: Transaction, order_id: UUID, *, etag: str, record: Record, missing: Sequence[str]
) -> RemanOrder:
    """Record that a core was taken apart.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, RecordFull: As they say.
        StepMissing: It was not inspected as it came in.
        PartUnknown: It has no part in a position that is said to be missing.
    """
    order = await lock(tx, order_id, etag=etag)
    REMAN_ORDER.next(order.state, "disassemble", subject=order.name)
    order.require_step(StepKind.INCOMING_INSPECTION, "incoming inspection")
    return await _advance(
        tx,
        order,
        "disassemble",
        StepKind.DISASSEMBLY,
        record,
        public={"missing": list(missing)},
        parts=taken_apart(order.parts, missing),
    )


async def clean(tx: Transaction, order_id: UUID, *, etag: str, record: Record) -> RemanOrder:
    """Record that the parts were cleaned.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, RecordFull: As they say.
    """
    order = await lock(tx, order_id, etag=etag)
    return await _advance(tx, order, "clean", StepKind.CLEANING, record)


async def inspect(
    tx: Transaction,
    order_id: UUID,
    *,
    etag: str,
    record: Record,
    decisions: Sequence[PartDecision],
) -> RemanOrder:
    """Record what becomes of each part.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, RecordFull: As they say.
        PartUnknown, PartsUndecided, PartMissing: The decisions do not fit the parts.
    """
    order = await lock(tx, order_id, etag=etag)
    REMAN_ORDER.next(order.state, "inspect", subject=order.name)
    parts = decided(order.parts, decisions)
    return await _advance(
        tx,
        order,
        "inspect",
        StepKind.INSPECTION,
        record,
        public=order_facts.of_inspection(parts),
        parts=parts,
    )


async def rework(
    tx: Transaction, order_id: UUID, *, etag: str, record: Record, works: Sequence[PartWork]
) -> RemanOrder:
    """Record rework and replacements.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, RecordFull: As they say.
        BaseScrapped: The base part is not kept.
        PartUnknown, PartsUndecided, SubstituteNotAllowed: The works do not fit the decisions.
    """
    order = await lock(tx, order_id, etag=etag)
    REMAN_ORDER.next(order.state, "rework", subject=order.name)
    parts = reworked(order.parts, works, await _content(tx, order), subject=order.name)
    return await _advance(
        tx,
        order,
        "rework",
        StepKind.REWORK,
        record,
        public=order_facts.of_rework(parts),
        private={"costs": order_facts.costs_of(parts)},
        parts=parts,
    )


async def assemble(tx: Transaction, order_id: UUID, *, etag: str, record: Record) -> RemanOrder:
    """Record that the component was put together.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, RecordFull: As they say.
    """
    order = await lock(tx, order_id, etag=etag)
    return await _advance(tx, order, "assemble", StepKind.ASSEMBLY, record)


async def test(
    tx: Transaction,
    order_id: UUID,
    *,
    etag: str,
    record: Record,
    values: Sequence[tuple[str, Decimal]],
) -> RemanOrder:
    """Record a test; a value outside its limits leads back to the inspection of parts.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, RecordFull: As they say.
        MeasurementsIncomplete, InvalidArgument: The values do not fit the characteristics.
        TooManyTests: It has failed too often.
    """
    order = await lock(tx, order_id, etag=etag)
    REMAN_ORDER.next(order.state, "pass_test", subject=order.name)
    run = tested(
        order.test_runs,
        values,
        await _content(tx, order),
        tester=principal().actor,
        at=tx.now,
        subject=order.name,
    )
    await order_store.insert_run(tx.connection, order.id, run)
    return await _advance(
        tx,
        order,
        "pass_test" if run.passed else "fail_test",
        StepKind.TEST,
        record,
        public=order_facts.of_test(run),
        test_runs=(*order.test_runs, run),
    )


async def certify(
    tx: Transaction,
    order_id: UUID,
    *,
    etag: str,
    record: Record,
    warranty_months: int,
    warranty_hours: int | None,
    serial_number: str,
) -> RemanOrder:
    """Certify a tested component as a second person; its class is what its values carry.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, RecordFull: As they say.
        SamePerson: The caller has tested it.
    """
    order = await lock(tx, order_id, etag=etag)
    REMAN_ORDER.next(order.state, "certify", subject=order.name)
    run = order.test_runs[-1]
    if run.tester == principal().actor:
        raise SamePerson("certify", subject=order.name)
    content = await _content(tx, order)
    reman_class, why = class_of(
        run, content, warranty_months=warranty_months, warranty_hours=warranty_hours
    )
    certificate = Certificate(
        reman_class=reman_class,
        class_reason=why,
        label_no=await order_store.next_label_no(tx.connection, tx.today),
        serial_number=serial_number or order.prior_serial_number,
        warranty_months=warranty_months,
        warranty_hours=warranty_hours,
        savings=savings_of(order.parts, content),
        certifier=principal().actor,
        certify_time=tx.now,
    )
    certified = await _advance(
        tx,
        order,
        "certify",
        StepKind.CERTIFICATION,
        record,
        public=order_facts.of_certificate(certificate),
        private={"costSavedFen": certificate.savings.cost_fen},
        certificate=certificate,
    )
    await tx.emit(_certified_event(tx, certified, certificate))
    return certified


async def scrap(tx: Transaction, order_id: UUID, *, etag: str, why: str) -> RemanOrder:
    """Give an order up.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, RecordFull: As they say.
    """
    order = await lock(tx, order_id, etag=etag)
    scrapped = await _advance(
        tx, order, "scrap", StepKind.SCRAPPING, Record(note=why), scrap_reason=why
    )
    await tx.emit(
        events.RemanScrapped(
            reman_order=order.name,
            sequence=scrapped.event_sequence,
            remanufacturer=order.remanufacturer,
            part_family=order.part_family,
            reason=why,
        )
    )
    return scrapped


async def stock(tx: Transaction, order: RemanOrder, *, price_fen: int, location: str) -> RemanOrder:
    """Move a locked order into stock; its unit is written by who calls this.

    Raises:
        TransitionRefused, RecordFull: As they say.
    """
    return await _advance(
        tx,
        order,
        "stock",
        StepKind.STOCKING,
        Record(),
        private={"priceFen": price_fen, "location": location},
    )


async def lock(tx: Transaction, order_id: UUID, *, etag: str = "") -> RemanOrder:
    """Return an order, locked for change.

    Raises:
        NotFound: There is none that the caller may see.
        EtagMismatch: It changed since `etag` was read.
    """
    order = await order_store.lock_order(tx.connection, order_id, viewer=principal())
    if order is None:
        raise NotFound(name("remanOrders", order_id))
    check_etag(etag, order.version)
    return order


async def _advance(
    tx: Transaction,
    order: RemanOrder,
    command: str,
    kind: StepKind,
    record: Record,
    *,
    public: Facts | None = None,
    private: Facts | None = None,
    **changes: object,
) -> RemanOrder:
    """Take a locked order's step: its state, its record, and its passport.

    Raises:
        TransitionRefused: The order's state has no such step.
        RecordFull: It has as many recorded steps as an order may have.
    """
    transition = REMAN_ORDER.next(order.state, command, subject=order.name)
    step = order.next_step(kind, record, recorder=principal().actor, at=tx.now)
    moved = order.moved(transition, at=tx.now, steps=(*order.steps, step), **changes)
    await order_store.update_order(tx.connection, moved)
    await order_store.insert_step(tx.connection, order.id, step)
    await passport_handlers.append(
        tx,
        order.unit,
        kind.value,
        public={**order_facts.of_record(record), **(public or {})},
        private={"recorder": step.recorder, "note": record.note, **(private or {})},
    )
    if transition.event is events.RemanOrderMoved:
        await tx.emit(moved_event(moved))
    return moved


async def _content(tx: Transaction, order: RemanOrder) -> FamilyContent:
    """Return what the order's family said when it was queued."""
    return await family_store.get_content(tx.connection, order.family_id, order.family_version)


def _certified_event(
    tx: Transaction, order: RemanOrder, certificate: Certificate
) -> events.RemanCertified:
    return events.RemanCertified(
        reman_order=order.name,
        sequence=order.event_sequence,
        remanufacturer=order.remanufacturer,
        part_family=order.part_family,
        component=order.component,
        reman_class=class_number(certificate.reman_class),
        label_no=certificate.label_no,
        serial_number=certificate.serial_number,
        prior_serial_number=order.prior_serial_number,
        warranty_months=certificate.warranty_months,
        warranty_end=wire.date(warranty_end(tx.today, certificate.warranty_months)),
        savings=savings_to_wire(certificate.savings),
    )
