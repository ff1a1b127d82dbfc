"""Transfers through the API: batches, single ones, streams, bad input, and time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from ironloop.settlement.v1 import settlement_events_pb2 as events
from ironloop.settlement.v1 import settlement_pb2 as pb

from services.kit.ids import fact_id, new_id
from services.settlement.definition import DEFINITION
from tests.integration.settlement.ledger_client import (
    PENDING,
    POST_PENDING,
    LedgerClient,
    codes,
    transfer,
)
from tests.support.refusals import refused
from tests.support.world import World


@pytest.fixture
async def client(world: World) -> LedgerClient:
    if "settlement" not in world.running:
        await world.start(DEFINITION)
    return LedgerClient(world, world.service("finance"))


async def test_every_bad_row_has_its_own_code_and_spoils_no_other(client: LedgerClient) -> None:
    payer, payee = await client.funded_wallets(2, 1_000)
    good = transfer(payer, payee, 1)
    too_old = str(
        fact_id(
            client.world.running["settlement"].runtime.clock.now() - timedelta(days=400), "old", ""
        )
    )
    rows = {
        "ID_MALFORMED": transfer(payer, payee, 1, id="no uuid"),
        "ID_TOO_OLD": transfer(payer, payee, 1, id=too_old),
        "TXN_MALFORMED": transfer(payer, payee, 1, txn="no uuid"),
        "KIND_UNSUPPORTED": transfer(payer, payee, 1, kind=77),
        "CODE_UNSUPPORTED": transfer(payer, payee, 1, code=-3),
        "AMOUNT_NOT_POSITIVE": transfer(payer, payee, -(2**63)),
        "AMOUNT_TOO_LARGE": transfer(payer, payee, 2**63 - 1),
        "SAME_ACCOUNT": transfer(payer, payer, 1),
        "DEBIT_ACCOUNT_NOT_FOUND": transfer(2**63 - 1, payee, 1),
        "CREDIT_ACCOUNT_NOT_FOUND": transfer(payer, -5, 1),
        "PENDING_ID_MALFORMED": transfer(0, 0, 0, kind=POST_PENDING, pending_id="\0"),
        "PENDING_NOT_FOUND": transfer(0, 0, 0, kind=POST_PENDING, pending_id=str(new_id())),
        "TIMEOUT_OUT_OF_RANGE": transfer(payer, payee, 1, kind=PENDING, timeout_s=2**31 - 1),
        "PURPOSE_MALFORMED": transfer(payer, payee, 1, purpose="a\0b"),
        "MEMO_MALFORMED": transfer(payer, payee, 1, memo="m" * 100_000),
        "EXCEEDS_CREDITS": transfer(payer, payee, 1_001),
        "EXISTS": good,
        "EXISTS_WITH_DIFFERENT_AMOUNT": transfer(payer, payee, 2, id=good.id),
        "LINKED_CHAIN_OPEN": transfer(payer, payee, 1, linked=True),
    }
    answer = await client.post(good, *rows.values())
    assert codes(answer) == ["CREATED", *rows]
    assert [result.id for result in answer.results] == [good.id, *(r.id for r in rows.values())]
    assert codes(await client.post(*rows.values())) == list(rows)
    assert await client.balance_fen(payer) == 999


@pytest.mark.parametrize("count", [0, 4_097])
async def test_only_an_empty_or_overlong_batch_is_refused_as_a_whole(
    client: LedgerClient, count: int
) -> None:
    with refused("INVALID_FIELD") as refusal:
        await client.post(*[transfer(1, 2, 3)] * count)
    assert "transfers" in refusal.status.message


async def test_the_largest_batch_is_one_commit(client: LedgerClient) -> None:
    payer, payee = await client.funded_wallets(2, 10_000)
    answer = await client.post(*(transfer(payer, payee, 1) for _ in range(4_096)))
    assert Counter(codes(answer)) == {"CREATED": 4_096}
    assert answer.results[-1].debit_balance_fen == 10_000 - 4_096
    assert answer.results[-1].number - answer.results[0].number == 4_095


async def test_a_fee_split_fails_or_succeeds_as_one_chain(client: LedgerClient) -> None:
    escrow, platform = await client.funded_wallets(2, 780_000_00)
    seller, lender = await client.funded_wallets(2, 1)
    legs = [(platform, 11_700_00), (lender, 300_000_00), (seller, 468_300_00)]

    def chain(extra_fen: int) -> list[pb.Transfer]:
        txn = str(new_id())
        return [
            transfer(escrow, to, fen + extra_fen, txn=txn, linked=to != seller) for to, fen in legs
        ]

    refused_legs = codes(await client.post(*chain(1)))
    assert refused_legs == ["LINKED_EVENT_FAILED", "LINKED_EVENT_FAILED", "EXCEEDS_CREDITS"]
    assert await client.balance_fen(escrow) == 780_000_00
    assert codes(await client.post(*chain(0))) == ["CREATED"] * 3
    assert await client.balance_fen(escrow) == 0
    assert await client.balance_fen(seller) == 468_300_01


async def test_one_transfer_a_call_is_gathered_and_each_call_gets_its_own_answer(
    client: LedgerClient,
) -> None:
    payer, payee = await client.funded_wallets(2, 50)
    rows = [transfer(payer, payee, 1) for _ in range(60)]
    answers = await asyncio.gather(
        *(client.stub.PostTransfer(pb.PostTransferRequest(transfer=row)) for row in rows)
    )
    assert [answer.id for answer in answers] == [row.id for row in rows]
    named = Counter(pb.ResultCode.Name(answer.code) for answer in answers)
    assert named == {"RESULT_CODE_CREATED": 50, "RESULT_CODE_EXCEEDS_CREDITS": 10}
    async with client.world.running["settlement"].runtime.database.read() as connection:
        commits = await connection.fetchval(
            """
            select count(*) from ledger_commit where first_number >= $1
            """,
            min(answer.number for answer in answers if answer.number),
        )
    assert commits < 50
    linked = await client.stub.PostTransfer(
        pb.PostTransferRequest(transfer=transfer(payee, payer, 1, linked=True))
    )
    assert pb.ResultCode.Name(linked.code) == "RESULT_CODE_LINKED_CHAIN_OPEN"


async def test_a_stream_answers_each_batch_in_order(client: LedgerClient) -> None:
    payer, payee = await client.funded_wallets(2, 1_000)
    batches = [
        pb.PostTransfersRequest(transfers=[transfer(payer, payee, 1) for _ in range(size)])
        for size in (1, 3, 2, 5, 1, 1, 1, 1, 1, 1, 1, 1)
    ]

    async def send() -> AsyncIterator[pb.PostTransfersRequest]:
        for batch in batches:
            yield batch

    answers = [answer async for answer in client.stub.StreamTransfers(send())]
    assert [[result.id for result in answer.results] for answer in answers] == [
        [row.id for row in batch.transfers] for batch in batches
    ]
    assert {code for answer in answers for code in codes(answer)} == {"CREATED"}


async def test_a_bad_batch_ends_its_stream_after_the_answers_before_it(
    client: LedgerClient,
) -> None:
    payer, payee = await client.funded_wallets(2, 1_000)
    good = pb.PostTransfersRequest(transfers=[transfer(payer, payee, 1)])

    async def send() -> AsyncIterator[pb.PostTransfersRequest]:
        yield good
        yield pb.PostTransfersRequest()

    answers = []
    with refused("INVALID_FIELD"):
        async for answer in client.stub.StreamTransfers(send()):
            answers.append(answer)
    assert codes(await client.post(*good.transfers)) == ["EXISTS"]


async def test_a_retry_storm_moves_money_once(client: LedgerClient) -> None:
    wallets = await client.funded_wallets(4, 1_000)
    rows = [
        transfer(wallets[place % 4], wallets[(place + 1) % 4], 7 + place) for place in range(40)
    ]
    batches = [rows[start : start + 8] for start in range(0, 40, 8)]
    stormed, singly = await asyncio.gather(
        asyncio.gather(*(client.post(*batch) for _ in range(3) for batch in batches)),
        asyncio.gather(
            *(
                client.stub.PostTransfer(pb.PostTransferRequest(transfer=row))
                for _ in range(3)
                for row in rows[:8]
            )
        ),
    )
    assert {pb.ResultCode.Name(answer.code) for answer in singly} <= {
        "RESULT_CODE_CREATED",
        "RESULT_CODE_EXISTS",
    }
    flat = [code for answer in stormed for code in codes(answer)]
    assert set(flat) == {"CREATED", "EXISTS"}
    found = await client.stub.LookupTransfers(
        pb.LookupTransfersRequest(ids=[row.id for row in rows])
    )
    assert len(found.transfers) == 40
    expected = dict.fromkeys(wallets, 1_000)
    for row in rows:
        expected[row.debit_account] -= row.amount_fen
        expected[row.credit_account] += row.amount_fen
    assert {wallet: await client.balance_fen(wallet) for wallet in wallets} == expected


async def test_a_hot_account_is_exact_under_concurrent_batches(client: LedgerClient) -> None:
    hot, *others = await client.funded_wallets(9, 1_000)
    spends = [
        [transfer(hot, others[place % 8], 30) for place in range(10)] for _ in range(8)
    ]  # 80 × 30 of 1,000: 33 fit
    answers = await asyncio.gather(*(client.post(*batch) for batch in spends))
    counted = Counter(code for answer in answers for code in codes(answer))
    assert counted == {"CREATED": 33, "EXCEEDS_CREDITS": 47}
    assert await client.balance_fen(hot) == 10
    assert (await client.trial_balance()).is_balanced


async def test_a_call_whose_deadline_passes_leaves_its_transfers_in_the_lane(
    client: LedgerClient,
) -> None:
    payer, payee = await client.funded_wallets(2, 1_000)
    rows = [transfer(payer, payee, 1) for _ in range(500)]
    call = client.stub.PostTransfers(pb.PostTransfersRequest(transfers=rows), timeout=0.001)
    with pytest.raises(Exception, match="DEADLINE_EXCEEDED"):
        await call
    again = Counter(codes(await client.post(*rows)))
    assert set(again) <= {"EXISTS", "CREATED"}
    assert await client.balance_fen(payer) == 500


async def test_a_hold_expires_by_domain_time_and_says_so_once(client: LedgerClient) -> None:
    payer, payee = await client.funded_wallets(2, 1_000)
    soon = transfer(payer, payee, 400, kind=PENDING, timeout_s=3 * 24 * 3_600)
    late = transfer(payer, payee, 100, kind=PENDING, timeout_s=90 * 24 * 3_600)
    assert codes(await client.post(soon, late)) == ["CREATED", "CREATED"]
    await client.world.advance_to(client.world.today() + timedelta(days=4))
    account = await client.account(payer)
    assert (account.available.units, account.debits_pending.units) == (9, 1)
    answer = await client.post(transfer(0, 0, 0, kind=POST_PENDING, pending_id=soon.id))
    assert codes(answer) == ["PENDING_EXPIRED"]
    found = await client.stub.LookupTransfers(pb.LookupTransfersRequest(ids=[soon.id, late.id]))
    assert [posted.hold_state for posted in found.transfers] == [
        pb.HOLD_STATE_EXPIRED,
        pb.HOLD_STATE_OPEN,
    ]
    statement = await client.stub.ListEntries(pb.ListEntriesRequest(account=f"accounts/{payer}"))
    assert statement.entries[0].kind == pb.TRANSFER_KIND_EXPIRE_PENDING
    assert statement.entries[0].purpose == soon.purpose
    assert statement.entries[0].available.units == 9
    async with client.world.running["settlement"].runtime.database.read() as connection:
        payload = await connection.fetchval("select payload from outbox order by seq desc limit 1")
    event = events.TransfersPosted.FromString(payload)
    assert event.transfers[0].kind == pb.TRANSFER_KIND_EXPIRE_PENDING


async def test_ids_of_the_business_date_are_taken_when_it_runs_ahead(client: LedgerClient) -> None:
    payer, payee = await client.funded_wallets(2, 1_000)
    await client.world.advance_to(client.world.today() + timedelta(days=200))
    clock = client.world.running["settlement"].runtime.clock
    business = transfer(payer, payee, 1, id=str(fact_id(clock.now(), "lease", "rent")))
    ahead = fact_id(clock.now() + timedelta(days=2), "lease", "rent")
    answer = await client.post(
        business, transfer(payer, payee, 1), transfer(payer, payee, 1, id=str(ahead))
    )
    assert codes(answer) == ["CREATED", "CREATED", "ID_TOO_FAR_AHEAD"]
    async with client.world.running["settlement"].runtime.database.read() as connection:
        strays = await connection.fetchval("select count(*) from transfer_default")
    assert strays == 0
