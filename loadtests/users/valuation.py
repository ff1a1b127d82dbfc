"""Users who have machines valued: portfolios of 10,000 (S4), and one by one (S7)."""

import random
from typing import Any

from ironloop.valuation.v1 import portfolios_pb2, valuation_pb2

from loadtests.grpc_user import GrpcUser
from services.kit import wire

CLASSES = ("HYDRAULIC_EXCAVATOR", "WHEEL_LOADER", "TRACK_TYPE_TRACTOR", "BACKHOE_LOADER")


class Valuations(GrpcUser):
    """Has an invented machine valued by its facts."""

    copies = 1

    def on_start(self) -> None:
        """Open the method."""
        super().on_start()
        self._token: str = self.plan.facts["valuer"]
        self._value = self.rpc(
            "valuation", "ValuationService/CreateValuation", valuation_pb2.Valuation
        )

    def operation(self, _: Any, /) -> None:
        """Have one machine valued."""
        specification = valuation_pb2.Specification(
            make=random.choice(("Caterpillar", "Komatsu", "Xiangjiang Heavy")),
            equipment_class=random.choice(CLASSES),
            build_year=random.randint(2012, 2024),
            replacement_cost=wire.money(random.randint(30, 150) * 1_000_000),
        )
        specification.hours_meter.value = str(random.randint(500, 12_000))
        self.command(
            self._value,
            valuation_pb2.CreateValuationRequest(specification=specification),
            token=self._token,
            subject="",
            effect=lambda answer: answer.name,
            copies=self.copies,
        )


PORTFOLIO_ROWS = 10_000


class Portfolios(GrpcUser):
    """Streams a portfolio, each with other machines, and takes its batch as the answer."""

    items = PORTFOLIO_ROWS

    def on_start(self) -> None:
        """Open the method."""
        super().on_start()
        self._token: str = self.plan.facts["valuer"]
        self._stream = self.stream(
            "valuation",
            "PortfolioService/StreamValuations",
            portfolios_pb2.StreamValuationsResponse,
        )

    def make(self) -> portfolios_pb2.StreamValuationsRequest:
        """Return the rows, made before the turn."""
        return portfolios_pb2.StreamValuationsRequest(
            rows=[
                portfolios_pb2.PortfolioRow(
                    reference=str(number),
                    make=random.choice(("Caterpillar", "Komatsu", "Xiangjiang Heavy")),
                    equipment_class=random.choice(CLASSES),
                    build_year=random.randint(2012, 2024),
                    hours_meter=float(random.randint(500, 12_000)),
                    replacement_cost_fen=random.randint(30, 150) * 1_000_000,
                )
                for number in range(PORTFOLIO_ROWS)
            ]
        )

    def operation(self, made: Any, /) -> None:
        """Have the portfolio valued."""
        self.command(
            self._value,
            made,
            token=self._token,
            subject="",
            effect=lambda batch: f"{batch.name} {batch.rows}",
        )

    def _value(self, request: Any, **options: Any) -> portfolios_pb2.Batch:
        last = portfolios_pb2.StreamValuationsResponse()
        for response in self._stream(iter([request]), **options):
            last = response
        return last.batch


class RetriedValuations(Valuations):
    """The same, each sent three times (S7)."""

    copies = 3
