"""What is lent while the model drifts: a wider haircut at alarm 1, nothing at alarm 2."""

from dataclasses import replace
from decimal import Decimal

import pytest

from services.finance.drift_model import terms_under
from services.finance.errors import DriftStopsOffers
from services.finance.policy_model import Parameter
from tests.unit.finance.examples import TERMS

EXCAVATOR = "HYDRAULIC_EXCAVATOR"


def test_without_an_alarm_the_terms_are_the_policys() -> None:
    assert terms_under(TERMS, 0, equipment_class=EXCAVATOR) == TERMS


def test_alarm_1_widens_each_grades_haircut_by_the_policys_share() -> None:
    terms = terms_under(TERMS, 1, equipment_class=EXCAVATOR)
    assert [terms[Parameter(f"HAIRCUT_{grade}")] for grade in "ABC"] == [
        Decimal("0.15"),
        Decimal("0.20"),
        Decimal("0.30"),
    ]
    assert terms[Parameter.LTV_CAP_OLV] == TERMS[Parameter.LTV_CAP_OLV]
    assert terms.version == TERMS.version


def test_a_haircut_is_never_more_than_the_whole() -> None:
    steep = replace(TERMS, values={**TERMS.values, Parameter.HAIRCUT_C: Decimal("0.99")})
    assert steep.widened()[Parameter.HAIRCUT_C] == 1


def test_alarm_2_stops_automatic_offers() -> None:
    with pytest.raises(DriftStopsOffers, match="drift alarm 2"):
        terms_under(TERMS, 2, equipment_class=EXCAVATOR)
