"""Return across services: the machine is on its way, and back, its hours told to maintenance."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit import wire
from services.kit.clients import PeerRefused
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import clients, meter_clients, usage_handlers
from services.leasing.announcements import announce, sides
from services.leasing.approval_sagas import answer_lease
from services.leasing.busy import begin, end, end_refused
from services.leasing.hand_back import take_back
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessee, lock_as_lessor, lock_by_name
from services.leasing.meter_clients import Reported
from services.leasing.term_handlers import ELECTION


async def begin_return(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Saga:
    """Begin the machine's way back.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "return", subject=lease.name)
    return await begin(tx, lease, "lease_return")


async def _send_back(runtime: Runtime, saga: Saga) -> Facts:
    await clients.hand_over_machine(
        runtime.peers,
        saga.facts["machine"],
        lease=saga.subject,
        custody="IN_TRANSIT",
        custodian=saga.facts["lessor"],
        request_id=saga.request_id("send back"),
    )
    return {}


async def _await_return(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "return", subject=lease.name)
    await tx.cancel_timers(lease.name, kind=ELECTION)
    await end(tx, replace(lease, state=step.target))


RETURN = SagaKind(
    kind="lease_return",
    steps=(Step("send back", call=_send_back, apply=_await_return),),
    answer=answer_lease,
    on_refused=end_refused,
)


async def begin_confirmation(
    tx: Transaction,
    lease_id: UUID,
    *,
    viewer: Principal,
    hours: Decimal,
    condition: str,
    inspector: str,
) -> Saga:
    """Begin to confirm that the machine is back.

    Args:
        inspector: Who may inspect it beside the lessor; "" for nobody.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "confirm_return", subject=lease.name)
    return await begin(
        tx,
        lease,
        "lease_return_confirmation",
        hours=str(hours),
        read_at=tx.now.isoformat(),
        condition=condition,
        inspector=inspector,
    )


async def _report_hours(runtime: Runtime, saga: Saga) -> Facts:
    """Tell maintenance the hours; what it does not take is not charged, and holds nothing up."""
    try:
        reported = await meter_clients.report_hours(
            runtime.peers,
            saga.facts["machine"],
            hours=Decimal(saga.facts["hours"]),
            read_at=datetime.fromisoformat(saga.facts["read_at"]),
            lease=saga.subject,
            actor=saga.actor,
            request_id=saga.request_id("report hours"),
        )
    except PeerRefused:
        return {"reported": None}
    return {
        "reported": {
            "name": reported.name,
            "state": reported.state,
            "read_at": reported.read_at.isoformat(),
            "hours": None if reported.hours is None else str(reported.hours),
        }
    }


async def _confirm(tx: Transaction, saga: Saga) -> None:
    facts = saga.facts
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "confirm_return", subject=lease.name)
    reported = _reported(facts["reported"])
    if reported is not None:
        await usage_handlers.keep_reported(tx, lease, reported)
    lease = replace(
        lease,
        state=step.target,
        ended_on=tx.today,
        inspector=facts["inspector"],
        return_condition=facts["condition"],
    )
    use = await usage_handlers.use_of_term(tx.connection, lease)
    lease = await announce(
        tx,
        lease,
        events.LeaseReturned,
        hours_meter=wire.decimal(Decimal(facts["hours"])),
        condition=facts["condition"],
        excess_hours=wire.decimal(use.excess),
        **sides(lease),
    )
    await end(tx, lease)


def _reported(kept: dict[str, Any] | None) -> Reported | None:
    if kept is None:
        return None
    return Reported(
        name=kept["name"],
        state=kept["state"],
        read_at=datetime.fromisoformat(kept["read_at"]),
        hours=None if kept["hours"] is None else Decimal(kept["hours"]),
    )


RETURN_CONFIRMATION = SagaKind(
    kind="lease_return_confirmation",
    steps=(
        Step("take back", call=take_back),
        Step("report hours", call=_report_hours, apply=_confirm),
    ),
    answer=answer_lease,
    on_refused=end_refused,
)
