"""Policies and facilities, one transaction a command."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from ironloop.finance.v1 import finance_events_pb2, finance_pb2

from services.finance import facility_store, policy_store
from services.finance.errors import FacilityInUse, PolicyExists
from services.finance.facility_model import NOMINAL_RATE_MAX, Basis, Facility, FacilityState
from services.finance.lifecycle import FACILITY
from services.finance.policy_model import (
    Parameter,
    Policy,
    Value,
    decimals_problem,
    value_problem,
)
from services.finmath.day_count import DayCount
from services.kit import wire
from services.kit.errors import InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.transaction import Transaction


async def publish_policy(
    tx: Transaction,
    *,
    version: str,
    values: Mapping[Parameter, Value],
    hours_limits: Mapping[str, int],
) -> Policy:
    """Publish a version: the one in force with some values replaced.

    Raises:
        InvalidArgument: A value or its bounds are out of range.
        PolicyExists: The version is published.
    """
    for parameter, line in values.items():
        _check_value(parameter, line)
    present = await policy_store.current_policy(tx.connection)
    policy = Policy(
        id=new_id(),
        version=version,
        effective_on=tx.today,
        values=dict(present.values) | dict(values),
        hours_limits=dict(present.hours_limits) | dict(hours_limits),
        create_time=tx.now,
    )
    policy.check_overrides({})
    if not await policy_store.insert_policy(tx.connection, policy):
        raise PolicyExists(version)
    return policy


async def create_facility(
    tx: Transaction,
    *,
    funder: str,
    borrower: str,
    limit_fen: int,
    nominal_rate: Decimal,
    day_count: DayCount,
    basis: Basis,
    overrides: Mapping[Parameter, Decimal],
) -> Facility:
    """Grant a facility.

    Raises:
        InvalidArgument: Funder and borrower are one, or the rate is out of range.
        OverrideOutOfBounds: A value of its own is.
    """
    if funder == borrower:
        raise InvalidArgument("borrower", "must be another party than the funder")
    check_rate(nominal_rate)
    policy = await policy_store.current_policy(tx.connection)
    policy.check_overrides(overrides)
    facility = Facility(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=FacilityState.ACTIVE,
        funder=funder,
        borrower=borrower,
        limit_fen=limit_fen,
        outstanding_fen=0,
        reserved_fen=0,
        nominal_rate=nominal_rate,
        day_count=day_count,
        basis=basis,
        overrides=overrides,
        create_time=tx.now,
        update_time=tx.now,
    )
    await facility_store.insert_facility(tx.connection, facility)
    await tx.emit(
        finance_events_pb2.FacilityOpened(
            facility=facility.name,
            sequence=facility.event_sequence,
            funder=funder,
            borrower=borrower,
            limit=wire.money(limit_fen),
        )
    )
    return facility


async def change_facility(
    tx: Transaction, facility_id: UUID, *, funder: str, command: str, etag: str
) -> Facility:
    """Suspend, resume or close a funder's own facility.

    Raises:
        NotFound: The funder has no such facility.
        EtagMismatch: It changed since `etag` was read.
        TransitionRefused: Its state does not allow it.
        FacilityInUse: It is to be closed while money is outstanding or on its way.
    """
    facility = await facility_store.lock_facility_of_funder(
        tx.connection, facility_id, funder=funder
    )
    if facility is None:
        raise NotFound(name("facilities", facility_id))
    check_etag(etag, facility.version)
    step = FACILITY.next(facility.state, command, subject=facility.name)
    if step.target is FacilityState.CLOSED and facility.in_use_fen:
        raise FacilityInUse(facility.name, facility.in_use_fen)
    changed = await facility_store.update_facility(
        tx.connection, replace(facility, state=step.target), at=tx.now, events=1
    )
    await tx.emit(
        finance_events_pb2.FacilityStateChanged(
            facility=changed.name,
            sequence=changed.event_sequence,
            funder=changed.funder,
            borrower=changed.borrower,
            state=wire.enum_number(
                finance_pb2.FacilityState, changed.state, prefix="FACILITY_STATE_"
            ),
        )
    )
    return changed


def check_rate(nominal_rate: Decimal, *, field: str = "nominal_rate") -> None:
    """Check a nominal annual rate.

    Raises:
        InvalidArgument: It is out of range, or has too many decimals.
    """
    if not 0 <= nominal_rate <= NOMINAL_RATE_MAX:
        raise InvalidArgument(field, f"must lie in 0 to {NOMINAL_RATE_MAX}, not {nominal_rate}")
    if (problem := decimals_problem(nominal_rate)) is not None:
        raise InvalidArgument(field, problem)


def _check_value(parameter: Parameter, line: Value) -> None:
    for number in (line.value, line.low, line.high):
        if number is not None and (problem := value_problem(parameter, number)) is not None:
            raise InvalidArgument("values", problem)
    if (line.low is None) != (line.high is None):
        raise InvalidArgument("values", f"{parameter} needs both bounds of an override, or none")
    if line.low is not None and line.high is not None and line.low > line.high:
        raise InvalidArgument("values", f"the bounds of {parameter} are the wrong way round")
