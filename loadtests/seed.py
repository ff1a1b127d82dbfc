"""Machines, parties and accounts of a size: repeated, it finds what it made and adds nothing."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from rich.progress import Progress

from infra.local.client import Actor
from infra.local.demo.attributes import Template, build_year_of, hours_of, template_of
from loadtests.money import open_accounts, pay_in, wallet
from loadtests.people import People

SIZES = {"small": 100, "medium": 1_000, "large": 10_000}
SIZE_MAX = 100_000
MACHINES_OF_SELLER = 200
SELLERS_MAX, BUYERS_MAX = 20, 60
ACCOUNTS_OF_MACHINE = 10
IMPORTED_IN_CALL = 500
FUNDS_FEN = 10**12
MAKE = "Load Heavy Industry"


@dataclass(frozen=True, slots=True)
class SeedMachine:
    """An invented machine, the same at each seeding in a year."""

    serial_number: str
    template: Template
    build_year: int
    hours_meter: Decimal


@dataclass(frozen=True, slots=True)
class Seeded:
    """What a seeding made or found.

    Attributes:
        machines: Of each seller, by resource name.
        fleet: The facts of the machines, in the same order.
        wallets: Account numbers.
    """

    sellers: list[str]
    buyers: list[str]
    machines: dict[str, list[str]]
    fleet: dict[str, list[SeedMachine]]
    wallets: list[int]
    created: int
    unchanged: int


def size_of(text: str) -> int:
    """Return how many machines a size has: small, medium, large, or a number.

    Raises:
        ValueError: It is none of these.
    """
    if text in SIZES:
        return SIZES[text]
    if text.isdigit() and 1 <= int(text) <= SIZE_MAX:
        return int(text)
    known = ", ".join(f"{name} ({count:,})" for name, count in SIZES.items())
    raise ValueError(f'"{text}" is no size; take {known}, or a number up to {SIZE_MAX:,}')


async def seed_accounts(people: People, count: int, *, progress: Progress) -> tuple[str, list[int]]:
    """Open wallets of one party and pay into them; return the party and the account numbers."""
    operator = await people.operator()
    owner = await people.register("wallets", "BUYER")
    task = progress.add_task("accounts", total=count)
    accounts = await open_accounts(
        operator,
        [wallet(owner, f"load/{number}") for number in range(count)],
        progress=lambda done: progress.advance(task, done),
    )
    await pay_in(operator, accounts, amount_fen=FUNDS_FEN)
    return owner, [account.number for account in accounts]


async def seed(people: People, size: int, *, today: date, progress: Progress) -> Seeded:
    """Make or find the parties, machines and accounts of a size."""
    sellers = [f"seller {n}" for n in range(max(1, min(SELLERS_MAX, size // MACHINES_OF_SELLER)))]
    buyers = [f"buyer {n}" for n in range(max(4, min(BUYERS_MAX, size // 20)))]
    task = progress.add_task("parties", total=len(sellers) + len(buyers))
    owners = []
    for name in (*sellers, *buyers):
        roles = ("SELLER", "LESSOR", "BUYER") if name in sellers else ("BUYER", "LESSEE")
        owners.append(await people.register(name, *roles))
        progress.advance(task)
    accounts = await open_accounts(await people.operator(), [wallet(owner) for owner in owners])
    await pay_in(await people.operator(), accounts, amount_fen=FUNDS_FEN)
    _, wallets = await seed_accounts(people, size * ACCOUNTS_OF_MACHINE, progress=progress)
    task = progress.add_task("machines", total=size)
    machines: dict[str, list[str]] = {}
    fleet: dict[str, list[SeedMachine]] = {}
    created = unchanged = 0
    for place, (name, actor) in enumerate(zip(sellers, await people.sign_in(sellers), strict=True)):
        count = size // len(sellers) + (place < size % len(sellers))
        fleet[name] = [_machine(place, number, today) for number in range(count)]
        machines[name] = []
        for start in range(0, count, IMPORTED_IN_CALL):
            answer = await _import(actor, fleet[name][start : start + IMPORTED_IN_CALL])
            created, unchanged = created + answer.created, unchanged + answer.unchanged
            machines[name] += [report.name for report in answer.reports]
            progress.advance(task, len(answer.reports))
    return Seeded(sellers, buyers, machines, fleet, wallets, created, unchanged)


async def _import(seller: Actor, fleet: list[SeedMachine]) -> machines_pb2.ImportMachinesResponse:
    registry = seller.stub(machines_pb2_grpc.MachineServiceStub)
    answer = await registry.ImportMachines(
        machines_pb2.ImportMachinesRequest(
            rows=[
                machines_pb2.MachineRow(
                    serial_number=machine.serial_number,
                    make=MAKE,
                    model=machine.template.model,
                    equipment_class=machine.template.equipment_class,
                    build_year=machine.build_year,
                    hours_meter=f"{machine.hours_meter:.2f}",
                    replacement_cost_fen=machine.template.replacement_cost_fen,
                )
                for machine in fleet
            ]
        )
    )
    if answer.refused:
        [first, *_] = [report for report in answer.reports if report.refusals]
        raise ValueError(f"{answer.refused} machines were refused: {first.refusals[0].description}")
    return answer


def _machine(seller: int, number: int, today: date) -> SeedMachine:
    serial_number = f"LD{seller:03}{number:07}"
    template = template_of(serial_number, "")
    built = build_year_of(serial_number, None)
    hours = hours_of(serial_number, template, age_years=today.year - built)
    return SeedMachine(serial_number, template, built, hours)
