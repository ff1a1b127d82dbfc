"""Calls to other services: a deadline, retries where they help, a token of our own, one trace."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from services.kit import telemetry
from services.kit.errors import CODES, DEFINITE_CODES, DomainError, Unavailable, error_info
from services.kit.waiting import backoff_s

DEADLINE_S = 10.0
TRIES_MAX = 3
RETRY_BASE_S = 0.05
MESSAGE_BYTES_MAX = 16 * 1024 * 1024  # a batch of 4,096 transfers is about 1 MB
TOKEN_RENEW_AT = 0.8  # of its lifetime
ISSUER = "parties"

_RETRIED = frozenset({grpc.StatusCode.UNAVAILABLE})

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
        self._held: dict[str, tuple[str, float]] = {}

    async def token(self, on_behalf_of: str) -> str:
        """Return a token that is still good for a while; "" is the service for itself."""
        token, renew_at_s = self._held.get(on_behalf_of, ("", 0.0))
        if time.monotonic() < renew_at_s:
            return token
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
        self._held[on_behalf_of] = (
            answer.token,
            time.monotonic() + lifetime_s * TOKEN_RENEW_AT,
        )
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
        """Call an rpc of a stub; an unanswered one is tried again, so it must be idempotent.

        Raises:
            PeerRefused: The peer refused for good.
            PeerUnavailable: It did not answer, or failed; it may have done the work.
        """
        target = getattr(rpc, "_method", b"").decode()
        service = target.split(".")[1] if target.count(".") > 1 else target
        for attempt in range(TRIES_MAX):
            try:
                return await self._call_once(rpc, request, on_behalf_of, deadline_s)
            except grpc.aio.AioRpcError as error:
                if error.code() in DEFINITE_CODES:
                    raise PeerRefused(service, _status(error)) from error
                if error.code() not in _RETRIED or attempt + 1 == TRIES_MAX:
                    raise PeerUnavailable(
                        service, error.code().name, error.details() or ""
                    ) from error
            await asyncio.sleep(backoff_s(attempt, base_s=RETRY_BASE_S, max_s=1.0))
        raise AssertionError("the loop above returns or raises")

    async def close(self) -> None:
        """Close every channel."""
        for channel in self._channels.values():
            await channel.close()

    async def _call_once(
        self,
        rpc: Callable[..., Awaitable[Response]],
        request: Message,
        on_behalf_of: str,
        deadline_s: float,
    ) -> Response:
        if self._tokens is None:
            self._tokens = Tokens(self._channel(ISSUER), service=self._service, secret=self._secret)
        # A user's call is made for that user; a service or a timer speaks for itself.
        user = on_behalf_of if on_behalf_of.startswith("users/") else ""
        metadata = [("authorization", f"Bearer {await self._tokens.token(user)}")]
        if present := telemetry.traceparent():
            metadata.append((telemetry.TRACEPARENT_HEADER, present))
        return await rpc(request, metadata=metadata, timeout=deadline_s)

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


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    status = rpc_status.from_call(error)
    if status is None:
        status = status_pb2.Status(code=error.code().value[0], message=error.details() or "")
    return status
