"""Calls to the other services; never made inside a transaction."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from google.type import money_pb2
from ironloop.leasing.v1 import leasing_pb2, leasing_pb2_grpc
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from services.finance.draw_model import Draw
from services.finance.errors import TransferMismatch, TransferNotFound
from services.finance.offer_model import MachineFacts
from services.finance.receivable_model import Factoring
from services.kit import wire
from services.kit.postings import account_name
from services.kit.runtime import Runtime
from services.kit.sagas import Saga


@dataclass(frozen=True, slots=True)
class PostedTransfer:
    """A transfer as settlement keeps it."""

    credit_account: str
    amount_fen: int
    purpose: str
    posted_at: datetime

    def require(self, transfer_id: str, *, wallet: str, purpose: str) -> None:
        """Check that it credits a wallet for a purpose.

        Raises:
            TransferMismatch: It does not.
        """
        for field, found, expected in (
            ("credit_account", self.credit_account, wallet),
            ("purpose", self.purpose, purpose),
        ):
            if found != expected:
                raise TransferMismatch(transfer_id, field=field, found=found, expected=expected)


@dataclass(frozen=True, slots=True)
class RegisteredLien:
    """A lien with what its rank follows from.

    Attributes:
        first: Whether it ranks first as purchase money in time.
        place: Its rank when it was registered, which tells apart what was registered at once.
    """

    name: str
    first: bool
    time: datetime
    place: int


async def require_party(runtime: Runtime, party: str) -> None:
    """Check that a legal entity is registered.

    Raises:
        PeerRefused: NOT_FOUND.
    """
    stub = runtime.peers.stub("parties", parties_pb2_grpc.PartiesServiceStub)
    await runtime.peers.call(stub.GetParty, parties_pb2.GetPartyRequest(name=party))


async def get_machine(runtime: Runtime, machine: str, *, actor: str) -> MachineFacts:
    """Return what the registry says of a machine, whoever owns it.

    Raises:
        PeerRefused: NOT_FOUND.
    """
    stub = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    found = await runtime.peers.call(
        stub.GetMachine, machines_pb2.GetMachineRequest(name=machine), on_behalf_of=actor
    )
    return MachineFacts(
        machine=found.name,
        title_holder=found.title_holder,
        equipment_class=wire.enum_name(
            machines_pb2.EquipmentClass, found.equipment_class, prefix="EQUIPMENT_CLASS_"
        ),
        build_year=found.build_year,
        hours_meter=Decimal(found.hours_meter.value) if found.HasField("hours_meter") else None,
        liens=[lien.name for lien in found.liens if lien.state == machines_pb2.LIEN_STATE_ACTIVE],
    )


async def lien_priorities(runtime: Runtime, machine: str) -> dict[str, int]:
    """Return the rank of each active lien on a machine, by its name; 1 is paid first."""
    stub = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    found = await runtime.peers.call(stub.GetMachine, machines_pb2.GetMachineRequest(name=machine))
    return {lien.name: lien.priority for lien in found.liens}


async def register_lien(
    runtime: Runtime, draw: Draw, *, request_id: str, purchase_money: bool, actor: str
) -> RegisteredLien:
    """Register the funder's lien for a draw and return it."""
    stub = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    lien = await runtime.peers.call(
        stub.RegisterLien,
        machines_pb2.RegisterLienRequest(
            request_id=request_id,
            machine=draw.machine,
            holder=draw.funder,
            reference=draw.name,
            registry_no=draw.registry_no,
            secured_amount=wire.money(draw.principal_fen),
            purchase_money=purchase_money,
        ),
        on_behalf_of=actor,
    )
    return RegisteredLien(
        name=lien.name,
        first=lien.has_super_priority,
        time=wire.to_instant(lien.register_time, field="register_time"),
        place=lien.priority,
    )


async def release_lien(runtime: Runtime, saga: Saga, lien: str) -> None:
    """Release a lien, until it is done; one that is released stays so.

    It is done in finance's own name: a saga may outlive its user's account.
    """
    stub = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    await runtime.peers.call(
        stub.ReleaseLien,
        machines_pb2.ReleaseLienRequest(
            request_id=saga.retry_request_id(f"release/{lien}"), name=lien
        ),
    )


async def get_transfer(runtime: Runtime, transfer_id: str) -> PostedTransfer:
    """Return a transfer that has moved money.

    Raises:
        TransferNotFound: Settlement knows none that has.
    """
    stub = runtime.peers.stub("settlement", settlement_pb2_grpc.SettlementServiceStub)
    found = await runtime.peers.call(
        stub.LookupTransfers, settlement_pb2.LookupTransfersRequest(ids=[transfer_id])
    )
    for posted in found.transfers:
        if posted.transfer.kind in (
            settlement_pb2.TRANSFER_KIND_POSTED,
            settlement_pb2.TRANSFER_KIND_POST_PENDING,
        ):
            return PostedTransfer(
                credit_account=account_name(posted.transfer.credit_account),
                amount_fen=posted.transfer.amount_fen,
                purpose=posted.transfer.purpose,
                posted_at=posted.event_time.ToDatetime(tzinfo=runtime.clock.now().tzinfo),
            )
    raise TransferNotFound(transfer_id)


async def assign_instalments(
    runtime: Runtime, factoring: Factoring, *, request_id: str, actor: str
) -> dict[int, int]:
    """Make the funder the owner of the instalments at leasing; return their amounts there.

    Returns:
        What is still to be paid on each, in fen, by number.
    """
    stub = runtime.peers.stub("leasing", leasing_pb2_grpc.LeasingServiceStub)
    assigned = await runtime.peers.call(
        stub.AssignInstalments,
        leasing_pb2.AssignInstalmentsRequest(
            request_id=request_id,
            lease=factoring.lease,
            from_number=factoring.from_number,
            to_number=factoring.to_number,
            owner=factoring.funder,
            reference=factoring.name,
        ),
        on_behalf_of=actor,
    )
    return {
        line.number: _fen(line.interest)
        + _fen(line.principal)
        - _fen(line.paid_interest)
        - _fen(line.paid_principal)
        for line in assigned.instalments
    }


async def return_instalments(
    runtime: Runtime, *, lease: str, factoring: str, request_id: str
) -> None:
    """Make the lessor the owner of the instalments again."""
    stub = runtime.peers.stub("leasing", leasing_pb2_grpc.LeasingServiceStub)
    await runtime.peers.call(
        stub.ReturnInstalments,
        leasing_pb2.ReturnInstalmentsRequest(
            request_id=request_id, lease=lease, reference=factoring
        ),
    )


def registration_number(prefix: str, resource: UUID, on: date) -> str:
    """Return the number under which the public registry (中登网) would file a registration.

    The registry itself is a stub: nothing is filed anywhere, and the number says so.
    """
    return f"STUB-{prefix}-{on:%Y%m%d}-{resource.hex[-12:].upper()}"


def _fen(amount: money_pb2.Money) -> int:
    return wire.fen(amount, field="amount")
