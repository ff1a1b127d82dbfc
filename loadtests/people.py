"""Parties of a load: registered once in a stack, signed in for each run."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import grpc
import jwt
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.local import paths
from infra.local.client import Actor
from infra.local.credentials import load_credentials
from infra.local.demo.cast import Addresses
from infra.local.files import write_private
from infra.local.topology import TOPOLOGY
from services.parties.model import uscc_of

SIGNING_IN_MAX = 4  # a password's hash is slow by design; the issuer is not what is measured


@dataclass(frozen=True, slots=True)
class Login:
    """How a party's user signs in."""

    party: str
    login: str
    password: str


class People:
    """The parties that loads have registered in the stack of a folder.

    Their passwords are kept in a file of the folder that only its owner may read.
    """

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._file: Path = paths.STATE / "load-people.json"
        self._known = self._read()
        self._operator: Actor | None = None

    async def operator(self) -> Actor:
        """Return the platform's first user."""
        if self._operator is None:
            services = [service.name for service in TOPOLOGY.services]
            password = load_credentials(paths.SECRETS_FILE, services).operator
            self._operator = await self._sign_in("operator", password)
        return self._operator

    async def register(self, name: str, *roles: str) -> str:
        """Register a party with one user, once; return the party's resource name."""
        if name not in self._known:
            self._known[name] = await self._register(name, roles)
            write_private(
                self._file,
                json.dumps({key: [a.party, a.login, a.password] for key, a in self._known.items()}),
            )
        return self._known[name].party

    async def sign_in(self, names: Sequence[str]) -> list[Actor]:
        """Return registered parties' users, each with a new token."""
        at_once = asyncio.Semaphore(SIGNING_IN_MAX)

        async def one(name: str) -> Actor:
            login = self._known[name]
            async with at_once:
                return await self._sign_in(login.login, login.password)

        return list(await asyncio.gather(*(one(name) for name in names)))

    async def _register(self, name: str, roles: Sequence[str]) -> Login:
        operator = await self.operator()
        parties = operator.stub(parties_pb2_grpc.PartiesServiceStub)
        numbers = [options_pb2.Role.Value(f"ROLE_{role}") for role in roles]
        party = await parties.CreateParty(
            parties_pb2.CreatePartyRequest(
                request_id=str(uuid4()),
                legal_name=f"Load {name}",
                uscc=uscc_of(f"91{secrets.randbelow(10**15):015}"),
                roles=numbers,
            )
        )
        login = Login(party.name, f"load-{party.uid}", secrets.token_urlsafe(18))
        await parties.CreateUser(
            parties_pb2.CreateUserRequest(
                request_id=str(uuid4()),
                party=party.name,
                login=login.login,
                password=login.password,
                roles=numbers,
            )
        )
        return login

    async def _sign_in(self, login: str, password: str) -> Actor:
        channel: grpc.aio.Channel = self._addresses.channel("parties")
        answer = await parties_pb2_grpc.PartiesServiceStub(channel).IssueToken(
            parties_pb2.IssueTokenRequest(
                user=parties_pb2.UserCredentials(login=login, password=password)
            )
        )
        # The services verify the token; here it only says who its bearer is.
        claims = jwt.decode(answer.token, options={"verify_signature": False})
        return Actor(self._addresses, claims["sub"], claims["party"], answer.token)

    def _read(self) -> dict[str, Login]:
        if not self._file.exists():
            return {}
        return {name: Login(*kept) for name, kept in json.loads(self._file.read_text()).items()}
