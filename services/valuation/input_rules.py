"""What a machine may be valued from: each refusal names the field and its limit."""

from datetime import date
from decimal import Decimal

from services.kit.errors import InvalidArgument
from services.valuation.adjustments import CONDITION_GRADES
from services.valuation.model import HOURS_MAX, Adjustments, Inputs
from services.valuation.policy import PolicyTable

ADJUSTMENTS = "overrides.adjustments"


def check_inputs(inputs: Inputs, policy: PolicyTable, *, today: date, registered: bool) -> None:
    """Check what a machine is valued from.

    Raises:
        InvalidArgument: Names the field and its limit.
    """
    specification, as_of = inputs.specification, inputs.as_of
    if as_of > today:
        raise InvalidArgument("as_of", f"{as_of} lies after today, {today}; see GetCurve")
    built = specification.build_year
    if built is not None and built > as_of.year:
        field = "as_of" if registered else "specification.build_year"
        raise InvalidArgument(field, f"built in {built}, after the as-of date {as_of}")
    hours = specification.hours_meter
    if hours is not None and not 0 <= hours <= HOURS_MAX:
        stated = "overrides" if "hours_meter" in inputs.overridden else "specification"
        raise InvalidArgument(
            f"{stated}.hours_meter", f"must lie in 0 to {HOURS_MAX:,f} h, not {hours:f}"
        )
    if not 0 <= inputs.olv_weight <= 1:
        raise InvalidArgument("overrides.olv_weight", "must lie in 0 (FLV) to 1 (FMV)")
    check_adjustments(inputs.adjustments, policy, hours=hours)


def check_adjustments(
    adjustments: Adjustments,
    policy: PolicyTable,
    *,
    hours: Decimal | None,
    field: str = ADJUSTMENTS,
) -> None:
    """Check what is stated of a machine beside its specification.

    Args:
        hours: What its meter shows; None: unknown.
        field: Where the adjustments stand in the request.

    Raises:
        InvalidArgument: Names the field and its limit.
    """
    if adjustments.condition and adjustments.condition not in CONDITION_GRADES:
        raise InvalidArgument(f"{field}.condition", f"is none of {', '.join(CONDITION_GRADES)}")
    check_share(adjustments.maintenance_compliance, field=f"{field}.maintenance_compliance")
    known = policy.codes("COMPONENT.")
    seen: set[str] = set()
    for place, component in enumerate(adjustments.components):
        own = f"{field}.components[{place}]"
        if component.code not in known:
            raise InvalidArgument(f"{own}.code", f"{component.code} is none of {', '.join(known)}")
        if component.code in seen:
            raise InvalidArgument(f"{own}.code", f"{component.code} is stated twice")
        seen.add(component.code)
        limit = HOURS_MAX if hours is None else min(hours, HOURS_MAX)
        if not 0 <= component.hours_since_reman <= limit:
            raise InvalidArgument(
                f"{own}.hours_since_reman",
                f"must lie in 0 to {limit:,f} h, what the machine itself has run at most",
            )
    _check_code(adjustments.region, policy.codes("REGION."), field=f"{field}.region")
    _check_code(adjustments.channel, policy.codes("CHANNEL."), field=f"{field}.channel")


def check_share(value: Decimal | None, *, field: str) -> None:
    """Check a share.

    Raises:
        InvalidArgument: It does not lie in 0 to 1.
    """
    if value is not None and not 0 <= value <= 1:
        raise InvalidArgument(field, f"must lie in 0 to 1, not {value:f}")


def _check_code(code: str, known: list[str], *, field: str) -> None:
    if code and code not in known:
        raise InvalidArgument(field, f"{code} is none of {', '.join(known)}")
