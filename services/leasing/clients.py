"""What leasing asks of the other services; never inside a transaction."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from ironloop.finance.v1 import finance_pb2, finance_pb2_grpc
from ironloop.maintenance.v1 import meters_pb2, meters_pb2_grpc
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from services.kit import wire
from services.kit.clients import PeerRefused, Peers
from services.kit.errors import InvalidArgument
from services.kit.postings import open_account

_READING_STATES = {
    meters_pb2.METER_READING_STATE_ACCEPTED: "ACCEPTED",
    meters_pb2.METER_READING_STATE_QUARANTINED: "QUARANTINED",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What a lease needs to know of a machine.

    Attributes:
        number: Its PIN, or its serial number where it has none.
        build_year: 0 where unknown.
        hours: Its hour meter; None where unknown.
        liens: The names of its active liens.
        custody: How it is held, for example "ON_LEASE".
    """

    name: str
    number: str
    title_holder: str
    build_year: int
    hours: Decimal | None
    liens: tuple[str, ...]
    custody: str


@dataclass(frozen=True, slots=True)
class Payoff:
    """What a draw on a machine is paid off with, and the account that takes it.

    Attributes:
        amount_fen: The sum of the three parts.
        priority: The rank of its lien, 1 first.
    """

    draw: str
    lien: str
    amount_fen: int
    account: str
    purpose: str
    funder: str
    interest_fen: int
    principal_fen: int
    penalty_fen: int
    priority: int


@dataclass(frozen=True, slots=True)
class DrawPart:
    """What a draw got of a disposal or an insurance payment, and what it is left short of."""

    draw: str
    transfer_ids: tuple[str, ...]
    interest_fen: int
    principal_fen: int
    penalty_fen: int
    short_fen: int


@dataclass(frozen=True, slots=True)
class Value:
    """A machine's forced liquidation value, its median; None where it is not issued."""

    name: str
    flv_fen: int | None


@dataclass(frozen=True, slots=True)
class Reported:
    """A meter reading that was reported at maintenance.

    Attributes:
        name: "meterReadings/<uuid>"; "" where maintenance refused it.
        state: As the contract of usage shows it: "ACCEPTED", "QUARANTINED" or "NOT_COUNTED".
        hours: The machine's life with it; None unless it is accepted.
    """

    name: str
    state: str
    read_at: datetime
    hours: Decimal | None


async def open_deposit(peers: Peers, *, lease: str, lessee: str) -> str:
    """Return the account of a lease's deposit, opened where there was none."""
    return await open_account(
        peers, settlement_pb2.ACCOUNT_KIND_LEASE_DEPOSIT, owner=lessee, reference=lease
    )


async def get_machine(peers: Peers, machine: str, *, actor: str) -> Machine:
    """Return a machine as the registry has it.

    Raises:
        PeerRefused: NOT_FOUND where there is none.
    """
    stub = peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    answer = await peers.call(
        stub.GetMachine, machines_pb2.GetMachineRequest(name=machine), on_behalf_of=actor
    )
    return _machine(answer)


async def reserve_machine(
    peers: Peers, machine: str, *, lease: str, lessee: str, until: datetime, request_id: str
) -> None:
    """Hold a machine for a lease.

    Raises:
        PeerRefused: It is not available.
    """
    stub = peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    await peers.call(
        stub.ReserveMachine,
        machines_pb2.ReserveMachineRequest(
            request_id=request_id,
            name=machine,
            reference=lease,
            party=lessee,
            expire_time=wire.instant(until),
        ),
    )


async def release_machine(peers: Peers, machine: str, *, lease: str, request_id: str) -> None:
    """End a lease's hold on a machine, where there still is one."""
    stub = peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    await peers.call(
        stub.ReleaseMachine,
        machines_pb2.ReleaseMachineRequest(request_id=request_id, name=machine, reference=lease),
    )


async def hand_over_machine(
    peers: Peers, machine: str, *, lease: str, custody: str, custodian: str, request_id: str
) -> Machine:
    """Give a machine into another custody under a lease.

    Args:
        custody: "ON_LEASE", "IN_TRANSIT" or "AVAILABLE".

    Raises:
        PeerRefused: It is not held by this lease.
    """
    stub = peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    answer = await peers.call(
        stub.HandOverMachine,
        machines_pb2.HandOverMachineRequest(
            request_id=request_id,
            name=machine,
            custody=wire.enum_number(machines_pb2.Custody, custody, prefix="CUSTODY_"),
            custodian=custodian,
            reference=lease,
        ),
    )
    return _machine(answer)


async def transfer_title(
    peers: Peers, machine: str, *, lease: str, from_party: str, to_party: str, request_id: str
) -> None:
    """Move a machine's title.

    Raises:
        PeerRefused: A lien is active, or `from_party` does not hold the title.
    """
    stub = peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    await peers.call(
        stub.TransferTitle,
        machines_pb2.TransferTitleRequest(
            request_id=request_id,
            name=machine,
            from_party=from_party,
            to_party=to_party,
            reference=lease,
        ),
    )


