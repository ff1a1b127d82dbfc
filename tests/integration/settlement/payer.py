"""A party with a funded wallet and the operator beside it, for the tests of payments."""

from datetime import timedelta
from typing import Any

from ironloop.settlement.v1 import payments_pb2 as pb
from ironloop.settlement.v1 import payments_pb2_grpc as rpc

from infra.local.client import Actor
from services.kit import wire
from services.kit.ids import new_id
from tests.integration.settlement.ledger_client import LedgerClient
from tests.support.world import World
from tests.unit.settlement.statements import Line, statement

BANK: dict[str, Any] = {
    "rail": pb.RAIL_BANK,
    "creditor_name": "Sany",
    "creditor_account": "6222020200112233",
    "creditor_agent": "102100099996",
}
ECNY: dict[str, Any] = {
    "rail": pb.RAIL_ECNY_SIMULATOR,
    "creditor_name": "Driver",
    "creditor_account": "SIM-SLOW",
}


class Payer:
    """A party with a funded wallet, and the operator beside it."""

    def __init__(self, world: World, actor: Actor, wallet: int) -> None:
        self.world, self.actor, self.wallet = world, actor, wallet
        self.ledger = LedgerClient(world, world.operator)

    @property
    def stub(self) -> "rpc.PaymentServiceAsyncStub":
        return self.actor.stub(rpc.PaymentServiceStub)

    @property
    def operator(self) -> "rpc.PaymentServiceAsyncStub":
        return self.world.operator.stub(rpc.PaymentServiceStub)

    async def create(self, amount_fen: int = 1_000, **fields: Any) -> pb.Payment:
        request = pb.CreatePaymentRequest(
            request_id=str(new_id()),
            account=f"accounts/{self.wallet}",
            amount=wire.money(amount_fen),
            **(fields or BANK),
        )
        return await self.stub.CreatePayment(request)

    async def authorise(self, payment: pb.Payment) -> pb.Payment:
        request = pb.AuthorisePaymentRequest(request_id=str(new_id()), name=payment.name)
        return await self.operator.AuthorisePayment(request)

    async def submit(self, payment: pb.Payment) -> pb.Payment:
        request = pb.SubmitPaymentRequest(request_id=str(new_id()), name=payment.name)
        return await self.operator.SubmitPayment(request)

    async def cancel(self, payment: pb.Payment) -> pb.Payment:
        request = pb.CancelPaymentRequest(request_id=str(new_id()), name=payment.name)
        return await self.operator.CancelPayment(request)

    async def submitted(self, amount_fen: int = 1_000, **fields: Any) -> pb.Payment:
        return await self.submit(await self.authorise(await self.create(amount_fen, **fields)))

    async def export(self) -> pb.Pain001File:
        request = pb.ExportPain001Request(request_id=str(new_id()))
        return await self.operator.ExportPain001(request)

    async def report(self, xml: str) -> pb.StatusReport:
        request = pb.ImportPain002Request(request_id=str(new_id()), xml=xml)
        return await self.operator.ImportPain002(request)

    async def advance(self, *, days: int) -> None:
        await self.world.advance_to(self.world.today() + timedelta(days=days))

    async def get(self, payment: pb.Payment) -> pb.Payment:
        return await self.stub.GetPayment(pb.GetPaymentRequest(name=payment.name))

    async def available_fen(self) -> tuple[int, int]:
        account = await self.ledger.account(self.wallet)
        return tuple(
            amount.units * 100 + amount.nanos // 10_000_000
            for amount in (account.balance, account.available)
        )

    async def import_statement(self, xml: str) -> pb.StatementReport:
        request = pb.ImportCamt053Request(request_id=str(new_id()), xml=xml)
        return await self.operator.ImportCamt053(request)

    async def statement(self, *lines: Line, name: str = "") -> pb.StatementReport:
        bank = await self.bank()
        return await self.import_statement(
            statement(str(bank), *lines, name=name or str(new_id())[:20])
        )

    async def bank(self) -> int:
        async with self.world.running["settlement"].runtime.database.read() as connection:
            number: int = await connection.fetchval(
                "select id from account where code = 1010 and reference = '' and ledger = 1"
            )
        return number


def state_of(payment: pb.Payment) -> str:
    return pb.PaymentState.Name(payment.state).removeprefix("PAYMENT_STATE_")
