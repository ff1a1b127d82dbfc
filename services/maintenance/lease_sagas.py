"""What leases bring to their machines, which are read from their register first.

A machine that goes out gets its plan; one that came back, a draft of what is to be done on it.
"""

from services.kit.ids import parse_name
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.maintenance import machine_clients, plan_handlers, work_order_handlers

FOLLOW_LEASE = "lease_plan"
DRAFT_RETURNED = "lease_return_order"


async def know_machine(runtime: Runtime, saga: Saga) -> Facts:
    """Have a copy of the machine here."""
    await machine_clients.ensure_known(runtime, parse_name(saga.facts["machine"], "machines"))
    return {}


async def write_plan(tx: Transaction, saga: Saga) -> None:
    """Open the machine's plan, or keep the one it has for the lease."""
    machine_id = parse_name(saga.facts["machine"], "machines")
    await plan_handlers.follow_lease(tx, machine_id, lease=saga.facts["lease"])


async def write_draft(tx: Transaction, saga: Saga) -> None:
    """Draft an order for the lessor."""
    facts = saga.facts
    await work_order_handlers.draft_returned(
        tx,
        parse_name(facts["machine"], "machines"),
        lease=facts["lease"],
        lessor=facts["lessor"],
        condition=facts["condition"],
        is_damaged=facts["is_damaged"],
    )


LEASE_SAGAS = (
    SagaKind(FOLLOW_LEASE, (Step("open_plan", call=know_machine, apply=write_plan),)),
    SagaKind(DRAFT_RETURNED, (Step("draft_order", call=know_machine, apply=write_draft),)),
)
