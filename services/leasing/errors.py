"""What leasing refuses."""

from datetime import date

from services.kit.amounts import yuan
from services.kit.errors import Aborted, AlreadyExists, PreconditionFailed


class SameParty(PreconditionFailed):
    """Nobody leases from themselves."""

    reason = "SAME_PARTY"

    def __init__(self, party: str) -> None:
        super().__init__(f"{party} cannot be both lessor and lessee", subject=party)


class RateNotFound(PreconditionFailed):
    """The quoted flows have no rate of return that means anything."""

    reason = "RATE_NOT_FOUND"

    def __init__(self, why: str) -> None:
        super().__init__(f"no rate fits the payments, fee and deposit: {why}")


class LessorLacksTitle(PreconditionFailed):
    """The lessor does not hold the machine's title."""

    reason = "LESSOR_LACKS_TITLE"

    def __init__(self, machine: str, lessor: str) -> None:
        super().__init__(f"{lessor} does not hold the title of {machine}", subject=machine)


class MachineLeased(PreconditionFailed):
    """Another lease of the machine lives."""

    reason = "MACHINE_LEASED"

    def __init__(self, machine: str) -> None:
        super().__init__(f"another lease of {machine} is not over yet", subject=machine)


class LeaseBusy(Aborted):
    """A step across services is under way for the lease; the call may be tried again."""

    reason = "LEASE_BUSY"

    def __init__(self, lease: str) -> None:
        super().__init__(f"another command of {lease} is under way", lease=lease)


class TermsChanged(PreconditionFailed):
    """The hash that was signed is not that of the lease's terms."""

    reason = "TERMS_CHANGED"

    def __init__(self, lease: str, *, given: str, present: str) -> None:
        super().__init__(
            f"the terms of {lease} have the SHA-256 {present}, not {given}",
            subject=lease,
            terms_sha256=present,
        )


class AlreadySigned(PreconditionFailed):
    """The party has signed."""

    reason = "ALREADY_SIGNED"

    def __init__(self, lease: str, party: str) -> None:
        super().__init__(f"{party} has signed {lease} already", subject=lease)


class DeliveryAccepted(PreconditionFailed):
    """The delivery was accepted before."""

    reason = "DELIVERY_ACCEPTED"

    def __init__(self, lease: str, day: date) -> None:
        super().__init__(f"the delivery was accepted on {day}", subject=lease)


class DeliveryNotAccepted(PreconditionFailed):
    """The lessee has not accepted the delivery."""

    reason = "DELIVERY_NOT_ACCEPTED"

    def __init__(self, lease: str) -> None:
        super().__init__("the lessee has not accepted the delivery yet", subject=lease)


class RegistryNumberMissing(PreconditionFailed):
    """A lease is active only once it is registered."""

    reason = "REGISTRY_NUMBER_MISSING"

    def __init__(self, lease: str) -> None:
        super().__init__("a lease needs its number at the public registry", subject=lease)


class NothingDue(PreconditionFailed):
    """There is nothing to pay."""

    reason = "NOTHING_DUE"

    def __init__(self, subject: str) -> None:
        super().__init__(f"nothing is due on {subject}", subject=subject)


class AmountExceedsDue(PreconditionFailed):
    """More would be paid than is owed."""

    reason = "AMOUNT_EXCEEDS_DUE"

    def __init__(self, subject: str, *, amount_fen: int, limit_fen: int) -> None:
        super().__init__(
            f"{yuan(amount_fen)} CNY exceeds the {yuan(limit_fen)} CNY that can be paid",
            subject=subject,
            limit_fen=str(limit_fen),
        )


class InstalmentUnpaid(PreconditionFailed):
    """An instalment that has fallen due is not paid in full."""

    reason = "INSTALMENT_UNPAID"

    def __init__(self, instalment: str) -> None:
        super().__init__(f"{instalment} has to be paid first", subject=instalment)


class InstalmentsAssigned(PreconditionFailed):
    """Instalments to come belong to an assignee, whose claim a re-schedule would change."""

    reason = "INSTALMENTS_ASSIGNED"

    def __init__(self, instalment: str, owner: str) -> None:
        super().__init__(f"{instalment} belongs to {owner}", subject=instalment, owner=owner)


