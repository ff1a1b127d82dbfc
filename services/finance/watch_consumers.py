"""What the collateral watch learns: readings, faults, components, compliance, values, defaults."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from google.protobuf.message import Message
from ironloop.leasing.v1 import leasing_events_pb2
from ironloop.maintenance.v1 import faults_pb2, maintenance_events_pb2
from ironloop.remanufacturing.v1 import reman_pb2, remanufacturing_events_pb2
from ironloop.valuation.v1 import valuation_events_pb2

from services.finance import (
    collateral_handlers,
    draw_store,
    drift_store,
    policy_store,
    revaluation_handlers,
    watch_store,
)
from services.finance.draw_model import Draw, DrawState, EnforcedBy
from services.finance.policy_model import Parameter, Terms
from services.finance.revaluation_model import Cause, Reason, compliance_reason, hours_reason
from services.kit import wire
from services.kit.consumer import EventHandler
from services.kit.transaction import Transaction

# Machines of a class are valued one after the other, not all in the same moment.
BETWEEN = timedelta(milliseconds=200)
PERCENT = 100


async def note_reading(
    tx: Transaction, accepted: maintenance_events_pb2.MeterReadingAccepted
) -> None:
    """Value a machine again that has run the policy's hours since its value."""
    draws = await _draws_on(tx, accepted.machine)
    if draws:
        terms = await _terms(tx)
        hours = Decimal(accepted.hours.value)
        for draw in draws:
            reason = hours_reason(terms, valued=draw.valued_hours, hours=hours)
            await _order(tx, draw, reason)


async def note_fault(tx: Transaction, raised: maintenance_events_pb2.FaultRaised) -> None:
    """Value a machine again that must stop."""
    if raised.severity == faults_pb2.FAULT_SEVERITY_STOP:
        code = raised.oem_code or f"SPN {raised.spn} FMI {raised.fmi}"
        await _note_stop(tx, raised.machine, f"STOP fault: {code}")


async def note_fault_cleared(tx: Transaction, cleared: maintenance_events_pb2.FaultCleared) -> None:
    """Value a machine again that need not stop any more."""
    if cleared.severity == faults_pb2.FAULT_SEVERITY_STOP:
        left = cleared.open_stop_faults
        await _note_stop(tx, cleared.machine, f"STOP fault cleared, {left} open")


async def note_component(
    tx: Transaction, installed: remanufacturing_events_pb2.ComponentInstalled
) -> None:
    """Value a machine again that got another component."""
    draws = await _draws_on(tx, installed.machine)
    if draws and (await _terms(tx))[Parameter.REVALUATION_ON_COMPONENT]:
        how = wire.enum_name(reman_pb2.RemanClass, installed.reman_class, prefix="REMAN_CLASS_")
        words = f"component installed: {installed.component} {installed.serial_number}, {how}"
        for draw in draws:
            await _order(tx, draw, Reason(Cause.COMPONENT, words))


async def note_compliance(
    tx: Transaction, changed: maintenance_events_pb2.ComplianceChanged
) -> None:
    """Value a machine again whose maintenance compliance moved into another band."""
    draws = await _draws_on(tx, changed.machine)
    if draws:
        terms = await _terms(tx)
        known = changed.HasField("compliance")
        compliance = Decimal(changed.compliance.value) / PERCENT if known else None
        for draw in draws:
            await _order(
                tx,
                draw,
                compliance_reason(terms, valued=draw.valued_compliance, compliance=compliance),
            )


async def note_value(tx: Transaction, issued: valuation_events_pb2.ValuationIssued) -> None:
    """Hold the draws on a machine to a newer valuation of their funder's.

    The borrower's own are left out: it may state hours or costs of its own choice in them.
    """
    if issued.machine:
        await revaluation_handlers.take_value(
            tx, issued.machine, issued.party, valuation=issued.valuation
        )


