"""Events of a machine's life through the real consumer, and what insights makes of them."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest_asyncio
from google.protobuf.message import Message
from google.type import decimal_pb2
from ironloop.insights.v1 import insights_pb2, insights_pb2_grpc
from ironloop.leasing.v1 import leasing_events_pb2 as leasing
from ironloop.maintenance.v1 import maintenance_events_pb2 as maintenance
from ironloop.maintenance.v1 import work_orders_pb2
from ironloop.marketplace.v1 import machines_pb2
from ironloop.marketplace.v1 import marketplace_events_pb2 as marketplace
from ironloop.procurement.v1 import procurement_events_pb2 as procurement
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as remanufacturing

from infra.local.client import Actor
from services.insights.definition import DEFINITION as INSIGHTS
from services.kit import wire
from services.kit.contract import event_of
from services.kit.ids import new_id
from services.kit.kafka_log import Record
from tests.support.refusals import refused
from tests.support.world import World

STUB = insights_pb2_grpc.InsightsServiceStub
START = datetime(2026, 1, 1, 4, tzinfo=UTC)
YEAR = (date(2026, 1, 1), date(2027, 1, 1))


@dataclass(slots=True)
class Life:
    """A machine whose events a test tells, day by day."""

    world: World
    lessor: Actor
    lessee: Actor
    machine: str = field(default_factory=lambda: f"machines/{uuid4()}")
    lease: str = field(default_factory=lambda: f"leases/{uuid4()}")
    told: Counter[str] = field(default_factory=Counter)

    async def tell(self, day: int, event: Message) -> None:
        """Let insights hear an event of a day of the year, as the broker would deliver it."""
        declared = event_of(event.DESCRIPTOR)
        key = str(getattr(event, declared.key))
        self.told[f"{declared.topic} {key}"] += 1
        sequence = self.told[f"{declared.topic} {key}"]
        event.sequence = sequence  # type: ignore[attr-defined]
        at = START + timedelta(days=day)
        record = Record(
            topic=declared.topic,
            partition=0,
            offset=sequence,
            key=key,
            headers={
                "ce_id": str(new_id()),
                "ce_type": event.DESCRIPTOR.full_name,
                "ce_sequence": str(sequence),
                "ce_time": at.isoformat(),
            },
            payload=event.SerializeToString(),
        )
        consumer = self.world.running["insights"].consumer
        await consumer.apply([record])
        await consumer.apply([record])  # a second delivery tells nothing more

    async def turnover(self, by: Actor | None = None, **asked: Any) -> insights_pb2.Turnover:
        """Ask for the lessor's turnover of the year."""
        request = insights_pb2.GetTurnoverRequest(
            from_date=wire.date(YEAR[0]), to_date=wire.date(YEAR[1]), **asked
        )
        return await (by or self.lessor).stub(STUB).GetTurnover(request)


@pytest_asyncio.fixture(loop_scope="session")
async def life(world: World) -> Life:
    if "insights" not in world.running:
        await world.start(INSIGHTS)
    return Life(world, await world.party("LESSOR"), await world.party("LESSEE"))


def decimal(text: str) -> decimal_pb2.Decimal:
    return decimal_pb2.Decimal(value=text)


async def register(life: Life) -> None:
    await life.tell(
        0,
        marketplace.MachineRegistered(
            machine=life.machine,
            make="Sany",
            model="SY215C",
            build_year=2024,
            replacement_cost=wire.money(900_000_00),
            title_holder=life.lessor.party,
        ),
    )


