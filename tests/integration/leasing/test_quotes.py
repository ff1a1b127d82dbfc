"""Programmes and what is quoted from them."""

import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.leasing.v1 import programmes_pb2

from services.kit import wire
from tests.integration.leasing.fleet import (
    DEPOSIT_FEN,
    FEE_FEN,
    PRICE_FEN,
    RESIDUAL_FEN,
    Fleet,
    fen,
    leases,
    programme_terms,
    programmes,
    request_id,
)
from tests.support.refusals import refused


async def test_a_quote_shows_the_worked_example(fleet: Fleet) -> None:
    lease = await fleet.quote()
    figures = lease.figures
    assert lease.state == pb.LEASE_STATE_QUOTED
    assert fen(figures.payment) == 2_406_645
    assert fen(figures.last_payment) == 2_406_656
    assert fen(figures.payments_total) == 86_639_231
    assert fen(figures.interest_total) == 11_639_231
    assert fen(figures.total_cost) == 11_639_231 + FEE_FEN
    assert Decimal(figures.nominal_rate.value) == Decimal("0.06")
    for rate, expected in (
        (figures.effective_rate, "0.061678"),
        (figures.all_in_nominal_rate, "0.084129"),
        (figures.all_in_effective_rate, "0.087450"),
        (figures.classification.implicit_rate, "0.054487"),
    ):
        assert abs(Decimal(rate.value) - Decimal(expected)) < Decimal("0.000001")
    classification = figures.classification
    assert classification.is_finance_lease
    assert list(classification.reasons) == [pb.FINANCE_LEASE_REASON_PRESENT_VALUE]
    assert fen(classification.payments_value) == 92_504_863
    assert fen(classification.net_investment) == 101_000_000
    assert fen(lease.terms.fee) == FEE_FEN
    assert fen(lease.terms.deposit) == DEPOSIT_FEN
    valid_for = wire.to_instant(lease.expire_time, field="") - wire.to_instant(
        lease.create_time, field=""
    )
    assert valid_for == timedelta(days=30)
    schedule = await fleet.schedule(lease)
    assert schedule.revision == 0
    assert len(schedule.instalments) == 36
    assert fen(schedule.instalments[11].balance) == 76_480_462


async def test_the_hash_is_that_of_the_canonical_terms(fleet: Fleet) -> None:
    lease = await fleet.quote()
    assert hashlib.sha256(lease.canonical_terms.encode()).hexdigest() == lease.terms_sha256
    assert fleet.lessee.party in lease.canonical_terms


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"term_months": 61}, "term_months"),
        ({"financed_amount": wire.money(500_000_001)}, "financed_amount"),
        ({"financed_amount": wire.money(0)}, "financed_amount"),
        ({"residual": wire.money(40_000_001)}, "residual"),
        ({"guaranteed_residual": wire.money(RESIDUAL_FEN + 1)}, "guaranteed_residual"),
    ],
)
async def test_a_wish_outside_the_programme_is_refused(
    fleet: Fleet, changes: dict[str, Any], field: str
) -> None:
    with refused("INVALID_FIELD") as refusal:
        await fleet.quote(**changes)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in refusal.status.message


async def test_a_machine_that_is_not_the_lessors_is_not_found(fleet: Fleet) -> None:
    other = await Fleet.open(fleet.world)
    with refused("NOT_FOUND"):
        await fleet.quote(await other.machine())
    with refused("NOT_FOUND"):
        await fleet.quote("machines/0198a000-0000-7000-8000-000000000000")


async def test_the_lessor_quotes_for_a_lessee_only(fleet: Fleet) -> None:
    asked = pb.QuoteLeaseRequest(
        request_id=request_id(),
        programme=fleet.programme,
        machine=await fleet.machine(),
        lessee=fleet.lessee.party,
        financed_amount=wire.money(PRICE_FEN),
        residual=wire.money(RESIDUAL_FEN),
        term_months=36,
    )
    quoted = await leases(fleet.lessor).QuoteLease(asked)
    assert quoted.terms.lessee == fleet.lessee.party
    asked.request_id, asked.lessee = request_id(), fleet.lessor.party
    with refused("SAME_PARTY"):
        await leases(fleet.lessor).QuoteLease(asked)
    seller = await fleet.world.party("SELLER")
    asked.request_id, asked.lessee = request_id(), seller.party
    with refused("INVALID_FIELD"):
        await leases(fleet.lessor).QuoteLease(asked)
    stranger = await fleet.world.party("LESSEE")
    asked.request_id, asked.lessee = request_id(), fleet.lessee.party
    with refused("PERMISSION_DENIED"):
        await leases(stranger).QuoteLease(asked)


