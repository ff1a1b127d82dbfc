"""A second lender behind the first, by the first one's consent."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from ironloop.finance.v1 import finance_events_pb2 as events
from ironloop.finance.v1 import finance_pb2, watch_pb2
from ironloop.finance.v1 import subordinations_pb2 as pb

from infra.local.client import Actor
from services.kit import wire
from tests.integration.finance.lending import Lending, eventually, fen, finance, insisted, rid
from tests.integration.finance.watching import revalued, watch
from tests.support.refusals import refused

PLENTY_FEN = 1_000_000_00
SENIOR_FEN = 300_000_00
# WE-7: 640,000 × (1 − 15 %) carry 544,000; 85 % of that may be lent in all.
LENDABLE_FEN = 462_400_00
COLLATERAL_FEN = 544_000_00


@dataclass(frozen=True, slots=True)
class Pair:
    """A borrower, its two lenders, and the senior's draw."""

    dealer: Actor
    senior: Actor
    junior: Actor
    draw: finance_pb2.Draw

    @property
    def machine(self) -> str:
        return self.draw.machine


@pytest_asyncio.fixture(loop_scope="session")
async def pair(lending: Lending) -> Pair:
    senior, junior = await lending.funder(fen=PLENTY_FEN), await lending.funder(fen=PLENTY_FEN)
    dealer = await lending.dealer()
    draw = await lending.drawn(senior, dealer, requested_amount=wire.money(SENIOR_FEN))
    return Pair(dealer, senior, junior, draw)


def now(lending: Lending) -> datetime:
    return lending.world.running["finance"].runtime.clock.now()


def asked(lending: Lending, pair: Pair, **changes: Any) -> pb.ConsentSubordinationRequest:
    stated: dict[str, Any] = {
        "request_id": rid(),
        "draw": pair.draw.name,
        "junior_funder": pair.junior.party,
        "senior_cap": wire.money(SENIOR_FEN),
        "expire_time": wire.instant(now(lending) + timedelta(days=30)),
    }
    return pb.ConsentSubordinationRequest(**stated | changes)


async def consent(lending: Lending, pair: Pair, **changes: Any) -> pb.Subordination:
    return await finance(pair.senior).ConsentSubordination(asked(lending, pair, **changes))


async def seen(viewer: Actor, name: str) -> pb.Subordination:
    return await finance(viewer).GetSubordination(pb.GetSubordinationRequest(name=name))


async def junior_draw(lending: Lending, pair: Pair, **changes: Any) -> finance_pb2.Draw:
    given = await consent(lending, pair)
    facility = await lending.facility(pair.junior, pair.dealer)
    offer = await lending.accepted(
        pair.dealer, facility, pair.machine, subordination=given.name, **changes
    )
    return await lending.draw(pair.dealer, offer)


async def test_a_consent_lets_one_junior_draw_stand_behind(lending: Lending, pair: Pair) -> None:
    facility = await lending.facility(pair.junior, pair.dealer)
    with refused("LIEN_FOUND"):
        await lending.request(pair.dealer, facility, pair.machine)
    given = await consent(lending, pair)
    assert given.state == pb.SUBORDINATION_STATE_GIVEN

    offer = await lending.accepted(pair.dealer, facility, pair.machine, subordination=given.name)
    assert fen(offer.senior) == SENIOR_FEN
    assert fen(offer.amount) == LENDABLE_FEN - SENIOR_FEN
    draw = await lending.draw(pair.dealer, offer)

    assert (draw.subordination, fen(draw.senior)) == (given.name, SENIOR_FEN)
    assert draw.loan_to_value.value == "0.8500"
    assert await lending.liens(pair.machine) == [pair.draw.lien, draw.lien]
    used = await seen(pair.dealer, given.name)
    assert (used.state, used.junior_draw) == (pb.SUBORDINATION_STATE_USED, draw.name)
    told = await lending.events(given.name)
    assert [(type(one), one.sequence) for one in told] == [
        (events.SubordinationGiven, 1),
        (events.SubordinationUsed, 2),
    ]
    # It is used up, and the senior's own cover is what it was.
    with refused("SUBORDINATION_NOT_GIVEN"):
        await lending.request(pair.dealer, facility, pair.machine, subordination=given.name)
    senior = await lending.see(pair.senior, pair.draw.name)
    assert (fen(senior.senior), senior.loan_to_value.value) == (0, "0.5515")


async def test_the_payoff_ranks_the_senior_first_though_the_junior_is_asked_in_any_order(
    lending: Lending, pair: Pair
) -> None:
    draw = await junior_draw(lending, pair)
    quoted = await finance(lending.world.service("leasing")).QuotePayoff(
        finance_pb2.QuotePayoffRequest(machine=pair.machine, as_of=wire.date(lending.world.today()))
    )
    ranks = {payoff.draw: (payoff.priority, payoff.funder) for payoff in quoted.payoffs}
    assert ranks == {
        pair.draw.name: (1, pair.senior.party),
        draw.name: (2, pair.junior.party),
    }


