"""Users, credentials and tokens on a real database, over gRPC and HTTP."""

import asyncio
import json
import statistics
import time
import urllib.request
from typing import Any
from uuid import uuid4

import grpc
import jwt
import pytest
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.local.client import Actor
from services.parties.definition import DEFINITION as PARTIES
from tests.support import servers
from tests.support.refusals import refused
from tests.support.world import World, new_uscc

PASSWORD = "a password of some length"
NOBODY = "users/0190a0a0-0000-7000-8000-000000000000"


def parties(actor: Actor) -> "parties_pb2_grpc.PartiesServiceAsyncStub":
    return actor.stub(parties_pb2_grpc.PartiesServiceStub)


def anonymous(world: World) -> "parties_pb2_grpc.PartiesServiceAsyncStub":
    return parties_pb2_grpc.PartiesServiceStub(world.channel("parties"))


async def new_user(
    world: World, *roles: options_pb2.Role.ValueType, login: str = ""
) -> parties_pb2.User:
    """Register a party and a user who signs in with PASSWORD."""
    admin = parties(world.operator)
    party = await admin.CreateParty(
        parties_pb2.CreatePartyRequest(
            request_id=str(uuid4()), legal_name="Test", uscc=new_uscc(), roles=roles
        )
    )
    return await admin.CreateUser(
        parties_pb2.CreateUserRequest(
            request_id=str(uuid4()),
            party=party.name,
            login=login or f"user-{uuid4()}",
            password=PASSWORD,
            roles=roles,
        )
    )


def sign_in(login: str, password: str = PASSWORD) -> parties_pb2.IssueTokenRequest:
    return parties_pb2.IssueTokenRequest(
        user=parties_pb2.UserCredentials(login=login, password=password)
    )


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


async def test_a_user_signs_in_and_acts_for_their_party(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER, options_pb2.ROLE_LESSEE)
    answer = await anonymous(world).IssueToken(sign_in(user.login))
    claims = claims_of(answer.token)
    assert (claims["sub"], claims["party"]) == (user.name, user.party)
    assert claims["roles"] == ["BUYER", "LESSEE"]
    assert claims["exp"] - claims["iat"] == answer.lifetime.seconds == 3_600
    own = Actor(world, user.name, user.party, answer.token)
    assert (await parties(own).GetUser(parties_pb2.GetUserRequest(name=user.name))) == user


@pytest.mark.parametrize("password", ["wrong password", "\U0001f69c" * 20])
async def test_wrong_credentials_are_refused_without_saying_which(
    world: World, password: str
) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER)
    said = set()
    for login in (user.login, "nobody.at.all"):
        with refused("BAD_CREDENTIALS") as refusal:
            await anonymous(world).IssueToken(sign_in(login, password))
        said.add((refusal.code, refusal.status.message))
    assert said == {(grpc.StatusCode.UNAUTHENTICATED, "the credentials are not accepted")}


async def test_an_unknown_login_takes_as_long_as_a_wrong_password(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER)

    async def seconds(login: str) -> float:
        started_s = time.perf_counter()
        with refused("BAD_CREDENTIALS"):
            await anonymous(world).IssueToken(sign_in(login, "wrong password"))
        return time.perf_counter() - started_s

    await seconds("warm.up")
    known, unknown = [], []
    for _ in range(4):
        known.append(await seconds(user.login))
        unknown.append(await seconds("nobody.at.all"))
    assert min(unknown) > min(known) / 2, "a login can be guessed by the time the answer takes"
    assert statistics.median(known) < 5


async def test_a_disabled_user_signs_in_no_more(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER)
    admin = parties(world.operator)
    gone = await admin.DisableUser(
        parties_pb2.DisableUserRequest(request_id=str(uuid4()), name=user.name)
    )
    assert gone.state == parties_pb2.USER_STATE_DISABLED
    with refused("BAD_CREDENTIALS"):
        await anonymous(world).IssueToken(sign_in(user.login))
    with refused("TRANSITION_REFUSED"):
        await admin.DisableUser(
            parties_pb2.DisableUserRequest(request_id=str(uuid4()), name=user.name)
        )
    with refused("NOT_FOUND"):
        await admin.DisableUser(
            parties_pb2.DisableUserRequest(request_id=str(uuid4()), name=NOBODY)
        )


async def test_a_password_is_replaced_by_who_knows_the_present_one(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER)
    token = (await anonymous(world).IssueToken(sign_in(user.login))).token
    own = parties(Actor(world, user.name, user.party, token))

    def change(present: str) -> parties_pb2.ChangePasswordRequest:
        return parties_pb2.ChangePasswordRequest(
            request_id=str(uuid4()), present_password=present, new_password="another long password"
        )

    with refused("BAD_CREDENTIALS"):
        await own.ChangePassword(change("wrong"))
    await own.ChangePassword(change(PASSWORD))
    with refused("BAD_CREDENTIALS"):
        await anonymous(world).IssueToken(sign_in(user.login))
    assert (await anonymous(world).IssueToken(sign_in(user.login, "another long password"))).token


async def test_no_password_is_kept_nor_its_plain_digest(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER)
    database = world.running["parties"].runtime.database
    async with database.read() as connection:
        kept = await connection.fetchval(
            "select password_hash from app_user where login = $1", user.login
        )
        rows = await connection.fetch("select r::text from request_record r")
    assert kept.startswith("$argon2id$")
    assert not any(PASSWORD in str(row) for row in rows)


