"""Simulated e-CNY wallets: whom they pay, what for, and when."""

from datetime import timedelta
from typing import Any

import pytest
from ironloop.settlement.v1 import ecny_pb2, ecny_pb2_grpc
from ironloop.settlement.v1 import payments_pb2 as pb
from ironloop.settlement.v1 import payments_pb2_grpc as rpc

from infra.local.client import Actor
from services.kit import wire
from services.kit.ids import new_id
from services.settlement.lifecycle import PAYMENT
from services.settlement.payment_model import PaymentState
from tests.integration.settlement.payer import ECNY, Payer, state_of
from tests.support.refusals import refused

EVENT = "orders/0197a1b2-0000-7000-8000-000000000001:accepted"
PAYEE = "SIM-OK-77"  # the simulator surprises one in a hundred others by each of its tricks


def stub(actor: Actor) -> "ecny_pb2_grpc.EcnyServiceAsyncStub":
    return actor.stub(ecny_pb2_grpc.EcnyServiceStub)


async def open_wallet(payer: Payer, **conditions: Any) -> ecny_pb2.EcnyWallet:
    return await stub(payer.actor).CreateEcnyWallet(
        ecny_pb2.CreateEcnyWalletRequest(
            request_id=str(new_id()), account=f"accounts/{payer.wallet}", **conditions
        )
    )


def paid_from(wallet: ecny_pb2.EcnyWallet, **fields: Any) -> dict[str, Any]:
    given = {"creditor_account": PAYEE, "ecny_wallet": wallet.name, "purpose": "GDDS"}
    return ECNY | given | fields


def waiting(payer: Payer, wallet: ecny_pb2.EcnyWallet, *, days: int = 5) -> dict[str, Any]:
    at = payer.world.running["settlement"].runtime.clock.now() + timedelta(days=days)
    deadline = wire.instant(at)
    return paid_from(wallet, release_event=EVENT, release_deadline=deadline)


async def release(payer: Payer, payment: pb.Payment, event: str = EVENT) -> pb.Payment:
    return await payer.operator.ReleasePayment(
        pb.ReleasePaymentRequest(request_id=str(new_id()), name=payment.name, event=event)
    )


async def test_a_wallet_pays_those_on_its_list_for_what_is_on_its_list(payer: Payer) -> None:
    wallet = await open_wallet(payer, payees=[PAYEE], purposes=["GDDS", "RENT"])
    assert wallet.is_simulated
    assert (list(wallet.payees), wallet.account) == ([PAYEE], f"accounts/{payer.wallet}")
    with refused("ECNY_PAYEE_NOT_ALLOWED"):
        await payer.create(**paid_from(wallet, creditor_account="0102-78"))
    with refused("ECNY_PURPOSE_NOT_ALLOWED"):
        await payer.create(**paid_from(wallet, purpose="SALA"))
    with refused("ECNY_PURPOSE_NOT_ALLOWED"):
        await payer.create(**paid_from(wallet, purpose=""))
    payment = await payer.submitted(1_000, **paid_from(wallet))
    assert (payment.is_simulated, payment.ecny_wallet) == (True, wallet.name)
    await payer.advance(days=1)
    assert state_of(await payer.get(payment)) == "SETTLED"


@pytest.mark.parametrize(
    ("conditions", "code"), [({"payees": ["0102-1"]}, "AG01"), ({"purposes": ["RENT"]}, "FF07")]
)
async def test_the_operator_refuses_what_the_conditions_have_come_to_forbid(
    payer: Payer, conditions: dict[str, Any], code: str
) -> None:
    wallet = await open_wallet(payer)
    payment = await payer.authorise(await payer.create(1_000, **paid_from(wallet)))
    await stub(payer.actor).UpdateEcnyWallet(
        ecny_pb2.UpdateEcnyWalletRequest(
            request_id=str(new_id()), name=wallet.name, etag=wallet.etag, **conditions
        )
    )
    payment = await payer.submit(payment)
    assert await payer.available_fen() == (10_000_000, 9_999_000)
    await payer.advance(days=1)
    payment = await payer.get(payment)
    assert (state_of(payment), payment.rail_reason_code) == ("FAILED", code)
    assert payment.failure == f"{code} simulator: a condition of the wallet is not met"
    assert await payer.available_fen() == (10_000_000, 10_000_000)
    with refused("ETAG_MISMATCH"):
        await stub(payer.actor).UpdateEcnyWallet(
            ecny_pb2.UpdateEcnyWalletRequest(
                request_id=str(new_id()), name=wallet.name, etag=wallet.etag
            )
        )