async def test_the_junior_is_held_to_what_the_senior_leaves(lending: Lending, pair: Pair) -> None:
    draw = await junior_draw(lending, pair)
    await revalued(lending, pair.machine, 2)
    cover = await watch(pair.junior).GetCover(watch_pb2.GetCoverRequest(draw=draw.name))
    assert fen(cover.points[0].balance) == LENDABLE_FEN
    own = await lending.schedule(pair.dealer, draw.name)
    first = await lending.schedule(pair.dealer, pair.draw.name)
    assert fen(cover.points[12].balance) == fen(own[11].balance) + fen(first[11].balance)
    alone = await watch(pair.senior).GetCover(watch_pb2.GetCoverRequest(draw=pair.draw.name))
    assert fen(alone.points[12].balance) == fen(first[11].balance)

    # What is paid to the senior gives the junior room, at once.
    paid_fen = 100_000_00
    await finance(pair.dealer).RepayDraw(
        finance_pb2.RepayDrawRequest(
            request_id=rid(), name=pair.draw.name, amount=wire.money(paid_fen)
        )
    )
    later = await lending.see(pair.junior, draw.name)
    assert fen(later.senior) == SENIOR_FEN - paid_fen
    assert later.loan_to_value.value == "0.6662"


async def test_a_lower_value_leaves_the_junior_short_before_the_senior(
    lending: Lending, pair: Pair
) -> None:
    assert lending.valuer is not None
    draw = await junior_draw(lending, pair)
    await revalued(lending, pair.machine, 2)
    lending.valuer.olv_q10_fen = 560_000_00
    try:
        for funder, one in ((pair.senior, pair.draw), (pair.junior, draw)):
            await watch(funder).RequestRevaluation(
                watch_pb2.RequestRevaluationRequest(request_id=rid(), draw=one.name)
            )
        await revalued(lending, pair.machine, 4)
    finally:
        lending.valuer.olv_q10_fen = 640_000_00
    short = await lending.see(pair.junior, draw.name)
    assert short.collateral_state == finance_pb2.COLLATERAL_STATE_SHORTFALL
    safe = await lending.see(pair.senior, pair.draw.name)
    assert safe.collateral_state == finance_pb2.COLLATERAL_STATE_COMPLIANT


async def test_more_than_the_senior_leaves_is_not_lent(lending: Lending) -> None:
    senior, junior = await lending.funder(fen=PLENTY_FEN), await lending.funder(fen=PLENTY_FEN)
    dealer = await lending.dealer()
    full = Pair(dealer, senior, junior, await lending.drawn(senior, dealer))
    given = await consent(lending, full, senior_cap=wire.money(LENDABLE_FEN))
    facility = await lending.facility(junior, dealer)
    with refused("NOTHING_BEHIND_SENIOR"):
        await lending.request(dealer, facility, full.machine, subordination=given.name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"senior_cap": wire.money(SENIOR_FEN - 1)}, "SENIOR_CAP_TOO_LOW"),
        ({"senior_cap": wire.money(0)}, "INVALID_FIELD"),
        ({"expire_time": wire.instant(datetime(2020, 1, 1, tzinfo=UTC))}, "INVALID_FIELD"),
        ({"expire_time": wire.instant(datetime(2999, 1, 1, tzinfo=UTC))}, "INVALID_FIELD"),
        ({"junior_funder": f"parties/{uuid4()}"}, "NOT_FOUND"),
        ({"draw": f"draws/{uuid4()}"}, "NOT_FOUND"),
    ],
    ids=["cap below the balance", "no cap", "past", "too late", "no such funder", "no such draw"],
)
async def test_a_consent_is_refused(
    lending: Lending, pair: Pair, change: dict[str, Any], reason: str
) -> None:
    with refused(reason):
        await consent(lending, pair, **change)


async def test_a_consent_is_the_senior_lenders_alone(lending: Lending, pair: Pair) -> None:
    with refused("NOT_FOUND"):
        await finance(pair.junior).ConsentSubordination(asked(lending, pair))
    with refused("INVALID_FIELD"):
        await consent(lending, pair, junior_funder=pair.senior.party)
    given = await consent(lending, pair)
    with refused("SUBORDINATION_EXISTS"):
        await consent(lending, pair)
    revoke = pb.RevokeSubordinationRequest(request_id=rid(), name=given.name)
    with refused("NOT_FOUND"):
        await finance(pair.junior).RevokeSubordination(revoke)
    stranger = await lending.funder()
    with refused("NOT_FOUND"):
        await seen(stranger, given.name)
    for viewer in (pair.senior, pair.junior, pair.dealer, lending.world.operator):
        assert (await seen(viewer, given.name)).name == given.name
    listed = await finance(stranger).ListSubordinations(pb.ListSubordinationsRequest())
    assert not listed.subordinations
    listed = await finance(pair.junior).ListSubordinations(
        pb.ListSubordinationsRequest(
            state=pb.SUBORDINATION_STATE_GIVEN, machine=pair.machine, page_size=1
        )
    )
    assert [one.name for one in listed.subordinations] == [given.name]