async def test_a_programme_keeps_its_revisions(fleet: Fleet) -> None:
    old_quote = await fleet.quote()
    revised = await programmes(fleet.lessor).UpdateLeaseProgramme(
        programmes_pb2.UpdateLeaseProgrammeRequest(
            request_id=request_id(),
            name=fleet.programme,
            terms=programme_terms(nominal_rate=wire.decimal(Decimal("0.07"))),
        )
    )
    assert (revised.revision, revised.event_sequence) == (2, 2)
    new_quote = await fleet.quote()
    assert [lease.terms.programme_revision for lease in (old_quote, new_quote)] == [1, 2]
    assert Decimal(new_quote.terms.nominal_rate.value) == Decimal("0.07")
    first = await programmes(fleet.lessee).GetLeaseProgramme(
        programmes_pb2.GetLeaseProgrammeRequest(name=fleet.programme, revision=1)
    )
    assert Decimal(first.terms.nominal_rate.value) == Decimal("0.06")
    with refused("ETAG_MISMATCH"):
        await programmes(fleet.lessor).RetireLeaseProgramme(
            programmes_pb2.RetireLeaseProgrammeRequest(
                request_id=request_id(), name=fleet.programme, etag='"1"'
            )
        )
    await programmes(fleet.lessor).RetireLeaseProgramme(
        programmes_pb2.RetireLeaseProgrammeRequest(
            request_id=request_id(), name=fleet.programme, etag=revised.etag
        )
    )
    with refused("NOT_FOUND"):
        await fleet.quote()
    told = await fleet.events(fleet.programme)
    assert [type(event).__name__ for event in told] == [
        "LeaseProgrammePublished",
        "LeaseProgrammePublished",
        "LeaseProgrammeRetired",
    ]
    listed = await programmes(fleet.lessor).ListLeaseProgrammes(
        programmes_pb2.ListLeaseProgrammesRequest(lessor=fleet.lessor.party)
    )
    assert [programme.revision for programme in listed.programmes] == [2]


@pytest.mark.parametrize(
    "changes",
    [
        {"nominal_rate": wire.decimal(Decimal("1.01"))},
        {"nominal_rate": wire.decimal(Decimal("0.0000001"))},
        {"fee_rate": wire.decimal(Decimal("-0.01"))},
        {"fee_rate": wire.decimal(Decimal("0.123456789"))},
        {"deposit_rate": wire.decimal(Decimal("1e29"))},
        {"penalty_daily_rate": wire.decimal(Decimal("0.02"))},
        {"term_months_min": 12, "term_months_max": 6},
        {"excess_hour_rate": wire.money(10_000_001)},
        {"amount_min": wire.money(0)},
        {"amount_min": wire.money(3, "USD")},
    ],
)
async def test_a_programme_outside_its_ranges_is_refused(
    fleet: Fleet, changes: dict[str, Any]
) -> None:
    with refused("INVALID_FIELD"):
        await programmes(fleet.lessor).CreateLeaseProgramme(
            programmes_pb2.CreateLeaseProgrammeRequest(
                request_id=request_id(), terms=programme_terms(**changes)
            )
        )


async def test_fee_and_deposit_that_leave_nothing_have_no_rate(fleet: Fleet) -> None:
    made = await programmes(fleet.lessor).CreateLeaseProgramme(
        programmes_pb2.CreateLeaseProgrammeRequest(
            request_id=request_id(), terms=programme_terms(deposit_rate=wire.decimal(Decimal(1)))
        )
    )
    with refused("RATE_NOT_FOUND"):
        await fleet.quote(programme=made.name)
