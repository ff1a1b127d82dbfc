"""Inspection of a return: what a finding needs, and how the deposit meets the charges."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import InvalidArgument
from services.leasing.inspection_model import check_lines, split_deposit
from services.leasing.papers import (
    DamageLine,
    Document,
    Inspection,
    TermUse,
    TotalLoss,
    inspection_of,
    loss_of,
    to_json,
)
from tests.unit.leasing.samples import NOW

PHOTO = Document("https://files.example/1.jpg", "ab" * 32, "image/jpeg")


def line(**changes: Any) -> DamageLine:
    return replace(DamageLine("boom", "bent", False, 100, (PHOTO,)), **changes)


@pytest.mark.parametrize(
    ("found", "field"),
    [
        (line(charge_fen=0), "lines[0].charge"),
        (line(evidence=()), "lines[0].evidence"),
        (line(fair_wear=True), "lines[0].charge"),
        (line(charge_fen=10**14), "lines[0].charge"),
    ],
)
def test_damage_needs_charge_and_evidence_and_fair_wear_neither(
    found: DamageLine, field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_lines([found])
    assert caught.value.violations[0][0] == field


def test_fair_wear_is_noted_without_a_charge() -> None:
    check_lines([line(), line(fair_wear=True, charge_fen=0, evidence=())])


@given(
    deposit_fen=st.integers(0, 10**9),
    charges_fen=st.integers(0, 10**9),
    owed_fen=st.integers(0, 10**9),
)
def test_a_deposit_is_split_whole(deposit_fen: int, charges_fen: int, owed_fen: int) -> None:
    split = split_deposit(deposit_fen, charges_fen=charges_fen, owed_fen=owed_fen)
    assert split.charged_fen + split.held_fen + split.refund_fen == deposit_fen
    assert split.charged_fen + split.short_fen == charges_fen
    assert split.refund_fen == 0 or (split.short_fen == 0 and split.held_fen == owed_fen)


def test_papers_rest_as_json_and_come_back_the_same() -> None:
    inspection = Inspection(
        inspected_on=date(2026, 7, 3),
        inspector="users/1",
        lines=(line(), line(fair_wear=True, charge_fen=0, evidence=())),
        evidence=(PHOTO,),
        use=TermUse(
            Decimal("100.00"),
            Decimal("2410.50"),
            date(2026, 7, 1),
            Decimal("2000.00"),
            Decimal("310.50"),
            2_639_250,
        ),
        charged_fen=2_639_350,
        refund_fen=1,
        held_fen=2,
        claim="",
    )
    assert inspection_of(to_json(inspection)) == inspection
    loss = TotalLoss(date(2026, 1, 1), "parties/1", "burnt", (PHOTO,), "users/1", NOW, 5, NOW)
    assert loss_of(to_json(loss)) == loss
    assert loss_of(None) is None
