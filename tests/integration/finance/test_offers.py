"""Offers from request to acceptance, and what is refused."""

import asyncio
from decimal import Decimal

import grpc
import pytest
from ironloop.finance.v1 import finance_events_pb2, finance_pb2
from ironloop.marketplace.v1 import machines_pb2
from ironloop.valuation.v1 import valuation_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.finance.lending import (
    WE_7_FEN,
    Lending,
    fen,
    finance,
    machines,
    rid,
)
from tests.support.refusals import refused


async def test_we_7_an_offer_cites_its_valuation_policy_and_cover(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)

    offer = await lending.request(dealer, facility, machine)

    assert offer.state == finance_pb2.OFFER_STATE_OFFERED
    assert fen(offer.amount) == WE_7_FEN
    assert offer.bound == finance_pb2.OFFER_BOUND_LOAN_TO_VALUE
    assert fen(offer.payment) == 14_193_16
    assert offer.loan_to_fmv.value == "0.5780"
    assert offer.policy_version == "2026.1"
    assert offer.valuation.grade == "B"
    assert offer.valuation.record_sha256 == "ab" * 32
    assert (offer.cover.worst_month, offer.cover.worst_ratio.value) == (0, "0.9633")
    days = offer.expire_time.ToDatetime() - offer.create_time.ToDatetime()
    assert days.days in (6, 7)
    [made] = await lending.events(offer.name)
    assert isinstance(made, finance_events_pb2.OfferMade)
    assert made.sequence == 1
    assert fen(made.amount) == WE_7_FEN
    seen = await finance(funder).GetOffer(finance_pb2.GetOfferRequest(name=offer.name))
    assert seen == offer


async def test_we_8_a_breach_of_cover_is_refused_and_stays_on_record(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)

    with refused("THROUGH_LIFE_COVER") as refusal:
        await lending.request(dealer, facility, machine, balloon=wire.money(300_000_00))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.metadata["month"] == "7"
    assert refusal.metadata["ratio"] == "1.0034"
    listed = await finance(funder).ListOffers(
        finance_pb2.ListOffersRequest(facility=facility.name, state=finance_pb2.OFFER_STATE_REFUSED)
    )
    [kept] = listed.offers
    assert kept.refusal.reason == "THROUGH_LIFE_COVER"
    assert "month 7" in kept.refusal.message
    assert kept.valuation.grade == "B"
    # A smaller balloon passes, on the same machine.
    offer = await lending.request(dealer, facility, machine, balloon=wire.money(250_000_00))
    assert (offer.cover.worst_month, offer.cover.worst_ratio.value) == (14, "0.9904")


async def test_the_same_request_is_answered_the_same_and_decided_once(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    wish = lending.wish(facility, await lending.machine(dealer))

    first = await finance(dealer).RequestOffer(wish)
    again = await finance(dealer).RequestOffer(wish)

    assert again == first
    listed = await finance(dealer).ListOffers(finance_pb2.ListOffersRequest(facility=facility.name))
    assert len(listed.offers) == 1


async def test_a_machine_of_another_owner_is_not_to_be_seen(lending: Lending) -> None:
    funder, dealer, other = await lending.funder(), await lending.dealer(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    with refused("NOT_FOUND"):
        await lending.request(dealer, facility, await lending.machine(other))


async def test_a_machine_with_a_lien_is_not_lent_on(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)
    await machines(lending.world.service("finance")).RegisterLien(
        machines_pb2.RegisterLienRequest(
            request_id=rid(),
            machine=machine,
            holder=funder.party,
            reference="loans/1",
            registry_no="1",
            secured_amount=wire.money(1),
        )
    )
    with refused("LIEN_FOUND"):
        await lending.request(dealer, facility, machine)


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("grade", valuation_pb2.GRADE_D, "GRADE_MANUAL_ONLY"),
        ("state", valuation_pb2.VALUATION_STATE_IN_REVIEW, "VALUATION_NOT_ISSUED"),
    ],
)
async def test_a_doubtful_valuation_is_not_lent_on(
    lending: Lending, attribute: str, value: int, reason: str
) -> None:
    assert lending.valuer is not None
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)
    usual = getattr(lending.valuer, attribute)
    setattr(lending.valuer, attribute, value)
    try:
        with refused(reason):
            await lending.request(dealer, facility, machine)
    finally:
        setattr(lending.valuer, attribute, usual)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"requested_amount": wire.money(2_000_000_00)}, "HEADROOM_EXCEEDED"),
        ({"term_months": 84}, "TERM_TOO_LONG"),
        ({"hours_per_year": 8_784}, "HOURS_AT_MATURITY"),
        ({"balloon": wire.money(462_400_00)}, "BALLOON_TOO_HIGH"),
        ({"purchase_price": wire.money(0)}, "INVALID_FIELD"),
        (
            {"requested_amount": wire.money(100), "balloon": wire.money(100)},
            "INVALID_FIELD",
        ),
    ],
)
async def test_a_wish_outside_the_policy_is_refused(
    lending: Lending, changes: dict[str, object], reason: str
) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    with refused(reason):
        await lending.request(dealer, facility, await lending.machine(dealer), **changes)


