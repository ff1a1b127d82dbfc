"""What becomes of sold instalments when their lease changes or a service is away."""

import asyncio
from typing import Any

from ironloop.finance.v1 import receivables_pb2
from ironloop.leasing.v1 import leasing_events_pb2, leasing_pb2

from services.finance import consumers
from services.kit import wire
from services.leasing.definition import DEFINITION as LEASING
from tests.integration.finance.leases import Rental, accept, cancel, leasing, receivables
from tests.integration.finance.lending import Lending, eventually, fen, insisted, rid
from tests.integration.finance.watching import hear
from tests.support.refusals import refused

PLENTY_FEN = 2_000_000_00


async def test_a_prepaid_lease_is_signed_anew_and_its_open_offer_ends(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder()
    await rental.confirm(1, 3)
    before = await rental.receivables()
    offer = await rental.offer(funder, 3, 3)

    await leasing(rental.lessee).PrepayLease(
        leasing_pb2.PrepayLeaseRequest(
            request_id=rid(), name=rental.lease, principal=wire.money(100_000_00)
        )
    )

    await eventually(rental.states, ["CREATED"] * 6)
    after = await rental.receivables()
    assert all(fen(new.amount) < fen(old.amount) for new, old in zip(after, before, strict=True))
    seen = await receivables(funder).GetFactoring(
        receivables_pb2.GetFactoringRequest(name=offer.name)
    )
    assert seen.state == receivables_pb2.FACTORING_STATE_CANCELLED


async def test_a_buyout_closes_what_is_left_and_settles_the_factoring(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(4, 6)
    sold = await accept(funder, await rental.offer(funder, 4, 6))

    await leasing(rental.lessee).QuoteBuyout(
        leasing_pb2.QuoteBuyoutRequest(request_id=rid(), name=rental.lease)
    )
    await leasing(rental.lessee).BuyOutLease(
        leasing_pb2.BuyOutLeaseRequest(request_id=rid(), name=rental.lease)
    )

    await eventually(rental.states, ["SETTLED"] * 6)
    seen = await receivables(funder).GetFactoring(
        receivables_pb2.GetFactoringRequest(name=sold.name)
    )
    assert seen.state == receivables_pb2.FACTORING_STATE_SETTLED


async def test_what_a_lease_ends_with_is_owed_no_more(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 6)
    sold = await accept(funder, await rental.offer(funder, 4, 5))
    open_offer = await rental.offer(funder, 6, 6)
    ends: list[tuple[Any, Any, list[int]]] = [
        (
            consumers.close_written_off,
            leasing_events_pb2.InstalmentWrittenOff(lease=rental.lease, number=1),
            [1],
        ),
        (
            consumers.close_disposed,
            leasing_events_pb2.DisposalSettled(
                lease=rental.lease,
                shares=[leasing_events_pb2.OwnerShare(owner=funder.party, numbers=[4, 5])],
            ),
            [1, 4, 5],
        ),
        (
            consumers.close_receivables,
            leasing_events_pb2.LeaseClosed(lease=rental.lease),
            [1, 2, 3, 4, 5, 6],
        ),
    ]
    for handler, event, settled in ends:
        await hear(factoring, handler, event)
        states = await rental.states()
        assert [n for n, state in enumerate(states, start=1) if state == "SETTLED"] == settled

    async def state(factoring_name: str) -> int:
        seen = await receivables(funder).GetFactoring(
            receivables_pb2.GetFactoringRequest(name=factoring_name)
        )
        return seen.state

    assert await state(sold.name) == receivables_pb2.FACTORING_STATE_SETTLED
    assert await state(open_offer.name) == receivables_pb2.FACTORING_STATE_CANCELLED


async def test_a_service_away_while_assigning_is_waited_for(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 2)
    offer = await rental.offer(funder, 1, 2)
    request = receivables_pb2.AcceptFactoringRequest(request_id=rid(), name=offer.name)

    await factoring.world.stop("leasing")
    call = asyncio.ensure_future(receivables(funder).AcceptFactoring(request))
    with refused("FACTORING_BUSY"):
        await _until_busy(factoring, rental, offer)
    await factoring.world.start(LEASING)
    sold = await insisted(lambda: call)

    assert sold.state == receivables_pb2.FACTORING_STATE_FUNDED
    assert await insisted(rental.owners) == [funder.party] * 2 + [rental.lessor.party] * 4
    assert await factoring.balance(funder) == PLENTY_FEN - fen(offer.price)


async def _until_busy(lending: Lending, rental: Rental, offer: receivables_pb2.Factoring) -> None:
    async def held() -> bool:
        async with lending.world.running["finance"].runtime.database.read() as connection:
            return bool(
                await connection.fetchval(
                    "select held_by <> '' from factoring where 'factorings/' || id = $1",
                    offer.name,
                )
            )

    await eventually(held, True)
    await cancel(rental.lessor, offer)
