"""What procurement's tests stand on: parties that trade, their machines, wallets and pools."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
from ironloop.common.v1 import common_pb2
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.procurement.v1 import orders_pb2, orders_pb2_grpc, pools_pb2, pools_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2

from infra.local.client import Actor
from services.kit import wire
from services.procurement.definition import DEFINITION
from tests.support import money
from tests.support.world import World

WITHIN_S = 30.0
POLL_S = 0.01

T = TypeVar("T")

ADDRESS = orders_pb2.DeliveryAddress(
    recipient="Site office",
    street="88 Xingsha Road",
    city="Changsha",
    region="Hunan",
    postal_code="410100",
    country_code="CN",
)
DOCUMENT = common_pb2.Document(
    uri="https://documents.example/1", sha256="ab" * 32, media_type="application/pdf"
)


def orders(actor: Actor) -> "orders_pb2_grpc.OrderServiceAsyncStub":
    """Return the orders' stub of an actor."""
    return actor.stub(orders_pb2_grpc.OrderServiceStub)


def pools(actor: Actor) -> "pools_pb2_grpc.PoolServiceAsyncStub":
    """Return the pools' stub of an actor."""
    return actor.stub(pools_pb2_grpc.PoolServiceStub)


def request_id() -> str:
    """Return a new request id."""
    return str(uuid4())


