"""Listings: what a seller writes, and what an inspection and a valuation add."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.kit.ids import name
from services.kit.principals import Principal
from services.marketplace.errors import (
    AskOutOfRange,
    DayOutOfRange,
    LiensUndisclosed,
    ListingIncomplete,
    ReportTooOld,
    ValuationNotIssued,
)
from services.marketplace.machine_model import Machine

PUBLISHED_FOR = timedelta(days=90)
REPORT_DAYS_MAX = 90
RATIO_STEP = Decimal("0.0001")
ISSUED, IN_REVIEW, REVOKED = "ISSUED", "IN_REVIEW", "REVOKED"  # states of a valuation
GUIDE_GOOD_FOR = timedelta(days=30)  # as long as a valuation is


class ListingFormat(StrEnum):
    """How a listing is sold, or that it is leased."""

    FIXED = "FIXED"
    OFFER = "OFFER"
    TIMED_AUCTION = "TIMED_AUCTION"
    LEASE = "LEASE"


class ListingState(StrEnum):
    """Where a listing stands."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    INSPECTED = "INSPECTED"
    PUBLISHED = "PUBLISHED"
    RESERVED = "RESERVED"
    SOLD = "SOLD"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class ListingOrder(StrEnum):
    """In which order a search answers."""

    NEWEST = "NEWEST"
    PRICE_LOWEST = "PRICE_LOWEST"
    PRICE_HIGHEST = "PRICE_HIGHEST"
    HOURS_FEWEST = "HOURS_FEWEST"
    YEAR_YOUNGEST = "YEAR_YOUNGEST"


class ConditionGrade(StrEnum):
    """The condition of a machine in five grades."""

    EXCELLENT = "EXCELLENT"
    VERY_GOOD = "VERY_GOOD"
    GOOD = "GOOD"
    FAIR = "FAIR"
    POOR = "POOR"


@dataclass(frozen=True, slots=True)
class Document:
    """A document kept elsewhere, pinned by its SHA-256."""

    uri: str
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class LienDisclosure:
    """What a seller states of liens."""

    has_liens: bool
    statement: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a seller writes in a listing.

    Attributes:
        lease_programme: "leaseProgrammes/<uuid>" with format LEASE, else "".
    """

    format: ListingFormat
    ask_fen: int
    price_override_reason: str
    region: str
    description: str
    photos: tuple[Document, ...]
    title_proofs: tuple[Document, ...]
    lien_disclosure: LienDisclosure | None
    lease_programme: str = ""


@dataclass(frozen=True, slots=True)
class Guide:
    """What valuation says the machine is worth.

    Attributes:
        state: The valuation's state, for example "ISSUED".
        fmv_fen: q05, q10, q50, q90 and q95 of its fair market value.
        grade: Its confidence grade, "A" to "D".
        value_time: When valuation made it.
    """

    valuation: str
    state: str
    as_of: date
    fmv_fen: tuple[int, int, int, int, int]
    grade: str
    value_time: datetime

    @property
    def median_fen(self) -> int:
        """The median fair market value."""
        return self.fmv_fen[2]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a technician found."""

    id: UUID
    listing_id: UUID
    machine_id: UUID
    inspector_party: str
    inspector: str
    inspected_on: date
    grade: ConditionGrade
    hours_meter: Decimal
    report: Document
    notes: str
    create_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "inspections/<uuid>"."""
        return name("inspections", self.id)


@dataclass(frozen=True, slots=True)
class Sale:
    """The order that holds or bought a listing."""

    order: str
    buyer: str
    price_fen: int


@dataclass(frozen=True, slots=True)
class ListedMachine:
    """The machine as a listing shows it."""

    make: str
    model: str
    equipment_class: str
    build_year: int | None
    hours_meter: Decimal | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A machine on offer.

    Attributes:
        disposal: The disposal that the sale is part of, or "".
    """

    id: UUID
    version: int
    event_sequence: int
    state: ListingState
    machine_id: UUID
    seller: str
    reference: str | None
    content: Content
    machine: ListedMachine
    guide: Guide | None
    sale: Sale | None
    rejection_reason: str
    disposal: str
    publish_time: datetime | None
    expire_time: datetime | None
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "listings/<uuid>"."""
        return name("listings", self.id)

    @property
    def machine_name(self) -> str:
        """Return its machine's resource name."""
        return name("machines", self.machine_id)

    @property
    def ask_ratio(self) -> Decimal | None:
        """The ask divided by the guide's median, four decimals."""
        if self.guide is None:
            return None
        ratio = Decimal(self.content.ask_fen) / self.guide.median_fen
        return ratio.quantize(RATIO_STEP, ROUND_HALF_UP)

    def moved(self, state: ListingState) -> "Listing":
        """Return it in another state."""
        return replace(self, state=state)

    def shows(self, machine: Machine) -> "Listing":
        """Return it with the machine as it is now."""
        return replace(self, machine=listed(machine))


