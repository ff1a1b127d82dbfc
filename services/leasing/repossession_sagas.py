"""Repossession across services: the machine of a lease in default passes back to the lessor."""

from dataclasses import replace
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit import wire
from services.kit.principals import Principal
from services.kit.sagas import Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import instalment_store
from services.leasing.announcements import announce, sides
from services.leasing.approval_sagas import answer_lease
from services.leasing.busy import begin, end, end_refused
from services.leasing.disposal_plan import debt_of
from services.leasing.hand_back import take_back
from services.leasing.instalment_handlers import AGENDA
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessor, lock_by_name


async def begin_repossession(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, condition: str
) -> Saga:
    """Begin to take a machine back after a default.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "repossess", subject=lease.name)
    return await begin(tx, lease, "lease_repossession", condition=condition)


async def _repossess(tx: Transaction, saga: Saga) -> None:
    """Fix the debt as of today: no instalment falls due any more, none is paid any more."""
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "repossess", subject=lease.name)
    await tx.cancel_timers(lease.name, kind=AGENDA)
    condition = saga.facts["condition"]
    lease = replace(lease, state=step.target, ended_on=tx.today, return_condition=condition)
    debt = debt_of(lease, await instalment_store.list_of_lease(tx.connection, lease.id))
    lease = await announce(
        tx,
        lease,
        events.MachineRepossessed,
        repossession_date=wire.date(tx.today),
        debt=wire.money(debt.total_fen),
        condition=condition,
        **sides(lease),
    )
    await end(tx, lease)


REPOSSESSION = SagaKind(
    kind="lease_repossession",
    steps=(Step("take back", call=take_back, apply=_repossess),),
    answer=answer_lease,
    on_refused=end_refused,
)
