"""What settlement tells the other services."""

import hashlib
from collections.abc import Sequence

from google.protobuf.message import Message
from ironloop.settlement.v1 import settlement_events_pb2, settlement_pb2

from services.kit import wire
from services.settlement.copy_form import DIGEST_BYTES
from services.settlement.transfer import Posted

PRODUCES = (
    settlement_events_pb2.TransfersPosted,
    settlement_events_pb2.PaymentSettled,
    settlement_events_pb2.PaymentReturned,
    settlement_events_pb2.PaymentFailed,
    settlement_events_pb2.StatementLineAged,
)

EVENT_TRANSFERS_MAX = 500  # about 200 kB, well below what the broker takes in one record


def transfers_posted(
    ledger: str, *, sequence: int, commit: int, transfers: Sequence[Posted]
) -> settlement_events_pb2.TransfersPosted:
    """Return the event of consecutive transfers of one commit."""
    return settlement_events_pb2.TransfersPosted(
        ledger=ledger,
        sequence=sequence,
        commit=commit,
        first_number=transfers[0].number,
        event_time=wire.instant(transfers[0].event_at),
        transfers=[transfer_to_wire(posted) for posted in transfers],
    )


def event_digest(events: Sequence[Message]) -> bytes:
    """Return 16 bytes of the SHA-256 of each event's payload, one after the other.

    They stay with the commit, so that an event in the topic can be held against it.
    """
    return b"".join(payload_digest(event.SerializeToString(deterministic=True)) for event in events)


def payload_digest(payload: bytes) -> bytes:
    """Return 16 bytes of the SHA-256 of an event's payload."""
    return hashlib.sha256(payload).digest()[:DIGEST_BYTES]


def transfer_to_wire(posted: Posted) -> settlement_pb2.Transfer:
    """Return a transfer as the contract shows it."""
    row = posted.transfer
    return settlement_pb2.Transfer(
        id=str(row.id),
        txn=str(row.txn),
        debit_account=row.debit_account,
        credit_account=row.credit_account,
        amount_fen=row.amount_fen,
        kind=row.kind,  # type: ignore[arg-type]  # the numbers are the contract's
        pending_id="" if row.pending_id is None else str(row.pending_id),
        timeout_s=row.timeout_s,
        linked=row.linked,
        code=row.code,  # type: ignore[arg-type]
        purpose=row.purpose,
        memo=row.memo,
    )
