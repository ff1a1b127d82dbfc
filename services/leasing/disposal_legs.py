"""The money of a disposal: the escrow pays its clearing account, which pays each claimant (J9)."""

from dataclasses import replace
from typing import Any

from ironloop.settlement.v1 import settlement_pb2

from services.finmath.waterfall import Claimant
from services.kit.postings import Leg, open_account, open_wallets
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.leasing import pledges
from services.leasing.disposal_model import LENDERS, Line


async def chain(runtime: Runtime, saga: Saga) -> list[Leg]:
    """Return the legs of a disposal: the price comes in, each claimant and the surplus are paid."""
    facts = saga.facts
    lines = lines_kept(saga)
    beneficiary = facts["beneficiary"]
    accounts = await open_wallets(
        runtime.peers, [beneficiary, *(line.creditor for line in lines if line.creditor)]
    )
    accounts[""] = await open_account(runtime.peers, settlement_pb2.ACCOUNT_KIND_PLATFORM_FEE)
    sale = await open_account(
        runtime.peers, settlement_pb2.ACCOUNT_KIND_CLEARING_SALE, reference=facts["disposal"]
    )
    proceeds = Leg(
        id=saga.fact_id("proceeds"),
        debit=facts["escrow"],
        credit=sale,
        amount_fen=facts["price_fen"],
        code=settlement_pb2.TRANSFER_CODE_DISPOSAL_PROCEEDS,
        purpose=facts["disposal"],
        payer=facts["order"],
    )
    surplus = Leg(
        id=saga.fact_id("surplus"),
        debit=sale,
        credit=accounts[beneficiary],
        amount_fen=facts["surplus_fen"],
        code=settlement_pb2.TRANSFER_CODE_DISPOSAL_DISTRIBUTION,
        purpose=facts["disposal"],
        payer=facts["disposal"],
        memo="surplus",
    )
    to_draws = {payoff.draw: payoff.account for payoff in pledges.payoffs_of(saga)}
    shares = [
        _leg(line, saga, sale=sale, account=to_draws.get(line.draw) or accounts[line.creditor])
        for line in lines
    ]
    return [proceeds, *shares, surplus]


def lines_kept(saga: Saga) -> list[Line]:
    """Return the lines that a saga keeps, each with the id of the transfer that pays it."""
    kept: list[dict[str, Any]] = saga.facts["lines"]
    lines = [Line(**each | {"claimant": Claimant(each["claimant"])}) for each in kept]
    return [
        replace(line, transfer_id=saga.fact_id(f"line {rank}") if line.paid_fen else None)
        for rank, line in enumerate(lines, 1)
    ]


def _leg(line: Line, saga: Saga, *, sale: str, account: str) -> Leg:
    is_fee = line.claimant is Claimant.DISPOSAL_COST
    disposal = saga.facts["disposal"]
    return Leg(
        id=line.transfer_id or saga.fact_id("nothing"),
        debit=sale,
        credit=account,
        amount_fen=line.paid_fen,
        code=settlement_pb2.TRANSFER_CODE_PLATFORM_FEE
        if is_fee
        else settlement_pb2.TRANSFER_CODE_DISPOSAL_DISTRIBUTION,
        # Finance recognises what pays a draw by the purpose.
        purpose=line.draw if line.claimant in LENDERS else disposal,
        payer=disposal,
        memo=line.claimant.value.lower().replace("_", " "),
    )
