"""The contract of instalments: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.leasing.v1 import leasing_pb2

from services.kit import wire
from services.kit.database import Database
from services.kit.ids import parse_name
from services.kit.paging import Pages
from services.kit.principals import principal
from services.kit.requests import Commands
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.leasing import handlers, instalment_handlers, instalment_store, payment_sagas
from services.leasing.instalment_store import Assignment
from services.leasing.lease_commands import run_saga
from services.leasing.messages import instalment_to_wire, schedule_to_wire


class InstalmentRpc:
    """The part of LeasingService that keeps schedules and payments."""

    _runtime: Runtime
    _database: Database
    _commands: Commands
    _pages: Pages

    async def GetSchedule(
        self, request: leasing_pb2.GetScheduleRequest, context: Any
    ) -> leasing_pb2.Schedule:
        """Return a lease's schedule."""
        lease_id = parse_name(request.name, "leases")
        lease = await handlers.get_lease(self._database, lease_id, viewer=principal())
        async with self._database.read() as connection:
            instalments = await instalment_store.list_of_lease(connection, lease_id)
        return schedule_to_wire(lease, instalments, on=self._runtime.clock.today())

    async def ListInstalments(
        self, request: leasing_pb2.ListInstalmentsRequest, context: Any
    ) -> leasing_pb2.ListInstalmentsResponse:
        """List instalments by the day they are payable."""
        page = self._pages.open(request)
        after: Any = page.after
        async with self._database.read() as connection:
            rows = await instalment_store.list_seen(
                connection,
                viewer=principal(),
                lease_id=parse_name(request.lease, "leases", field="lease")
                if request.lease
                else None,
                owner=request.owner,
                in_arrears=request.in_arrears,
                after=after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda item: (item.payable_on, item.lease_id, item.number)
        )
        today = self._runtime.clock.today()
        return leasing_pb2.ListInstalmentsResponse(
            instalments=[instalment_to_wire(item, on=today) for item in kept],
            next_page_token=token,
        )

    async def PayInstalment(
        self, request: leasing_pb2.PayInstalmentRequest, context: Any
    ) -> leasing_pb2.PayInstalmentResponse:
        """Pay what is due."""
        is_given = request.HasField("amount")
        answer: leasing_pb2.PayInstalmentResponse = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: payment_sagas.begin_payment(
                tx,
                lease_id,
                viewer=principal(),
                number=request.number,
                amount_fen=wire.fen(request.amount, field="amount", positive=True)
                if is_given
                else None,
            ),
        )
        return answer

    async def PrepayLease(
        self, request: leasing_pb2.PrepayLeaseRequest, context: Any
    ) -> leasing_pb2.Schedule:
        """Pay principal ahead."""
        answer: leasing_pb2.Schedule = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: payment_sagas.begin_prepayment(
                tx,
                lease_id,
                viewer=principal(),
                principal_fen=wire.fen(request.principal, field="principal", positive=True),
            ),
        )
        return answer

    async def AssignInstalments(
        self, request: leasing_pb2.AssignInstalmentsRequest, context: Any
    ) -> leasing_pb2.AssignInstalmentsResponse:
        """Make an assignee the owner of a run of instalments."""
        assignment = Assignment(
            reference=request.reference,
            owner=request.owner,
            from_number=request.from_number,
            to_number=request.to_number,
        )

        async def work(tx: Transaction) -> leasing_pb2.AssignInstalmentsResponse:
            assigned = await instalment_handlers.assign_instalments(tx, request.lease, assignment)
            return leasing_pb2.AssignInstalmentsResponse(
                instalments=[instalment_to_wire(item, on=tx.today) for item in assigned]
            )

        return await self._commands.run(request, work)

    async def ReturnInstalments(
        self, request: leasing_pb2.ReturnInstalmentsRequest, context: Any
    ) -> leasing_pb2.AssignInstalmentsResponse:
        """Give the lessor back what an assignment holds."""

        async def work(tx: Transaction) -> leasing_pb2.AssignInstalmentsResponse:
            returned = await instalment_handlers.return_instalments(
                tx, request.lease, reference=request.reference
            )
            return leasing_pb2.AssignInstalmentsResponse(
                instalments=[instalment_to_wire(item, on=tx.today) for item in returned]
            )

        return await self._commands.run(request, work)
