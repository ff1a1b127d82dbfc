"""Deposits across services: how they are taken, and the ways in which they end (journal J6).

What the payer can refuse to be charged (a deposit, return freight) is posted under ids of its own
saga, and a refusal ends the saga with nothing moved. What must end (a credit, a forfeiture, a
cancellation) is posted until it is done: after a refusal under the ids of the next attempt.
"""

from uuid import UUID

from google.protobuf.message import Message
from ironloop.settlement.v1 import settlement_pb2

from services.kit.clock import business_date
from services.kit.postings import Leg, first_unrefused, open_account, open_wallets, post
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction
from services.remanufacturing import closing_handlers, core_handlers
from services.remanufacturing.core_wire import core_return_to_wire


async def open_deposit_accounts(runtime: Runtime, saga: Saga) -> Facts:
    """Open the payer's wallet and the account of the deposit where they are not open."""
    party = saga.facts["party"]
    wallets = await open_wallets(runtime.peers, [party])
    deposit_account = await open_account(
        runtime.peers,
        settlement_pb2.ACCOUNT_KIND_CORE_DEPOSIT,
        owner=party,
        reference=saga.subject,
    )
    return {"wallet": wallets[party], "deposit_account": deposit_account}


async def take_deposit(runtime: Runtime, saga: Saga) -> Facts:
    """Post the first half of J6: the payer's wallet pays the deposit.

    Raises:
        InsufficientFunds, TransferRefused: Nothing moved.
    """
    leg = Leg(
        id=saga.fact_id("deposit"),
        debit=saga.facts["wallet"],
        credit=saga.facts["deposit_account"],
        amount_fen=saga.facts["deposit_fen"],
        code=settlement_pb2.TRANSFER_CODE_CORE_DEPOSIT,
        purpose=saga.subject,
        payer=saga.facts["party"],
    )
    await post(runtime.peers, [leg], txn=saga.fact_id("txn"), on_behalf_of=saga.actor)
    return {}


async def write_charge(tx: Transaction, saga: Saga) -> None:
    """Write the core return whose deposit is paid; its day 0 is that of the saga."""
    await core_handlers.record_charge(
        tx, _id_of(saga), saga.facts, deposit_on=business_date(saga.create_time)
    )


async def open_closing_accounts(runtime: Runtime, saga: Saga) -> Facts:
    """Open the accounts between which a deposit is divided where they are not open."""
    party, remanufacturer = saga.facts["party"], saga.facts["remanufacturer"]
    wallets = await open_wallets(runtime.peers, [party, remanufacturer])
    income = await open_account(
        runtime.peers, settlement_pb2.ACCOUNT_KIND_REMAN_INCOME, owner=remanufacturer
    )
    return {
        "wallet": wallets[party],
        "remanufacturer_wallet": wallets[remanufacturer],
        "income": income,
    }


async def divide_deposit(runtime: Runtime, saga: Saga) -> Facts:
    """Post the second half of J6: the credit goes back, what is left is the remanufacturer's.

    Raises:
        HeldUp: Settlement refused, a frozen account for example; it is tried until it is done.
    """
    if saga.facts.get("is_done"):
        return {}
    attempt = await first_unrefused(
        runtime.peers, lambda attempt: [leg.id for leg in _division(saga, attempt)]
    )
    txn = saga.fact_id("txn", attempt=attempt)
    async with until_done(f"deposit of {saga.subject}"):
        await post(runtime.peers, _division(saga, attempt), txn=txn)
    return {"txn": str(txn)}


async def keep_and_charge_freight(runtime: Runtime, saga: Saga) -> Facts:
    """Keep the deposit of a rejected core and charge the freight of sending it back, in one chain.

    Raises:
        InsufficientFunds, TransferRefused: Nothing moved, so the core is not sent back yet.
    """
    freight = Leg(
        id=saga.fact_id("freight"),
        debit=saga.facts["wallet"],
        credit=saga.facts["remanufacturer_wallet"],
        amount_fen=saga.facts["freight_fen"],
        code=settlement_pb2.TRANSFER_CODE_CORE_RETURN_FREIGHT,
        purpose=saga.subject,
        payer=saga.facts["party"],
    )
    txn = saga.fact_id("txn")
    await post(runtime.peers, [*_division(saga, 1), freight], txn=txn)
    return {"txn": str(txn)}


