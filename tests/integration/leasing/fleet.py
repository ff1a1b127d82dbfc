"""What leasing's tests stand on: a lessor with machines and a programme, a lessee with money."""

import json
import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
from ironloop.common.v1 import common_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.leasing.v1 import leasing_pb2_grpc, programmes_pb2, programmes_pb2_grpc
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2

from infra.local.client import Actor
from services.kit import wire
from services.leasing.definition import DEFINITION
from tests.support import money
from tests.support.world import World

# The terms of the domain page's WE-1, 3, 4, 10 and 19.
PRICE_FEN = 100_000_000
RESIDUAL_FEN = 25_000_000
FEE_FEN = 2_000_000
DEPOSIT_FEN = 10_000_000


def request_id() -> str:
    """Return a new request id."""
    return str(uuid4())


def fen(value: Any) -> int:
    """Return Money in fen."""
    return wire.fen(value, field="amount")


def leases(actor: Actor) -> "leasing_pb2_grpc.LeasingServiceAsyncStub":
    """Return the leases' stub of an actor."""
    return actor.stub(leasing_pb2_grpc.LeasingServiceStub)


def programmes(actor: Actor) -> "programmes_pb2_grpc.ProgrammeServiceAsyncStub":
    """Return the programmes' stub of an actor."""
    return actor.stub(programmes_pb2_grpc.ProgrammeServiceStub)


def programme_terms(**changes: Any) -> programmes_pb2.ProgrammeTerms:
    """Return the worked example's terms, with changes."""
    return programmes_pb2.ProgrammeTerms(
        **{
            "title": "Excavators, 6 %",
            "nominal_rate": wire.decimal(Decimal("0.06")),
            "fee_rate": wire.decimal(Decimal("0.02")),
            "deposit_rate": wire.decimal(Decimal("0.1")),
            "payment_timing": programmes_pb2.PAYMENT_TIMING_ARREARS,
            "day_count": common_pb2.DAY_COUNT_ACT_365F,
            "term_months_min": 1,
            "term_months_max": 60,
            "residual_rate_min": wire.decimal(Decimal(0)),
            "residual_rate_max": wire.decimal(Decimal("0.4")),
            "amount_min": wire.money(10_000_00),
            "amount_max": wire.money(500_000_000),
            "hours_per_year": 2_000,
            "excess_hour_rate": wire.money(85_00),
            "buyout_fee_rate": wire.decimal(Decimal("0.01")),
            "penalty_daily_rate": wire.decimal(Decimal("0.0005")),
            "penalty_cap_rate": wire.decimal(Decimal("0.1")),
            "extension_months_max": 6,
            "extension_residual_rate": wire.decimal(Decimal("0.5")),
            "initial_direct_cost": wire.money(1_000_000),
            "economic_life_months": 120,
        }
        | changes
    )


