"""The inspection of a return across services: the deposit meets the charges, the rest returns."""

from dataclasses import replace
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events
from ironloop.settlement.v1 import settlement_pb2

from services.kit import wire
from services.kit.ids import name, new_id, parse_name
from services.kit.postings import Leg, open_wallets, post
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import claim_store, clients, instalment_store, usage_handlers
from services.leasing.announcements import announce, sides
from services.leasing.approval_sagas import answer_lease
from services.leasing.busy import begin, end, end_refused
from services.leasing.claim_model import ClaimKind, invoice
from services.leasing.inspection_model import check_lines, split_deposit
from services.leasing.instalment_model import OPEN
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_inspector, lock_by_name
from services.leasing.model import Lease
from services.leasing.papers import DamageLine, Document, Inspection, inspection_of, to_json


async def begin_inspection(
    tx: Transaction,
    lease_id: UUID,
    *,
    viewer: Principal,
    lines: tuple[DamageLine, ...],
    evidence: tuple[Document, ...],
) -> Saga:
    """Begin to settle the charges of a returned machine with its deposit.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        InvalidArgument: As `check_lines` says.
    """
    lease = await lock_as_inspector(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "inspect", subject=lease.name)
    check_lines(lines)
    use = await usage_handlers.use_of_term(tx.connection, lease)
    charges_fen = use.charge_fen + sum(line.charge_fen for line in lines)
    split = split_deposit(
        lease.deposit_held_fen, charges_fen=charges_fen, owed_fen=await _owed_fen(tx, lease)
    )
    inspection = Inspection(
        inspected_on=tx.today,
        inspector=viewer.subject,
        lines=lines,
        evidence=evidence,
        use=use,
        charged_fen=split.charged_fen,
        refund_fen=split.refund_fen,
        held_fen=split.held_fen,
        claim=name("claims", new_id()) if split.short_fen else "",
    )
    return await begin(tx, lease, "lease_inspection", inspection=to_json(inspection))


async def _owed_fen(tx: Transaction, lease: Lease) -> int:
    """Return what is owed on the instalments of a lease whose machine is back."""
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    is_open = [item.accrued_to(tx.today) for item in instalments if item.state in OPEN]
    return sum(item.owed.total_fen for item in is_open)


async def _post(runtime: Runtime, saga: Saga) -> Facts:
    """Keep the charges from the deposit, hours and damage apart, and return the rest."""
    inspection = _inspection(saga)
    lessor, lessee = saga.facts["lessor"], saga.facts["lessee"]
    wallets = await open_wallets(runtime.peers, [lessee, lessor])
    deposit = await clients.open_deposit(runtime.peers, lease=saga.subject, lessee=lessee)
    hours_fen = min(inspection.use.charge_fen, inspection.charged_fen)
    parts = (
        ("excess hours", lessor, hours_fen),
        ("damage", lessor, inspection.charged_fen - hours_fen),
        ("refund", lessee, inspection.refund_fen),
    )
    legs = [
        Leg(
            id=saga.fact_id(what),
            debit=deposit,
            credit=wallets[party],
            amount_fen=amount_fen,
            code=settlement_pb2.TRANSFER_CODE_LEASE_DEPOSIT_CHARGE
            if party == lessor
            else settlement_pb2.TRANSFER_CODE_LEASE_DEPOSIT_REFUND,
            purpose=saga.subject,
            payer=saga.subject,
            memo=what,
        )
        for what, party, amount_fen in parts
    ]
    await post(runtime.peers, legs, txn=saga.fact_id("chain"))
    return {}


async def _inspect(tx: Transaction, saga: Saga) -> None:
    """Write the inspection, and invoice what the deposit did not cover."""
    inspection = _inspection(saga)
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "inspect", subject=lease.name)
    short_fen = inspection.charges_fen - inspection.charged_fen
    if short_fen:
        claim = invoice(
            lease,
            ClaimKind.RETURN_CHARGES,
            creditor=lease.terms.lessor,
            amount_fen=short_fen,
            reference=lease.name,
            at=tx.now,
            claim_id=parse_name(inspection.claim, "claims"),
        )
        await claim_store.insert_claim(tx.connection, claim)
    use = inspection.use
    lease = await announce(
        tx,
        replace(
            lease,
            state=step.target,
            inspection=inspection,
            deposit_held_fen=inspection.held_fen,
        ),
        events.ReturnInspected,
        hours_meter=None if use.last is None else wire.decimal(use.last),
        excess_hours=wire.decimal(use.excess),
        excess_charge=wire.money(use.charge_fen),
        damage_charge=wire.money(inspection.damage_fen),
        deposit_charged=wire.money(inspection.charged_fen),
        deposit_refund=wire.money(inspection.refund_fen),
        claim=inspection.claim,
        claimed=wire.money(short_fen),
        condition=lease.return_condition,
        **sides(lease),
    )
    await end(tx, lease)


def _inspection(saga: Saga) -> Inspection:
    inspection = inspection_of(saga.facts["inspection"])
    assert inspection is not None, f"{saga.name} keeps an inspection"
    return inspection


INSPECTION = SagaKind(
    kind="lease_inspection",
    steps=(Step("post", call=_post, apply=_inspect),),
    answer=answer_lease,
    on_refused=end_refused,
)
