"""The parties service on a real database."""

import asyncio
from uuid import uuid4

import grpc
import pytest
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from tests.support.refusals import refused
from tests.support.world import World, new_uscc


def new_lei() -> str:
    """Return an invented legal entity identifier with true check digits (ISO 17442)."""
    body = "5299" + uuid4().hex[:14].upper()
    number = int("".join(str(int(character, 36)) for character in body + "00"))
    return f"{body}{98 - number % 97:02}"


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


async def test_a_party_without_roles_is_registered(world: World) -> None:
    admin = world.operator.stub(parties_pb2_grpc.PartiesServiceStub)
    made = await admin.CreateParty(
        parties_pb2.CreatePartyRequest(
            request_id=str(uuid4()), legal_name="A lookout", uscc=new_uscc()
        )
    )
    assert await admin.GetParty(parties_pb2.GetPartyRequest(name=made.name)) == made


@pytest.mark.parametrize("by", ["uscc", "lei"])
async def test_an_identifier_is_registered_once_and_a_retry_is_refused_again(
    world: World, by: str
) -> None:
    admin = world.operator.stub(parties_pb2_grpc.PartiesServiceStub)
    uscc, lei = (new_uscc(), "") if by == "uscc" else ("", new_lei())

    def request() -> parties_pb2.CreatePartyRequest:
        return parties_pb2.CreatePartyRequest(
            request_id=str(uuid4()), legal_name="Twice", uscc=uscc, lei=lei
        )

    requests = [request() for _ in range(4)]
    answers = await asyncio.gather(
        *(admin.CreateParty(one) for one in requests), return_exceptions=True
    )
    made = [answer for answer in answers if isinstance(answer, parties_pb2.Party)]
    assert len(made) == 1
    for one, answer in zip(requests, answers, strict=True):
        if answer in made:
            assert await admin.CreateParty(one) == answer
        else:
            with refused("PARTY_EXISTS"):
                await admin.CreateParty(one)


async def test_a_seller_may_not_register_parties(world: World) -> None:
    seller = await world.party("SELLER")
    with refused("PERMISSION_DENIED") as refusal:
        await seller.stub(parties_pb2_grpc.PartiesServiceStub).CreateParty(
            parties_pb2.CreatePartyRequest(
                request_id=str(uuid4()), legal_name="X", uscc=new_uscc(), roles=[]
            )
        )
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
