"""Payments of instalments and of principal ahead of time: post at settlement, then apply here.

The owner of each instalment is read in the transaction that begins the payment, and the lease is
busy until the payment is applied: an assignment comes before or after it, never in between.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import date
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from ironloop.leasing.v1 import leasing_pb2
from ironloop.settlement.v1 import settlement_pb2

from services.finmath.allocation import Parts
from services.finmath.day_count import simple_interest
from services.kit import wire
from services.kit.amounts import yuan
from services.kit.ids import parse_name
from services.kit.postings import Leg, open_wallets, post
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import instalment_store, messages
from services.leasing.announcements import announce_paid
from services.leasing.busy import begin, end, end_refused
from services.leasing.default_model import missed_in_a_row
from services.leasing.instalment_handlers import get_instalment, set_agenda
from services.leasing.instalment_model import (
    Instalment,
    Payment,
    plan_payment,
    require_settled,
    reschedule,
)
from services.leasing.lifecycle import INSTALMENT, LEASE
from services.leasing.locks import lock_as_lessee, lock_by_name
from services.leasing.model import Lease
from services.leasing.term_handlers import BUYOUT_LAPSE, announce_reschedule


async def begin_payment(
    tx: Transaction,
    lease_id: UUID,
    *,
    viewer: Principal,
    number: int,
    amount_fen: int | None,
) -> Saga:
    """Begin to pay what is due: of one instalment, or (number 0) of the oldest ones.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        NothingDue: Nothing is owed.
        AmountExceedsDue: More would be paid than is owed.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "pay", subject=lease.name)
    if number:
        payable = [await get_instalment(tx, lease.id, number)]
    else:
        payable = await instalment_store.list_of_lease(tx.connection, lease.id)
    payments = plan_payment(lease.name, payable, amount_fen=amount_fen, on=tx.today)
    return await begin(
        tx,
        lease,
        "lease_payment",
        on=tx.today.isoformat(),
        payments=[payment_facts(payment) for payment in payments],
    )


async def _post_payment(runtime: Runtime, saga: Saga) -> Facts:
    lessee = saga.facts["lessee"]
    payments = payments_of(saga)
    owners = dict.fromkeys(payment.owner for payment in payments)
    wallets = await open_wallets(runtime.peers, [lessee, *owners])
    legs = [leg for payment in payments for leg in payment_legs(saga, payment, wallets)]
    await post(runtime.peers, legs, txn=saga.fact_id("payment"))
    return {}


async def _apply_payment(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "pay", subject=lease.name)
    if lease.buyout is not None:
        await tx.cancel_timers(lease.name, kind=BUYOUT_LAPSE)
    lease = replace(lease, state=step.target, buyout=None)
    payments = payments_of(saga)
    on = date.fromisoformat(saga.facts["on"])
    lease = await apply_payments(tx, lease, payments, on=on)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    if not missed_in_a_row(instalments):
        lease = replace(lease, notice_on=None)  # what the notice demanded is paid
    await set_agenda(tx, lease, instalments)
    await end(tx, lease)


async def _answer_payment(tx: Transaction, saga: Saga) -> Message:
    payments = payments_of(saga)
    instalments = await instalment_store.list_numbers(
        tx.connection,
        parse_name(saga.subject, "leases"),
        [payment.number for payment in payments],
    )
    return leasing_pb2.PayInstalmentResponse(
        instalments=[messages.instalment_to_wire(item, on=tx.today) for item in instalments],
        amount=wire.money(sum(payment.parts.total_fen for payment in payments)),
    )


PAYMENT = SagaKind(
    kind="lease_payment",
    steps=(Step("post", call=_post_payment, apply=_apply_payment),),
    answer=_answer_payment,
    on_refused=end_refused,
)


async def apply_payments(
    tx: Transaction, lease: Lease, payments: Iterable[Payment], *, on: date
) -> Lease:
    """Enter payments, posted as of a day, on their instalments; returns the lease to be written."""
    by_number = {payment.number: payment for payment in payments}
    instalments = await instalment_store.list_numbers(tx.connection, lease.id, list(by_number))
    paid = []
    for instalment in instalments:
        payment = by_number[instalment.number]
        settled = _settled(instalment.accrued_to(on), payment.parts, tx)
        lease = await announce_paid(
            tx,
            lease,
            settled,
            paid=payment.parts,
            days_past_due=instalment.days_past_due(on),
        )
        outstanding_fen = lease.outstanding_fen - payment.parts.principal_fen
        lease = replace(lease, outstanding_fen=outstanding_fen)
        paid.append(settled)
    await instalment_store.update_instalments(tx.connection, paid)
    return lease


def _settled(instalment: Instalment, parts: Parts, tx: Transaction) -> Instalment:
    paid = replace(instalment, paid=instalment.paid + parts, pay_time=tx.now)
    command = "pay_part" if paid.owed.total_fen else "pay"
    step = INSTALMENT.next(instalment.state, command, subject=instalment.name)
    return replace(paid, state=step.target)


