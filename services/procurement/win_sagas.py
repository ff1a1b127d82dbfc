"""The order of an auction's winner: made and confirmed at the winning bid, without being asked for.

The auction has decided buyer, seller and price, so nobody is left to confirm them. The lot is sold
where it stands (ADR 0211). Where the order cannot be made, what the win holds is let go.
"""

from services.kit.ids import name, new_id
from services.kit.runtime import Runtime
from services.kit.sagas import Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.procurement import clients
from services.procurement import order_handlers as handlers
from services.procurement.order_model import Address
from services.procurement.order_sagas import create_reserved, release_listings, reserve_listings

ORDER_WIN = "order_win"

COUNTRY = "CN"  # where lots stand for now
AT_THE_LOT = "ex works: where the lot stands"


async def begin_win(
    tx: Transaction, *, auction: str, listing: str, winner: str, high_fen: int
) -> None:
    """Begin to order what a party has won."""
    await tx.start_saga(
        ORDER_WIN,
        name("orders", new_id()),
        facts={
            "buyer": winner,
            "listings": [listing],
            "auction": auction,
            "expected_total_fen": high_fen,
        },
    )


async def write_win(tx: Transaction, saga: Saga) -> None:
    """Write the winner's order as confirmed; its time to be paid begins."""
    region = saga.facts["region"]
    address = Address(
        recipient=saga.facts["buyer"],
        street=AT_THE_LOT,
        city=region,
        region=region,
        postal_code="",
        country_code=COUNTRY,
    )
    order = await create_reserved(tx, saga, address=address, auction=saga.facts["auction"])
    await handlers.confirm_order(tx, order)


async def let_go(runtime: Runtime, saga: Saga) -> None:
    """Let go of the listing, of the winner's deposit and of the machine."""
    await release_listings(runtime, saga)
    await clients.settle_win(
        runtime, saga, saga.facts["auction"], order=saga.subject, outcome=clients.WIN_VOID
    )


WIN_SAGA = SagaKind(
    ORDER_WIN,
    (Step("begin", undo=let_go), Step("reserve", call=reserve_listings, apply=write_win)),
)