async def require_lessee(peers: Peers, party: str) -> None:
    """Check that a party exists and may lease.

    Raises:
        PeerRefused: NOT_FOUND where there is none.
        InvalidArgument: It does not hold the role LESSEE.
    """
    stub = peers.stub("parties", parties_pb2_grpc.PartiesServiceStub)
    answer = await peers.call(stub.GetParty, parties_pb2.GetPartyRequest(name=party))
    if options_pb2.ROLE_LESSEE not in answer.roles:
        raise InvalidArgument("lessee", f"{party} does not hold the role LESSEE")


async def quote_payoffs(peers: Peers, machine: str, *, as_of: date) -> list[Payoff]:
    """Return what frees a machine of the draws on it, as of a business date."""
    stub = peers.stub("finance", finance_pb2_grpc.FinanceServiceStub)
    answer = await peers.call(
        stub.QuotePayoff,
        finance_pb2.QuotePayoffRequest(machine=machine, as_of=wire.date(as_of)),
    )
    return [
        Payoff(
            draw=payoff.draw,
            lien=payoff.lien,
            amount_fen=wire.fen(payoff.amount, field="amount"),
            account=payoff.pay_to_account,
            purpose=payoff.purpose,
            funder=payoff.funder,
            interest_fen=wire.fen(payoff.interest, field="interest"),
            principal_fen=wire.fen(payoff.principal, field="principal"),
            penalty_fen=wire.fen(payoff.penalty, field="penalty"),
            priority=payoff.priority,
        )
        for payoff in answer.payoffs
    ]


async def settle_payoff(peers: Peers, draw: str, *, transfer_id: str, request_id: str) -> None:
    """Close a draw by the transfer that paid it off."""
    stub = peers.stub("finance", finance_pb2_grpc.FinanceServiceStub)
    await peers.call(
        stub.SettlePayoff,
        finance_pb2.SettlePayoffRequest(request_id=request_id, draw=draw, transfer_id=transfer_id),
    )


async def settle_disposal_claim(
    peers: Peers, part: DrawPart, *, as_of: date, request_id: str
) -> None:
    """Close a draw by its part of a machine's proceeds, which may leave it short.

    Raises:
        PeerRefused: The transfers are not what is said, or the draw was closed otherwise.
    """
    stub = peers.stub("finance", finance_pb2_grpc.FinanceServiceStub)
    await peers.call(
        stub.SettleDisposalClaim,
        finance_pb2.SettleDisposalClaimRequest(
            request_id=request_id,
            draw=part.draw,
            transfer_ids=part.transfer_ids,
            interest=wire.money(part.interest_fen),
            principal=wire.money(part.principal_fen),
            penalty=wire.money(part.penalty_fen),
            short=wire.money(part.short_fen),
            as_of=wire.date(as_of),
        ),
    )


async def value_machine(peers: Peers, machine: str, *, party: str, request_id: str) -> Value:
    """Have a machine valued for its lessor as of today.

    A machine that valuation refuses to value, or refers to a person, has no value to be sold by.

    Raises:
        PeerUnavailable: Valuation does not answer.
    """
    stub = peers.stub("valuation", valuation_pb2_grpc.ValuationServiceStub)
    request = valuation_pb2.CreateValuationRequest(
        request_id=request_id, party=party, machine=machine
    )
    try:
        valuation = await peers.call(stub.CreateValuation, request)
    except PeerRefused:
        return Value("", None)
    is_issued = valuation.state == valuation_pb2.VALUATION_STATE_ISSUED
    flv_fen = wire.fen(valuation.flv.q50, field="flv.q50") if is_issued else None
    return Value(valuation.name, flv_fen)


async def report_hours(
    peers: Peers,
    machine: str,
    *,
    hours: Decimal,
    read_at: datetime,
    lease: str,
    actor: str,
    request_id: str,
) -> Reported:
    """Report what a machine's hour meter shows, for the user who read it.

    Raises:
        PeerRefused: Maintenance does not take it.
        PeerUnavailable: Maintenance does not answer.
    """
    stub = peers.stub("maintenance", meters_pb2_grpc.MeterServiceStub)
    answer = await peers.call(
        stub.ReportMeterReading,
        meters_pb2.ReportMeterReadingRequest(
            request_id=request_id,
            machine=machine,
            hours=wire.decimal(hours),
            reading_time=wire.instant(read_at),
            reference=lease,
        ),
        on_behalf_of=actor,
    )
    is_accepted = answer.state == meters_pb2.METER_READING_STATE_ACCEPTED
    return Reported(
        name=answer.name,
        state=_READING_STATES.get(answer.state, "NOT_COUNTED"),
        read_at=wire.to_instant(answer.reading_time, field="reading_time"),
        hours=wire.to_decimal(answer.life_hours, field="life_hours") if is_accepted else None,
    )


def _machine(answer: machines_pb2.Machine) -> Machine:
    has_hours = answer.HasField("hours_meter")
    return Machine(
        name=answer.name,
        number=answer.pin or answer.serial_number,
        title_holder=answer.title_holder,
        build_year=answer.build_year,
        hours=wire.to_decimal(answer.hours_meter, field="hours_meter") if has_hours else None,
        liens=tuple(lien.name for lien in answer.liens),
        custody=wire.enum_name(machines_pb2.Custody, answer.custody, prefix="CUSTODY_"),
    )