def payment_facts(payment: Payment) -> Facts:
    """Return a payment as a saga keeps it."""
    return {"number": payment.number, "owner": payment.owner, "parts": asdict(payment.parts)}


def payments_of(saga: Saga) -> list[Payment]:
    """Return the payments that a saga keeps."""
    kept: list[dict[str, Any]] = saga.facts["payments"]
    return [Payment(each["number"], each["owner"], Parts(**each["parts"])) for each in kept]


def payment_legs(saga: Saga, payment: Payment, wallets: dict[str, str]) -> list[Leg]:
    """Return the legs of a payment: the rent and, apart, the penalty, both to the owner."""
    lessee, parts = saga.facts["lessee"], payment.parts
    purpose = f"{saga.subject}/instalments/{payment.number}"
    rent_fen = parts.total_fen - parts.penalty_fen
    split = memo_of(fees=parts.fees_fen, interest=parts.interest_fen, principal=parts.principal_fen)
    return [
        Leg(
            id=saga.fact_id(f"{leg} of {payment.number}"),
            debit=wallets[lessee],
            credit=wallets[payment.owner],
            amount_fen=amount_fen,
            code=code,
            purpose=purpose,
            payer=lessee,
            memo=memo,
        )
        for leg, amount_fen, code, memo in (
            ("penalty", parts.penalty_fen, settlement_pb2.TRANSFER_CODE_LEASE_PENALTY, "penalty"),
            ("rent", rent_fen, settlement_pb2.TRANSFER_CODE_LEASE_RENT, split),
        )
    ]


def memo_of(**amounts_fen: int) -> str:
    """Return how an amount splits, for a statement: "interest 5,000.00, principal 19,066.45"."""
    return ", ".join(
        f"{part.replace('_', ' ')} {yuan(amount_fen)}"
        for part, amount_fen in amounts_fen.items()
        if amount_fen
    )


async def begin_prepayment(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, principal_fen: int
) -> Saga:
    """Begin to pay principal ahead, with the interest on it since the last due day.

    The remaining principal bears the whole month's interest with the next instalment, so none of
    the month is counted twice or left out.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        InstalmentUnpaid: An instalment due by today is not paid.
        NothingDue, InstalmentsAssigned, AmountExceedsDue: As `reschedule` says.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "prepay", subject=lease.name)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    require_settled(instalments, by=tx.today)
    reschedule(lease, instalments, prepaid_fen=principal_fen)
    fallen_due = [item.due_on for item in instalments if item.due_on <= tx.today]
    interest_fen = simple_interest(
        principal_fen,
        lease.terms.nominal_rate,
        start=fallen_due[-1] if fallen_due else lease.started_on,
        end=tx.today,
        day_count=lease.terms.day_count,
    )
    return await begin(
        tx, lease, "lease_prepayment", principal_fen=principal_fen, interest_fen=interest_fen
    )


async def _post_prepayment(runtime: Runtime, saga: Saga) -> Facts:
    lessor, lessee = saga.facts["lessor"], saga.facts["lessee"]
    wallets = await open_wallets(runtime.peers, [lessee, lessor])
    leg = Leg(
        id=saga.fact_id("prepayment"),
        debit=wallets[lessee],
        credit=wallets[lessor],
        amount_fen=saga.facts["principal_fen"] + saga.facts["interest_fen"],
        code=settlement_pb2.TRANSFER_CODE_LEASE_RENT,
        purpose=saga.subject,
        payer=lessee,
        memo=memo_of(
            prepaid_principal=saga.facts["principal_fen"], interest=saga.facts["interest_fen"]
        ),
    )
    await post(runtime.peers, [leg], txn=saga.fact_id("prepayment chain"))
    return {}


async def _apply_prepayment(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "prepay", subject=lease.name)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    principal_fen = saga.facts["principal_fen"]
    changed = reschedule(lease, instalments, prepaid_fen=principal_fen)
    await instalment_store.update_instalments(tx.connection, changed)
    lease = replace(
        lease,
        state=step.target,
        outstanding_fen=lease.outstanding_fen - principal_fen,
        schedule_revision=lease.schedule_revision + 1,
    )
    await end(tx, await announce_reschedule(tx, lease, changed, prepaid_fen=principal_fen))


async def _answer_schedule(tx: Transaction, saga: Saga) -> Message:
    lease = await lock_by_name(tx, saga.subject)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    return messages.schedule_to_wire(lease, instalments, on=tx.today)


PREPAYMENT = SagaKind(
    kind="lease_prepayment",
    steps=(Step("post", call=_post_prepayment, apply=_apply_prepayment),),
    answer=_answer_schedule,
    on_refused=end_refused,
)
