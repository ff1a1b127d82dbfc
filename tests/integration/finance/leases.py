"""Leases for factoring: WE-1's terms between a dealer and a lessee, on the real leasing service."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import receivables_pb2, receivables_pb2_grpc
from ironloop.leasing.v1 import (
    leasing_pb2,
    leasing_pb2_grpc,
    programmes_pb2,
    programmes_pb2_grpc,
)

from infra.local.client import Actor
from services.kit import wire
from tests.integration.finance.lending import Lending, eventually, rid

WE_1_FEN = 1_000_000_00
WE_1_RESIDUAL_FEN = 250_000_00


def leasing(actor: Actor) -> "leasing_pb2_grpc.LeasingServiceAsyncStub":
    """Return the leasing service as an actor calls it."""
    return actor.stub(leasing_pb2_grpc.LeasingServiceStub)


def receivables(actor: Actor) -> "receivables_pb2_grpc.ReceivableServiceAsyncStub":
    """Return the receivable service as an actor calls it."""
    return actor.stub(receivables_pb2_grpc.ReceivableServiceStub)


@dataclass(frozen=True, slots=True)
class Rental:
    """A lease that runs: who leases what to whom, and how its instalments are sold."""

    lending: Lending
    lessor: Actor
    lessee: Actor
    machine: str
    lease: str

    @classmethod
    async def begin(cls, lending: Lending, *, months: int = 6) -> "Rental":
        """Bring a lease of WE-1's amount and rate to ACTIVE, and wait for its receivables."""
        lessor = await lending.world.party("LESSOR", "SELLER")
        lessee = await lending.world.party("LESSEE")
        machine = await lending.machine(lessor)
        programme = await lessor.stub(
            programmes_pb2_grpc.ProgrammeServiceStub
        ).CreateLeaseProgramme(
            programmes_pb2.CreateLeaseProgrammeRequest(request_id=rid(), terms=_terms())
        )
        lease = await leasing(lessee).QuoteLease(
            leasing_pb2.QuoteLeaseRequest(
                request_id=rid(),
                programme=programme.name,
                machine=machine,
                financed_amount=wire.money(WE_1_FEN),
                residual=wire.money(WE_1_RESIDUAL_FEN),
                term_months=months,
            )
        )
        await leasing(lessee).ApplyForLease(
            leasing_pb2.ApplyForLeaseRequest(request_id=rid(), name=lease.name)
        )
        await leasing(lessor).ApproveLease(
            leasing_pb2.ApproveLeaseRequest(request_id=rid(), name=lease.name)
        )
        for signer in (lessee, lessor):
            await leasing(signer).SignLease(
                leasing_pb2.SignLeaseRequest(
                    request_id=rid(), name=lease.name, terms_sha256=lease.terms_sha256
                )
            )
        await leasing(lessee).AcceptDelivery(
            leasing_pb2.AcceptDeliveryRequest(request_id=rid(), name=lease.name)
        )
        await leasing(lessor).ActivateLease(
            leasing_pb2.ActivateLeaseRequest(request_id=rid(), name=lease.name, registry_no="ZD-1")
        )
        rental = cls(lending, lessor, lessee, machine, lease.name)
        await eventually(rental.receivable_count, months)
        await lending.fund(lessee, 2 * WE_1_FEN)
        return rental

    async def receivable_count(self) -> int:
        """Return how many receivables the lease has."""
        return len(await self.receivables())

    async def receivables(self, viewer: Actor | None = None) -> list[receivables_pb2.Receivable]:
        """Return the lease's receivables by number, as somebody sees them."""
        seen = await receivables(viewer or self.lessor).ListReceivables(
            receivables_pb2.ListReceivablesRequest(lease=self.lease, page_size=200)
        )
        return list(seen.receivables)

    async def states(self) -> list[str]:
        """Return the states of the lease's receivables by number."""
        return [
            wire.enum_name(receivables_pb2.ReceivableState, line.state, prefix="RECEIVABLE_STATE_")
            for line in await self.receivables()
        ]

    async def owners(self) -> list[str]:
        """Return the owners of the lease's instalments at leasing, by number."""
        schedule = await leasing(self.lessor).GetSchedule(
            leasing_pb2.GetScheduleRequest(name=self.lease)
        )
        return [line.owner for line in schedule.instalments]

    async def confirm(self, first: int, last: int, *, by: Actor | None = None) -> None:
        """Let the lessee confirm a run of instalments."""
        await receivables(by or self.lessee).ConfirmReceivables(
            receivables_pb2.ConfirmReceivablesRequest(
                request_id=rid(), lease=self.lease, from_number=first, to_number=last
            )
        )

    async def offer(
        self, funder: Actor, first: int, last: int, *, by: Actor | None = None, **changes: Any
    ) -> receivables_pb2.Factoring:
        """Offer a run of instalments to a funder at WE-5's 4.80 %."""
        stated: dict[str, Any] = {
            "request_id": rid(),
            "lease": self.lease,
            "from_number": first,
            "to_number": last,
            "nominal_rate": wire.decimal(Decimal("0.048")),
            "funder": funder.party,
        }
        return await receivables(by or self.lessor).OfferFactoring(
            receivables_pb2.OfferFactoringRequest(**stated | changes)
        )

    async def pay(self, *, number: int = 0, amount_fen: int = 0) -> None:
        """Let the lessee pay what is due, or an amount on an instalment."""
        await leasing(self.lessee).PayInstalment(
            leasing_pb2.PayInstalmentRequest(
                request_id=rid(),
                name=self.lease,
                number=number,
                amount=wire.money(amount_fen) if amount_fen else None,
            )
        )

    async def until_payable(self, number: int) -> None:
        """Let time pass to the day on which an instalment is payable."""
        schedule = await leasing(self.lessor).GetSchedule(
            leasing_pb2.GetScheduleRequest(name=self.lease)
        )
        day = schedule.instalments[number - 1].payable_date
        await self.lending.world.advance_to(wire.to_date(day, field="payable_date"))


