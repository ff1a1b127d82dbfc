"""Machines to value, and what values them."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import ml.residual_value
import services.valuation
from ml.residual_value.model import ResidualValueModel
from services.valuation.appraisal import Valuer
from services.valuation.model import Inputs, Specification
from services.valuation.policy import read_policy

MODEL = Path(ml.residual_value.__file__).parent / "models" / "us-auctions-2012.02-4"
POLICY = Path(services.valuation.__file__).parent / "policies" / "2026-4.json"
AS_OF = date(2026, 6, 15)

EXCAVATOR = Specification(
    make="SANY",
    model="SY215C",
    equipment_class="HYDRAULIC_EXCAVATOR",
    build_year=2021,
    hours_meter=Decimal(6_000),
    replacement_cost_fen=1_000_000_00,
)
KNOWN = replace(EXCAVATOR, make="Caterpillar", model="330CL", replacement_cost_fen=2_400_000_00)


@cache
def read_valuer() -> Valuer:
    """Return the shipped champion with the present policy."""
    return Valuer.of(ResidualValueModel(MODEL), read_policy(POLICY))


def inputs_of(
    specification: Specification = EXCAVATOR,
    *,
    as_of: date = AS_OF,
    olv_weight: Decimal = Decimal("0.5"),
    **facts: Any,
) -> Inputs:
    """Return a machine as of a date, some of its facts replaced."""
    return Inputs(replace(specification, **facts), as_of, olv_weight)