async def write_credit(tx: Transaction, saga: Saga) -> None:
    """Write that the credit is paid."""
    await closing_handlers.mark_credited(tx, _id_of(saga), txn=UUID(saga.facts["txn"]))


async def write_rejection(tx: Transaction, saga: Saga) -> None:
    """Write that the core goes back."""
    await closing_handlers.mark_rejected(
        tx,
        _id_of(saga),
        why=saga.facts["why"],
        freight_fen=saga.facts["freight_fen"],
        txn=UUID(saga.facts["txn"]),
    )


async def write_forfeiture(tx: Transaction, saga: Saga) -> None:
    """Write that the deposit is kept."""
    await closing_handlers.mark_forfeited(tx, _id_of(saga), txn=UUID(saga.facts["txn"]))


async def write_cancellation(tx: Transaction, saga: Saga) -> None:
    """Write that the deposit is back."""
    if not saga.facts["is_done"]:
        await closing_handlers.mark_cancelled(tx, _id_of(saga), txn=UUID(saga.facts["txn"]))


async def answer_core_return(tx: Transaction, saga: Saga) -> Message:
    """Answer the core return as it is when its saga is done."""
    return core_return_to_wire(await core_handlers.lock(tx, _id_of(saga)))


def _division(saga: Saga, attempt: int) -> list[Leg]:
    """Return the legs that empty a deposit account: what goes back, and what is kept."""
    facts = saga.facts
    credit_fen = facts.get("credit_fen", 0)
    credit = Leg(
        id=saga.fact_id("credit", attempt=attempt),
        debit=facts["deposit_account"],
        credit=facts["wallet"],
        amount_fen=credit_fen,
        code=settlement_pb2.TRANSFER_CODE_CORE_CREDIT,
        purpose=saga.subject,
        payer=saga.subject,
    )
    kept = Leg(
        id=saga.fact_id("kept", attempt=attempt),
        debit=facts["deposit_account"],
        credit=facts["income"],
        amount_fen=facts["deposit_fen"] - credit_fen,
        code=settlement_pb2.TRANSFER_CODE_CORE_FORFEIT,
        purpose=saga.subject,
        payer=saga.subject,
    )
    return [leg for leg in (credit, kept) if leg.amount_fen]


def _id_of(saga: Saga) -> UUID:
    return UUID(saga.subject.removeprefix("coreReturns/"))


_OPEN = Step("open_accounts", call=open_closing_accounts)

CORE_SAGAS = (
    SagaKind(
        core_handlers.CHARGE_DEPOSIT,
        (
            Step("open_accounts", call=open_deposit_accounts),
            Step("take_deposit", call=take_deposit, apply=write_charge),
        ),
        answer=answer_core_return,
    ),
    SagaKind(
        core_handlers.CREDIT_CORE,
        (_OPEN, Step("divide_deposit", call=divide_deposit, apply=write_credit)),
    ),
    SagaKind(
        closing_handlers.FORFEIT_DEPOSIT,
        (_OPEN, Step("divide_deposit", call=divide_deposit, apply=write_forfeiture)),
    ),
    SagaKind(
        closing_handlers.CANCEL_RETURN,
        (_OPEN, Step("divide_deposit", call=divide_deposit, apply=write_cancellation)),
        answer=answer_core_return,
    ),
    SagaKind(
        closing_handlers.REJECT_CORE,
        (
            _OPEN,
            Step("keep_and_charge_freight", call=keep_and_charge_freight, apply=write_rejection),
        ),
        answer=answer_core_return,
    ),
)