async def accept(funder: Actor, factoring: receivables_pb2.Factoring) -> receivables_pb2.Factoring:
    """Let a funder accept a factoring and pay."""
    return await receivables(funder).AcceptFactoring(
        receivables_pb2.AcceptFactoringRequest(request_id=rid(), name=factoring.name)
    )


async def cancel(actor: Actor, factoring: receivables_pb2.Factoring) -> receivables_pb2.Factoring:
    """Let a party take a factoring back."""
    return await receivables(actor).CancelFactoring(
        receivables_pb2.CancelFactoringRequest(request_id=rid(), name=factoring.name)
    )


def _terms() -> programmes_pb2.ProgrammeTerms:
    return programmes_pb2.ProgrammeTerms(
        title="Excavators, 6 %",
        nominal_rate=wire.decimal(Decimal("0.06")),
        fee_rate=wire.decimal(Decimal(0)),
        deposit_rate=wire.decimal(Decimal(0)),
        payment_timing=programmes_pb2.PAYMENT_TIMING_ARREARS,
        day_count=common_pb2.DAY_COUNT_ACT_365F,
        term_months_min=1,
        term_months_max=60,
        residual_rate_min=wire.decimal(Decimal(0)),
        residual_rate_max=wire.decimal(Decimal("0.4")),
        amount_min=wire.money(10_000_00),
        amount_max=wire.money(5_000_000_00),
        hours_per_year=2_000,
        excess_hour_rate=wire.money(85_00),
        buyout_fee_rate=wire.decimal(Decimal("0.01")),
        penalty_daily_rate=wire.decimal(Decimal("0.0005")),
        penalty_cap_rate=wire.decimal(Decimal("0.1")),
        extension_months_max=6,
        extension_residual_rate=wire.decimal(Decimal("0.5")),
        initial_direct_cost=wire.money(0),
        economic_life_months=120,
    )
