"""Remanufacturing orders as the contract shows them, in answers and in events, and back."""

from ironloop.common.v1 import common_pb2
from ironloop.remanufacturing.v1 import reman_pb2
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events

from services.kit import wire
from services.kit.etags import etag
from services.remanufacturing.certificate_model import (
    BenchRun,
    Certificate,
    RemanClass,
    Savings,
)
from services.remanufacturing.figures_wire import decimal_or_none
from services.remanufacturing.order_model import (
    Document,
    OrderState,
    Record,
    RemanOrder,
    RemanStep,
)
from services.remanufacturing.part_model import Disposition, OrderPart, PartDecision, PartWork


def order_to_wire(order: RemanOrder) -> reman_pb2.RemanOrder:
    """Return an order as the contract shows it."""
    shown = reman_pb2.RemanOrder(
        name=order.name,
        uid=str(order.id),
        etag=etag(order.version),
        event_sequence=order.event_sequence,
        state=_state_number(order.state),
        remanufacturer=order.remanufacturer,
        part_family=order.part_family,
        component=order.component,
        core_return=order.core_return,
        part_number=order.part_number,
        prior_serial_number=order.prior_serial_number,
        prior_hours=decimal_or_none(order.prior_hours),
        parts=[_part_to_wire(part) for part in order.parts],
        steps=[_step_to_wire(step) for step in order.steps],
        test_runs=[_run_to_wire(run) for run in order.test_runs],
        unit=order.unit if order.is_stocked else "",
        scrap_reason=order.scrap_reason,
        create_time=wire.instant(order.create_time),
        update_time=wire.instant(order.update_time),
    )
    if order.certificate is not None:
        shown.certificate.CopyFrom(_certificate_to_wire(order.certificate))
    return shown


def class_number(reman_class: RemanClass) -> reman_pb2.RemanClass.ValueType:
    """Return a class's number in the contract."""
    number: reman_pb2.RemanClass.ValueType = wire.enum_number(
        reman_pb2.RemanClass, reman_class, prefix="REMAN_CLASS_"
    )
    return number


def savings_to_wire(savings: Savings) -> reman_pb2.Savings:
    """Return what was saved as the contract shows it."""
    return reman_pb2.Savings(
        material_kg=wire.decimal(savings.material_kg),
        material_share=wire.decimal(savings.material_share),
        co2_kg=wire.decimal(savings.co2_kg),
        cost=wire.money(savings.cost_fen),
    )


def moved_event(order: RemanOrder) -> events.RemanOrderMoved:
    """Return the event of an order's new state."""
    return events.RemanOrderMoved(
        reman_order=order.name,
        sequence=order.event_sequence,
        remanufacturer=order.remanufacturer,
        part_family=order.part_family,
        state=_state_number(order.state),
        core_return=order.core_return,
    )


def record_from_wire(record: reman_pb2.StepRecord) -> Record:
    """Return what a step says."""
    return Record(
        note=record.note,
        documents=tuple(
            Document(uri=document.uri, sha256=document.sha256, media_type=document.media_type)
            for document in record.documents
        ),
    )


def decision_from_wire(decision: reman_pb2.PartDecision) -> PartDecision:
    """Return what becomes of a part."""
    return PartDecision(
        position=decision.position,
        disposition=Disposition(
            wire.enum_name(reman_pb2.Disposition, decision.disposition, prefix="DISPOSITION_")
        ),
        reason=decision.reason,
    )


def work_from_wire(work: reman_pb2.PartWork, number: int) -> PartWork:
    """Return what was done to a part.

    Raises:
        InvalidArgument: Its cost is not well-formed.
    """
    return PartWork(
        position=work.position,
        operation=work.operation,
        installed_part_number=work.installed_part_number,
        installed_serial_number=work.installed_serial_number,
        cost_fen=wire.fen(work.cost, field=f"works[{number}].cost"),
    )


def _state_number(state: OrderState) -> reman_pb2.RemanOrderState.ValueType:
    number: reman_pb2.RemanOrderState.ValueType = wire.enum_number(
        reman_pb2.RemanOrderState, state, prefix="REMAN_ORDER_STATE_"
    )
    return number


def _part_to_wire(part: OrderPart) -> reman_pb2.OrderPart:
    shown = reman_pb2.OrderPart(
        position=part.position,
        title=part.title,
        part_number=part.part_number,
        is_base=part.is_base,
        mass_kg=wire.decimal(part.mass_kg),
        is_missing=part.is_missing,
        reason=part.reason,
        operation=part.operation,
        installed_part_number=part.installed_part_number,
        installed_serial_number=part.installed_serial_number,
        is_substituted=part.is_substituted,
        cost=wire.money(part.cost_fen),
    )
    if part.disposition is not None:
        shown.disposition = wire.enum_number(
            reman_pb2.Disposition, part.disposition, prefix="DISPOSITION_"
        )
    return shown


def _step_to_wire(step: RemanStep) -> reman_pb2.RemanStep:
    return reman_pb2.RemanStep(
        number=step.number,
        kind=wire.enum_number(reman_pb2.RemanStepKind, step.kind, prefix="REMAN_STEP_KIND_"),
        note=step.record.note,
        documents=[
            common_pb2.Document(
                uri=document.uri, sha256=document.sha256, media_type=document.media_type
            )
            for document in step.record.documents
        ],
        recorder=step.recorder,
        record_time=wire.instant(step.record_time),
    )


def _run_to_wire(run: BenchRun) -> reman_pb2.TestRun:
    return reman_pb2.TestRun(
        number=run.number,
        passed=run.passed,
        measurements=[
            reman_pb2.Measurement(
                code=each.code,
                value=wire.decimal(each.value),
                unit=each.unit,
                lower_limit=decimal_or_none(each.lower),
                upper_limit=decimal_or_none(each.upper),
                is_within_limits=each.is_within_limits,
                is_original=each.is_original,
            )
            for each in run.measurements
        ],
        tester=run.tester,
        test_time=wire.instant(run.test_time),
    )


def _certificate_to_wire(certificate: Certificate) -> reman_pb2.Certificate:
    return reman_pb2.Certificate(
        reman_class=class_number(certificate.reman_class),
        label_no=certificate.label_no,
        serial_number=certificate.serial_number,
        warranty_months=certificate.warranty_months,
        warranty_hours=certificate.warranty_hours,
        savings=savings_to_wire(certificate.savings),
        certifier=certificate.certifier,
        certify_time=wire.instant(certificate.certify_time),
        class_reason=certificate.class_reason,
    )
