"""The contract of simulated e-CNY wallets: protobuf to arguments and back, nothing else."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ironloop.settlement.v1 import ecny_pb2, ecny_pb2_grpc

from services.kit import wire
from services.kit.errors import NotFound
from services.kit.etags import etag
from services.kit.ids import name, parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.settlement import ecny_handlers as handlers
from services.settlement import ecny_store as store
from services.settlement.ecny_model import EcnyWallet
from services.settlement.rails import ECNY
from services.settlement.wire import number_of


class EcnyRpc(ecny_pb2_grpc.EcnyServiceServicer):
    """Serves ironloop.settlement.v1.EcnyService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreateEcnyWallet(
        self, request: ecny_pb2.CreateEcnyWalletRequest, context: Any
    ) -> ecny_pb2.EcnyWallet:
        """Open a wallet."""
        account = number_of(request.account, "accounts", field="account")

        async def work(tx: Transaction) -> ecny_pb2.EcnyWallet:
            return wallet_to_wire(
                await handlers.create_wallet(
                    tx,
                    account,
                    payees=request.payees,
                    purposes=request.purposes,
                    viewer=principal(),
                )
            )

        return await self._commands.run(request, work)

    async def UpdateEcnyWallet(
        self, request: ecny_pb2.UpdateEcnyWalletRequest, context: Any
    ) -> ecny_pb2.EcnyWallet:
        """Replace a wallet's conditions."""
        wallet_id = parse_name(request.name, "ecnyWallets")

        async def work(tx: Transaction) -> ecny_pb2.EcnyWallet:
            return wallet_to_wire(
                await handlers.update_wallet(
                    tx,
                    wallet_id,
                    payees=request.payees,
                    purposes=request.purposes,
                    etag=request.etag,
                    viewer=principal(),
                )
            )

        return await self._commands.run(request, work)

    async def GetEcnyWallet(
        self, request: ecny_pb2.GetEcnyWalletRequest, context: Any
    ) -> ecny_pb2.EcnyWallet:
        """Return a wallet."""
        wallet_id = parse_name(request.name, "ecnyWallets")
        async with self._database.read() as connection:
            wallet = await store.find_wallet(connection, wallet_id, viewer=principal())
        if wallet is None:
            raise NotFound(request.name)
        return wallet_to_wire(wallet)

    async def ListEcnyWallets(
        self, request: ecny_pb2.ListEcnyWalletsRequest, context: Any
    ) -> ecny_pb2.ListEcnyWalletsResponse:
        """List wallets, the oldest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await store.list_wallets(
                connection, viewer=principal(), after=page.after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=_key)
        return ecny_pb2.ListEcnyWalletsResponse(
            wallets=[wallet_to_wire(wallet) for wallet in kept], next_page_token=token
        )


def _key(wallet: EcnyWallet) -> tuple[datetime, UUID]:
    return wallet.create_time, wallet.id


def wallet_to_wire(wallet: EcnyWallet) -> ecny_pb2.EcnyWallet:
    """Return a wallet as the contract shows it."""
    return ecny_pb2.EcnyWallet(
        name=wallet.name,
        uid=str(wallet.id),
        etag=etag(wallet.version),
        account=name("accounts", wallet.account),
        party=name("parties", wallet.party),
        payees=wallet.payees,
        purposes=wallet.purposes,
        is_simulated=ECNY.is_simulator,
        create_time=wire.instant(wallet.create_time),
        update_time=wire.instant(wallet.update_time),
    )
