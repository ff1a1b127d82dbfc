"""What remanufacturing's tests stand on: a shop with two people, its customers, cores and units."""

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
from google.type import decimal_pb2
from ironloop.common.v1 import common_pb2
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.remanufacturing.v1 import (
    cores_pb2,
    cores_pb2_grpc,
    families_pb2,
    families_pb2_grpc,
    passports_pb2_grpc,
    reman_pb2,
    reman_pb2_grpc,
)
from ironloop.settlement.v1 import settlement_pb2

from infra.local.client import Actor
from services.kit import wire
from services.kit.ids import name, new_id
from services.remanufacturing.definition import DEFINITION
from tests.support import money
from tests.support.world import World

WITHIN_S = 30.0
POLL_S = 0.01
DRAIN_S = 0.05  # a call whose saga is held will not end by being waited for
YUAN = 100
DEPOSIT = 45_000 * YUAN
PRICE = 118_000 * YUAN

T = TypeVar("T")
_serials = itertools.count(1)

DOCUMENT = common_pb2.Document(
    uri="https://documents.example/1", sha256="cd" * 32, media_type="application/pdf"
)
RECORD = reman_pb2.StepRecord(note="as it should be", documents=[DOCUMENT])


def rid() -> str:
    """Return a new request id."""
    return str(uuid4())


def number(text: str) -> decimal_pb2.Decimal:
    """Return a number as the contract has it."""
    return decimal_pb2.Decimal(value=text)


def families(actor: Actor) -> "families_pb2_grpc.PartFamilyServiceAsyncStub":
    """Return the part families' stub of an actor."""
    return actor.stub(families_pb2_grpc.PartFamilyServiceStub)


def cores(actor: Actor) -> "cores_pb2_grpc.CoreServiceAsyncStub":
    """Return the cores' stub of an actor."""
    return actor.stub(cores_pb2_grpc.CoreServiceStub)


def reman(actor: Actor) -> "reman_pb2_grpc.RemanServiceAsyncStub":
    """Return the orders' and units' stub of an actor."""
    return actor.stub(reman_pb2_grpc.RemanServiceStub)


def passports(actor: Actor) -> "passports_pb2_grpc.PassportServiceAsyncStub":
    """Return the passports' stub of an actor."""
    return actor.stub(passports_pb2_grpc.PassportServiceStub)


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


def content(**changes: Any) -> families_pb2.PartFamilyContent:
    """Return what a family of engines says, with the amounts of WE-12."""
    code, kind = families_pb2.GradeCode, families_pb2
    stated: dict[str, Any] = {
        "title": "Diesel engine",
        "component": "ENGINE",
        "part_numbers": ["10R-1000", "10R-1001"],
        "core_deposit": wire.money(DEPOSIT),
        "damaged_share": number("0.5"),
        "grade_codes": [
            code(
                code="UPGRADE_TIER3",
                title="older fuel system",
                kind=kind.GRADE_CODE_KIND_UPGRADE,
                amount=wire.money(1_291 * YUAN),
            ),
            code(
                code="CRACKED_BLOCK",
                title="cracked",
                kind=kind.GRADE_CODE_KIND_DEDUCTION,
                amount=wire.money(6_000 * YUAN),
            ),
            code(code="WORN", title="worn out", kind=kind.GRADE_CODE_KIND_FINDING),
        ],
        "parts": [
            families_pb2.FamilyPart(
                position="BLOCK",
                title="block",
                part_number="B-1",
                is_base=True,
                mass_kg=number("400"),
            ),
            families_pb2.FamilyPart(
                position="TURBO",
                title="turbocharger",
                part_number="T-1",
                substitutes=["T-2"],
                mass_kg=number("100"),
            ),
        ],
        "characteristics": [
            families_pb2.TestCharacteristic(
                code="POWER",
                title="rated power",
                unit="kW",
                lower_limit=number("190"),
                original_lower=number("200"),
            )
        ],
        "new_warranty_months": 12,
        "new_price": wire.money(300_000 * YUAN),
        "new_co2_kg": number("5000"),
        "process_co2_kg": number("300"),
    }
    return families_pb2.PartFamilyContent(**stated | changes)


