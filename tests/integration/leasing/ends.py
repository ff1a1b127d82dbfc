"""How tests bring leases to their ends: default, repossession, return and inspection."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from ironloop.common.v1 import common_pb2
from ironloop.leasing.v1 import (
    claims_pb2,
    claims_pb2_grpc,
    disposals_pb2,
    disposals_pb2_grpc,
    endings_pb2,
)
from ironloop.leasing.v1 import leasing_pb2 as pb

from infra.local.client import Actor
from services.kit import wire
from services.kit.clock import business_date, start_of
from services.leasing import consumers
from services.leasing.definition import DEFINITION
from tests.integration.leasing.fleet import Fleet, fen, leases, request_id

PHOTO = common_pb2.Document(
    uri="https://files.example/boom.jpg", sha256="ab" * 32, media_type="image/jpeg"
)


async def miss(fleet: Fleet, lease: pb.Lease, count: int, *, days: int = 3) -> None:
    """Let instalments fall due and stay unpaid, to some days past the last one's."""
    await fleet.until_payable(lease, count)
    await fleet.world.advance_days(days)


async def notice(fleet: Fleet, lease: pb.Lease) -> pb.Lease:
    """Give notice of default."""
    return await leases(fleet.lessor).GiveDefaultNotice(
        endings_pb2.GiveDefaultNoticeRequest(
            request_id=request_id(), name=lease.name, text="Pay what is overdue within ten days."
        )
    )


async def declare(fleet: Fleet, lease: pb.Lease) -> pb.Lease:
    """Declare a default."""
    return await leases(fleet.lessor).DeclareDefault(
        endings_pb2.DeclareDefaultRequest(request_id=request_id(), name=lease.name)
    )


async def cure(fleet: Fleet, lease: pb.Lease) -> pb.Lease:
    """End a default."""
    return await leases(fleet.lessor).CureDefault(
        endings_pb2.CureDefaultRequest(request_id=request_id(), name=lease.name)
    )


async def default(fleet: Fleet, lease: pb.Lease) -> pb.Lease:
    """Bring an active lease into default: two missed, and ten days of notice."""
    await miss(fleet, lease, 2)
    await notice(fleet, lease)
    await fleet.world.advance_days(10)
    return await declare(fleet, lease)


async def repossess(fleet: Fleet, lease: pb.Lease) -> pb.Lease:
    """Take the machine of a lease in default back."""
    return await leases(fleet.lessor).RepossessMachine(
        endings_pb2.RepossessMachineRequest(
            request_id=request_id(), name=lease.name, condition="dusty"
        )
    )


async def close(fleet: Fleet, lease: pb.Lease) -> pb.Lease:
    """Close a lease."""
    return await leases(fleet.lessor).CloseLease(
        endings_pb2.CloseLeaseRequest(request_id=request_id(), name=lease.name)
    )


async def write_off(fleet: Fleet, actor: Actor, lease: pb.Lease, *numbers: int) -> list[str]:
    """Write instalments off, and return the claims that took their place."""
    answer = await leases(actor).WriteOffInstalments(
        endings_pb2.WriteOffInstalmentsRequest(
            request_id=request_id(), lease=lease.name, numbers=numbers, reason="lost"
        )
    )
    return list(answer.claims)


async def matured(fleet: Fleet, *, months: int = 2, paid: bool = True, **changes: Any) -> pb.Lease:
    """Return an active lease that has matured, its instalments paid unless it says otherwise."""
    lease = await fleet.active(term_months=months, **changes)
    for number in range(1, months + 1):
        await fleet.until_payable(lease, number)
        if paid:
            instalment = await fleet.instalment(lease, number)
            await fleet.fund(fleet.lessee, fen(instalment.interest) + fen(instalment.principal))
            await fleet.pay(lease)
    await fleet.world.advance_days(4)  # over the weekend that may stand before the maturity
    return lease


async def returned(
    fleet: Fleet, lease: pb.Lease, *, hours: str = "300", inspector: str = ""
) -> pb.Lease:
    """Bring the machine of a matured lease back."""
    await leases(fleet.lessee).ReturnLease(
        pb.ReturnLeaseRequest(request_id=request_id(), name=lease.name)
    )
    return await leases(fleet.lessor).ConfirmReturn(
        pb.ConfirmReturnRequest(
            request_id=request_id(),
            name=lease.name,
            hours_meter=wire.decimal(Decimal(hours)),
            condition="worn bucket teeth",
            inspector=inspector,
        )
    )


async def inspect(
    fleet: Fleet, lease: pb.Lease, *charges_fen: int, actor: Actor | None = None
) -> pb.Lease:
    """Inspect a returned machine, with a line of damage for each charge."""
    return await leases(actor or fleet.lessor).InspectReturn(
        endings_pb2.InspectReturnRequest(
            request_id=request_id(),
            name=lease.name,
            lines=[
                endings_pb2.DamageLine(
                    part="boom",
                    description="bent",
                    charge=wire.money(charge_fen),
                    evidence=[PHOTO],
                )
                for charge_fen in charges_fen
            ],
        )
    )


async def accept_hours(fleet: Fleet, lease: pb.Lease, hours: str, *, days_on: int) -> None:
    """Let leasing learn of an accepted reading some days into a lease, as its event tells."""
    start = wire.to_date(lease.start_date, field="start_date")
    machine = lease.terms.machine
    at = start_of(start + timedelta(days=days_on)) + timedelta(hours=9)
    assert business_date(at) == start + timedelta(days=days_on)
    event_type = next(
        event for event in DEFINITION.consumes if event.__name__ == "MeterReadingAccepted"
    )
    event: Any = event_type(
        machine=machine,
        reading="meterReadings/1",
        hours=wire.decimal(Decimal(hours)),
        reading_time=wire.instant(at),
    )
    database = fleet.world.running["leasing"].runtime.database
    await database.run(lambda tx: consumers.keep_hours(tx, event))


def claims(actor: Actor) -> "claims_pb2_grpc.ClaimServiceAsyncStub":
    """Return the claims' stub of an actor."""
    return actor.stub(claims_pb2_grpc.ClaimServiceStub)


async def claim(actor: Actor, name: str) -> claims_pb2.Claim:
    """Return a claim."""
    return await claims(actor).GetClaim(claims_pb2.GetClaimRequest(name=name))


async def pay_claim(actor: Actor, name: str, amount_fen: int = 0) -> claims_pb2.Claim:
    """Pay a claim, or a part of it."""
    return await claims(actor).PayClaim(
        claims_pb2.PayClaimRequest(
            request_id=request_id(),
            name=name,
            amount=wire.money(amount_fen) if amount_fen else None,
        )
    )


def disposals(actor: Actor) -> "disposals_pb2_grpc.DisposalServiceAsyncStub":
    """Return the disposals' stub of an actor."""
    return actor.stub(disposals_pb2_grpc.DisposalServiceStub)


async def open_disposal(fleet: Fleet, lease: pb.Lease) -> disposals_pb2.Disposal:
    """Open the disposal of WE-17: 2.5 % of the price, and 8,000.00 of transport."""
    return await disposals(fleet.lessor).OpenDisposal(
        disposals_pb2.OpenDisposalRequest(
            request_id=request_id(),
            lease=lease.name,
            cost_rate=wire.decimal(Decimal("0.025")),
            transport=wire.money(800_000),
        )
    )
