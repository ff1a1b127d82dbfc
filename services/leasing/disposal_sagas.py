"""A disposal across services: opened at a value, and valued anew once it is unsold twice."""

from dataclasses import asdict, replace
from decimal import Decimal
from uuid import UUID

from google.protobuf.message import Message
from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit import wire
from services.kit.ids import name, new_id, parse_name
from services.kit.principals import Principal, principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import clients, disposal_store, instalment_store, lease_store, pledges
from services.leasing.announcements import announce, sides
from services.leasing.busy import begin, end, end_refused
from services.leasing.disposal_model import Disposal, DisposalState, lines_of
from services.leasing.disposal_plan import beneficiary_of, debt_of
from services.leasing.ending_messages import disposal_to_wire
from services.leasing.errors import DisposalOpen, MachineLeased
from services.leasing.lifecycle import DISPOSAL, LEASE
from services.leasing.locks import lock_as_lessor, lock_by_name


async def begin_opening(
    tx: Transaction,
    lease_id: UUID,
    *,
    viewer: Principal,
    cost_rate: Decimal,
    transport_fen: int,
    carrier: str,
) -> Saga:
    """Begin to open the disposal of a repossessed or inspected machine.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        DisposalOpen: One of the machine is open.
        MachineLeased: The machine has been leased out again.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "open_disposal", subject=lease.name)
    known = await disposal_store.find_open(tx.connection, lease.terms.machine)
    if known is not None:
        raise DisposalOpen(lease.terms.machine, known)
    if await lease_store.is_machine_leased(tx.connection, lease):
        raise MachineLeased(lease.terms.machine)
    return await begin(
        tx,
        lease,
        "lease_disposal_opening",
        disposal=name("disposals", new_id()),
        cost_rate=str(cost_rate),
        transport_fen=transport_fen,
        carrier=carrier or lease.terms.lessor,
    )


async def _quote(runtime: Runtime, saga: Saga) -> Facts:
    return {"payoffs": await pledges.quote_payoffs(runtime, saga)}


async def _value(runtime: Runtime, saga: Saga) -> Facts:
    """Have the machine valued; where nobody can, it is sold without a reserve of ours."""
    value = await clients.value_machine(
        runtime.peers,
        saga.facts["machine"],
        party=saga.facts["lessor"],
        request_id=saga.request_id("value"),
    )
    return {"value": asdict(value)}


async def _open(tx: Transaction, saga: Saga) -> None:
    """Write the disposal, its claims as quoted, and its reserve by the policy table."""
    facts = saga.facts
    lease = await lock_by_name(tx, saga.subject)
    LEASE.next(lease.state, "open_disposal", subject=lease.name)
    debt = debt_of(lease, await instalment_store.list_of_lease(tx.connection, lease.id))
    policy = await disposal_store.get_policy(tx.connection, None)
    lines = lines_of(
        transport_fen=facts["transport_fen"],
        carrier=facts["carrier"],
        lenders=pledges.lenders_of(saga),
        assignees=debt.assignees,
        lessor=lease.terms.lessor,
        lessor_fen=debt.lessor_fen,
    )
    disposal = Disposal(
        id=disposal_id_of(saga),
        version=1,
        event_sequence=lease.event_sequence + 1,
        state=DisposalState.OPEN,
        lease_id=lease.id,
        machine=lease.terms.machine,
        lessor=lease.terms.lessor,
        lessee=lease.terms.lessee,
        beneficiary=beneficiary_of(lease),
        carrier=facts["carrier"],
        cost_rate=Decimal(facts["cost_rate"]),
        transport_fen=facts["transport_fen"],
        debt_fen=debt.total_fen,
        as_of=pledges.as_of(saga),
        valuation=facts["value"]["name"],
        reserve_fen=policy.reserve_fen(facts["value"]["flv_fen"], unsold_count=0),
        policy_version=policy.version,
        unsold_count=0,
        sale_order="",
        price_fen=0,
        surplus_fen=0,
        claims=(),
        settle_time=None,
        create_time=tx.now,
        update_time=tx.now,
        lines=tuple(lines),
    )
    await disposal_store.insert_disposal(tx.connection, disposal)
    lease = await announce(
        tx,
        lease,
        events.DisposalOpened,
        disposal=disposal.name,
        reserve=_reserve(disposal),
        valuation=disposal.valuation,
        policy_version=policy.version,
        **sides(lease),
    )
    await end(tx, lease)


async def answer_disposal(tx: Transaction, saga: Saga) -> Message:
    """Return the disposal as the answer of the command that began the saga."""
    return disposal_to_wire(
        await disposal_store.get_disposal(tx.connection, disposal_id_of(saga), viewer=principal())
    )


DISPOSAL_OPENING = SagaKind(
    kind="lease_disposal_opening",
    steps=(Step("quote payoffs", call=_quote), Step("value", call=_value, apply=_open)),
    answer=answer_disposal,
    on_refused=end_refused,
)


async def _revalue(tx: Transaction, saga: Saga) -> None:
    """Lower the reserve by the present policy table, from the new value."""
    value = saga.facts["value"]
    lease = await lock_by_name(tx, saga.subject)
    disposal = await disposal_store.get_disposal(
        tx.connection, disposal_id_of(saga), viewer=principal()
    )
    step = DISPOSAL.next(disposal.state, "revalue", subject=disposal.name)
    policy = await disposal_store.get_policy(tx.connection, None)
    disposal = replace(
        disposal,
        state=step.target,
        event_sequence=lease.event_sequence + 1,
        valuation=value["name"],
        reserve_fen=policy.reserve_fen(value["flv_fen"], unsold_count=disposal.unsold_count),
        policy_version=policy.version,
    )
    await disposal_store.update_disposal(tx.connection, disposal, at=tx.now)
    lease = await announce(
        tx,
        lease,
        events.DisposalRevalued,
        disposal=disposal.name,
        reserve=_reserve(disposal),
        valuation=disposal.valuation,
        policy_version=policy.version,
        unsold_count=disposal.unsold_count,
        **sides(lease),
    )
    await end(tx, lease)


DISPOSAL_REVALUATION = SagaKind(
    kind="lease_disposal_revaluation",
    steps=(Step("value", call=_value, apply=_revalue),),
    on_refused=end_refused,
)


def disposal_id_of(saga: Saga) -> UUID:
    """Return the id of a saga's disposal."""
    return parse_name(saga.facts["disposal"], "disposals")


def _reserve(disposal: Disposal) -> Message | None:
    return None if disposal.reserve_fen is None else wire.money(disposal.reserve_fen)
