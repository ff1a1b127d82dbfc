"""Core returns: deposits, gradings and credits to the fen, refusals, and who sees what."""

import pytest
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc
from ironloop.remanufacturing.v1 import cores_pb2, families_pb2
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events
from ironloop.settlement.v1 import settlement_pb2

from services.kit import wire
from tests.integration.remanufacturing.shop import (
    DEPOSIT,
    YUAN,
    Shop,
    content,
    cores,
    eventually,
    families,
    rid,
)
from tests.support import money
from tests.support.money import fund, is_balanced
from tests.support.refusals import refused

STATE = cores_pb2
FULL, DAMAGED, NONE = (
    cores_pb2.CORE_GRADE_FULL,
    cores_pb2.CORE_GRADE_DAMAGED,
    cores_pb2.CORE_GRADE_NONE,
)


@pytest.mark.parametrize(
    ("grade", "codes", "credit_fen"),
    [
        (FULL, [], 45_000 * YUAN),
        (FULL, ["UPGRADE_TIER3"], 43_709 * YUAN),
        (DAMAGED, ["UPGRADE_TIER3"], 22_500 * YUAN),
        (FULL, ["CRACKED_BLOCK"], 39_000 * YUAN),
        (NONE, ["WORN"], 0),
    ],
)
async def test_deposits_are_divided_to_the_fen_of_we_12(
    shop: Shop, grade: cores_pb2.CoreGrade.ValueType, codes: list[str], credit_fen: int
) -> None:
    customer = await shop.customer(fen=DEPOSIT)
    income = await shop.income()
    received = await shop.received(customer, await shop.family())
    assert (await shop.wallet(customer), await shop.deposits(customer)) == (0, DEPOSIT)
    await shop.graded(received.name, grade, *codes)
    ended = await shop.until(received.name, STATE.CORE_RETURN_STATE_CREDITED)
    assert ended.credit == wire.money(credit_fen)
    assert await shop.wallet(customer) == credit_fen
    assert await shop.deposits(customer) == 0
    assert await shop.income() - income == DEPOSIT - credit_fen
    assert await is_balanced(shop.world)


async def test_every_step_of_a_core_is_told_in_order(shop: Shop) -> None:
    customer = await shop.customer(fen=DEPOSIT)
    received = await shop.received(customer, await shop.family())
    await shop.graded(received.name, FULL, "UPGRADE_TIER3")
    await shop.until(received.name, STATE.CORE_RETURN_STATE_CREDITED)
    told = await shop.events(received.name)
    assert [type(event) for event in told] == [
        events.CoreDepositCharged,
        events.CoreReturnAuthorised,
        events.CoreReceived,
        events.CoreGraded,
        events.CoreCredited,
    ]
    assert [event.sequence for event in told] == [1, 2, 3, 4, 5]
    assert told[-1].credit == wire.money(43_709 * YUAN)
    assert told[-1].work_order == received.work_order


async def test_a_repeated_charge_takes_one_deposit(shop: Shop) -> None:
    customer = await shop.customer(fen=2 * DEPOSIT)
    request = shop.charge(customer, await shop.family(), deposit=wire.money(DEPOSIT))
    first = await cores(customer).ChargeCoreDeposit(request)
    assert await cores(customer).ChargeCoreDeposit(request) == first
    assert await shop.wallet(customer) == DEPOSIT


async def test_without_the_money_there_is_no_core_return(shop: Shop) -> None:
    customer, family = await shop.customer(fen=DEPOSIT - 1), await shop.family()
    with refused("INSUFFICIENT_FUNDS"):
        await shop.charged(customer, family)
    listed = await cores(customer).ListCoreReturns(cores_pb2.ListCoreReturnsRequest())
    assert not listed.core_returns
    assert await shop.wallet(customer) == DEPOSIT - 1


async def test_a_deposit_is_the_familys_and_charged_to_oneself(shop: Shop) -> None:
    customer, family = await shop.customer(fen=DEPOSIT), await shop.family()
    with refused("DEPOSIT_CHANGED") as refusal:
        await shop.charged(customer, family, deposit=wire.money(DEPOSIT - 1))
    assert refusal.metadata["deposit_fen"] == str(DEPOSIT)
    with refused("NOT_YOURS"):
        await cores(await shop.customer()).ChargeCoreDeposit(shop.charge(customer, family))
    with refused("OWN_CORE"):
        await cores(shop.maintenance).ChargeCoreDeposit(shop.charge(shop.foreman, family))
    charged = await cores(shop.maintenance).ChargeCoreDeposit(shop.charge(customer, family))
    assert charged.party == customer.party


