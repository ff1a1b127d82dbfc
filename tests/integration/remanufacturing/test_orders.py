"""Remanufacturing orders: the whole way of a core, and what is refused on it."""

from decimal import Decimal

import pytest
from ironloop.remanufacturing.v1 import cores_pb2, families_pb2, reman_pb2
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events

from services.kit import wire
from tests.integration.remanufacturing.shop import (
    DEPOSIT,
    RECORD,
    YUAN,
    Shop,
    content,
    families,
    reman,
    rid,
)
from tests.support.refusals import refused

STATE = reman_pb2


async def test_a_core_becomes_a_component_as_good_as_new(shop: Shop) -> None:
    customer, family = await shop.customer(fen=DEPOSIT), await shop.family()
    received = await shop.received(customer, family)
    await shop.graded(received.name, cores_pb2.CORE_GRADE_FULL)
    await shop.until(received.name, cores_pb2.CORE_RETURN_STATE_CREDITED)
    certified = await shop.certified(
        family, core_return=received.name, part_number="", serial_number="", hours=None
    )
    certificate = certified.certificate
    assert certified.state == STATE.REMAN_ORDER_STATE_CERTIFIED
    assert certificate.reman_class == STATE.REMAN_CLASS_REMANUFACTURED
    assert certificate.label_no.startswith("IL-RM-")
    assert certified.prior_serial_number == received.core_serial_number
    assert certificate.serial_number == received.core_serial_number
    assert certificate.savings.material_kg.value == "400"
    assert certificate.savings.material_share.value == "0.8000"
    assert Decimal(certificate.savings.co2_kg.value) == 3_700
    assert certificate.savings.cost == wire.money((300_000 - 35_000) * YUAN)
    assert [step.kind for step in certified.steps] == list(range(1, 9))
    turbo = certified.parts[1]
    assert (turbo.installed_part_number, turbo.is_substituted) == ("T-2", True)
    told = await shop.events(certified.name)
    assert [event.sequence for event in told] == list(range(1, len(told) + 1))
    assert isinstance(told[-1], events.RemanCertified)
    assert told[-1].prior_serial_number == received.core_serial_number


@pytest.mark.parametrize(("power", "months"), [("195", 12), ("205", 11)])
async def test_less_than_original_is_reconditioned(shop: Shop, power: str, months: int) -> None:
    certified = await shop.certified(await shop.family(), power=power, months=months)
    assert certified.certificate.reman_class == STATE.REMAN_CLASS_RECONDITIONED
    assert certified.certificate.class_reason


async def test_a_failed_test_leads_back_to_the_parts_and_is_kept(shop: Shop) -> None:
    order = await shop.queued(await shop.family())
    await shop.cleaned(order.name)
    await shop.inspected(order.name)
    await shop.assembled(order.name)
    failed = await shop.tested(order.name, power="189.9")
    assert failed.state == STATE.REMAN_ORDER_STATE_INSPECTED
    assert not failed.test_runs[0].passed
    await shop.inspected(order.name)
    await shop.assembled(order.name)
    passed = await shop.tested(order.name, power="190")
    assert passed.state == STATE.REMAN_ORDER_STATE_TESTED
    assert [run.passed for run in passed.test_runs] == [False, True]
    assert passed.parts[0].cost == wire.money(40_000 * YUAN)


async def test_a_base_that_is_not_kept_ends_the_order(shop: Shop) -> None:
    order = await shop.queued(await shop.family())
    await shop.cleaned(order.name)
    await shop.inspected(order.name, block=STATE.DISPOSITION_SCRAP)
    with refused("BASE_SCRAPPED"):
        await shop.assembled(order.name)
    scrapped = await reman(shop.foreman).ScrapOrder(
        reman_pb2.ScrapOrderRequest(request_id=rid(), name=order.name, reason="cracked through")
    )
    assert scrapped.state == STATE.REMAN_ORDER_STATE_SCRAPPED
    assert isinstance((await shop.events(order.name))[-1], events.RemanScrapped)


async def test_the_certifier_is_not_the_tester(shop: Shop) -> None:
    order = await shop.queued(await shop.family())
    await shop.cleaned(order.name)
    await shop.inspected(order.name)
    await shop.assembled(order.name)
    await shop.tested(order.name)
    with refused("SAME_PERSON"):
        await reman(shop.foreman).CertifyOrder(
            reman_pb2.CertifyOrderRequest(request_id=rid(), name=order.name, warranty_months=12)
        )