async def test_a_payment_waits_for_its_release_event_and_settles_after_it(payer: Payer) -> None:
    wallet = await open_wallet(payer)
    payment = await payer.submitted(1_000, **waiting(payer, wallet))
    await payer.advance(days=2)
    payment = await payer.get(payment)
    assert (state_of(payment), payment.rail_status) == ("SUBMITTED", pb.PAYMENT_STATUS_CODE_PDNG)
    assert await payer.available_fen() == (10_000_000, 9_999_000)
    with refused("RELEASE_EVENT_DIFFERS"):
        await release(payer, payment, EVENT.replace("accepted", "delivered"))
    released = await release(payer, payment)
    assert released.HasField("release_time")
    assert await release(payer, payment) == released  # a second time changes nothing
    await payer.advance(days=6)  # beyond the deadline, which does not count any more
    assert state_of(await payer.get(payment)) == "SETTLED"
    assert await payer.available_fen() == (9_999_000, 9_999_000)


async def test_a_release_may_come_before_the_payment_is_submitted(payer: Payer) -> None:
    wallet = await open_wallet(payer)
    payment = await payer.create(1_000, **waiting(payer, wallet))
    await release(payer, payment)
    payment = await payer.submit(await payer.authorise(payment))
    await payer.advance(days=1)
    assert state_of(await payer.get(payment)) == "SETTLED"


@pytest.mark.parametrize(("is_submitted", "state"), [(True, "RETURNED"), (False, "FAILED")])
async def test_without_its_release_event_a_payment_gives_its_hold_back(
    payer: Payer, *, is_submitted: bool, state: str
) -> None:
    wallet = await open_wallet(payer)
    payment = await payer.authorise(await payer.create(1_000, **waiting(payer, wallet)))
    if is_submitted:
        payment = await payer.submit(payment)
    assert await payer.available_fen() == (10_000_000, 9_999_000)
    await payer.advance(days=6)
    payment = await payer.get(payment)
    assert state_of(payment) == state
    assert payment.failure.startswith(f"RELEASE-EXPIRED simulator: {EVENT} had not happened by")
    assert await payer.available_fen() == (10_000_000, 10_000_000)
    with refused("TRANSITION_REFUSED"):
        await release(payer, payment)


async def test_after_its_deadline_a_payment_is_neither_authorised_nor_released(
    payer: Payer,
) -> None:
    wallet = await open_wallet(payer)
    payment = await payer.create(1_000, **waiting(payer, wallet, days=1))
    await payer.advance(days=2)
    with refused("RELEASE_TOO_LATE"):
        await payer.authorise(payment)
    with refused("RELEASE_TOO_LATE"):
        await release(payer, payment)
    assert state_of(await payer.get(payment)) == "CREATED"


async def test_a_payment_that_waits_for_nothing_is_not_released(payer: Payer) -> None:
    payment = await payer.submitted(1_000, **ECNY)
    with refused("RELEASE_EVENT_DIFFERS"):
        await release(payer, payment)


