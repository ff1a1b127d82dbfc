"""Steps across services in a lease's course: approval, activation, release, return."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from google.protobuf.message import Message
from ironloop.leasing.v1 import leasing_events_pb2 as events
from ironloop.settlement.v1 import settlement_pb2

from services.finmath.dates import add_months
from services.kit import wire
from services.kit.calendar import CHINA
from services.kit.etags import check_etag
from services.kit.ids import parse_name
from services.kit.postings import Leg, first_unrefused, open_wallets, post
from services.kit.principals import Principal, principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import clients, instalment_store, lease_store, messages
from services.leasing.announcements import announce, lines, sides
from services.leasing.busy import begin, end, end_refused
from services.leasing.errors import (
    DeliveryNotAccepted,
    LessorLacksTitle,
    MachineLeased,
    RegistryNumberMissing,
)
from services.leasing.handlers import EXPIRY, begin_release
from services.leasing.instalment_handlers import set_agenda
from services.leasing.instalment_model import Instalment, instalments_of
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessee, lock_as_lessor, lock_as_side, lock_by_name
from services.leasing.model import RESERVED_FOR, Lease
from services.leasing.term_handlers import ELECTION, set_maturity
from services.leasing.usage_handlers import keep_reading
from services.leasing.usage_model import Reading


async def answer_lease(tx: Transaction, saga: Saga) -> Message:
    """Return the lease as the answer of the command that began the saga."""
    lease_id = parse_name(saga.subject, "leases")
    lease = await lease_store.find_lease(tx.connection, lease_id, viewer=principal())
    assert lease is not None
    return messages.lease_to_wire(lease)


async def begin_approval(tx: Transaction, lease_id: UUID, *, viewer: Principal, etag: str) -> Saga:
    """Begin to approve an application.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, EtagMismatch, TransitionRefused.
        MachineLeased: Another live lease holds the machine.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    check_etag(etag, lease.version)
    LEASE.next(lease.state, "approve", subject=lease.name)
    if await lease_store.is_machine_leased(tx.connection, lease):
        raise MachineLeased(lease.terms.machine)
    reserved_until = tx.now + RESERVED_FOR
    return await begin(tx, lease, "lease_approval", reserved_until=reserved_until.isoformat())


async def _reserve(runtime: Runtime, saga: Saga) -> Facts:
    facts = saga.facts
    machine = await clients.get_machine(runtime.peers, facts["machine"], actor=saga.actor)
    if machine.title_holder != facts["lessor"]:
        raise LessorLacksTitle(machine.name, facts["lessor"])
    await clients.reserve_machine(
        runtime.peers,
        machine.name,
        lease=saga.subject,
        lessee=facts["lessee"],
        until=datetime.fromisoformat(facts["reserved_until"]),
        request_id=saga.request_id("reserve"),
    )
    return {}


async def _release(runtime: Runtime, saga: Saga) -> None:
    await clients.release_machine(
        runtime.peers,
        saga.facts["machine"],
        lease=saga.subject,
        request_id=saga.retry_request_id("release"),
    )


async def _approve(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "approve", subject=lease.name)
    expire_at = datetime.fromisoformat(saga.facts["reserved_until"])
    await tx.set_timer(EXPIRY, lease.name, due_at=expire_at)
    await end(tx, replace(lease, state=step.target, expire_at=expire_at))


APPROVAL = SagaKind(
    kind="lease_approval",
    steps=(Step("reserve", call=_reserve, apply=_approve, undo=_release),),
    answer=answer_lease,
    on_refused=end_refused,
)


async def begin_activation(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, registry_no: str
) -> Saga:
    """Begin to activate a signed lease.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        DeliveryNotAccepted: The lessee has not accepted the delivery.
        RegistryNumberMissing: There is no registry number.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "activate", subject=lease.name)
    if lease.start_on is None:
        raise DeliveryNotAccepted(lease.name)
    if not registry_no:
        raise RegistryNumberMissing(lease.name)
    return await begin(
        tx,
        lease,
        "lease_activation",
        registry_no=registry_no,
        deposit_fen=lease.terms.deposit_fen,
        fee_fen=lease.terms.fee_fen,
    )


async def _collect(runtime: Runtime, saga: Saga) -> Facts:
    """Take deposit and fee from the lessee's wallet."""
    legs = await _activation_legs(runtime, saga)
    await post(runtime.peers, legs, txn=saga.fact_id("activation"))
    return {}


