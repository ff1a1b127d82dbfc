"""Default of a draw, and its close by the disposal of its machine, which may pay less than owed."""

from datetime import date, timedelta

from ironloop.finance.v1 import finance_pb2
from ironloop.settlement.v1 import settlement_pb2

from infra.local.client import Actor
from services.kit import wire
from services.kit.ids import new_id
from tests.integration.finance.lending import WE_7_FEN, Lending, fen, finance, rid
from tests.integration.finance.test_payoffs import account, payoffs
from tests.support.refusals import refused

PLENTY_FEN = 1_000_000_00


async def close(
    lending: Lending,
    payoff: finance_pb2.Payoff,
    payer: Actor,
    *,
    interest: int = 0,
    principal: int = 0,
    penalty: int = 0,
    short: int,
    as_of: date | None = None,
    transfers: list[str] | None = None,
) -> tuple[finance_pb2.Draw, list[str]]:
    """Pay parts of a draw out of a payer's wallet and close it; return it with the transfers."""
    if transfers is None:
        transfers = [
            await lending.transfer(
                await lending.wallet(payer),
                account(payoff),
                amount,
                code=settlement_pb2.TRANSFER_CODE_DISPOSAL_DISTRIBUTION,
                purpose=payoff.purpose,
            )
            for amount in (interest, principal, penalty)
            if amount
        ]
    request = finance_pb2.SettleDisposalClaimRequest(
        request_id=rid(),
        draw=payoff.draw,
        transfer_ids=transfers,
        interest=wire.money(interest),
        principal=wire.money(principal),
        penalty=wire.money(penalty),
        short=wire.money(short),
    )
    if as_of is not None:
        request.as_of.CopyFrom(wire.date(as_of))
    return await finance(lending.world.service("leasing")).SettleDisposalClaim(request), transfers


async def test_a_disposal_that_brings_too_little_leaves_a_claim(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    facility = await lending.facility(funder, dealer)
    draw = await lending.draw(dealer, await lending.accepted(dealer, facility, machine))
    on = lending.world.today() + timedelta(days=70)
    await lending.world.advance_to(on)
    [payoff] = await payoffs(lending, machine, on)
    assert payoff.priority == 1
    parts = [fen(part) for part in (payoff.interest, payoff.principal, payoff.penalty)]
    assert sum(parts) == fen(payoff.amount)
    assert min(parts) > 0
    interest, principal, penalty = parts

    with refused("PAYOFF_SHORT"):
        await close(lending, payoff, dealer, interest=interest, short=principal)
    closed, transfers = await close(
        lending,
        payoff,
        dealer,
        interest=interest,
        principal=100_000_00,
        short=principal - 100_000_00 + penalty,
        as_of=on,
    )

    assert closed.state == finance_pb2.DRAW_STATE_DEFAULTED
    assert fen(closed.outstanding) == principal - 100_000_00
    assert closed.claim.state == finance_pb2.CLAIM_STATE_OPEN
    assert [fen(closed.claim.interest), fen(closed.claim.principal)] == [
        0,
        principal - 100_000_00,
    ]
    assert fen(closed.claim.penalty) == penalty
    assert await lending.liens(machine) == []
    assert await payoffs(lending, machine, on) == []
    told = [type(event).__name__ for event in await lending.events(draw.name)]
    assert told[-2:] == ["DrawDefaulted", "DrawPaid"]
    # The same again changes nothing; other transfers are another story.
    again, _ = await close(
        lending,
        payoff,
        dealer,
        interest=interest,
        principal=100_000_00,
        short=0,
        transfers=transfers,
    )
    assert (again.event_sequence, again.claim) == (closed.event_sequence, closed.claim)
    with refused("TRANSFER_MISMATCH"):
        await close(lending, payoff, dealer, short=WE_7_FEN, transfers=[])

    # The claim blocks new draws, and is the borrower's to pay.
    offer = await lending.accepted(dealer, facility)
    with refused("COLLATERAL_SHORTFALL"):
        await lending.draw(dealer, offer)
    await lending.fund(dealer, 100_000_00)
    paid = await finance(dealer).PayOffDraw(
        finance_pb2.PayOffDrawRequest(request_id=rid(), name=draw.name)
    )
    assert (paid.state, paid.claim.state) == (
        finance_pb2.DRAW_STATE_REPAID,
        finance_pb2.CLAIM_STATE_PAID,
    )
    assert (await lending.headroom(facility, dealer))["outstanding"] == 0
    await lending.draw(dealer, offer)


async def test_a_disposal_that_pays_everything_repays_the_draw(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    await lending.drawn(funder, dealer, machine=machine)
    [payoff] = await payoffs(lending, machine)

    closed, _ = await close(lending, payoff, dealer, principal=fen(payoff.amount), short=0)

    assert closed.state == finance_pb2.DRAW_STATE_REPAID
    assert not closed.HasField("claim")
    assert await lending.liens(machine) == []


async def test_a_disposal_that_brings_nothing_frees_the_machine_all_the_same(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    await lending.drawn(funder, dealer, machine=machine)
    [payoff] = await payoffs(lending, machine)

    with refused("TRANSFER_MISMATCH"):
        await close(lending, payoff, dealer, principal=1, short=WE_7_FEN, transfers=[])
    with refused("TRANSFER_NOT_FOUND"):
        await close(lending, payoff, dealer, principal=1, short=0, transfers=[str(new_id())])
    closed, _ = await close(lending, payoff, dealer, short=fen(payoff.amount))

    assert closed.state == finance_pb2.DRAW_STATE_DEFAULTED
    assert fen(closed.claim.amount) == fen(payoff.amount)
    assert await lending.liens(machine) == []


async def test_a_default_is_declared_once_it_is_late_enough(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    machine = await lending.machine(dealer)
    draw = await lending.drawn(funder, dealer, machine=machine)
    request = finance_pb2.DeclareDefaultRequest(request_id=rid(), name=draw.name)
    with refused("NOT_IN_DEFAULT"):
        await finance(funder).DeclareDefault(request)
    with refused("NOT_FOUND"):
        await finance(await lending.funder()).DeclareDefault(
            finance_pb2.DeclareDefaultRequest(request_id=rid(), name=draw.name)
        )
    await lending.world.advance_to(lending.world.today() + timedelta(days=130))
    [before] = await payoffs(lending, machine)

    defaulted = await finance(funder).DeclareDefault(
        finance_pb2.DeclareDefaultRequest(request_id=rid(), name=draw.name)
    )

    assert defaulted.state == finance_pb2.DRAW_STATE_DEFAULTED
    [due] = await payoffs(lending, machine)
    assert due == before
    assert (await lending.schedule(funder, draw.name))[-1].due_date == wire.date(
        lending.world.today()
    )
    loss = await finance(funder).GetExpectedLoss(finance_pb2.GetExpectedLossRequest(name=draw.name))
    assert loss.stage == 3
