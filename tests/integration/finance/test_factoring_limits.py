"""What may be sold to whom, how much of one debtor, and who sees it."""

from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import pytest
from ironloop.finance.v1 import finance_pb2, receivables_pb2

from services.kit import wire
from tests.integration.finance.leases import Rental, accept, cancel, receivables
from tests.integration.finance.lending import Lending, fen, finance, rid
from tests.support.refusals import refused

PLENTY_FEN = 2_000_000_00


async def test_only_what_is_confirmed_and_in_one_piece_is_sold(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder()
    await rental.confirm(2, 4)

    with refused("TRANSITION_REFUSED"):
        await rental.offer(funder, 1, 4)
    with refused("NOT_FOUND"):
        await rental.offer(funder, 4, 7)
    with refused("INVALID_FIELD"):
        await rental.offer(funder, 4, 3)
    with refused("INVALID_FIELD"):
        await rental.offer(rental.lessee, 2, 3)
    with refused("INVALID_FIELD"):
        await rental.offer(funder, 2, 3, nominal_rate=wire.decimal(Decimal("0.5")))


async def test_one_debtor_is_at_most_a_quarter_of_a_facility(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 6)
    instalment_fen = fen((await rental.receivables())[0].amount)
    facility = await factoring.facility(funder, rental.lessor, limit_fen=9 * instalment_fen)

    first = await rental.offer(funder, 1, 1, facility=facility.name)
    second = await rental.offer(funder, 2, 2, facility=facility.name)
    with refused("CONCENTRATION_EXCEEDED"):
        await rental.offer(funder, 3, 3, facility=facility.name)
    await accept(funder, first)
    with refused("CONCENTRATION_EXCEEDED"):
        await rental.offer(funder, 3, 3, facility=facility.name)
    await cancel(rental.lessor, second)
    await rental.offer(funder, 3, 3, facility=facility.name)
    other = await factoring.funder()
    with refused("NOT_FOUND"):
        await rental.offer(other, 4, 4, facility=facility.name)


async def portfolio_from(lending: Lending, yuan: int) -> None:
    """Publish from which amount on a funder's portfolio is held to its debtors' shares."""
    admin = await lending.world.party("ADMIN")
    current = await finance(admin).GetPolicy(finance_pb2.GetPolicyRequest(name="policies/current"))
    year, number = current.version.split(".")
    await finance(admin).PublishPolicy(
        finance_pb2.PublishPolicyRequest(
            request_id=rid(),
            version=f"{year}.{int(number) + 1}",
            values=[
                finance_pb2.PolicyValue(
                    parameter=finance_pb2.POLICY_PARAMETER_PORTFOLIO_CONCENTRATION_FROM,
                    value=wire.decimal(Decimal(yuan)),
                )
            ],
        )
    )


async def test_without_a_facility_a_debtor_is_at_most_a_quarter_of_what_the_funder_holds(
    factoring: Lending,
) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 6)
    instalment_fen = fen((await rental.receivables())[0].amount)
    await portfolio_from(factoring, 9 * instalment_fen // 100)
    try:
        with refused("CONCENTRATION_EXCEEDED"):
            await rental.offer(funder, 1, 3)
        first, second = await rental.offer(funder, 1, 1), await rental.offer(funder, 2, 2)
        # What is offered and not accepted takes no share: anybody can offer.
        third = await rental.offer(funder, 3, 3)
        await accept(funder, first)
        await accept(funder, second)
        with refused("CONCENTRATION_EXCEEDED"):
            await accept(funder, third)
        with refused("CONCENTRATION_EXCEEDED"):
            await rental.offer(funder, 4, 4)
        # Another debtor has a share of its own, and one that grows with the whole.
        other = await Rental.begin(factoring)
        await other.confirm(1, 2)
        await accept(funder, await other.offer(funder, 1, 2))
        with refused("CONCENTRATION_EXCEEDED"):
            await accept(funder, third)
    finally:
        await portfolio_from(factoring, 10_000_000)
    # An offer is held to the policy that it cites; one made anew, to the new policy.
    await cancel(rental.lessor, third)
    again = await accept(funder, await rental.offer(funder, 3, 3))
    assert again.state == receivables_pb2.FACTORING_STATE_FUNDED


async def test_other_parties_see_nothing_of_it(factoring: Lending) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder()
    stranger = await factoring.world.party("LESSOR", "LESSEE", "FUNDER")
    await rental.confirm(1, 2)
    offer = await rental.offer(funder, 1, 2)
    line = (await rental.receivables())[0]

    attempts: list[Awaitable[Any]] = [
        receivables(stranger).GetReceivable(receivables_pb2.GetReceivableRequest(name=line.name)),
        receivables(stranger).GetFactoring(receivables_pb2.GetFactoringRequest(name=offer.name)),
        rental.confirm(1, 2, by=stranger),
        rental.offer(funder, 1, 2, by=stranger),
        accept(stranger, offer),
        cancel(stranger, offer),
        receivables(stranger).DisputeReceivable(
            receivables_pb2.DisputeReceivableRequest(request_id=rid(), name=line.name)
        ),
    ]
    for attempt in attempts:
        with refused("NOT_FOUND"):
            await attempt
    assert not await rental.receivables(stranger)
    assert not (
        await receivables(stranger).ListFactorings(receivables_pb2.ListFactoringsRequest())
    ).factorings
    assert not (
        await receivables(stranger).ListAssignmentNotices(
            receivables_pb2.ListAssignmentNoticesRequest()
        )
    ).notices
    # The debtor sees what it owes, not what its debt was sold for.
    assert len(await rental.receivables(rental.lessee)) == 6
    with refused("PERMISSION_DENIED"):
        await receivables(rental.lessee).GetFactoring(
            receivables_pb2.GetFactoringRequest(name=offer.name)
        )


@pytest.mark.parametrize("command", ["DisputeReceivable", "DiluteReceivable", "ClaimRecourse"])
async def test_what_is_not_built_says_so(factoring: Lending, command: str) -> None:
    rental = await Rental.begin(factoring)
    funder = await factoring.funder(fen=PLENTY_FEN)
    await rental.confirm(1, 1)
    await accept(funder, await rental.offer(funder, 1, 1))
    line = (await rental.receivables())[0]
    side = {
        "DisputeReceivable": rental.lessee,
        "DiluteReceivable": rental.lessor,
        "ClaimRecourse": funder,
    }[command]
    request = getattr(receivables_pb2, f"{command}Request")(request_id=rid(), name=line.name)
    with refused("NOT_YET_AVAILABLE"):
        await getattr(receivables(side), command)(request)
