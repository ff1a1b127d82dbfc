"""The closed loop, act by act: the acceptance scenario of a machine's life (domain page §3.4)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date

from ironloop.maintenance.v1 import faults_pb2

from infra.local.demo import act_watch
from infra.local.demo.act_breakdown import break_down, mend
from infra.local.demo.act_disposal import dispose, let_prices_be_labels
from infra.local.demo.act_finance import borrow_again, draw_on, factor_tail
from infra.local.demo.act_lease import (
    TERM_MONTHS,
    buy_out,
    lease_out,
    offer_for_lease,
    publish_programme,
)
from infra.local.demo.act_list import LISTED_MAX, Listed, list_machines
from infra.local.demo.act_maintenance import close_plan, open_plan
from infra.local.demo.act_months import Course, pay_assignee, run_months, send_page
from infra.local.demo.act_pool import buy_pooled
from infra.local.demo.act_register import fund_wallets, import_fleet, take_page
from infra.local.demo.act_remanufacturing import Stocked, make_engine
from infra.local.demo.act_return import give_back
from infra.local.demo.act_trade import Purchase, buy_listed
from infra.local.demo.fleet import ALIKE_MIN, FleetMachine, alike
from infra.local.demo.scene import Scene
from services.finmath.dates import add_months

POOL_MAX = 5
BUYOUT_MONTH = 12  # after it the other lease is bought out
FACTORING_MONTH = 18  # after it the tail is factored
BORROWING_MONTH = 23  # in it the dealer borrows again; the machine breaks down in the next


class TooFewMachines(Exception):
    """The story cannot be told with so few machines."""


@dataclass(slots=True)
class Story:
    """What came about so far, act by act."""

    scene: Scene
    began_on: date
    listed: Listed | None = None
    course: Course | None = None
    engine: Stocked | None = None
    fault: faults_pb2.Fault | None = None

    @property
    def main(self) -> str:
        """The machine whose life is told."""
        return self._course.main.machine

    @property
    def subjects(self) -> list[str]:
        """Whose passports there are."""
        return [self.main, self._engine.unit]

    async def begin(self) -> None:
        """Fund wallets, register machines, take the page in."""
        await fund_wallets(self.scene)
        await import_fleet(self.scene)
        await take_page(self.scene)

    async def offer(self) -> None:
        """List machines with a price guide.

        Raises:
            TooFewMachines: The model values none of them.
        """
        _, offered = cast_machines(self.scene.fleet)
        published = await list_machines(self.scene, offered)
        if not published:
            raise TooFewMachines("the model values none of the machines on offer without review")
        self.listed = published[0]

    async def buy(self) -> None:
        """Let the dealer buy one machine by its listing, and more in a pool."""
        assert self.listed is not None
        pooled, _ = cast_machines(self.scene.fleet)
        single = await buy_listed(self.scene, self.listed)
        purchases = await buy_pooled(self.scene, pooled, guide_fen=self.listed.guide_fen)
        self.course = Course(main=min(purchases, key=_wear), fleet=[*purchases, single], leases=[])

    async def remanufacture(self) -> None:
        """Make an engine as new."""
        self.engine = await make_engine(self.scene)

    async def borrow(self) -> None:
        """Draw against the machine."""
        self._course.draws = [await draw_on(self.scene, self._course.main)]

    async def lease(self) -> None:
        """Lease the main machine out, and the one that was bought singly."""
        course = self._course
        await send_page(self.scene, course, 0)  # the meters as they stand at delivery
        programme = await publish_programme(self.scene)
        await open_plan(self.scene, self.main)
        await offer_for_lease(self.scene, programme, course.fleet[-1])
        for purchase in (course.main, course.fleet[-1]):
            course.leases.append(await lease_out(self.scene, programme, purchase))

    async def first_year(self) -> None:
        """Pass a year."""
        await run_months(self.scene, self._course, until=BUYOUT_MONTH)

    async def part_with_other(self) -> None:
        """Let the lessee buy the other machine out; it reports no more to the dealer."""
        course = self._course
        other = course.leases.pop()
        await buy_out(self.scene, other)
        await close_plan(self.scene, other.machine)
        course.fleet = [one for one in course.fleet if one.machine != other.machine]

    async def factor(self) -> None:
        """Pass on to the factoring, which repays the draw; the next instalment has a new owner."""
        course = self._course
        await run_months(self.scene, course, until=FACTORING_MONTH)
        await act_watch.look(self.scene, course.draws, moment=f"month {FACTORING_MONTH}")
        first = FACTORING_MONTH + 1
        lease = course.leases[0].name
        await factor_tail(self.scene, lease, from_number=first, to_number=TERM_MONTHS)
        course.draws = []
        await pay_assignee(self.scene, course)

    async def borrow_more(self) -> None:
        """Pass on, and borrow again, on the day of the month on which the lease began too."""
        course = self._course
        await run_months(self.scene, course, until=BORROWING_MONTH - 1)
        day = add_months(course.leases[0].started_on, BORROWING_MONTH)
        await self.scene.time.advance_to(day)
        course.draws = await borrow_again(self.scene, course.main)
        await run_months(self.scene, course, until=BORROWING_MONTH)

    async def break_down(self) -> None:
        """Let the machine report a STOP fault."""
        self.fault = await break_down(self.scene, self._course)

    async def mend(self) -> None:
        """Exchange its engine."""
        assert self.fault is not None
        await mend(self.scene, self._course, self._engine, self.fault)

    async def last_year(self) -> None:
        """Pass the rest of the term."""
        await run_months(self.scene, self._course, until=TERM_MONTHS)

    async def give_back(self) -> None:
        """Return and inspect the machine."""
        await give_back(self.scene, self._course)

    async def dispose(self) -> None:
        """Auction it, and distribute the price."""
        await let_prices_be_labels(self.scene)
        await dispose(self.scene, self._course)

    @property
    def _course(self) -> Course:
        assert self.course is not None
        return self.course

    @property
    def _engine(self) -> Stocked:
        assert self.engine is not None
        return self.engine


Act = Callable[[Story], Awaitable[None]]

ACTS: tuple[tuple[str, Act], ...] = (
    ("Money, machines, and the telematics page", Story.begin),
    ("Inspected, and listed with a price guide", Story.offer),
    ("Bought through escrow: one by its listing, the rest as a pool (集采)", Story.buy),
    ("A remanufacturer makes an engine as new", Story.remanufacture),
    ("An offer against the machine, and a draw", Story.borrow),
    ("A service plan, and two finance leases", Story.lease),
    (f"Months 1 to {BUYOUT_MONTH}: pages, instalments, services", Story.first_year),
    ("An early buyout of the other lease", Story.part_with_other),
    (f"To month {FACTORING_MONTH}; the tail factored, which repays the draw", Story.factor),
    (
        f"To month {BORROWING_MONTH}; the dealer borrows again, from two lenders by rank",
        Story.borrow_more,
    ),
    (f"Month {BORROWING_MONTH + 1}: a STOP fault", Story.break_down),
    ("The engine exchanged for the remanufactured one", Story.mend),
    (f"To month {TERM_MONTHS}", Story.last_year),
    ("Maturity, return, inspection", Story.give_back),
    ("Auctioned; the price distributed by rank", Story.dispose),
)


async def tell_story(scene: Scene, *, after: Act | None = None) -> Story:
    """Run every act; return what came about.

    Args:
        after: What to do after each act, beside the story.
    """
    story = Story(scene, began_on=await scene.time.today())
    for number, (title, act) in enumerate(ACTS, start=1):
        with scene.narrator.act(f"{number}. {title}"):
            await act(story)
        if after is not None:
            await after(story)
    return story


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


def _wear(purchase: Purchase) -> tuple[int, float]:
    """Order machines by how much of their life is behind them."""
    return -purchase.fleet_machine.build_year, float(purchase.fleet_machine.hours_meter)
