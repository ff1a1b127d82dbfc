"""Payments over every rail, and the bank statements that say what became of them."""

from datetime import timedelta
from typing import Any

import pytest
from ironloop.settlement.v1 import payments_pb2 as pb
from ironloop.settlement.v1 import payments_pb2_grpc as rpc
from ironloop.settlement.v1 import settlement_events_pb2 as events

from infra.local.client import Actor
from services.kit import wire
from services.kit.ids import new_id
from services.settlement.lifecycle import PAYMENT
from services.settlement.payment_handlers import FOUR_EYES_ABOVE_FEN
from services.settlement.payment_model import PaymentState
from tests.integration.settlement.payer import BANK, ECNY, Payer, state_of
from tests.support.refusals import refused
from tests.unit.settlement.statements import Line, statement


async def test_a_payment_is_held_then_filed_then_settled_by_the_banks_statement(
    payer: Payer,
) -> None:
    payment = await payer.create(250_000)
    assert await payer.available_fen() == (10_000_000, 10_000_000)
    payment = await payer.authorise(payment)
    assert await payer.available_fen() == (10_000_000, 9_750_000)
    payment = await payer.submit(payment)
    request = pb.ExportPain001Request(request_id=str(new_id()))
    file = await payer.operator.ExportPain001(request)
    assert await payer.operator.ExportPain001(request) == file
    assert payment.end_to_end_id in file.xml
    assert (await payer.get(payment)).file == file.message_id
    with refused("NOTHING_TO_EXPORT"):
        await payer.operator.ExportPain001(pb.ExportPain001Request(request_id=str(new_id())))

    line = Line(str(new_id())[:30], "2500.00", is_credit=False, end_to_end_id=payment.end_to_end_id)
    report = await payer.statement(line)
    assert (report.matched_count, report.unmatched_count) == (1, 0)
    payment = await payer.get(payment)
    assert state_of(payment) == "SETTLED"
    assert await payer.available_fen() == (9_750_000, 9_750_000)
    again = await payer.statement(line)
    assert (again.matched_count, again.duplicate_count) == (0, 1)
    assert await payer.available_fen() == (9_750_000, 9_750_000)

    back = Line(
        str(new_id())[:30],
        "2500.00",
        end_to_end_id=payment.end_to_end_id,
        is_return=True,
        remittance="account closed",
    )
    assert (await payer.statement(back)).matched_count == 1
    payment = await payer.get(payment)
    assert (state_of(payment), payment.failure) == ("RETURNED", "account closed")
    assert await payer.available_fen() == (10_000_000, 10_000_000)
    assert payment.event_sequence == 2


async def test_an_internal_payment_settles_as_it_is_submitted(payer: Payer) -> None:
    other = await payer.ledger.open_wallet()
    payment = await payer.submitted(700, rail=pb.RAIL_INTERNAL, destination=f"accounts/{other}")
    assert state_of(payment) == "SETTLED"
    assert not payment.is_simulated
    assert await payer.ledger.balance_fen(other) == 700


@pytest.mark.parametrize(
    ("wallet", "days", "state", "balance_fen"),
    [
        ("SIM-SLOW", 0, "SUBMITTED", 10_000_000),
        ("SIM-SLOW", 3, "SETTLED", 9_999_000),
        ("SIM-REJECT", 1, "FAILED", 10_000_000),
        ("SIM-RETURN", 1, "RETURNED", 10_000_000),
        ("SIM-TWICE", 1, "SETTLED", 9_999_000),
    ],
)
async def test_the_simulated_rail_delays_rejects_returns_and_repeats_itself(
    payer: Payer, wallet: str, days: int, state: str, balance_fen: int
) -> None:
    payment = await payer.submitted(1_000, **(ECNY | {"creditor_account": wallet}))
    assert payment.is_simulated
    await payer.world.advance_to(payer.world.today() + timedelta(days=days))
    payment = await payer.get(payment)
    assert state_of(payment) == state
    assert (await payer.available_fen())[0] == balance_fen
    assert ("simulator" in payment.failure) == (state in ("FAILED", "RETURNED"))


