"""Rows of imports as the contract has them, each checked by itself, and their reports."""

from collections.abc import Sequence
from uuid import UUID

from google.type import decimal_pb2
from ironloop.marketplace.v1 import listings_pb2, machines_pb2

from services.kit import validation, wire
from services.kit.errors import DomainError, InvalidArgument
from services.kit.ids import name
from services.marketplace.identity import identify
from services.marketplace.import_model import (
    ListingStated,
    MachineStated,
    NumberKey,
    Outcome,
    Report,
    number_keys,
    refused,
)
from services.marketplace.listing_wire import content_from_wire
from services.marketplace.machine_wire import facts_from_wire, scheme_of

_ANY_ID = UUID(int=0)  # stands where a row's check needs some id
_MACHINE_FIELDS = {"replacement_cost": "replacement_cost_fen"}


def machine_row(row: machines_pb2.MachineRow) -> MachineStated | Report:
    """Return what a row states, or the report of why it cannot be taken."""
    facts = machines_pb2.MachineFacts(
        id_scheme=row.id_scheme,
        pin=row.pin,
        serial_number=row.serial_number,
        make=row.make,
        model=row.model,
        equipment_class=row.equipment_class,
        build_year=row.build_year,
    )
    if row.hours_meter:
        facts.hours_meter.CopyFrom(decimal_pb2.Decimal(value=row.hours_meter))
    if row.replacement_cost_fen:
        facts.replacement_cost.CopyFrom(wire.money(row.replacement_cost_fen))
    try:
        validation.check(facts)
        identity = identify(
            pin=row.pin, serial_number=row.serial_number, scheme=scheme_of(row.id_scheme)
        )
        return MachineStated(identity, facts_from_wire(facts))
    except DomainError as error:
        return refused(error, fields=_MACHINE_FIELDS)


def machine_row_key(row: machines_pb2.MachineRow) -> str:
    """Return a row's key as it is stated."""
    return row.pin or f"{row.make} {row.serial_number}".strip()


def listing_row(row: listings_pb2.ListingRow) -> ListingStated | Report:
    """Return what a row states, or the report of why it cannot be taken."""
    request = listings_pb2.CreateListingRequest(
        request_id=str(_ANY_ID),
        machine=row.machine or name("machines", _ANY_ID),
        reference=row.reference,
        content=listings_pb2.ListingContent(
            format=row.format,
            ask=wire.money(row.ask_fen),
            price_override_reason=row.price_override_reason,
            region=row.region,
            description=row.description,
            photos=row.photos,
            title_proofs=row.title_proofs,
            lien_disclosure=row.lien_disclosure if row.HasField("lien_disclosure") else None,
            lease_programme=row.lease_programme,
        ),
    )
    try:
        validation.check(request)
        if not row.reference:
            raise InvalidArgument("reference", "is the row's key and must be stated")
        return ListingStated(
            reference=row.reference,
            machine=row.machine,
            machine_key=_machine_key(row),
            content=content_from_wire(request.content, field="content"),
            submit=row.submit,
        )
    except InvalidArgument as error:
        fields = {field: _row_field(field) for field, _ in error.violations}
        return refused(error, fields=fields)
    except DomainError as error:
        return refused(error)


def reports_to_wire(reports: Sequence[Report], keys: Sequence[str]) -> list[machines_pb2.RowReport]:
    """Return a report a row, in order."""
    return [
        machines_pb2.RowReport(
            index=index,
            key=key,
            outcome=wire.enum_number(
                machines_pb2.ImportOutcome, report.outcome, prefix="IMPORT_OUTCOME_"
            ),
            name="" if report.outcome is Outcome.REFUSED else report.name,
            refusals=[
                machines_pb2.RowRefusal(
                    field=refusal.field, reason=refusal.reason, description=refusal.description
                )
                for refusal in report.refusals
            ],
        )
        for index, (report, key) in enumerate(zip(reports, keys, strict=True))
    ]


def _machine_key(row: listings_pb2.ListingRow) -> NumberKey:
    """Return the number by which a row names its machine; () where it names it by name.

    Raises:
        InvalidArgument: It names none.
    """
    if row.machine:
        return ()
    if not (row.pin or (row.make and row.serial_number)):
        raise InvalidArgument("machine", "machine, pin, or make and serial_number, are needed")
    identity = identify(pin=row.pin, serial_number=row.serial_number, scheme=None)
    return number_keys(identity, row.make)[0]


def _row_field(field: str) -> str:
    stripped = field.removeprefix("content.")
    return "ask_fen" if stripped.startswith("ask") else stripped
