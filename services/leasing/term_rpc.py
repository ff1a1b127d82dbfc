"""The contract of a term's end: buyout, purchase, extension, return; nothing but conversion."""

from typing import Any

from ironloop.leasing.v1 import leasing_pb2

from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.requests import Commands
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.leasing import clients, purchase_sagas, return_sagas, term_handlers
from services.leasing.arguments import hours, optional_date
from services.leasing.lease_commands import run_command, run_saga
from services.leasing.messages import schedule_to_wire


class TermRpc:
    """The part of LeasingService that ends terms as the contract foresees."""

    _runtime: Runtime
    _commands: Commands

    async def QuoteBuyout(
        self, request: leasing_pb2.QuoteBuyoutRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Quote an early buyout."""
        return await run_command(
            self._commands,
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
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: purchase_sagas.begin_buyout(tx, lease_id, viewer=principal()),
        )
        return answer

    async def PurchaseLease(
        self, request: leasing_pb2.PurchaseLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Buy the machine at maturity."""
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
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
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: return_sagas.begin_return(tx, lease_id, viewer=principal()),
        )
        return answer

    async def ConfirmReturn(
        self, request: leasing_pb2.ConfirmReturnRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Confirm that the machine is back."""
        known: leasing_pb2.Lease | None = await self._commands.find_answer(request)
        if known is not None:
            return known
        await clients.require_party(self._runtime.peers, request.inspector)
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: return_sagas.begin_confirmation(
                tx,
                lease_id,
                viewer=principal(),
                hours=hours(request.hours_meter, field="hours_meter"),
                condition=request.condition,
                inspector=request.inspector,
            ),
        )
        return answer
