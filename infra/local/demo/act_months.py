"""The term, month by month: a page of telemetry, instalments, draws serviced, services done."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal

from ironloop.finance.v1 import finance_pb2
from ironloop.leasing.v1 import leasing_pb2, leasing_pb2_grpc
from ironloop.maintenance.v1 import telemetry_pb2, telemetry_pb2_grpc

from infra.local.demo.act_finance import service_draws
from infra.local.demo.act_lease import SignedLease
from infra.local.demo.act_maintenance import serve
from infra.local.demo.act_trade import Purchase
from infra.local.demo.field import Breakdown, hours_after, page_of
from infra.local.demo.scene import Scene, fen, request_id
from services.kit.amounts import yuan

SERVICE_MONTHS = 3
GREAT_SERVICE_MONTHS = 12


@dataclass(slots=True)
class Course:
    """What runs from month to month.

    Attributes:
        main: The machine whose life is told.
        fleet: The dealer's machines that report.
        months: How many months have passed.
    """

    main: Purchase
    fleet: list[Purchase]
    leases: list[SignedLease]
    draws: list[finance_pb2.Draw] = field(default_factory=list)
    months: int = 0


async def run_months(scene: Scene, course: Course, *, until: int) -> None:
    """Step through the months up to `until`."""
    while course.months < until:
        number = course.months + 1
        due_on = max(lease.payable_on[number - 1] for lease in course.leases)
        await scene.time.advance_to(due_on)
        await send_page(scene, course, number)
        paid = await asyncio.gather(
            *(pay(scene, lease, number) for lease in course.leases),
            service_draws(scene, course.draws),
        )
        if number % SERVICE_MONTHS == 0:
            is_great = number % GREAT_SERVICE_MONTHS == 0
            await asyncio.gather(
                *(serve(scene, lease.machine, is_great=is_great) for lease in course.leases)
            )
        course.months = number
        paid_fen = sum(amount for amount in paid if amount is not None)
        serviced = "; serviced" if number % SERVICE_MONTHS == 0 else ""
        scene.narrator.tell(
            f"month {number}",
            f"{due_on}: {hours_after(course.main.fleet_machine, number):,} h; instalment {number} "
            f"of {len(course.leases)}, {yuan(paid_fen)}{serviced}",
        )
    await scene.time.until_at_rest()


async def send_page(
    scene: Scene, course: Course, months: int | Decimal, *, breakdown: Breakdown | None = None
) -> telemetry_pb2.ImportFleetSnapshotResponse:
    """Let the dealer's fleet send its page of a month."""
    page = page_of(course.fleet, months, at=await scene.time.now(), breakdown=breakdown)
    taken = await scene.cast.dealer.stub(
        telemetry_pb2_grpc.TelemetryServiceStub
    ).ImportFleetSnapshot(telemetry_pb2.ImportFleetSnapshotRequest(document=page))
    is_whole = not (taken.unreadable or taken.unknown_machines or taken.quarantined)
    name = "every page of the fleet was taken whole"
    scene.checks[name] = scene.checks.get(name, True) and is_whole
    return taken


async def pay(scene: Scene, lease: SignedLease, number: int) -> int:
    """Let the lessee pay an instalment; return the amount in fen."""
    answer = await scene.cast.lessee.stub(leasing_pb2_grpc.LeasingServiceStub).PayInstalment(
        leasing_pb2.PayInstalmentRequest(request_id=request_id(), name=lease.name, number=number)
    )
    return fen(answer.amount)


async def pay_assignee(scene: Scene, course: Course) -> None:
    """Pass a month whose instalment goes to the one who bought it."""
    before_fen = await scene.wallet_fen(scene.cast.financier)
    (lease,) = course.leases
    number = course.months + 1
    await scene.time.advance_to(lease.payable_on[number - 1])
    await send_page(scene, course, number)
    paid_fen = await pay(scene, lease, number)
    received_fen = await scene.wallet_fen(scene.cast.financier) - before_fen
    scene.checks["a factored instalment went to its new owner"] = received_fen == paid_fen > 0
    course.months = number
    scene.narrator.tell(
        "lessee", f"pays instalment {number}, {yuan(received_fen)}, straight to the financier"
    )
