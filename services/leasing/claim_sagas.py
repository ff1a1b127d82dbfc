"""A claim's payment: post at settlement, then enter it here."""

from uuid import UUID

from google.protobuf.message import Message
from ironloop.settlement.v1 import settlement_pb2

from services.kit.errors import PermissionDenied
from services.kit.ids import parse_name
from services.kit.postings import Leg, open_wallets, post
from services.kit.principals import Principal, principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import claim_handlers, ending_messages
from services.leasing.busy import begin, end, end_refused
from services.leasing.lifecycle import CLAIM
from services.leasing.locks import lock_by_name


async def begin_claim_payment(
    tx: Transaction, claim_id: UUID, *, viewer: Principal, amount_fen: int | None
) -> Saga:
    """Begin to pay a claim, or a part of it.

    Raises:
        NotFound, LeaseBusy, TransitionRefused.
        PermissionDenied: The viewer is not its debtor.
        AmountExceedsDue: More would be paid than is owed.
    """
    lease, claim = await claim_handlers.lock_claim(tx, claim_id, viewer=viewer)
    if viewer.party != claim.debtor:
        raise PermissionDenied(f"only the debtor of {claim.name} may do this")
    CLAIM.next(claim.state, "pay", subject=claim.name)
    return await begin(
        tx,
        lease,
        "lease_claim_payment",
        claim=claim.name,
        creditor=claim.creditor,
        debtor=claim.debtor,
        amount_fen=claim.payable_fen(amount_fen),
    )


async def _post(runtime: Runtime, saga: Saga) -> Facts:
    facts = saga.facts
    wallets = await open_wallets(runtime.peers, [facts["debtor"], facts["creditor"]])
    leg = Leg(
        id=saga.fact_id("claim"),
        debit=wallets[facts["debtor"]],
        credit=wallets[facts["creditor"]],
        amount_fen=facts["amount_fen"],
        code=settlement_pb2.TRANSFER_CODE_LEASE_CLAIM,
        purpose=facts["claim"],
        payer=facts["debtor"],
    )
    await post(runtime.peers, [leg], txn=saga.fact_id("chain"))
    return {}


async def _enter(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    claim = await claim_handlers.get_claim(tx.connection, _claim_id(saga), viewer=principal())
    amount_fen = saga.facts["amount_fen"]
    await end(tx, await claim_handlers.enter_payment(tx, lease, claim, amount_fen=amount_fen))


async def _answer(tx: Transaction, saga: Saga) -> Message:
    claim = await claim_handlers.get_claim(tx.connection, _claim_id(saga), viewer=principal())
    return ending_messages.claim_to_wire(claim)


def _claim_id(saga: Saga) -> UUID:
    return parse_name(saga.facts["claim"], "claims")


CLAIM_PAYMENT = SagaKind(
    kind="lease_claim_payment",
    steps=(Step("post", call=_post, apply=_enter),),
    answer=_answer,
    on_refused=end_refused,
)
