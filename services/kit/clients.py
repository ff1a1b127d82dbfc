"""Calls to other services: a deadline, retries where they help, a token of our own, one trace."""

import asyncio
import json
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from services.kit import telemetry
from services.kit.errors import CODES, DEFINITE_CODES, DomainError, Unavailable, error_info
from services.kit.waiting import backoff_s

DEADLINE_S = 10.0
TRIES_MAX = 3
RETRY_BASE_S = 0.05
RETRY_MAX_S = 1.0
TOKENS_HELD_MAX = 10_000  # one for each user on whose behalf a call was made lately
MESSAGE_BYTES_MAX = 16 * 1024 * 1024  # a batch of 4,096 transfers is about 1 MB
TOKEN_RENEW_AT = 0.8  # of its lifetime
ISSUER = "parties"

# Refusals of the moment: tried again where the peer says when.
_RETRIED_WHEN_TOLD = frozenset({grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED})

Stub = TypeVar("Stub")
Response = TypeVar("Response", bound=Message)


class PeerRefused(DomainError):
    """Another service refused for good; carries its code, reason and metadata as its own."""

    def __init__(self, service: str, status: status_pb2.Status) -> None:
        info = error_info(status)
        super().__init__(status.message, **dict(info.metadata))
        self.service = service
        self.status = status
        self.code = CODES[status.code]  # type: ignore[misc]  # of the call, not of the class
        self.reason = info.reason  # type: ignore[misc]

    @property
    def is_definite(self) -> bool:
        """Always: a refusal of the moment is PeerUnavailable."""
        return True

    def to_status(self) -> status_pb2.Status:
        """Return the peer's own status."""
        return self.status


class PeerUnavailable(Unavailable):
    """Another service does not answer, or failed; whether the call took effect is unknown."""

    reason = "PEER_UNAVAILABLE"

    def __init__(self, service: str, code: str, message: str) -> None:
        super().__init__(f"{service} does not answer ({code}): {message}", service=service)


class Tokens:
    """The service's own tokens from the issuer, for itself and for each user it acts for."""

    def __init__(self, channel: grpc.aio.Channel, *, service: str, secret: str) -> None:
        self._stub = parties_pb2_grpc.PartiesServiceStub(channel)
        self._service = service
        self._secret = secret
        self._held: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[str]] = {}

    async def token(self, on_behalf_of: str, *, timeout_s: float) -> str:
        """Return a token that is still good for a while; "" is the service for itself."""
        token, renew_at_s = self._held.get(on_behalf_of, ("", 0.0))
        if time.monotonic() < renew_at_s:
            return token
        # Calls that need the same token at the same time share one question to the issuer.
        asked = self._asked.get(on_behalf_of)
        if asked is None:
            asked = asyncio.create_task(self._ask(on_behalf_of))
            self._asked[on_behalf_of] = asked
            asked.add_done_callback(lambda task: self._answered(on_behalf_of, task))
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(asked)

    def forget(self, on_behalf_of: str, token: str) -> None:
        """Drop a token that was not accepted, so that the next call asks for another."""
        if self._held.get(on_behalf_of, ("", 0.0))[0] == token:
            del self._held[on_behalf_of]

    def _answered(self, on_behalf_of: str, asked: "asyncio.Task[str]") -> None:
        del self._asked[on_behalf_of]
        if not asked.cancelled():
            asked.exception()  # seen here, also where every caller gave up waiting

    async def _ask(self, on_behalf_of: str) -> str:
        answer = await self._stub.IssueToken(
            parties_pb2.IssueTokenRequest(
                client=parties_pb2.ClientCredentials(
                    service=f"services/{self._service}",
                    secret=self._secret,
                    on_behalf_of=on_behalf_of,
                )
            ),
            timeout=DEADLINE_S,
        )
        lifetime_s = answer.lifetime.ToTimedelta().total_seconds()
        renew_at_s = time.monotonic() + lifetime_s * TOKEN_RENEW_AT
        self._held[on_behalf_of] = (answer.token, renew_at_s)
        if len(self._held) > TOKENS_HELD_MAX:
            self._held.popitem(last=False)
        return answer.token


