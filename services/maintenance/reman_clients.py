"""What maintenance asks of remanufacturing; never inside a transaction."""

from decimal import Decimal

from ironloop.remanufacturing.v1 import cores_pb2, cores_pb2_grpc, reman_pb2, reman_pb2_grpc

from services.kit import wire
from services.kit.runtime import Runtime
from services.kit.sagas import Saga


async def reserve_unit(runtime: Runtime, saga: Saga, part_family: str) -> reman_pb2.Unit:
    """Hold a unit of a family for the saga's exchange.

    Raises:
        PeerRefused: There is no such family, or no unit of it in stock.
    """
    return await runtime.peers.call(
        _units(runtime).ReserveUnit,
        reman_pb2.ReserveUnitRequest(
            request_id=saga.request_id("reserve_unit"),
            part_family=part_family,
            reference=saga.subject,
        ),
        on_behalf_of=saga.actor,
    )


async def release_unit(runtime: Runtime, saga: Saga, unit: str) -> None:
    """Put a unit back in stock; one that the exchange does not hold stays as it is."""
    await runtime.peers.call(
        _units(runtime).ReleaseUnit,
        reman_pb2.ReleaseUnitRequest(
            request_id=saga.retry_request_id("release_unit"), name=unit, reference=saga.subject
        ),
    )


async def install_unit(
    runtime: Runtime,
    saga: Saga,
    unit: str,
    *,
    machine: str,
    work_order: str,
    hours: Decimal,
    removed_serial: str,
    position: str,
) -> None:
    """Have a unit entered in its machine's record.

    Raises:
        PeerRefused: The exchange does not hold it, or the register does not take it.
    """
    await runtime.peers.call(
        _units(runtime).InstallUnit,
        reman_pb2.InstallUnitRequest(
            request_id=saga.retry_request_id("install_unit"),
            unit=unit,
            machine=machine,
            work_order=work_order,
            hours=wire.decimal(hours),
            removed_serial=removed_serial,
            reference=saga.subject,
            position=position,
        ),
    )


async def charge_deposit(
    runtime: Runtime,
    saga: Saga,
    *,
    payer: str,
    machine: str,
    work_order: str,
    part_family: str,
    deposit_fen: int | None,
) -> cores_pb2.CoreReturn:
    """Have the deposit on a core charged to a party.

    Raises:
        PeerRefused: The deposit is another one, or the party's wallet does not hold it.
    """
    return await runtime.peers.call(
        _cores(runtime).ChargeCoreDeposit,
        cores_pb2.ChargeCoreDepositRequest(
            request_id=saga.request_id("charge_deposit"),
            party=payer,
            machine=machine,
            work_order=work_order,
            part_family=part_family,
            deposit=None if deposit_fen is None else wire.money(deposit_fen),
        ),
        on_behalf_of=saga.actor,
    )


async def refund_deposit(runtime: Runtime, saga: Saga, core_return: str) -> None:
    """Have a core's deposit given back whole.

    Raises:
        PeerRefused: The core may be on its way already.
    """
    await runtime.peers.call(
        _cores(runtime).CancelCoreReturn,
        cores_pb2.CancelCoreReturnRequest(
            request_id=saga.request_id("refund_deposit"), name=core_return
        ),
        on_behalf_of=saga.actor,
    )


def _units(runtime: Runtime) -> "reman_pb2_grpc.RemanServiceAsyncStub":
    return runtime.peers.stub("remanufacturing", reman_pb2_grpc.RemanServiceStub)


def _cores(runtime: Runtime) -> "cores_pb2_grpc.CoreServiceAsyncStub":
    return runtime.peers.stub("remanufacturing", cores_pb2_grpc.CoreServiceStub)
