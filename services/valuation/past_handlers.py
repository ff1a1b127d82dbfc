"""What a past valuation still says: itself, its curve, and its replay. Nothing is written."""

import json
from decimal import Decimal
from uuid import UUID

from services.kit.database import Database
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import name
from services.kit.principals import Principal
from services.valuation import store
from services.valuation.appraisal import CurvePoint, Valuer, points_of_curve
from services.valuation.errors import BuildYearUnknown
from services.valuation.input_rules import check_share
from services.valuation.model import Inputs, Valuation
from services.valuation.record import (
    DIFFERENCES_MAX,
    Difference,
    differences,
    inputs_from_json,
    recompute,
    sha256_of,
)
from services.valuation.registry import Registry

HOURS_PER_YEAR_MAX = Decimal(8_784)  # of a leap year


async def get_valuation(database: Database, valuation_id: UUID, *, viewer: Principal) -> Valuation:
    """Return a valuation that the viewer may see.

    Raises:
        NotFound: There is none, or it is another party's.
    """
    async with database.read() as connection:
        valuation = await store.find_valuation(connection, valuation_id, viewer=viewer)
    if valuation is None:
        raise NotFound(name("valuations", valuation_id))
    return valuation


def curve_of(
    registry: Registry,
    valuation: Valuation,
    *,
    hours_per_year: Decimal | None,
    months: int,
    step_months: int,
    compliance: Decimal | None = None,
) -> tuple[Decimal, list[CurvePoint]]:
    """Return the use assumed and the values over time of a valuation's machine.

    Raises:
        BuildYearUnknown, ModelNotKept, PolicyNotKept: As they say.
        InvalidArgument: `hours_per_year` is more than a year has, or negative; or `compliance`
            (with the maintenance plan from now on; None: as before) is no share.
    """
    inputs, valuer = past_of(registry, valuation)
    if hours_per_year is None:
        hours_per_year = valuer.hours_per_year(inputs)
    if not 0 <= hours_per_year <= HOURS_PER_YEAR_MAX:
        raise InvalidArgument("hours_per_year", f"must lie in 0 to {HOURS_PER_YEAR_MAX:,f} h")
    check_share(compliance, field="maintenance_compliance")
    if inputs.specification.build_year is None and months:
        raise BuildYearUnknown(valuation.name)
    points = points_of_curve(months, step_months)
    return hours_per_year, valuer.curve(
        inputs, hours_per_year=hours_per_year, months=points, compliance=compliance
    )


def replay(registry: Registry, valuation: Valuation) -> tuple[str, list[Difference]]:
    """Recompute a valuation; return the new record's hash and where it differs from the kept one.

    A kept record that no longer fits the hash it was issued under is a difference too.

    Raises:
        ModelNotKept, PolicyNotKept: What it was computed with is gone.
    """
    _, valuer = past_of(registry, valuation)
    recomputed = recompute(valuer, valuation.record)
    found = differences(valuation.record, recomputed)
    if (kept := sha256_of(valuation.record)) != valuation.record_sha256:
        found.insert(0, ("", f'"{valuation.record_sha256}"', f'"{kept}"'))
    return sha256_of(recomputed), found[:DIFFERENCES_MAX]


def past_of(registry: Registry, valuation: Valuation) -> tuple[Inputs, Valuer]:
    """Return what a valuation was computed from, and with.

    Raises:
        ModelNotKept, PolicyNotKept: The latter is gone.
    """
    record = json.loads(valuation.record)
    versions = record["versions"]
    valuer = registry.valuer(versions["model"], versions["policy"])
    return inputs_from_json(record["inputs"]), valuer
