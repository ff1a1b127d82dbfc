"""The bank's answers to a file move its payments, once, and are kept where nothing fits."""

from typing import Any

import pytest
from ironloop.settlement.v1 import payments_pb2 as pb
from ironloop.settlement.v1 import payments_pb2_grpc as rpc
from ironloop.settlement.v1 import settlement_events_pb2 as events

from services.kit.ids import new_id
from services.settlement.iso20022 import all_of, read_root
from services.settlement.pain001 import FILE_PAYMENTS_MAX
from services.settlement.pain002 import NAMESPACE, write_pain002
from services.settlement.status_model import Reason, ReportedStatus, StatusCode
from tests.integration.settlement.payer import BANK, ECNY, Payer, state_of
from tests.support.refusals import refused
from tests.unit.settlement.statements import Line
from tests.unit.settlement.test_status_reports import AT

CLOSED = Reason("AC04", "account closed")


def said(payment: pb.Payment, code: str, **fields: Any) -> ReportedStatus:
    values: dict[str, Any] = {"line": 1, "reason": CLOSED if code == "RJCT" else Reason()}
    return ReportedStatus(
        end_to_end_id=payment.end_to_end_id, code=StatusCode(code), **(values | fields)
    )


def report_on(file: str, *statuses: ReportedStatus, name: str = "") -> str:
    return write_pain002(
        statuses,
        message_id=name or str(new_id())[:30],
        original_file=file,
        at=AT,
        sender="the bank",
        currency="CNY",
    )


def group_report(file: pb.Pain001File, status: str, *, count: int = 0, reason: str = "") -> str:
    """Return a report that speaks of the whole file alone."""
    given = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""
    return (
        f'<Document xmlns="{NAMESPACE}"><CstmrPmtStsRpt><GrpHdr><MsgId>{str(new_id())[:30]}'
        f"</MsgId></GrpHdr>\n<OrgnlGrpInfAndSts><OrgnlMsgId>{file.message_id}</OrgnlMsgId>"
        f"<OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>\n"
        f"<OrgnlNbOfTxs>{count or file.payment_count}</OrgnlNbOfTxs>\n"
        f"<GrpSts>{status}</GrpSts>{given}</OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>"
    )


async def filed(payer: Payer, *amounts: int) -> tuple[pb.Pain001File, list[pb.Payment]]:
    """Return a file and the payments in it."""
    payments = [await payer.submitted(amount) for amount in amounts]
    file = await payer.export()
    return file, payments


async def test_a_report_settles_fails_and_notes_each_payment_of_a_file(payer: Payer) -> None:
    file, [settled, failed, pending] = await filed(payer, 1_000, 2_000, 3_000)
    xml = report_on(
        file.message_id,
        said(settled, "ACSC", amount_fen=1_000),
        said(failed, "RJCT"),
        said(pending, "PDNG"),
    )
    report = await payer.report(xml)
    counts = (report.applied_count, report.noted_count, report.unmatched_count)
    assert counts == (2, 1, 0)
    assert (report.original_file, report.is_duplicate) == (file.message_id, False)
    assert state_of(await payer.get(settled)) == "SETTLED"
    failed = await payer.get(failed)
    assert (state_of(failed), failed.failure) == ("FAILED", "AC04 account closed")
    assert failed.rail_status == pb.PAYMENT_STATUS_CODE_RJCT
    assert failed.rail_reason_code == "AC04"
    pending = await payer.get(pending)
    assert (state_of(pending), pending.rail_status) == ("SUBMITTED", pb.PAYMENT_STATUS_CODE_PDNG)
    assert await payer.available_fen() == (9_999_000, 9_996_000)

    later = await payer.report(report_on(file.message_id, said(pending, "ACCP")))
    assert (later.applied_count, later.noted_count) == (0, 1)
    last = await payer.report(report_on(file.message_id, said(pending, "ACSC")))
    assert last.applied_count == 1
    assert await payer.available_fen() == (9_996_000, 9_996_000)
    async with payer.world.running["settlement"].runtime.database.read() as connection:
        rows = await connection.fetch(
            "select payload from outbox where topic = 'settlement.payment.v1' and key = $1",
            failed.name,
        )
    [told] = [events.PaymentFailed.FromString(row["payload"]) for row in rows]
    assert told.reason == "AC04 account closed"