async def test_an_offer_runs_out_after_seven_days(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    offer = await lending.request(dealer, facility, await lending.machine(dealer))

    await lending.world.advance_days(8)

    seen = await finance(dealer).GetOffer(finance_pb2.GetOfferRequest(name=offer.name))
    assert seen.state == finance_pb2.OFFER_STATE_EXPIRED
    lapsed = (await lending.events(offer.name))[-1]
    assert (lapsed.sequence, lapsed.state) == (2, finance_pb2.OFFER_STATE_EXPIRED)
    with refused("TRANSITION_REFUSED"):
        await accept(dealer, offer)


async def accept(actor: Actor, offer: finance_pb2.Offer, *, etag: str = "") -> finance_pb2.Offer:
    return await finance(actor).AcceptOffer(
        finance_pb2.AcceptOfferRequest(request_id=rid(), name=offer.name, etag=etag)
    )


async def withdraw(actor: Actor, offer: finance_pb2.Offer) -> finance_pb2.Offer:
    return await finance(actor).WithdrawOffer(
        finance_pb2.WithdrawOfferRequest(request_id=rid(), name=offer.name)
    )


async def test_either_side_may_withdraw_an_offer_that_is_not_accepted(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    for side in (funder, dealer):
        offer = await lending.request(dealer, facility, await lending.machine(dealer))
        withdrawn = await withdraw(side, offer)
        assert withdrawn.state == finance_pb2.OFFER_STATE_WITHDRAWN
    kept = await lending.accepted(dealer, facility)
    with refused("TRANSITION_REFUSED"):
        await withdraw(dealer, kept)


async def test_an_etag_of_before_is_refused(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    offer = await lending.request(dealer, facility, await lending.machine(dealer))
    with refused("ETAG_MISMATCH"):
        await accept(dealer, offer, etag='"1"')
    assert (await accept(dealer, offer, etag=offer.etag)).event_sequence == 2


async def test_other_parties_see_neither_facility_nor_offer(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    offer = await lending.request(dealer, facility, await lending.machine(dealer))

    for stranger in (await lending.funder(), await lending.dealer()):
        with refused("NOT_FOUND"):
            await finance(stranger).GetFacility(finance_pb2.GetFacilityRequest(name=facility.name))
        with refused("NOT_FOUND"):
            await finance(stranger).GetOffer(finance_pb2.GetOfferRequest(name=offer.name))
        with refused("NOT_FOUND"):
            await withdraw(stranger, offer)
        listed = await finance(stranger).ListOffers(finance_pb2.ListOffersRequest())
        assert not listed.offers
        seen = await finance(stranger).ListFacilities(finance_pb2.ListFacilitiesRequest())
        assert not seen.facilities
    stranger = await lending.dealer()
    with refused("NOT_FOUND"):
        await accept(stranger, offer)
    with refused("NOT_FOUND"):
        await lending.draw(stranger, offer)
    with refused("NOT_FOUND"):
        await lending.request(stranger, facility, await lending.machine(stranger))


async def test_a_facility_is_suspended_resumed_and_closed_by_its_funder(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)
    suspended = await finance(funder).SuspendFacility(
        finance_pb2.SuspendFacilityRequest(request_id=rid(), name=facility.name)
    )
    assert suspended.state == finance_pb2.FACILITY_STATE_SUSPENDED
    with refused("FACILITY_NOT_ACTIVE"):
        await lending.request(dealer, facility, machine)
    with refused("PERMISSION_DENIED"):
        await finance(dealer).ResumeFacility(
            finance_pb2.ResumeFacilityRequest(request_id=rid(), name=facility.name)
        )
    with refused("NOT_FOUND"):
        await finance(await lending.funder()).ResumeFacility(
            finance_pb2.ResumeFacilityRequest(request_id=rid(), name=facility.name)
        )
    await finance(funder).ResumeFacility(
        finance_pb2.ResumeFacilityRequest(request_id=rid(), name=facility.name)
    )
    await lending.request(dealer, facility, machine)
    await finance(funder).CloseFacility(
        finance_pb2.CloseFacilityRequest(request_id=rid(), name=facility.name)
    )
    with refused("TRANSITION_REFUSED"):
        await finance(funder).ResumeFacility(
            finance_pb2.ResumeFacilityRequest(request_id=rid(), name=facility.name)
        )
    told = await lending.events(facility.name)
    assert [event.sequence for event in told] == [1, 2, 3, 4]


async def test_a_funder_may_set_values_of_its_own_within_bounds(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    strict = finance_pb2.PolicyOverride(
        parameter=finance_pb2.POLICY_PARAMETER_HAIRCUT_B, value=wire.decimal(Decimal("0.25"))
    )
    facility = await lending.facility(funder, dealer, overrides=[strict])
    offer = await lending.request(dealer, facility, await lending.machine(dealer))
    assert fen(offer.amount) == 408_000_00  # 640,000 × 0.75 × 0.85
    assert offer.haircut.value == "0.250000"

    bold = finance_pb2.PolicyOverride(
        parameter=finance_pb2.POLICY_PARAMETER_HAIRCUT_B, value=wire.decimal(Decimal("0.01"))
    )
    with refused("OVERRIDE_OUT_OF_BOUNDS"):
        await lending.facility(funder, dealer, overrides=[bold])
    with refused("INVALID_FIELD"):
        await lending.facility(funder, funder)
    with refused("INVALID_FIELD"):
        await lending.facility(funder, dealer, nominal_rate=wire.decimal(Decimal("0.37")))


async def test_a_new_policy_holds_for_new_offers_and_old_ones_cite_theirs(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    before = await lending.request(dealer, facility, await lending.machine(dealer))
    change = finance_pb2.PublishPolicyRequest(
        request_id=rid(),
        version="2026.2",
        values=[
            finance_pb2.PolicyValue(
                parameter=finance_pb2.POLICY_PARAMETER_HAIRCUT_B,
                value=wire.decimal(Decimal("0.20")),
                override_low=wire.decimal(Decimal("0.05")),
                override_high=wire.decimal(Decimal("0.60")),
            )
        ],
    )
    published = await finance(lending.world.operator).PublishPolicy(change)
    after = await lending.request(dealer, facility, await lending.machine(dealer))

    assert fen(after.amount) == 435_200_00  # 640,000 × 0.80 × 0.85
    assert (before.policy_version, after.policy_version) == ("2026.1", "2026.2")
    current = await finance(dealer).GetPolicy(finance_pb2.GetPolicyRequest(name="policies/current"))
    assert current == published
    listed = await finance(dealer).ListPolicies(finance_pb2.ListPoliciesRequest(page_size=1))
    assert [policy.version for policy in listed.policies] == ["2026.2"]
    rest = await finance(dealer).ListPolicies(
        finance_pb2.ListPoliciesRequest(page_size=1, page_token=listed.next_page_token)
    )
    assert [policy.version for policy in rest.policies] == ["2026.1"]
    assert not rest.next_page_token
    with refused("POLICY_EXISTS"):
        again = finance_pb2.PublishPolicyRequest()
        again.CopyFrom(change)
        again.request_id = rid()
        await finance(lending.world.operator).PublishPolicy(again)
    # Back to the starting values, for whoever comes after in this world.
    await finance(lending.world.operator).PublishPolicy(
        finance_pb2.PublishPolicyRequest(
            request_id=rid(),
            version="2026.3",
            values=[
                finance_pb2.PolicyValue(
                    parameter=finance_pb2.POLICY_PARAMETER_HAIRCUT_B,
                    value=wire.decimal(Decimal("0.15")),
                    override_low=wire.decimal(Decimal("0.05")),
                    override_high=wire.decimal(Decimal("0.60")),
                )
            ],
        )
    )


async def test_offers_are_listed_page_by_page_the_newest_first(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer, limit_fen=9_000_000_00)
    made = await asyncio.gather(
        *(
            lending.request(dealer, facility, machine)
            for machine in [await lending.machine(dealer) for _ in range(3)]
        )
    )
    seen: list[str] = []
    token = ""
    while True:
        page = await finance(funder).ListOffers(
            finance_pb2.ListOffersRequest(facility=facility.name, page_size=2, page_token=token)
        )
        seen += [offer.name for offer in page.offers]
        if not (token := page.next_page_token):
            break
    newest_first = sorted(made, key=lambda offer: offer.create_time.ToNanoseconds(), reverse=True)
    assert seen == [offer.name for offer in newest_first]
