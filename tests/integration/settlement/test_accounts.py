"""Accounts through the API: opened once, seen by their own party, frozen and closed."""

import asyncio

import pytest
from ironloop.settlement.v1 import settlement_pb2 as pb

from services.kit.ids import new_id
from services.settlement.account import AccountState
from services.settlement.definition import DEFINITION
from services.settlement.lifecycle import ACCOUNT
from tests.integration.settlement.ledger_client import (
    PENDING,
    VOID_PENDING,
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
    return LedgerClient(world, world.service("leasing"))


def request_of(*accounts: pb.NewAccount) -> pb.CreateAccountsRequest:
    return pb.CreateAccountsRequest(accounts=accounts)


def wallet(owner: str) -> pb.NewAccount:
    return pb.NewAccount(kind=pb.ACCOUNT_KIND_WALLET, owner=owner)


async def test_an_account_is_opened_once_for_its_key(client: LedgerClient) -> None:
    owner, order = f"parties/{new_id()}", f"orders/{new_id()}"
    escrow = pb.NewAccount(kind=pb.ACCOUNT_KIND_ESCROW, reference=order)
    first = await client.stub.CreateAccounts(request_of(wallet(owner), escrow, wallet(owner)))
    again = await client.stub.CreateAccounts(request_of(escrow, wallet(owner)))
    assert [account.number for account in again.accounts] == [
        first.accounts[1].number,
        first.accounts[0].number,
    ]
    assert first.accounts[0] == first.accounts[2]
    assert first.accounts[0].owner == owner
    assert first.accounts[1].reference == order
    assert first.accounts[0].ledger == "ledgers/1"
    assert first.accounts[0].state == pb.ACCOUNT_STATE_OPEN


@pytest.mark.parametrize(
    ("account", "field"),
    [
        (pb.NewAccount(kind=pb.ACCOUNT_KIND_WALLET), "accounts[0].owner"),
        (pb.NewAccount(kind=pb.ACCOUNT_KIND_ESCROW), "accounts[0].reference"),
        (
            pb.NewAccount(kind=pb.ACCOUNT_KIND_PLATFORM_FEE, owner=f"parties/{new_id()}"),
            "accounts[0].owner",
        ),
        (pb.NewAccount(), "accounts[0].kind"),
        (pb.NewAccount(kind=99), "accounts[0].kind"),  # type: ignore[arg-type]
        (
            pb.NewAccount(kind=pb.ACCOUNT_KIND_BANK, reference="a\0b"),
            "accounts[0].reference",
        ),
        (pb.NewAccount(kind=pb.ACCOUNT_KIND_BANK, ledger="ledgers/0"), "accounts[0].ledger"),
    ],
)
async def test_an_account_that_its_kind_does_not_allow_is_refused(
    client: LedgerClient, account: pb.NewAccount, field: str
) -> None:
    with refused("INVALID_FIELD") as refusal:
        await client.stub.CreateAccounts(request_of(account))
    assert field in refusal.status.message


async def test_accounts_of_an_unknown_ledger_are_not_found(client: LedgerClient) -> None:
    with refused("NOT_FOUND"):
        await client.stub.CreateAccounts(
            request_of(pb.NewAccount(kind=pb.ACCOUNT_KIND_BANK, ledger="ledgers/77"))
        )
    with refused("NOT_FOUND"):
        await client.trial_balance("ledgers/77")


async def test_a_user_sees_accounts_entries_and_balances_of_their_own_party_only(
    world: World, client: LedgerClient
) -> None:
    mine, other = await world.party("LESSEE"), await world.party("LESSOR")
    bank = await client.open_bank()
    my_wallet, their_wallet = [await client.open_wallet(actor.party) for actor in (mine, other)]
    fund = transfer(bank, my_wallet, 1_000, code=pb.TRANSFER_CODE_FUND_WALLET)
    pay = transfer(my_wallet, their_wallet, 300)
    elsewhere = transfer(bank, their_wallet, 50, code=pb.TRANSFER_CODE_FUND_WALLET)
    assert codes(await client.post(fund, pay, elsewhere)) == ["CREATED"] * 3
    me = LedgerClient(world, mine)

    assert await me.balance_fen(my_wallet) == 700
    for hidden in (their_wallet, bank):
        with refused("NOT_FOUND"):
            await me.account(hidden)
        with refused("NOT_FOUND"):
            await me.stub.ListEntries(pb.ListEntriesRequest(account=f"accounts/{hidden}"))
        with refused("NOT_FOUND"):
            request = pb.GetBalanceRequest(account=f"accounts/{hidden}")
            request.at.GetCurrentTime()
            await me.stub.GetBalance(request)
    listed = await me.stub.ListAccounts(pb.ListAccountsRequest())
    assert [account.number for account in listed.accounts] == [my_wallet]
    others = await me.stub.ListAccounts(pb.ListAccountsRequest(owner=other.party))
    assert not others.accounts

    found = await me.stub.LookupTransfers(
        pb.LookupTransfersRequest(ids=[fund.id, pay.id, elsewhere.id])
    )
    assert [posted.transfer.id for posted in found.transfers] == [fund.id, pay.id]
    assert found.transfers[1].debit_balance_fen == 700
    assert found.transfers[1].credit_balance_fen == 0  # of the other party: not shown
    with refused("PERMISSION_DENIED"):
        await me.post(transfer(my_wallet, their_wallet, 1))
    with refused("PERMISSION_DENIED"):
        await me.trial_balance()


async def test_operators_fund_wallets_from_the_bank_and_auditors_only_look(
    world: World, client: LedgerClient
) -> None:
    operator = LedgerClient(world, world.operator)
    bank, purse = await operator.open_bank(), await operator.open_wallet()
    funded = await operator.post(
        transfer(bank, purse, 78_000_000, code=pb.TRANSFER_CODE_FUND_WALLET)
    )
    assert codes(funded) == ["CREATED"]
    auditor = LedgerClient(world, await world.party("AUDITOR"))
    assert await auditor.balance_fen(purse) == 78_000_000
    with refused("PERMISSION_DENIED"):
        await auditor.post(transfer(bank, purse, 1))


async def test_a_statement_is_paged_by_key_and_shows_the_balance_after_each_line(
    client: LedgerClient,
) -> None:
    payer, payee = await client.funded_wallets(2, 1_000)
    for amount_fen in range(1, 8):
        assert codes(await client.post(transfer(payer, payee, amount_fen))) == ["CREATED"]
    entries: list[pb.Entry] = []
    token = ""
    while True:
        page = await client.stub.ListEntries(
            pb.ListEntriesRequest(account=f"accounts/{payer}", page_size=3, page_token=token)
        )
        entries += page.entries
        token = page.next_page_token
        if not token:
            break
        if len(entries) == 3:  # what is posted meanwhile stands before the first page
            await client.post(transfer(payee, payer, 500))
    assert [entry.amount.nanos // 10_000_000 for entry in entries] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert [entry.side for entry in entries] == [pb.ENTRY_SIDE_DEBIT] * 7 + [pb.ENTRY_SIDE_CREDIT]
    balances = [entry.balance.units * 100 + entry.balance.nanos // 10_000_000 for entry in entries]
    assert balances == [972, 979, 985, 990, 994, 997, 999, 1_000]
    with refused("INVALID_PAGE_TOKEN"):
        await client.stub.ListEntries(
            pb.ListEntriesRequest(account=f"accounts/{payee}", page_token="Zm9yZ2Vk")
        )


async def test_a_balance_is_known_for_every_past_instant(
    world: World, client: LedgerClient
) -> None:
    payer, payee = await client.funded_wallets(2, 1_000)
    opened = (await client.account(payer)).create_time
    first = await client.stub.LookupTransfers(
        pb.LookupTransfersRequest(ids=[await posted(client, payer, payee, 100)])
    )
    second = await client.stub.LookupTransfers(
        pb.LookupTransfersRequest(ids=[await posted(client, payer, payee, 30)])
    )
    for at, expected in (
        (opened, 0),
        (first.transfers[0].event_time, 900),
        (second.transfers[0].event_time, 870),
    ):
        balance = await client.stub.GetBalance(
            pb.GetBalanceRequest(account=f"accounts/{payer}", at=at)
        )
        assert balance.balance.units * 100 + balance.balance.nanos // 10_000_000 == expected
    ahead = pb.GetBalanceRequest(account=f"accounts/{payer}")
    ahead.at.FromSeconds(first.transfers[0].event_time.seconds + 3_600)
    with refused("INSTANT_NOT_PAST"):
        await client.stub.GetBalance(ahead)


async def posted(client: LedgerClient, debit: int, credit: int, amount_fen: int) -> str:
    row = transfer(debit, credit, amount_fen)
    assert codes(await client.post(row)) == ["CREATED"]
    return row.id


async def test_the_trial_balance_balances_kind_by_kind(client: LedgerClient) -> None:
    ledger = await LedgerClient(client.world, client.world.operator).stub.CreateLedger(
        pb.CreateLedgerRequest(book="trial", currency_code="CNY")
    )
    wallets = await client.funded_wallets(2, 1_000, ledger=ledger.name)
    await client.post(transfer(wallets[0], wallets[1], 10, kind=PENDING))
    trial = await client.trial_balance(ledger.name)
    assert trial.is_balanced
    assert trial.transfer_count == 3
    assert [(line.chart_code, line.account_count, line.balance.units) for line in trial.lines] == [
        (1010, 1, -20),
        (2010, 2, 20),
    ]
    assert trial.debits_posted == trial.credits_posted
    assert trial.debits_pending.nanos == 100_000_000


async def test_another_ledger_is_another_lane_and_never_mixes(client: LedgerClient) -> None:
    operator = LedgerClient(client.world, client.world.operator)
    request = pb.CreateLedgerRequest(book="second", currency_code="CNY")
    ledger = await operator.stub.CreateLedger(request)
    assert (await operator.stub.CreateLedger(request)).name == ledger.name
    here, _ = await client.funded_wallets(2, 1_000)
    there, also_there = await client.funded_wallets(2, 1_000, ledger=ledger.name)
    answer = await client.post(transfer(there, also_there, 1), transfer(here, there, 1))
    assert codes(answer) == ["CREATED", "MIXED_LEDGER"]
    listed = await operator.stub.ListLedgers(pb.ListLedgersRequest(page_size=1))
    assert listed.next_page_token
    assert listed.ledgers[0].name == "ledgers/1"


async def test_ledgers_opened_at_once_have_numbers_of_their_own(client: LedgerClient) -> None:
    operator = LedgerClient(client.world, client.world.operator)
    requests = [
        pb.CreateLedgerRequest(book=f"race-{place % 6}", currency_code="CNY") for place in range(18)
    ]
    ledgers = await asyncio.gather(*(operator.stub.CreateLedger(each) for each in requests))
    assert len({ledger.name for ledger in ledgers}) == 6


COMMANDS = {
    "freeze": ("FreezeAccount", pb.FreezeAccountRequest),
    "unfreeze": ("UnfreezeAccount", pb.UnfreezeAccountRequest),
    "close": ("CloseAccount", pb.CloseAccountRequest),
}


async def command(client: LedgerClient, verb: str, number: int, *, etag: str = "") -> pb.Account:
    rpc, request = COMMANDS[verb]
    account: pb.Account = await getattr(client.stub, rpc)(
        request(request_id=str(new_id()), name=f"accounts/{number}", etag=etag)
    )
    return account


@pytest.mark.parametrize("verb", sorted(COMMANDS))
@pytest.mark.parametrize("state", list(AccountState))
async def test_every_command_in_every_state(
    world: World, client: LedgerClient, state: AccountState, verb: str
) -> None:
    operator = LedgerClient(world, world.operator)
    number = await operator.open_wallet()
    if state is not AccountState.OPEN:
        await command(operator, "freeze" if state is AccountState.FROZEN else "close", number)
    step = next((s for s in ACCOUNT.transitions if (s.source, s.command) == (state, verb)), None)
    if step is None:
        with refused("TRANSITION_REFUSED"):
            await command(operator, verb, number)
        return
    changed = await command(operator, verb, number)
    assert pb.AccountState.Name(changed.state) == f"ACCOUNT_STATE_{step.target}"
    with refused("ETAG_MISMATCH"):
        await command(operator, "freeze", number, etag='"1"')


async def test_a_frozen_account_takes_no_part_but_lets_holds_go(
    world: World, client: LedgerClient
) -> None:
    operator = LedgerClient(world, world.operator)
    payer, payee = await client.funded_wallets(2, 1_000)
    hold = transfer(payer, payee, 10, kind=PENDING)
    await client.post(hold)
    await command(operator, "freeze", payer)
    answer = await client.post(
        transfer(payer, payee, 1),
        transfer(payee, payer, 1),
        transfer(0, 0, 0, kind=VOID_PENDING, pending_id=hold.id),
    )
    assert codes(answer) == ["DEBIT_ACCOUNT_FROZEN", "CREDIT_ACCOUNT_FROZEN", "CREATED"]


async def test_an_account_that_holds_money_is_not_closed(
    world: World, client: LedgerClient
) -> None:
    operator = LedgerClient(world, world.operator)
    payer, payee = await client.funded_wallets(2, 1_000)
    with refused("ACCOUNT_NOT_EMPTY") as refusal:
        await command(operator, "close", payer)
    assert refusal.metadata["balance_fen"] == "1000"
    assert codes(await client.post(transfer(payer, payee, 1_000))) == ["CREATED"]
    await command(operator, "close", payer)
    answer = await client.post(transfer(payee, payer, 1))
    assert codes(answer) == ["CREDIT_ACCOUNT_CLOSED"]
