"""The closed loop, act by act."""

from collections import Counter

from infra.local.demo.act_finance import draw_on, factor_tail
from infra.local.demo.act_lease import (
    TERM_MONTHS,
    buy_out,
    lease_out,
    pay_assignee,
    pay_months,
    publish_programme,
)
from infra.local.demo.act_trade import (
    LISTED_MAX,
    buy_listed,
    buy_pooled,
    fund_wallets,
    import_fleet,
    list_machines,
)
from infra.local.demo.fleet import FleetMachine
from infra.local.demo.scene import Scene

MONTHS_PAID = 12
POOL_MIN, POOL_MAX = 4, 5


async def tell_story(scene: Scene) -> str:
    """Run every act; return the machine whose life is shown at the end."""
    narrator = scene.narrator
    with narrator.act("1. Money and machines"):
        await fund_wallets(scene)
        await import_fleet(scene)
    pooled, listed = _cast_machines(scene.fleet)
    with narrator.act("2. Inspected, and listed with a price guide"):
        listings = await list_machines(scene, listed)
    with narrator.act("3. Bought through escrow: one by its listing, the rest as a pool (集采)"):
        single = await buy_listed(scene, listings[0], listed[0])
        purchases = await buy_pooled(scene, pooled)
    financed = purchases[0]
    with narrator.act("4. An offer against the machine, and a draw"):
        draw = await draw_on(scene, financed)
    with narrator.act("5. Two finance leases"):
        programme = await publish_programme(scene)
        factored_lease = await lease_out(scene, programme, financed)
        other_lease = await lease_out(scene, programme, single)
    with narrator.act(f"6. {MONTHS_PAID} months"):
        await pay_months(scene, [factored_lease, other_lease], draw, MONTHS_PAID)
    with narrator.act("7. The tail factored; the price repays the draw first"):
        await factor_tail(
            scene, factored_lease.name, from_number=MONTHS_PAID + 1, to_number=TERM_MONTHS
        )
    with narrator.act("8. An early buyout of the other lease"):
        await buy_out(scene, other_lease)
    with narrator.act("9. The next instalment finds its new owner"):
        await pay_assignee(scene, factored_lease, MONTHS_PAID + 1)
    return financed.machine


def _cast_machines(fleet: list[FleetMachine]) -> tuple[list[FleetMachine], list[FleetMachine]]:
    """Return the machines of the pool, all of the commonest kind, and those to be listed."""
    (make, model), _ = Counter(machine.kind for machine in fleet).most_common(1)[0]
    alike = [machine for machine in fleet if machine.kind == (make, model)]
    pooled = alike[:POOL_MAX] if len(alike) >= POOL_MIN + 1 else alike
    listed = [machine for machine in fleet if machine not in pooled]
    # One of the pool's own kind first: its guide is the pool's list price.
    listed.sort(key=lambda machine: machine.kind != (make, model))
    return pooled, listed[:LISTED_MAX]
