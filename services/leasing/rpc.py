"""The contract of leases: protobuf to arguments and back, nothing else; its parts by noun."""

from typing import Any

from ironloop.leasing.v1 import leasing_pb2, leasing_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.leasing import handlers, lease_store
from services.leasing.course_rpc import CourseRpc
from services.leasing.ending_rpc import EndingRpc
from services.leasing.instalment_rpc import InstalmentRpc
from services.leasing.messages import lease_to_wire
from services.leasing.term_rpc import TermRpc
from services.leasing.usage_rpc import UsageRpc


class LeasingRpc(
    CourseRpc,
    InstalmentRpc,
    UsageRpc,
    TermRpc,
    EndingRpc,
    leasing_pb2_grpc.LeasingServiceServicer,
):
    """Serves ironloop.leasing.v1.LeasingService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def GetLease(
        self, request: leasing_pb2.GetLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Return a lease."""
        lease_id = parse_name(request.name, "leases")
        return lease_to_wire(await handlers.get_lease(self._database, lease_id, viewer=principal()))

    async def ListLeases(
        self, request: leasing_pb2.ListLeasesRequest, context: Any
    ) -> leasing_pb2.ListLeasesResponse:
        """List leases, the newest first."""
        page = self._pages.open(request)
        state = wire.enum_name(leasing_pb2.LeaseState, request.state, prefix="LEASE_STATE_")
        async with self._database.read() as connection:
            rows = await lease_store.list_leases(
                connection,
                viewer=principal(),
                state=state if request.state else "",
                machine=request.machine,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda lease: (lease.create_time, lease.id)
        )
        return leasing_pb2.ListLeasesResponse(
            leases=[lease_to_wire(lease) for lease in kept], next_page_token=token
        )
