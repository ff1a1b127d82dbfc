"""What a value needs for the first time, done before the service says that it serves.

One whole valuation of each method is made, written and told, in a transaction that is never
committed: what is imported, read or prepared only when it is first asked for is there afterwards.
"""

import asyncio
from datetime import date, datetime
from decimal import Decimal

from services.kit.database import Database
from services.kit.ids import name, new_id
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.valuation import handlers, messages
from services.valuation.appraisal import points_of_curve
from services.valuation.explanation import ValueBasis
from services.valuation.insights import Insights
from services.valuation.machine_facts import MachineKnown, facts_used
from services.valuation.model import CURVE_MONTHS_MAX, Inputs, Specification
from services.valuation.portfolio import PortfolioValuer
from services.valuation.portfolio_messages import valued_rows
from services.valuation.portfolio_rows import rows_of
from services.valuation.registry import Registry

STEP_MONTHS = 3
CONNECTIONS = 8  # opened before the first call; more are opened when as many calls are in flight
# One machine that the training data know by its model, and one that its new price must carry.
MACHINES = (
    Specification("CATERPILLAR", "330CL", "HYDRAULIC_EXCAVATOR", 2005, Decimal(6_000), None),
    Specification("SANY", "SY215C", "HYDRAULIC_EXCAVATOR", 2020, Decimal(6_000), 1_000_000_00),
)


class _Undone(Exception):
    """Ends the transaction of a warm-up, so that nothing of it stays."""


async def warm_up(runtime: Runtime, registry: Registry, insights: Insights) -> None:
    """Make and explain a valuation of each method; nothing is kept."""
    today, at = runtime.clock.today(), runtime.clock.now()
    made = await asyncio.to_thread(_in_memory, registry, today, at)
    connections = min(CONNECTIONS, runtime.settings.pool_size_max)
    for computed in made:
        # They are of one machine, so each waits for the last one, and none shares a connection.
        await asyncio.gather(
            *(_written(runtime.database, registry, computed) for _ in range(connections))
        )
        await insights.explain(computed.valuation, ValueBasis.FMV)


def _in_memory(registry: Registry, today: date, at: datetime) -> list[handlers.Computed]:
    """Compute each machine singly and as a portfolio, and show it as an answer does."""
    valuer = registry.present
    made = []
    for specification in MACHINES:
        inputs = Inputs(specification, today, valuer.policy.number("OLV_WEIGHT"))
        known = MachineKnown(specification, fitted=(), health=None)
        computed = handlers.compute(
            valuer,
            inputs,
            party=name("parties", new_id()),
            machine=name("machines", new_id()),
            at=at,
            facts=facts_used(inputs, known, valuer.policy),
        )
        messages.valuation_to_wire(computed.valuation).SerializeToString()
        valuer.curve(
            inputs,
            hours_per_year=valuer.hours_per_year(inputs),
            months=points_of_curve(CURVE_MONTHS_MAX, STEP_MONTHS),
        )
        made.append(computed)
    rows = rows_of(
        {
            "make": [one.make for one in MACHINES],
            "model": [one.model for one in MACHINES],
            "equipment_class": [one.equipment_class for one in MACHINES],
            "build_year": [one.build_year for one in MACHINES],
        }
    )
    valued_rows(rows, PortfolioValuer(valuer, today).score(rows), first=0)
    return made


async def _written(database: Database, registry: Registry, computed: handlers.Computed) -> None:
    """Write and tell a valuation, then undo it: its statements are prepared from now on."""

    async def work(tx: Transaction) -> None:
        await handlers.create_valuation(tx, registry, computed)
        raise _Undone

    try:
        await database.run(work)
    except _Undone:
        return
