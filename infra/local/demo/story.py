"""The closed loop, act by act."""

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
from infra.local.demo.fleet import ALIKE_MIN, FleetMachine, alike
from infra.local.demo.scene import Scene

MONTHS_PAID = 12
POOL_MAX = 5


class TooFewMachines(Exception):
    """The story cannot be told with so few machines."""


async def tell_story(scene: Scene) -> str:
    """Run every act; return the machine whose life is shown at the end."""
    narrator = scene.narrator
    with narrator.act("1. Money and machines"):
        await fund_wallets(scene)
        await import_fleet(scene)
    pooled, offered = cast_machines(scene.fleet)
    with narrator.act("2. Inspected, and listed with a price guide"):
        published = await list_machines(scene, offered)
        if not published:
            raise TooFewMachines("the model values none of the machines on offer without review")
    with narrator.act("3. Bought through escrow: one by its listing, the rest as a pool (集采)"):
        single = await buy_listed(scene, published[0])
        purchases = await buy_pooled(scene, pooled, guide_fen=published[0].guide_fen)
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


def cast_machines(fleet: list[FleetMachine]) -> tuple[list[FleetMachine], list[FleetMachine]]:
    """Return the machines of the pool, alike, and those to be listed, the first one alike too.

    Raises:
        TooFewMachines: The registry refused too many of the page's machines.
    """
    same = alike(fleet)
    if len(same) < ALIKE_MIN:
        raise TooFewMachines(f"{len(same)} machines are alike, the story needs {ALIKE_MIN}")
    pooled, left = same[: min(POOL_MAX, len(same) - 1)], same[POOL_MAX:] or same[-1:]
    others = [machine for machine in fleet if machine not in same]
    return pooled, [*left[:1], *others, *left[1:]][:LISTED_MAX]
