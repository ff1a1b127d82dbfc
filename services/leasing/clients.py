"""What leasing asks of parties, marketplace, valuation and settlement, outside transactions."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from services.kit import wire
from services.kit.clients import PeerRefused, Peers
from services.kit.errors import InvalidArgument
from services.kit.postings import open_account


@dataclass(frozen=True, slots=True)
class Machine:
    """What a lease needs to know of a machine.

    Attributes:
        number: Its PIN, or its serial number where it has none.
        build_year: 0 where unknown.
        hours: Its hour meter; None where unknown.
        liens: The names of its active liens.
        custody: How it is held, for example "ON_LEASE".
        held_for: What it is reserved for, for example an order; "" where it is not.
    """

    name: str
    number: str
    title_holder: str
    build_year: int
    hours: Decimal | None
    liens: tuple[str, ...]
    custody: str
    held_for: str


@dataclass(frozen=True, slots=True)
class Value:
    """A machine's forced liquidation value, its median; None where it is not issued."""

    name: str
    flv_fen: int | None


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


async def require_party(peers: Peers, party: str) -> None:
    """Check that a party exists, which is to be paid, to pay or to inspect; "" is nobody.

    Raises:
        PeerRefused: NOT_FOUND where there is none.
    """
    if party:
        stub = peers.stub("parties", parties_pb2_grpc.PartiesServiceStub)
        await peers.call(stub.GetParty, parties_pb2.GetPartyRequest(name=party))


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
        held_for=answer.reservation.reference,
    )
