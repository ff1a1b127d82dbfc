"""What marketplace refuses."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from services.kit.amounts import yuan
from services.kit.errors import (
    AlreadyExists,
    InvalidArgument,
    PreconditionFailed,
)


class PinForm(InvalidArgument):
    """A PIN has not the form of the scheme that was stated for it."""

    reason = "PIN_FORM"

    def __init__(self, pin: str, scheme: str) -> None:
        super().__init__(
            "pin",
            f'"{pin}" has not the 17 characters (no I, O or Q) of {scheme}; '
            "state OEM_LEGACY for a number of the maker's own",
            scheme=scheme,
        )


class HoursOutOfRange(InvalidArgument):
    """Hours below 0 or above what any machine runs."""

    def __init__(self, field: str, hours: Decimal, limit: Decimal) -> None:
        super().__init__(field, f"{hours} must lie in 0 to {limit} hours")


class HoursBelowLast(InvalidArgument):
    """An hour meter does not run backwards; a swapped meter needs an offset record."""

    reason = "HOURS_BELOW_LAST"

    def __init__(self, hours: Decimal | None, last: Decimal | None) -> None:
        stated = "unknown" if hours is None else f"{hours} hours"
        super().__init__(
            "hours_meter", f"{stated} is below the last reading of {last} hours", last=str(last)
        )


class BuildYearAhead(InvalidArgument):
    """A build year later than next year."""

    def __init__(self, field: str, year: int, limit: int) -> None:
        super().__init__(field, f"{year} must not be later than {limit}")


class UnknownMaskPath(InvalidArgument):
    """An update mask names what is no field that can be changed."""

    def __init__(self, path: str, known: Sequence[str]) -> None:
        super().__init__("update_mask", f'"{path}" is none of {", ".join(known)}')


class InstantOutOfRange(InvalidArgument):
    """An instant must lie within limits."""

    def __init__(self, field: str, *, after: datetime, until: datetime) -> None:
        super().__init__(
            field, f"must lie after {after.isoformat()} and not after {until.isoformat()}"
        )


class DayOutOfRange(InvalidArgument):
    """A day must lie within limits."""

    def __init__(self, field: str, day: date, *, first: date, last: date) -> None:
        super().__init__(field, f"{day} must lie in {first} to {last}")


class MachineExists(AlreadyExists):
    """A machine with this PIN, or this make and serial number, is registered."""

    reason = "MACHINE_EXISTS"

    def __init__(self, label: str) -> None:
        super().__init__(f"a machine with the number {label} is registered", identifier=label)


class IdentityConflict(AlreadyExists):
    """A row's numbers contradict those that are registered."""

    reason = "IDENTITY_CONFLICT"

    def __init__(self, label: str, machine: str) -> None:
        super().__init__(
            f"the make and numbers stated with {label} are not those of {machine}", machine=machine
        )


class RowRepeated(AlreadyExists):
    """An earlier row of the same import states the machine otherwise."""

    reason = "ROW_REPEATED"

    def __init__(self, label: str) -> None:
        super().__init__(f"an earlier row states {label} otherwise", identifier=label)


class LienExists(AlreadyExists):
    """The reference secures itself by another lien on this machine."""

    reason = "LIEN_EXISTS"

    def __init__(self, machine: str, reference: str, lien: str) -> None:
        super().__init__(
            f"{reference} has the lien {lien} with other content on {machine}", lien=lien
        )


class LiensActive(PreconditionFailed):
    """Liens must be released before a title moves or a machine is scrapped."""

    reason = "LIENS_ACTIVE"

    def __init__(self, machine: str, liens: Sequence[str]) -> None:
        super().__init__(
            f"{machine} has {len(liens)} active liens; they must be paid off first",
            subject=machine,
            liens=",".join(liens),
        )


class MachineScrapped(PreconditionFailed):
    """A scrapped machine takes no further part in trade."""

    reason = "MACHINE_SCRAPPED"

    def __init__(self, machine: str) -> None:
        super().__init__(f"{machine} is scrapped", subject=machine)


class NotTitleHolder(PreconditionFailed):
    """Only the title holder may do this, or the title is not where the command says."""

    reason = "NOT_TITLE_HOLDER"

    def __init__(self, machine: str, party: str) -> None:
        super().__init__(f"{party} does not hold the title of {machine}", subject=machine)


class InstalledAhead(InvalidArgument):
    """A component cannot have been installed on a day that is ahead."""

    def __init__(self, day: date, *, today: date) -> None:
        super().__init__("component.install_date", f"must not lie after {today}, not {day}")


class ComponentsFull(PreconditionFailed):
    """A machine has as many components on record as one may have."""

    reason = "COMPONENTS_FULL"

    def __init__(self, machine: str, limit: int) -> None:
        super().__init__(
            f"{machine} has {limit} components on record, which is the limit",
            subject=machine,
            limit=str(limit),
        )


class CustodyHeld(PreconditionFailed):
    """A machine that is reserved, leased or on its way cannot be scrapped."""

    reason = "CUSTODY_HELD"

    def __init__(self, machine: str, custody: str) -> None:
        super().__init__(f"{machine} is {custody}", subject=machine, custody=custody)


class HeldByOther(PreconditionFailed):
    """An order or lease other than the one named holds the machine or listing."""

    reason = "HELD_BY_OTHER"

    def __init__(self, subject: str, *, holder: str, asked: str) -> None:
        super().__init__(
            f"{subject} is held by {holder}, not by {asked}", subject=subject, holder=holder
        )


