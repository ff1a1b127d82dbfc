"""The parties service on a real database."""

from uuid import uuid4

import grpc
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from tests.support.refusals import refused
from tests.support.world import World, new_uscc


async def test_a_registered_party_is_found_again(world: World) -> None:
    admin = world.operator.stub(parties_pb2_grpc.PartiesServiceStub)
    made = await admin.CreateParty(
        parties_pb2.CreatePartyRequest(
            request_id=str(uuid4()),
            legal_name="Changsha Crane Works",
            uscc=new_uscc(),
            roles=[options_pb2.ROLE_SELLER],
        )
    )
    assert await admin.GetParty(parties_pb2.GetPartyRequest(name=made.name)) == made


async def test_a_seller_may_not_register_parties(world: World) -> None:
    seller = await world.party("SELLER")
    with refused("PERMISSION_DENIED") as refusal:
        await seller.stub(parties_pb2_grpc.PartiesServiceStub).CreateParty(
            parties_pb2.CreatePartyRequest(
                request_id=str(uuid4()), legal_name="X", uscc=new_uscc(), roles=[]
            )
        )
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
