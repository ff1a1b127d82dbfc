"""Imports of many machines and listings: one transaction, each row for itself."""

from collections.abc import Sequence
from dataclasses import replace

from services.kit.errors import DomainError, NotFound
from services.kit.ids import new_id, parse_name
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.marketplace import (
    lien_store,
    listing_handlers,
    listing_store,
    machine_events,
    machine_handlers,
    machine_store,
)
from services.marketplace.errors import (
    IdentityConflict,
    MachineExists,
    MachineScrapped,
    ReferenceTaken,
    RowRepeated,
)
from services.marketplace.import_model import (
    ListingStated,
    MachineStated,
    NumberKey,
    Outcome,
    Report,
    number_keys,
    refused,
)
from services.marketplace.listing_model import Listing, ListingState
from services.marketplace.machine_model import (
    Facts,
    Machine,
    MachineLifecycle,
    check_build_year,
    new_machine,
)


async def import_machines(
    tx: Transaction, rows: Sequence[MachineStated | Report], *, owner: str
) -> list[Report]:
    """Register or correct an owner's machines; a row that was refused before stays so."""
    registry = await _Registry.load(tx, [row for row in rows if isinstance(row, MachineStated)])
    reports: list[Report] = []
    for row in rows:
        if isinstance(row, Report):
            reports.append(row)
            continue
        try:
            reports.append(await registry.take(row, owner=owner))
        except DomainError as error:
            reports.append(refused(error))
    return await registry.write(reports)


class _Registry:
    """The machines that an import meets: those registered, and those it registers."""

    def __init__(self, tx: Transaction, present: Sequence[Machine]) -> None:
        self._tx = tx
        self._new: dict[str, Machine] = {}
        self._by_name: dict[str, Machine] = {}
        self._by_key: dict[NumberKey, str] = {}
        for machine in present:
            self._keep(machine)

    @classmethod
    async def load(cls, tx: Transaction, rows: Sequence[MachineStated]) -> "_Registry":
        """Lock the machines whose numbers the rows state."""
        present = await machine_store.lock_machines(
            tx.connection, ids=[], keys=[key for row in rows for key in row.keys]
        )
        return cls(tx, present)

    async def take(self, row: MachineStated, *, owner: str) -> Report:
        """Plan or correct the machine of a row.

        Raises:
            BuildYearAhead, HoursBelowLast, MachineScrapped: As they say.
            MachineExists: It is registered to another party.
            IdentityConflict: Its numbers are those of different machines, or differ from the
                registered ones.
            RowRepeated: An earlier row stated it otherwise.
        """
        check_build_year(row.facts.build_year, today=self._tx.today, field="build_year")
        names = {self._by_key[key] for key in row.keys if key in self._by_key}
        if not names:
            machine = new_machine(new_id(), row.identity, row.facts, owner=owner, at=self._tx.now)
            self._keep(machine)
            self._new[machine.name] = machine
            return Report(Outcome.CREATED, machine.name)
        machine = self._by_name[names.pop()]
        if machine.title_holder != owner:
            raise MachineExists(row.identity.label)
        if names or not _is_same(machine, row):
            raise IdentityConflict(row.identity.label, machine.name)
        facts = _completed(row.facts, machine.facts)
        if facts == machine.facts:
            return Report(Outcome.UNCHANGED, machine.name)
        if machine.name in self._new:
            raise RowRepeated(row.identity.label)
        if machine.lifecycle is MachineLifecycle.SCRAPPED:
            raise MachineScrapped(machine.name)
        self._keep(await machine_handlers.correct(self._tx, machine, facts))
        return Report(Outcome.CHANGED, machine.name)

    async def write(self, reports: Sequence[Report]) -> list[Report]:
        """Write the new machines, and return the reports as they then are."""
        planned = list(self._new.values())
        written = await machine_store.insert_machines(self._tx.connection, planned)
        outrun = {}
        for machine in planned:
            if machine.id in written:
                await self._tx.emit(machine_events.registered(machine))
            else:
                outrun[machine.name] = refused(MachineExists(machine.identity.label))
        return [outrun.get(report.name, report) for report in reports]

    def _keep(self, machine: Machine) -> None:
        self._by_name[machine.name] = machine
        for key in number_keys(machine.identity, machine.facts.make):
            self._by_key[key] = machine.name


async def import_listings(
    tx: Transaction, rows: Sequence[ListingStated | Report], *, viewer: Principal
) -> list[Report]:
    """Draft or correct a seller's listings; a row that was refused before stays so."""
    seller = viewer.require_party()
    stated = [row for row in rows if isinstance(row, ListingStated)]
    desk = await _Desk.load(tx, stated, seller=seller)
    reports: list[Report] = []
    for row in rows:
        if isinstance(row, Report):
            reports.append(row)
            continue
        try:
            async with tx.savepoint():  # what a refused row began is undone
                reports.append(await desk.take(row))
        except DomainError as error:
            reports.append(refused(error))
    return reports


