"""What finance learns of leases: they make receivables, and collect them."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from google.protobuf.message import Message
from google.type import money_pb2
from ironloop.leasing.v1 import leasing_events_pb2

from services.finance import (
    factoring_handlers,
    factoring_store,
    receivable_events,
    receivable_store,
)
from services.finance.lifecycle import RECEIVABLE
from services.finance.receivable_model import Receivable, ReceivableState
from services.kit import wire
from services.kit.consumer import EventHandler
from services.kit.ids import new_id
from services.kit.transaction import Transaction

NUMBER_MAX = 1_000  # instalments of a lease, as the contract numbers them


async def create_receivables(tx: Transaction, activated: leasing_events_pb2.LeaseActivated) -> None:
    """Make a receivable of each instalment of a lease that runs."""
    await _insert(
        tx,
        activated.schedule,
        lease=activated.lease,
        machine=activated.machine,
        lessor=activated.lessor,
        lessee=activated.lessee,
    )


async def revise_receivables(
    tx: Transaction, rescheduled: leasing_events_pb2.LeaseRescheduled
) -> None:
    """Follow a schedule that changed: the debtor signs what changed anew; an open offer ends."""
    lines = {line.number: line for line in rescheduled.schedule}
    await _close_offers(tx, rescheduled.lease, lines)
    revised = []
    for present in await receivable_store.lock_run(tx.connection, rescheduled.lease):
        line = lines.get(present.number)
        if line is None or present.state not in (
            ReceivableState.CREATED,
            ReceivableState.CONFIRMED,
        ):
            continue
        step = RECEIVABLE.next(present.state, "revise", subject=present.name)
        principal_fen, interest_fen = _parts(line)
        revised.append(
            replace(
                present,
                state=step.target,
                amount_fen=principal_fen + interest_fen,
                principal_fen=principal_fen,
                interest_fen=interest_fen,
                due_on=wire.to_date(line.due_date, field="due_date"),
            )
        )
    await receivable_store.update_receivables(tx.connection, revised, at=tx.now, events=0)
    await _insert(
        tx,
        rescheduled.schedule,
        lease=rescheduled.lease,
        machine=rescheduled.machine,
        lessor=rescheduled.lessor,
        lessee=rescheduled.lessee,
    )


async def collect_receivable(tx: Transaction, paid: leasing_events_pb2.InstalmentPaid) -> None:
    """Note what a debtor paid on a receivable; its penalties and fees are no part of it."""
    await _close_offers(tx, paid.lease, [paid.number])
    for line in await receivable_store.lock_run(
        tx.connection, paid.lease, from_number=paid.number, to_number=paid.number
    ):
        received_fen = _fen(paid.paid.interest) + _fen(paid.paid.principal)
        left_fen = _fen(paid.left.interest) + _fen(paid.left.principal)
        collected = replace(line, paid_fen=line.paid_fen + received_fen)
        if line.state is ReceivableState.SETTLED:
            # A penalty that came after the last of it: nothing is left to be collected.
            continue
        if left_fen:
            step = RECEIVABLE.next(line.state, "collect", subject=line.name)
            await receivable_store.update_receivables(
                tx.connection, [replace(collected, state=step.target)], at=tx.now, events=0
            )
        else:
            await _settle(tx, [collected])


async def close_receivables(
    tx: Transaction,
    ended: (
        leasing_events_pb2.LeaseBoughtOut
        | leasing_events_pb2.TotalLossPaid
        | leasing_events_pb2.LeaseClosed
    ),
) -> None:
    """Close what is left of a lease that is over; each owner has had its money, or has a claim."""
    await _close(tx, ended.lease, range(1, NUMBER_MAX + 1))


async def close_disposed(tx: Transaction, settled: leasing_events_pb2.DisposalSettled) -> None:
    """Close what a machine's proceeds paid off, or left as claims."""
    await _close(
        tx, settled.lease, [number for share in settled.shares for number in share.numbers]
    )


async def close_written_off(
    tx: Transaction, written_off: leasing_events_pb2.InstalmentWrittenOff
) -> None:
    """Close an instalment that became a claim at leasing."""
    await _close(tx, written_off.lease, [written_off.number])


async def _close(tx: Transaction, lease: str, numbers: Collection[int]) -> None:
    await _close_offers(tx, lease, numbers)
    known = await receivable_store.lock_run(tx.connection, lease) if numbers else []
    await _settle(
        tx,
        [
            line
            for line in known
            if line.number in numbers and line.state is not ReceivableState.SETTLED
        ],
    )


async def _close_offers(tx: Transaction, lease: str, numbers: Collection[int]) -> None:
    """End the open offers of factoring in which one of the numbers stands.

    One that is being accepted goes on: leasing refuses to assign what has changed there, and what
    it assigns is compared with what was priced.
    """
    if not numbers:
        return
    for factoring in await factoring_store.lock_open_of_lease(
        tx.connection, lease, first=min(numbers), last=max(numbers)
    ):
        if not factoring.held_by:
            await factoring_handlers.fall_back(tx, factoring, command="cancel")


async def _settle(tx: Transaction, lines: Sequence[Receivable]) -> None:
    """Close receivables, and the funded factorings that are collected by it."""
    if not lines:
        return
    closed = [
        replace(line, state=RECEIVABLE.next(line.state, "settle", subject=line.name).target)
        for line in lines
    ]
    for line in await receivable_store.update_receivables(
        tx.connection, closed, at=tx.now, events=1
    ):
        await tx.emit(receivable_events.settled(line))
    for factoring_id in sorted({line.factoring_id for line in lines if line.factoring_id}):
        await factoring_handlers.settle_if_collected(tx, factoring_id)


async def _insert(
    tx: Transaction,
    schedule: Sequence[leasing_events_pb2.ScheduleLine],
    *,
    lease: str,
    machine: str,
    lessor: str,
    lessee: str,
) -> None:
    receivables = []
    for line in schedule:
        principal_fen, interest_fen = _parts(line)
        receivables.append(
            Receivable(
                id=new_id(),
                version=1,
                event_sequence=0,
                state=ReceivableState.CREATED,
                lease=lease,
                number=line.number,
                machine=machine,
                debtor=lessee,
                creditor=lessor,
                owner=lessor,
                amount_fen=principal_fen + interest_fen,
                principal_fen=principal_fen,
                interest_fen=interest_fen,
                paid_fen=0,
                due_on=wire.to_date(line.due_date, field="due_date"),
                factoring_id=None,
                registry_no="",
                create_time=tx.now,
                update_time=tx.now,
            )
        )
    await receivable_store.insert_receivables(tx.connection, receivables)


def _parts(line: leasing_events_pb2.ScheduleLine) -> tuple[int, int]:
    return _fen(line.principal), _fen(line.interest)


def _fen(amount: money_pb2.Money) -> int:
    return wire.fen(amount, field="amount")


CONSUMES: dict[type[Message], EventHandler] = {
    leasing_events_pb2.LeaseActivated: create_receivables,
    leasing_events_pb2.LeaseRescheduled: revise_receivables,
    leasing_events_pb2.InstalmentPaid: collect_receivable,
    leasing_events_pb2.LeaseBoughtOut: close_receivables,
    leasing_events_pb2.TotalLossPaid: close_receivables,
    leasing_events_pb2.DisposalSettled: close_disposed,
    leasing_events_pb2.InstalmentWrittenOff: close_written_off,
    leasing_events_pb2.LeaseClosed: close_receivables,
}