async def test_a_cancelled_payment_is_not_expired_again(payer: Payer) -> None:
    wallet = await open_wallet(payer)
    payment = await payer.authorise(await payer.create(1_000, **waiting(payer, wallet)))
    payment = await payer.cancel(payment)
    await payer.advance(days=6)
    assert await payer.get(payment) == payment


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rail": pb.RAIL_BANK, "creditor_agent": "102100099996"}, "ecny_wallet"),
        ({"ecny_wallet": ""}, "purpose"),
        ({"ecny_wallet": "", "purpose": "", "release_event": EVENT}, "release_event"),
        ({"release_event": EVENT}, "release_deadline"),
    ],
)
async def test_conditions_are_whole_or_the_field_is_named(
    payer: Payer, fields: dict[str, Any], field: str
) -> None:
    wallet = await open_wallet(payer)
    with refused("INVALID_FIELD") as refusal:
        await payer.create(**paid_from(wallet, **fields))
    assert refusal.status.message.startswith(f"{field}:")


async def test_a_wallet_is_its_own_partys(payer: Payer) -> None:
    wallet = await open_wallet(payer)
    stranger = await payer.world.party("LESSEE")
    request = ecny_pb2.GetEcnyWalletRequest(name=wallet.name)
    assert await stub(payer.actor).GetEcnyWallet(request) == wallet
    with refused("NOT_FOUND"):
        await stub(stranger).GetEcnyWallet(request)
    with refused("NOT_FOUND"):
        await stub(stranger).UpdateEcnyWallet(
            ecny_pb2.UpdateEcnyWalletRequest(request_id=str(new_id()), name=wallet.name)
        )
    with refused("NOT_FOUND"):
        await stub(stranger).CreateEcnyWallet(
            ecny_pb2.CreateEcnyWalletRequest(
                request_id=str(new_id()), account=f"accounts/{payer.wallet}"
            )
        )
    own = await stub(payer.actor).ListEcnyWallets(ecny_pb2.ListEcnyWalletsRequest(page_size=1))
    assert [each.name for each in own.wallets] == [wallet.name]
    others = await stub(stranger).ListEcnyWallets(ecny_pb2.ListEcnyWalletsRequest())
    assert not others.wallets
    other = await payer.ledger.open_wallet(stranger.party)
    with refused("NOT_FOUND"):
        await stranger.stub(rpc.PaymentServiceStub).CreatePayment(
            pb.CreatePaymentRequest(
                request_id=str(new_id()),
                account=f"accounts/{other}",
                amount=wire.money(1),
                **paid_from(wallet),
            )
        )


async def test_conditions_are_those_of_the_account_that_pays(payer: Payer) -> None:
    wallet = await open_wallet(payer)
    second = await payer.ledger.open_wallet()
    with refused("INVALID_FIELD") as refusal:
        await payer.operator.CreatePayment(
            pb.CreatePaymentRequest(
                request_id=str(new_id()),
                account=f"accounts/{second}",
                amount=wire.money(1),
                **paid_from(wallet),
            )
        )
    assert refusal.status.message.startswith("ecny_wallet:")


@pytest.mark.parametrize("state", list(PaymentState))
async def test_a_release_in_every_state(payer: Payer, state: PaymentState) -> None:
    wallet = await open_wallet(payer)
    payment = await payer.create(1_000, **waiting(payer, wallet))
    if state is PaymentState.FAILED:
        payment = await payer.cancel(payment)
    elif state is not PaymentState.CREATED:
        payment = await payer.authorise(payment)
        if state is not PaymentState.AUTHORISED:
            payment = await payer.submit(payment)
    if state is PaymentState.RETURNED:
        await payer.advance(days=6)
    if state is PaymentState.SETTLED:
        await release(payer, payment)
        await payer.advance(days=1)
    payment = await payer.get(payment)
    assert state_of(payment) == state
    allowed = {step.source for step in PAYMENT.transitions if step.command == "release"}
    if state in allowed or payment.HasField("release_time"):
        assert state_of(await release(payer, payment)) == state
    else:
        with refused("TRANSITION_REFUSED"):
            await release(payer, payment)


async def test_everything_that_wallets_moved_balances(payer: Payer) -> None:
    assert (await payer.ledger.trial_balance()).is_balanced