async def live_a_year(life: Life) -> None:
    """Bought on day 10, leased out on day 20 for 200 days, listed again on day 225."""
    await register(life)
    order = f"orders/{uuid4()}"
    sold = procurement.SoldMachine(machine=life.machine, price=wire.money(450_000_00))
    await life.tell(
        10, procurement.OrderSettled(order=order, buyer=life.lessor.party, machines=[sold])
    )
    await life.tell(
        20,
        leasing.LeaseActivated(
            lease=life.lease,
            machine=life.machine,
            lessor=life.lessor.party,
            lessee=life.lessee.party,
            financed_amount=wire.money(450_000_00),
            start_date=wire.date(date(2026, 1, 21)),
        ),
    )
    await life.tell(20, custody(life, machines_pb2.CUSTODY_ON_LEASE, life.lessee.party))
    await two_rentals(life)
    await one_failure(life)
    await life.tell(
        220,
        leasing.LeaseReturned(
            lease=life.lease,
            machine=life.machine,
            lessor=life.lessor.party,
            lessee=life.lessee.party,
            hours_meter=decimal("1200.5"),
        ),
    )
    await life.tell(220, custody(life, machines_pb2.CUSTODY_AVAILABLE, life.lessor.party))
    listing = f"listings/{uuid4()}"
    facts: dict[str, Any] = {
        "listing": listing,
        "machine": life.machine,
        "seller": life.lessor.party,
    }
    await life.tell(225, marketplace.ListingPublished(ask=wire.money(400_000_00), **facts))
    await life.tell(240, marketplace.ListingSold(price=wire.money(390_000_00), **facts))


def custody(
    life: Life, after: machines_pb2.Custody.ValueType, custodian: str
) -> marketplace.CustodyChanged:
    return marketplace.CustodyChanged(
        machine=life.machine, custody=after, custodian=custodian, reference=life.lease
    )


async def two_rentals(life: Life) -> None:
    parts = leasing.InstalmentParts(interest=wire.money(10_000_00), principal=wire.money(80_000_00))
    for number, owner in ((1, life.lessor.party), (2, f"parties/{uuid4()}")):
        await life.tell(
            50 * number,
            leasing.InstalmentDue(
                lease=life.lease,
                machine=life.machine,
                lessee=life.lessee.party,
                owner=owner,
                number=number,
                due_date=wire.date(date(2026, 2, 20) + timedelta(days=50 * number)),
                due=parts,
            ),
        )
    await life.tell(
        55,
        leasing.InstalmentPaid(
            lease=life.lease,
            machine=life.machine,
            number=1,
            paid=leasing.InstalmentParts(
                penalty=wire.money(7_00), interest=wire.money(10_000_00), principal=wire.money(1_00)
            ),
        ),
    )


async def one_failure(life: Life) -> None:
    for day, before, after in ((100, "", "600"), (150, "600", "1200")):
        await life.tell(
            day,
            maintenance.MeterReadingAccepted(
                machine=life.machine,
                hours=decimal(after),
                previous_hours=decimal(before) if before else None,
                reading_time=wire.instant(START + timedelta(days=day)),
            ),
        )
    for work_class, down in (
        (work_orders_pb2.WORK_CLASS_CORRECTIVE, "12"),
        (work_orders_pb2.WORK_CLASS_PREVENTIVE, "8"),
    ):
        await life.tell(
            160,
            maintenance.WorkOrderCompleted(
                machine=life.machine,
                work_order=f"workOrders/{uuid4()}",
                work_class=work_class,
                downtime_hours=decimal(down),
                complete_time=wire.instant(START + timedelta(days=160)),
            ),
        )
    core = f"coreReturns/{uuid4()}"
    facts: dict[str, Any] = {
        "core_return": core,
        "party": life.lessor.party,
        "machine": life.machine,
    }
    await life.tell(160, remanufacturing.CoreDepositCharged(**facts))
    await life.tell(190, remanufacturing.CoreCredited(**facts))


