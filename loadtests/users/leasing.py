"""Lessees who look at their schedule and pay a part of what is due."""

import random
from typing import Any

from ironloop.leasing.v1 import leasing_pb2

from loadtests.grpc_user import GrpcUser
from services.kit import wire

PART_FEN_MAX = 100


class Payments(GrpcUser):
    """Reads a schedule, then pays a few fen of what is due (S1)."""

    copies = 1

    def on_start(self) -> None:
        """Take the leases that fall to this user; a lease takes one payment at a time."""
        super().on_start()
        leases: list[str] = self.plan.facts["leases"]
        self._leases = leases[self.number % len(leases) :: max(1, self.plan.users)]
        self._token: str = self.plan.facts["lessee"]
        self._read = self.rpc("leasing", "LeasingService/GetSchedule", leasing_pb2.Schedule)
        self._pay = self.rpc(
            "leasing", "LeasingService/PayInstalment", leasing_pb2.PayInstalmentResponse
        )

    def operation(self, _: Any, /) -> None:
        """Read and pay."""
        lease = random.choice(self._leases)
        self.call(self._read, leasing_pb2.GetScheduleRequest(name=lease), token=self._token)
        amount_fen = random.randint(1, PART_FEN_MAX)
        self.command(
            self._pay,
            leasing_pb2.PayInstalmentRequest(name=lease, amount=wire.money(amount_fen)),
            token=self._token,
            subject=lease,
            effect=lambda answer: wire.fen(answer.amount, field="amount"),
            copies=self.copies,
        )


class RetriedPayments(Payments):
    """The same, each payment sent three times (S7)."""

    copies = 3
