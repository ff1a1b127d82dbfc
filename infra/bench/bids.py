"""What a storm of bids on one lot costs beside an empty echo.

Each storm has a lot of its own and bids for it from 32 callers of eight bidders, each at once again
when it is answered. In the first every price is called twice, so that one bid is accepted and one
refused as too low; in the second every bid is above those before it, so that nearly all are
accepted, which costs most. What the lot holds afterwards is held against what was answered.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from ironloop.marketplace.v1 import offers_pb2
from rich.progress import Progress

from infra.bench import echo
from infra.bench.bids_lab import SERVICE, BidsLab, open_bids_lab
from infra.bench.load import calls_per_second
from infra.bench.report import Figure
from services.kit import wire
from services.kit.ids import new_id

ROUNDS = 7
SECONDS = 2.0
IN_FLIGHT = 32
WARM_CALLS = 200
STEP_FEN = 10_000 * 100  # the widest increment of the table
PATH = "/ironloop.marketplace.v1.AuctionService/PlaceBid"


@dataclass(slots=True)
class Round:
    """What one round measured.

    Attributes:
        contested: Calls per second where every price is called twice.
        rising: Calls per second where every bid is above those before it.
        accepted_share: Of the contested bids.
    """

    echo: float
    contested: float
    rising: float
    accepted_share: float


async def measure() -> list[Figure]:
    """Measure everything; takes about a minute."""
    with Progress(transient=True) as progress:
        task = progress.add_task("bids: starting servers", total=1 + ROUNDS)
        async with (
            open_bids_lab() as lab,
            lab.lab.channel("echo") as nothing,
            lab.lab.channel(SERVICE) as marketplace,
        ):
            await _storm(lab, marketplace, _rising(), calls=WARM_CALLS)
            progress.update(task, advance=1, description="bids: a storm on one lot")
            rounds = []
            for _ in range(ROUNDS):
                echoed = await calls_per_second(
                    nothing,
                    echo.PATH,
                    requests=bytes,
                    metadata=(),
                    in_flight=IN_FLIGHT,
                    seconds=SECONDS,
                )
                contested, share = await _storm(lab, marketplace, _contested())
                rising, _ = await _storm(lab, marketplace, _rising())
                rounds.append(Round(echoed, contested, rising, share))
                progress.advance(task)
    contested_ratios = [one.contested / one.echo for one in rounds]
    rising_ratios = [one.rising / one.echo for one in rounds]
    return [
        Figure("bids_over_echo", "ratio", contested_ratios, must=0.15, aim=0.3),
        Figure("accepted_bids_over_echo", "ratio", rising_ratios, must=0.15),
        Figure("bids", "calls/s", [one.contested for one in rounds]),
        Figure("accepted_bids", "calls/s", [one.rising for one in rounds]),
        Figure("accepted_of_bids", "ratio", [one.accepted_share for one in rounds]),
        Figure("bids_echo", "calls/s", [one.echo for one in rounds]),
    ]


def _rising() -> Callable[[], int]:
    """Return what gives amounts that rise by the widest increment."""
    amounts = itertools.count(STEP_FEN, STEP_FEN)
    return lambda: next(amounts)


def _contested() -> Callable[[], int]:
    """Return what gives each amount twice."""
    places = itertools.count(2)
    return lambda: STEP_FEN * (next(places) // 2)


async def _storm(
    lab: BidsLab, marketplace: grpc.aio.Channel, amount_of: Callable[[], int], *, calls: int = 0
) -> tuple[float, float]:
    """Bid for a new lot; return calls per second and the share that was accepted.

    Raises:
        AssertionError: The lot does not hold exactly the bids that were answered.
    """
    auction = await lab.new_lot()
    bid: Any = marketplace.unary_unary(PATH, response_deserializer=offers_pb2.Bid.FromString)
    started_s = time.perf_counter()
    ends_s = started_s + SECONDS
    left = itertools.count(calls, -1) if calls else itertools.repeat(1)
    sequences: list[int] = []
    refused: list[int] = []

    async def caller(number: int) -> None:
        metadata = [("authorization", f"Bearer {lab.tokens[number % len(lab.tokens)]}")]
        while next(left) > 0 and (calls or time.perf_counter() < ends_s):
            request = offers_pb2.PlaceBidRequest(
                request_id=str(new_id()), auction=auction, amount=wire.money(amount_of())
            ).SerializeToString()
            try:
                sequences.append((await bid(request, metadata=metadata)).sequence)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.FAILED_PRECONDITION, error
                refused.append(1)

    await asyncio.gather(*(caller(number) for number in range(IN_FLIGHT)))
    took_s = time.perf_counter() - started_s
    answered = len(sequences) + len(refused)
    decided, accepted, last = await lab.bids_of(auction)
    assert decided == last == answered, f"{decided} bids of {answered} calls, the last is {last}"
    assert accepted == len(sequences) == len(set(sequences)), "a bid is lost or doubled"
    return answered / took_s, accepted / answered
