"""The canonical text of terms, and the figures of a quote."""

from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.finmath.money import share_of
from services.leasing.errors import AlreadySigned, RateNotFound, TermsChanged
from services.leasing.quote import quote_figures, remaining_life
from services.leasing.terms import LeaseTerms, canonical_terms, terms_sha256
from tests.unit.leasing.samples import LESSEE, LESSOR, TERMS, lease


def test_the_same_terms_give_the_same_text_whatever_their_scale() -> None:
    rescaled = replace(TERMS, nominal_rate=Decimal("0.06000000"), buyout_fee_rate=Decimal("1E-2"))
    assert canonical_terms(rescaled) == canonical_terms(TERMS)
    assert '"nominal_rate":"0.06"' in canonical_terms(TERMS)


@pytest.mark.parametrize("field", [field.name for field in fields(LeaseTerms)])
def test_every_term_is_part_of_the_hash(field: str) -> None:
    value = getattr(TERMS, field)
    other: Any
    if isinstance(value, bool):
        other = not value
    elif isinstance(value, int | Decimal):
        other = value + 1
    else:
        other = (
            type(value)("0198a000-0000-7000-8000-000000000009") if field.endswith("_id") else "x"
        )
    changed = replace(TERMS, **{field: other})
    assert terms_sha256(canonical_terms(changed)) != terms_sha256(canonical_terms(TERMS))


def test_a_hash_of_other_terms_is_refused() -> None:
    unsigned = replace(lease(), lessor_signer="", lessee_signer="")
    with pytest.raises(TermsChanged):
        unsigned.require_signable(LESSEE, sha256="0" * 64)
    unsigned.require_signable(LESSEE, sha256=unsigned.terms_sha256)
    with pytest.raises(AlreadySigned):
        lease().require_signable(LESSOR, sha256=unsigned.terms_sha256)


def test_a_low_residual_is_a_bargain_and_a_long_term_most_of_a_life() -> None:
    cheap = replace(TERMS, residual_fen=5_000_000, guaranteed_residual_fen=0)
    figures = quote_figures(cheap, direct_cost_fen=0, remaining_life_months=48)
    assert figures.reasons == ["BARGAIN_PURCHASE", "MAJOR_PART_OF_LIFE", "PRESENT_VALUE"]


def test_a_short_lease_of_a_long_lived_machine_is_an_operating_lease() -> None:
    short = replace(TERMS, term_months=12, residual_fen=80_000_000, guaranteed_residual_fen=0)
    figures = quote_figures(short, direct_cost_fen=0, remaining_life_months=100)
    assert figures.reasons == []
    assert figures.net_investment_fen == TERMS.financed_fen


@pytest.mark.parametrize("deposit_fen", [98_000_000, 100_000_000])
def test_a_quote_that_finances_nothing_has_no_rate(deposit_fen: int) -> None:
    with pytest.raises(RateNotFound):
        quote_figures(
            replace(TERMS, deposit_fen=deposit_fen), direct_cost_fen=0, remaining_life_months=None
        )


@pytest.mark.parametrize(
    ("life", "build_year", "left"),
    [(120, 2025, 114), (120, 0, None), (0, 2020, None), (60, 2000, 0)],
)
def test_a_life_begins_with_the_build_year(life: int, build_year: int, left: int | None) -> None:
    assert remaining_life(life, build_year=build_year, on=date(2025, 7, 1)) == left


@settings(deadline=None)
@given(
    financed_fen=st.integers(1, 10**15),
    residual_share=st.decimals("0", "1", places=8),
    months=st.integers(1, 480),
    in_advance=st.booleans(),
    nominal_rate=st.just(Decimal(0)) | st.decimals("0.000001", "1", places=8),
    fee_share=st.decimals("0", "1", places=8),
    deposit_share=st.decimals("0", "1", places=8),
    direct_cost_fen=st.integers(0, 10**15),
)
def test_any_offer_gives_figures_that_can_be_kept_or_no_rate(
    financed_fen: int,
    residual_share: Decimal,
    months: int,
    in_advance: bool,
    nominal_rate: Decimal,
    fee_share: Decimal,
    deposit_share: Decimal,
    direct_cost_fen: int,
) -> None:
    terms = replace(
        TERMS,
        financed_fen=financed_fen,
        residual_fen=share_of(financed_fen, residual_share),
        guaranteed_residual_fen=0,
        term_months=months,
        in_advance=in_advance,
        nominal_rate=nominal_rate,
        fee_fen=share_of(financed_fen, fee_share),
        deposit_fen=share_of(financed_fen, deposit_share),
    )
    try:
        figures = quote_figures(terms, direct_cost_fen=direct_cost_fen, remaining_life_months=None)
    except RateNotFound:
        return
    for field in fields(figures):
        value = getattr(figures, field.name)
        if isinstance(value, int):
            assert 0 <= value < 2**63
        elif field.name == "value_share":
            assert 0 <= value < 10**14
        elif isinstance(value, Decimal):
            assert -1 * 12 < value <= 1_000
            assert value == round(value, 8)
