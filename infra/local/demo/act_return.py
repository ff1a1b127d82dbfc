"""The end of the term: maturity, return, inspection, what the deposit bears."""

from decimal import ROUND_HALF_UP, Decimal

from ironloop.leasing.v1 import endings_pb2, leasing_pb2, leasing_pb2_grpc
from ironloop.maintenance.v1 import meters_pb2, meters_pb2_grpc

from infra.local.demo.act_lease import EXCESS_HOUR_FEN
from infra.local.demo.act_months import Course
from infra.local.demo.field import hours_after
from infra.local.demo.scene import Scene, document, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan

WISHED_AWAY_HOURS = 500  # by how much the lessee's own figure is too low
DAMAGE_FEN = 380_000


async def give_back(scene: Scene, course: Course) -> endings_pb2.ReturnInspection:
    """Let the lease mature, the machine come back, and an inspector look at it."""
    (lease,) = course.leases
    lessee = scene.cast.lessee.stub(leasing_pb2_grpc.LeasingServiceStub)
    dealer = scene.cast.dealer.stub(leasing_pb2_grpc.LeasingServiceStub)
    hours = hours_after(course.main.fleet_machine, course.months)
    await scene.time.advance_to(max(lease.matures_on, lease.payable_on[-1]))
    await scene.time.until_at_rest()
    matured = await lessee.GetLease(leasing_pb2.GetLeaseRequest(name=lease.name))
    assert matured.state == leasing_pb2.LEASE_STATE_MATURED, matured
    deposit_fen = fen(matured.deposit_held)
    await _report_too_few(scene, lease.name, hours)
    await lessee.ReturnLease(
        leasing_pb2.ReturnLeaseRequest(request_id=request_id(), name=lease.name)
    )
    await dealer.ConfirmReturn(
        leasing_pb2.ConfirmReturnRequest(
            request_id=request_id(),
            name=lease.name,
            hours_meter=wire.decimal(hours),
            condition="worn bucket teeth, a bent handrail",
            inspector=scene.cast.inspector.party,
        )
    )
    await scene.time.until_at_rest()
    scene.narrator.tell("lessee", f"brings the machine back at {hours:,} h")
    inspected = await scene.cast.inspector.stub(leasing_pb2_grpc.LeasingServiceStub).InspectReturn(
        endings_pb2.InspectReturnRequest(
            request_id=request_id(),
            name=lease.name,
            lines=[
                endings_pb2.DamageLine(
                    part="bucket teeth", description="worn as use brings it", fair_wear=True
                ),
                endings_pb2.DamageLine(
                    part="handrail",
                    description="bent",
                    charge=wire.money(DAMAGE_FEN),
                    evidence=[document("damages", "handrail", "image/jpeg")],
                ),
            ],
        )
    )
    found = inspected.inspection
    await scene.time.until_at_rest()
    scene.narrator.tell(
        "inspector",
        f"finds {found.excess_hours.value} h above the {found.hours_allowed.value} paid for, "
        f"{yuan(fen(found.excess_charge))}, and {yuan(fen(found.damage_charge))} of damage; the "
        f"deposit bears {yuan(fen(found.deposit_charged))}, {yuan(fen(found.deposit_refund))} goes "
        "back to the lessee",
    )
    scene.checks[
        "excess hours are billed to the fen from accepted readings"
    ] = await _is_billed_by_accepted(scene, course, found)
    scene.checks["the deposit is charged and released without a remainder"] = (
        fen(found.deposit_charged) + fen(found.deposit_refund) == deposit_fen
        and fen(found.deposit_charged) == fen(found.excess_charge) + DAMAGE_FEN
    )
    return found


async def _report_too_few(scene: Scene, lease: str, hours: Decimal) -> None:
    """Let the lessee state fewer hours than the machine has sent: the figure is held back."""
    usage = await scene.cast.lessee.stub(leasing_pb2_grpc.LeasingServiceStub).ReportUsage(
        leasing_pb2.ReportUsageRequest(
            request_id=request_id(), name=lease, hours_meter=wire.decimal(hours - WISHED_AWAY_HOURS)
        )
    )
    is_held_back = usage.meter_reading_state == leasing_pb2.USAGE_READING_STATE_QUARANTINED
    scene.checks["a meter that runs backwards is held back"] = is_held_back
    scene.narrator.tell(
        "lessee",
        f"reports {hours - WISHED_AWAY_HOURS:,} h, which the machine had passed: held back, not "
        "billed",
    )


async def _is_billed_by_accepted(
    scene: Scene, course: Course, found: endings_pb2.ReturnInspection
) -> bool:
    """Compute the charge again, from what maintenance accepted."""
    (lease,) = course.leases
    meters = scene.cast.dealer.stub(meters_pb2_grpc.MeterServiceStub)
    accepted: list[meters_pb2.MeterReading] = []
    token = ""
    while True:
        page = await meters.ListMeterReadings(
            meters_pb2.ListMeterReadingsRequest(
                machine=lease.machine,
                state=meters_pb2.METER_READING_STATE_ACCEPTED,
                page_size=200,
                page_token=token,
            )
        )
        accepted += page.readings
        token = page.next_page_token
        if not token:
            break
    figures = [Decimal(reading.life_hours.value) for reading in accepted]
    first = course.main.fleet_machine.hours_meter
    excess = max(figures[0] - first - Decimal(found.hours_allowed.value), Decimal(0))
    charge_fen = int((excess * EXCESS_HOUR_FEN).quantize(Decimal(1), ROUND_HALF_UP))
    return (
        first in figures
        and excess == Decimal(found.excess_hours.value) > 0
        and charge_fen == fen(found.excess_charge) > 0
    )
