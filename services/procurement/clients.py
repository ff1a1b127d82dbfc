"""Calls to marketplace, finance and leasing; never inside a transaction.

What a user asks for and can still be refused is asked on the user's behalf. What must be done
once that is decided is asked in this service's own name: a saga may outlive its user's account.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from ironloop.finance.v1 import finance_pb2, finance_pb2_grpc
from ironloop.leasing.v1 import disposals_pb2, disposals_pb2_grpc
from ironloop.marketplace.v1 import (
    auctions_pb2,
    auctions_pb2_grpc,
    listings_pb2,
    listings_pb2_grpc,
    machines_pb2,
    machines_pb2_grpc,
)

from services.kit import wire
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.procurement.order_model import LienPayoff
from services.procurement.pool_model import MachineFacts

WIN_FUNDED, WIN_DEFAULTED, WIN_VOID = "FUNDED", "DEFAULTED", "VOID"  # how a win may end

CALLS_AT_ONCE_MAX = 16  # of the machines of one order or quote; more would crowd out other callers
# Longer than any order of a pool lives, and within what marketplace allows (400 days).
RESERVED_FOR = timedelta(days=365)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as the registry has it at this moment.

    Attributes:
        held_for: The order or lease that it is reserved for; empty where it is not.
    """

    facts: MachineFacts
    liens: tuple[str, ...]
    hours_meter: Decimal | None
    held_for: str


async def reserve_listing(
    runtime: Runtime, saga: Saga, listing: str, *, order: str, buyer: str
) -> listings_pb2.Listing:
    """Hold a listing for an order and return it, with the price that the buyer pays.

    Raises:
        PeerRefused: It cannot be reserved.
    """
    return await runtime.peers.call(
        _listings(runtime).ReserveListing,
        listings_pb2.ReserveListingRequest(
            request_id=saga.request_id(f"reserve/{listing}"),
            name=listing,
            order=order,
            buyer=buyer,
        ),
        on_behalf_of=saga.actor,
    )


async def release_listing(runtime: Runtime, saga: Saga, listing: str, *, order: str) -> None:
    """Publish a listing again that an order held; one that it does not hold stays as it is."""
    await runtime.peers.call(
        _listings(runtime).ReleaseListing,
        listings_pb2.ReleaseListingRequest(
            request_id=saga.retry_request_id(f"release/{listing}"), name=listing, order=order
        ),
    )


async def complete_listing_sale(runtime: Runtime, saga: Saga, listing: str, *, order: str) -> None:
    """Mark a listing as sold, which ends the machine's reservation."""
    await runtime.peers.call(
        _listings(runtime).CompleteListingSale,
        listings_pb2.CompleteListingSaleRequest(
            request_id=saga.retry_request_id(f"complete/{listing}"), name=listing, order=order
        ),
    )


async def settle_win(
    runtime: Runtime, saga: Saga, auction: str, *, order: str, outcome: str
) -> None:
    """End what an auction's win holds: the winner's deposit, and a machine no order took over.

    Args:
        outcome: `WIN_FUNDED`, `WIN_DEFAULTED` or `WIN_VOID`.
    """
    stub = runtime.peers.stub("marketplace", auctions_pb2_grpc.AuctionServiceStub)
    await runtime.peers.call(
        stub.SettleWin,
        auctions_pb2.SettleWinRequest(
            request_id=saga.retry_request_id(f"win/{outcome}"),
            auction=auction,
            order=order,
            outcome=wire.enum_number(auctions_pb2.WinOutcome, outcome, prefix="WIN_OUTCOME_"),
        ),
    )


async def settle_disposal(
    runtime: Runtime, saga: Saga, disposal: str, *, order: str, escrow: str, price_fen: int
) -> None:
    """Have leasing distribute a price from the order's escrow by the claims on the machine.

    Raises:
        PeerRefused: Nothing moved.
    """
    stub = runtime.peers.stub("leasing", disposals_pb2_grpc.DisposalServiceStub)
    await runtime.peers.call(
        stub.SettleDisposal,
        disposals_pb2.SettleDisposalRequest(
            request_id=saga.request_id("disposal"),
            disposal=disposal,
            order=order,
            escrow_account=escrow,
            price=wire.money(price_fen),
        ),
    )


async def get_machine(runtime: Runtime, machine: str) -> Machine:
    """Return a machine as the registry has it now.

    Raises:
        PeerRefused: There is none.
    """
    found = await runtime.peers.call(
        _machines(runtime).GetMachine, machines_pb2.GetMachineRequest(name=machine)
    )
    return Machine(
        facts=MachineFacts(
            name=found.name,
            make=found.make,
            model=found.model,
            equipment_class=wire.enum_name(
                machines_pb2.EquipmentClass, found.equipment_class, prefix="EQUIPMENT_CLASS_"
            ),
            build_year=found.build_year,
            title_holder=found.title_holder,
            is_available=found.custody == machines_pb2.CUSTODY_AVAILABLE
            and found.lifecycle
            in (
                machines_pb2.MACHINE_LIFECYCLE_REGISTERED,
                machines_pb2.MACHINE_LIFECYCLE_IN_SERVICE,
            ),
        ),
        liens=tuple(lien.name for lien in found.liens),
        hours_meter=Decimal(found.hours_meter.value) if found.HasField("hours_meter") else None,
        held_for=found.reservation.reference,
    )