async def test_terms_are_those_of_the_day_of_the_deposit(shop: Shop) -> None:
    customer, family = await shop.customer(fen=DEPOSIT), await shop.family()
    received = await shop.received(customer, family)
    changed = content(damaged_share={"value": "0.1"}, grade_codes=[])
    await families(shop.foreman).UpdatePartFamily(
        families_pb2.UpdatePartFamilyRequest(request_id=rid(), name=family.name, content=changed)
    )
    await shop.graded(received.name, DAMAGED, "WORN")
    ended = await shop.until(received.name, STATE.CORE_RETURN_STATE_CREDITED)
    assert ended.credit == wire.money(DEPOSIT // 2)


async def test_above_twenty_thousand_a_second_person_confirms(shop: Shop) -> None:
    customer = await shop.customer(fen=DEPOSIT)
    received = await shop.received(customer, await shop.family())
    grade = cores_pb2.GradeCoreRequest(request_id=rid(), name=received.name, grade=FULL)
    proposed = await cores(shop.foreman).GradeCore(grade)
    assert proposed.state == STATE.CORE_RETURN_STATE_RECEIVED
    assert proposed.grading.needs_confirmation
    again = cores_pb2.GradeCoreRequest(
        request_id=rid(), name=received.name, grade=DAMAGED, codes=["WORN"]
    )
    replaced = await cores(shop.foreman).GradeCore(again)
    confirm = cores_pb2.ConfirmGradeRequest(
        request_id=rid(), name=received.name, etag=proposed.etag
    )
    with refused("ETAG_MISMATCH"):  # what is confirmed is what was seen
        await cores(shop.colleague).ConfirmGrade(confirm)
    confirm = cores_pb2.ConfirmGradeRequest(
        request_id=rid(), name=received.name, etag=replaced.etag
    )
    with refused("SAME_PERSON"):
        await cores(shop.foreman).ConfirmGrade(confirm)
    graded = await cores(shop.colleague).ConfirmGrade(confirm)
    assert graded.state == STATE.CORE_RETURN_STATE_GRADED
    assert (graded.grading.grader, graded.grading.confirmer) == (
        shop.foreman.subject,
        shop.colleague.subject,
    )
    await shop.until(received.name, STATE.CORE_RETURN_STATE_CREDITED)
    assert await shop.wallet(customer) == DEPOSIT // 2


async def test_up_to_twenty_thousand_one_person_grades(shop: Shop) -> None:
    deposit = 20_000 * YUAN
    customer = await shop.customer(fen=deposit)
    family = await shop.family(core_deposit=wire.money(deposit))
    received = await shop.received(customer, family)
    with refused("NOTHING_TO_CONFIRM"):
        await cores(shop.colleague).ConfirmGrade(
            cores_pb2.ConfirmGradeRequest(request_id=rid(), name=received.name)
        )
    graded = await cores(shop.foreman).GradeCore(
        cores_pb2.GradeCoreRequest(request_id=rid(), name=received.name, grade=FULL)
    )
    assert graded.state == STATE.CORE_RETURN_STATE_GRADED
    await shop.until(received.name, STATE.CORE_RETURN_STATE_CREDITED)


async def test_a_core_of_the_wrong_family_is_rejected_and_sent_back_at_its_senders_cost(
    shop: Shop,
) -> None:
    freight = 800 * YUAN
    customer = await shop.customer(fen=DEPOSIT)
    authorised = await shop.authorised(customer, await shop.family())
    with refused("PART_NOT_ACCEPTED"):
        await shop.receive(authorised.name, part="PUMP-1")
    request = cores_pb2.RejectCoreRequest(
        request_id=rid(),
        name=authorised.name,
        reason="it is a pump",
        return_freight=wire.money(freight),
    )
    with refused("INSUFFICIENT_FUNDS"):  # so it stays here until its way back can be paid
        await cores(shop.foreman).RejectCore(request)
    assert (await shop.get(authorised.name)).state == STATE.CORE_RETURN_STATE_AUTHORISED
    assert await shop.deposits(customer) == DEPOSIT
    await fund(shop.world, customer.party, freight + 5)
    income, earned = await shop.income(), await shop.wallet(shop.foreman)
    request.request_id = rid()
    rejected = await cores(shop.foreman).RejectCore(request)
    assert rejected.state == STATE.CORE_RETURN_STATE_REJECTED
    assert (rejected.credit, rejected.return_freight) == (wire.money(0), wire.money(freight))
    assert (await shop.wallet(customer), await shop.deposits(customer)) == (5, 0)
    assert await shop.income() - income == DEPOSIT
    assert await shop.wallet(shop.foreman) - earned == freight
    told = (await shop.events(rejected.name))[-1]
    assert isinstance(told, events.CoreRejected)
    assert told.reason == "it is a pump"
    assert await is_balanced(shop.world)


async def test_a_worthless_core_goes_back_where_its_grading_says_so(shop: Shop) -> None:
    customer = await shop.customer(fen=DEPOSIT)
    received = await shop.received(customer, await shop.family())
    graded = await shop.graded(received.name, NONE, "WORN", send_back=True)
    assert graded.state == STATE.CORE_RETURN_STATE_GRADED
    rejected = await cores(shop.foreman).RejectCore(
        cores_pb2.RejectCoreRequest(
            request_id=rid(), name=received.name, reason="worn", return_freight=wire.money(0)
        )
    )
    assert rejected.state == STATE.CORE_RETURN_STATE_REJECTED
    assert await shop.deposits(customer) == 0


async def test_an_exchange_that_does_not_take_place_gives_the_deposit_back_once(
    shop: Shop,
) -> None:
    customer = await shop.customer(fen=DEPOSIT)
    charged = await shop.charged(customer, await shop.family())
    for _ in range(2):
        cancelled = await cores(shop.maintenance).CancelCoreReturn(
            cores_pb2.CancelCoreReturnRequest(request_id=rid(), name=charged.name)
        )
        assert cancelled.state == STATE.CORE_RETURN_STATE_CANCELLED
    assert (await shop.wallet(customer), await shop.deposits(customer)) == (DEPOSIT, 0)
    assert len(await shop.events(charged.name)) == 2


async def test_a_core_return_is_its_two_parties_to_see_and_the_shops_to_handle(
    shop: Shop,
) -> None:
    customer = await shop.customer("BUYER", "REMANUFACTURER", fen=DEPOSIT)
    charged = await shop.charged(customer, await shop.family())
    get = cores_pb2.GetCoreReturnRequest(name=charged.name)
    assert await cores(customer).GetCoreReturn(get) == await cores(shop.foreman).GetCoreReturn(get)
    stranger = await shop.customer("BUYER", "REMANUFACTURER")
    authorise = cores_pb2.AuthoriseCoreReturnRequest(request_id=rid(), name=charged.name)
    with refused("NOT_FOUND"):
        await cores(stranger).GetCoreReturn(get)
    with refused("NOT_FOUND"):
        await cores(stranger).AuthoriseCoreReturn(authorise)
    with refused("NOT_YOURS"):
        await cores(customer).AuthoriseCoreReturn(authorise)
    for actor in (customer, shop.foreman):
        listed = await cores(actor).ListCoreReturns(cores_pb2.ListCoreReturnsRequest(page_size=1))
        assert [found.name for found in listed.core_returns] == [charged.name]


async def test_a_credit_that_is_refused_is_tried_until_it_is_paid(shop: Shop) -> None:
    customer = await shop.customer(fen=DEPOSIT)
    received = await shop.received(customer, await shop.family())
    ledger = money.ledger(shop.world)
    wallet = f"accounts/{await money.wallet_of(shop.world, customer.party)}"
    await ledger.FreezeAccount(settlement_pb2.FreezeAccountRequest(request_id=rid(), name=wallet))
    await shop.graded(received.name, FULL)
    operator = shop.world.operator.stub(
        operator_pb2_grpc.OperatorServiceStub, service="remanufacturing"
    )

    async def is_held_up() -> bool:
        running = operator_pb2.ListSagasRequest(state=operator_pb2.SAGA_STATE_RUNNING)
        return any(
            saga.subject == received.name and saga.attempts > 1 and "held up" in saga.last_error
            for saga in (await operator.ListSagas(running)).sagas
        )

    await eventually(is_held_up, True)
    assert await shop.deposits(customer) == DEPOSIT
    await ledger.UnfreezeAccount(
        settlement_pb2.UnfreezeAccountRequest(request_id=rid(), name=wallet)
    )
    await shop.until(received.name, STATE.CORE_RETURN_STATE_CREDITED)
    assert (await shop.wallet(customer), await shop.deposits(customer)) == (DEPOSIT, 0)


async def test_a_page_of_core_returns_goes_on_where_the_last_one_ended(shop: Shop) -> None:
    customer, family = await shop.customer(fen=3 * DEPOSIT), await shop.family()
    made = [(await shop.charged(customer, family)).name for _ in range(3)]
    seen: list[str] = []
    request = cores_pb2.ListCoreReturnsRequest(
        page_size=2, state=STATE.CORE_RETURN_STATE_DEPOSIT_CHARGED
    )
    while True:
        page = await cores(customer).ListCoreReturns(request)
        seen += [found.name for found in page.core_returns]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == made[::-1]
