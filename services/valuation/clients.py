"""What valuation asks of marketplace: a machine's facts, at the moment of valuation."""

from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc

from services.kit import wire
from services.kit.runtime import Runtime
from services.valuation.model import Specification


async def get_machine(runtime: Runtime, machine: str) -> machines_pb2.Machine:
    """Return a machine as registered.

    Raises:
        PeerRefused: There is no such machine.
        PeerUnavailable: Marketplace does not answer.
    """
    stub = runtime.peers.stub("marketplace", machines_pb2_grpc.MachineServiceStub)
    return await runtime.peers.call(stub.GetMachine, machines_pb2.GetMachineRequest(name=machine))


def parties_to(machine: machines_pb2.Machine) -> frozenset[str]:
    """Return the parties that have to do with a machine: owner, holder, reserver, lien holders."""
    return frozenset(
        {
            machine.title_holder,
            machine.custodian,
            machine.reservation.party,
            *(lien.holder for lien in machine.liens),
        }
        - {""}
    )


def specification_of(machine: machines_pb2.Machine) -> Specification:
    """Return a machine's facts as far as its value needs them."""
    return Specification(
        make=machine.make,
        model=machine.model,
        equipment_class=wire.enum_name(
            machines_pb2.EquipmentClass, machine.equipment_class, prefix="EQUIPMENT_CLASS_"
        ),
        build_year=machine.build_year or None,
        hours_meter=(
            wire.to_decimal(machine.hours_meter, field="hours_meter")
            if machine.HasField("hours_meter")
            else None
        ),
        replacement_cost_fen=(
            wire.fen(machine.replacement_cost, field="replacement_cost")
            if machine.HasField("replacement_cost")
            else None
        ),
    )
