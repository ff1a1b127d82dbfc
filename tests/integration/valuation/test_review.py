"""What a validator decides: four eyes, etags, and what the others hear of it."""

from ironloop.marketplace.v1 import machines_pb2
from ironloop.valuation.v1 import valuation_events_pb2, valuation_pb2

from infra.local.client import Actor
from tests.integration.valuation.desk import Desk, request_id
from tests.support.refusals import refused

pb = valuation_pb2
OTHER = machines_pb2.EQUIPMENT_CLASS_OTHER


async def in_review(desk: Desk, seller: Actor) -> pb.Valuation:
    return await desk.value(seller, await desk.machine(seller, equipment_class=OTHER))


async def test_a_validator_of_another_party_issues_it(desk: Desk) -> None:
    seller, validator = await desk.world.party("SELLER"), await desk.world.party("MODEL_VALIDATOR")
    valuation = await in_review(desk, seller)
    approved = await desk.approve(validator, valuation.name, etag=valuation.etag)
    assert approved.state == pb.VALUATION_STATE_ISSUED
    assert (approved.decided_by, approved.decision_reason) == (validator.subject, "looked at")
    assert approved.fmv == valuation.fmv
    assert approved.grade == pb.GRADE_D
    (event,) = await desk.events(valuation.machine)
    assert isinstance(event, valuation_events_pb2.ValuationIssued)
    assert event.grade == pb.GRADE_D
    assert event.fmv == valuation.fmv
    with refused("TRANSITION_REFUSED"):
        await desk.approve(validator, valuation.name)


async def test_a_validator_rejects_it(desk: Desk) -> None:
    seller, validator = await desk.world.party("SELLER"), await desk.world.party("MODEL_VALIDATOR")
    valuation = await in_review(desk, seller)
    request = pb.RejectValuationRequest(
        request_id=request_id(), name=valuation.name, reason="no such machine"
    )
    rejected = await desk.of(validator).RejectValuation(request)
    assert rejected.state == pb.VALUATION_STATE_REJECTED
    assert await desk.of(validator).RejectValuation(request) == rejected
    assert await desk.events(valuation.machine) == []
    with refused("TRANSITION_REFUSED"):
        await desk.approve(validator, valuation.name)


async def test_nobody_decides_on_a_valuation_of_their_own_party(desk: Desk) -> None:
    both = await desk.world.party("SELLER", "MODEL_VALIDATOR")
    valuation = await in_review(desk, both)
    with refused("OWN_VALUATION"):
        await desk.approve(both, valuation.name)
    with refused("OWN_VALUATION"):
        await desk.of(both).RejectValuation(
            pb.RejectValuationRequest(request_id=request_id(), name=valuation.name, reason="mine")
        )


async def test_who_is_no_validator_does_not_decide(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    valuation = await in_review(desk, seller)
    with refused("PERMISSION_DENIED"):
        await desk.approve(seller, valuation.name)
    with refused("PERMISSION_DENIED"):
        await desk.revoke(seller, valuation.name)


async def test_a_decision_on_what_changed_meanwhile_is_refused(desk: Desk) -> None:
    seller, validator = await desk.world.party("SELLER"), await desk.world.party("MODEL_VALIDATOR")
    valuation = await in_review(desk, seller)
    with refused("ETAG_MISMATCH"):
        await desk.approve(validator, valuation.name, etag='"77"')


async def test_a_revoked_valuation_is_announced_with_its_reason(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    valuation = await desk.value(seller, machine)
    revoked = await desk.revoke(desk.world.operator, valuation.name)
    assert revoked.state == pb.VALUATION_STATE_REVOKED
    assert revoked.event_sequence == 2
    event = (await desk.events(machine))[-1]
    assert isinstance(event, valuation_events_pb2.ValuationRevoked)
    assert (event.sequence, event.reason) == (2, "wrong hours")
    with refused("TRANSITION_REFUSED"):
        await desk.revoke(desk.world.operator, valuation.name)
