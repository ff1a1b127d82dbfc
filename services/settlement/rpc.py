"""The contract of settlement: protobuf to arguments and back, nothing else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.settlement import handlers, store
from services.settlement.account import MAIN_LEDGER, AccountKey, AccountKind
from services.settlement.engine import Engine
from services.settlement.wire import (
    account_to_wire,
    entry_to_wire,
    ledger_to_wire,
    number_of,
    posted_to_wire,
    refusal_to_wire,
    result_to_wire,
    results_to_wire,
    transfer_of,
    trial_balance_to_wire,
)

STREAM_BATCHES_MAX = 8  # batches of one stream that are under way; more wait in the client


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a stream's requests, and why where it is not the client's."""

    error: Exception | None


class SettlementRpc(settlement_pb2_grpc.SettlementServiceServicer):
    """Serves ironloop.settlement.v1.SettlementService."""

    def __init__(self, runtime: Runtime, engine: Engine) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages
        self._clock = runtime.clock
        self._engine = engine

    async def CreateLedger(
        self, request: settlement_pb2.CreateLedgerRequest, context: Any
    ) -> settlement_pb2.Ledger:
        """Open a ledger."""
        ledger = await self._database.run(
            lambda tx: handlers.create_ledger(
                tx, book=request.book, currency_code=request.currency_code
            )
        )
        await self._engine.look_around()
        return ledger_to_wire(ledger)

    async def ListLedgers(
        self, request: settlement_pb2.ListLedgersRequest, context: Any
    ) -> settlement_pb2.ListLedgersResponse:
        """List ledgers by number."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await store.list_ledgers(
                connection, after=page.after[0] if page.after else 0, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
        return settlement_pb2.ListLedgersResponse(
            ledgers=[ledger_to_wire(ledger) for ledger in kept], next_page_token=token
        )

    async def CreateAccounts(
        self, request: settlement_pb2.CreateAccountsRequest, context: Any
    ) -> settlement_pb2.CreateAccountsResponse:
        """Open accounts."""
        keys = [
            AccountKey(
                number_of(account.ledger, "ledgers") if account.ledger else MAIN_LEDGER,
                AccountKind(account.kind),
                parse_name(account.owner, "parties", field="owner") if account.owner else None,
                account.reference,
            )
            for account in request.accounts
        ]
        records = await self._database.run(lambda tx: handlers.create_accounts(tx, keys))
        return settlement_pb2.CreateAccountsResponse(
            accounts=[account_to_wire(record) for record in records]
        )

    async def GetAccount(
        self, request: settlement_pb2.GetAccountRequest, context: Any
    ) -> settlement_pb2.Account:
        """Return an account."""
        async with self._database.read() as connection:
            return account_to_wire(
                await handlers.get_account(
                    connection, number_of(request.name, "accounts"), viewer=principal()
                )
            )

    async def ListAccounts(
        self, request: settlement_pb2.ListAccountsRequest, context: Any
    ) -> settlement_pb2.ListAccountsResponse:
        """List accounts by number."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await handlers.list_accounts(
                connection,
                viewer=principal(),
                owner=parse_name(request.owner, "parties", field="owner")
                if request.owner
                else None,
                kind=AccountKind(request.kind) if request.kind else None,
                reference=request.reference,
                after=page.after[0] if page.after else 0,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.account.id,))
        return settlement_pb2.ListAccountsResponse(
            accounts=[account_to_wire(record) for record in kept], next_page_token=token
        )

    async def FreezeAccount(
        self, request: settlement_pb2.FreezeAccountRequest, context: Any
    ) -> settlement_pb2.Account:
        """Freeze an account."""
        return await self._change_state(request, "freeze")

    async def UnfreezeAccount(
        self, request: settlement_pb2.UnfreezeAccountRequest, context: Any
    ) -> settlement_pb2.Account:
        """Open a frozen account again."""
        return await self._change_state(request, "unfreeze")

    async def CloseAccount(
        self, request: settlement_pb2.CloseAccountRequest, context: Any
    ) -> settlement_pb2.Account:
        """Close an account."""
        return await self._change_state(request, "close")

    async def PostTransfers(
        self, request: settlement_pb2.PostTransfersRequest, context: Any
    ) -> settlement_pb2.PostTransfersResponse:
        """Post transfers."""
        return await self._post(request)

    async def PostTransfer(
        self, request: settlement_pb2.PostTransferRequest, context: Any
    ) -> settlement_pb2.TransferResult:
        """Post one transfer."""
        sent = request.transfer
        sent.DiscardUnknownFields()
        outcomes = await self._engine.post([transfer_of(sent)], sent=[sent])
        return result_to_wire(sent.id, outcomes[0])

    async def StreamTransfers(
        self, requests: AsyncIterator[settlement_pb2.PostTransfersRequest], context: Any
    ) -> AsyncIterator[settlement_pb2.PostTransfersResponse]:
        """Post a stream of batches; several are under way at once, answers keep their order."""
        under_way: asyncio.Queue[asyncio.Task[settlement_pb2.PostTransfersResponse] | _End]
        under_way = asyncio.Queue(STREAM_BATCHES_MAX)

        async def read() -> None:
            try:
                async for request in requests:
                    await under_way.put(asyncio.create_task(self._post(request)))
            except Exception as error:
                await under_way.put(_End(error))
            else:
                await under_way.put(_End(None))

        reading = asyncio.create_task(read())
        try:
            while not isinstance(batch := await under_way.get(), _End):
                yield await batch
            if batch.error is not None:
                raise batch.error
        finally:
            reading.cancel()

    async def LookupTransfers(
        self, request: settlement_pb2.LookupTransfersRequest, context: Any
    ) -> settlement_pb2.LookupTransfersResponse:
        """Return what is known of transfer ids."""
        ids = [UUID(text) for text in request.ids]
        viewer = principal()
        async with self._database.read() as connection:
            rows = await store.lookup_transfers(connection, ids, viewer=viewer)
            refusals = await store.lookup_refusals(connection, ids) if viewer.sees_all else []
        return settlement_pb2.LookupTransfersResponse(
            transfers=[posted_to_wire(row, viewer) for row in rows],
            refusals=[refusal_to_wire(row) for row in refusals],
        )

    async def ListEntries(
        self, request: settlement_pb2.ListEntriesRequest, context: Any
    ) -> settlement_pb2.ListEntriesResponse:
        """Return a page of an account's statement."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            record, rows = await handlers.list_entries(
                connection,
                number_of(request.account, "accounts", field="account"),
                viewer=principal(),
                before=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row["number"],))
        return settlement_pb2.ListEntriesResponse(
            entries=[entry_to_wire(row, record) for row in kept], next_page_token=token
        )

    async def GetBalance(
        self, request: settlement_pb2.GetBalanceRequest, context: Any
    ) -> settlement_pb2.Balance:
        """Return an account's balance at an instant."""
        at = wire.to_instant(request.at, field="at")
        async with self._database.read() as connection:
            record, standing = await handlers.get_balance(
                connection,
                number_of(request.account, "accounts", field="account"),
                viewer=principal(),
                at=at,
                now=self._clock.now(),
            )
        return settlement_pb2.Balance(
            account=record.name,
            at=request.at,
            balance=wire.money(standing.balance_fen, record.currency),
            available=wire.money(standing.available_fen, record.currency),
        )

    async def GetTrialBalance(
        self, request: settlement_pb2.GetTrialBalanceRequest, context: Any
    ) -> settlement_pb2.TrialBalance:
        """Return a ledger's trial balance."""
        async with self._database.read() as connection:
            rows = await handlers.get_trial_balance(
                connection, number_of(request.ledger, "ledgers", field="ledger")
            )
        return trial_balance_to_wire(request.ledger, rows)

    async def _post(
        self, request: settlement_pb2.PostTransfersRequest
    ) -> settlement_pb2.PostTransfersResponse:
        request.DiscardUnknownFields()  # the rows themselves go into the events
        sent = list(request.transfers)
        outcomes = await self._engine.post([transfer_of(row) for row in sent], sent=sent)
        return results_to_wire(sent, outcomes)

    async def _change_state(self, request: Any, command: str) -> settlement_pb2.Account:
        async def work(tx: Transaction) -> settlement_pb2.Account:
            return account_to_wire(
                await handlers.change_state(
                    tx,
                    number_of(request.name, "accounts"),
                    command,
                    etag=request.etag,
                    viewer=principal(),
                )
            )

        return await self._commands.run(request, work)
