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
    """The principals of the demo; the first four carry the story.

    Attributes:
        inspector: Inspects machines that are sold or brought back, for whoever asks.
        second_lender: Lends on a machine beside the financier.
        bidder: Bids at the auction, beside the two buyers.
        foreman, technician: Two people of the workshop.
        remanufacturer, certifier: Two people of the remanufacturer.
    """

    manufacturer: Actor
    dealer: Actor
    lessee: Actor
    financier: Actor
    inspector: Actor
    buyers: tuple[Actor, Actor]
    operator: Actor
    second_lender: Actor
    bidder: Actor
    foreman: Actor
    technician: Actor
    remanufacturer: Actor
    certifier: Actor

    def parties(self) -> dict[str, Actor]:
        """Return by name one principal of each party that money goes through."""
        return {
            "manufacturer": self.manufacturer,
            "dealer": self.dealer,
            "lessee": self.lessee,
            "financier": self.financier,
            "second lender": self.second_lender,
            "workshop": self.foreman,
            "remanufacturer": self.remanufacturer,
            "buyer 1": self.buyers[0],
            "buyer 2": self.buyers[1],
            "bidder": self.bidder,
        }

    def of(self, party: str) -> Actor:
        """Return who speaks for a party that money goes through."""
        return next(actor for actor in self.parties().values() if actor.party == party)

    def name_of(self, party: str) -> str:
        """Return what the demo calls a party."""
        names = {actor.party: name for name, actor in self.parties().items()}
        names |= {self.inspector.party: "inspector", self.operator.party: "platform"}
        return names.get(party, party)


async def gather_cast(addresses: Addresses, *, operator_password: str) -> Cast:
    """Register and sign in everybody."""
    operator = await _sign_in(addresses, "operator", operator_password)

    async def register(login: str, legal_name: str, *roles: Role.ValueType) -> Actor:
        return await _register(addresses, operator, login, legal_name, list(roles))

    async def colleague(login: str, actor: Actor, role: Role.ValueType) -> Actor:
        return await _add_user(addresses, operator, login, actor.party, [role])

    foreman = await register("foreman", "Liuyang Machine Works", options_pb2.ROLE_TECHNICIAN)
    remanufacturer = await register(
        "remanufacturer", "Xiang Remanufacturing", options_pb2.ROLE_REMANUFACTURER
    )
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
        second_lender=await register("second-lender", "Mawangdui Capital", options_pb2.ROLE_FUNDER),
        bidder=await register("bidder", "Hengyang Ports", options_pb2.ROLE_BUYER),
        foreman=foreman,
        technician=await colleague("technician", foreman, options_pb2.ROLE_TECHNICIAN),
        remanufacturer=remanufacturer,
        certifier=await colleague("certifier", remanufacturer, options_pb2.ROLE_REMANUFACTURER),
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
    return await _add_user(addresses, operator, login, party.name, roles)


async def _add_user(
    addresses: Addresses, operator: Actor, login: str, party: str, roles: list[Role.ValueType]
) -> Actor:
    parties = operator.stub(parties_pb2_grpc.PartiesServiceStub)
    password = secrets.token_urlsafe(18)
    await parties.CreateUser(
        parties_pb2.CreateUserRequest(
            request_id=str(uuid4()), party=party, login=login, password=password, roles=roles
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
