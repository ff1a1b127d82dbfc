"""What settlement does with simulated e-CNY wallets, and with payments that wait for an event."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from services.kit.errors import InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal, principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.settlement import ecny_store as store
from services.settlement import handlers
from services.settlement import payment_store as payments
from services.settlement.account import AccountKind
from services.settlement.ecny_model import EcnyWallet, expiry_words
from services.settlement.errors import ReleaseEventDiffers, ReleaseTooLate
from services.settlement.lifecycle import PAYMENT
from services.settlement.payment_handlers import get_payment
from services.settlement.payment_model import Payment, PaymentState
from services.settlement.payment_moves import RELEASE_TIMER, conclude
from services.settlement.rails import ECNY


async def create_wallet(
    tx: Transaction,
    account: int,
    *,
    payees: Sequence[str],
    purposes: Sequence[str],
    viewer: Principal,
) -> EcnyWallet:
    """Open a simulated e-CNY wallet over a wallet account that the viewer may see.

    Raises:
        NotFound: There is no such account, or it is another party's.
        InvalidArgument: The account is no wallet.
    """
    record = await handlers.get_account(tx.connection, account, viewer=viewer)
    if record.key.kind is not AccountKind.WALLET or record.key.owner is None:
        raise InvalidArgument("account", "must be a wallet")
    wallet = EcnyWallet(
        new_id(), 1, account, record.key.owner, tuple(payees), tuple(purposes), tx.now, tx.now
    )
    await store.insert_wallet(tx.connection, wallet)
    return wallet


async def update_wallet(
    tx: Transaction,
    wallet_id: UUID,
    *,
    payees: Sequence[str],
    purposes: Sequence[str],
    etag: str,
    viewer: Principal,
) -> EcnyWallet:
    """Replace a wallet's conditions.

    Raises:
        NotFound: There is none, or it is another party's.
        EtagMismatch: It changed since `etag` was read.
    """
    wallet = await store.find_wallet(tx.connection, wallet_id, viewer=viewer, lock=True)
    if wallet is None:
        raise NotFound(name("ecnyWallets", wallet_id))
    check_etag(etag, wallet.version)
    return await store.update_conditions(
        tx.connection, wallet_id, payees=payees, purposes=purposes, at=tx.now
    )


async def release_payment(tx: Transaction, payment: Payment, event: str) -> Payment:
    """Note that a payment's release event has happened, and let its rail go on.

    Raises:
        ReleaseEventDiffers: It waits for another event, or for none.
        TransitionRefused: It has ended.
        ReleaseTooLate: Its deadline has passed.
    """
    if payment.release_event != event:
        raise ReleaseEventDiffers(payment.name, payment.release_event)
    if not payment.is_waiting:
        return payment
    step = PAYMENT.next(payment.state, "release", subject=payment.name)
    assert payment.release_deadline is not None
    if tx.now >= payment.release_deadline:
        raise ReleaseTooLate(payment.name, payment.release_deadline)
    await tx.cancel_timers(payment.name, kind=RELEASE_TIMER)
    released = await payments.update_payment(
        tx.connection,
        replace(payment, state=step.target, release_time=tx.now),
        announces=False,
        at=tx.now,
    )
    if released.state is PaymentState.SUBMITTED:
        await ECNY.release(tx, released)
    return released


async def on_release_expired(tx: Transaction, timer: Timer) -> None:
    """Give the hold of a payment back whose release event did not happen in time."""
    payment = await get_payment(tx, UUID(timer.payload["payment"]), viewer=principal())
    if not payment.is_waiting:
        return
    command = "return" if payment.state is PaymentState.SUBMITTED else "cancel"
    await conclude(tx, payment, command, reason=expiry_words(payment))
