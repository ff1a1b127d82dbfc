"""What maintenance tells reaches leasing over Kafka, and is billed from."""

from decimal import Decimal

from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.maintenance.v1 import meters_pb2, meters_pb2_grpc

from services.finance.definition import DEFINITION as FINANCE
from services.kit import wire
from services.leasing.definition import DEFINITION as LEASING
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.leasing.fleet import Fleet, leases, request_id
from tests.integration.procurement.trade import eventually
from tests.support.world import World


async def test_hours_that_maintenance_accepts_are_what_leasing_counts(kafka_world: World) -> None:
    await kafka_world.start(SETTLEMENT, MARKETPLACE, MAINTENANCE, FINANCE, LEASING)
    fleet = await Fleet.open(kafka_world)
    lease = await fleet.active()
    meters = fleet.lessee.stub(meters_pb2_grpc.MeterServiceStub)

    async def report(hours: str) -> meters_pb2.MeterReading:
        return await meters.ReportMeterReading(
            meters_pb2.ReportMeterReadingRequest(
                request_id=request_id(),
                machine=lease.terms.machine,
                hours=wire.decimal(Decimal(hours)),
            )
        )

    async def used() -> Decimal:
        usage = await leases(fleet.lessor).GetUsage(pb.GetUsageRequest(name=lease.name))
        return Decimal(usage.hours_used.value)

    assert await used() == 0
    assert (await report("101")).state == meters_pb2.METER_READING_STATE_ACCEPTED
    await eventually(used, Decimal("0.5"))
    # What is held back counts once somebody accepts it, and not before.
    held_back = await report("5000")
    assert held_back.state == meters_pb2.METER_READING_STATE_QUARANTINED
    await kafka_world.until_at_rest()
    assert await used() == Decimal("0.5")
