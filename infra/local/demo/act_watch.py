"""The collateral watch: what finance makes of a machine's faults, repairs and hours."""

from collections.abc import Iterable

from ironloop.finance.v1 import finance_pb2, finance_pb2_grpc, watch_pb2, watch_pb2_grpc

from infra.local.demo.scene import Scene, fen
from services.kit import wire
from services.kit.amounts import yuan


async def look(
    scene: Scene, draws: Iterable[finance_pb2.Draw], *, moment: str
) -> list[finance_pb2.Draw]:
    """Return the draws as the watch holds them now, and keep how the first one is covered.

    Args:
        moment: What the cover is kept under, for the table at the end.
    """
    await scene.time.until_at_rest()
    dealer = scene.cast.dealer.stub(finance_pb2_grpc.FinanceServiceStub)
    watch = scene.cast.dealer.stub(watch_pb2_grpc.WatchServiceStub)
    seen = [await dealer.GetDraw(finance_pb2.GetDrawRequest(name=draw.name)) for draw in draws]
    for place, draw in enumerate(seen):
        cover = await watch.GetCover(watch_pb2.GetCoverRequest(draw=draw.name))
        if place == 0:
            scene.covers[moment] = cover
        behind = f" behind {yuan(fen(draw.senior))}" if fen(draw.senior) else ""
        cause = f", cause: {draw.shortfall_cause}" if draw.shortfall_cause else ""
        breach = f"month {cover.breach_month}" if cover.HasField("breach_month") else "never"
        scene.narrator.tell(
            "watch",
            f"holds {yuan(fen(draw.outstanding))}{behind} to {yuan(fen(draw.collateral_value))}: "
            f"loan to value {draw.loan_to_value.value}, {_state(draw)}{cause}; above FLV q10: "
            f"{breach}",
        )
    return seen


async def revalued_for(
    scene: Scene, draw: finance_pb2.Draw, cause: watch_pb2.RevaluationCause.ValueType
) -> bool:
    """Whether the watch has had the machine of a draw valued again for a cause."""
    watch = scene.cast.of(draw.funder).stub(watch_pb2_grpc.WatchServiceStub)
    answer = await watch.ListRevaluations(
        watch_pb2.ListRevaluationsRequest(machine=draw.machine, page_size=200)
    )
    return any(
        one.state == watch_pb2.REVALUATION_STATE_DONE
        and cause in {reason.cause for reason in one.reasons}
        for one in answer.revaluations
    )


async def tell_watchlist(scene: Scene, draw: finance_pb2.Draw) -> None:
    """Say what is on the watchlist of a draw's lender, and what its borrowing base counts."""
    lender = scene.cast.name_of(draw.funder)
    watch = scene.cast.of(draw.funder).stub(watch_pb2_grpc.WatchServiceStub)
    listed = await watch.ListWatchlist(watch_pb2.ListWatchlistRequest())
    for entry in listed.entries:
        due = wire.to_date(entry.cure_by_date, field="cure_by_date") if entry.cause else None
        scene.narrator.tell(
            lender,
            f"watches {yuan(fen(entry.outstanding))}, {entry.cause or 'no cause'}: "
            f"{yuan(fen(entry.paydown))} would cure it" + (f" until {due}" if due else ""),
        )
    base = await watch.ExportBorrowingBase(
        watch_pb2.ExportBorrowingBaseRequest(facility=draw.facility)
    )
    reasons = "; ".join(line.why for line in base.lines if line.why)
    scene.narrator.tell(
        lender,
        f"exports its borrowing base {base.sha256[:12]}…: {yuan(fen(base.eligible))} counts, "
        f"{yuan(fen(base.ineligible))} does not ({reasons or 'nothing'})",
    )


def _state(draw: finance_pb2.Draw) -> str:
    name = wire.enum_name(
        finance_pb2.CollateralState, draw.collateral_state, prefix="COLLATERAL_STATE_"
    )
    return name.lower()
