"""Money posted at a real settlement, as every room posts it."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from services.kit.clients import Peers
from services.kit.ids import new_id
from services.kit.postings import (
    InsufficientFunds,
    Leg,
    TransferRefused,
    first_unrefused,
    open_account,
    open_wallets,
    post,
)
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.support.world import World

ALICE, BOB, CAROL = (f"parties/{new_id()}" for _ in range(3))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def peers(world: World) -> AsyncIterator[Peers]:
    """Return the way of a room to its peers."""
    await world.start(SETTLEMENT)
    addresses = world.settings_of("settlement")["peers"]
    opened = Peers(addresses, service="finance", secret="secret of finance")
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def wallets(peers: Peers) -> dict[str, str]:
    """Return three new wallets, in the first of them 10.00."""
    owners = [f"parties/{new_id()}" for _ in range(3)]
    opened = await open_wallets(peers, owners)
    bank = await open_account(peers, settlement_pb2.ACCOUNT_KIND_BANK)
    found = dict(zip((ALICE, BOB, CAROL), opened.values(), strict=True))
    await post(peers, [leg(bank, found[ALICE], 1_000)], txn=new_id())
    return found


def leg(debit: str, credit: str, amount_fen: int, *, leg_id: UUID | None = None) -> Leg:
    return Leg(
        id=leg_id or new_id(),
        debit=debit,
        credit=credit,
        amount_fen=amount_fen,
        code=settlement_pb2.TRANSFER_CODE_FUND_WALLET,
        purpose="orders/1",
        payer=ALICE,
    )


async def balances(peers: Peers, wallets: dict[str, str]) -> list[int]:
    stub = peers.stub("settlement", settlement_pb2_grpc.SettlementServiceStub)
    found = [
        await peers.call(stub.GetAccount, settlement_pb2.GetAccountRequest(name=wallet))
        for wallet in wallets.values()
    ]
    return [account.balance.units * 100 + account.balance.nanos // 10**7 for account in found]


async def test_an_account_is_opened_once_and_found_again(peers: Peers) -> None:
    once = await open_wallets(peers, [ALICE, BOB, ALICE])
    assert list(once) == [ALICE, BOB]
    assert await open_wallets(peers, (BOB,)) == {BOB: once[BOB]}
    assert await open_wallets(peers, []) == {}
    escrow = settlement_pb2.ACCOUNT_KIND_ESCROW
    opened = await open_account(peers, escrow, reference="orders/1")
    assert await open_account(peers, escrow, reference="orders/1") == opened
    assert await open_account(peers, escrow, reference="orders/2") != opened


async def test_a_chain_posted_again_moves_money_once(peers: Peers, wallets: dict[str, str]) -> None:
    legs = [
        leg(wallets[ALICE], wallets[BOB], 600),
        leg(wallets[ALICE], wallets[CAROL], 0),
        leg(wallets[BOB], wallets[CAROL], 50),
    ]
    txn = new_id()
    for _ in range(2):
        await post(peers, legs, txn=txn)
        assert await balances(peers, wallets) == [400, 550, 50]


async def test_a_chain_of_nothing_asks_nobody(wallets: dict[str, str]) -> None:
    nobody = Peers({}, service="finance", secret="")
    await post(nobody, [leg(wallets[ALICE], wallets[BOB], 0)], txn=new_id())
    await post(nobody, [], txn=new_id())


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_the_leg_that_broke_the_chain_is_named(
    peers: Peers, wallets: dict[str, str], place: int
) -> None:
    legs = [leg(wallets[ALICE], wallets[BOB], 1) for _ in range(3)]
    legs[place] = leg(wallets[ALICE], wallets[BOB], 123_456)
    with pytest.raises(InsufficientFunds) as refused:
        await post(peers, legs, txn=new_id())
    assert "1,234.56 CNY" in refused.value.message
    assert refused.value.subject == ALICE
    assert refused.value.metadata["amount_fen"] == "123456"
    assert await balances(peers, wallets) == [1_000, 0, 0]


async def test_another_refusal_says_what_settlement_said(
    peers: Peers, wallets: dict[str, str]
) -> None:
    with pytest.raises(TransferRefused) as refused:
        await post(peers, [leg(wallets[ALICE], wallets[ALICE], 1)], txn=new_id())
    assert refused.value.metadata["leg"] == "FUND_WALLET"
    assert refused.value.metadata["code"] == "SAME_ACCOUNT"
    assert refused.value.subject == "orders/1"


@pytest.mark.parametrize("refusals", range(8))
async def test_what_must_be_paid_goes_on_with_the_first_attempt_that_was_not_refused(
    peers: Peers, wallets: dict[str, str], refusals: int
) -> None:
    ids = [[new_id(), new_id()] for _ in range(2 * refusals + 2)]

    def legs(attempt: int) -> list[Leg]:
        first, second = ids[attempt]
        return [
            leg(wallets[BOB], wallets[CAROL], 5, leg_id=first),
            leg(wallets[BOB], wallets[CAROL], 5, leg_id=second),
        ]

    for attempt in range(1, refusals + 1):
        assert await first_unrefused(peers, lambda attempt: ids[attempt]) == attempt
        with pytest.raises(InsufficientFunds):
            await post(peers, legs(attempt), txn=new_id())
    await post(peers, [leg(wallets[ALICE], wallets[BOB], 15)], txn=new_id())
    txn = new_id()
    for _ in range(2):  # paid once, however often it is asked for
        attempt = await first_unrefused(peers, lambda attempt: ids[attempt])
        assert attempt == refusals + 1
        await post(peers, legs(attempt), txn=txn)
    assert await balances(peers, wallets) == [985, 5, 10]
