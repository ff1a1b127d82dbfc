"""Orders and policies as the contract shows them, in answers and in events."""

from collections.abc import Iterable

from google.type import money_pb2
from ironloop.common.v1 import common_pb2
from ironloop.procurement.v1 import orders_pb2

from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name
from services.procurement.order_model import (
    Address,
    CancelReason,
    Dispute,
    DisputeOutcome,
    Document,
    Order,
    OrderLine,
    OrderSettlement,
    TradePolicy,
)


def order_to_wire(order: Order) -> orders_pb2.Order:
    """Return an order as the contract shows it."""
    shown = orders_pb2.Order(
        name=order.name,
        uid=str(order.id),
        etag=etag(order.version),
        event_sequence=order.event_sequence,
        state=wire.enum_number(orders_pb2.OrderState, order.state, prefix="ORDER_STATE_"),
        buyer=order.buyer,
        seller=order.seller,
        pool=name("demandPools", order.origin.pool_id) if order.origin.pool_id else "",
        lines=lines_to_wire(order.lines),
        total=wire.money(order.total_fen),
        allowance=wire.money(order.allowance_fen),
        delivery_address=address_to_wire(order.address),
        policy_version=order.policy_version,
        escrow_account=order.escrow_account,
        accepted_automatically=order.accepted_automatically,
        block_reason=order.block_reason,
        block_detail=order.block_detail,
        auction=order.origin.auction,
        disposal=order.origin.disposal,
        create_time=wire.instant(order.create_time),
        update_time=wire.instant(order.update_time),
    )
    if order.dispatch_document:
        shown.dispatch_document.CopyFrom(document_to_wire(order.dispatch_document))
    if order.delivery_proof:
        shown.delivery_proof.CopyFrom(document_to_wire(order.delivery_proof))
    if order.payment_deadline_at:
        shown.payment_deadline_time.CopyFrom(wire.instant(order.payment_deadline_at))
    if order.acceptance_deadline_at:
        shown.acceptance_deadline_time.CopyFrom(wire.instant(order.acceptance_deadline_at))
    if order.dispute:
        shown.dispute.CopyFrom(_dispute_to_wire(order.dispute))
    if order.settlement:
        shown.settlement.CopyFrom(settlement_to_wire(order.settlement))
    if order.cancel_reason:
        shown.cancel_reason = cancel_reason_number(order.cancel_reason)
    return shown


def lines_to_wire(lines: Iterable[OrderLine]) -> list[orders_pb2.OrderLine]:
    """Return an order's lines as the contract shows them."""
    return [
        orders_pb2.OrderLine(
            number=line.number,
            machine=line.machine,
            listing=line.listing or "",
            price=wire.money(line.price_fen),
            transport=wire.money(line.transport_fen),
            other=wire.money(line.other_fen),
        )
        for line in lines
    ]


def settlement_to_wire(settlement: OrderSettlement) -> orders_pb2.OrderSettlement:
    """Return how an escrow was paid out as the contract shows it."""
    payout = settlement.payout
    return orders_pb2.OrderSettlement(
        platform_fee=wire.money(payout.platform_fee_fen),
        payoffs=[
            orders_pb2.LienPayoff(
                machine=payoff.machine,
                lien=payoff.lien,
                draw=payoff.draw,
                amount=wire.money(payoff.amount_fen),
                account=payoff.account,
            )
            for payoff in payout.payoffs
        ],
        allowance=wire.money(payout.allowance_fen),
        seller_proceeds=wire.money(payout.seller_proceeds_fen),
        txn=str(settlement.txn),
        settle_time=wire.instant(settlement.settle_time),
        distributed=wire.money(payout.distributed_fen),
    )


def claimed_allowance(dispute: Dispute) -> money_pb2.Money | None:
    """Return the allowance that is claimed, where the claim is one."""
    if dispute.claim is not DisputeOutcome.ALLOWANCE:
        return None
    return wire.money(dispute.claimed_allowance_fen)


def outcome_number(outcome: DisputeOutcome) -> orders_pb2.DisputeOutcome.ValueType:
    """Return a claim's or outcome's number in the contract."""
    number: orders_pb2.DisputeOutcome.ValueType = wire.enum_number(
        orders_pb2.DisputeOutcome, outcome, prefix="DISPUTE_OUTCOME_"
    )
    return number


def cancel_reason_number(reason: CancelReason) -> orders_pb2.CancelReason.ValueType:
    """Return a reason's number in the contract."""
    number: orders_pb2.CancelReason.ValueType = wire.enum_number(
        orders_pb2.CancelReason, reason, prefix="CANCEL_REASON_"
    )
    return number


def address_to_wire(address: Address) -> orders_pb2.DeliveryAddress:
    """Return an address as the contract shows it."""
    return orders_pb2.DeliveryAddress(
        recipient=address.recipient,
        street=address.street,
        city=address.city,
        region=address.region,
        postal_code=address.postal_code,
        country_code=address.country_code,
    )


def address_from_wire(address: orders_pb2.DeliveryAddress) -> Address:
    """Return a stated address."""
    return Address(
        recipient=address.recipient,
        street=address.street,
        city=address.city,
        region=address.region,
        postal_code=address.postal_code,
        country_code=address.country_code,
    )


def document_to_wire(document: Document) -> common_pb2.Document:
    """Return a document as the contract shows it."""
    return common_pb2.Document(
        uri=document.uri, sha256=document.sha256, media_type=document.media_type
    )


def document_from_wire(document: common_pb2.Document) -> Document:
    """Return a stated document."""
    return Document(uri=document.uri, sha256=document.sha256, media_type=document.media_type)


def policy_to_wire(policy: TradePolicy) -> orders_pb2.TradePolicy:
    """Return a version of the trade policy as the contract shows it."""
    return orders_pb2.TradePolicy(
        version=policy.version,
        platform_fee_rate=wire.decimal(policy.platform_fee_rate),
        payment_days=policy.payment_days,
        acceptance_business_days=policy.acceptance_business_days,
        publisher=policy.publisher,
        create_time=wire.instant(policy.create_time),
    )


def _dispute_to_wire(dispute: Dispute) -> orders_pb2.Dispute:
    shown = orders_pb2.Dispute(
        reason=dispute.reason,
        claim=outcome_number(dispute.claim),
        claimed_allowance=claimed_allowance(dispute),
        documents=[document_to_wire(document) for document in dispute.documents],
        dispute_time=wire.instant(dispute.dispute_time),
        resolver=dispute.resolver,
    )
    if dispute.outcome:
        shown.outcome = outcome_number(dispute.outcome)
    return shown