async def test_a_revoked_consent_covers_no_offer_and_no_draw(lending: Lending, pair: Pair) -> None:
    given = await consent(lending, pair)
    facility = await lending.facility(pair.junior, pair.dealer)
    offer = await lending.accepted(pair.dealer, facility, pair.machine, subordination=given.name)
    revoked = await finance(pair.senior).RevokeSubordination(
        pb.RevokeSubordinationRequest(request_id=rid(), name=given.name, etag=given.etag)
    )
    assert revoked.state == pb.SUBORDINATION_STATE_REVOKED
    assert [type(one) for one in await lending.events(given.name)] == [
        events.SubordinationGiven,
        events.SubordinationEnded,
    ]
    with refused("SUBORDINATION_NOT_GIVEN"):
        await lending.draw(pair.dealer, offer)
    with refused("TRANSITION_REFUSED"):
        await finance(pair.senior).RevokeSubordination(
            pb.RevokeSubordinationRequest(request_id=rid(), name=given.name)
        )


async def test_a_consent_is_for_its_machine_its_funder_and_no_purchase_money(
    lending: Lending, pair: Pair
) -> None:
    given = await consent(lending, pair)
    facility = await lending.facility(pair.junior, pair.dealer)
    other = await lending.facility(await lending.funder(), pair.dealer)
    with refused("INVALID_FIELD"):
        await lending.request(pair.dealer, other, pair.machine, subordination=given.name)
    with refused("INVALID_FIELD"):
        machine = await lending.machine(pair.dealer)
        await lending.request(pair.dealer, facility, machine, subordination=given.name)
    with refused("INVALID_FIELD"):
        await lending.request(
            pair.dealer, facility, pair.machine, subordination=given.name, purchase_money=True
        )
    stranger = await lending.dealer()
    theirs = await lending.facility(pair.junior, stranger)
    with refused("NOT_FOUND"):
        await lending.request(stranger, theirs, pair.machine, subordination=given.name)


async def test_a_refused_payout_leaves_the_consent_good(lending: Lending, pair: Pair) -> None:
    poor = await lending.funder()
    given = await consent(lending, pair, junior_funder=poor.party)
    facility = await lending.facility(poor, pair.dealer)
    offer = await lending.accepted(pair.dealer, facility, pair.machine, subordination=given.name)
    with refused("INSUFFICIENT_FUNDS"):
        await lending.draw(pair.dealer, offer)
    again = await seen(poor, given.name)
    assert (again.state, again.junior_draw) == (pb.SUBORDINATION_STATE_GIVEN, "")
    await lending.fund(poor, PLENTY_FEN)
    drawn = await lending.draw(pair.dealer, offer)
    assert (await seen(poor, given.name)).junior_draw == drawn.name


async def test_two_draws_under_one_consent_at_once_make_one(lending: Lending, pair: Pair) -> None:
    given = await consent(lending, pair)
    facility = await lending.facility(pair.junior, pair.dealer)
    half = wire.money((LENDABLE_FEN - SENIOR_FEN) // 2)
    offers = [
        await lending.accepted(
            pair.dealer,
            facility,
            pair.machine,
            subordination=given.name,
            requested_amount=half,
        )
        for _ in range(2)
    ]
    drawn = await asyncio.gather(
        *(lending.draw(pair.dealer, offer) for offer in offers), return_exceptions=True
    )
    assert sum(isinstance(one, finance_pb2.Draw) for one in drawn) == 1
    late = next(one for one, made in zip(offers, drawn, strict=True) if isinstance(made, Exception))
    with refused("SUBORDINATION_NOT_GIVEN"):
        await insisted(lambda: lending.draw(pair.dealer, late))


async def test_a_consent_runs_out(lending: Lending, pair: Pair) -> None:
    given = await consent(
        lending,
        pair,
        expire_time=wire.instant(now(lending) + timedelta(days=1)),
    )
    await lending.world.advance_to(lending.world.today() + timedelta(days=2))

    async def state() -> pb.SubordinationState.ValueType:
        return (await seen(pair.senior, given.name)).state

    await eventually(state, pb.SUBORDINATION_STATE_EXPIRED)
    facility = await lending.facility(pair.junior, pair.dealer)
    with refused("SUBORDINATION_NOT_GIVEN"):
        await lending.request(pair.dealer, facility, pair.machine, subordination=given.name)
