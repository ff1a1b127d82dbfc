"""The contract of receivables: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.finance.v1 import receivables_pb2, receivables_pb2_grpc

from services.finance import (
    clients,
    factoring_handlers,
    factoring_saga,
    factoring_store,
    receivable_handlers,
    receivable_messages,
    receivable_store,
)
from services.finance.lifecycle import RECEIVABLE
from services.kit import wire
from services.kit.errors import NotFound
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction


class ReceivableRpc(receivables_pb2_grpc.ReceivableServiceServicer):
    """Serves ironloop.finance.v1.ReceivableService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def GetReceivable(
        self, request: receivables_pb2.GetReceivableRequest, context: Any
    ) -> receivables_pb2.Receivable:
        """Return a receivable."""
        receivable_id = parse_name(request.name, "receivables")
        async with self._database.read() as connection:
            found = await receivable_store.find_receivable(
                connection, receivable_id, viewer=principal()
            )
        if found is None:
            raise NotFound(request.name)
        return receivable_messages.receivable(found)

    async def ListReceivables(
        self, request: receivables_pb2.ListReceivablesRequest, context: Any
    ) -> receivables_pb2.ListReceivablesResponse:
        """List receivables by lease and number."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await receivable_store.list_receivables(
                connection,
                viewer=principal(),
                lease=request.lease or None,
                state=wire.enum_name(
                    receivables_pb2.ReceivableState, request.state, prefix="RECEIVABLE_STATE_"
                )
                if request.state
                else None,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.lease, row.number))
        return receivables_pb2.ListReceivablesResponse(
            receivables=[receivable_messages.receivable(row) for row in kept], next_page_token=token
        )

    async def ConfirmReceivables(
        self, request: receivables_pb2.ConfirmReceivablesRequest, context: Any
    ) -> receivables_pb2.ConfirmReceivablesResponse:
        """Confirm a run of instalments."""
        debtor = principal().require_party()

        async def work(tx: Transaction) -> receivables_pb2.ConfirmReceivablesResponse:
            confirmed = await receivable_handlers.confirm_receivables(
                tx,
                request.lease,
                from_number=request.from_number,
                to_number=request.to_number,
                debtor=debtor,
            )
            return receivables_pb2.ConfirmReceivablesResponse(
                receivables=[receivable_messages.receivable(line) for line in confirmed]
            )

        return await self._commands.run(request, work)

    async def DisputeReceivable(
        self, request: receivables_pb2.DisputeReceivableRequest, context: Any
    ) -> receivables_pb2.Receivable:
        """Refuse: disputes are declared and not built."""
        return await self._refuse(request.name, "dispute")

    async def DiluteReceivable(
        self, request: receivables_pb2.DiluteReceivableRequest, context: Any
    ) -> receivables_pb2.Receivable:
        """Refuse: credit notes are declared and not built."""
        return await self._refuse(request.name, "dilute")

    async def ClaimRecourse(
        self, request: receivables_pb2.ClaimRecourseRequest, context: Any
    ) -> receivables_pb2.Receivable:
        """Refuse: recourse is declared and not built."""
        return await self._refuse(request.name, "claim_recourse")

    async def OfferFactoring(
        self, request: receivables_pb2.OfferFactoringRequest, context: Any
    ) -> receivables_pb2.Factoring:
        """Offer a run of instalments to a funder."""
        lessor = principal().require_party()
        await clients.require_party(self._runtime, request.funder)

        async def work(tx: Transaction) -> receivables_pb2.Factoring:
            return receivable_messages.factoring(
                await factoring_handlers.offer_factoring(
                    tx,
                    request.lease,
                    from_number=request.from_number,
                    to_number=request.to_number,
                    nominal_rate=wire.to_decimal(request.nominal_rate, field="nominal_rate"),
                    funder=request.funder,
                    facility_id=parse_name(request.facility, "facilities", field="facility")
                    if request.facility
                    else None,
                    lessor=lessor,
                )
            )

        return await self._commands.run(request, work)

    async def GetFactoring(
        self, request: receivables_pb2.GetFactoringRequest, context: Any
    ) -> receivables_pb2.Factoring:
        """Return a factoring."""
        factoring_id = parse_name(request.name, "factorings")
        async with self._database.read() as connection:
            found = await factoring_store.find_factoring(
                connection, factoring_id, viewer=principal()
            )
        if found is None:
            raise NotFound(request.name)
        return receivable_messages.factoring(found)

    async def ListFactorings(
        self, request: receivables_pb2.ListFactoringsRequest, context: Any
    ) -> receivables_pb2.ListFactoringsResponse:
        """List factorings, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await factoring_store.list_factorings(
                connection,
                viewer=principal(),
                state=wire.enum_name(
                    receivables_pb2.FactoringState, request.state, prefix="FACTORING_STATE_"
                )
                if request.state
                else None,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda row: (row.create_time, row.id)
        )
        return receivables_pb2.ListFactoringsResponse(
            factorings=[receivable_messages.factoring(row) for row in kept], next_page_token=token
        )

    async def AcceptFactoring(
        self, request: receivables_pb2.AcceptFactoringRequest, context: Any
    ) -> receivables_pb2.Factoring:
        """Accept a factoring and pay."""
        funder = principal().require_party()

        async def begin(tx: Transaction) -> Saga:
            factoring_id = parse_name(request.name, "factorings")
            return await factoring_saga.begin(tx, factoring_id, funder=funder)

        factoring: receivables_pb2.Factoring = await self._commands.run_saga(request, begin)
        return factoring

    async def CancelFactoring(
        self, request: receivables_pb2.CancelFactoringRequest, context: Any
    ) -> receivables_pb2.Factoring:
        """Take a factoring back."""
        party = principal().require_party()

        async def work(tx: Transaction) -> receivables_pb2.Factoring:
            factoring_id = parse_name(request.name, "factorings")
            return receivable_messages.factoring(
                await factoring_handlers.cancel_factoring(tx, factoring_id, party=party)
            )

        return await self._commands.run(request, work)

    async def ListAssignmentNotices(
        self, request: receivables_pb2.ListAssignmentNoticesRequest, context: Any
    ) -> receivables_pb2.ListAssignmentNoticesResponse:
        """List notices of assignment, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await factoring_store.list_notices(
                connection,
                viewer=principal(),
                lease=request.lease or None,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda row: (row.create_time, row.id)
        )
        return receivables_pb2.ListAssignmentNoticesResponse(
            notices=[receivable_messages.notice(row) for row in kept], next_page_token=token
        )

    async def _refuse(self, receivable: str, command: str) -> receivables_pb2.Receivable:
        """Refuse a command that is declared and not built, to those who see the receivable."""
        receivable_id = parse_name(receivable, "receivables")
        async with self._database.read() as connection:
            found = await receivable_store.find_receivable(
                connection, receivable_id, viewer=principal()
            )
        if found is None:
            raise NotFound(receivable)
        RECEIVABLE.next(found.state, command, subject=found.name)
        raise AssertionError("the command is not available, so the line above has refused it")