async def _refund(runtime: Runtime, saga: Saga) -> None:
    """Give deposit and fee back: the mirror image of what was collected.

    The lessor may have spent the fee; so it is tried until it is done.
    """
    collected = await _activation_legs(runtime, saga)
    attempt = await first_unrefused(
        runtime.peers,
        lambda attempt: [_reversal_id(saga, leg, attempt) for leg in collected],
    )
    legs = [
        Leg(
            id=_reversal_id(saga, leg, attempt),
            debit=leg.credit,
            credit=leg.debit,
            amount_fen=leg.amount_fen,
            code=settlement_pb2.TRANSFER_CODE_REVERSAL,
            purpose=f"transfers/{leg.id}",
            payer=saga.facts["lessor"],
        )
        for leg in collected
    ]
    await post(runtime.peers, legs, txn=saga.fact_id("reversal", attempt=attempt))


def _reversal_id(saga: Saga, leg: Leg, attempt: int) -> UUID:
    return saga.fact_id(f"reversal of {leg.id}", attempt=attempt)


async def _activation_legs(runtime: Runtime, saga: Saga) -> list[Leg]:
    facts = saga.facts
    lessor, lessee = facts["lessor"], facts["lessee"]
    wallets = await open_wallets(runtime.peers, [lessee, lessor])
    deposit = await clients.open_deposit(runtime.peers, lease=saga.subject, lessee=lessee)
    return [
        Leg(
            id=saga.fact_id("deposit"),
            debit=wallets[lessee],
            credit=deposit,
            amount_fen=facts["deposit_fen"],
            code=settlement_pb2.TRANSFER_CODE_LEASE_DEPOSIT,
            purpose=saga.subject,
            payer=lessee,
        ),
        Leg(
            id=saga.fact_id("fee"),
            debit=wallets[lessee],
            credit=wallets[lessor],
            amount_fen=facts["fee_fen"],
            code=settlement_pb2.TRANSFER_CODE_LEASE_FEE,
            purpose=saga.subject,
            payer=lessee,
        ),
    ]


async def _hand_over(runtime: Runtime, saga: Saga) -> Facts:
    machine = await clients.hand_over_machine(
        runtime.peers,
        saga.facts["machine"],
        lease=saga.subject,
        custody="ON_LEASE",
        custodian=saga.facts["lessee"],
        request_id=saga.request_id("hand over"),
    )
    return {"hours": None if machine.hours is None else str(machine.hours)}


async def _activate(tx: Transaction, saga: Saga) -> None:
    """Freeze the schedule, and set the lease's timers."""
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "activate", subject=lease.name)
    schedule = lease.terms.schedule()
    instalments = instalments_of(
        lease, schedule.rows, start_on=lease.started_on, after=0, calendar=CHINA
    )
    lease = replace(
        lease,
        state=step.target,
        expire_at=None,
        maturity_on=add_months(lease.started_on, lease.terms.term_months),
        registry_no=saga.facts["registry_no"],
        calendar_version=CHINA.version,
        schedule_revision=1,
        outstanding_fen=schedule.financed_fen,
        deposit_held_fen=lease.terms.deposit_fen,
    )
    await instalment_store.insert_instalments(tx.connection, instalments)
    await _keep_first_reading(tx, lease, saga)
    await tx.cancel_timers(lease.name, kind=EXPIRY)
    await set_maturity(tx, lease)
    await set_agenda(tx, lease, instalments)
    await end(tx, await _announce_activation(tx, lease, instalments))


async def _keep_first_reading(tx: Transaction, lease: Lease, saga: Saga) -> None:
    """Keep the registry's hours as the first reading, where the lessee read none at delivery."""
    hours: str | None = saga.facts["hours"]
    if hours is None or await lease_store.find_readings(tx.connection, lease.id) is not None:
        return
    reading = Reading(lease.started_on, Decimal(hours))
    await lease_store.add_reading(tx.connection, lease.id, reading, reporter=saga.actor, at=tx.now)