async def note_drift(tx: Transaction, alarm: valuation_events_pb2.DriftAlarm) -> None:
    """Keep the alarm that a class of machines is under, and value those lent on again."""
    await drift_store.set_alarm(
        tx.connection, alarm.segment, alarm.equipment_classes, level=alarm.level
    )
    if not (await _terms(tx))[Parameter.REVALUATION_ON_INDEX]:
        return
    names = await watch_store.list_active(tx.connection, classes=alarm.equipment_classes)
    await _order_many(tx, names, f"index: drift alarm {alarm.level} of {alarm.segment}")


async def note_model(tx: Transaction, promoted: valuation_events_pb2.ModelPromoted) -> None:
    """Value every machine that is lent on again, by the new champion and its index."""
    if (await _terms(tx))[Parameter.REVALUATION_ON_INDEX]:
        names = await watch_store.list_active(tx.connection, classes=None)
        await _order_many(tx, names, f"index: {promoted.model} is the model now")


async def enforce_defaulted(tx: Transaction, defaulted: leasing_events_pb2.LeaseDefaulted) -> None:
    """Enforce the draws on a machine whose lease is in default."""
    await _enforce(tx, defaulted.machine, f"{defaulted.lease} is in default")


async def enforce_repossessed(
    tx: Transaction, repossessed: leasing_events_pb2.MachineRepossessed
) -> None:
    """Enforce the draws on a machine that was repossessed."""
    await _enforce(tx, repossessed.machine, f"repossessed under {repossessed.lease}")


async def lift_enforcement(tx: Transaction, cured: leasing_events_pb2.DefaultCured) -> None:
    """End the enforcement of draws on a machine whose lease runs on."""
    for draw in await draw_store.lock_live_draws(tx.connection, cured.machine):
        if draw.state is DrawState.ACTIVE:
            cause = f"{cured.lease} is no longer in default"
            await collateral_handlers.lift(tx, draw, cause=cause)


async def _enforce(tx: Transaction, machine: str, cause: str) -> None:
    for draw in await draw_store.lock_live_draws(tx.connection, machine):
        if draw.state is DrawState.ACTIVE:
            await collateral_handlers.enforce(tx, draw, by=EnforcedBy.LEASE, cause=cause)


async def _note_stop(tx: Transaction, machine: str, words: str) -> None:
    draws = await _draws_on(tx, machine)
    if draws and (await _terms(tx))[Parameter.REVALUATION_ON_STOP_FAULT]:
        for draw in draws:
            await _order(tx, draw, Reason(Cause.STOP_FAULT, words))


async def _order_many(tx: Transaction, draws: Sequence[str], words: str) -> None:
    for place, draw in enumerate(draws):
        await tx.set_timer(
            collateral_handlers.REVALUE,
            draw,
            due_at=tx.now + place * BETWEEN,
            payload={"cause": Cause.INDEX.value, "description": words},
        )


async def _order(tx: Transaction, draw: Draw, reason: Reason | None) -> None:
    if reason is not None:
        await revaluation_handlers.order(tx, draw.machine, draw.funder, reason)


async def _draws_on(tx: Transaction, machine: str) -> list[Draw]:
    """Return one outstanding draw on a machine for each funder: most machines have none."""
    draws = await draw_store.list_live_draws(tx.connection, machine)
    active = [draw for draw in draws if draw.state is DrawState.ACTIVE]
    return list({draw.funder: draw for draw in active}.values())


async def _terms(tx: Transaction) -> Terms:
    return (await policy_store.current_policy(tx.connection)).terms({})


CONSUMES: dict[type[Message], EventHandler] = {
    maintenance_events_pb2.MeterReadingAccepted: note_reading,
    maintenance_events_pb2.FaultRaised: note_fault,
    maintenance_events_pb2.FaultCleared: note_fault_cleared,
    maintenance_events_pb2.ComplianceChanged: note_compliance,
    remanufacturing_events_pb2.ComponentInstalled: note_component,
    valuation_events_pb2.ValuationIssued: note_value,
    valuation_events_pb2.DriftAlarm: note_drift,
    valuation_events_pb2.ModelPromoted: note_model,
    leasing_events_pb2.LeaseDefaulted: enforce_defaulted,
    leasing_events_pb2.MachineRepossessed: enforce_repossessed,
    leasing_events_pb2.DefaultCured: lift_enforcement,
}
