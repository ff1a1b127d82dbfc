"""A STOP fault in the middle of the term, the repair, and what both do to value and cover."""

from datetime import timedelta
from decimal import Decimal

from ironloop.finance.v1 import watch_pb2
from ironloop.maintenance.v1 import faults_pb2

from infra.local.demo import act_maintenance, act_watch
from infra.local.demo.act_months import Course, send_page
from infra.local.demo.act_remanufacturing import Stocked
from infra.local.demo.act_value import olv_fen, value, why
from infra.local.demo.field import Breakdown
from infra.local.demo.scene import Scene, fen
from services.kit.amounts import yuan

AFTER_DAYS = 20  # of the month in which it happens
AFTER_MONTH_SHARE = Decimal("0.66")
BEFORE, BROKEN = "before the fault", "with the fault"
MERELY_MENDED, AS_NEW = "mended, old engine (assumed)", "with the remanufactured engine"


async def break_down(scene: Scene, course: Course) -> faults_pb2.Fault:
    """Let the main machine report a STOP fault, and see what that does."""
    dealer, machine = scene.cast.dealer, course.main.machine
    (lease,) = course.leases
    scene.values[BEFORE] = await value(scene, dealer, machine)
    await act_watch.look(scene, course.draws, moment=BEFORE)
    await scene.time.advance_to(lease.payable_on[course.months - 1] + timedelta(days=AFTER_DAYS))
    await send_page(scene, course, course.months + AFTER_MONTH_SHARE, breakdown=Breakdown(machine))
    await scene.time.until_at_rest()
    fault = await act_maintenance.stop_fault(scene, machine)
    broken = scene.values[BROKEN] = await value(scene, dealer, machine)
    await _tell_move(scene, BEFORE, BROKEN)
    await act_watch.look(scene, course.draws, moment=BROKEN)
    for draw in course.draws:
        await act_watch.tell_watchlist(scene, draw)
    mended = scene.values[MERELY_MENDED] = await value(scene, dealer, machine, stop_faults=0)
    is_watched = await act_watch.revalued_for(
        scene, course.draws[0], watch_pb2.REVALUATION_CAUSE_STOP_FAULT
    )
    name = "the STOP fault lowered the value and reached the collateral watch"
    scene.checks[name] = olv_fen(broken) < olv_fen(mended) and is_watched
    return fault


async def mend(scene: Scene, course: Course, engine: Stocked, fault: faults_pb2.Fault) -> None:
    """Have the engine exchanged, and see what that does."""
    machine = course.main.machine
    await act_maintenance.exchange_engine(scene, fault, engine)
    renewed = scene.values[AS_NEW] = await value(scene, scene.cast.dealer, machine)
    await _tell_move(scene, BROKEN, AS_NEW)
    scene.checks["the reset of the engine's age raised the value"] = olv_fen(renewed) > olv_fen(
        scene.values[MERELY_MENDED]
    ) and any(line.code == "COMPONENT.ENGINE" for line in scene.moves[f"{BROKEN} → {AS_NEW}"])
    await act_watch.look(scene, course.draws, moment=AS_NEW)
    scene.checks["the component reached the collateral watch"] = await act_watch.revalued_for(
        scene, course.draws[0], watch_pb2.REVALUATION_CAUSE_COMPONENT
    )


async def _tell_move(scene: Scene, former: str, later: str) -> None:
    """Keep and say why a value moved."""
    before, after = scene.values[former], scene.values[later]
    lines = await why(scene.cast.dealer, before, after)
    scene.moves[f"{former} → {later}"] = lines
    reasons = "; ".join(f"{line.description} ({yuan(fen(line.amount))})" for line in lines)
    scene.narrator.tell(
        "valuation",
        f"{yuan(olv_fen(before))} → {yuan(olv_fen(after))} (OLV): {reasons}",
    )
