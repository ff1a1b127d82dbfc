"""What settlement does with payments; each change and its transfer are one transaction."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.kit.errors import InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import fact_id, name, new_id
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.settlement import ecny_store, handlers, pain001, store
from services.settlement import payment_store as payments
from services.settlement.account import (
    MAIN_LEDGER,
    AccountKind,
    AccountRecord,
    ledger_of,
)
from services.settlement.ecny_model import PAYEE_REFUSED, condition_problem
from services.settlement.errors import (
    FourEyes,
    NothingToExport,
    PayeeNotAllowed,
    PurposeNotAllowed,
    ReleaseTooLate,
)
from services.settlement.lifecycle import PAYMENT
from services.settlement.pain001 import FILE_PAYMENTS_MAX
from services.settlement.payment_model import (
    PAYMENT_FEN_MAX,
    Payment,
    PaymentState,
    Rail,
    destination_problem,
)
from services.settlement.payment_moves import (
    CURRENCY,
    RELEASE_TIMER,
    WITHDRAWAL,
    bank_account,
    conclude,
    move,
)
from services.settlement.rails import RAILS
from services.settlement.transfer import Transfer, TransferKind

FOUR_EYES_ABOVE_FEN = 5_000_000  # 50,000 yuan; a user alone may pay up to this


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """What a caller instructs.

    Attributes:
        account: The number of the wallet that pays.
        destination: The number of the wallet that receives, on the internal rail.
        ecny_wallet: The simulated e-CNY wallet whose conditions hold; the rest are its conditions.
    """

    account: int
    rail: Rail
    amount_fen: int
    destination: int | None
    creditor_name: str
    creditor_account: str
    creditor_agent: str
    remittance: str
    ecny_wallet: UUID | None = None
    purpose: str = ""
    release_event: str = ""
    release_deadline: datetime | None = None


async def create_payment(tx: Transaction, order: PaymentOrder, *, viewer: Principal) -> Payment:
    """Instruct a payment from a wallet that the viewer may see.

    Raises:
        NotFound: There is no such wallet or destination, or the wallet is another party's.
        InvalidArgument: The account is no wallet, the rail lacks its destination, or a condition
            is incomplete.
        PayeeNotAllowed, PurposeNotAllowed: The e-CNY wallet's conditions are not met.
    """
    record = await handlers.get_account(tx.connection, order.account, viewer=viewer)
    if record.key.kind is not AccountKind.WALLET or record.key.owner is None:
        raise InvalidArgument("account", "must be a wallet")
    if order.amount_fen > PAYMENT_FEN_MAX:
        raise InvalidArgument("amount", f"must not exceed {PAYMENT_FEN_MAX:,} fen")
    problem = destination_problem(
        order.rail,
        destination=order.destination is not None,
        creditor_name=order.creditor_name,
        creditor_account=order.creditor_account,
        agent=order.creditor_agent,
    )
    if problem is not None:
        raise InvalidArgument(*problem)
    for field in ("creditor_name", "remittance"):
        if not getattr(order, field).isprintable():  # a file of XML could not say it
            raise InvalidArgument(field, "must hold printable characters only")
    await _check_destination(tx, order, record)
    await _check_conditions(tx, order, viewer)
    payment_id = new_id()
    payment = Payment(
        id=payment_id,
        version=1,
        event_sequence=0,
        state=PaymentState.CREATED,
        rail=order.rail,
        account=order.account,
        party=record.key.owner,
        amount=order.amount_fen,
        destination=order.destination,
        creditor_name=order.creditor_name,
        creditor_account=order.creditor_account,
        creditor_agent=order.creditor_agent,
        end_to_end_id=payment_id.hex,
        remittance=order.remittance,
        maker=viewer.actor,
        checker="",
        failure="",
        hold_transfer=None,
        post_transfer=None,
        file=None,
        create_time=tx.now,
        update_time=tx.now,
        ecny_wallet=order.ecny_wallet,
        purpose=order.purpose,
        release_event=order.release_event,
        release_deadline=order.release_deadline,
    )
    await payments.insert_payment(tx.connection, payment)
    return payment


async def get_payment(
    tx: Transaction, payment_id: UUID, *, viewer: Principal, etag: str = ""
) -> Payment:
    """Return a payment, locked for change.

    Raises:
        NotFound: There is none, or it is another party's.
        EtagMismatch: It changed since `etag` was read.
    """
    payment = await payments.find_payment(tx.connection, payment_id, viewer=viewer, lock=True)
    if payment is None:
        raise NotFound(name("payments", payment_id))
    check_etag(etag, payment.version)
    return payment


async def authorise_payment(tx: Transaction, payment: Payment, *, checker: Principal) -> Payment:
    """Hold a payment's amount.

    Raises:
        TransitionRefused: It is not CREATED.
        FourEyes: It is above the limit and the checker instructed it.
        InsufficientFunds, TransferRefused: The ledger refuses the hold.
        ReleaseTooLate: The deadline for its release event has passed.
    """
    step = PAYMENT.next(payment.state, "authorise", subject=payment.name)
    if payment.amount > FOUR_EYES_ABOVE_FEN and checker.actor == payment.maker:
        raise FourEyes(payment.name, amount_fen=payment.amount, above_fen=FOUR_EYES_ABOVE_FEN)
    if payment.is_waiting:
        assert payment.release_deadline is not None
        if tx.now >= payment.release_deadline:
            raise ReleaseTooLate(payment.name, payment.release_deadline)
        await tx.set_timer(
            RELEASE_TIMER,
            payment.name,
            due_at=payment.release_deadline,
            payload={"payment": str(payment.id)},
        )
    target = payment.destination or await bank_account(tx, ledger_of(payment.account))
    hold = Transfer(
        fact_id(tx.now, payment.name, "hold"),
        payment.id,
        TransferKind.PENDING,
        payment.account,
        target,
        payment.amount,
        None,
        0,
        False,
        WITHDRAWAL,
        payment.name,
        payment.remittance,
    )
    await move(tx, payment.name, hold)
    changed = replace(payment, state=step.target, checker=checker.actor, hold_transfer=hold.id)
    return await payments.update_payment(tx.connection, changed, announces=False, at=tx.now)


async def submit_payment(tx: Transaction, payment: Payment) -> Payment:
    """Hand a payment to its rail.

    Raises:
        TransitionRefused: It is not AUTHORISED.
        TransferRefused: It is settled at once and the ledger refuses.
    """
    step = PAYMENT.next(payment.state, "submit", subject=payment.name)
    submitted = await payments.update_payment(
        tx.connection, replace(payment, state=step.target), announces=False, at=tx.now
    )
    if await RAILS[payment.rail].submit(tx, submitted):
        return await conclude(tx, submitted, "settle", reason="")
    return submitted


async def export_pain001(tx: Transaction) -> tuple[str, list[Payment], str]:
    """Write the payments that wait for a file into one; return its message id, them, and it.

    Raises:
        NothingToExport: None waits.
    """
    waiting = await payments.lock_payments_to_export(tx.connection, limit=FILE_PAYMENTS_MAX)
    if not waiting:
        raise NothingToExport
    message_id = new_id().hex
    xml = pain001.write_pain001(
        waiting,
        message_id=message_id,
        at=tx.now,
        execution_on=tx.today,
        debtor_account=str(await bank_account(tx, MAIN_LEDGER)),
        currency=CURRENCY,
    )
    await payments.insert_file(
        tx.connection,
        message_id,
        count=len(waiting),
        sum_fen=sum(payment.amount for payment in waiting),
        xml=xml,
        at=tx.now,
    )
    ids = [payment.id for payment in waiting]
    await payments.set_file(tx.connection, ids, message_id, at=tx.now)
    return message_id, waiting, xml


async def _check_destination(tx: Transaction, order: PaymentOrder, record: AccountRecord) -> None:
    if order.destination is None:
        return
    # Whose wallet receives is not shown to the payer, so any wallet of the ledger may be named.
    if order.destination == order.account or not await store.is_wallet(
        tx.connection, order.destination, ledger=record.key.ledger
    ):
        raise NotFound(name("accounts", order.destination))


async def _check_conditions(tx: Transaction, order: PaymentOrder, viewer: Principal) -> None:
    problem = condition_problem(
        order.rail,
        has_wallet=order.ecny_wallet is not None,
        purpose=order.purpose,
        release_event=order.release_event,
        release_deadline=order.release_deadline,
        now=tx.now,
    )
    if problem is not None:
        raise InvalidArgument(*problem)
    if order.ecny_wallet is None:
        return
    wallet = await ecny_store.find_wallet(tx.connection, order.ecny_wallet, viewer=viewer)
    if wallet is None:
        raise NotFound(name("ecnyWallets", order.ecny_wallet))
    if wallet.account != order.account:
        raise InvalidArgument("ecny_wallet", "must be one over the account that pays")
    refusal = wallet.refusal(payee=order.creditor_account, purpose=order.purpose)
    if refusal == PAYEE_REFUSED:
        raise PayeeNotAllowed(wallet.name, order.creditor_account)
    if refusal:
        raise PurposeNotAllowed(wallet.name, order.purpose)