def guide_to_json(guide: Guide) -> dict[str, Any]:
    """Return a guide as it is kept in rows."""
    return asdict(guide) | {
        "as_of": guide.as_of.isoformat(),
        "value_time": guide.value_time.isoformat(),
    }


def guide_from_json(stored: Mapping[str, Any]) -> Guide:
    """Return a guide from what a row keeps."""
    q05, q10, q50, q90, q95 = stored["fmv_fen"]
    return Guide(
        valuation=stored["valuation"],
        state=stored["state"],
        as_of=date.fromisoformat(stored["as_of"]),
        fmv_fen=(q05, q10, q50, q90, q95),
        grade=stored["grade"],
        value_time=datetime.fromisoformat(stored["value_time"]),
    )


def listed(machine: Machine) -> ListedMachine:
    """Return a machine as a listing shows it."""
    facts = machine.facts
    return ListedMachine(
        facts.make, facts.model, facts.equipment_class, facts.build_year, facts.hours_meter
    )


def seen_by(listing: Listing, viewer: Principal) -> Listing:
    """Return what a viewer sees of a listing that they may see: all, or the public fields."""
    buyer = listing.sale.buyer if listing.sale else ""
    if viewer.sees_all or viewer.party in {listing.seller, buyer}:
        return listing
    public = replace(listing.content, price_override_reason="", title_proofs=())
    return replace(
        listing, content=public, reference=None, rejection_reason="", sale=None, disposal=""
    )


def check_complete(listing: Listing, machine: Machine) -> None:
    """Check that a listing holds what an inspection needs.

    Raises:
        ListingIncomplete: Names all that is missing.
    """
    present = {
        "hours_meter": machine.facts.hours_meter is not None,
        "photos": bool(listing.content.photos),
        "title_proofs": bool(listing.content.title_proofs),
        "lien_disclosure": listing.content.lien_disclosure is not None,
    }
    missing = [field for field, is_there in present.items() if not is_there]
    if missing:
        raise ListingIncomplete(listing.name, missing)


def check_disclosure(listing: Listing, *, active_liens: int) -> None:
    """Check that liens are not kept silent.

    Raises:
        LiensUndisclosed: There are some and the listing says there are none.
    """
    disclosure = listing.content.lien_disclosure
    if active_liens and not (disclosure and disclosure.has_liens):
        raise LiensUndisclosed(listing.name, active_liens)


def check_report_age(listing: Listing, inspection: Inspection, *, today: date) -> None:
    """Check that an inspection is fresh.

    Raises:
        ReportTooOld: It is more than 90 days old.
    """
    if (today - inspection.inspected_on).days > REPORT_DAYS_MAX:
        raise ReportTooOld(listing.name, inspection.inspected_on, limit_days=REPORT_DAYS_MAX)


def check_inspected_on(day: date, *, today: date) -> None:
    """Check the day of an inspection when it is recorded.

    Raises:
        DayOutOfRange: It is ahead, or more than 90 days ago.
    """
    first = today - timedelta(days=REPORT_DAYS_MAX)
    if not first <= day <= today:
        raise DayOutOfRange("inspect_date", day, first=first, last=today)


def check_ask(listing: Listing) -> None:
    """Check an ask against the guide: within 0.5 to 1.5 times the median, or with a reason.

    Raises:
        ValuationNotIssued: There is no value that may be relied on.
        AskOutOfRange: It is outside and states no reason.
    """
    guide = listing.guide
    if guide is None or guide.state != ISSUED:
        valuation = guide.valuation if guide else "a valuation"
        raise ValuationNotIssued(listing.name, valuation, guide.state if guide else "missing")
    low_fen, high_fen = (guide.median_fen + 1) // 2, guide.median_fen * 3 // 2
    ask_fen = listing.content.ask_fen
    if not low_fen <= ask_fen <= high_fen and not listing.content.price_override_reason.strip():
        raise AskOutOfRange(listing.name, ask_fen, low_fen=low_fen, high_fen=high_fen)
