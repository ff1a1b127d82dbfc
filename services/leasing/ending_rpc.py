"""The contract of defaults, losses, inspections and closing: protobuf to arguments and back."""

from collections.abc import Iterable
from typing import Any

from ironloop.common.v1 import common_pb2
from ironloop.leasing.v1 import endings_pb2, leasing_pb2

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.requests import Commands
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.leasing import (
    claim_handlers,
    clients,
    closing_sagas,
    default_handlers,
    inspection_sagas,
    loss_handlers,
    loss_sagas,
    repossession_sagas,
)
from services.leasing.arguments import optional_date
from services.leasing.ending_messages import document_of
from services.leasing.lease_commands import run_command, run_saga
from services.leasing.papers import DamageLine, Document


class EndingRpc:
    """The part of LeasingService that ends leases otherwise than their terms foresee."""

    _runtime: Runtime
    _commands: Commands

    async def GiveDefaultNotice(
        self, request: endings_pb2.GiveDefaultNoticeRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Give notice of default."""
        return await run_command(
            self._commands,
            request,
            lambda tx, lease_id: default_handlers.give_notice(
                tx, lease_id, viewer=principal(), text=request.text
            ),
        )

    async def DeclareDefault(
        self, request: endings_pb2.DeclareDefaultRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Declare the lessee's default."""
        return await run_command(
            self._commands,
            request,
            lambda tx, lease_id: default_handlers.declare_default(
                tx, lease_id, viewer=principal(), etag=request.etag
            ),
        )

    async def CureDefault(
        self, request: endings_pb2.CureDefaultRequest, context: Any
    ) -> leasing_pb2.Lease:
        """End a default whose arrears are paid."""
        return await run_command(
            self._commands,
            request,
            lambda tx, lease_id: default_handlers.cure_default(
                tx, lease_id, viewer=principal(), etag=request.etag
            ),
        )

    async def RepossessMachine(
        self, request: endings_pb2.RepossessMachineRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Take the machine back after a default."""
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: repossession_sagas.begin_repossession(
                tx, lease_id, viewer=principal(), condition=request.condition
            ),
        )
        return answer

    async def ReportTotalLoss(
        self, request: endings_pb2.ReportTotalLossRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Report the machine lost."""
        known: leasing_pb2.Lease | None = await self._commands.find_answer(request)
        if known is not None:
            return known
        await clients.require_party(self._runtime.peers, request.insurer)
        return await run_command(
            self._commands,
            request,
            lambda tx, lease_id: loss_handlers.report_loss(
                tx,
                lease_id,
                viewer=principal(),
                insurer=request.insurer,
                lost_on=optional_date(request, "loss_date"),
                description=request.description,
                evidence=_documents(request.evidence),
            ),
        )

    async def RejectTotalLoss(
        self, request: endings_pb2.RejectTotalLossRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Reject a report of a total loss."""
        return await run_command(
            self._commands,
            request,
            lambda tx, lease_id: loss_handlers.reject_loss(
                tx, lease_id, viewer=principal(), reason=request.reason
            ),
        )

    async def PayTotalLoss(
        self, request: endings_pb2.PayTotalLossRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Pay the stipulated loss value."""
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: loss_sagas.begin_loss_payment(tx, lease_id, viewer=principal()),
        )
        return answer

    async def InspectReturn(
        self, request: endings_pb2.InspectReturnRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Inspect a returned machine."""
        lines = tuple(_line(line, place) for place, line in enumerate(request.lines))
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: inspection_sagas.begin_inspection(
                tx,
                lease_id,
                viewer=principal(),
                lines=lines,
                evidence=_documents(request.evidence),
            ),
        )
        return answer

    async def CloseLease(
        self, request: endings_pb2.CloseLeaseRequest, context: Any
    ) -> leasing_pb2.Lease:
        """Close a lease that is over."""
        answer: leasing_pb2.Lease = await run_saga(
            self._commands,
            request,
            lambda tx, lease_id: closing_sagas.begin_closing(
                tx, lease_id, viewer=principal(), etag=request.etag
            ),
        )
        return answer

    async def WriteOffInstalments(
        self, request: endings_pb2.WriteOffInstalmentsRequest, context: Any
    ) -> endings_pb2.WriteOffInstalmentsResponse:
        """Write overdue instalments off."""

        async def work(tx: Transaction) -> endings_pb2.WriteOffInstalmentsResponse:
            claims = await claim_handlers.write_off(
                tx,
                parse_name(request.lease, "leases", field="lease"),
                viewer=principal(),
                numbers=sorted(request.numbers),
                reason=request.reason,
            )
            return endings_pb2.WriteOffInstalmentsResponse(claims=[claim.name for claim in claims])

        return await self._commands.run(request, work)


def _line(line: endings_pb2.DamageLine, place: int) -> DamageLine:
    has_charge = line.HasField("charge")
    charge_fen = wire.fen(line.charge, field=f"lines[{place}].charge") if has_charge else 0
    return DamageLine(
        part=line.part,
        description=line.description,
        fair_wear=line.fair_wear,
        charge_fen=charge_fen,
        evidence=_documents(line.evidence),
    )


def _documents(documents: Iterable[common_pb2.Document]) -> tuple[Document, ...]:
    return tuple(document_of(document) for document in documents)