class Peers:
    """Channels to the other services, opened when first used."""

    def __init__(self, addresses: Mapping[str, str], *, service: str, secret: str) -> None:
        self._addresses = addresses
        self._service = service
        self._secret = secret
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._tokens: Tokens | None = None

    def stub(self, service: str, stub: Callable[[grpc.aio.Channel], Stub]) -> Stub:
        """Return a stub of another service.

        Raises:
            KeyError: The settings name no address for it.
        """
        return stub(self._channel(service))

    async def call(
        self,
        rpc: Callable[..., Awaitable[Response]],
        request: Message,
        *,
        on_behalf_of: str = "",
        deadline_s: float = DEADLINE_S,
    ) -> Response:
        """Call an rpc of a stub; it may be tried more than once, so it must be idempotent.

        A peer that does not answer is tried three times; one that says when to come back
        (RetryInfo: its own call with this request id still runs, for example) as often as the
        deadline allows; a token that is not accepted is renewed once.

        Raises:
            PeerRefused: The peer refused for good.
            PeerUnavailable: It did not answer, or failed; it may have done the work.
        """
        target = getattr(rpc, "_method", b"").decode()
        service = target.split(".")[1] if target.count(".") > 1 else target
        # A user's call is made for that user; a service or a timer speaks for itself.
        user = on_behalf_of if on_behalf_of.startswith("users/") else ""
        deadline_at_s = time.monotonic() + deadline_s
        failures: Counter[grpc.StatusCode] = Counter()
        while True:
            left_s = deadline_at_s - time.monotonic()
            try:
                return await self._call_once(rpc, request, user, left_s)
            except grpc.aio.AioRpcError as error:
                wait_s = _retry_after_s(error, failures)
                failures[error.code()] += 1
                if wait_s is None or time.monotonic() + wait_s >= deadline_at_s:
                    raise _raised(service, error) from error
            await asyncio.sleep(wait_s)

    async def close(self) -> None:
        """Close every channel."""
        for channel in self._channels.values():
            await channel.close()

    async def _call_once(
        self,
        rpc: Callable[..., Awaitable[Response]],
        request: Message,
        user: str,
        timeout_s: float,
    ) -> Response:
        if self._tokens is None:
            self._tokens = Tokens(self._channel(ISSUER), service=self._service, secret=self._secret)
        token = await self._token(self._tokens, user, timeout_s)
        metadata = [("authorization", f"Bearer {token}")]
        if present := telemetry.traceparent():
            metadata.append((telemetry.TRACEPARENT_HEADER, present))
        try:
            return await rpc(request, metadata=metadata, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                self._tokens.forget(user, token)
            raise

    async def _token(self, tokens: Tokens, user: str, timeout_s: float) -> str:
        """Return a token; what the issuer says is never the peer's refusal."""
        try:
            return await tokens.token(user, timeout_s=timeout_s)
        except TimeoutError as error:
            raise PeerUnavailable(ISSUER, "DEADLINE_EXCEEDED", "no token in time") from error
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise
            raise PeerUnavailable(ISSUER, error.code().name, error.details() or "") from error

    def _channel(self, service: str) -> grpc.aio.Channel:
        if service not in self._channels:
            self._channels[service] = grpc.aio.insecure_channel(
                self._addresses[service], options=CHANNEL_OPTIONS
            )
        return self._channels[service]


CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
]


def _retry_after_s(
    error: grpc.aio.AioRpcError, failures: Mapping[grpc.StatusCode, int]
) -> float | None:
    """Return how long to wait before the next try, or None where none would help."""
    code = error.code()
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return 0.0 if not failures[code] else None
    if code is grpc.StatusCode.UNAVAILABLE:
        tried = failures[code]
        if tried + 1 >= TRIES_MAX:
            return None
        return backoff_s(tried, base_s=RETRY_BASE_S, max_s=RETRY_MAX_S)
    if code in _RETRIED_WHEN_TOLD:
        return _retry_delay_s(_status(error))
    return None


def _retry_delay_s(status: status_pb2.Status) -> float | None:
    delay = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(delay):
            delay_s: float = delay.retry_delay.ToTimedelta().total_seconds()
            return delay_s
    return None


def _raised(service: str, error: grpc.aio.AioRpcError) -> DomainError:
    """Return what a failed call means to its caller."""
    status = _status(error)
    is_definite = error.code() in DEFINITE_CODES or (
        error.code() is grpc.StatusCode.ABORTED and _retry_delay_s(status) is None
    )
    if is_definite:
        return PeerRefused(service, status)
    return PeerUnavailable(service, error.code().name, error.details() or "")


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    status = rpc_status.from_call(error)
    if status is None:
        status = status_pb2.Status(code=error.code().value[0], message=error.details() or "")
    return status
