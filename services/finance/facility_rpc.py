"""The contract of facilities: protobuf to arguments and back."""

from typing import Any

from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import finance_pb2

from services.finance import clients, facility_handlers, facility_store, messages
from services.finance.facility_model import Basis
from services.finance.policy_rpc import parameter_from_wire
from services.finance.rpc_base import RpcPart, found, state_name
from services.finmath.day_count import DayCount
from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.transaction import Transaction


class FacilityRpc(RpcPart):
    """The part of FinanceService about facilities."""

    async def CreateFacility(
        self, request: finance_pb2.CreateFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Grant a facility."""
        funder = principal().require_party()
        await clients.require_party(self._runtime, request.borrower)

        async def work(tx: Transaction) -> finance_pb2.Facility:
            return messages.facility(
                await facility_handlers.create_facility(
                    tx,
                    funder=funder,
                    borrower=request.borrower,
                    limit_fen=wire.fen(request.limit, field="limit", positive=True),
                    nominal_rate=wire.to_decimal(request.nominal_rate, field="nominal_rate"),
                    day_count=DayCount(
                        wire.enum_name(common_pb2.DayCount, request.day_count, prefix="DAY_COUNT_")
                    ),
                    basis=_basis(request.basis),
                    overrides={
                        parameter_from_wire(line.parameter): wire.to_decimal(
                            line.value, field="overrides"
                        )
                        for line in request.overrides
                    },
                )
            )

        return await self._commands.run(request, work)

    async def GetFacility(
        self, request: finance_pb2.GetFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Return a facility."""
        facility_id = parse_name(request.name, "facilities")
        async with self._database.read() as connection:
            row = await facility_store.find_facility(connection, facility_id, viewer=principal())
        return messages.facility(found(row, request.name))

    async def ListFacilities(
        self, request: finance_pb2.ListFacilitiesRequest, context: Any
    ) -> finance_pb2.ListFacilitiesResponse:
        """List facilities."""
        rows, token = await self._page(
            request,
            facility_store.list_facilities,
            viewer=principal(),
            state=state_name(finance_pb2.FacilityState, request.state, "FACILITY_STATE_"),
        )
        return finance_pb2.ListFacilitiesResponse(
            facilities=[messages.facility(row) for row in rows], next_page_token=token
        )

    async def SuspendFacility(
        self, request: finance_pb2.SuspendFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Suspend a facility."""
        return await self._change_facility(request, "suspend")

    async def ResumeFacility(
        self, request: finance_pb2.ResumeFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Put a facility back in use."""
        return await self._change_facility(request, "resume")

    async def CloseFacility(
        self, request: finance_pb2.CloseFacilityRequest, context: Any
    ) -> finance_pb2.Facility:
        """Close a facility for good."""
        return await self._change_facility(request, "close")

    async def _change_facility(self, request: Any, command: str) -> finance_pb2.Facility:
        funder = principal().require_party()

        async def work(tx: Transaction) -> finance_pb2.Facility:
            facility_id = parse_name(request.name, "facilities")
            return messages.facility(
                await facility_handlers.change_facility(
                    tx, facility_id, funder=funder, command=command, etag=request.etag
                )
            )

        return await self._commands.run(request, work)


def _basis(number: int) -> Basis:
    return (
        Basis(wire.enum_name(common_pb2.ValueBasis, number, prefix="VALUE_BASIS_"))
        if (number)
        else Basis.OLV
    )
