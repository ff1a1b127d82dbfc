"""A stand-in for valuation that values every machine at the figures of WE-7 and WE-8.

The model's own values follow its training; the worked examples need theirs to the fen, so a server
on valuation's port gives them. `test_real_valuation.py` lends on the real service's values.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import grpc
from grpc_status import rpc_status
from ironloop.common.v1 import common_pb2
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from services.kit import wire
from services.kit.ids import name, new_id
from services.valuation.errors import ReplacementCostNeeded
from tests.support.world import World

FMV_FEN = 800_000_00
OLV_FEN = 700_000_00
OLV_Q10_FEN = 640_000_00
FLV_Q10_FEN = 480_000_00
A_MONTH = Decimal("0.985")


def quantiles(q10_fen: int, q50_fen: int) -> common_pb2.Quantiles:
    """Return quantiles around a median; only q10 and q50 matter here."""
    return common_pb2.Quantiles(
        q05=wire.money(q10_fen),
        q10=wire.money(q10_fen),
        q50=wire.money(q50_fen),
        q90=wire.money(q50_fen),
        q95=wire.money(q50_fen),
    )


@dataclass(slots=True)
class Valuer(valuation_pb2_grpc.ValuationServiceServicer):
    """Serves valuations of WE-7 and the curve of WE-8, each valuation once a request id.

    Attributes:
        grade: Of the next valuations.
        state: Of the next valuations.
        flv_q10_fen: Where the next curves begin.
        refuses: Whether it values nothing.
        equipment_class: Of the next valuations' machines.
        olv_q10_fen: Of the next valuations, and where the next curves begin.
    """

    grade: int = valuation_pb2.GRADE_B
    state: int = valuation_pb2.VALUATION_STATE_ISSUED
    flv_q10_fen: int = FLV_Q10_FEN
    olv_q10_fen: int = OLV_Q10_FEN
    equipment_class: str = ""
    refuses: bool = False
    world: World | None = None
    made: dict[str, valuation_pb2.Valuation] = field(default_factory=dict)

    async def CreateValuation(  # noqa: N802
        self, request: valuation_pb2.CreateValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Value a machine."""
        if self.refuses:
            status = ReplacementCostNeeded("320D", "HYDRAULIC_EXCAVATOR").to_status()
            await context.abort_with_status(rpc_status.to_status(status))
        if request.request_id not in self.made:
            self.made[request.request_id] = valuation_pb2.Valuation(
                name=name("valuations", new_id()),
                party=request.party,
                machine=request.machine,
                state=self.state,  # type: ignore[arg-type]
                specification=valuation_pb2.Specification(equipment_class=self.equipment_class),
                grade=self.grade,  # type: ignore[arg-type]
                fmv=quantiles(730_000_00, FMV_FEN),
                olv=quantiles(self.olv_q10_fen, OLV_FEN),
                flv=quantiles(self.flv_q10_fen, 600_000_00),
                record_sha256="ab" * 32,
                as_of=wire.date(self.world.today()) if self.world else None,
                # Ahead of any business date that a test moves to.
                expire_time=wire.instant(datetime.now(UTC) + timedelta(days=1_000)),
            )
        return self.made[request.request_id]

    async def GetValuation(  # noqa: N802
        self, request: valuation_pb2.GetValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Return a valuation made before."""
        return next(made for made in self.made.values() if made.name == request.name)

    async def GetCurve(  # noqa: N802
        self, request: valuation_pb2.GetCurveRequest, context: Any
    ) -> valuation_pb2.Curve:
        """Return a curve that falls by 1.5 % a month."""
        return valuation_pb2.Curve(
            valuation=request.valuation,
            points=[
                valuation_pb2.CurvePoint(
                    month=month,
                    olv=quantiles(int(self.olv_q10_fen * A_MONTH**month), OLV_FEN),
                    flv=quantiles(int(self.flv_q10_fen * A_MONTH**month), 600_000_00),
                )
                for month in range(request.months + 1)
            ],
        )


async def open_valuer(world: World) -> tuple[Valuer, grpc.aio.Server]:
    """Serve a valuer where the world's services look for valuation."""
    valuer = Valuer(world=world)  # type: ignore[abstract]  # what finance does not call is not served
    server = grpc.aio.server()
    valuation_pb2_grpc.add_ValuationServiceServicer_to_server(valuer, server)
    server.add_insecure_port(f"127.0.0.1:{world.ports['valuation']}")
    await server.start()
    return valuer, server
