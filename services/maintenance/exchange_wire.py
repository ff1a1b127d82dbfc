"""Exchanges as the contract shows them, in answers and in events."""

from ironloop.common.v1 import common_pb2
from ironloop.maintenance.v1 import exchanges_pb2 as pb

from services.kit import wire
from services.kit.etags import etag
from services.maintenance.exchange_model import CoreOutcome, Exchange, ExchangeState, Waybill
from services.maintenance.measures import shown_hours


def exchange_to_wire(exchange: Exchange) -> pb.Exchange:
    """Return an exchange as the contract shows it."""
    shown = pb.Exchange(
        name=exchange.name,
        uid=str(exchange.id),
        etag=etag(exchange.version),
        event_sequence=exchange.event_sequence,
        state=state_number(exchange.state),
        work_order=exchange.work_order,
        machine=exchange.machine,
        payer=exchange.payer,
        part_family=exchange.part_family,
        deposit=wire.money(exchange.deposit_fen),
        unit=exchange.unit,
        core_return=exchange.core_return,
        removed_serial=exchange.removed_serial,
        install_hours=shown_hours(exchange.install_hours),
        credit=wire.money(exchange.credit_fen) if exchange.core_outcome else None,
        cancel_reason=exchange.cancel_reason,
        steps=[
            pb.ExchangeStep(
                number=step.number,
                step=step.step,
                detail=step.detail,
                actor=step.actor,
                step_time=wire.instant(step.step_time),
            )
            for step in exchange.steps
        ],
        create_time=wire.instant(exchange.create_time),
        update_time=wire.instant(exchange.update_time),
        remanufacturer=exchange.remanufacturer,
        unit_price=wire.money(exchange.unit_price_fen),
        position=exchange.position,
    )
    if exchange.waybill:
        shown.waybill.CopyFrom(
            common_pb2.Document(
                uri=exchange.waybill.uri,
                sha256=exchange.waybill.sha256,
                media_type=exchange.waybill.media_type,
            )
        )
    if exchange.core_outcome:
        shown.core_outcome = outcome_number(exchange.core_outcome)
    return shown


def waybill_from_wire(document: common_pb2.Document) -> Waybill:
    """Return a stated waybill."""
    return Waybill(uri=document.uri, sha256=document.sha256, media_type=document.media_type)


def state_number(state: ExchangeState) -> pb.ExchangeState.ValueType:
    """Return a state's number in the contract."""
    number: pb.ExchangeState.ValueType = wire.enum_number(
        pb.ExchangeState, state, prefix="EXCHANGE_STATE_"
    )
    return number


def outcome_number(outcome: CoreOutcome | None) -> pb.CoreOutcome.ValueType:
    """Return an outcome's number in the contract; unspecified for none."""
    if outcome is None:
        return pb.CORE_OUTCOME_UNSPECIFIED
    number: pb.CoreOutcome.ValueType = wire.enum_number(
        pb.CoreOutcome, outcome, prefix="CORE_OUTCOME_"
    )
    return number
