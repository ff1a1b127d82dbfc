"""A fleet whose machines are sold, and the draws of WE-17 on them."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from ironloop.finance.v1 import finance_pb2
from ironloop.leasing.v1 import disposals_pb2, programmes_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2

from services.kit import wire
from services.kit.clock import start_of
from services.kit.ids import name
from tests.integration.finance.valuer import Valuer
from tests.integration.leasing import ends
from tests.integration.leasing.ends import disposals
from tests.integration.leasing.fleet import (
    Fleet,
    fen,
    programme_terms,
    programmes,
    request_id,
)
from tests.integration.leasing.lenders import Lenders
from tests.support import money

WE_17_DEBT_FEN = 46_506_667  # what the senior and the junior are owed, and 20,000.00


@dataclass(frozen=True, slots=True)
class Sale:
    """A fleet whose machines are sold, with lenders on them."""

    fleet: Fleet
    lenders: Lenders
    valuer: Valuer

    async def repossessed(self, **changes: Any) -> pb.Lease:
        """Return a repossessed lease at no interest, no penalty and no deposit."""
        plain = {"nominal_rate": wire.decimal(Decimal(0))}
        for rate in ("fee_rate", "deposit_rate", "penalty_daily_rate"):
            plain[rate] = wire.decimal(Decimal(0))
        programme = await programmes(self.fleet.lessor).CreateLeaseProgramme(
            programmes_pb2.CreateLeaseProgrammeRequest(
                request_id=request_id(), terms=programme_terms(**plain | changes)
            )
        )
        lease = await self.fleet.active(
            programme=programme.name,
            financed_amount=wire.money(WE_17_DEBT_FEN),
            residual=wire.money(0),
            guaranteed_residual=wire.money(0),
            term_months=6,
        )
        await ends.default(self.fleet, lease)
        return await ends.repossess(self.fleet, lease)

    async def open(self, lease: pb.Lease) -> disposals_pb2.Disposal:
        """Open the disposal of WE-17."""
        return await ends.open_disposal(self.fleet, lease)

    async def settle(
        self, disposal: disposals_pb2.Disposal, price_fen: int, *, order: str = "", key: str = ""
    ) -> disposals_pb2.Disposal:
        """Settle a disposal out of the escrow of an order, as procurement does."""
        order = order or name("orders", uuid4())
        await self.hold(disposal, order)
        escrow = await self.escrow(order, price_fen)
        return await disposals(self.fleet.world.service("procurement")).SettleDisposal(
            disposals_pb2.SettleDisposalRequest(
                request_id=key or request_id(),
                disposal=disposal.name,
                order=order,
                escrow_account=f"accounts/{escrow}",
                price=wire.money(price_fen),
            )
        )

    async def hold(self, disposal: disposals_pb2.Disposal, order: str) -> None:
        """Hold a disposal's machine for an order, where nobody holds it."""
        machine = await self.fleet.look_up(disposal.machine)
        if machine.custody == machines_pb2.CUSTODY_AVAILABLE:
            world = self.fleet.world
            marketplace = world.service("procurement").stub(machines_pb2_grpc.MachineServiceStub)
            await marketplace.ReserveMachine(
                machines_pb2.ReserveMachineRequest(
                    request_id=request_id(),
                    name=disposal.machine,
                    reference=order,
                    party=self.fleet.lessee.party,
                    expire_time=wire.instant(start_of(world.today() + timedelta(days=30))),
                )
            )

    async def escrow(self, order: str, price_fen: int) -> int:
        """Return an order's escrow account, filled once."""
        world = self.fleet.world
        kind = settlement_pb2.ACCOUNT_KIND_ESCROW
        answer = await money.ledger(world).CreateAccounts(
            settlement_pb2.CreateAccountsRequest(
                accounts=[settlement_pb2.NewAccount(kind=kind, reference=order)]
            )
        )
        account = answer.accounts[0]
        if not fen(account.balance) and price_fen:
            buyer = await world.party("BUYER")
            await money.fund(world, buyer.party, price_fen)
            wallet = await money.wallet_of(world, buyer.party)
            await money.transfer(
                world,
                wallet,
                account.number,
                price_fen,
                code=settlement_pb2.TRANSFER_CODE_ESCROW_FUND,
            )
        return account.number

    async def read(self, disposal: disposals_pb2.Disposal) -> disposals_pb2.Disposal:
        """Return a disposal as it stands."""
        return await disposals(self.fleet.lessor).GetDisposal(
            disposals_pb2.GetDisposalRequest(name=disposal.name)
        )

    async def held(self, **which: Any) -> int:
        """Return what accounts hold, in fen."""
        found = await money.ledger(self.fleet.world).ListAccounts(
            settlement_pb2.ListAccountsRequest(**which)
        )
        return sum(fen(account.balance) for account in found.accounts)

    async def funders(self, *payoffs: finance_pb2.Payoff) -> list[int]:
        """Return what the funders of draws have, in fen."""
        wallet = settlement_pb2.ACCOUNT_KIND_WALLET
        return [await self.held(owner=payoff.funder, kind=wallet) for payoff in payoffs]


async def lend_we_17(sale: Sale) -> tuple[finance_pb2.Payoff, finance_pb2.Payoff]:
    """Put the draws of WE-17 on the machines: a senior and, listed before it, a junior."""
    world = sale.fleet.world
    junior = await sale.lenders.lend(world, principal_fen=6_000_000, priority=2)
    senior = await sale.lenders.lend(
        world, interest_fen=316_667, principal_fen=38_000_000, penalty_fen=190_000
    )
    return senior, junior
