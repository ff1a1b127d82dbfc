"""What finance tells of receivables; each event carries the receivable's own next sequence."""

from ironloop.finance.v1 import finance_events_pb2 as events

from services.finance.receivable_model import Factoring, Receivable
from services.kit import wire


def confirmed(line: Receivable) -> events.ReceivableConfirmed:
    """The debtor signed amount and due date."""
    return events.ReceivableConfirmed(
        receivable=line.name,
        sequence=line.event_sequence,
        lease=line.lease,
        number=line.number,
        machine=line.machine,
        debtor=line.debtor,
        owner=line.owner,
        amount=wire.money(line.amount_fen),
        due_date=wire.date(line.due_on),
    )


def assigned(line: Receivable, factoring: Factoring) -> events.ReceivableAssigned:
    """It is the funder's; the debtor has notice."""
    return events.ReceivableAssigned(
        receivable=line.name,
        sequence=line.event_sequence,
        lease=line.lease,
        number=line.number,
        machine=line.machine,
        debtor=line.debtor,
        assignor=factoring.lessor,
        assignee=factoring.funder,
        amount=wire.money(line.amount_fen),
        due_date=wire.date(line.due_on),
        factoring=factoring.name,
        registry_no=line.registry_no,
    )


def funded(line: Receivable, factoring: Factoring, *, price_fen: int) -> events.ReceivableFunded:
    """Its share of the price is paid."""
    return events.ReceivableFunded(
        receivable=line.name,
        sequence=line.event_sequence,
        lease=line.lease,
        number=line.number,
        machine=line.machine,
        debtor=line.debtor,
        assignee=line.owner,
        amount=wire.money(line.amount_fen),
        price=wire.money(price_fen),
        factoring=factoring.name,
    )


def settled(line: Receivable) -> events.ReceivableSettled:
    """It is paid in full, or closed by a buyout."""
    return events.ReceivableSettled(
        receivable=line.name,
        sequence=line.event_sequence,
        lease=line.lease,
        number=line.number,
        machine=line.machine,
        debtor=line.debtor,
        owner=line.owner,
        paid=wire.money(line.paid_fen),
    )


def assignment_cancelled(
    line: Receivable, factoring: Factoring
) -> events.ReceivableAssignmentCancelled:
    """It is the lessor's again."""
    return events.ReceivableAssignmentCancelled(
        receivable=line.name,
        sequence=line.event_sequence,
        lease=line.lease,
        number=line.number,
        machine=line.machine,
        debtor=line.debtor,
        owner=line.owner,
        factoring=factoring.name,
    )