async def reserve_machine(
    runtime: Runtime, saga: Saga, machine: str, *, order: str, buyer: str, from_time: datetime
) -> None:
    """Hold a machine for a pool's order.

    Raises:
        PeerRefused: It cannot be reserved.
    """
    await runtime.peers.call(
        _machines(runtime).ReserveMachine,
        machines_pb2.ReserveMachineRequest(
            request_id=saga.request_id(f"reserve/{machine}"),
            name=machine,
            reference=order,
            party=buyer,
            expire_time=wire.instant(from_time + RESERVED_FOR),
        ),
        on_behalf_of=saga.actor,
    )


async def release_machine(runtime: Runtime, saga: Saga, machine: str, *, order: str) -> None:
    """End an order's hold on a machine; where there is none, nothing changes."""
    await runtime.peers.call(
        _machines(runtime).ReleaseMachine,
        machines_pb2.ReleaseMachineRequest(
            request_id=saga.retry_request_id(f"release/{machine}"), name=machine, reference=order
        ),
    )


async def hand_over(
    runtime: Runtime,
    saga: Saga,
    machine: str,
    *,
    order: str,
    custodian: str,
    custody: machines_pb2.Custody.ValueType,
) -> None:
    """Make a party the custodian of a machine that an order holds.

    Raises:
        PeerRefused: The order does not hold it.
    """
    await runtime.peers.call(
        _machines(runtime).HandOverMachine,
        machines_pb2.HandOverMachineRequest(
            request_id=saga.retry_request_id(f"hand_over/{machine}/{custodian}/{custody}"),
            name=machine,
            custody=custody,
            custodian=custodian,
            reference=order,
        ),
    )


async def transfer_title(
    runtime: Runtime, saga: Saga, machine: str, *, order: str, seller: str, buyer: str
) -> None:
    """Move a machine's title from seller to buyer.

    Raises:
        PeerRefused: It is not the seller's, a lien is active, or something else holds it.
    """
    await runtime.peers.call(
        _machines(runtime).TransferTitle,
        machines_pb2.TransferTitleRequest(
            request_id=saga.retry_request_id(f"title/{machine}"),
            name=machine,
            from_party=seller,
            to_party=buyer,
            reference=order,
        ),
    )


async def quote_payoffs(runtime: Runtime, machine: str, *, as_of: date) -> list[LienPayoff]:
    """Return what frees a machine of its draws as of a business date.

    Raises:
        PeerRefused: Finance does not quote.
    """
    stub = runtime.peers.stub("finance", finance_pb2_grpc.FinanceServiceStub)
    answer = await runtime.peers.call(
        stub.QuotePayoff,
        finance_pb2.QuotePayoffRequest(machine=machine, as_of=wire.date(as_of)),
    )
    return [
        LienPayoff(
            machine=machine,
            lien=payoff.lien,
            draw=payoff.draw,
            amount_fen=wire.fen(payoff.amount, field="payoffs.amount"),
            account=payoff.pay_to_account,
        )
        for payoff in answer.payoffs
    ]


async def settle_payoff(runtime: Runtime, saga: Saga, *, draw: str, transfer_id: UUID) -> None:
    """Tell finance that a draw was paid off by a transfer; it releases the lien.

    Raises:
        PeerRefused: Finance does not take the transfer as the payoff.
    """
    stub = runtime.peers.stub("finance", finance_pb2_grpc.FinanceServiceStub)
    await runtime.peers.call(
        stub.SettlePayoff,
        finance_pb2.SettlePayoffRequest(
            request_id=saga.retry_request_id(f"payoff/{draw}"),
            draw=draw,
            transfer_id=str(transfer_id),
        ),
    )


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Make calls, a bounded number at once, and return their answers in order.

    Every call is answered before the first refusal is raised, so that what was done is known.
    """
    slots = asyncio.Semaphore(CALLS_AT_ONCE_MAX)

    async def one(call: Awaitable[T]) -> T:
        async with slots:
            return await call

    answers = await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)
    # What was not answered is tried again first; only then is a refusal known to be the last word.
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    for failure in sorted(failures, key=lambda error: getattr(error, "is_definite", False)):
        raise failure
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def _listings(runtime: Runtime) -> "listings_pb2_grpc.ListingServiceAsyncStub":
    return runtime.peers.stub("marketplace", listings_pb2_grpc.ListingServiceStub)


def _machines(runtime: Runtime) -> "machines_pb2_grpc.MachineServiceAsyncStub":
    return runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
