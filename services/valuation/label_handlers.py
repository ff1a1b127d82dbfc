"""Sales that become labels with the seller's consent, and the drift that they show.

A sale is recorded when its order is settled. Seconds later, when the consents that were given
before it have arrived, its machine's facts are read from the registry and the champion says what it
thought of it as of that day; the same transaction assesses the drift.
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog
from google.type import money_pb2
from ironloop.marketplace.v1 import consents_pb2, marketplace_events_pb2
from ironloop.procurement.v1 import procurement_events_pb2
from ironloop.valuation.v1 import valuation_events_pb2

from ml.residual_value.features import WATCHED
from ml.residual_value.model import Prediction
from services.kit import wire
from services.kit.clients import PeerRefused
from services.kit.errors import DomainError
from services.kit.ids import name
from services.kit.principals import enter, service_principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.valuation import clients, label_store, nowcast_store
from services.valuation.appraisal import Valuer
from services.valuation.drift_model import ALL, Assessment, assess, window_start
from services.valuation.input_rules import check_inputs
from services.valuation.label_model import Label, Sale
from services.valuation.model import MEDIAN, Appraisal, Inputs, Specification
from services.valuation.record import inputs_to_json
from services.valuation.registry import Registry

# Consents come on another topic than orders: what was given before a sale is here by then.
CONSENTS_SETTLE = timedelta(seconds=5)
LOOK_EVERY_S = 2.0
SALES_AT_ONCE = 100

log = structlog.get_logger(__name__)


async def record_sale(tx: Transaction, settled: procurement_events_pb2.OrderSettled) -> None:
    """Record what the machines of an order were sold for."""
    for sold in settled.machines:
        sale = Sale(
            order=settled.order,
            machine=sold.machine,
            seller=settled.seller,
            sold_on=wire.to_date(settled.sold_on, field="sold_on"),
            price_fen=_fen(sold.price),
            hours_meter=(
                wire.to_decimal(sold.hours_meter, field="hours_meter")
                if sold.HasField("hours_meter")
                else None
            ),
        )
        await label_store.insert_sale(tx.connection, sale, at=tx.now)


async def note_consent(tx: Transaction, granted: marketplace_events_pb2.ConsentGranted) -> None:
    """Keep that a party lets its sale prices serve as labels."""
    if granted.purpose == consents_pb2.CONSENT_PURPOSE_SALE_PRICE_LABEL:
        await label_store.set_consent(tx.connection, granted.consent, granted.party, is_active=True)


async def note_revocation(tx: Transaction, revoked: marketplace_events_pb2.ConsentRevoked) -> None:
    """Keep that a party no longer does: sales from then on are no labels."""
    if revoked.purpose == consents_pb2.CONSENT_PURPOSE_SALE_PRICE_LABEL:
        await label_store.set_consent(
            tx.connection, revoked.consent, revoked.party, is_active=False
        )


@dataclass(frozen=True, slots=True)
class LabelMaker:
    """Makes labels of recorded sales."""

    runtime: Runtime
    registry: Registry
    settle: timedelta = CONSENTS_SETTLE

    async def run(self) -> None:
        """Make what waits, for as long as the service runs."""
        enter(service_principal(self.runtime.service), "labels")
        while True:
            try:
                while await self.make_some():
                    pass
            except Exception as error:
                log.warning("labels_wait", error=repr(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def make_some(self) -> int:
        """Make labels of the oldest recorded sales; return how many were dealt with."""
        until = self.runtime.clock.now() - self.settle
        async with self.runtime.database.read() as connection:
            sales = await label_store.list_recorded(connection, until=until, limit=SALES_AT_ONCE)
        for sale in sales:
            await self._make(sale)
        return len(sales)

    async def _make(self, sale: Sale) -> None:
        async with self.runtime.database.read() as connection:
            consent = await label_store.active_consent(connection, sale.seller)
        label = await self._label(sale) if consent else None
        valuer = self.registry.present

        async def work(tx: Transaction) -> None:
            if label is None:
                await label_store.withhold(tx.connection, sale)
                return
            if await label_store.complete(tx.connection, label, consent=consent):
                await nowcast_store.count_label(tx.connection, label)
            await assess_drift(tx, valuer, label.product_group)

        await self.runtime.database.run(work)

    async def _label(self, sale: Sale) -> Label | None:
        """Return a sale with its machine's facts; None where the model cannot value it.

        Raises:
            PeerUnavailable: The registry does not answer; the sale waits.
        """
        try:
            registered = await clients.get_machine(self.runtime, sale.machine)
        except PeerRefused as refusal:
            log.info("sale_is_no_label", machine=sale.machine, why=refusal.message)
            return None
        specification = clients.specification_of(registered)
        hours = specification.hours_meter if sale.hours_meter is None else sale.hours_meter
        return await asyncio.to_thread(
            label_of, self.registry.present, sale, replace(specification, hours_meter=hours)
        )


def label_of(valuer: Valuer, sale: Sale, specification: Specification) -> Label | None:
    """Return a sale with what the model says of it; None where it cannot value it."""
    inputs = Inputs(specification, sale.sold_on, valuer.policy.number("OLV_WEIGHT"))
    try:
        check_inputs(inputs, valuer.policy, today=sale.sold_on, registered=True)
        appraisal, prediction = valuer.appraise(inputs)
    except DomainError as refusal:
        log.info("sale_is_no_label", machine=sale.machine, why=refusal.message)
        return None
    return _with_prediction(valuer, sale, inputs, appraisal=appraisal, prediction=prediction)


async def assess_drift(tx: Transaction, valuer: Valuer, group: str) -> None:
    """Assess a product group and all sales together; tell of each alarm that changed."""
    policy = valuer.policy
    everything = await label_store.list_labels(tx.connection, since=window_start(policy, tx.today))
    of_model = [label for label in everything if label.model == valuer.model.version]
    own = [label for label in of_model if label.product_group == group]
    bins = valuer.model.calibration.drift_bins
    if group:
        await _set_alarm(tx, valuer, group, assess(policy, group, own, bins))
    await _set_alarm(tx, valuer, ALL, assess(policy, ALL, of_model, bins))


async def _set_alarm(tx: Transaction, valuer: Valuer, segment: str, assessment: Assessment) -> None:
    kept = await label_store.lock_segment(tx.connection, segment, at=tx.now)
    if kept.level == assessment.level:
        return
    moved = replace(
        kept,
        level=assessment.level,
        event_sequence=kept.event_sequence + 1,
        findings=assessment.findings,
        update_time=tx.now,
    )
    await label_store.update_segment(tx.connection, moved)
    classes = [
        one
        for one in valuer.policy.classes
        if segment == ALL or valuer.policy.product_group(one) == segment
    ]
    await tx.emit(
        valuation_events_pb2.DriftAlarm(
            segment=segment,
            sequence=moved.event_sequence,
            level=moved.level,
            equipment_classes=classes,
            findings=assessment.findings,
            model=name("models", valuer.model.version),
            found_on=wire.date(tx.today),
        )
    )


def _with_prediction(
    valuer: Valuer,
    sale: Sale,
    inputs: Inputs,
    *,
    appraisal: Appraisal,
    prediction: Prediction,
) -> Label:
    fmv = appraisal.values.fmv
    watched: Mapping[str, Any] = dict(zip(valuer.model.features, prediction.features, strict=True))
    return Label(
        sale=sale,
        specification=inputs_to_json(inputs)["specification"],
        product_group=valuer.policy.product_group(inputs.specification.equipment_class),
        model=valuer.model.version,
        fmv_fen=fmv,
        log_error=math.log(max(1, fmv[MEDIAN]) / max(1, sale.price_fen)),
        features={one: float(watched[one]) for one in WATCHED if watched.get(one) is not None},
    )


def _fen(amount: money_pb2.Money) -> int:
    return wire.fen(amount, field="price")
