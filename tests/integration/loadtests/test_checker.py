"""The checker believes what is true, and finds what a user was told and is not."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import asyncpg
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from infra.local.databases import dsn_of
from loadtests import checker_store
from loadtests.checker import Verdict, check_transfers, holds
from loadtests.journal import Journal, JournalledTransfer
from loadtests.money import bank, open_accounts, pay_in, wallet
from services.kit.ids import new_id
from services.settlement.definition import DEFINITION
from services.settlement.transfer import ResultCode
from tests.support import servers
from tests.support.world import World


def _transfer(debit: int, credit: int, amount_fen: int) -> settlement_pb2.Transfer:
    return settlement_pb2.Transfer(
        id=str(new_id()),
        debit_account=debit,
        credit_account=credit,
        amount_fen=amount_fen,
        kind=settlement_pb2.TRANSFER_KIND_POSTED,
        code=settlement_pb2.TRANSFER_CODE_LEASE_RENT,
        purpose="ledgers/1",
    )


def _told(row: settlement_pb2.Transfer, code: int) -> JournalledTransfer:
    return JournalledTransfer(
        UUID(row.id), row.debit_account, row.credit_account, row.amount_fen, code
    )


def _write(folder: Path, told: Sequence[JournalledTransfer]) -> None:
    folder.mkdir()
    journal = Journal(folder)
    for entry in told:
        journal.transfer(entry)
    journal.close()


async def _verdict(world: World, folder: Path, told: Sequence[JournalledTransfer]) -> Verdict:
    _write(folder, told)
    dsn = dsn_of(servers.postgres_dsn(), database=world.databases["settlement"])
    reader = await asyncpg.connect(dsn)
    try:
        verdict = Verdict("told is true")
        await check_transfers(verdict, reader, folder)
        return verdict
    finally:
        await reader.close()


async def test_what_users_were_told_is_held_against_the_ledger(
    world: World, tmp_path: Path
) -> None:
    await world.start(DEFINITION)
    owner = (await world.party("BUYER")).party
    wallets = await open_accounts(
        world.operator, [wallet(owner, f"load/{number}") for number in range(2)]
    )
    for _ in range(2):  # paid in once, however often it is asked for
        await pay_in(world.operator, wallets, amount_fen=1_000)
    first, second = (account.number for account in wallets)
    good, too_much = _transfer(first, second, 400), _transfer(first, second, 10_000)
    ledger = world.operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    answer = await ledger.PostTransfers(
        settlement_pb2.PostTransfersRequest(transfers=[good, too_much])
    )
    codes: list[int] = [result.code for result in answer.results]
    assert codes == [ResultCode.CREATED, ResultCode.EXCEEDS_CREDITS]

    true = [_told(good, codes[0]), _told(good, ResultCode.EXISTS), _told(too_much, codes[1])]
    assert holds([await _verdict(world, tmp_path / "true", true)])

    lost = _transfer(first, second, 1)
    planted = {
        "missing": _told(lost, ResultCode.CREATED),
        "altered": _told(good, codes[0])._replace(amount_fen=401),
        "is in the ledger": _told(good, ResultCode.EXCEEDS_CREDITS),
        "stored is None": _told(lost, ResultCode.EXCEEDS_CREDITS),
    }
    for name, entry in planted.items():
        verdict = await _verdict(world, tmp_path / name, [entry])
        assert len(verdict.problems) == 1, name
        assert not holds([verdict])
    assert not holds([])


async def test_a_balance_under_its_limit_and_an_escrow_are_read(world: World) -> None:
    dsn = dsn_of(servers.postgres_dsn(), database=world.databases["settlement"])
    reader = await asyncpg.connect(dsn)
    try:
        assert await checker_store.list_overdrawn(reader) == []
        assert await checker_store.list_overdrawing(reader) == []
        order = f"orders/{new_id()}"
        escrow = settlement_pb2.NewAccount(kind=settlement_pb2.ACCOUNT_KIND_ESCROW, reference=order)
        opened = await open_accounts(world.operator, [escrow, bank()])
        await pay_in(world.operator, opened[:1], amount_fen=700)
        [row] = [one for one in await checker_store.sum_escrows(reader) if one[0] == order]
        # It was paid in as a wallet is, not as an escrow: the checker will not call it funded.
        assert (row["balance"], row["funded"]) == (700, 0)
    finally:
        await reader.close()