class _Desk:
    """The machines and listings of one seller that an import meets."""

    def __init__(
        self,
        tx: Transaction,
        *,
        seller: str,
        machines: Sequence[Machine],
        listings: Sequence[Listing],
        liens: dict[str, int],
    ) -> None:
        self._tx = tx
        self._seller = seller
        self._machines = {machine.name: machine for machine in machines}
        self._by_key = {
            key: machine
            for machine in machines
            for key in number_keys(machine.identity, machine.facts.make)
        }
        self._listings = {listing.reference: listing for listing in listings}
        self._liens = liens

    @classmethod
    async def load(cls, tx: Transaction, rows: Sequence[ListingStated], *, seller: str) -> "_Desk":
        """Lock the machines that the rows name, then the listings with their references."""
        machines = await machine_store.lock_machines(
            tx.connection,
            ids=[parse_name(row.machine, "machines") for row in rows if row.machine],
            keys=[row.machine_key for row in rows if row.machine_key],
        )
        active = await lien_store.active_liens(tx.connection, [m.id for m in machines])
        listings = await listing_store.lock_by_references(
            tx.connection, seller, [row.reference for row in rows]
        )
        return cls(
            tx,
            seller=seller,
            machines=machines,
            listings=listings,
            liens={m.name: len(active.get(m.id, [])) for m in machines},
        )

    async def take(self, row: ListingStated) -> Report:
        """Draft, correct or submit the listing of a row.

        Raises:
            NotFound: Its machine is not registered, or is another party's.
            ReferenceTaken: The reference is that of a listing of another machine.
            TransitionRefused: The listing says something else and is no draft any more.
            ListingIncomplete, LiensUndisclosed, MachineScrapped: It cannot be submitted.
        """
        machine = self._machine_of(row)
        present = self._listings.get(row.reference)
        if present is None:
            listing, outcome = await self._draft(machine, row), Outcome.CREATED
        else:
            listing, outcome = await self._correct(machine, present, row)
        returned = bool(listing.rejection_reason)  # resubmitting it unchanged would help nobody
        if row.submit and listing.state is ListingState.DRAFT and not returned:
            liens = self._liens[machine.name]
            listing = await listing_handlers.submit(self._tx, machine, listing, active_liens=liens)
            outcome = Outcome.CHANGED if outcome is Outcome.UNCHANGED else outcome
        self._listings[row.reference] = listing
        return Report(outcome, listing.name)

    def _machine_of(self, row: ListingStated) -> Machine:
        machine = (
            self._machines.get(row.machine) if row.machine else self._by_key.get(row.machine_key)
        )
        if machine is None or machine.title_holder != self._seller:
            raise NotFound(row.machine or " ".join(row.machine_key[1:]))
        return machine

    async def _draft(self, machine: Machine, row: ListingStated) -> Listing:
        listing_handlers.check_sellable(machine, seller=self._seller)
        listing = listing_handlers.new_listing(
            self._tx, machine, row.content, seller=self._seller, reference=row.reference
        )
        if not await listing_store.insert_listing(self._tx.connection, listing):
            raise ReferenceTaken(row.reference, "a listing that was drafted at this moment")
        return listing

    async def _correct(
        self, machine: Machine, present: Listing, row: ListingStated
    ) -> tuple[Listing, Outcome]:
        if present.machine_id != machine.id:
            raise ReferenceTaken(row.reference, present.name)
        if present.content == row.content:
            return present, Outcome.UNCHANGED
        changed = await listing_handlers.rewrite(self._tx, machine, present, row.content)
        return changed, Outcome.CHANGED


def _is_same(machine: Machine, row: MachineStated) -> bool:
    """Whether a row's numbers and make contradict nothing that is registered."""
    registered, stated = machine.identity, row.identity
    return (
        stated.pin in {None, registered.pin}
        and (stated.serial_number or "").upper() in {"", (registered.serial_number or "").upper()}
        and row.facts.make.upper() == machine.facts.make.upper()
    )


def _completed(stated: Facts, registered: Facts) -> Facts:
    """Return stated facts; what a row leaves open stays as registered."""
    return replace(
        stated,
        make=registered.make,
        model=stated.model or registered.model,
        build_year=stated.build_year or registered.build_year,
        hours_meter=registered.hours_meter if stated.hours_meter is None else stated.hours_meter,
        replacement_cost_fen=stated.replacement_cost_fen or registered.replacement_cost_fen,
    )