async def test_a_user_holds_only_roles_of_their_party(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER)
    admin = parties(world.operator)
    with refused("ROLE_NOT_HELD"):
        await admin.CreateUser(
            parties_pb2.CreateUserRequest(
                request_id=str(uuid4()),
                party=user.party,
                login=f"user-{uuid4()}",
                password=PASSWORD,
                roles=[options_pb2.ROLE_FUNDER],
            )
        )
    with refused("USER_EXISTS"):
        await admin.CreateUser(
            parties_pb2.CreateUserRequest(
                request_id=str(uuid4()),
                party=user.party,
                login=user.login,
                password=PASSWORD,
                roles=[options_pb2.ROLE_BUYER],
            )
        )


async def test_a_role_taken_from_a_party_is_in_no_new_token(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER, options_pb2.ROLE_LESSEE)
    await parties(world.operator).RevokeRole(
        parties_pb2.RevokeRoleRequest(
            request_id=str(uuid4()), name=user.party, role=options_pb2.ROLE_BUYER
        )
    )
    token = (await anonymous(world).IssueToken(sign_in(user.login))).token
    assert claims_of(token)["roles"] == ["LESSEE"]


async def test_another_partys_user_is_not_found(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER)
    stranger = await world.party("BUYER")
    with refused("NOT_FOUND"):
        await parties(stranger).GetUser(parties_pb2.GetUserRequest(name=user.name))


async def test_a_service_signs_in_for_itself_and_for_a_user(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER)

    def client(secret: str, on_behalf_of: str = "") -> parties_pb2.IssueTokenRequest:
        return parties_pb2.IssueTokenRequest(
            client=parties_pb2.ClientCredentials(
                service="services/leasing", secret=secret, on_behalf_of=on_behalf_of
            )
        )

    issuer = anonymous(world)
    own = claims_of((await issuer.IssueToken(client("secret of leasing"))).token)
    assert (own["sub"], own["roles"], "obo" in own) == ("services/leasing", ["SERVICE"], False)
    acting = await issuer.IssueToken(client("secret of leasing", user.name))
    assert claims_of(acting.token)["obo"] == user.name
    for secret in ("wrong", "长", "secret of finance"):
        with refused("BAD_CREDENTIALS"):
            await issuer.IssueToken(client(secret))
    with refused("BAD_CREDENTIALS"):
        await issuer.IssueToken(client("secret of leasing", NOBODY))


async def test_what_a_disabled_user_began_can_still_be_finished_for_them(world: World) -> None:
    user = await new_user(world, options_pb2.ROLE_BUYER)
    await parties(world.operator).DisableUser(
        parties_pb2.DisableUserRequest(request_id=str(uuid4()), name=user.name)
    )
    answer = await anonymous(world).IssueToken(
        parties_pb2.IssueTokenRequest(
            client=parties_pb2.ClientCredentials(
                service="services/leasing", secret="secret of leasing", on_behalf_of=user.name
            )
        )
    )
    assert claims_of(answer.token)["obo"] == user.name


async def fetch(url: str) -> bytes:
    def read() -> bytes:
        with urllib.request.urlopen(url) as answer:
            return bytes(answer.read())

    return await asyncio.to_thread(read)


async def test_the_keys_are_published_and_hold_no_secret(world: World) -> None:
    address = world.running["parties"].http_address
    document = json.loads(await fetch(f"http://{address}/.well-known/jwks.json"))
    assert document["keys"]
    for key in document["keys"]:
        assert key["kty"] == "OKP" and key["kid"] and "d" not in key


async def test_twenty_rotations_at_once_leave_twenty_keys(world: World) -> None:
    admin = parties(world.operator)
    answers = await asyncio.gather(
        *(
            admin.RotateSigningKey(parties_pb2.RotateSigningKeyRequest(request_id=str(uuid4())))
            for _ in range(20)
        )
    )
    address = world.running["parties"].http_address
    document = json.loads(await fetch(f"http://{address}/.well-known/jwks.json"))
    assert {answer.key_id for answer in answers} <= {key["kid"] for key in document["keys"]}


async def test_a_repeated_rotation_makes_one_key(world: World) -> None:
    admin = parties(world.operator)
    request = parties_pb2.RotateSigningKeyRequest(request_id=str(uuid4()))
    first = await admin.RotateSigningKey(request)
    later = await admin.RotateSigningKey(
        parties_pb2.RotateSigningKeyRequest(request_id=str(uuid4()))
    )
    assert await admin.RotateSigningKey(request) == first
    token = (
        await anonymous(world).IssueToken(sign_in("operator", "a long password of the operator"))
    ).token
    assert jwt.get_unverified_header(token)["kid"] == later.key_id


async def test_an_outside_issuer_takes_the_issuers_place(world: World) -> None:
    """Another issuer's keys stand at an address; parties then verifies and issues nothing."""
    inside = world.running["parties"].http_address
    keys = servers.run_folder() / f"outside-{uuid4()}.json"
    keys.write_bytes(await fetch(f"http://{inside}/.well-known/jwks.json"))
    await world.stop("parties")
    running = await world.start(PARTIES, jwks_url=keys.as_uri(), environment="production")
    try:
        async with grpc.aio.insecure_channel(running.address) as channel:
            stub: Any = parties_pb2_grpc.PartiesServiceStub(channel)
            bearer = [("authorization", f"Bearer {world.operator.token}")]
            page = await stub.ListParties(parties_pb2.ListPartiesRequest(), metadata=bearer)
            assert page.parties
            with refused("ISSUER_DISABLED"):
                await stub.IssueToken(sign_in("operator", "a long password of the operator"))
            with refused("ISSUER_DISABLED"):
                await stub.RotateSigningKey(
                    parties_pb2.RotateSigningKeyRequest(request_id=str(uuid4())), metadata=bearer
                )
        with pytest.raises(OSError):
            await fetch(f"http://{running.http_address}/.well-known/jwks.json")
    finally:
        await world.stop("parties")
        await world.start(PARTIES)
