"""What waits in each service of the stack, as its OperatorService tells the operator."""

import asyncio
from dataclasses import dataclass
from datetime import date

import grpc
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.local.credentials import load_credentials
from infra.local.paths import SECRETS_FILE
from infra.local.state import Stack
from services.kit import wire

ANSWER_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is under way in a service."""

    business_date: date
    timers_due: int
    outbox_rows: int
    consumer_lag: int
    sagas_running: int


async def standings(stack: Stack) -> dict[str, Standing]:
    """Return the standing of every service that answers."""
    services = stack.addresses.services
    try:
        token = await operator_token(stack)
    except grpc.aio.AioRpcError:
        return {}
    asked = [_standing(address, token) for address in services.values()]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return {
        name: answer
        for name, answer in zip(services, answers, strict=True)
        if isinstance(answer, Standing)
    }


async def operator_token(stack: Stack) -> str:
    """Return a token of the platform's first user.

    Raises:
        grpc.aio.AioRpcError: The issuer does not answer.
    """
    password = load_credentials(SECRETS_FILE, list(stack.addresses.services)).operator
    credentials = parties_pb2.UserCredentials(login="operator", password=password)
    async with grpc.aio.insecure_channel(stack.addresses.services["parties"]) as channel:
        answer = await parties_pb2_grpc.PartiesServiceStub(channel).IssueToken(
            parties_pb2.IssueTokenRequest(user=credentials), timeout=ANSWER_WITHIN_S
        )
    return answer.token


async def _standing(address: str, token: str) -> Standing:
    async with grpc.aio.insecure_channel(address) as channel:
        answer = await operator_pb2_grpc.OperatorServiceStub(channel).GetQuiescence(
            operator_pb2.GetQuiescenceRequest(),
            metadata=[("authorization", f"Bearer {token}")],
            timeout=ANSWER_WITHIN_S,
        )
    return Standing(
        business_date=wire.to_date(answer.business_date, field="business_date"),
        timers_due=answer.timers_due,
        outbox_rows=answer.outbox_rows,
        consumer_lag=answer.consumer_lag,
        sagas_running=answer.sagas_running,
    )
