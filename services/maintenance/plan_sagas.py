"""The plan of a machine that went out on lease: the machine is read from its register first."""

from services.kit.ids import parse_name
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.maintenance import machine_clients, plan_handlers

FOLLOW_LEASE = "lease_plan"


async def know_machine(runtime: Runtime, saga: Saga) -> Facts:
    """Have a copy of the machine here."""
    await machine_clients.ensure_known(runtime, parse_name(saga.subject, "machines"))
    return {}


async def write_plan(tx: Transaction, saga: Saga) -> None:
    """Open the machine's plan, or keep the one it has for the lease."""
    machine_id = parse_name(saga.subject, "machines")
    await plan_handlers.follow_lease(tx, machine_id, lease=saga.facts["lease"])


PLAN_SAGAS = (SagaKind(FOLLOW_LEASE, (Step("open_plan", call=know_machine, apply=write_plan),)),)
