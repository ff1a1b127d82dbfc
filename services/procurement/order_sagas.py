"""Orders across services: creation, funding, delivery, and the way back of money and machines."""

from uuid import UUID

from google.protobuf.message import Message
from ironloop.marketplace.v1 import machines_pb2
from ironloop.settlement.v1 import settlement_pb2

from services.kit import wire
from services.kit.calendar import CHINA
from services.kit.clients import PeerRefused
from services.kit.errors import NotFound
from services.kit.postings import Leg, open_account, open_wallets, post
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction
from services.procurement import clients, policy_store, unwind_handlers
from services.procurement import order_handlers as handlers
from services.procurement.errors import DisposalSoldAlone, PriceChanged, SellersDiffer
from services.procurement.order_model import Address, Document, Order, OrderLine, Origin
from services.procurement.order_wire import order_to_wire


def order_id_of(saga: Saga) -> UUID:
    """Return the id of the order that a saga works for."""
    return UUID(saga.subject.removeprefix("orders/"))


async def answer_order(tx: Transaction, saga: Saga) -> Message:
    """Answer the order as it is when its saga is done."""
    return order_to_wire(await handlers.lock(tx, order_id_of(saga)))


async def reserve_listings(runtime: Runtime, saga: Saga) -> Facts:
    """Reserve every listing of a new order, and check what only marketplace knows.

    Raises:
        PeerRefused: A listing cannot be reserved.
        SellersDiffer, DisposalSoldAlone, PriceChanged: As they say.
    """
    listings = await clients.all_of(
        clients.reserve_listing(
            runtime, saga, listing, order=saga.subject, buyer=saga.facts["buyer"]
        )
        for listing in saga.facts["listings"]
    )
    sellers = sorted({listing.seller for listing in listings})
    if len(sellers) > 1:
        raise SellersDiffer(sellers)
    prices = [
        wire.fen(listing.agreed_price, field="agreed_price", positive=True) for listing in listings
    ]
    expected = saga.facts["expected_total_fen"]
    disposals = [listing.disposal for listing in listings if listing.disposal]
    if disposals and len(listings) > 1:
        raise DisposalSoldAlone(disposals[0])
    if expected is not None and expected != sum(prices):
        raise PriceChanged(expected, sum(prices))
    return {
        "seller": sellers[0],
        "disposal": disposals[0] if disposals else "",
        "region": listings[0].region,
        "lines": [
            [listing.machine, listing.name, price]
            for listing, price in zip(listings, prices, strict=True)
        ],
    }


async def release_listings(runtime: Runtime, saga: Saga) -> None:
    """Let go of every listing of an order that was not made, those never reserved included."""
    for listing in saga.facts["listings"]:
        try:
            await clients.release_listing(runtime, saga, listing, order=saga.subject)
        except PeerRefused as refusal:
            if refusal.code is not NotFound.code:
                raise


async def write_order(tx: Transaction, saga: Saga) -> None:
    """Write the order whose listings are reserved."""
    await create_reserved(tx, saga, address=Address(**saga.facts["address"]))


async def create_reserved(
    tx: Transaction, saga: Saga, *, address: Address, auction: str = ""
) -> Order:
    """Write the order of a saga that has reserved its listings."""
    return await handlers.create_order(
        tx,
        order_id_of(saga),
        buyer=saga.facts["buyer"],
        seller=saga.facts["seller"],
        lines=[
            OrderLine(number=number, machine=machine, listing=listing, price_fen=price_fen)
            for number, (machine, listing, price_fen) in enumerate(saga.facts["lines"], start=1)
        ],
        address=address,
        policy=await policy_store.policy_in_force(tx.connection),
        origin=Origin(auction=auction, disposal=saga.facts["disposal"]),
    )


async def open_accounts(runtime: Runtime, saga: Saga) -> Facts:
    """Open the buyer's wallet and the order's escrow where they are not open."""
    buyer = saga.facts["buyer"]
    wallets = await open_wallets(runtime.peers, [buyer])
    escrow = await open_account(
        runtime.peers, settlement_pb2.ACCOUNT_KIND_ESCROW, reference=saga.subject
    )
    return {"wallet": wallets[buyer], "escrow": escrow}


async def pay_in(runtime: Runtime, saga: Saga) -> Facts:
    """Post journal J1: the buyer's wallet pays the total into the escrow.

    Raises:
        InsufficientFunds, TransferRefused: Nothing moved.
    """
    leg = Leg(
        id=saga.fact_id("fund"),
        debit=saga.facts["wallet"],
        credit=saga.facts["escrow"],
        amount_fen=saga.facts["total_fen"],
        code=settlement_pb2.TRANSFER_CODE_ESCROW_FUND,
        purpose=saga.subject,
        payer=saga.facts["buyer"],
    )
    await post(runtime.peers, [leg], txn=saga.fact_id("txn"), on_behalf_of=saga.actor)
    return {}


async def write_funded(tx: Transaction, saga: Saga) -> None:
    """Write that the money is in escrow."""
    await handlers.mark_funded(tx, order_id_of(saga), escrow=saga.facts["escrow"])


