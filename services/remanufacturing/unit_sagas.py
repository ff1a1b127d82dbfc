"""Units across services: how one gets into a machine's record, and how one is sold."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from google.protobuf.message import Message
from ironloop.settlement.v1 import settlement_pb2

from services.kit.errors import DomainError
from services.kit.postings import Leg, open_wallets, post
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.remanufacturing import clients
from services.remanufacturing import unit_handlers as handlers
from services.remanufacturing.unit_model import Installation
from services.remanufacturing.unit_wire import unit_to_wire


async def record_component(runtime: Runtime, saga: Saga) -> Facts:
    """Have marketplace take the unit into the machine's record.

    Raises:
        PeerRefused: It refuses; the unit stays reserved.
    """
    if saga.facts["is_done"]:
        return {}
    identity, title_holder = await clients.record_component(
        runtime,
        saga,
        _installation(saga),
        component=saga.facts["component"],
        reman_class=saga.facts["reman_class"],
        label_no=saga.facts["label_no"],
        serial_number=saga.facts["serial_number"],
    )
    return {"identity": identity, "title_holder": title_holder}


async def write_installed(tx: Transaction, saga: Saga) -> None:
    """Write that the unit is in the machine."""
    if saga.facts["is_done"]:
        return
    await handlers.mark_installed(
        tx,
        _id_of(saga),
        _installation(saga),
        identity=saga.facts["identity"],
        title_holder=saga.facts["title_holder"],
    )


async def open_wallets_of_both(runtime: Runtime, saga: Saga) -> Facts:
    """Open the wallets of buyer and remanufacturer where they are not open."""
    buyer, remanufacturer = saga.facts["buyer"], saga.facts["remanufacturer"]
    wallets = await open_wallets(runtime.peers, [buyer, remanufacturer])
    return {"debit": wallets[buyer], "credit": wallets[remanufacturer]}


async def pay_price(runtime: Runtime, saga: Saga) -> Facts:
    """Pay a unit's price from the buyer's wallet to the remanufacturer's.

    Raises:
        InsufficientFunds, TransferRefused: Nothing moved.
    """
    leg = Leg(
        id=saga.fact_id("price"),
        debit=saga.facts["debit"],
        credit=saga.facts["credit"],
        amount_fen=saga.facts["price_fen"],
        code=settlement_pb2.TRANSFER_CODE_UNIT_SALE,
        purpose=saga.subject,
        payer=saga.facts["buyer"],
    )
    await post(runtime.peers, [leg], txn=saga.fact_id("txn"), on_behalf_of=saga.actor)
    return {}


async def write_sold(tx: Transaction, saga: Saga) -> None:
    """Write that the unit is the buyer's."""
    await handlers.mark_sold(tx, _id_of(saga), buyer=saga.facts["buyer"])


async def put_back(tx: Transaction, saga: Saga, _refusal: DomainError) -> None:
    """Put the unit back in stock whose price was not paid."""
    await handlers.give_up_purchase(tx, _id_of(saga))


async def answer_unit(tx: Transaction, saga: Saga) -> Message:
    """Answer the unit as it is when its saga is done."""
    return unit_to_wire(await handlers.lock(tx, _id_of(saga)))


def _id_of(saga: Saga) -> UUID:
    return UUID(saga.subject.removeprefix("units/"))


def _installation(saga: Saga) -> Installation:
    stored = saga.facts["installation"]
    return Installation(
        **{
            **stored,
            "installed_on": date.fromisoformat(stored["installed_on"]),
            "hours": Decimal(stored["hours"]),
        }
    )


UNIT_SAGAS = (
    SagaKind(
        handlers.INSTALL_UNIT,
        (Step("record_component", call=record_component, apply=write_installed),),
        answer=answer_unit,
    ),
    SagaKind(
        handlers.BUY_UNIT,
        (
            Step("open_wallets", call=open_wallets_of_both),
            Step("pay_price", call=pay_price, apply=write_sold),
        ),
        answer=answer_unit,
        on_refused=put_back,
    ),
)
