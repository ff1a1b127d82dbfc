"""A machine's life, line by line: what each event says of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from google.protobuf.message import Message
from google.type import money_pb2
from ironloop.leasing.v1 import leasing_events_pb2 as leasing
from ironloop.maintenance.v1 import maintenance_events_pb2 as maintenance
from ironloop.marketplace.v1 import machines_pb2
from ironloop.marketplace.v1 import marketplace_events_pb2 as marketplace
from ironloop.remanufacturing.v1 import reman_pb2
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as remanufacturing
from ironloop.valuation.v1 import valuation_events_pb2 as valuation

from services.kit import wire


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a machine's life.

    Attributes:
        event: The event's full name.
        reference: A resource that it came of, or "".
        party: Who it chiefly concerns, or "".
        amount_fen: None where it speaks of no money.
        hours: The machine's accepted hours, None where it does not speak of them.
    """

    event: str
    reference: str
    party: str
    amount_fen: int | None
    hours: Decimal | None
    note: str


@dataclass(frozen=True, slots=True)
class Line:
    """Which fields of an event its line is made of.

    Attributes:
        reference, party, amount, hours: Paths of fields, "" where the event has none.
        note: The few words, or what makes them.
    """

    note: str | Callable[[Any], str]
    reference: str = ""
    party: str = ""
    amount: str = ""
    hours: str = ""


def _custody(event: marketplace.CustodyChanged) -> str:
    before, after = (
        wire.enum_name(machines_pb2.Custody, value, prefix="CUSTODY_")
        for value in (event.from_custody, event.custody)
    )
    return f"custody {before} → {after}"


def _component(event: remanufacturing.ComponentInstalled) -> str:
    reman_class = wire.enum_name(reman_pb2.RemanClass, event.reman_class, prefix="REMAN_CLASS_")
    return f"{event.component} {event.serial_number}, {reman_class}, label {event.label_no}"


LINES: Mapping[type[Message], Line] = {
    marketplace.MachineRegistered: Line(
        lambda e: f"registered: {e.make} {e.model}, built {e.build_year or 'unknown'}",
        party="title_holder",
        amount="replacement_cost",
    ),
    marketplace.TitleTransferred: Line(
        lambda e: f"title from {e.from_party}", reference="reference", party="to_party"
    ),
    marketplace.CustodyChanged: Line(_custody, reference="reference", party="custodian"),
    marketplace.LienRegistered: Line(
        lambda e: f"lien of priority {e.priority}, {e.registry_no}",
        reference="lien",
        party="holder",
        amount="secured_amount",
    ),
    marketplace.LienReleased: Line("lien released", reference="lien", party="holder"),
    marketplace.ListingPublished: Line("listed", reference="listing", party="seller", amount="ask"),
    marketplace.ListingSold: Line("sold", reference="order", party="buyer", amount="price"),
    marketplace.AuctionClosed: Line(
        lambda e: "auction closed, sold" if e.sold else "auction closed, unsold",
        reference="auction",
        party="winner",
        amount="high",
    ),
    valuation.ValuationIssued: Line(
        "valued: median fair market value", reference="valuation", amount="fmv.q50"
    ),
    leasing.LeaseActivated: Line(
        lambda e: f"lease of {len(e.schedule)} rentals active",
        reference="lease",
        party="lessee",
        amount="financed_amount",
    ),
    leasing.InstalmentsAssigned: Line(
        lambda e: f"rentals {e.from_number} to {e.to_number} assigned",
        reference="lease",
        party="owner",
    ),
    leasing.LeaseBoughtOut: Line(
        "bought out early", reference="lease", party="lessee", amount="total"
    ),
    leasing.LeaseMatured: Line("lease matured", reference="lease", party="lessee"),
    leasing.LeaseDefaulted: Line(
        lambda e: f"lease in default, {e.days_past_due} days past due",
        reference="lease",
        party="lessee",
        amount="outstanding_principal",
    ),
    leasing.MachineRepossessed: Line(
        "repossessed", reference="lease", party="lessor", amount="debt"
    ),
    leasing.TotalLossReported: Line(
        "total loss", reference="lease", party="insurer", amount="stipulated_loss_value"
    ),
    leasing.LeaseReturned: Line("returned", reference="lease", party="lessee", hours="hours_meter"),
    leasing.ReturnInspected: Line(
        "return inspected; charge for excess hours",
        reference="lease",
        party="lessee",
        amount="excess_charge",
        hours="hours_meter",
    ),
    leasing.DisposalSettled: Line(
        "disposal settled by the waterfall",
        reference="disposal",
        party="beneficiary",
        amount="price",
    ),
    maintenance.FaultRaised: Line(
        lambda e: f"fault {e.oem_code or f'SPN {e.spn} FMI {e.fmi}'}, count {e.count}",
        reference="fault",
    ),
    maintenance.FaultCleared: Line("fault cleared", reference="fault"),
    maintenance.PlanOverdue: Line(lambda e: f"overdue: {e.title}", reference="plan"),
    maintenance.WorkOrderCompleted: Line(
        lambda e: f"work order completed, down {e.downtime_hours.value or 0} h",
        reference="work_order",
        hours="hours",
    ),
    remanufacturing.ComponentInstalled: Line(
        _component, reference="unit", party="remanufacturer", hours="hours"
    ),
}


def entry_of(event: Message) -> Entry | None:
    """Return an event's line in its machine's life; None where it has none."""
    line = LINES.get(type(event))
    if line is None:
        return None
    amount = _at(event, line.amount)
    hours = _at(event, line.hours)
    return Entry(
        event=event.DESCRIPTOR.full_name,
        reference=_at(event, line.reference) or "",
        party=_at(event, line.party) or "",
        amount_fen=wire.fen(amount, field=line.amount) if _is_money(amount) else None,
        hours=wire.to_decimal(hours, field=line.hours) if hours and hours.value else None,
        note=line.note if isinstance(line.note, str) else line.note(event),
    )


def _at(event: Message, path: str) -> Any:
    """Return the value at a path of fields, "fmv.q50" for example; None for the empty path."""
    value: Any = event
    for part in filter(None, path.split(".")):
        value = getattr(value, part)
    return None if value is event else value


def _is_money(value: Any) -> bool:
    return isinstance(value, money_pb2.Money) and bool(value.currency_code)
