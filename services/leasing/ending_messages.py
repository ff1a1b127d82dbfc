"""Losses, inspections, claims and disposals as the contract shows them."""

from collections.abc import Iterable

from ironloop.common.v1 import common_pb2
from ironloop.leasing.v1 import claims_pb2, disposals_pb2, endings_pb2

from services.kit import wire
from services.kit.etags import etag
from services.leasing.claim_model import Claim
from services.leasing.disposal_model import Disposal, Line, Policy
from services.leasing.papers import Document, Inspection, TotalLoss


def loss_to_wire(loss: TotalLoss, *, outstanding_fen: int) -> endings_pb2.TotalLoss:
    """Return the loss of a machine; its value is what is outstanding until it is paid."""
    message = endings_pb2.TotalLoss(
        loss_date=wire.date(loss.lost_on),
        insurer=loss.insurer,
        description=loss.description,
        evidence=_documents(loss.evidence),
        reporter=loss.reporter,
        report_time=wire.instant(loss.reported_at),
        stipulated_loss_value=wire.money(loss.paid_fen if loss.paid_at else outstanding_fen),
    )
    if loss.paid_at is not None:
        message.pay_time.CopyFrom(wire.instant(loss.paid_at))
    return message


def inspection_to_wire(inspection: Inspection) -> endings_pb2.ReturnInspection:
    """Return the inspection of a returned machine."""
    use = inspection.use
    message = endings_pb2.ReturnInspection(
        inspection_date=wire.date(inspection.inspected_on),
        inspector=inspection.inspector,
        lines=[
            endings_pb2.DamageLine(
                part=line.part,
                description=line.description,
                fair_wear=line.fair_wear,
                charge=wire.money(line.charge_fen),
                evidence=_documents(line.evidence),
            )
            for line in inspection.lines
        ],
        hours_allowed=wire.decimal(use.allowed),
        excess_hours=wire.decimal(use.excess),
        excess_charge=wire.money(use.charge_fen),
        damage_charge=wire.money(inspection.damage_fen),
        deposit_charged=wire.money(inspection.charged_fen),
        deposit_refund=wire.money(inspection.refund_fen),
        claim=inspection.claim,
        evidence=_documents(inspection.evidence),
    )
    if use.first is not None and use.last is not None and use.last_on is not None:
        message.first_hours.CopyFrom(wire.decimal(use.first))
        message.last_hours.CopyFrom(wire.decimal(use.last))
        message.last_reading_date.CopyFrom(wire.date(use.last_on))
    return message


def claim_to_wire(claim: Claim) -> claims_pb2.Claim:
    """Return a claim."""
    return claims_pb2.Claim(
        name=claim.name,
        uid=str(claim.id),
        etag=etag(claim.version),
        event_sequence=claim.event_sequence,
        state=wire.enum_number(claims_pb2.ClaimState, claim.state, prefix="CLAIM_STATE_"),
        kind=wire.enum_number(claims_pb2.ClaimKind, claim.kind, prefix="CLAIM_KIND_"),
        lease=claim.lease,
        machine=claim.machine,
        creditor=claim.creditor,
        debtor=claim.debtor,
        amount=wire.money(claim.amount_fen),
        paid=wire.money(claim.paid_fen),
        reference=claim.reference,
        due_date=wire.date(claim.due_on),
        reason=claim.reason,
        create_time=wire.instant(claim.create_time),
        update_time=wire.instant(claim.update_time),
    )


def disposal_to_wire(disposal: Disposal) -> disposals_pb2.Disposal:
    """Return a disposal."""
    message = disposals_pb2.Disposal(
        name=disposal.name,
        uid=str(disposal.id),
        etag=etag(disposal.version),
        event_sequence=disposal.event_sequence,
        state=wire.enum_number(
            disposals_pb2.DisposalState, disposal.state, prefix="DISPOSAL_STATE_"
        ),
        lease=disposal.lease,
        machine=disposal.machine,
        lessor=disposal.lessor,
        lessee=disposal.lessee,
        beneficiary=disposal.beneficiary,
        cost_rate=wire.decimal(disposal.cost_rate),
        transport=wire.money(disposal.transport_fen),
        carrier=disposal.carrier,
        debt=wire.money(disposal.debt_fen),
        lines=lines_to_wire(disposal.lines, settled=disposal.settle_time is not None),
        valuation=disposal.valuation,
        policy_version=disposal.policy_version,
        unsold_count=disposal.unsold_count,
        order=disposal.sale_order,
        price=wire.money(disposal.price_fen),
        surplus=wire.money(disposal.surplus_fen),
        claims=disposal.claims,
        create_time=wire.instant(disposal.create_time),
        update_time=wire.instant(disposal.update_time),
        as_of_date=wire.date(disposal.as_of),
    )
    if disposal.reserve_fen is not None:
        message.reserve.CopyFrom(wire.money(disposal.reserve_fen))
    if disposal.settle_time is not None:
        message.settle_time.CopyFrom(wire.instant(disposal.settle_time))
    return message


def lines_to_wire(lines: Iterable[Line], *, settled: bool) -> list[disposals_pb2.DisposalLine]:
    """Return the claims on a disposal's proceeds, by rank; none is short before it is settled."""
    return [
        disposals_pb2.DisposalLine(
            claimant=wire.enum_number(
                disposals_pb2.DisposalClaimant, line.claimant, prefix="DISPOSAL_CLAIMANT_"
            ),
            creditor=line.creditor,
            draw=line.draw,
            due=wire.money(line.due_fen),
            paid=wire.money(line.paid_fen),
            short=wire.money(line.short_fen if settled else 0),
            transfer_id=str(line.transfer_id or ""),
        )
        for line in lines
    ]


def policy_to_wire(policy: Policy) -> disposals_pb2.DisposalPolicy:
    """Return a version of the policy table."""
    return disposals_pb2.DisposalPolicy(
        name=policy.name,
        version=policy.version,
        steps=[
            disposals_pb2.ReserveStep(unsold_count=unsold, reserve_share=wire.decimal(share))
            for unsold, share in policy.steps
        ],
        create_time=wire.instant(policy.create_time),
    )


def document_of(document: common_pb2.Document) -> Document:
    """Return a document of a request."""
    return Document(document.uri, document.sha256, document.media_type)


def _documents(documents: Iterable[Document]) -> list[common_pb2.Document]:
    return [
        common_pb2.Document(uri=each.uri, sha256=each.sha256, media_type=each.media_type)
        for each in documents
    ]
