"""More hours never raise a value, and the line of a move that names them never says so."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from ml.residual_value.contributions import AGE, HOURS
from services.valuation.appraisal import Valuer
from services.valuation.explanation import Explainer, ValueBasis
from services.valuation.model import Adjustments, Component, Specification
from services.valuation.value_moves import explain_move
from tests.unit.valuation.machines import AS_OF, EXCAVATOR, KNOWN, inputs_of

# Through every step of the booster's trees, past 20,000 h into the hours beyond the data.
SWEPT = [*range(1, 12_000, 37), *range(12_000, 60_000, 997)]
LOADER = replace(EXCAVATOR, equipment_class="WHEEL_LOADER", model="L956F", make="SDLG")
MACHINES = {"excavator": EXCAVATOR, "known model": KNOWN, "loader": LOADER}


@pytest.mark.parametrize("build_year", [2010, 2019, 2023, 2026])
@pytest.mark.parametrize("which", list(MACHINES))
def test_at_a_date_and_index_more_hours_never_raise_a_value(
    valuer: Valuer, which: str, build_year: int
) -> None:
    adjusted = Adjustments(
        maintenance_compliance=Decimal("0.9"),
        open_stop_faults=1,
        components=(Component("ENGINE", Decimal(500)),),
    )
    before: tuple[int, ...] | None = None
    for hours in SWEPT:
        inputs = inputs_of(MACHINES[which], build_year=build_year, hours_meter=Decimal(hours))
        values = valuer.appraise(replace(inputs, adjustments=adjusted))[0].values
        found = (*values.flv, *values.olv, *values.fmv)
        if before is not None:
            rises = [now > then for now, then in zip(found, before, strict=True)]
            assert not any(rises), f"{hours} h: {before} → {found}"
        before = found


@pytest.mark.parametrize("which", list(MACHINES))
def test_hours_that_grow_while_time_passes_never_raise_a_moved_value(
    valuer: Valuer, which: str
) -> None:
    explainer = Explainer(valuer)
    rising: list[Decimal] = []
    for year in (2012, 2018, 2021, 2023):
        machine: Specification = replace(MACHINES[which], build_year=year)
        for start in range(1_000, 18_000, 1_471):
            former_inputs = inputs_of(machine, as_of=AS_OF, hours_meter=Decimal(start))
            former = explainer.reasons(former_inputs, ValueBasis.OLV)
            for on, more in ((date(2026, 7, 5), 88), (date(2027, 1, 10), 900)):
                later_inputs = inputs_of(machine, as_of=on, hours_meter=Decimal(start + more))
                later = explainer.reasons(later_inputs, ValueBasis.OLV)
                move = explain_move(former, later, ValueBasis.OLV)
                moved = sum(line.amount_fen for line in move.lines)
                assert move.start_fen + moved == move.value_fen
                for line in move.lines:
                    if line.code in (HOURS, AGE):
                        assert line.percent <= 0, line
                        assert line.amount_fen <= 0, line
                parts = [
                    reason.log
                    for one in (later, former)
                    for reason in one.reasons
                    if reason.code == HOURS
                ]
                rising.append(parts[0] - parts[1])
    # The difference of the two explanations, which such a line once was, does rise at times.
    assert max(rising) > 0