async def test_a_report_that_comes_again_moves_nothing(payer: Payer) -> None:
    file, [payment] = await filed(payer, 1_000)
    xml = report_on(file.message_id, said(payment, "ACSC"))
    first = await payer.report(xml)
    before = (await payer.ledger.trial_balance()).transfer_count
    again = await payer.report(xml)
    assert again.is_duplicate
    again.is_duplicate = False
    assert again == first
    assert (await payer.ledger.trial_balance()).transfer_count == before
    with refused("STATUS_REPORT_MALFORMED") as refusal:  # another report under the same id
        await payer.report(report_on(file.message_id, said(payment, "RJCT"), name=first.report))
    assert refusal.metadata["element"] == "MsgId"
    confirmed = await payer.report(report_on(file.message_id, said(payment, "ACSC")))
    assert (confirmed.applied_count, confirmed.noted_count) == (0, 1)


async def test_a_group_speaks_for_every_payment_of_its_file(payer: Payer) -> None:
    file, payments = await filed(payer, 1_000, 2_000)
    taken = await payer.report(group_report(file, "ACCP"))
    assert (taken.applied_count, taken.noted_count) == (0, 2)
    rejected = await payer.report(group_report(file, "RJCT", reason="AM04"))
    assert rejected.applied_count == 2
    for payment in payments:
        failed = await payer.get(payment)
        assert (state_of(failed), failed.failure) == ("FAILED", "AM04")
    assert await payer.available_fen() == (10_000_000, 10_000_000)


async def test_what_fits_no_payment_is_kept_and_moves_nothing(payer: Payer) -> None:
    file, [payment, other] = await filed(payer, 1_000, 2_000)
    second, [elsewhere] = await filed(payer, 4_000)
    ecny = await payer.submitted(500, **ECNY)
    await payer.report(report_on(file.message_id, said(other, "ACSC")))
    stranger = pb.Payment(end_to_end_id=str(new_id())[:30])
    report = await payer.report(
        report_on(
            file.message_id,
            said(stranger, "ACSC"),
            said(elsewhere, "ACSC"),  # of another file
            said(payment, "ACSC", amount_fen=999),
            said(other, "RJCT"),  # has settled
            said(ecny, "ACSC"),  # not the bank's to settle
        )
    )
    assert (report.applied_count, report.noted_count, report.unmatched_count) == (0, 0, 5)
    problems = {one.end_to_end_id: one.problem for one in report.unmatched}
    assert problems == {
        stranger.end_to_end_id: "no payment of ours has this end-to-end id",
        elsewhere.end_to_end_id: f"the payment is not of the file {file.message_id}",
        payment.end_to_end_id: "the amount is 999 fen, the payment is of 1000 fen",
        other.end_to_end_id: "the payment is SETTLED",
        ecny.end_to_end_id: "no payment of ours has this end-to-end id",
    }
    for untouched in (payment, elsewhere, ecny):
        assert state_of(await payer.get(untouched)) == "SUBMITTED"
    assert state_of(await payer.get(other)) == "SETTLED"
    unknown = await payer.report(
        group_report(pb.Pain001File(message_id="X", payment_count=1), "ACSC")
    )
    assert (unknown.unmatched_count, unknown.unmatched[0].end_to_end_id) == (1, "")

    listed = await payer.operator.ListPaymentStatuses(
        pb.ListPaymentStatusesRequest(outcome=pb.PAYMENT_STATUS_OUTCOME_UNMATCHED, page_size=200)
    )
    kept = {one.name for one in listed.statuses}
    assert {one.name for one in (*report.unmatched, *unknown.unmatched)} <= kept
    with refused("PERMISSION_DENIED"):
        await payer.stub.ListPaymentStatuses(pb.ListPaymentStatusesRequest())
    assert second.payment_count == 1


async def test_totals_that_are_not_those_of_the_file_change_nothing(payer: Payer) -> None:
    file, [payment] = await filed(payer, 1_000)
    with refused("STATUS_REPORT_MALFORMED") as refusal:
        await payer.report(group_report(file, "ACSC", count=2))
    assert refusal.metadata["element"] == "OrgnlNbOfTxs"
    assert refusal.metadata["line"] == "3"
    xml = report_on(file.message_id, said(payment, "ACSC"))
    wrong_sum = xml.replace("</DtldSts>", "</DtldSts><DtldCtrlSum>10.01</DtldCtrlSum>")
    with refused("STATUS_REPORT_MALFORMED") as refusal:
        await payer.report(wrong_sum)
    assert refusal.metadata["element"] == "DtldCtrlSum"
    with refused("STATUS_REPORT_MALFORMED") as refusal:
        await payer.report(xml.replace("<DtldNbOfTxs>1<", "<DtldNbOfTxs>2<"))
    assert refusal.metadata["element"] == "DtldNbOfTxs"
    assert state_of(await payer.get(payment)) == "SUBMITTED"
    right = xml.replace("</DtldSts>", "</DtldSts><DtldCtrlSum>10.00</DtldCtrlSum>")
    assert (await payer.report(right)).applied_count == 1


