"""What settlement tells the other services."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ironloop.settlement.v1 import settlement_events_pb2, settlement_pb2

from services.kit import wire
from services.kit.ids import fact_id
from services.settlement.account import Ledger
from services.settlement.copy_form import DIGEST_BYTES
from services.settlement.plan import Plan
from services.settlement.transfer import Posted, ResultCode, Transfer

PRODUCES = (
    settlement_events_pb2.TransfersPosted,
    settlement_events_pb2.PaymentSettled,
    settlement_events_pb2.PaymentReturned,
    settlement_events_pb2.PaymentFailed,
    settlement_events_pb2.StatementLineAged,
)

EVENT_TRANSFERS_MAX = 500  # about 200 kB, well below what the broker takes in one record


def events_of(
    ledger: Ledger, created: Sequence[Posted], told: Sequence[settlement_pb2.Transfer]
) -> list[settlement_events_pb2.TransfersPosted]:
    """Return the events of a commit, numbered after those that the ledger has told.

    Args:
        told: The created transfers as the contract shows them.
    """
    return [
        transfers_posted(
            ledger.name,
            sequence=ledger.event_sequence + part,
            commit=ledger.commit_count + 1,
            first=created[start],
            transfers=told[start : start + EVENT_TRANSFERS_MAX],
        )
        for part, start in enumerate(range(0, len(created), EVENT_TRANSFERS_MAX), 1)
    ]


def transfers_posted(
    ledger: str,
    *,
    sequence: int,
    commit: int,
    first: Posted,
    transfers: Sequence[settlement_pb2.Transfer],
) -> settlement_events_pb2.TransfersPosted:
    """Return the event of consecutive transfers of one commit, of which `first` is the first."""
    event = settlement_events_pb2.TransfersPosted(
        ledger=ledger,
        sequence=sequence,
        commit=commit,
        first_number=first.number,
        event_time=wire.instant(first.event_at),
    )
    event.transfers.extend(transfers)
    return event


def told(
    made: Plan, rows: Sequence[Transfer], sent: Sequence[settlement_pb2.Transfer] | None
) -> list[settlement_pb2.Transfer]:
    """Return the created transfers of a batch as the contract shows them.

    One that was posted as it was sent is shown by the message that brought it, which is the same
    as one made anew; to make one takes ten times as long.
    """
    if sent is None:
        return [transfer_to_wire(posted) for posted in made.created]
    return [
        message if posted.transfer is row else transfer_to_wire(posted)
        for (_, code, posted), row, message in zip(made.outcomes, rows, sent, strict=True)
        if code is ResultCode.CREATED and posted is not None
    ]


def event_id(event: settlement_events_pb2.TransfersPosted, at: datetime) -> UUID:
    """Return the id of an event of a commit at `at`: always the same for its ledger and sequence.

    So an event that is published again, after the broker lost its log, is known for what it is.
    """
    return fact_id(at, event.ledger, f"event {event.sequence}")


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
