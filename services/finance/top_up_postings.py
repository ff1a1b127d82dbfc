"""The transfers of top-ups: held in the borrower's wallet, given free, or taken by the funder."""

from collections.abc import Sequence
from uuid import UUID

from ironloop.settlement.v1 import settlement_pb2

from services.finance import top_up_store
from services.finance.draw_model import Draw
from services.finance.money_legs import Wallets
from services.finance.top_up_model import TopUp
from services.kit.ids import fact_id
from services.kit.postings import Leg, post
from services.kit.runtime import Runtime
from services.kit.sagas import until_done

_OF_THE_HOLD = "accounts/0"  # what resolves a hold takes its accounts from it


async def hold(
    runtime: Runtime, draw: Draw, *, hold_id: UUID, amount_fen: int, wallets: Wallets
) -> None:
    """Hold cash in a borrower's wallet for its funder.

    Raises:
        InsufficientFunds, TransferRefused: Settlement refused.
    """
    leg = Leg(
        id=hold_id,
        payer=draw.borrower,
        debit=wallets[draw.borrower],
        credit=wallets[draw.funder],
        amount_fen=amount_fen,
        code=settlement_pb2.TRANSFER_CODE_DRAW_REPAYMENT,
        purpose=draw.name,
        memo="top-up of collateral",
        kind=settlement_pb2.TRANSFER_KIND_PENDING,
    )
    await post(runtime.peers, [leg], txn=hold_id)


async def release(runtime: Runtime, draw: Draw) -> None:
    """Give all that is held for a draw free, until it is done.

    Raises:
        HeldUp: Settlement refused.
    """
    async with runtime.database.read() as connection:
        held = await top_up_store.list_held(connection, draw.id)
    for top_up in held:
        leg = _resolving(top_up, draw, "release", amount_fen=top_up.amount_fen)
        async with until_done(f"release of {top_up.name}"):
            await post(runtime.peers, [leg], txn=leg.id)


async def take(runtime: Runtime, draw: Draw, owed_fen: int) -> Sequence[tuple[TopUp, int, UUID]]:
    """Post what is held for a draw to its funder as far as it is owed; give the rest free.

    Returns:
        Each top-up, what of it was taken, and the transfer that took it.

    Raises:
        HeldUp: Settlement refused.
    """
    async with runtime.database.read() as connection:
        held = await top_up_store.list_held(connection, draw.id)
    taken = []
    for top_up in held:
        amount_fen = min(top_up.amount_fen, owed_fen)
        owed_fen -= amount_fen
        step = "take" if amount_fen else "release"
        leg = _resolving(top_up, draw, step, amount_fen=amount_fen or top_up.amount_fen)
        async with until_done(f"{step} of {top_up.name}"):
            await post(runtime.peers, [leg], txn=leg.id)
        taken.append((top_up, amount_fen, leg.id))
    return taken


def _resolving(top_up: TopUp, draw: Draw, step: str, *, amount_fen: int) -> Leg:
    is_take = step == "take"
    return Leg(
        id=fact_id(top_up.create_time, top_up.name, step),
        payer=draw.borrower,
        debit=_OF_THE_HOLD,
        credit=_OF_THE_HOLD,
        amount_fen=amount_fen,
        code=settlement_pb2.TRANSFER_CODE_DRAW_REPAYMENT,
        purpose=draw.name,
        memo="top-up of collateral",
        kind=(
            settlement_pb2.TRANSFER_KIND_POST_PENDING
            if is_take
            else settlement_pb2.TRANSFER_KIND_VOID_PENDING
        ),
        pending_id=top_up.hold_id,
    )
