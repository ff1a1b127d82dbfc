"""The closing of a lease across services: what is left of the deposit pays claims, or returns."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events
from ironloop.settlement.v1 import settlement_pb2

from services.kit import wire
from services.kit.etags import check_etag
from services.kit.ids import parse_name
from services.kit.postings import Leg, open_wallets, post
from services.kit.principals import Principal, principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import (
    claim_handlers,
    claim_store,
    clients,
    disposal_store,
    instalment_store,
)
from services.leasing.announcements import announce, sides
from services.leasing.approval_sagas import answer_lease
from services.leasing.busy import begin, end, end_refused
from services.leasing.claim_model import Claim, spread
from services.leasing.disposal_model import DisposalState
from services.leasing.errors import DisposalPending, LossUnpaid
from services.leasing.instalment_model import require_settled
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessor, lock_by_name
from services.leasing.model import Lease, LeaseState


async def begin_closing(tx: Transaction, lease_id: UUID, *, viewer: Principal, etag: str) -> Saga:
    """Begin to close a lease that is over.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, EtagMismatch, TransitionRefused.
        InstalmentUnpaid: An instalment is neither paid nor written off.
        DisposalPending: The machine is still to be sold.
        LossUnpaid: The insurer has not paid.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    check_etag(etag, lease.version)
    LEASE.next(lease.state, "close", subject=lease.name)
    await _require_over(tx, lease)
    require_settled(await instalment_store.list_of_lease(tx.connection, lease.id), by=date.max)
    claims = await claim_store.list_open(tx.connection, lease.id, debtor=lease.terms.lessee)
    return await begin(
        tx,
        lease,
        "lease_closing",
        deposit_fen=lease.deposit_held_fen,
        claims_open_fen=sum(claim.owed_fen for claim in claims),
        payments=_payments(claims, lease.deposit_held_fen),
    )


async def _require_over(tx: Transaction, lease: Lease) -> None:
    """Check that the machine is sold where it has to be, and its loss paid.

    Raises:
        DisposalPending, LossUnpaid.
    """
    if lease.loss is not None and lease.loss.paid_at is None:
        raise LossUnpaid(lease.name, lease.loss.insurer)
    known = await disposal_store.find_of_lease(tx.connection, lease.id, state=DisposalState.OPEN)
    if known is not None:
        raise DisposalPending(lease.name, known)
    if lease.state is LeaseState.REPOSSESSED and not await disposal_store.find_of_lease(
        tx.connection, lease.id, state=DisposalState.SETTLED
    ):
        raise DisposalPending(lease.name, "")


async def _post(runtime: Runtime, saga: Saga) -> Facts:
    """Pay open claims from the deposit, and return the rest."""
    facts = saga.facts
    lessee = facts["lessee"]
    payments: list[dict[str, Any]] = facts["payments"]
    wallets = await open_wallets(
        runtime.peers, [lessee, *(payment["creditor"] for payment in payments)]
    )
    deposit = await clients.open_deposit(runtime.peers, lease=saga.subject, lessee=lessee)
    legs = [
        Leg(
            id=saga.fact_id(payment["claim"]),
            debit=deposit,
            credit=wallets[payment["creditor"]],
            amount_fen=payment["amount_fen"],
            code=settlement_pb2.TRANSFER_CODE_LEASE_DEPOSIT_CHARGE,
            purpose=payment["claim"],
            payer=saga.subject,
        )
        for payment in payments
    ]
    legs.append(
        Leg(
            id=saga.fact_id("refund"),
            debit=deposit,
            credit=wallets[lessee],
            amount_fen=facts["deposit_fen"] - _charged_fen(saga),
            code=settlement_pb2.TRANSFER_CODE_LEASE_DEPOSIT_REFUND,
            purpose=saga.subject,
            payer=saga.subject,
        )
    )
    await post(runtime.peers, legs, txn=saga.fact_id("chain"))
    return {}


async def _close(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "close", subject=lease.name)
    for payment in saga.facts["payments"]:
        claim_id = parse_name(payment["claim"], "claims")
        claim = await claim_handlers.get_claim(tx.connection, claim_id, viewer=principal())
        lease = await claim_handlers.enter_payment(
            tx, lease, claim, amount_fen=payment["amount_fen"]
        )
    await tx.cancel_timers(lease.name)
    charged_fen = _charged_fen(saga)
    lease = await announce(
        tx,
        replace(lease, state=step.target, deposit_held_fen=0),
        events.LeaseClosed,
        deposit_charged=wire.money(charged_fen),
        deposit_refund=wire.money(saga.facts["deposit_fen"] - charged_fen),
        claims_open=wire.money(saga.facts["claims_open_fen"] - charged_fen),
        **sides(lease),
    )
    await end(tx, lease)


def _payments(claims: Sequence[Claim], deposit_fen: int) -> list[Facts]:
    """Return what a deposit pays of claims, as the saga keeps it."""
    return [
        {"claim": claim.name, "creditor": claim.creditor, "amount_fen": amount_fen}
        for claim, amount_fen in spread(claims, deposit_fen)
    ]


def _charged_fen(saga: Saga) -> int:
    return sum(payment["amount_fen"] for payment in saga.facts["payments"])


CLOSING = SagaKind(
    kind="lease_closing",
    steps=(Step("post", call=_post, apply=_close),),
    answer=answer_lease,
    on_refused=end_refused,
)