async def test_steps_come_in_their_order(shop: Shop) -> None:
    order = await shop.queued(await shop.family())
    with refused("STEP_MISSING"):
        await reman(shop.foreman).RecordDisassembly(
            reman_pb2.RecordDisassemblyRequest(request_id=rid(), name=order.name)
        )
    with refused("TRANSITION_REFUSED"):
        await shop.inspected(order.name)
    with refused("TRANSITION_REFUSED"):
        await shop.tested(order.name)


async def test_an_order_needs_a_core_that_is_worth_it(shop: Shop) -> None:
    customer, family = await shop.customer(fen=DEPOSIT), await shop.family()
    received = await shop.received(customer, family)
    from_core = {"core_return": received.name, "part_number": "", "serial_number": ""}
    with refused("CORE_NOT_USABLE"):  # not graded yet
        await shop.queued(family, **from_core)
    await shop.graded(received.name, cores_pb2.CORE_GRADE_DAMAGED, "WORN")
    with refused("CORE_NOT_USABLE"):  # of another family
        await shop.queued(await shop.family(), **from_core)
    assert (await shop.queued(family, **from_core)).core_return == received.name
    with refused("CORE_NOT_USABLE"):  # once is enough
        await shop.queued(family, **from_core)
    with refused("PART_NOT_ACCEPTED"):
        await shop.queued(family, part_number="PUMP-1")
    with refused("INVALID_FIELD"):
        await shop.queued(family, serial_number="")


async def test_an_order_keeps_what_its_family_said_when_it_was_queued(shop: Shop) -> None:
    family = await shop.family()
    order = await shop.queued(family)
    easier = content()
    easier.characteristics[0].lower_limit.value = "1"
    easier.characteristics[0].original_lower.value = "1"
    await families(shop.foreman).UpdatePartFamily(
        families_pb2.UpdatePartFamilyRequest(request_id=rid(), name=family.name, content=easier)
    )
    await shop.cleaned(order.name)
    await shop.inspected(order.name)
    await shop.assembled(order.name)
    assert (await shop.tested(order.name, "50")).state == STATE.REMAN_ORDER_STATE_INSPECTED


async def test_an_order_is_its_remanufacturers_alone(shop: Shop) -> None:
    family = await shop.family()
    order = await shop.queued(family)
    rival = await shop.customer("REMANUFACTURER")
    get = reman_pb2.GetRemanOrderRequest(name=order.name)
    with refused("NOT_FOUND"):
        await reman(rival).GetRemanOrder(get)
    with refused("NOT_FOUND"):
        await reman(rival).RecordIncomingInspection(
            reman_pb2.RecordIncomingInspectionRequest(
                request_id=rid(), name=order.name, record=RECORD
            )
        )
    with refused("NOT_FOUND"):  # nor can it queue cores of another's family
        await reman(rival).CreateRemanOrder(
            reman_pb2.CreateRemanOrderRequest(
                request_id=rid(),
                part_family=family.name,
                part_number="10R-1000",
                serial_number="X",
            )
        )
    assert not (await reman(rival).ListRemanOrders(reman_pb2.ListRemanOrdersRequest())).reman_orders
    listed = await reman(shop.foreman).ListRemanOrders(
        reman_pb2.ListRemanOrdersRequest(page_size=1)
    )
    assert [found.name for found in listed.reman_orders] == [order.name]
    assert listed.next_page_token
    assert not listed.reman_orders[0].parts
    assert (await reman(shop.foreman).GetRemanOrder(get)).parts == order.parts


async def test_a_code_stands_for_one_family_of_a_remanufacturer(shop: Shop) -> None:
    family = await shop.family()
    request = families_pb2.CreatePartFamilyRequest(
        request_id=rid(), code=family.code, content=content()
    )
    with refused("PART_FAMILY_EXISTS"):
        await families(shop.foreman).CreatePartFamily(request)
    rival = await shop.customer("REMANUFACTURER")
    assert (await families(rival).CreatePartFamily(request)).name != family.name
    with refused("NOT_FOUND"):
        await families(rival).UpdatePartFamily(
            families_pb2.UpdatePartFamilyRequest(
                request_id=rid(), name=family.name, content=content()
            )
        )
    listed = await families(await shop.customer()).ListPartFamilies(
        families_pb2.ListPartFamiliesRequest(component="ENGINE", remanufacturer=rival.party)
    )
    assert [found.code for found in listed.part_families] == [family.code]