async def end_funded_win(runtime: Runtime, saga: Saga) -> Facts:
    """Release the deposit of a winner that has paid.

    Raises:
        HeldUp: Marketplace refused; the money is in escrow, so it is tried until it is done.
    """
    if auction := saga.facts["auction"]:
        async with until_done(f"deposit in {auction}"):
            await clients.settle_win(
                runtime, saga, auction, order=saga.subject, outcome=clients.WIN_FUNDED
            )
    return {}


async def end_lost_win(runtime: Runtime, saga: Saga) -> Facts:
    """Release the deposit of a winner whose order has ended, or leave it to the seller.

    Raises:
        HeldUp: As `end_funded_win`.
    """
    if auction := saga.facts["auction"]:
        async with until_done(f"deposit in {auction}"):
            await clients.settle_win(
                runtime, saga, auction, order=saga.subject, outcome=saga.facts["win_outcome"]
            )
    return {}


async def hand_to_buyer(runtime: Runtime, saga: Saga) -> Facts:
    """Make the buyer custodian of the machines; the order goes on holding them.

    Raises:
        PeerRefused: The order does not hold a machine any more.
    """
    await _hand_over(runtime, saga, custodian=saga.facts["buyer"])
    return {}


async def hand_back(runtime: Runtime, saga: Saga) -> None:
    """Make the seller custodian again of what the buyer was made custodian of."""
    for machine in saga.facts["machines"]:
        # A machine that the order does not hold was never handed over: nothing to take back.
        try:
            await clients.hand_over(
                runtime,
                saga,
                machine,
                order=saga.subject,
                custodian=saga.facts["seller"],
                custody=machines_pb2.CUSTODY_RESERVED,
            )
        except PeerRefused:
            continue


async def write_delivered(tx: Transaction, saga: Saga) -> None:
    """Write that the machines have arrived."""
    await handlers.mark_delivered(
        tx, order_id_of(saga), proof=Document(**saga.facts["proof"]), calendar=CHINA
    )


async def refund(runtime: Runtime, saga: Saga) -> Facts:
    """Pay the whole escrow back to the buyer, where the order was funded.

    Raises:
        TransferRefused: Nothing moved.
    """
    if not saga.facts["refund_fen"]:
        return {}
    buyer = saga.facts["buyer"]
    wallets = await open_wallets(runtime.peers, [buyer])
    leg = Leg(
        id=saga.fact_id("refund"),
        debit=saga.facts["escrow"],
        credit=wallets[buyer],
        amount_fen=saga.facts["refund_fen"],
        code=settlement_pb2.TRANSFER_CODE_ESCROW_REFUND,
        purpose=saga.subject,
        payer=saga.subject,
    )
    await post(runtime.peers, [leg], txn=saga.fact_id("txn"))
    return {}


async def take_back(runtime: Runtime, saga: Saga) -> Facts:
    """Make the seller custodian again of machines that the buyer had.

    Raises:
        HeldUp: Marketplace refused; the money is back already, so it is tried until it is done.
    """
    if saga.facts["command"] == "take_back":
        async with until_done("return of the machines"):
            await _hand_over(runtime, saga, custodian=saga.facts["seller"])
    return {}


async def let_go(runtime: Runtime, saga: Saga) -> Facts:
    """End the order's hold on the machines.

    Raises:
        HeldUp: As `take_back`.
    """
    async with until_done("release of the machines"):
        await clients.all_of(
            clients.release_listing(runtime, saga, listing, order=saga.subject)
            if listing
            else clients.release_machine(runtime, saga, machine, order=saga.subject)
            for machine, listing in saga.facts["lines"]
        )
    return {}


async def write_unwound(tx: Transaction, saga: Saga) -> None:
    """Write that the order is cancelled or returned."""
    await unwind_handlers.mark_unwound(
        tx,
        order_id_of(saga),
        command=saga.facts["command"],
        reason=saga.facts["reason"],
        resolver=saga.facts["resolver"],
    )


async def _hand_over(runtime: Runtime, saga: Saga, *, custodian: str) -> None:
    machines = saga.facts.get("machines") or [machine for machine, _ in saga.facts["lines"]]
    await clients.all_of(
        clients.hand_over(
            runtime,
            saga,
            machine,
            order=saga.subject,
            custodian=custodian,
            custody=machines_pb2.CUSTODY_RESERVED,
        )
        for machine in machines
    )


# A step that is refused half-way is not undone itself, so each kind that does more than one thing
# in a step begins with an empty step whose undo covers all of it.
ORDER_SAGAS = (
    SagaKind(
        handlers.CREATE_ORDER,
        (
            Step("begin", undo=release_listings),
            Step("reserve", call=reserve_listings, apply=write_order),
        ),
        answer=answer_order,
    ),
    SagaKind(
        handlers.FUND_ORDER,
        (
            Step("open_accounts", call=open_accounts),
            Step("pay_in", call=pay_in, apply=write_funded),
            Step("end_win", call=end_funded_win),
        ),
        answer=answer_order,
    ),
    SagaKind(
        handlers.DELIVER_ORDER,
        (
            Step("begin", undo=hand_back),
            Step("hand_over", call=hand_to_buyer, apply=write_delivered),
        ),
        answer=answer_order,
    ),
    SagaKind(
        unwind_handlers.UNWIND_ORDER,
        (
            Step("refund", call=refund),
            Step("take_back", call=take_back),
            Step("let_go", call=let_go, apply=write_unwound),
            Step("end_win", call=end_lost_win),
        ),
        answer=answer_order,
    ),
)