@dataclass(frozen=True, slots=True)
class Fleet:
    """A world in which machines are leased."""

    world: World
    lessor: Actor
    lessee: Actor
    programme: str

    @classmethod
    async def open(cls, world: World) -> "Fleet":
        """Register a lessor with a programme, and a lessee."""
        lessor = await world.party("LESSOR", "LESSEE", "SELLER")
        made = await programmes(lessor).CreateLeaseProgramme(
            programmes_pb2.CreateLeaseProgrammeRequest(
                request_id=request_id(), terms=programme_terms()
            )
        )
        return cls(world, lessor, await world.party("LESSEE"), made.name)

    # Machines

    async def machine(self, **facts: Any) -> str:
        """Register a machine of the lessor's and return its name."""
        stated = {
            "make": "SANY",
            "model": "SY215C",
            "serial_number": secrets.token_hex(8),
            "equipment_class": machines_pb2.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR,
            "build_year": 2025,
            "hours_meter": wire.decimal(Decimal("100.5")),
        } | facts
        made = await self.lessor.stub(machines_pb2_grpc.MachineServiceStub).CreateMachine(
            machines_pb2.CreateMachineRequest(
                request_id=request_id(), facts=machines_pb2.MachineFacts(**stated)
            )
        )
        return made.name

    async def look_up(self, machine: str) -> machines_pb2.Machine:
        """Return a machine as the registry has it."""
        return await self.world.operator.stub(machines_pb2_grpc.MachineServiceStub).GetMachine(
            machines_pb2.GetMachineRequest(name=machine)
        )

    # Leases

    async def quote(self, machine: str = "", **changes: Any) -> pb.Lease:
        """Quote the worked example, with changes, for the lessee."""
        asked = {
            "request_id": request_id(),
            "programme": self.programme,
            "machine": machine or await self.machine(),
            "financed_amount": wire.money(PRICE_FEN),
            "residual": wire.money(RESIDUAL_FEN),
            "guaranteed_residual": wire.money(15_000_000),
            "term_months": 36,
        } | changes
        return await leases(self.lessee).QuoteLease(pb.QuoteLeaseRequest(**asked))

    async def apply(self, lease: pb.Lease) -> pb.Lease:
        """Apply for a quoted lease."""
        return await leases(self.lessee).ApplyForLease(
            pb.ApplyForLeaseRequest(request_id=request_id(), name=lease.name)
        )

    async def approve(self, lease: pb.Lease) -> pb.Lease:
        """Approve an application."""
        return await leases(self.lessor).ApproveLease(
            pb.ApproveLeaseRequest(request_id=request_id(), name=lease.name)
        )

    async def sign(self, lease: pb.Lease, *signers: Actor) -> pb.Lease:
        """Sign a lease, by both sides where nobody is named."""
        for signer in signers or (self.lessee, self.lessor):
            lease = await leases(signer).SignLease(
                pb.SignLeaseRequest(
                    request_id=request_id(), name=lease.name, terms_sha256=lease.terms_sha256
                )
            )
        return lease

    async def signed(self, machine: str = "", **changes: Any) -> pb.Lease:
        """Bring a lease to both signatures."""
        lease = await self.quote(machine, **changes)
        await self.apply(lease)
        return await self.sign(await self.approve(lease))

    async def accept(self, lease: pb.Lease) -> pb.Lease:
        """Accept the machine's delivery."""
        return await leases(self.lessee).AcceptDelivery(
            pb.AcceptDeliveryRequest(request_id=request_id(), name=lease.name)
        )

    async def activate(self, lease: pb.Lease, *, registry_no: str = "ZD-2026-1") -> pb.Lease:
        """Activate a signed lease."""
        return await leases(self.lessor).ActivateLease(
            pb.ActivateLeaseRequest(
                request_id=request_id(), name=lease.name, registry_no=registry_no
            )
        )

    async def active(self, machine: str = "", **changes: Any) -> pb.Lease:
        """Bring a lease to ACTIVE, with money in the lessee's wallet for deposit and fee."""
        lease = await self.signed(machine, **changes)
        await self.fund(self.lessee, fen(lease.terms.deposit) + fen(lease.terms.fee))
        await self.accept(lease)
        return await self.activate(lease)

    async def read(self, lease: pb.Lease) -> pb.Lease:
        """Return a lease as the lessee sees it now."""
        return await leases(self.lessee).GetLease(pb.GetLeaseRequest(name=lease.name))

    async def schedule(self, lease: pb.Lease) -> pb.Schedule:
        """Return a lease's schedule."""
        return await leases(self.lessee).GetSchedule(pb.GetScheduleRequest(name=lease.name))

    async def instalment(self, lease: pb.Lease, number: int) -> pb.Instalment:
        """Return an instalment of a lease."""
        return (await self.schedule(lease)).instalments[number - 1]

    async def pay(
        self, lease: pb.Lease, *, amount_fen: int = 0, number: int = 0, key: str = ""
    ) -> pb.PayInstalmentResponse:
        """Pay what is due, or an amount of it."""
        return await leases(self.lessee).PayInstalment(
            pb.PayInstalmentRequest(
                request_id=key or request_id(),
                name=lease.name,
                number=number,
                amount=wire.money(amount_fen) if amount_fen else None,
            )
        )

    async def assign(
        self, lease: pb.Lease, owner: str, first: int, last: int, *, reference: str
    ) -> pb.AssignInstalmentsResponse:
        """Assign a run of instalments, as finance does."""
        return await leases(self.world.service("finance")).AssignInstalments(
            pb.AssignInstalmentsRequest(
                request_id=request_id(),
                lease=lease.name,
                from_number=first,
                to_number=last,
                owner=owner,
                reference=reference,
            )
        )

    async def until_payable(self, lease: pb.Lease, number: int) -> None:
        """Move the business date to the day on which an instalment is payable."""
        day = (await self.instalment(lease, number)).payable_date
        await self.world.advance_to(wire.to_date(day, field="payable_date"))

    # Money

    async def fund(self, party: Actor, amount_fen: int) -> None:
        """Put money from the bank into a party's wallet."""
        if amount_fen:
            await money.fund(self.world, party.party, amount_fen)

    async def balance(self, party: Actor) -> int:
        """Return what a party's wallet holds, in fen."""
        return await self._held(owner=party.party, kind=settlement_pb2.ACCOUNT_KIND_WALLET)

    async def deposit(self, lease: pb.Lease) -> int:
        """Return what a lease's deposit account holds, in fen."""
        kind = settlement_pb2.ACCOUNT_KIND_LEASE_DEPOSIT
        return await self._held(reference=lease.name, kind=kind)

    async def memos(self, party: Actor) -> list[str]:
        """Return the memo lines of a party's wallet, the newest first."""
        ledger = money.ledger(self.world)
        wallet = await ledger.ListAccounts(
            settlement_pb2.ListAccountsRequest(
                owner=party.party, kind=settlement_pb2.ACCOUNT_KIND_WALLET
            )
        )
        statement = await ledger.ListEntries(
            settlement_pb2.ListEntriesRequest(account=wallet.accounts[0].name)
        )
        return [entry.memo for entry in statement.entries]

    async def _held(self, **which: Any) -> int:
        ledger = money.ledger(self.world)
        found = await ledger.ListAccounts(settlement_pb2.ListAccountsRequest(**which))
        return sum(fen(account.balance) for account in found.accounts)

    # Events

    async def events(self, key: str) -> list[Any]:
        """Return the events of a lease or programme that wait in leasing's outbox."""
        connection = await asyncpg.connect(self.world.dsn("leasing"))
        try:
            rows = await connection.fetch(
                "select headers, payload from outbox where key = $1 order by seq", key
            )
        finally:
            await connection.close()
        types = {event.DESCRIPTOR.full_name: event for event in DEFINITION.produces}
        told: list[Any] = [
            types[json.loads(row["headers"])["ce_type"]].FromString(row["payload"]) for row in rows
        ]
        assert [event.sequence for event in told] == list(range(1, len(told) + 1))
        return told
