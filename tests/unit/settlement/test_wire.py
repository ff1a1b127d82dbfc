"""Rows come in as they are; what PostgreSQL cannot store still shows its flaw."""

import pytest
from ironloop.settlement.v1 import settlement_pb2 as pb

from services.settlement.transfer import MALFORMED, ResultCode, flaw
from services.settlement.wire import transfer_of

ID = "01a20f85-93b6-7dc7-b60e-a8d71c34f5ee"


def sent(**fields: object) -> pb.Transfer:
    whole: dict[str, object] = {
        "id": ID,
        "debit_account": 1,
        "credit_account": 2,
        "amount_fen": 3,
        "kind": pb.TRANSFER_KIND_POSTED,
        "code": pb.TRANSFER_CODE_DRAW,
    }
    return pb.Transfer(**(whole | fields))  # type: ignore[arg-type]


def test_an_empty_txn_is_the_transfers_own_id() -> None:
    row = transfer_of(sent())
    assert row.txn == row.id
    assert str(row.id) == ID
    assert flaw(row) is None


@pytest.mark.parametrize(
    "text", ["", "x", ID.upper(), f"{{{ID}}}", ID.replace("-", ""), f"urn:uuid:{ID}", f"{ID[:-1]}z"]
)
def test_only_the_plain_form_of_a_uuid_is_an_id(text: str) -> None:
    assert transfer_of(sent(id=text)).id == MALFORMED


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        ("purpose", "a\0b", ResultCode.PURPOSE_MALFORMED),
        ("purpose", "租" * 161, ResultCode.PURPOSE_MALFORMED),
        ("purpose", "租" * 160, None),
        ("memo", "\0", ResultCode.MEMO_MALFORMED),
        ("memo", "m" * 1_000_000, ResultCode.MEMO_MALFORMED),
        ("memo", "m" * 200, None),
        ("txn", "no uuid", ResultCode.TXN_MALFORMED),
    ],
)
def test_a_text_that_cannot_be_kept_is_the_rows_own_flaw(
    field: str, text: str, code: ResultCode | None
) -> None:
    row = transfer_of(sent(**{field: text}))
    assert flaw(row) == code
    assert "\0" not in row.purpose + row.memo
    assert len(row.memo) <= 201
