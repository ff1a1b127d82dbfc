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
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from services.finance.draw_model import Draw
from services.finance.errors import TransferMismatch, TransferNotFound
from services.finance.offer_model import Appraisal, MachineFacts
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
) -> str:
    """Register the funder's lien for a draw and return its name."""
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
    return lien.name


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


async def appraise(
    runtime: Runtime, *, request_id: str, machine: str, party: str, actor: str
) -> Appraisal:
    """Have a machine valued as of today, for a party."""
    stub = runtime.peers.stub("valuation", valuation_pb2_grpc.ValuationServiceStub)
    valuation = await runtime.peers.call(
        stub.CreateValuation,
        valuation_pb2.CreateValuationRequest(request_id=request_id, party=party, machine=machine),
        on_behalf_of=actor,
    )
    return Appraisal(
        valuation=valuation.name,
        record_sha256=valuation.record_sha256,
        state=wire.enum_name(
            valuation_pb2.ValuationState, valuation.state, prefix="VALUATION_STATE_"
        ),
        grade=wire.enum_name(valuation_pb2.Grade, valuation.grade, prefix="GRADE_"),
        fmv_median_fen=_fen(valuation.fmv.q50),
        fmv_q10_fen=_fen(valuation.fmv.q10),
        olv_median_fen=_fen(valuation.olv.q50),
        olv_q10_fen=_fen(valuation.olv.q10),
        flv_q10_fen=_fen(valuation.flv.q10),
        expire_at=valuation.expire_time.ToDatetime(tzinfo=runtime.clock.now().tzinfo),
    )


async def valuation_state(runtime: Runtime, valuation: str, *, actor: str) -> str:
    """Return whether a valuation may still be relied on: its state's name."""
    stub = runtime.peers.stub("valuation", valuation_pb2_grpc.ValuationServiceStub)
    found = await runtime.peers.call(
        stub.GetValuation,
        valuation_pb2.GetValuationRequest(name=valuation),
        on_behalf_of=actor,
    )
    return wire.enum_name(valuation_pb2.ValuationState, found.state, prefix="VALUATION_STATE_")


async def flv_q10_curve(
    runtime: Runtime, valuation: str, *, hours_per_year: int, months: int, actor: str
) -> list[int]:
    """Return FLV q10 in fen after month 0, 1, … `months`."""
    stub = runtime.peers.stub("valuation", valuation_pb2_grpc.ValuationServiceStub)
    curve = await runtime.peers.call(
        stub.GetCurve,
        valuation_pb2.GetCurveRequest(
            valuation=valuation,
            hours_per_year=wire.decimal(Decimal(hours_per_year)),
            months=months,
            step_months=1,
        ),
        on_behalf_of=actor,
    )
    return [_fen(point.flv.q10) for point in sorted(curve.points, key=lambda p: p.month)]


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
