"""The contract of leases: protobuf to arguments and back, nothing else."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from ironloop.leasing.v1 import leasing_pb2, leasing_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.leasing import (
    clients,
    handlers,
    instalment_handlers,
    instalment_store,
    lease_store,
    payment_sagas,
    purchase_sagas,
    sagas,
    term_handlers,
    usage_handlers,
)
from services.leasing.arguments import hours, optional_date, optional_hours
from services.leasing.errors import RateResetRefused, RestructuringRefused
from services.leasing.instalment_store import Assignment
from services.leasing.messages import (
    instalment_to_wire,
    lease_to_wire,
    schedule_to_wire,
    usage_to_wire,
)
from services.leasing.model import Lease
from services.leasing.programme_model import Wish
from services.leasing.usage_model import Reading

_Command = Callable[[Transaction, UUID], Awaitable[Lease]]
_Begin = Callable[[Transaction, UUID], Awaitable[Saga]]


class LeasingRpc(leasing_pb2_grpc.LeasingServiceServicer):
    """Serves ironloop.leasing.v1.LeasingService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def QuoteLease(
        self, request: leasing_pb2.QuoteLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Quote a lease of a machine from a programme."""
        answer: leasing_pb2.Lease | None = await self._commands.find_answer(request)
        if answer is not None:
            return answer
        viewer = principal()
        lessee = request.lessee or viewer.require_party()
        if lessee != viewer.party:
            await clients.require_lessee(self._runtime.peers, lessee)
        machine = await clients.get_machine(
            self._runtime.peers, request.machine, actor=viewer.actor
        )

        async def work(tx: Transaction) -> leasing_pb2.Lease:
            return lease_to_wire(
                await handlers.quote_lease(
                    tx,
                    programme_id=parse_name(
                        request.programme, "leaseProgrammes", field="programme"
                    ),
                    machine=machine,
                    lessee=lessee,
                    viewer=viewer,
                    wish=_wish(request),
                )
            )

        return await self._commands.run(request, work)

    async def ApplyForLease(
        self, request: leasing_pb2.ApplyForLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Apply for a quoted lease."""
        return await self._command(
            request,
            lambda tx, lease_id: handlers.apply_for_lease(
                tx, lease_id, viewer=principal(), etag=request.etag
            ),
        )

    async def ApproveLease(
        self, request: leasing_pb2.ApproveLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Approve an application and reserve the machine."""
        answer: leasing_pb2.Lease = await self._begin(
            request,
            lambda tx, lease_id: sagas.begin_approval(
                tx, lease_id, viewer=principal(), etag=request.etag
            ),
        )
        return answer

    async def DeclineLease(
        self, request: leasing_pb2.DeclineLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Decline an application."""
        return await self._command(
            request,
            lambda tx, lease_id: handlers.decline_lease(
                tx, lease_id, viewer=principal(), etag=request.etag, reason=request.reason
            ),
        )

    async def SignLease(
        self, request: leasing_pb2.SignLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Sign the terms for the caller's side."""
        return await self._command(
            request,
            lambda tx, lease_id: handlers.sign_lease(
                tx, lease_id, viewer=principal(), sha256=request.terms_sha256
            ),
        )

    async def AcceptDelivery(
        self, request: leasing_pb2.AcceptDeliveryRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Accept the delivery of the machine."""
        return await self._command(
            request,
            lambda tx, lease_id: handlers.accept_delivery(
                tx,
                lease_id,
                viewer=principal(),
                hours=optional_hours(request, "hours_meter"),
            ),
        )

    async def ActivateLease(
        self, request: leasing_pb2.ActivateLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Activate a signed lease."""
        answer: leasing_pb2.Lease = await self._begin(
            request,
            lambda tx, lease_id: sagas.begin_activation(
                tx, lease_id, viewer=principal(), registry_no=request.registry_no
            ),
        )
        return answer

    async def CancelLease(
        self, request: leasing_pb2.CancelLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Cancel a lease that is not active yet."""
        answer: leasing_pb2.Lease = await self._begin(
            request,
            lambda tx, lease_id: sagas.begin_cancellation(
                tx, lease_id, viewer=principal(), etag=request.etag, reason=request.reason
            ),
        )
        return answer

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
        answer: leasing_pb2.PayInstalmentResponse = await self._begin(
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
        answer: leasing_pb2.Schedule = await self._begin(
            request,
            lambda tx, lease_id: payment_sagas.begin_prepayment(
                tx,
                lease_id,
                viewer=principal(),
                principal_fen=wire.fen(request.principal, field="principal", positive=True),
            ),
        )
        return answer

    async def ReportUsage(
        self, request: leasing_pb2.ReportUsageRequest, context: Any
    ) -> leasing_pb2.Usage:
        """Report the hour meter."""

        async def work(tx: Transaction) -> leasing_pb2.Usage:
            reading = Reading(
                optional_date(request, "report_date") or tx.today,
                hours(request.hours_meter, field="hours_meter"),
            )
            lease, usage = await usage_handlers.report_usage(
                tx, parse_name(request.name, "leases"), viewer=principal(), reading=reading
            )
            return usage_to_wire(lease, usage)

        return await self._commands.run(request, work)

    async def GetUsage(
        self, request: leasing_pb2.GetUsageRequest, context: Any
    ) -> leasing_pb2.Usage:
        """Return a lease's usage."""
        lease_id = parse_name(request.name, "leases")
        lease, usage = await usage_handlers.get_usage(self._database, lease_id, viewer=principal())
        return usage_to_wire(lease, usage)

    async def QuoteBuyout(
        self, request: leasing_pb2.QuoteBuyoutRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Quote an early buyout."""
        return await self._command(
            request,
            lambda tx, lease_id: term_handlers.quote_buyout(
                tx,
                lease_id,
                viewer=principal(),
                as_of=optional_date(request, "as_of_date"),
            ),
        )

    async def BuyOutLease(
        self, request: leasing_pb2.BuyOutLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Buy the machine out at the quoted total."""
        answer: leasing_pb2.Lease = await self._begin(
            request,
            lambda tx, lease_id: purchase_sagas.begin_buyout(tx, lease_id, viewer=principal()),
        )
        return answer

    async def PurchaseLease(
        self, request: leasing_pb2.PurchaseLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Buy the machine at maturity."""
        answer: leasing_pb2.Lease = await self._begin(
            request,
            lambda tx, lease_id: purchase_sagas.begin_purchase(tx, lease_id, viewer=principal()),
        )
        return answer

    async def ExtendLease(
        self, request: leasing_pb2.ExtendLeaseRequest, context: Any
    ) -> leasing_pb2.Schedule:
        """Extend a matured lease."""

        async def work(tx: Transaction) -> leasing_pb2.Schedule:
            lease, instalments = await term_handlers.extend_lease(
                tx,
                parse_name(request.name, "leases"),
                viewer=principal(),
                months=request.months,
            )
            return schedule_to_wire(lease, instalments, on=tx.today)

        return await self._commands.run(request, work)

    async def ReturnLease(
        self, request: leasing_pb2.ReturnLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Begin the machine's way back."""
        answer: leasing_pb2.Lease = await self._begin(
            request,
            lambda tx, lease_id: sagas.begin_return(tx, lease_id, viewer=principal()),
        )
        return answer

    async def ConfirmReturn(
        self, request: leasing_pb2.ConfirmReturnRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Confirm that the machine is back."""
        answer: leasing_pb2.Lease = await self._begin(
            request,
            lambda tx, lease_id: sagas.begin_confirmation(
                tx,
                lease_id,
                viewer=principal(),
                hours=hours(request.hours_meter, field="hours_meter"),
                condition=request.condition,
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

    async def RestructureLease(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse to restructure a lease."""
        raise RestructuringRefused(await self._seen(request))

    async def ResetRate(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse to reset a rate."""
        raise RateResetRefused(await self._seen(request))

    async def DeclareDefault(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse as not yet available."""
        return await self._refuse(request, "declare_default")

    async def CureDefault(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse as not yet available."""
        return await self._refuse(request, "cure_default")

    async def RepossessMachine(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse as not yet available."""
        return await self._refuse(request, "repossess")

    async def ReportTotalLoss(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse as not yet available."""
        return await self._refuse(request, "report_total_loss")

    async def InspectReturn(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse as not yet available."""
        return await self._refuse(request, "inspect")

    async def CloseLease(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse as not yet available."""
        return await self._refuse(request, "close")

    async def _command(self, request: Any, command: _Command) -> leasing_pb2.Lease:
        """Run a command of one transaction on the lease that a request names."""

        async def work(tx: Transaction) -> leasing_pb2.Lease:
            return lease_to_wire(await command(tx, parse_name(request.name, "leases")))

        return await self._commands.run(request, work)

    async def _begin(self, request: Any, begin: _Begin) -> Any:
        """Run a saga on the lease that a request names, and return its answer."""

        async def first(tx: Transaction) -> Saga:
            return await begin(tx, parse_name(request.name, "leases"))

        return await self._commands.run_saga(request, first)

    async def _refuse(
        self, request: leasing_pb2.LeaseCommandRequest, command: str
    ) -> leasing_pb2.Lease:
        await handlers.refuse_command(
            self._database, parse_name(request.name, "leases"), viewer=principal(), command=command
        )
        raise AssertionError("the line above raises")

    async def _seen(self, request: leasing_pb2.LeaseCommandRequest) -> str:
        lease_id = parse_name(request.name, "leases")
        return (await handlers.get_lease(self._database, lease_id, viewer=principal())).name


def _wish(request: leasing_pb2.QuoteLeaseRequest) -> Wish:
    guaranteed = request.guaranteed_residual
    return Wish(
        financed_fen=wire.fen(request.financed_amount, field="financed_amount", positive=True),
        residual_fen=wire.fen(request.residual, field="residual"),
        guaranteed_fen=wire.fen(guaranteed, field="guaranteed_residual")
        if request.HasField("guaranteed_residual")
        else 0,
        term_months=request.term_months,
    )