async def test_a_year_of_a_machine_adds_up(life: Life) -> None:
    await live_a_year(life)
    made = await life.turnover()
    assert (made.machine_count, made.owned_days, made.on_rent_days) == (1, 365, 200)
    assert made.time_utilisation.value == "0.5479"
    assert made.rent == wire.money(180_000_00)  # both rentals: the lease is the lessor's
    assert made.equipment_cost == wire.money(450_000_00)  # what it paid, not the new price
    assert made.dollar_utilisation.value == "0.4000"
    assert made.outstanding == wire.money(79_999_00)  # of its own rental; a penalty pays none of it
    assert made.days_sales_outstanding.value == "324.44"
    assert (made.return_to_relist.count, made.return_to_relist.mean_days.value) == (1, "5.00")
    assert made.relist_to_redeploy.mean_days.value == "15.00"
    assert made.listed_to_sold.mean_days.value == "15.00"
    assert made.reliability.failures == 1
    assert made.reliability.mtbf.value == "600.00"
    assert made.reliability.mttr.value == "12.00"
    assert made.reliability.availability.value == "0.9804"
    assert (made.cores.returned, made.cores.mean_cycle_days.value) == (1, "30.00")


async def test_a_fleet_of_another_party_is_not_found(life: Life) -> None:
    await register(life)
    stranger = await life.world.party("LESSOR")
    with refused("NOT_FOUND"):
        await life.turnover(stranger, owner=life.lessor.party)
    with refused("NOT_FOUND"):  # nor a machine that is not of the fleet
        await life.turnover(stranger, machines=[life.machine])
    assert (await life.turnover(life.world.operator, owner=life.lessor.party)).machine_count == 1
    assert (await life.turnover(machines=[life.machine])).machine_count == 1


async def test_a_period_must_have_days_and_not_too_many(life: Life) -> None:
    for end in (YEAR[0], date(2040, 1, 1)):
        request = insights_pb2.GetTurnoverRequest(
            from_date=wire.date(YEAR[0]), to_date=wire.date(end)
        )
        with refused("PERIOD_REFUSED"):
            await life.lessor.stub(STUB).GetTurnover(request)


async def test_a_machines_life_is_told_in_order_to_who_owns_or_has_it(life: Life) -> None:
    await live_a_year(life)
    stub = life.lessor.stub(STUB)
    seen: list[insights_pb2.TimelineEntry] = []
    token = ""
    while True:
        page = await stub.ListMachineTimeline(
            insights_pb2.ListMachineTimelineRequest(
                machine=life.machine, page_size=3, page_token=token
            )
        )
        seen.extend(page.entries)
        if not (token := page.next_page_token):
            break
    assert [entry.event.rpartition(".")[2] for entry in seen] == [
        "MachineRegistered",
        "LeaseActivated",
        "CustodyChanged",
        "WorkOrderCompleted",
        "WorkOrderCompleted",
        "LeaseReturned",
        "CustodyChanged",
        "ListingPublished",
        "ListingSold",
    ]
    returned = seen[5]
    assert (returned.hours.value, returned.reference) == ("1200.5000", life.lease)
    stranger = await life.world.party("LESSEE")
    with refused("NOT_FOUND"):
        await stranger.stub(STUB).ListMachineTimeline(
            insights_pb2.ListMachineTimelineRequest(machine=life.machine)
        )


async def test_a_sold_machine_leaves_the_fleet(life: Life) -> None:
    await register(life)
    buyer = await life.world.party("LESSOR")
    await life.tell(
        100,
        marketplace.TitleTransferred(
            machine=life.machine,
            from_party=life.lessor.party,
            to_party=buyer.party,
            replacement_cost=wire.money(900_000_00),
        ),
    )
    await life.tell(120, custody(life, machines_pb2.CUSTODY_IN_SHOP, buyer.party))
    await life.tell(150, custody(life, machines_pb2.CUSTODY_AVAILABLE, buyer.party))
    assert (await life.turnover()).owned_days == 100
    theirs = await life.turnover(buyer)
    assert (theirs.owned_days, theirs.available_days) == (265, 235)
    assert theirs.equipment_cost.units == 653_424  # its new price, for 265 of 365 days
