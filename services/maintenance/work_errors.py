"""What maintenance refuses about plans, work orders and exchanges."""

from datetime import date
from decimal import Decimal

from services.kit.amounts import yuan
from services.kit.errors import PermissionDenied, PreconditionFailed


class PlanExists(PreconditionFailed):
    """A machine has one active plan."""

    reason = "PLAN_EXISTS"

    def __init__(self, machine: str) -> None:
        super().__init__(f"{machine} has an active service plan; close it first", subject=machine)


class TemplateRetired(PreconditionFailed):
    """No plan is opened from a template that is out of use."""

    reason = "TEMPLATE_RETIRED"

    def __init__(self, template: str) -> None:
        super().__init__(f"{template} is retired; choose another template", subject=template)


class TemplateDoesNotFit(PreconditionFailed):
    """A template is for another make, model or class."""

    reason = "TEMPLATE_DOES_NOT_FIT"

    def __init__(self, template: str, machine: str) -> None:
        super().__init__(
            f"{template} is for another make, model or class than {machine}", subject=template
        )


class NotYourMachine(PermissionDenied):
    """The command is for who owns or has the machine."""

    reason = "NOT_YOUR_MACHINE"

    def __init__(self, command: str, machine: str) -> None:
        super().__init__(
            f"only who owns or has {machine} may {command}", machine=machine, command=command
        )


class NotAPartyToThis(PermissionDenied):
    """The command is another party's."""

    reason = "NOT_A_PARTY_TO_THIS"

    def __init__(self, command: str, *, side: str, subject: str) -> None:
        super().__init__(
            f"only the {side} of {subject} may {command} it", side=side, subject=subject
        )


class NotAssignedToYou(PermissionDenied):
    """The technician who has an order begins it."""

    reason = "NOT_ASSIGNED_TO_YOU"

    def __init__(self, work_order: str, technician: str) -> None:
        super().__init__(f"{work_order} is assigned to {technician}", work_order=work_order)


class NotTheWorkshopsTechnician(PreconditionFailed):
    """A workshop gives its orders to its own technicians."""

    reason = "NOT_THE_WORKSHOPS_TECHNICIAN"

    def __init__(self, technician: str, workshop: str) -> None:
        super().__init__(f"{technician} is no technician of {workshop}", subject=technician)


class SamePerson(PermissionDenied):
    """Work is verified by a person who did not do it."""

    reason = "SAME_PERSON"

    def __init__(self, work_order: str, person: str) -> None:
        super().__init__(
            f"{person} completed or worked on {work_order}; another person must verify it",
            work_order=work_order,
        )


class FaultNotOpen(PreconditionFailed):
    """A fault that is cleared, or that another order sees to, is not ordered again."""

    reason = "FAULT_NOT_OPEN"

    def __init__(self, fault: str, state: str) -> None:
        super().__init__(f"{fault} is {state}; no order can see to it", subject=fault, state=state)


class FaultOfAnotherMachine(PreconditionFailed):
    """An order sees to faults of its own machine."""

    reason = "FAULT_OF_ANOTHER_MACHINE"

    def __init__(self, fault: str, machine: str) -> None:
        super().__init__(f"{fault} is not of {machine}", subject=fault)


class WarrantyEnded(PreconditionFailed):
    """A repair's warranty covers the same machine and workshop until its end."""

    reason = "WARRANTY_ENDED"

    def __init__(self, work_order: str, *, end: date | None, hours_end: Decimal | None) -> None:
        until = "gives none" if end is None else f"ended on {end.isoformat()}"
        if end is not None and hours_end is not None:
            until += f" or at {hours_end:f} h"
        super().__init__(f"the warranty of {work_order} {until}", subject=work_order)


class DowntimeTooLong(PreconditionFailed):
    """A machine was down no longer than since it stopped working."""

    reason = "DOWNTIME_TOO_LONG"

    def __init__(self, work_order: str, *, stated: Decimal, limit: Decimal) -> None:
        super().__init__(
            f"downtime_hours {stated:f} exceeds the {limit:f} h since {work_order}.down_since",
            subject=work_order,
            limit=f"{limit:f}",
        )


class HoursImplausible(PreconditionFailed):
    """A stated meter must follow the last accepted reading."""

    reason = "HOURS_IMPLAUSIBLE"

    def __init__(self, machine: str, *, stated: Decimal, least: Decimal, most: Decimal) -> None:
        super().__init__(
            f"hours {stated:f} of {machine} must lie in {least:f} to {most:f} by its last reading",
            subject=machine,
            least=f"{least:f}",
            most=f"{most:f}",
        )


class TotalTooLarge(PreconditionFailed):
    """What an order costs has a limit."""

    reason = "TOTAL_TOO_LARGE"

    def __init__(self, total_fen: int, limit_fen: int) -> None:
        super().__init__(f"the cost {yuan(total_fen)} exceeds the limit of {yuan(limit_fen)}")


class CostNotApproved(PreconditionFailed):
    """A workshop invoices by itself no more than the payer has approved."""

    reason = "COST_NOT_APPROVED"

    def __init__(self, work_order: str, *, total_fen: int, approved_fen: int) -> None:
        super().__init__(
            f"{work_order} costs {yuan(total_fen)}; its payer has approved {yuan(approved_fen)}",
            subject=work_order,
            total_fen=str(total_fen),
            approved_fen=str(approved_fen),
        )


class WorkshopMissing(PreconditionFailed):
    """An order is opened to a workshop."""

    reason = "WORKSHOP_MISSING"

    def __init__(self, work_order: str) -> None:
        super().__init__(f"{work_order} names no workshop; state who does it", subject=work_order)


class ExchangeNotShipped(PreconditionFailed):
    """An order is completed once each of its exchanges is shipped or given up."""

    reason = "EXCHANGE_NOT_SHIPPED"

    def __init__(self, exchange: str, state: str) -> None:
        super().__init__(
            f"{exchange} is {state}; ship or cancel it before the order is completed",
            subject=exchange,
        )


class RemovedSerialMissing(PreconditionFailed):
    """For each unit that went in, the serial number of what came out is stated."""

    reason = "REMOVED_SERIAL_MISSING"

    def __init__(self, exchange: str) -> None:
        super().__init__(f"removals must name what came out for {exchange}", subject=exchange)


class ExchangeUnderWay(PreconditionFailed):
    """An order with an exchange under way is not cancelled over it."""

    reason = "EXCHANGE_UNDER_WAY"

    def __init__(self, exchange: str, state: str) -> None:
        super().__init__(f"{exchange} is {state}; cancel it first", subject=exchange)


class ExchangeNotInstalled(PreconditionFailed):
    """An order is put away once its units are on the machine by their record."""

    reason = "EXCHANGE_NOT_INSTALLED"

    def __init__(self, exchange: str) -> None:
        super().__init__(f"the installation of {exchange} is not recorded yet", subject=exchange)


class CoreSettled(PreconditionFailed):
    """An exchange whose core has ended is not given up."""

    reason = "CORE_SETTLED"

    def __init__(self, exchange: str, outcome: str) -> None:
        super().__init__(f"the core of {exchange} is {outcome}", subject=exchange)
