"""Who takes part: legal entities registered and signed in through the public API."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import grpc
import jwt
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.local.client import Actor
from services.kit.clients import CHANNEL_OPTIONS
from services.parties.model import uscc_of

Role = options_pb2.Role


@dataclass(slots=True)
class Addresses:
    """Where the services are, and the channels to them."""

    services: Mapping[str, str]
    _open: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    def channel(self, service: str) -> grpc.aio.Channel:
        """Return the channel to a service, opened when first used."""
        if service not in self._open:
            self._open[service] = grpc.aio.insecure_channel(
                self.services[service], options=CHANNEL_OPTIONS
            )
        return self._open[service]

    async def close(self) -> None:
        """Close every channel."""
        for channel in self._open.values():
            await channel.close()


@dataclass(frozen=True, slots=True)
class Cast:
    """The principals of the demo; the first four carry the story."""

    manufacturer: Actor
    dealer: Actor
    lessee: Actor
    financier: Actor
    inspector: Actor
    buyers: tuple[Actor, Actor]
    operator: Actor

    def name_of(self, party: str) -> str:
        """Return what the demo calls a party."""
        names = {
            self.manufacturer.party: "manufacturer",
            self.dealer.party: "dealer",
            self.lessee.party: "lessee",
            self.financier.party: "financier",
            self.inspector.party: "inspector",
            self.buyers[0].party: "buyer 1",
            self.buyers[1].party: "buyer 2",
            self.operator.party: "platform",
        }
        return names.get(party, party)


async def gather_cast(addresses: Addresses, *, operator_password: str) -> Cast:
    """Register and sign in everybody."""
    operator = await _sign_in(addresses, "operator", operator_password)

    async def register(login: str, legal_name: str, *roles: Role.ValueType) -> Actor:
        return await _register(addresses, operator, login, legal_name, list(roles))

    return Cast(
        manufacturer=await register(
            "manufacturer", "Xiangjiang Heavy Industry", options_pb2.ROLE_SELLER
        ),
        dealer=await register(
            "dealer",
            "Yuelu Machinery Leasing",
            options_pb2.ROLE_SELLER,
            options_pb2.ROLE_BUYER,
            options_pb2.ROLE_LESSOR,
        ),
        lessee=await register("lessee", "Liuyang Earthworks", options_pb2.ROLE_LESSEE),
        financier=await register("financier", "Orange Isle Finance", options_pb2.ROLE_FUNDER),
        inspector=await register(
            "inspector", "Lushan Inspection Services", options_pb2.ROLE_TECHNICIAN
        ),
        buyers=(
            await register("buyer1", "Dongting Quarries", options_pb2.ROLE_BUYER),
            await register("buyer2", "Zhuzhou Road Builders", options_pb2.ROLE_BUYER),
        ),
        operator=operator,
    )


async def _register(
    addresses: Addresses,
    operator: Actor,
    login: str,
    legal_name: str,
    roles: list[Role.ValueType],
) -> Actor:
    parties = operator.stub(parties_pb2_grpc.PartiesServiceStub)
    party = await parties.CreateParty(
        parties_pb2.CreatePartyRequest(
            request_id=str(uuid4()),
            legal_name=legal_name,
            uscc=uscc_of("91" + "".join(secrets.choice("0123456789") for _ in range(15))),
            roles=roles,
        )
    )
    password = secrets.token_urlsafe(18)
    await parties.CreateUser(
        parties_pb2.CreateUserRequest(
            request_id=str(uuid4()), party=party.name, login=login, password=password, roles=roles
        )
    )
    return await _sign_in(addresses, login, password)


async def _sign_in(addresses: Addresses, login: str, password: str) -> Actor:
    issuer = parties_pb2_grpc.PartiesServiceStub(addresses.channel("parties"))
    answer = await issuer.IssueToken(
        parties_pb2.IssueTokenRequest(
            user=parties_pb2.UserCredentials(login=login, password=password)
        )
    )
    # The services verify the token; here it only says who its bearer is.
    claims = jwt.decode(answer.token, options={"verify_signature": False})
    return Actor(addresses, claims["sub"], claims["party"], answer.token)