async def test_above_the_limit_two_people_are_needed(payer: Payer) -> None:
    small = await payer.create(FOUR_EYES_ABOVE_FEN)
    large = await payer.create(FOUR_EYES_ABOVE_FEN + 1)

    async def authorise(payment: pb.Payment, actor: Actor) -> pb.Payment:
        request = pb.AuthorisePaymentRequest(request_id=str(new_id()), name=payment.name)
        return await actor.stub(rpc.PaymentServiceStub).AuthorisePayment(request)

    with refused("FOUR_EYES"):
        await authorise(large, payer.actor)
    colleague = await payer.world.user(payer.actor.party, "LESSEE")
    authorised = await authorise(large, colleague)
    assert (authorised.maker, authorised.checker) == (payer.actor.subject, colleague.subject)
    with refused("INSUFFICIENT_FUNDS"):
        await authorise(small, payer.actor)
    assert state_of(await payer.get(small)) == "CREATED"


async def test_a_payment_is_seen_by_its_own_party_only(payer: Payer) -> None:
    payment = await payer.create()
    stranger = await payer.world.party("LESSEE")
    stub = stranger.stub(rpc.PaymentServiceStub)
    with refused("NOT_FOUND"):
        await stub.GetPayment(pb.GetPaymentRequest(name=payment.name))
    with refused("NOT_FOUND"):
        await stub.AuthorisePayment(
            pb.AuthorisePaymentRequest(request_id=str(new_id()), name=payment.name)
        )
    with refused("NOT_FOUND"):
        await stub.CreatePayment(
            pb.CreatePaymentRequest(
                request_id=str(new_id()),
                account=f"accounts/{payer.wallet}",
                amount=wire.money(1),
                **BANK,
            )
        )
    assert not (await stub.ListPayments(pb.ListPaymentsRequest())).payments
    listed = await payer.stub.ListPayments(pb.ListPaymentsRequest(page_size=1))
    assert [each.name for each in listed.payments] == [payment.name]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rail": pb.RAIL_INTERNAL}, "destination"),
        (BANK | {"creditor_agent": ""}, "creditor_agent"),
        (BANK | {"creditor_name": ""}, "creditor_name"),
        (BANK | {"creditor_name": "a\x01b"}, "creditor_name"),
        (BANK | {"remittance": "a\u2028b"}, "remittance"),
        (BANK | {"destination": "accounts/1000000000001"}, "destination"),
        (ECNY | {"creditor_agent": "102100099996"}, "creditor_agent"),
    ],
)
async def test_a_payment_names_what_its_rail_needs(
    payer: Payer, fields: dict[str, Any], field: str
) -> None:
    with refused("INVALID_FIELD") as refusal:
        await payer.create(**fields)
    assert refusal.status.message.startswith(f"{field}:")


async def reach(payer: Payer, state: PaymentState) -> pb.Payment:
    """Return a payment in a state."""
    if state is PaymentState.FAILED:
        return await payer.cancel(await payer.create())
    if state is PaymentState.SETTLED:
        other = await payer.ledger.open_wallet()
        return await payer.submitted(rail=pb.RAIL_INTERNAL, destination=f"accounts/{other}")
    if state is PaymentState.RETURNED:
        payment = await payer.submitted(**(ECNY | {"creditor_account": "SIM-RETURN"}))
        await payer.world.advance_to(payer.world.today() + timedelta(days=1))
        return await payer.get(payment)
    payment = await payer.create()
    if state is PaymentState.CREATED:
        return payment
    payment = await payer.authorise(payment)
    return payment if state is PaymentState.AUTHORISED else await payer.submit(payment)


@pytest.mark.parametrize("state", list(PaymentState))
async def test_every_command_of_a_caller_in_every_state(payer: Payer, state: PaymentState) -> None:
    for verb in ("authorise", "submit", "cancel"):
        payment = await reach(payer, state)
        assert state_of(payment) == state
        step = next(
            (s for s in PAYMENT.transitions if (s.source, s.command) == (state, verb)), None
        )
        if step is None:
            with refused("TRANSITION_REFUSED"):
                await getattr(payer, verb)(payment)
        else:
            assert state_of(await getattr(payer, verb)(payment)) == step.target


