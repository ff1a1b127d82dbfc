"""What a workshop's work asks of other services: who is a technician, and how a machine is held."""

import grpc
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from services.kit import wire
from services.kit.clients import PeerRefused
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.maintenance.work_order_model import Held

IN_SHOP = "IN_SHOP"
ON_LEASE = "ON_LEASE"


async def technicians_party(runtime: Runtime, user: str) -> str | None:
    """Return for which party a user works as a technician; None: for none.

    Raises:
        PeerUnavailable: Parties does not answer.
    """
    stub = runtime.peers.stub("parties", parties_pb2_grpc.PartiesServiceStub)
    try:
        found = await runtime.peers.call(stub.GetUser, parties_pb2.GetUserRequest(name=user))
    except PeerRefused as refusal:
        if refusal.code is not grpc.StatusCode.NOT_FOUND:
            raise
        return None
    works = found.state == parties_pb2.USER_STATE_ACTIVE
    return found.party if works and options_pb2.ROLE_TECHNICIAN in found.roles else None


async def custody_of(runtime: Runtime, machine: str) -> Held:
    """Return how a machine is held now.

    Raises:
        PeerRefused: There is no such machine.
    """
    found = await runtime.peers.call(
        _machines(runtime).GetMachine, machines_pb2.GetMachineRequest(name=machine)
    )
    return Held(
        custody=wire.enum_name(machines_pb2.Custody, found.custody, prefix="CUSTODY_"),
        custodian=found.custodian,
        reference=found.lease,
    )


async def take_in(runtime: Runtime, saga: Saga, machine: str, *, workshop: str) -> None:
    """Make a workshop the custodian of a machine, in the shop for the saga's work order.

    Raises:
        PeerRefused: It is held in a way that does not allow it.
    """
    held = Held(IN_SHOP, workshop, saga.subject)
    await _hand_over(runtime, saga.request_id("take_in"), machine, held)


async def give_back(runtime: Runtime, saga: Saga, machine: str, *, held: Held) -> None:
    """Hand a machine back as it was held; one that has left the shop otherwise stays as it is.

    Raises:
        PeerRefused: It cannot be held that way any more.
    """
    present = await custody_of(runtime, machine)
    if present.custody != IN_SHOP:
        return
    if held.custody == ON_LEASE and not present.reference:
        # The lease ended while the machine was in the shop: it is free, at who had it.
        held = Held("AVAILABLE", held.custodian, "")
    reference = held.reference if held.custody == ON_LEASE else saga.subject
    back = Held(held.custody, held.custodian, reference)
    await _hand_over(runtime, saga.retry_request_id("give_back"), machine, back)


async def _hand_over(runtime: Runtime, request_id: str, machine: str, held: Held) -> None:
    await runtime.peers.call(
        _machines(runtime).HandOverMachine,
        machines_pb2.HandOverMachineRequest(
            request_id=request_id,
            name=machine,
            custody=wire.enum_number(machines_pb2.Custody, held.custody, prefix="CUSTODY_"),
            custodian=held.custodian,
            reference=held.reference,
        ),
    )


def _machines(runtime: Runtime) -> "machines_pb2_grpc.MachineServiceAsyncStub":
    return runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