class MachineNotAvailable(PreconditionFailed):
    """The machine is held, or out of trade."""

    reason = "MACHINE_NOT_AVAILABLE"

    def __init__(self, machine: str, custody: str) -> None:
        super().__init__(f"{machine} is {custody}, not AVAILABLE", subject=machine)


class ListedForLease(PreconditionFailed):
    """What is offered for lease is not sold."""

    reason = "LISTED_FOR_LEASE"

    def __init__(self, listing: str, programme: str) -> None:
        super().__init__(
            f"{listing} is for lease; ask leasing for a quote from {programme}", subject=listing
        )


class LeaseProgrammeNotOpen(PreconditionFailed):
    """A machine is offered for lease from a programme of its seller's that makes quotes."""

    reason = "LEASE_PROGRAMME_NOT_OPEN"

    def __init__(self, programme: str, seller: str) -> None:
        super().__init__(
            f"{seller} makes no quotes from {programme}; name an open programme of its own",
            subject=programme,
        )


class MachineAlreadyListed(PreconditionFailed):
    """A machine has one listing on offer at a time."""

    reason = "MACHINE_ALREADY_LISTED"

    def __init__(self, machine: str) -> None:
        super().__init__(f"another listing of {machine} is on offer", subject=machine)


class ReferenceTaken(AlreadyExists):
    """The seller has a listing with this reference."""

    reason = "REFERENCE_TAKEN"

    def __init__(self, reference: str, listing: str) -> None:
        super().__init__(f'the reference "{reference}" is that of {listing}', listing=listing)


class ListingIncomplete(PreconditionFailed):
    """A listing lacks what an inspection needs."""

    reason = "LISTING_INCOMPLETE"

    def __init__(self, listing: str, missing: Sequence[str]) -> None:
        super().__init__(
            f"{listing} lacks {', '.join(missing)}", subject=listing, missing=",".join(missing)
        )


class LiensUndisclosed(PreconditionFailed):
    """The machine has active liens that the listing does not disclose."""

    reason = "LIENS_UNDISCLOSED"

    def __init__(self, listing: str, count: int) -> None:
        super().__init__(
            f"{listing} discloses no lien and its machine has {count}", subject=listing
        )


class InspectorIsSeller(PreconditionFailed):
    """An inspection needs a second party."""

    reason = "INSPECTOR_IS_SELLER"

    def __init__(self, listing: str) -> None:
        super().__init__(f"{listing} must be inspected by another party", subject=listing)


class ReportTooOld(PreconditionFailed):
    """A listing is published on a fresh inspection only."""

    reason = "REPORT_TOO_OLD"

    def __init__(self, listing: str, inspected_on: date, *, limit_days: int) -> None:
        super().__init__(
            f"{listing} was inspected on {inspected_on}, more than {limit_days} days ago",
            subject=listing,
        )


class ValuationNotIssued(PreconditionFailed):
    """A listing is published with a value that may be relied on."""

    reason = "VALUATION_NOT_ISSUED"

    def __init__(self, listing: str, valuation: str, state: str) -> None:
        super().__init__(
            f"{valuation} is {state}, not ISSUED", subject=listing, valuation=valuation
        )


class AskOutOfRange(PreconditionFailed):
    """An ask far from the fair market value needs a stated reason."""

    reason = "ASK_OUT_OF_RANGE"

    def __init__(self, listing: str, ask_fen: int, *, low_fen: int, high_fen: int) -> None:
        super().__init__(
            f"an ask of {yuan(ask_fen)} CNY lies outside {yuan(low_fen)} to {yuan(high_fen)}, "
            "0.5 to 1.5 times the fair market value; state a price_override_reason",
            subject=listing,
            low_fen=str(low_fen),
            high_fen=str(high_fen),
        )


class OfferAccepted(PreconditionFailed):
    """A buyer may still order at an accepted offer."""

    reason = "OFFER_ACCEPTED"

    def __init__(self, listing: str, offer: str) -> None:
        super().__init__(f"{offer} is accepted and may still be ordered", subject=listing)


class OfferNotAccepted(PreconditionFailed):
    """A listing by offer is ordered at an accepted offer only."""

    reason = "OFFER_NOT_ACCEPTED"

    def __init__(self, listing: str, buyer: str) -> None:
        super().__init__(f"{buyer} has no accepted offer for {listing}", subject=listing)


class OfferOpen(AlreadyExists):
    """A buyer has one offer for a listing at a time."""

    reason = "OFFER_OPEN"

    def __init__(self, offer: str) -> None:
        super().__init__(f"{offer} is still open or accepted", offer=offer)


class FormatTakesNoOffers(PreconditionFailed):
    """A listing at a fixed price takes orders, not offers."""

    reason = "FORMAT_TAKES_NO_OFFERS"

    def __init__(self, listing: str) -> None:
        super().__init__(f"{listing} is sold at its ask and takes no offers", subject=listing)


class BuyerIsSeller(PreconditionFailed):
    """Nobody buys of oneself."""

    reason = "BUYER_IS_SELLER"

    def __init__(self, listing: str) -> None:
        super().__init__(f"the seller of {listing} cannot buy it", subject=listing)


class TitleNotMoved(PreconditionFailed):
    """A listing is sold once the title is the buyer's."""

    reason = "TITLE_NOT_MOVED"

    def __init__(self, listing: str, buyer: str) -> None:
        super().__init__(f"{buyer} does not hold the title yet", subject=listing)


class ConsentTextMismatch(PreconditionFailed):
    """A consent is given to the very text in force."""

    reason = "CONSENT_TEXT_MISMATCH"

    def __init__(self, version: int, sha256: str) -> None:
        super().__init__(
            f"the text in force has version {version} and SHA-256 {sha256}; show that one",
            version=str(version),
            sha256=sha256,
        )
