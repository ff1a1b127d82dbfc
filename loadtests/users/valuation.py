"""Users who have machines valued one by one (S4); the batch call is not there yet."""

import random
from typing import Any

from ironloop.valuation.v1 import valuation_pb2

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


class RetriedValuations(Valuations):
    """The same, each sent three times (S7)."""

    copies = 3
