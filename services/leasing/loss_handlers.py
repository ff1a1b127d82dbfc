"""Total loss reported and rejected, one transaction a command."""

from dataclasses import replace
from datetime import date
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit import wire
from services.kit.errors import InvalidArgument
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.leasing import lease_store
from services.leasing.announcements import announce, sides
from services.leasing.default_handlers import run_on, stop_term
from services.leasing.errors import LossPaid
from services.leasing.instalment_handlers import AGENDA
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessor, lock_as_side
from services.leasing.model import Lease
from services.leasing.papers import Document, TotalLoss


async def report_loss(
    tx: Transaction,
    lease_id: UUID,
    *,
    viewer: Principal,
    insurer: str,
    lost_on: date | None,
    description: str,
    evidence: tuple[Document, ...],
) -> Lease:
    """Report a machine lost: no instalment falls due any more, the insurer is to pay.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        InvalidArgument: The day lies outside the lease's time, or the lessor would pay itself.
    """
    lease = await lock_as_side(tx, lease_id, viewer=viewer)
    step = LEASE.next(lease.state, "report_total_loss", subject=lease.name)
    day = lost_on or tx.today
    if not lease.started_on <= day <= tx.today:
        raise InvalidArgument("loss_date", f"must lie in {lease.started_on} to {tx.today}")
    if insurer == lease.terms.lessor:
        raise InvalidArgument("insurer", "must not be the lessor, who is to be paid")
    await stop_term(tx, lease)
    await tx.cancel_timers(lease.name, kind=AGENDA)
    loss = TotalLoss(
        lost_on=day,
        insurer=insurer,
        description=description,
        evidence=evidence,
        reporter=viewer.subject,
        reported_at=tx.now,
        paid_fen=0,
        paid_at=None,
    )
    lease = await announce(
        tx,
        replace(lease, state=step.target, buyout=None, ended_on=day, loss=loss),
        events.TotalLossReported,
        loss_date=wire.date(day),
        insurer=insurer,
        stipulated_loss_value=wire.money(lease.outstanding_fen),
        **sides(lease),
    )
    return await lease_store.update_lease(tx.connection, lease, at=tx.now)


async def reject_loss(tx: Transaction, lease_id: UUID, *, viewer: Principal, reason: str) -> Lease:
    """Reject a report of a loss: the lease runs on.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        LossPaid: The insurer has paid.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    step = LEASE.next(lease.state, "reject_total_loss", subject=lease.name)
    if lease.loss is not None and lease.loss.paid_at is not None:
        raise LossPaid(lease.name)
    lease = await announce(
        tx,
        await run_on(tx, replace(lease, state=step.target, loss=None)),
        events.TotalLossRejected,
        reason=reason,
        **sides(lease),
    )
    return await lease_store.update_lease(tx.connection, lease, at=tx.now)
