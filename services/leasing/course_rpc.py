"""The contract of a lease from the quote to its activation: protobuf to arguments and back."""

from typing import Any

from ironloop.leasing.v1 import leasing_pb2

from services.kit import wire
from services.kit.database import Database
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.requests import Commands
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.leasing import activation_sagas, approval_sagas, clients, handlers
from services.leasing.arguments import optional_hours
from services.leasing.errors import RateResetRefused, RestructuringRefused
from services.leasing.lease_commands import run_command, run_saga
from services.leasing.messages import lease_to_wire
from services.leasing.programme_model import Wish


class CourseRpc:
    """The part of LeasingService that brings leases to their activation."""

    _runtime: Runtime
    _database: Database
    _commands: Commands

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
        return await run_command(
            self._commands,
            request,
            lambda tx, lease_id: handlers.apply_for_lease(
                tx, lease_id, viewer=principal(), etag=request.etag
            ),
        )

    async def ApproveLease(
        self, request: leasing_pb2.ApproveLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Approve an application and reserve the machine."""
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: approval_sagas.begin_approval(
                tx, lease_id, viewer=principal(), etag=request.etag
            ),
        )
        return answer

    async def DeclineLease(
        self, request: leasing_pb2.DeclineLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Decline an application."""
        return await run_command(
            self._commands,
            request,
            lambda tx, lease_id: handlers.decline_lease(
                tx, lease_id, viewer=principal(), etag=request.etag, reason=request.reason
            ),
        )

    async def SignLease(
        self, request: leasing_pb2.SignLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Sign the terms for the caller's side."""
        return await run_command(
            self._commands,
            request,
            lambda tx, lease_id: handlers.sign_lease(
                tx, lease_id, viewer=principal(), sha256=request.terms_sha256
            ),
        )

    async def AcceptDelivery(
        self, request: leasing_pb2.AcceptDeliveryRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Accept the delivery of the machine."""
        return await run_command(
            self._commands,
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
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: activation_sagas.begin_activation(
                tx, lease_id, viewer=principal(), registry_no=request.registry_no
            ),
        )
        return answer

    async def CancelLease(
        self, request: leasing_pb2.CancelLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Cancel a lease that is not active yet."""
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: approval_sagas.begin_cancellation(
                tx, lease_id, viewer=principal(), etag=request.etag, reason=request.reason
            ),
        )
        return answer

    async def RestructureLease(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse to restructure a lease."""
        raise RestructuringRefused(await self._name_seen(request))

    async def ResetRate(
        self, request: leasing_pb2.LeaseCommandRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Refuse to reset a rate."""
        raise RateResetRefused(await self._name_seen(request))

    async def _name_seen(self, request: leasing_pb2.LeaseCommandRequest) -> str:
        """Return the name of the lease that a request names, where its caller sees it."""
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
