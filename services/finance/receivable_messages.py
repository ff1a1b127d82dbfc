"""Receivables, factorings and notices as the contract shows them."""

from ironloop.finance.v1 import receivables_pb2

from services.finance.receivable_model import Factoring, FactoringState, Notice, Receivable
from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name


def receivable(shown: Receivable) -> receivables_pb2.Receivable:
    """Return a receivable."""
    return receivables_pb2.Receivable(
        name=shown.name,
        uid=str(shown.id),
        etag=etag(shown.version),
        event_sequence=shown.event_sequence,
        state=wire.enum_number(
            receivables_pb2.ReceivableState, shown.state, prefix="RECEIVABLE_STATE_"
        ),
        lease=shown.lease,
        number=shown.number,
        machine=shown.machine,
        debtor=shown.debtor,
        creditor=shown.creditor,
        owner=shown.owner,
        amount=wire.money(shown.amount_fen),
        principal=wire.money(shown.principal_fen),
        interest=wire.money(shown.interest_fen),
        paid=wire.money(shown.paid_fen),
        due_date=wire.date(shown.due_on),
        factoring="" if shown.factoring_id is None else name("factorings", shown.factoring_id),
        registry_no=shown.registry_no,
        create_time=wire.instant(shown.create_time),
        update_time=wire.instant(shown.update_time),
    )


def factoring(shown: Factoring) -> receivables_pb2.Factoring:
    """Return a factoring."""
    message = receivables_pb2.Factoring(
        name=shown.name,
        uid=str(shown.id),
        etag=etag(shown.version),
        state=wire.enum_number(
            receivables_pb2.FactoringState, shown.state, prefix="FACTORING_STATE_"
        ),
        lease=shown.lease,
        machine=shown.machine,
        from_number=shown.from_number,
        to_number=shown.to_number,
        lessor=shown.lessor,
        debtor=shown.debtor,
        funder=shown.funder,
        facility="" if shown.facility_id is None else name("facilities", shown.facility_id),
        nominal_rate=wire.decimal(shown.nominal_rate),
        as_of_date=wire.date(shown.as_of),
        gross=wire.money(shown.gross_fen),
        price=wire.money(shown.price_fen),
        discount=wire.money(shown.discount_fen),
        draw="" if shown.draw_id is None else name("draws", shown.draw_id),
        registry_no=shown.registry_no,
        policy_version=shown.policy_version,
        expire_time=wire.instant(shown.expire_at),
        create_time=wire.instant(shown.create_time),
        update_time=wire.instant(shown.update_time),
    )
    is_paid = shown.state in (FactoringState.FUNDED, FactoringState.SETTLED)
    if is_paid and shown.draw_repaid_fen is not None:
        message.draw_repaid.CopyFrom(wire.money(shown.draw_repaid_fen))
        message.lessor_proceeds.CopyFrom(wire.money(shown.price_fen - shown.draw_repaid_fen))
    return message


def notice(shown: Notice) -> receivables_pb2.AssignmentNotice:
    """Return a notice of assignment."""
    return receivables_pb2.AssignmentNotice(
        name=shown.name,
        factoring=name("factorings", shown.factoring_id),
        lease=shown.lease,
        from_number=shown.from_number,
        to_number=shown.to_number,
        debtor=shown.debtor,
        assignor=shown.assignor,
        assignee=shown.assignee,
        registry_no=shown.registry_no,
        withdrawn=shown.withdrawn,
        create_time=wire.instant(shown.create_time),
        update_time=wire.instant(shown.update_time),
    )
