"""Steps of work orders across services: the machine into the shop and back, and the invoice."""

from dataclasses import asdict, replace
from uuid import UUID

from google.protobuf.message import Message
from ironloop.settlement.v1 import settlement_pb2

from services.kit.ids import parse_name
from services.kit.postings import Leg, open_wallets, post
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction
from services.maintenance import completion_handlers as completions
from services.maintenance import shop_clients, work_order_store
from services.maintenance.work_lifecycle import WORK_ORDER
from services.maintenance.work_order_handlers import START_WORK, lock, save
from services.maintenance.work_order_model import Held
from services.maintenance.work_order_wire import work_order_to_wire


async def read_custody(runtime: Runtime, saga: Saga) -> Facts:
    """Learn how the machine is held, so that it goes back the same way."""
    if not saga.facts["in_shop"]:
        return {}
    return {"held": asdict(await shop_clients.custody_of(runtime, saga.facts["machine"]))}


async def note_custody(tx: Transaction, saga: Saga) -> None:
    """Keep how the machine was held with the order, before it is handed over."""
    if saga.facts["in_shop"]:
        _, order = await lock(tx, order_id_of(saga))
        kept = replace(order, held_before=Held(**saga.facts["held"]))
        await work_order_store.update_work_order(tx.connection, kept)


async def take_in(runtime: Runtime, saga: Saga) -> Facts:
    """Take the machine into the shop.

    Raises:
        PeerRefused: It is reserved, or in a shop, or scrapped; the work does not begin.
    """
    if saga.facts["in_shop"]:
        facts = saga.facts
        await shop_clients.take_in(runtime, saga, facts["machine"], workshop=facts["workshop"])
    return {}


async def write_started(tx: Transaction, saga: Saga) -> None:
    """Write that work has begun."""
    _, order = await lock(tx, order_id_of(saga))
    step = WORK_ORDER.next(order.state, "start", subject=order.name)
    await save(tx, order, order.moved(step, at=tx.now, in_shop=saga.facts["in_shop"]))


async def write_verified(tx: Transaction, saga: Saga) -> None:
    """Write who verified the work."""
    await completions.mark_verified(tx, order_id_of(saga), verifier=saga.facts["verifier"])


async def write_cancelled(tx: Transaction, saga: Saga) -> None:
    """Write why the order was given up."""
    await completions.mark_cancelled(tx, order_id_of(saga), reason=saga.facts["reason"])


async def give_back(runtime: Runtime, saga: Saga) -> Facts:
    """Hand a machine in the shop back to who had it.

    Raises:
        HeldUp: The register refused; the order has ended, so it is tried until it is done.
    """
    async with runtime.database.read() as connection:
        order = await work_order_store.find_work_order(
            connection, order_id_of(saga), viewer=principal()
        )
    assert order is not None, "no work order is deleted"
    if order.in_shop and order.held_before is not None:
        async with until_done(f"hand-over of {order.machine}"):
            await shop_clients.give_back(runtime, saga, order.machine, held=order.held_before)
    return {}


async def write_out_of_shop(tx: Transaction, saga: Saga) -> None:
    """Write that the machine has left the shop."""
    await completions.mark_out_of_shop(tx, order_id_of(saga))


async def open_accounts(runtime: Runtime, saga: Saga) -> Facts:
    """Open the wallets of everyone who pays or is paid."""
    facts = saga.facts
    parties = [facts["payer"], facts["workshop"], facts["unit_payer"]]
    parties += [unit["remanufacturer"] for unit in facts["units"]]
    return {"wallets": await open_wallets(runtime.peers, parties)}


async def pay(runtime: Runtime, saga: Saga) -> Facts:
    """Post the invoice as one linked chain.

    Raises:
        InsufficientFunds, TransferRefused: Nothing moved; the order stays VERIFIED.
    """
    legs = invoice_legs(saga)
    await post(runtime.peers, legs, txn=saga.fact_id("txn"))
    return {"is_paid": any(leg.amount_fen for leg in legs)}


def invoice_legs(saga: Saga) -> list[Leg]:
    """Return the legs of an invoice: the workshop's, and one for each unit's remanufacturer.

    Who is its own creditor pays nothing.
    """
    facts = saga.facts
    work, sale = settlement_pb2.TRANSFER_CODE_REPAIR, settlement_pb2.TRANSFER_CODE_UNIT_SALE
    owed = [("work", facts["payer"], facts["workshop"], facts["work_fen"], work, saga.subject)]
    owed += [
        (
            f"unit/{unit['exchange']}",
            facts["unit_payer"],
            unit["remanufacturer"],
            unit["amount_fen"],
            sale,
            unit["exchange"],
        )
        for unit in facts["units"]
    ]
    return [
        Leg(
            id=saga.fact_id(leg),
            debit=facts["wallets"][payer],
            credit=facts["wallets"][payee],
            amount_fen=amount_fen,
            code=code,
            purpose=purpose,
            payer=payer,
        )
        for leg, payer, payee, amount_fen, code, purpose in owed
        if payer != payee
    ]


async def write_invoiced(tx: Transaction, saga: Saga) -> None:
    """Write that the order is paid."""
    txn = saga.fact_id("txn") if saga.facts["is_paid"] else None
    await completions.mark_invoiced(tx, order_id_of(saga), txn=txn)


async def answer_order(tx: Transaction, saga: Saga) -> Message:
    """Answer the order as it stands."""
    order = await work_order_store.lock_work_order(tx.connection, order_id_of(saga))
    assert order is not None, "no work order is deleted"
    return work_order_to_wire(order)


def order_id_of(saga: Saga) -> UUID:
    """Return the id of the work order that a saga works on."""
    return parse_name(saga.subject, "workOrders")


WORK_ORDER_SAGAS = (
    SagaKind(
        START_WORK,
        (
            Step("read_custody", call=read_custody, apply=note_custody),
            Step("take_in", call=take_in, apply=write_started),
        ),
        answer=answer_order,
    ),
    SagaKind(
        completions.VERIFY_WORK,
        (
            Step("verify", apply=write_verified),
            Step("give_back", call=give_back, apply=write_out_of_shop),
        ),
        answer=answer_order,
    ),
    SagaKind(
        completions.INVOICE_WORK,
        (
            Step("open_accounts", call=open_accounts),
            Step("pay", call=pay, apply=write_invoiced),
        ),
        answer=answer_order,
    ),
    SagaKind(
        completions.CANCEL_WORK,
        (
            Step("cancel", apply=write_cancelled),
            Step("give_back", call=give_back, apply=write_out_of_shop),
        ),
        answer=answer_order,
    ),
)
