"""pain.002 reports: structure and totals hold, or line and element are named; what each means."""

from datetime import UTC, datetime

import pytest

from services.settlement.errors import StatusReportMalformed
from services.settlement.pain002 import read_pain002, write_pain002
from services.settlement.payment_model import PaymentState
from services.settlement.status_model import (
    Outcome,
    Reason,
    ReportedStatus,
    StatusCode,
    outcome_of,
)

AT = datetime(2026, 6, 1, 8, tzinfo=UTC)
CLOSED = Reason("AC04", "account closed")
REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10">
<CstmrPmtStsRpt>
<GrpHdr><MsgId>R1</MsgId><CreDtTm>2026-06-01T08:00:00Z</CreDtTm></GrpHdr>
<OrgnlGrpInfAndSts>
<OrgnlMsgId>M1</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>
<OrgnlNbOfTxs>3</OrgnlNbOfTxs><OrgnlCtrlSum>60.00</OrgnlCtrlSum>
<GrpSts>PART</GrpSts>
<NbOfTxsPerSts><DtldNbOfTxs>2</DtldNbOfTxs><DtldSts>ACSC</DtldSts><DtldCtrlSum>30.00</DtldCtrlSum></NbOfTxsPerSts>
<NbOfTxsPerSts><DtldNbOfTxs>1</DtldNbOfTxs><DtldSts>RJCT</DtldSts></NbOfTxsPerSts>
</OrgnlGrpInfAndSts>
<OrgnlPmtInfAndSts><OrgnlPmtInfId>M1-1</OrgnlPmtInfId>
<TxInfAndSts><OrgnlEndToEndId>e1</OrgnlEndToEndId><TxSts>ACSC</TxSts>
<OrgnlTxRef><Amt><InstdAmt Ccy="CNY">10.00</InstdAmt></Amt></OrgnlTxRef></TxInfAndSts>
<TxInfAndSts><OrgnlEndToEndId>e2</OrgnlEndToEndId><TxSts>ACSC</TxSts>
<OrgnlTxRef><Amt><InstdAmt Ccy="CNY">20.00</InstdAmt></Amt></OrgnlTxRef></TxInfAndSts>
<TxInfAndSts><OrgnlEndToEndId>e3</OrgnlEndToEndId><TxSts>RJCT</TxSts>
<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>account closed</AddtlInf></StsRsnInf></TxInfAndSts>
</OrgnlPmtInfAndSts>
</CstmrPmtStsRpt>
</Document>
"""
WHOLE = REPORT[: REPORT.index("<OrgnlPmtInfAndSts>")] + "</CstmrPmtStsRpt>\n</Document>\n"


def test_a_report_is_read_transaction_by_transaction() -> None:
    report = read_pain002(REPORT, currency="CNY")
    assert (report.id, report.original_file, report.is_partial) == ("R1", "M1", True)
    assert (report.original.count, report.original.sum_fen) == (3, 6_000)
    assert report.group is None
    assert [(one.end_to_end_id, one.code, one.amount_fen) for one in report.statuses] == [
        ("e1", StatusCode.ACSC, 1_000),
        ("e2", StatusCode.ACSC, 2_000),
        ("e3", StatusCode.RJCT, None),
    ]
    assert report.statuses[2].reason == CLOSED
    assert [(total.code, total.count, total.sum_fen) for total in report.totals] == [
        (StatusCode.ACSC, 2, 3_000),
        (StatusCode.RJCT, 1, None),
    ]


def test_a_group_may_speak_for_all_its_transactions() -> None:
    xml = WHOLE.replace(">PART<", ">RJCT<").replace(
        "<NbOfTxsPerSts><DtldNbOfTxs>2",
        "<StsRsnInf><Rsn><Prtry>NO-COVER</Prtry></Rsn></StsRsnInf><NbOfTxsPerSts><DtldNbOfTxs>2",
    )
    report = read_pain002(xml, currency="CNY")
    assert (report.group, report.group_reason) == (StatusCode.RJCT, Reason("NO-COVER"))
    assert report.statuses == ()


def test_a_transaction_without_a_status_has_its_groups() -> None:
    xml = REPORT.replace(">PART<", ">ACSC<").replace("<TxSts>ACSC</TxSts>", "")
    xml = xml.replace("<TxSts>RJCT</TxSts>", "").replace(
        "<NbOfTxsPerSts><DtldNbOfTxs>1</DtldNbOfTxs><DtldSts>RJCT</DtldSts></NbOfTxsPerSts>", ""
    )
    xml = xml.replace("<DtldNbOfTxs>2<", "<DtldNbOfTxs>3<")
    statuses = read_pain002(xml, currency="CNY").statuses
    assert {one.code for one in statuses} == {StatusCode.ACSC}


@pytest.mark.parametrize(
    ("right", "wrong", "element"),
    [
        ("<MsgId>R1</MsgId>", "", "GrpHdr"),
        ("<OrgnlMsgId>M1</OrgnlMsgId>", "", "OrgnlGrpInfAndSts"),
        ("<OrgnlMsgId>M1</OrgnlMsgId>", f"<OrgnlMsgId>{'x' * 36}</OrgnlMsgId>", "OrgnlMsgId"),
        (">pain.001.001.09<", ">pain.008.001.08<", "OrgnlMsgNmId"),
        (">PART<", ">ACWP<", "GrpSts"),
        (">PART<", ">ACSC<", "TxSts"),
        (">PART<", ">PDNG<", "TxSts"),
        (">PART<", ">RJCT<", "TxSts"),
        (">PART<", ">RCVD<", "TxSts"),
        ("<TxSts>ACSC</TxSts>", "<TxSts>DONE</TxSts>", "TxSts"),
        ("<TxSts>ACSC</TxSts>", "", "TxInfAndSts"),
        ("<OrgnlEndToEndId>e2<", "<OrgnlEndToEndId>e1<", "OrgnlEndToEndId"),
        ("<OrgnlEndToEndId>e2</OrgnlEndToEndId>", "", "TxInfAndSts"),
        ("<Rsn><Cd>AC04</Cd></Rsn>", "", "StsRsnInf"),
        ("<DtldNbOfTxs>2<", "<DtldNbOfTxs>1<", "DtldNbOfTxs"),
        ("<DtldNbOfTxs>2<", "<DtldNbOfTxs>two<", "DtldNbOfTxs"),
        ("<DtldSts>RJCT<", "<DtldSts>ACSC<", "NbOfTxsPerSts"),
        ("<DtldCtrlSum>30.00<", "<DtldCtrlSum>30.01<", "DtldCtrlSum"),
        ("<OrgnlNbOfTxs>3<", "<OrgnlNbOfTxs>4<", "NbOfTxsPerSts"),
        ("<OrgnlCtrlSum>60.00<", "<OrgnlCtrlSum>six<", "OrgnlCtrlSum"),
        ('Ccy="CNY">10.00<', 'Ccy="USD">10.00<', "InstdAmt"),
        ('Ccy="CNY">10.00<', 'Ccy="CNY">-1<', "InstdAmt"),
        ("<OrgnlPmtInfId>M1-1</OrgnlPmtInfId>", "<PmtInfSts>ACSC</PmtInfSts>", "PmtInfSts"),
        ("pain.002.001.10", "pain.002.001.03", "Document"),
        ("</CstmrPmtStsRpt>", "</Cstmr>", "Document"),
    ],
)
def test_a_malformed_report_names_line_and_element(right: str, wrong: str, element: str) -> None:
    assert right in REPORT
    broken = REPORT.replace(right, wrong, 1)
    with pytest.raises(StatusReportMalformed) as caught:
        read_pain002(broken, currency="CNY")
    assert caught.value.metadata["element"] == element
    line = int(caught.value.metadata["line"])
    assert 1 <= line <= len(broken.splitlines()) + 1
    if element != "Document":
        assert element in "\n".join(broken.splitlines()[line - 1 : line + 4])


def test_the_line_is_that_of_the_element() -> None:
    with pytest.raises(StatusReportMalformed) as caught:
        read_pain002(REPORT.replace("<TxSts>RJCT<", "<TxSts>NONE<"), currency="CNY")
    line = int(caught.value.metadata["line"])
    assert "<TxSts>RJCT</TxSts>" in REPORT.splitlines()[line - 1]


@pytest.mark.parametrize(("wanted", "element"), [(">PART<", "GrpSts"), (">RJCT<", "StsRsnInf")])
def test_a_group_alone_needs_a_status_and_a_rejection_its_reason(wanted: str, element: str) -> None:
    xml = WHOLE.replace(">PART<", wanted)
    with pytest.raises(StatusReportMalformed) as caught:
        read_pain002(xml, currency="CNY")
    assert caught.value.metadata["element"] == element


@pytest.mark.parametrize("xml", ["", "no xml", "<a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"])
def test_what_is_no_report_is_refused(xml: str) -> None:
    with pytest.raises(StatusReportMalformed):
        read_pain002(xml, currency="CNY")


def test_what_the_simulator_writes_is_read_as_it_was_meant() -> None:
    statuses = (
        ReportedStatus(1, "e1", StatusCode.ACSC, Reason(), 1_005),
        ReportedStatus(1, "e2", StatusCode.RJCT, CLOSED, 7),
        ReportedStatus(1, "e3", StatusCode.PDNG, Reason("", "waits <for> & more")),
        ReportedStatus(1, "e4", StatusCode.RJCT, Reason("RELEASE-EXPIRED", "too late")),
    )
    xml = write_pain002(
        statuses,
        message_id="R2",
        original_file="M2",
        at=AT,
        sender="SIMULATOR",
        currency="CNY",
    )
    report = read_pain002(xml, currency="CNY")
    told = [(one.end_to_end_id, one.code, one.reason, one.amount_fen) for one in report.statuses]
    assert told == [(one.end_to_end_id, one.code, one.reason, one.amount_fen) for one in statuses]
    assert "<Nm>SIMULATOR</Nm>" in xml


MOVES = {StatusCode.ACSC, StatusCode.RJCT}
ENDED = {PaymentState.SETTLED, PaymentState.RETURNED, PaymentState.FAILED}


@pytest.mark.parametrize("state", list(PaymentState))
@pytest.mark.parametrize("code", list(StatusCode))
def test_what_every_status_means_in_every_state(code: StatusCode, state: PaymentState) -> None:
    outcome, problem = outcome_of(code, state)
    confirmed = {StatusCode.ACSC: PaymentState.SETTLED, StatusCode.RJCT: PaymentState.FAILED}
    if state is PaymentState.SUBMITTED:
        assert outcome is (Outcome.APPLIED if code in MOVES else Outcome.NOTED)
    elif confirmed.get(code) is state or (code not in MOVES and state in ENDED):
        assert outcome is Outcome.NOTED
    else:
        assert outcome is Outcome.UNMATCHED
        assert state in problem
    assert (outcome is Outcome.UNMATCHED) == (problem != "")