@dataclass(frozen=True, slots=True)
class Shop:
    """A remanufacturer and those it deals with.

    Attributes:
        foreman, colleague: Two users of the remanufacturer.
    """

    world: World
    foreman: Actor
    colleague: Actor

    @property
    def maintenance(self) -> Actor:
        """Return the service that exchanges components."""
        return self.world.service("maintenance")

    async def customer(self, *roles: str, fen: int = 0) -> Actor:
        """Register a customer, with money in its wallet."""
        customer = await self.world.party(*(roles or ("BUYER", "LESSOR")))
        if fen:
            await money.fund(self.world, customer.party, fen)
        return customer

    async def machine(self, owner: Actor) -> machines_pb2.Machine:
        """Register a machine of an owner."""
        stub = owner.stub(machines_pb2_grpc.MachineServiceStub)
        return await stub.CreateMachine(
            machines_pb2.CreateMachineRequest(
                request_id=rid(),
                facts=machines_pb2.MachineFacts(
                    make="SANY",
                    model="SY215C",
                    serial_number=secrets.token_hex(8),
                    equipment_class=machines_pb2.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR,
                    build_year=2022,
                    hours_meter=wire.decimal(Decimal("3250.5")),
                    replacement_cost=wire.money(120_000_000),
                ),
            )
        )

    async def look_up(self, machine: str) -> machines_pb2.Machine:
        """Return a machine as the registry has it."""
        stub = self.world.operator.stub(machines_pb2_grpc.MachineServiceStub)
        return await stub.GetMachine(machines_pb2.GetMachineRequest(name=machine))

    async def family(self, **changes: Any) -> families_pb2.PartFamily:
        """Add a family to the shop's catalogue."""
        return await families(self.foreman).CreatePartFamily(
            families_pb2.CreatePartFamilyRequest(
                request_id=rid(), code=f"ENGINE-{next(_serials)}", content=content(**changes)
            )
        )

    # Cores

    async def charged(
        self, customer: Actor, family: families_pb2.PartFamily, **changes: Any
    ) -> cores_pb2.CoreReturn:
        """Return a core return whose deposit a customer has paid."""
        return await cores(customer).ChargeCoreDeposit(self.charge(customer, family, **changes))

    def charge(
        self, customer: Actor, family: families_pb2.PartFamily, **changes: Any
    ) -> cores_pb2.ChargeCoreDepositRequest:
        """Return the request by which a customer pays a deposit."""
        stated: dict[str, Any] = {
            "request_id": rid(),
            "party": customer.party,
            "part_family": family.name,
            "work_order": name("workOrders", new_id()),
        }
        return cores_pb2.ChargeCoreDepositRequest(**stated | changes)

    async def authorised(
        self, customer: Actor, family: families_pb2.PartFamily
    ) -> cores_pb2.CoreReturn:
        """Return a core return whose core may be sent."""
        charged = await self.charged(customer, family)
        return await cores(self.foreman).AuthoriseCoreReturn(
            cores_pb2.AuthoriseCoreReturnRequest(request_id=rid(), name=charged.name)
        )

    async def received(
        self, customer: Actor, family: families_pb2.PartFamily
    ) -> cores_pb2.CoreReturn:
        """Return a core return whose core is here."""
        authorised = await self.authorised(customer, family)
        return await self.receive(authorised.name)

    async def receive(self, core_return: str, part: str = "10R-1000") -> cores_pb2.CoreReturn:
        """Take a core in."""
        return await cores(self.foreman).ReceiveCore(
            cores_pb2.ReceiveCoreRequest(
                request_id=rid(),
                name=core_return,
                part_number=part,
                serial_number=f"CORE-{next(_serials)}",
                hours=number("9321.5"),
            )
        )

    async def graded(
        self,
        core_return: str,
        grade: cores_pb2.CoreGrade.ValueType,
        *codes: str,
        send_back: bool = False,
    ) -> cores_pb2.CoreReturn:
        """Grade a core, with a second person where one is needed."""
        graded = await cores(self.foreman).GradeCore(
            cores_pb2.GradeCoreRequest(
                request_id=rid(),
                name=core_return,
                grade=grade,
                codes=codes,
                send_back=send_back,
            )
        )
        if graded.state == cores_pb2.CORE_RETURN_STATE_GRADED:
            return graded
        return await cores(self.colleague).ConfirmGrade(
            cores_pb2.ConfirmGradeRequest(request_id=rid(), name=core_return, etag=graded.etag)
        )

    async def get(self, core_return: str) -> cores_pb2.CoreReturn:
        """Return a core return as it is."""
        request = cores_pb2.GetCoreReturnRequest(name=core_return)
        # A service that has just come back is reconnected to, not reported as gone.
        return await cores(self.foreman).GetCoreReturn(request, wait_for_ready=True)

    async def until(
        self, core_return: str, state: cores_pb2.CoreReturnState.ValueType
    ) -> cores_pb2.CoreReturn:
        """Return a core return once it is in a state."""

        async def look() -> cores_pb2.CoreReturnState.ValueType:
            return (await self.get(core_return)).state

        await eventually(look, state)
        return await self.get(core_return)

    # Orders and units

    async def queued(self, family: families_pb2.PartFamily, **changes: Any) -> reman_pb2.RemanOrder:
        """Return an order of the shop's own core."""
        stated: dict[str, Any] = {
            "request_id": rid(),
            "part_family": family.name,
            "part_number": "10R-1001",
            "serial_number": f"OWN-{next(_serials)}",
            "hours": number("12000"),
        }
        return await reman(self.foreman).CreateRemanOrder(
            reman_pb2.CreateRemanOrderRequest(**stated | changes)
        )

    async def cleaned(self, order: str) -> reman_pb2.RemanOrder:
        """Bring an order as far as its cleaning."""
        stub = reman(self.foreman)
        step: dict[str, Any] = {"name": order, "record": RECORD}
        await stub.RecordIncomingInspection(
            reman_pb2.RecordIncomingInspectionRequest(request_id=rid(), **step)
        )
        await stub.RecordDisassembly(reman_pb2.RecordDisassemblyRequest(request_id=rid(), **step))
        return await stub.RecordCleaning(reman_pb2.RecordCleaningRequest(request_id=rid(), **step))

    async def inspected(
        self,
        order: str,
        block: reman_pb2.Disposition.ValueType = reman_pb2.DISPOSITION_REWORK,
        turbo: reman_pb2.Disposition.ValueType = reman_pb2.DISPOSITION_REPLACE,
    ) -> reman_pb2.RemanOrder:
        """Record what becomes of the two parts."""
        return await reman(self.foreman).RecordInspection(
            reman_pb2.RecordInspectionRequest(
                request_id=rid(),
                name=order,
                decisions=[
                    reman_pb2.PartDecision(position="BLOCK", disposition=block, reason="0.02 mm"),
                    reman_pb2.PartDecision(position="TURBO", disposition=turbo, reason="worn"),
                ],
            )
        )

    async def assembled(self, order: str) -> reman_pb2.RemanOrder:
        """Rework an inspected order's parts and put it together."""
        stub = reman(self.foreman)
        await stub.RecordRework(
            reman_pb2.RecordReworkRequest(
                request_id=rid(),
                name=order,
                works=[
                    reman_pb2.PartWork(
                        position="BLOCK",
                        operation="honed",
                        cost=wire.money(20_000 * YUAN),
                    ),
                    reman_pb2.PartWork(
                        position="TURBO",
                        installed_part_number="T-2",
                        installed_serial_number="T2-77",
                        cost=wire.money(15_000 * YUAN),
                    ),
                ],
            )
        )
        return await stub.RecordAssembly(
            reman_pb2.RecordAssemblyRequest(request_id=rid(), name=order, record=RECORD)
        )

    async def tested(self, order: str, power: str = "205") -> reman_pb2.RemanOrder:
        """Test an assembled order."""
        return await reman(self.foreman).RecordTest(
            reman_pb2.RecordTestRequest(
                request_id=rid(),
                name=order,
                values=[reman_pb2.MeasuredValue(code="POWER", value=number(power))],
            )
        )

    async def certified(
        self, family: families_pb2.PartFamily, *, power: str = "205", months: int = 12, **own: Any
    ) -> reman_pb2.RemanOrder:
        """Take an order all the way to its certificate."""
        order = await self.queued(family, **own)
        await self.cleaned(order.name)
        await self.inspected(order.name)
        await self.assembled(order.name)
        await self.tested(order.name, power)
        return await reman(self.colleague).CertifyOrder(
            reman_pb2.CertifyOrderRequest(request_id=rid(), name=order.name, warranty_months=months)
        )

    async def stocked(self, family: families_pb2.PartFamily, **own: Any) -> reman_pb2.Unit:
        """Return a unit in stock."""
        order = await self.certified(family, **own)
        return await reman(self.foreman).StockUnit(
            reman_pb2.StockUnitRequest(
                request_id=rid(),
                name=order.name,
                price=wire.money(PRICE),
                location="Changsha, rack 7",
            )
        )

    async def reserved(self, family: families_pb2.PartFamily, reference: str) -> reman_pb2.Unit:
        """Hold a unit, as maintenance does."""
        return await reman(self.maintenance).ReserveUnit(
            reman_pb2.ReserveUnitRequest(
                request_id=rid(), part_family=family.name, reference=reference
            )
        )

    def installation(
        self, unit: str, machine: str, work_order: str, **changes: Any
    ) -> reman_pb2.InstallUnitRequest:
        """Return the request by which maintenance installs a unit."""
        stated: dict[str, Any] = {
            "request_id": rid(),
            "unit": unit,
            "machine": machine,
            "work_order": work_order,
            "hours": number("4120.5"),
            "removed_serial": "OLD-1",
        }
        return reman_pb2.InstallUnitRequest(**stated | changes)

    # Money and events

    async def balance(self, actor: Actor, kind: settlement_pb2.AccountKind.ValueType) -> int:
        """Return what a party's accounts of a kind hold, in fen."""
        found = await money.ledger(self.world).ListAccounts(
            settlement_pb2.ListAccountsRequest(owner=actor.party, kind=kind)
        )
        return sum(
            wire.FEN_PER_UNIT * a.balance.units + a.balance.nanos // wire.NANOS_PER_FEN
            for a in found.accounts
        )

    async def wallet(self, actor: Actor) -> int:
        """Return what a party's wallet holds, in fen."""
        return await self.balance(actor, settlement_pb2.ACCOUNT_KIND_WALLET)

    async def deposits(self, actor: Actor) -> int:
        """Return what lies on a party's core deposits, in fen."""
        return await self.balance(actor, settlement_pb2.ACCOUNT_KIND_CORE_DEPOSIT)

    async def income(self) -> int:
        """Return what the shop has kept of deposits, in fen."""
        return await self.balance(self.foreman, settlement_pb2.ACCOUNT_KIND_REMAN_INCOME)

    async def events(self, key: str) -> list[Any]:
        """Return the events of an aggregate that wait in the outbox."""
        connection = await asyncpg.connect(self.world.dsn("remanufacturing"))
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


async def open_shop(world: World) -> Shop:
    """Register a remanufacturer with two users."""
    foreman = await world.party("REMANUFACTURER")
    colleague = await world.user(foreman.party, "REMANUFACTURER")
    return Shop(world, foreman, colleague)
