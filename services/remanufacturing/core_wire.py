"""Core returns as the contract shows them, in answers and in events."""

from ironloop.remanufacturing.v1 import cores_pb2
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events

from services.kit import wire
from services.kit.etags import etag
from services.remanufacturing.core_model import CoreReturn, Grade, Grading
from services.remanufacturing.family_wire import grade_code_to_wire
from services.remanufacturing.figures_wire import decimal_or_none


def core_return_to_wire(core_return: CoreReturn) -> cores_pb2.CoreReturn:
    """Return a core return as the contract shows it."""
    shown = cores_pb2.CoreReturn(
        name=core_return.name,
        uid=str(core_return.id),
        etag=etag(core_return.version),
        event_sequence=core_return.event_sequence,
        state=wire.enum_number(
            cores_pb2.CoreReturnState, core_return.state, prefix="CORE_RETURN_STATE_"
        ),
        party=core_return.party,
        remanufacturer=core_return.remanufacturer,
        machine=core_return.machine,
        work_order=core_return.work_order,
        part_family=core_return.part_family,
        deposit=wire.money(core_return.deposit_fen),
        deposit_account=core_return.deposit_account,
        deposit_date=wire.date(core_return.deposit_on),
        return_by=wire.date(core_return.return_by),
        rma_number=core_return.rma_number,
        reject_reason=core_return.reject_reason,
        closing_txn=str(core_return.closing_txn or ""),
        create_time=wire.instant(core_return.create_time),
        update_time=wire.instant(core_return.update_time),
    )
    if (core := core_return.core) is not None:
        shown.core_part_number = core.part_number
        shown.core_serial_number = core.serial_number
        shown.receive_date.CopyFrom(wire.date(core.received_on))
        if (hours := decimal_or_none(core.hours)) is not None:
            shown.core_hours.CopyFrom(hours)
    if core_return.grading is not None:
        shown.grading.CopyFrom(
            _grading_to_wire(core_return.grading, waits=core_return.waits_for_confirmation)
        )
    if core_return.credit_fen is not None:
        shown.credit.CopyFrom(wire.money(core_return.credit_fen))
    if core_return.return_freight_fen is not None:
        shown.return_freight.CopyFrom(wire.money(core_return.return_freight_fen))
    return shown


def grade_number(grade: Grade) -> cores_pb2.CoreGrade.ValueType:
    """Return a grade's number in the contract."""
    number: cores_pb2.CoreGrade.ValueType = wire.enum_number(
        cores_pb2.CoreGrade, grade, prefix="CORE_GRADE_"
    )
    return number


def charged_event(core_return: CoreReturn) -> events.CoreDepositCharged:
    """Return the event of a paid deposit."""
    return events.CoreDepositCharged(
        core_return=core_return.name,
        sequence=core_return.event_sequence,
        party=core_return.party,
        remanufacturer=core_return.remanufacturer,
        machine=core_return.machine,
        work_order=core_return.work_order,
        part_family=core_return.part_family,
        deposit=wire.money(core_return.deposit_fen),
        return_by=wire.date(core_return.return_by),
    )


def authorised_event(core_return: CoreReturn) -> events.CoreReturnAuthorised:
    """Return the event of an authorisation."""
    return events.CoreReturnAuthorised(
        core_return=core_return.name,
        sequence=core_return.event_sequence,
        party=core_return.party,
        remanufacturer=core_return.remanufacturer,
        work_order=core_return.work_order,
        rma_number=core_return.rma_number,
    )


def received_event(core_return: CoreReturn) -> events.CoreReceived:
    """Return the event of a receipt."""
    core = core_return.core
    assert core is not None, "a received return has its core"
    return events.CoreReceived(
        core_return=core_return.name,
        sequence=core_return.event_sequence,
        party=core_return.party,
        remanufacturer=core_return.remanufacturer,
        work_order=core_return.work_order,
        part_number=core.part_number,
        serial_number=core.serial_number,
        receive_date=wire.date(core.received_on),
    )


def graded_event(core_return: CoreReturn, grading: Grading) -> events.CoreGraded:
    """Return the event of a grading."""
    return events.CoreGraded(
        core_return=core_return.name,
        sequence=core_return.event_sequence,
        party=core_return.party,
        remanufacturer=core_return.remanufacturer,
        work_order=core_return.work_order,
        grade=grade_number(grading.grade),
        codes=[code.code for code in grading.codes],
        deposit=wire.money(core_return.deposit_fen),
        credit=wire.money(grading.credit_fen),
    )


def credited_event(core_return: CoreReturn) -> events.CoreCredited:
    """Return the event of a credit."""
    grading, core = core_return.grading, core_return.core
    assert grading is not None and core is not None, "a credited return was received and graded"
    return events.CoreCredited(
        core_return=core_return.name,
        sequence=core_return.event_sequence,
        party=core_return.party,
        remanufacturer=core_return.remanufacturer,
        machine=core_return.machine,
        work_order=core_return.work_order,
        grade=grade_number(grading.grade),
        deposit=wire.money(core_return.deposit_fen),
        credit=wire.money(core_return.credit_fen or 0),
        days_out=(core.received_on - core_return.deposit_on).days,
    )


def forfeited_event(core_return: CoreReturn) -> events.CoreForfeited:
    """Return the event of a forfeiture."""
    return events.CoreForfeited(
        core_return=core_return.name,
        sequence=core_return.event_sequence,
        party=core_return.party,
        remanufacturer=core_return.remanufacturer,
        machine=core_return.machine,
        work_order=core_return.work_order,
        deposit=wire.money(core_return.deposit_fen),
    )


def rejected_event(core_return: CoreReturn) -> events.CoreRejected:
    """Return the event of a rejection."""
    return events.CoreRejected(
        core_return=core_return.name,
        sequence=core_return.event_sequence,
        party=core_return.party,
        remanufacturer=core_return.remanufacturer,
        machine=core_return.machine,
        work_order=core_return.work_order,
        deposit=wire.money(core_return.deposit_fen),
        return_freight=wire.money(core_return.return_freight_fen or 0),
        reason=core_return.reject_reason,
    )


def cancelled_event(core_return: CoreReturn) -> events.CoreReturnCancelled:
    """Return the event of a cancellation."""
    return events.CoreReturnCancelled(
        core_return=core_return.name,
        sequence=core_return.event_sequence,
        party=core_return.party,
        remanufacturer=core_return.remanufacturer,
        work_order=core_return.work_order,
        deposit=wire.money(core_return.deposit_fen),
    )


def _grading_to_wire(grading: Grading, *, waits: bool) -> cores_pb2.Grading:
    return cores_pb2.Grading(
        grade=grade_number(grading.grade),
        codes=[grade_code_to_wire(code) for code in grading.codes],
        note=grading.note,
        send_back=grading.send_back,
        credit=wire.money(grading.credit_fen),
        grader=grading.grader,
        confirmer=grading.confirmer,
        grade_time=wire.instant(grading.grade_time),
        needs_confirmation=waits,
    )