async def test_a_cancelled_payment_lets_its_hold_go(payer: Payer) -> None:
    payment = await payer.cancel(await payer.authorise(await payer.create(5_000)))
    assert state_of(payment) == "FAILED"
    assert payment.failure == f"cancelled by {payer.world.operator.subject}"
    assert await payer.available_fen() == (10_000_000, 10_000_000)


async def test_lines_fund_wallets_or_rest_in_suspense_until_somebody_knows(payer: Payer) -> None:
    before = await _suspense_fen(payer)
    tag = str(new_id())[-12:]
    report = await payer.statement(
        Line(f"a{tag}", "500.00", creditor_reference=str(payer.wallet)),
        Line(f"b{tag}", "12.34", remittance="who is this"),
        Line(f"c{tag}", "0.88", is_credit=False, remittance="charge"),
        Line(f"d{tag}", "7.00", end_to_end_id="unknown", is_return=True),
        Line(f"e{tag}", "9.00", creditor_reference="1000000999999"),
    )
    assert (report.matched_count, report.unmatched_count) == (1, 4)
    assert (await payer.available_fen())[0] == 10_050_000
    assert await _suspense_fen(payer) == before + 1_234 - 88 + 700 + 900

    line = report.unmatched[0]
    match = pb.MatchStatementLineRequest(
        request_id=str(new_id()), name=line.name, account=f"accounts/{payer.wallet}"
    )
    resolved = await payer.operator.MatchStatementLine(match)
    assert resolved.state == pb.STATEMENT_LINE_STATE_RESOLVED
    assert (await payer.available_fen())[0] == 10_051_234
    for number in (0, 1):  # matched already; and one whose money went out
        request = pb.MatchStatementLineRequest(
            request_id=str(new_id()),
            name=report.unmatched[number].name,
            account=f"accounts/{payer.wallet}",
        )
        with refused("TRANSITION_REFUSED"):
            await payer.operator.MatchStatementLine(request)

    await payer.world.advance_to(payer.world.today() + timedelta(days=6))
    listed = await payer.operator.ListStatementLines(
        pb.ListStatementLinesRequest(state=pb.STATEMENT_LINE_STATE_UNMATCHED, page_size=200)
    )
    aged = {each.name: each.unmatched_days for each in listed.lines}
    assert line.name not in aged
    assert aged[report.unmatched[1].name] >= 6
    async with payer.world.running["settlement"].runtime.database.read() as connection:
        payloads = await connection.fetch(
            "select payload from outbox where topic = 'settlement.statement_line.v1'"
        )
    told = [events.StatementLineAged.FromString(each["payload"]) for each in payloads]
    assert report.unmatched[1].name in {event.line for event in told}
    assert line.name not in {event.line for event in told}


async def _suspense_fen(payer: Payer) -> int:
    trial = await payer.ledger.trial_balance()
    return sum(
        line.balance.units * 100 + line.balance.nanos // 10_000_000
        for line in trial.lines
        if line.chart_code == 1090
    )


async def test_a_malformed_statement_imports_nothing(payer: Payer) -> None:
    payment = await payer.submitted(1_000)
    bank = await payer.bank()
    tag = str(new_id())[-12:]
    xml = statement(
        str(bank),
        Line(f"x{tag}", "10.00", is_credit=False, end_to_end_id=payment.end_to_end_id),
        Line(f"y{tag}", "3.00"),
    )
    before = (await payer.ledger.trial_balance()).transfer_count
    with refused("STATEMENT_MALFORMED") as refusal:
        await payer.import_statement(xml.replace(">3.00<", ">4.00<"))
    assert refusal.metadata["element"] == "Bal"
    with refused("STATEMENT_MALFORMED") as refusal:
        await payer.import_statement(xml.replace(f"<Id>{bank}</Id>", "<Id>77</Id>"))
    assert refusal.metadata["element"] == "Acct"
    assert (await payer.ledger.trial_balance()).transfer_count == before
    assert state_of(await payer.get(payment)) == "SUBMITTED"
    assert (await payer.import_statement(xml)).matched_count == 1


async def test_everything_that_payments_moved_balances(payer: Payer) -> None:
    assert (await payer.ledger.trial_balance()).is_balanced
