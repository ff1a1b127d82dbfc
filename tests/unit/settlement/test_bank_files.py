"""Files to and from the bank: structure and totals hold, or line and element are named."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from lxml import etree

from services.settlement.camt053 import read_camt053
from services.settlement.errors import StatementMalformed
from services.settlement.pain001 import NAMESPACE, Pain001Broken, check_pain001, write_pain001
from services.settlement.payment_model import Payment, PaymentState, Rail
from services.settlement.rails import SIMULATED_DELAY, NoticeKind, simulated_notices
from tests.unit.settlement.statements import Line, statement

AT = datetime(2026, 6, 1, 8, tzinfo=UTC)
PAYMENT = Payment(
    id=UUID(int=77),
    version=1,
    event_sequence=0,
    state=PaymentState.SUBMITTED,
    rail=Rail.BANK,
    account=1_000_000_000_001,
    party=UUID(int=5),
    amount=1_234_505,
    destination=None,
    creditor_name="三一 & <重工>",
    creditor_account="6222020200112233",
    creditor_agent="102100099996",
    end_to_end_id="e2e-1",
    remittance="rent < 07/2026",
    maker="users/1",
    checker="users/2",
    failure="",
    hold_transfer=None,
    post_transfer=None,
    file=None,
    create_time=AT,
    update_time=AT,
)


def written(*payments: Payment) -> str:
    return write_pain001(
        payments,
        message_id="M1",
        at=AT,
        execution_on=date(2026, 6, 1),
        debtor_account="1000000000009",
        currency="CNY",
    )


def test_a_file_says_every_payment_and_its_totals_exactly() -> None:
    xml = written(PAYMENT, replace(PAYMENT, end_to_end_id="e2e-2", amount=5))
    root = etree.fromstring(xml.encode())

    def texts(tag: str) -> list[str | None]:
        return [element.text for element in root.iter(f"{{{NAMESPACE}}}{tag}")]

    assert texts("NbOfTxs") == ["2", "2"]
    assert texts("CtrlSum") == ["12345.10", "12345.10"]
    assert texts("InstdAmt") == ["12345.05", "0.05"]
    assert texts("EndToEndId") == ["e2e-1", "e2e-2"]
    assert "三一 & <重工>" in texts("Nm")
    assert {element.get("Ccy") for element in root.iter(f"{{{NAMESPACE}}}InstdAmt")} == {"CNY"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("<NbOfTxs>1</NbOfTxs>", "<NbOfTxs>2</NbOfTxs>"),
        ("<CtrlSum>12345.05</CtrlSum>", "<CtrlSum>12345.06</CtrlSum>"),
        ("12345.05</InstdAmt>", "12345.04</InstdAmt>"),
        ("<Id>6222020200112233</Id>", "<Id/>"),
        ("<MmbId>102100099996</MmbId>", ""),
    ],
)
def test_a_file_that_contradicts_itself_does_not_leave(right: str, wrong: str) -> None:
    xml = written(PAYMENT)
    assert right in xml
    with pytest.raises(Pain001Broken):
        check_pain001(xml.replace(right, wrong), count=1, control_sum_fen=PAYMENT.amount)


def test_two_payments_never_share_a_reference() -> None:
    with pytest.raises(Pain001Broken):
        written(PAYMENT, PAYMENT)


LINES = (
    Line("R1", "12345.05", is_credit=False, end_to_end_id="e2e-1"),
    Line("R2", "88.1", creditor_reference="1000000000002", remittance="paid in"),
    Line("R3", "5", is_return=True, end_to_end_id="e2e-1"),
)


def test_a_statement_is_read_line_by_line() -> None:
    read = read_camt053(statement("1000000000009", *LINES), currency="CNY")
    assert (read.id, read.account) == ("S1", "1000000000009")
    assert [entry.amount_fen for entry in read.entries] == [1_234_505, 8_810, 500]
    assert [entry.is_credit for entry in read.entries] == [False, True, True]
    assert [entry.is_return for entry in read.entries] == [False, False, True]
    assert read.entries[1].creditor_reference == "1000000000002"
    assert read.entries[1].remittance == "paid in"
    assert read.entries[0].booking_date == date(2026, 6, 1)


@pytest.mark.parametrize(
    ("right", "wrong", "element"),
    [
        ("<Id>S1</Id>", "", "Stmt"),
        ("<Id>S1</Id>", "<Id>S1</Id><Id>S2</Id>", "Stmt"),
        ("<Id>S1</Id>", f"<Id>{'x' * 36}</Id>", "Id"),
        ('<Amt Ccy="CNY">88.1<', '<Amt Ccy="USD">88.1<', "Amt"),
        ('<Amt Ccy="CNY">88.1<', "<Amt>88.1<", "Amt"),
        ('<Amt Ccy="CNY">88.1<', '<Amt Ccy="CNY">-88.1<', "Amt"),
        ('<Amt Ccy="CNY">88.1<', '<Amt Ccy="CNY">88.105<', "Amt"),
        ('<Amt Ccy="CNY">88.1<', '<Amt Ccy="CNY">0.00<', "Amt"),
        ('<Amt Ccy="CNY">88.1<', '<Amt Ccy="CNY">8e3<', "Amt"),
        ('<Amt Ccy="CNY">88.1<', '<Amt Ccy="CNY">9999999999999<', "Amt"),
        ('<Amt Ccy="CNY">88.1<', '<Amt Ccy="CNY">88.2<', "Bal"),
        ("<AcctSvcrRef>R2</AcctSvcrRef>", "<AcctSvcrRef>R1</AcctSvcrRef>", "AcctSvcrRef"),
        ("<AcctSvcrRef>R2</AcctSvcrRef>", "", "Ntry"),
        ("<CdtDbtInd>DBIT</CdtDbtInd>", "<CdtDbtInd>BOTH</CdtDbtInd>", "CdtDbtInd"),
        ("<Dt>2026-06-01</Dt>", "<Dt>2026-06-31</Dt>", "Dt"),
        ("<Cd>BOOK</Cd>", "<Cd>PDNG</Cd>", "Sts"),
        ("<Cd>CLBD</Cd>", "<Cd>CLAV</Cd>", "Bal"),
        ("<NbOfNtries>3</NbOfNtries>", "<NbOfNtries>4</NbOfNtries>", "NbOfNtries"),
        ("<Sum>12438.15</Sum>", "<Sum>12438.16</Sum>", "Sum"),
        ("</TxDtls></NtryDtls>", "</TxDtls><TxDtls/></NtryDtls>", "NtryDtls"),
        ("camt.053.001.08", "camt.053.001.02", "Document"),
        ("</Stmt>", "</Stnt>", "Document"),
    ],
)
def test_a_malformed_statement_names_line_and_element(right: str, wrong: str, element: str) -> None:
    xml = statement("1000000000009", *LINES)
    assert right in xml
    broken = xml.replace(right, wrong, 1)
    with pytest.raises(StatementMalformed) as caught:
        read_camt053(broken, currency="CNY")
    assert caught.value.metadata["element"] == element
    line = int(caught.value.metadata["line"])
    assert 1 <= line <= len(broken.splitlines()) + 1
    if element not in ("Bal", "Document", "Stmt"):
        assert element in "\n".join(broken.splitlines()[max(0, line - 1) : line + 6])


@pytest.mark.parametrize("xml", ["", "no xml", "<a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"])
def test_what_is_no_statement_is_refused(xml: str) -> None:
    with pytest.raises(StatementMalformed):
        read_camt053(xml, currency="CNY")


def test_an_entity_is_never_resolved() -> None:
    xml = statement("1", Line("R1", "5", remittance="&leak;")).replace(
        "<Document", '<!DOCTYPE Document [<!ENTITY leak SYSTEM "file:///etc/passwd">]>\n<Document'
    )
    with pytest.raises(StatementMalformed):
        read_camt053(xml, currency="CNY")


@pytest.mark.parametrize(
    ("wallet", "kinds"),
    [
        ("SIM-REJECT-1", [NoticeKind.REJECTED]),
        ("SIM-RETURN-1", [NoticeKind.SETTLED, NoticeKind.RETURNED]),
        ("SIM-TWICE-1", [NoticeKind.SETTLED, NoticeKind.SETTLED]),
        ("SIM-SLOW-1", [NoticeKind.ACCEPTED, NoticeKind.SETTLED]),
        ("SIM-OK-1", [NoticeKind.SETTLED]),
        ("0102", [NoticeKind.SETTLED]),
    ],
)
def test_the_simulator_tells_the_same_story_of_a_payment_each_time(
    wallet: str, kinds: list[NoticeKind]
) -> None:
    payment = replace(PAYMENT, rail=Rail.ECNY_SIMULATOR, creditor_account=wallet)
    notices = simulated_notices(payment)
    assert [notice.kind for notice in notices] == kinds
    assert notices == simulated_notices(payment)
    assert all(notice.after >= SIMULATED_DELAY for notice in notices)
