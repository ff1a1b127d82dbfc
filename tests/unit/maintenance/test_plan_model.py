"""What falls due, and how well a plan is kept: the published formula, number by number."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.maintenance.plan_model import (
    ItemState,
    PlanItem,
    PlanState,
    PlanTrigger,
    Service,
    ServicePlan,
    compliance_of,
    next_check_hours,
    next_check_on,
    score_of,
    stand,
)
from services.maintenance.template_model import (
    PlanTask,
    PlanTemplate,
    TemplateState,
    best_fit,
)

BEGUN = date(2026, 1, 1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def task(hours: str | None = "250", months: int = 0, weight: int = 1) -> PlanTask:
    interval = None if hours is None else Decimal(hours)
    return PlanTask("OIL", "Oil and filter", interval, months, weight)


def item(hours: str | None = "250", months: int = 0, last: str | None = "1000") -> PlanItem:
    return PlanItem(
        task=task(hours, months),
        last_hours=None if last is None else Decimal(last),
        last_on=BEGUN,
    )


def plan(*items: PlanItem, hours: str | None = "1000") -> ServicePlan:
    return ServicePlan(
        id=UUID(int=1),
        version=1,
        state=PlanState.ACTIVE,
        machine_id=UUID(int=2),
        template_id=UUID(int=3),
        reference="",
        items=items,
        create_time=NOON,
        update_time=NOON,
        hours=None if hours is None else Decimal(hours),
    )


@pytest.mark.parametrize(
    ("hours", "state", "late"),
    [
        ("1237.49", ItemState.NOT_DUE, "0"),
        ("1237.50", ItemState.DUE, "0"),  # 95 % of 250
        ("1275.00", ItemState.DUE, "0"),  # 110 % is not late yet
        ("1275.01", ItemState.OVERDUE, "25.01"),
    ],
)
def test_an_item_is_due_5_percent_early_and_late_above_110(
    hours: str, state: ItemState, late: str
) -> None:
    standing = stand(item(), hours=Decimal(hours), on=BEGUN)
    assert (standing.state, standing.hours_late) == (state, Decimal(late))


@pytest.mark.parametrize(
    ("days", "state", "late"),
    [
        (171, ItemState.NOT_DUE, 0),
        (172, ItemState.DUE, 0),  # six months of 181 days: 95 % are 171.95
        (199, ItemState.DUE, 0),  # 110 % are 199.1
        (200, ItemState.OVERDUE, 19),
    ],
)
def test_the_calendar_counts_like_the_hours(days: int, state: ItemState, late: int) -> None:
    subject = item(None, months=6)
    on = BEGUN + timedelta(days=days)
    standing = stand(subject, hours=Decimal(1000), on=on)
    assert (standing.state, standing.days_late) == (state, late)
    assert subject.due_on == BEGUN + timedelta(days=172)
    assert subject.overdue_after == BEGUN + timedelta(days=199)


def test_whichever_of_hours_and_calendar_comes_first_counts() -> None:
    subject = item("250", months=6)
    by_calendar = stand(subject, hours=Decimal(1010), on=BEGUN + timedelta(days=250))
    assert by_calendar.state is ItemState.OVERDUE
    assert (by_calendar.hours_late, by_calendar.days_late) == (Decimal(0), 69)


def test_without_an_accepted_reading_nothing_is_due_by_hours() -> None:
    subject = item(last=None)
    assert stand(subject, hours=None, on=date(2030, 1, 1)).state is ItemState.NOT_DUE
    based = subject.based_on(Decimal(5000))
    assert based.due_hours == Decimal("5237.50")


def test_an_oil_sample_makes_an_item_due_at_once_and_late_after_a_tenth() -> None:
    asked = item().triggered(
        PlanTrigger.OIL_SAMPLE, note="Iron 120 ppm", hours=Decimal(1050), on=BEGUN
    )
    assert stand(asked, hours=Decimal(1050), on=BEGUN).state is ItemState.DUE
    assert stand(asked, hours=Decimal(1075), on=BEGUN).state is ItemState.DUE
    late = stand(asked, hours=Decimal("1075.01"), on=BEGUN)
    assert (late.state, late.hours_late) == (ItemState.OVERDUE, Decimal("25.01"))
    assert asked.done(hours=Decimal(1060), on=BEGUN).trigger is None


@pytest.mark.parametrize(
    ("run", "score"),
    [("0.5", 1), ("1.1", 1), ("1.55", Fraction(1, 2)), ("2", 0), ("7", 0)],
)
def test_a_service_counts_less_the_later_it_was_done(run: str, score: Fraction) -> None:
    assert score_of(Fraction(Decimal(run))) == score


def service(run: str, *, on: date = BEGUN, weight: int = 1) -> Service:
    return Service("OIL", on, Decimal(run), weight)


@pytest.mark.parametrize(
    ("services", "open_items", "compliance"),
    [
        ([], [], "100.00"),
        ([], [(1, "1.1")], "100.00"),  # due, not late
        ([service("1"), service("1.55")], [], "75.00"),
        ([service("1"), service("1")], [(1, "1.4")], "88.89"),  # (1 + 1 + 2/3) / 3
        ([service("1", weight=4)], [(1, "2")], "66.67"),  # missed twice: 4 of 6
        ([service("1")], [(2, "3.9")], "14.29"),  # missed three times at weight 2: 1 of 7
    ],
)
def test_the_compliance_is_the_published_formula(
    services: list[Service], open_items: list[tuple[int, str]], compliance: str
) -> None:
    runs = [(weight, Fraction(Decimal(run))) for weight, run in open_items]
    assert compliance_of(services, runs, on=BEGUN) == Decimal(compliance)


def test_what_was_done_two_years_ago_no_longer_counts() -> None:
    kept = [service("2", on=date(2024, 1, 1)), service("1", on=date(2024, 1, 2))]
    assert compliance_of(kept, [], on=BEGUN) == Decimal("100.00")
    assert compliance_of(kept, [], on=date(2025, 12, 31)) == Decimal("33.33")


@given(
    runs=st.lists(st.decimals(0, 30, places=3), min_size=1, max_size=8),
    later=st.decimals(0, 5, places=3),
)
def test_a_later_service_never_raises_the_compliance(runs: list[Decimal], later: Decimal) -> None:
    before = compliance_of([service(str(run)) for run in runs], [], on=BEGUN)
    delayed = [runs[0] + later, *runs[1:]]
    after = compliance_of([service(str(run)) for run in delayed], [], on=BEGUN)
    assert 0 <= after <= before <= 100


@given(
    hours=st.decimals(1000, 4000, places=2),
    step=st.decimals("0.01", 400, places=2),
    interval=st.sampled_from(["250", "500", "33.33"]),
)
def test_between_two_checks_by_hours_nothing_changes(
    hours: Decimal, step: Decimal, interval: str
) -> None:
    subject = plan(item(interval)).based_on(hours).assessed(on=BEGUN)
    later = hours + step
    if subject.next_check_hours is not None and later < subject.next_check_hours:
        moved = subject.based_on(later).assessed(on=BEGUN)
        assert moved.overdue_items == subject.overdue_items
        states = [stand(one, hours=hours, on=BEGUN).state for one in subject.items]
        assert [stand(one, hours=later, on=BEGUN).state for one in moved.items] == states


@given(days=st.integers(0, 900), step=st.integers(1, 200), months=st.integers(1, 24))
def test_between_two_checks_by_calendar_nothing_changes(days: int, step: int, months: int) -> None:
    subject = item(None, months=months)
    on = BEGUN + timedelta(days=days)
    following = next_check_on([subject], [], on)
    later = on + timedelta(days=step)
    if following is None or later < following:
        assert stand(subject, hours=None, on=on).state is stand(subject, hours=None, on=later).state


def test_a_plan_without_hours_is_checked_at_the_first_reading() -> None:
    assert next_check_hours([item(last=None)], None) == 0
    assert next_check_hours([item(None, months=6)], None) is None


def template(number: int, owner: str = "", **fits: str) -> PlanTemplate:
    values = {"make": "", "model": "", "equipment_class": ""} | fits
    return PlanTemplate(
        id=UUID(int=number),
        version=1,
        state=TemplateState.ACTIVE,
        owner=owner,
        title="T",
        tasks=(task(),),
        create_time=NOON,
        update_time=NOON,
        **values,
    )


def test_the_best_template_is_the_owners_and_then_the_closest() -> None:
    sany = {"make": "Sany", "model": "SY215C", "equipment_class": "HYDRAULIC_EXCAVATOR"}
    platform = [template(1), template(2, make="SANY"), template(3, make="SANY", model="sy215c")]
    assert best_fit(platform, owner="parties/a", **sany) == platform[2]
    own = template(4, "parties/a")
    assert best_fit([*platform, own], owner="parties/a", **sany) == own
    other = template(5, "parties/b")
    retired = replace(template(6, model="SY215C"), state=TemplateState.RETIRED)
    assert best_fit([platform[0], other, retired], owner="parties/a", **sany) == platform[0]
    assert best_fit([template(7, make="XCMG")], owner="parties/a", **sany) is None
