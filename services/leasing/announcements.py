"""The events of a lease, each with the next number of its lease; the lease's row is locked."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from google.protobuf.message import Message
from ironloop.leasing.v1 import endings_pb2, leasing_pb2
from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.finmath.allocation import Parts
from services.kit import wire
from services.kit.transaction import Transaction
from services.leasing.instalment_model import Instalment
from services.leasing.model import BuyoutQuote, Lease

PRODUCES: tuple[type[Message], ...] = (
    events.LeaseProgrammePublished,
    events.LeaseProgrammeRetired,
    events.LeaseSigned,
    events.LeaseActivated,
    events.LeaseRescheduled,
    events.InstalmentDue,
    events.InstalmentPaid,
    events.InstalmentOverdue,
    events.InstalmentsAssigned,
    events.InstalmentsReturned,
    events.UsageReported,
    events.BuyoutQuoted,
    events.LeaseBoughtOut,
    events.LeaseMatured,
    events.LeasePurchased,
    events.LeaseReturned,
    events.DefaultNoticeGiven,
    events.LeaseDefaulted,
    events.DefaultCured,
    events.MachineRepossessed,
    events.TotalLossReported,
    events.TotalLossRejected,
    events.TotalLossPaid,
    events.ReturnInspected,
    events.InstalmentWrittenOff,
    events.LeaseClosed,
    events.ClaimPaid,
    events.ClaimWaived,
    events.DisposalOpened,
    events.DisposalUnsold,
    events.DisposalRevalued,
    events.DisposalCancelled,
    events.DisposalSettled,
)


async def announce(tx: Transaction, lease: Lease, event: type[Message], **content: Any) -> Lease:
    """Emit an event of a lease, and return the lease with its sequence moved on."""
    sequence = lease.event_sequence + 1
    await tx.emit(
        event(lease=lease.name, sequence=sequence, machine=lease.terms.machine, **content)
    )
    return replace(lease, event_sequence=sequence)


def sides(lease: Lease) -> dict[str, str]:
    """Return lessor and lessee as an event names them."""
    return {"lessor": lease.terms.lessor, "lessee": lease.terms.lessee}


def lines(instalments: Iterable[Instalment]) -> list[events.ScheduleLine]:
    """Return instalments as lines of a schedule."""
    return [
        events.ScheduleLine(
            number=instalment.number,
            due_date=wire.date(instalment.due_on),
            payable_date=wire.date(instalment.payable_on),
            interest=wire.money(instalment.due.interest_fen),
            principal=wire.money(instalment.due.principal_fen),
            balance=wire.money(instalment.balance_fen),
        )
        for instalment in instalments
    ]


def parts(amounts: Parts) -> events.InstalmentParts:
    """Return the parts of an instalment or a payment."""
    return events.InstalmentParts(
        fees=wire.money(amounts.fees_fen),
        penalty=wire.money(amounts.penalty_fen),
        interest=wire.money(amounts.interest_fen),
        principal=wire.money(amounts.principal_fen),
    )


async def announce_due(tx: Transaction, lease: Lease, instalment: Instalment) -> Lease:
    """Say that an instalment is payable."""
    return await announce(
        tx,
        lease,
        events.InstalmentDue,
        lessee=instalment.lessee,
        owner=instalment.owner,
        number=instalment.number,
        due_date=wire.date(instalment.due_on),
        due=parts(instalment.due),
    )


async def announce_overdue(
    tx: Transaction, lease: Lease, instalment: Instalment, *, on: date
) -> Lease:
    """Say that an instalment is overdue, or has reached another bucket."""
    return await announce(
        tx,
        lease,
        events.InstalmentOverdue,
        lessee=instalment.lessee,
        owner=instalment.owner,
        number=instalment.number,
        owed=parts(instalment.accrued_to(on).owed),
        days_past_due=instalment.days_past_due(on),
        bucket=bucket_to_wire(instalment.bucket),
    )


async def announce_paid(
    tx: Transaction, lease: Lease, instalment: Instalment, *, paid: Parts, days_past_due: int
) -> Lease:
    """Say that an instalment was paid, in part or in full."""
    return await announce(
        tx,
        lease,
        events.InstalmentPaid,
        lessee=instalment.lessee,
        owner=instalment.owner,
        number=instalment.number,
        paid=parts(paid),
        left=parts(instalment.owed),
        state=wire.enum_number(
            leasing_pb2.InstalmentState, instalment.state, prefix="INSTALMENT_STATE_"
        ),
        days_past_due=days_past_due,
    )


def bucket_to_wire(bucket: int) -> endings_pb2.ArrearsBucket.ValueType:
    """Return an ageing bucket (0 for none, then 1 to 4) as the contract shows it."""
    return endings_pb2.ArrearsBucket.ValueType(endings_pb2.ARREARS_BUCKET_NONE + bucket)


def buyout_to_wire(quote: BuyoutQuote, *, deposit_fen: int) -> leasing_pb2.BuyoutQuote:
    """Return a buyout quote as the contract shows it."""
    return leasing_pb2.BuyoutQuote(
        as_of_date=wire.date(quote.as_of),
        due_amount=wire.money(quote.due_fen),
        principal=wire.money(quote.principal_fen),
        accrued_interest=wire.money(quote.interest_fen),
        fee=wire.money(quote.fee_fen),
        total=wire.money(quote.total_fen),
        deposit_refund=wire.money(deposit_fen),
        expire_time=wire.instant(quote.expire_at),
    )