async def test_the_statement_after_a_report_moves_its_money_no_second_time(payer: Payer) -> None:
    file, [payment] = await filed(payer, 1_000)
    await payer.report(report_on(file.message_id, said(payment, "ACSC")))
    before = (await payer.ledger.trial_balance()).transfer_count
    tag = str(new_id())[-12:]
    debit: dict[str, Any] = {"is_credit": False, "end_to_end_id": payment.end_to_end_id}
    booked = await payer.statement(Line(f"a{tag}", "10.00", **debit))
    assert (booked.matched_count, booked.unmatched_count) == (1, 0)
    assert (await payer.ledger.trial_balance()).transfer_count == before
    twice = await payer.statement(Line(f"b{tag}", "10.00", **debit))
    assert (twice.matched_count, twice.unmatched_count) == (0, 1)  # the bank took it again
    back = Line(f"c{tag}", "10.00", end_to_end_id=payment.end_to_end_id, is_return=True)
    assert (await payer.statement(back)).matched_count == 1
    assert state_of(await payer.get(payment)) == "RETURNED"
    assert (await payer.available_fen())[0] == 10_000_000


async def test_a_statement_before_the_report_is_confirmed_by_it(payer: Payer) -> None:
    file, [payment] = await filed(payer, 1_000)
    line = Line(str(new_id())[:30], "10.00", is_credit=False, end_to_end_id=payment.end_to_end_id)
    await payer.statement(line)
    report = await payer.report(report_on(file.message_id, said(payment, "ACSC")))
    assert (report.applied_count, report.noted_count) == (0, 1)
    again = Line(str(new_id())[:30], "10.00", is_credit=False, end_to_end_id=payment.end_to_end_id)
    assert (await payer.statement(again)).unmatched_count == 1


async def test_a_file_of_many_payments_is_answered_in_one_posting(payer: Payer) -> None:
    file, payments = await filed(payer, *range(100, 130))
    before = (await payer.ledger.trial_balance()).transfer_count
    report = await payer.report(group_report(file, "ACSC"))
    assert report.applied_count == len(payments) <= FILE_PAYMENTS_MAX
    assert (await payer.ledger.trial_balance()).transfer_count == before + len(payments)
    async with payer.world.running["settlement"].runtime.database.read() as connection:
        commits = await connection.fetchval(
            "select count(*) from ledger_commit where first_number > $1", before
        )
    assert commits == 1


@pytest.mark.parametrize(
    ("wallet", "code", "reason"),
    [
        ("SIM-REJECT", pb.PAYMENT_STATUS_CODE_RJCT, "AC01"),
        ("SIM-TWICE", pb.PAYMENT_STATUS_CODE_ACSC, ""),
        ("SIM-SLOW", pb.PAYMENT_STATUS_CODE_ACSC, ""),
    ],
)
async def test_the_simulated_rail_answers_by_reports_of_the_same_form(
    payer: Payer, wallet: str, code: Any, reason: str
) -> None:
    payment = await payer.submitted(1_000, **(ECNY | {"creditor_account": wallet}))
    await payer.advance(days=3)
    payment = await payer.get(payment)
    assert (payment.rail_status, payment.rail_reason_code) == (code, reason)
    async with payer.world.running["settlement"].runtime.database.read() as connection:
        reports = await connection.fetch(
            "select xml from status_report where original_file = $1 order by create_time",
            payment.end_to_end_id,
        )
        kept = await connection.fetch(
            "select is_simulated, outcome from payment_status where original_file = $1 order by id",
            payment.end_to_end_id,
        )
    assert len(reports) == (1 if wallet == "SIM-REJECT" else 2)
    for row in reports:
        names = all_of(read_root(row["xml"], NAMESPACE), "CstmrPmtStsRpt/GrpHdr/InitgPty/Nm")
        assert [each.text for each in names] == ["SIMULATOR of an e-CNY operator"]
    assert all(row["is_simulated"] for row in kept)
    assert sorted(row["outcome"] for row in kept).count("APPLIED") == 1


async def test_only_the_operator_takes_reports_in(payer: Payer) -> None:
    with refused("PERMISSION_DENIED"):
        await payer.stub.ImportPain002(
            pb.ImportPain002Request(request_id=str(new_id()), xml="<a/>")
        )
    service = payer.world.service("finance").stub(rpc.PaymentServiceStub)
    with refused("PERMISSION_DENIED"):
        await service.ImportPain002(pb.ImportPain002Request(request_id=str(new_id()), xml="<a/>"))
    assert BANK["rail"] == pb.RAIL_BANK


async def test_everything_that_reports_moved_balances(payer: Payer) -> None:
    assert (await payer.ledger.trial_balance()).is_balanced
