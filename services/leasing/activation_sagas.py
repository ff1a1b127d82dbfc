"""Activation across services: deposit and fee are paid, the machine is the lessee's to use."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events
from ironloop.settlement.v1 import settlement_pb2

from services.finmath.dates import add_months
from services.kit import wire
from services.kit.calendar import CHINA
from services.kit.postings import Leg, first_unrefused, open_wallets, post
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import clients, instalment_store, lease_store
from services.leasing.announcements import announce, lines, sides
from services.leasing.approval_sagas import answer_lease
from services.leasing.busy import begin, end, end_refused
from services.leasing.errors import DeliveryNotAccepted, RegistryNumberMissing
from services.leasing.handlers import EXPIRY
from services.leasing.instalment_handlers import set_agenda
from services.leasing.instalment_model import Instalment, instalments_of
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessor, lock_by_name
from services.leasing.model import Lease
from services.leasing.term_handlers import set_maturity
from services.leasing.usage_model import Reading


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
    if hours is None or await lease_store.find_delivery(tx.connection, lease.id) is not None:
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
