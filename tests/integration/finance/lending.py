"""What finance's tests stand on: funders, borrowers, machines, wallets, offers and draws."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import grpc
from google.type import money_pb2
from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import finance_pb2, finance_pb2_grpc
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2

from infra.local.client import Actor
from services.finance.definition import DEFINITION
from services.kit import wire
from tests.integration.finance.valuer import Valuer
from tests.support import money
from tests.support.world import World

WITHIN_S = 30.0
POLL_S = 0.01
OF_THE_MOMENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)
WE_7_FEN = 462_400_00

T = TypeVar("T")


def rid() -> str:
    """Return a new request id."""
    return str(uuid4())


def fen(amount: money_pb2.Money) -> int:
    """Return an amount in fen, negative ones too."""
    amount_fen: int = amount.units * wire.FEN_PER_UNIT + amount.nanos // wire.NANOS_PER_FEN
    return amount_fen


def finance(actor: Actor) -> "finance_pb2_grpc.FinanceServiceAsyncStub":
    """Return the lending service as an actor calls it."""
    return actor.stub(finance_pb2_grpc.FinanceServiceStub)


def machines(actor: Actor) -> "machines_pb2_grpc.MachineServiceAsyncStub":
    """Return the registry as an actor calls it."""
    return actor.stub(machines_pb2_grpc.MachineServiceStub)


async def eventually(look: Callable[[], Awaitable[T]], expected: T) -> None:
    """Return once `look` sees what is expected.

    Raises:
        AssertionError: It still sees something else after half a minute.
    """
    deadline = time.monotonic() + WITHIN_S
    while (seen := await look()) != expected:
        assert time.monotonic() < deadline, f"still {seen}, not {expected}"
        await asyncio.sleep(POLL_S)


async def insisted(call: Callable[[], Awaitable[T]]) -> T:
    """Call again for as long as the refusal is one of the moment (UNAVAILABLE, ABORTED).

    Raises:
        AioRpcError: Another refusal, or still one of the moment after half a minute.
    """
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in OF_THE_MOMENT or time.monotonic() > deadline:
                raise
        await asyncio.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class Lending:
    """A world in which machines are lent on.

    Attributes:
        valuer: What values machines; None where the real service does.
    """

    world: World
    valuer: Valuer | None = None

    async def funder(self, *, fen: int = 0) -> Actor:
        """Register a funder, with money in its wallet."""
        funder = await self.world.party("FUNDER")
        if fen:
            await self.fund(funder, fen)
        return funder

    async def dealer(self) -> Actor:
        """Register a dealer: it owns machines, leases them out and borrows."""
        return await self.world.party("LESSOR", "SELLER")

    async def machine(self, owner: Actor, **facts: Any) -> str:
        """Register a machine of an owner and return its name."""
        stated = {
            "make": "Caterpillar",
            "model": "320D",
            "serial_number": secrets.token_hex(8),
            "equipment_class": machines_pb2.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR,
            "build_year": self.world.today().year - 3,
            "hours_meter": wire.decimal(Decimal(4_000)),
            "replacement_cost": wire.money(1_200_000_00),
        } | facts
        made = await machines(owner).CreateMachine(
            machines_pb2.CreateMachineRequest(
                request_id=rid(), facts=machines_pb2.MachineFacts(**stated)
            )
        )
        return made.name

    async def look_up(self, machine: str) -> machines_pb2.Machine:
        """Return a machine as the registry has it."""
        return await machines(self.world.operator).GetMachine(
            machines_pb2.GetMachineRequest(name=machine)
        )

    async def liens(self, machine: str) -> list[str]:
        """Return a machine's active liens."""
        return [lien.name for lien in (await self.look_up(machine)).liens]

    async def facility(
        self,
        funder: Actor,
        borrower: Actor,
        *,
        limit_fen: int = 1_000_000_00,
        day_count: common_pb2.DayCount.ValueType = common_pb2.DAY_COUNT_ACT_365F,
        **changes: Any,
    ) -> finance_pb2.Facility:
        """Grant a facility at WE-7's rate of 6.6 %."""
        stated: dict[str, Any] = {
            "request_id": rid(),
            "borrower": borrower.party,
            "limit": wire.money(limit_fen),
            "nominal_rate": wire.decimal(Decimal("0.066")),
            "day_count": day_count,
        }
        return await finance(funder).CreateFacility(
            finance_pb2.CreateFacilityRequest(**stated | changes)
        )

    async def headroom(self, facility: finance_pb2.Facility, viewer: Actor) -> dict[str, int]:
        """Return what a facility says of its use, in fen."""
        seen = await finance(viewer).GetFacility(finance_pb2.GetFacilityRequest(name=facility.name))
        return {
            "outstanding": fen(seen.outstanding),
            "reserved": fen(seen.reserved),
            "available": fen(seen.available),
        }

    async def request(
        self, borrower: Actor, facility: finance_pb2.Facility, machine: str, **changes: Any
    ) -> finance_pb2.Offer:
        """Ask for WE-7's offer."""
        return await finance(borrower).RequestOffer(self.wish(facility, machine, **changes))

    def wish(
        self, facility: finance_pb2.Facility, machine: str, **changes: Any
    ) -> finance_pb2.RequestOfferRequest:
        """Return the request for WE-7's offer."""
        stated: dict[str, Any] = {
            "request_id": rid(),
            "facility": facility.name,
            "machine": machine,
            "purchase_price": wire.money(780_000_00),
            "term_months": 36,
            "hours_per_year": 2_000,
        }
        return finance_pb2.RequestOfferRequest(**stated | changes)

    async def accepted(
        self, borrower: Actor, facility: finance_pb2.Facility, machine: str = "", **changes: Any
    ) -> finance_pb2.Offer:
        """Bring an offer as far as its acceptance."""
        machine = machine or await self.machine(borrower)
        offer = await self.request(borrower, facility, machine, **changes)
        return await finance(borrower).AcceptOffer(
            finance_pb2.AcceptOfferRequest(request_id=rid(), name=offer.name)
        )

    async def draw(self, borrower: Actor, offer: finance_pb2.Offer) -> finance_pb2.Draw:
        """Draw an accepted offer."""
        return await finance(borrower).DrawOffer(
            finance_pb2.DrawOfferRequest(request_id=rid(), name=offer.name)
        )

    async def drawn(
        self, funder: Actor, borrower: Actor, *, machine: str = "", **changes: Any
    ) -> finance_pb2.Draw:
        """Bring a draw of WE-7 as far as its payout, under a facility of its own."""
        facility = await self.facility(funder, borrower)
        return await self.draw(
            borrower, await self.accepted(borrower, facility, machine, **changes)
        )

    async def schedule(self, viewer: Actor, draw: str) -> list[finance_pb2.DrawInstalment]:
        """Return a draw's schedule."""
        seen = await finance(viewer).GetDrawSchedule(finance_pb2.GetDrawScheduleRequest(name=draw))
        return list(seen.instalments)

    async def payments(self, viewer: Actor, draw: str) -> list[finance_pb2.DrawPayment]:
        """Return a draw's payments, the newest first."""
        seen = await finance(viewer).ListDrawPayments(
            finance_pb2.ListDrawPaymentsRequest(draw=draw)
        )
        return list(seen.payments)

    async def see(self, viewer: Actor, draw: str) -> finance_pb2.Draw:
        """Return a draw."""
        return await finance(viewer).GetDraw(finance_pb2.GetDrawRequest(name=draw))

    async def events(self, key: str) -> list[Any]:
        """Return the events of an aggregate that wait in finance's outbox."""
        connection = await asyncpg.connect(self.world.dsn("finance"))
        try:
            rows = await connection.fetch(
                "select headers, payload from outbox where key = $1 order by seq", key
            )
        finally:
            await connection.close()
        types = {event.DESCRIPTOR.full_name: event for event in DEFINITION.produces}
        return [
            types[json.loads(row["headers"])["ce_type"]].FromString(row["payload"]) for row in rows
        ]

    # Money

    async def fund(self, party: Actor, fen: int) -> None:
        """Put money from the bank into a party's wallet."""
        await money.fund(self.world, party.party, fen)

    async def wallet(self, party: Actor) -> int:
        """Return the account number of a party's wallet."""
        return await money.wallet_of(self.world, party.party)

    async def transfer(
        self,
        debit: int,
        credit: int,
        amount_fen: int,
        *,
        code: settlement_pb2.TransferCode.ValueType = settlement_pb2.TRANSFER_CODE_LIEN_PAYOFF,
        purpose: str,
        transfer_id: UUID | None = None,
    ) -> str:
        """Post a transfer and return its id."""
        return await money.transfer(
            self.world,
            debit,
            credit,
            amount_fen,
            code=code,
            purpose=purpose,
            transfer_id=transfer_id,
        )

    async def balance(self, party: Actor) -> int:
        """Return what a party's wallet holds, in fen."""
        account = await money.ledger(self.world).GetAccount(
            settlement_pb2.GetAccountRequest(name=f"accounts/{await self.wallet(party)}")
        )
        return fen(account.balance)

    async def legs(self, party: Actor, *, purpose: str) -> list[tuple[str, int]]:
        """Return (code, signed fen) of the movements on a wallet for a purpose, oldest first."""
        seen = await money.ledger(self.world).ListEntries(
            settlement_pb2.ListEntriesRequest(account=f"accounts/{await self.wallet(party)}")
        )
        return [
            (
                wire.enum_name(settlement_pb2.TransferCode, entry.code, prefix="TRANSFER_CODE_"),
                fen(entry.amount) * (1 if entry.side == settlement_pb2.ENTRY_SIDE_CREDIT else -1),
            )
            for entry in reversed(seen.entries)
            if entry.purpose == purpose
        ]

    async def is_balanced(self) -> bool:
        """Whether the ledger's debits equal its credits."""
        return await money.is_balanced(self.world)