async def _announce_activation(
    tx: Transaction, lease: Lease, instalments: list[Instalment]
) -> Lease:
    return await announce(
        tx,
        lease,
        events.LeaseActivated,
        financed_amount=wire.money(lease.terms.financed_fen),
        residual=wire.money(lease.terms.residual_fen),
        nominal_rate=wire.decimal(lease.terms.nominal_rate),
        start_date=wire.date(lease.started_on),
        maturity_date=wire.date(lease.matures_on),
        registry_no=lease.registry_no,
        hours_per_year=lease.terms.hours_per_year,
        schedule=lines(instalments),
        **sides(lease),
    )


ACTIVATION = SagaKind(
    kind="lease_activation",
    steps=(
        Step("collect", call=_collect, undo=_refund),
        Step("hand over", call=_hand_over, apply=_activate),
    ),
    answer=answer_lease,
    on_refused=end_refused,
)


async def begin_cancellation(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, etag: str, reason: str
) -> Saga:
    """Begin to cancel a lease that is not active yet.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, EtagMismatch, TransitionRefused.
    """
    lease = await lock_as_side(tx, lease_id, viewer=viewer)
    check_etag(etag, lease.version)
    LEASE.next(lease.state, "cancel", subject=lease.name)
    return await begin_release(tx, lease, command="cancel", reason=reason)


async def _release_if_reserved(runtime: Runtime, saga: Saga) -> Facts:
    if saga.facts["is_reserved"]:
        await _release(runtime, saga)
    return {}


async def _end_released(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, saga.facts["command"], subject=lease.name)
    await tx.cancel_timers(lease.name)
    await end(tx, replace(lease, state=step.target, expire_at=None, reason=saga.facts["reason"]))


RELEASE = SagaKind(
    kind="lease_release",
    steps=(Step("release", call=_release_if_reserved, apply=_end_released),),
    answer=answer_lease,
    on_refused=end_refused,
)


async def begin_return(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Saga:
    """Begin the machine's way back.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "return", subject=lease.name)
    return await begin(tx, lease, "lease_return")


async def _send_back(runtime: Runtime, saga: Saga) -> Facts:
    await _hand_back(runtime, saga, custody="IN_TRANSIT")
    return {}


async def _hand_back(runtime: Runtime, saga: Saga, *, custody: str) -> None:
    await clients.hand_over_machine(
        runtime.peers,
        saga.facts["machine"],
        lease=saga.subject,
        custody=custody,
        custodian=saga.facts["lessor"],
        request_id=saga.request_id(custody),
    )


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
    tx: Transaction, lease_id: UUID, *, viewer: Principal, hours: Decimal, condition: str
) -> Saga:
    """Begin to confirm that the machine is back.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        HoursBelowLast, HoursImplausible: The meter cannot stand so.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "confirm_return", subject=lease.name)
    usage = await keep_reading(tx, lease, Reading(tx.today, hours), reporter=viewer.subject)
    return await begin(
        tx,
        lease,
        "lease_return_confirmation",
        hours=str(hours),
        condition=condition,
        excess=str(usage.excess),
    )


async def _take_back(runtime: Runtime, saga: Saga) -> Facts:
    """Take the machine back; where the lessee sent it without a word, it was on its way too."""
    await _hand_back(runtime, saga, custody="IN_TRANSIT")
    await _hand_back(runtime, saga, custody="AVAILABLE")
    return {}


async def _confirm(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "confirm_return", subject=lease.name)
    lease = await announce(
        tx,
        replace(lease, state=step.target),
        events.LeaseReturned,
        hours_meter=wire.decimal(Decimal(saga.facts["hours"])),
        condition=saga.facts["condition"],
        excess_hours=wire.decimal(Decimal(saga.facts["excess"])),
        **sides(lease),
    )
    await end(tx, lease)


RETURN_CONFIRMATION = SagaKind(
    kind="lease_return_confirmation",
    steps=(Step("take back", call=_take_back, apply=_confirm),),
    answer=answer_lease,
    on_refused=end_refused,
)