class AlreadyAssigned(AlreadyExists):
    """An instalment of the run is assigned, or the reference assigned another run."""

    reason = "ALREADY_ASSIGNED"

    def __init__(self, subject: str, reference: str) -> None:
        super().__init__(f"{subject} is assigned by {reference}", reference=reference)


class BuyoutLapsed(PreconditionFailed):
    """The quoted day is over."""

    reason = "BUYOUT_LAPSED"

    def __init__(self, lease: str, as_of: date) -> None:
        super().__init__(f"the buyout was quoted for {as_of}", subject=lease)


class LiensRemain(PreconditionFailed):
    """A lien binds the machine that no payoff would release."""

    reason = "LIENS_ACTIVE"

    def __init__(self, machine: str, lien: str) -> None:
        super().__init__(f"{lien} would still bind {machine}", subject=machine, lien=lien)


class ExtensionNotOffered(PreconditionFailed):
    """The signed terms offer no extension, or nothing would be left to pay in one."""

    reason = "EXTENSION_NOT_OFFERED"

    def __init__(self, lease: str) -> None:
        super().__init__("the signed terms offer no extension of what is left", subject=lease)


class RestructuringRefused(PreconditionFailed):
    """Terms are changed by a buyout and a new lease only."""

    reason = "RESTRUCTURING_REFUSED"

    def __init__(self, lease: str) -> None:
        super().__init__(
            "a lease is not restructured: buy it out, or return it, and quote a new one",
            subject=lease,
        )


class RateResetRefused(PreconditionFailed):
    """The signed rate is fixed."""

    reason = "RATE_RESET_REFUSED"

    def __init__(self, lease: str) -> None:
        super().__init__("the signed rate is fixed for the whole term", subject=lease)


class NothingOverdue(PreconditionFailed):
    """Notice of default is given of what is overdue."""

    reason = "NOTHING_OVERDUE"

    def __init__(self, lease: str) -> None:
        super().__init__("no instalment is overdue", subject=lease)


class NotInDefault(PreconditionFailed):
    """Neither ground of a default holds."""

    reason = "NOT_IN_DEFAULT"

    def __init__(
        self, lease: str, *, days: int, days_limit: int, missed: int, notice_on: date | None
    ) -> None:
        notice = f"notice was given on {notice_on}" if notice_on else "no notice was given"
        super().__init__(
            f"the oldest instalment is {days} days past due, not more than {days_limit}; "
            f"{missed} in a row are overdue, and {notice}",
            subject=lease,
            days_past_due=str(days),
            missed=str(missed),
        )


class LossPaid(PreconditionFailed):
    """The insurer has paid."""

    reason = "LOSS_PAID"

    def __init__(self, lease: str) -> None:
        super().__init__("the insurer has paid the stipulated loss value", subject=lease)


class LossUnpaid(PreconditionFailed):
    """The insurer has not paid."""

    reason = "LOSS_UNPAID"

    def __init__(self, lease: str, insurer: str) -> None:
        super().__init__(f"{insurer} has not paid the stipulated loss value", subject=lease)


class DisposalOpen(AlreadyExists):
    """The machine is for sale by an open disposal."""

    reason = "DISPOSAL_OPEN"

    def __init__(self, machine: str, disposal: str) -> None:
        super().__init__(f"{disposal} of {machine} is open", disposal=disposal)


class MachineNotSold(PreconditionFailed):
    """The order that pays is not the one that the machine is held for."""

    reason = "MACHINE_NOT_SOLD"

    def __init__(self, machine: str, *, order: str, held_for: str) -> None:
        super().__init__(
            f"{machine} is held for {held_for or 'nobody'}, not for {order}",
            subject=machine,
            order=order,
            held_for=held_for,
        )


class DisposalPending(PreconditionFailed):
    """The machine is still to be sold."""

    reason = "DISPOSAL_PENDING"

    def __init__(self, lease: str, disposal: str) -> None:
        what = f"{disposal} is open" if disposal else "its machine has not been sold"
        super().__init__(f"the lease stays until the disposal is settled: {what}", subject=lease)