async def eventually(look: Callable[[], Awaitable[T]], expected: T) -> None:
    """Return once `look` sees what is expected.

    Raises:
        AssertionError: It still sees something else after half a minute.
    """
    deadline = time.monotonic() + WITHIN_S
    while True:
        seen = await look()
        if seen == expected:
            return
        assert time.monotonic() < deadline, f"still {seen}, not {expected}"
        await asyncio.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class Trade:
    """A world in which machines are traded."""

    world: World

    async def buyer(self, *roles: str, fen: int = 0) -> Actor:
        """Register a buyer, with money in its wallet."""
        buyer = await self.world.party("BUYER", *roles)
        if fen:
            await self.fund(buyer, fen)
        return buyer

    async def seller(self) -> Actor:
        """Register a seller."""
        return await self.world.party("SELLER")

    # Machines

    async def machine(self, seller: Actor, **facts: Any) -> str:
        """Register a machine of a seller and return its name."""
        stated = {
            "make": "SANY",
            "model": "SY215C",
            "serial_number": secrets.token_hex(8),
            "equipment_class": machines_pb2.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR,
            "build_year": 2022,
            "hours_meter": wire.decimal(Decimal("3250.5")),
            "replacement_cost": wire.money(120_000_000),
        } | facts
        made = await self._machines(seller).CreateMachine(
            machines_pb2.CreateMachineRequest(
                request_id=request_id(), facts=machines_pb2.MachineFacts(**stated)
            )
        )
        return made.name

    async def machines(self, seller: Actor, count: int) -> list[str]:
        """Register several machines of a seller."""
        return [await self.machine(seller) for _ in range(count)]

    async def look_up(self, machine: str) -> machines_pb2.Machine:
        """Return a machine as the registry has it."""
        return await self._machines(self.world.operator).GetMachine(
            machines_pb2.GetMachineRequest(name=machine)
        )

    async def scrap(self, seller: Actor, machine: str) -> None:
        """Let the title holder take a machine out of use."""
        await self._machines(seller).ScrapMachine(
            machines_pb2.ScrapMachineRequest(request_id=request_id(), name=machine)
        )

    async def move_title(
        self, machine: str, holder: Actor, successor: Actor, *, reference: str
    ) -> None:
        """Move a machine's title, as a service does."""
        await self._machines(self.world.service("procurement")).TransferTitle(
            machines_pb2.TransferTitleRequest(
                request_id=request_id(),
                name=machine,
                from_party=holder.party,
                to_party=successor.party,
                reference=reference,
            )
        )

    async def register_lien(self, machine: str, holder: Actor) -> str:
        """Register a lien on a machine that secures no draw of finance's."""
        made = await self._machines(self.world.service("finance")).RegisterLien(
            machines_pb2.RegisterLienRequest(
                request_id=request_id(),
                machine=machine,
                holder=holder.party,
                reference=f"loans/{secrets.token_hex(8)}",
                registry_no="2026-0001",
                secured_amount=wire.money(30_000_000),
            )
        )
        return made.name

    async def release_lien(self, lien: str) -> None:
        """Release a lien."""
        await self._machines(self.world.service("finance")).ReleaseLien(
            machines_pb2.ReleaseLienRequest(request_id=request_id(), name=lien)
        )

    # Events

    async def events(self, key: str) -> list[Any]:
        """Return the events of an order or pool that wait in procurement's outbox."""
        connection = await asyncpg.connect(self.world.dsn("procurement"))
        try:
            rows = await connection.fetch(
                "select headers, payload from outbox where key = $1 order by seq", key
            )
        finally:
            await connection.close()
        types = {event.DESCRIPTOR.full_name: event for event in DEFINITION.produces}
        told = []
        for row in rows:
            headers = json.loads(row["headers"])
            told.append(types[headers["ce_type"]].FromString(row["payload"]))
        return told

    # Money

    async def fund(self, party: Actor, fen: int) -> None:
        """Put money from the bank into a party's wallet."""
        await money.fund(self.world, party.party, fen)

    async def wallet(self, party: Actor) -> settlement_pb2.Account:
        """Return a party's wallet."""
        found = await money.ledger(self.world).ListAccounts(
            settlement_pb2.ListAccountsRequest(
                owner=party.party, kind=settlement_pb2.ACCOUNT_KIND_WALLET
            )
        )
        assert len(found.accounts) == 1
        return found.accounts[0]

    async def balance(self, party: Actor) -> int:
        """Return what a party's wallet holds, in fen."""
        found = await money.ledger(self.world).ListAccounts(
            settlement_pb2.ListAccountsRequest(
                owner=party.party, kind=settlement_pb2.ACCOUNT_KIND_WALLET
            )
        )
        return sum(_fen(account.balance) for account in found.accounts)

    async def escrow(self, order: orders_pb2.Order) -> int:
        """Return what an order's escrow holds, in fen."""
        account = await money.ledger(self.world).GetAccount(
            settlement_pb2.GetAccountRequest(name=order.escrow_account)
        )
        return _fen(account.balance)

    async def platform_fees(self) -> int:
        """Return what the platform has earned, in fen."""
        found = await money.ledger(self.world).ListAccounts(
            settlement_pb2.ListAccountsRequest(kind=settlement_pb2.ACCOUNT_KIND_PLATFORM_FEE)
        )
        return sum(_fen(account.balance) for account in found.accounts)

    async def is_balanced(self) -> bool:
        """Whether the ledger's debits equal its credits."""
        return await money.is_balanced(self.world)

    async def freeze(self, party: Actor, *, frozen: bool) -> None:
        """Freeze a party's wallet, or open it again."""
        name = (await self.wallet(party)).name
        if frozen:
            await money.ledger(self.world).FreezeAccount(
                settlement_pb2.FreezeAccountRequest(request_id=request_id(), name=name)
            )
        else:
            await money.ledger(self.world).UnfreezeAccount(
                settlement_pb2.UnfreezeAccountRequest(request_id=request_id(), name=name)
            )

    # Pools

    async def pool(
        self,
        organiser: Actor,
        *,
        minimum: int = 1,
        target: int = 1,
        days: int = 10,
        quote_until: date | None = None,
        **specification: Any,
    ) -> pools_pb2.Pool:
        """Open a pool for SANY excavators, or for what is specified."""
        return await pools(organiser).CreatePool(
            pools_pb2.CreatePoolRequest(
                request_id=request_id(),
                specification=pools_pb2.MachineSpecification(**(specification or {"make": "SANY"})),
                region="Hunan",
                minimum_quantity=minimum,
                target_quantity=target,
                join_until=wire.date(self.world.today() + timedelta(days=days)),
                quote_until=wire.date(quote_until) if quote_until else None,
            )
        )

    async def join(self, buyer: Actor, pool: str, quantity: int = 1) -> pools_pb2.Membership:
        """Let a buyer join a pool."""
        return await pools(buyer).JoinPool(
            pools_pb2.JoinPoolRequest(
                request_id=request_id(), pool=pool, quantity=quantity, delivery_address=ADDRESS
            )
        )

    async def lock(self, organiser: Actor, pool: str) -> pools_pb2.Pool:
        """Let the organiser lock a pool."""
        return await pools(organiser).LockPool(
            pools_pb2.LockPoolRequest(request_id=request_id(), name=pool)
        )

    async def quote(
        self,
        seller: Actor,
        pool: str,
        machines: Sequence[str],
        *,
        unit_fen: int = 45_000_000,
        tiers: Sequence[tuple[int, str]] = (),
        transport_fen: int = 0,
        other_fen: int = 0,
        valid_days: int = 30,
    ) -> pools_pb2.Quote:
        """Let a seller quote in a pool."""
        return await pools(seller).QuotePool(
            pools_pb2.QuotePoolRequest(
                request_id=request_id(),
                pool=pool,
                unit_price=wire.money(unit_fen),
                tiers=[
                    pools_pb2.PriceTier(
                        from_quantity=quantity, discount_rate=wire.decimal(Decimal(rate))
                    )
                    for quantity, rate in tiers
                ],
                transport=wire.money(transport_fen),
                other=wire.money(other_fen),
                machines=machines,
                valid_until=wire.date(self.world.today() + timedelta(days=valid_days)),
            )
        )

    async def award(self, organiser: Actor, pool: str) -> pools_pb2.Pool:
        """Let the organiser award a pool."""
        return await pools(organiser).AwardPool(
            pools_pb2.AwardPoolRequest(request_id=request_id(), name=pool)
        )

    # Orders

    async def order(
        self, buyer: Actor, seller: Actor, *, price_fen: int = 78_000_000, count: int = 1
    ) -> orders_pb2.Order:
        """Return an order that a pool of one member has brought about, in state CREATED."""
        pool = (await self.pool(buyer, target=count)).name
        await self.join(buyer, pool, count)
        await self.lock(buyer, pool)
        await self.quote(seller, pool, await self.machines(seller, count), unit_fen=price_fen)
        await self.award(buyer, pool)
        made = await orders(buyer).ListOrders(orders_pb2.ListOrdersRequest(pool=pool))
        assert len(made.orders) == 1
        return made.orders[0]

    async def confirmed(
        self, buyer: Actor, seller: Actor, *, price_fen: int = 78_000_000, count: int = 1
    ) -> orders_pb2.Order:
        """Return an order that waits for its money."""
        made = await self.order(buyer, seller, price_fen=price_fen, count=count)
        return await orders(seller).ConfirmOrder(
            orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=made.name)
        )

    async def pay(self, buyer: Actor, order: str) -> orders_pb2.Order:
        """Let the buyer fund an order."""
        return await orders(buyer).FundOrder(
            orders_pb2.FundOrderRequest(request_id=request_id(), name=order)
        )

    async def delivered(
        self, buyer: Actor, seller: Actor, *, price_fen: int = 78_000_000, count: int = 1
    ) -> orders_pb2.Order:
        """Return a funded order whose machines have arrived."""
        made = await self.confirmed(buyer, seller, price_fen=price_fen, count=count)
        await self.pay(buyer, made.name)
        await self.send_off(seller, made.name)
        return await self.deliver(seller, made.name)

    async def send_off(self, seller: Actor, order: str) -> orders_pb2.Order:
        """Let the seller dispatch an order."""
        return await orders(seller).DispatchOrder(
            orders_pb2.DispatchOrderRequest(
                request_id=request_id(), name=order, dispatch_document=DOCUMENT
            )
        )

    async def deliver(self, actor: Actor, order: str) -> orders_pb2.Order:
        """Record a delivery."""
        return await orders(actor).DeliverOrder(
            orders_pb2.DeliverOrderRequest(
                request_id=request_id(), name=order, delivery_proof=DOCUMENT
            )
        )

    async def accept(self, buyer: Actor, order: str) -> orders_pb2.Order:
        """Let the buyer accept a delivery."""
        return await orders(buyer).AcceptOrder(
            orders_pb2.AcceptOrderRequest(request_id=request_id(), name=order)
        )

    async def until(
        self, actor: Actor, order: str, state: orders_pb2.OrderState.ValueType
    ) -> orders_pb2.Order:
        """Return an order once it is in a state."""
        request = orders_pb2.GetOrderRequest(name=order)

        async def look() -> orders_pb2.OrderState.ValueType:
            # A service that has just come back is reconnected to, not reported as gone.
            return (await orders(actor).GetOrder(request, wait_for_ready=True)).state

        await eventually(look, state)
        return await orders(actor).GetOrder(request)

    def _machines(self, actor: Actor) -> "machines_pb2_grpc.MachineServiceAsyncStub":
        return actor.stub(machines_pb2_grpc.MachineServiceStub)


def _fen(amount: Any) -> int:
    units: int = amount.units
    nanos: int = amount.nanos
    return units * 100 + nanos // 10_000_000
