"""Calls to other services: a deadline, retries where they help, a token of our own, one trace."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.kit import telemetry
from services.kit.errors import CODES, DEFINITE_CODES, DomainError, Unavailable, error_info
from services.kit.own_tokens import Issue, LocalIssuer, OutsideIssuer, Tokens
from services.kit.waiting import backoff_s

DEADLINE_S = 10.0
TRIES_MAX = 3
RETRY_BASE_S = 0.05
RETRY_MAX_S = 1.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024  # a batch of 4,096 transfers is about 1 MB
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


class Peers:
    """Channels to the other services, opened when first used."""

    def __init__(
        self, addresses: Mapping[str, str], *, service: str, secret: str, token_url: str = ""
    ) -> None:
        """Make a service's way to its peers.

        Args:
            secret: What the service signs in with.
            token_url: Where an outside issuer gives it tokens; empty: parties does.
        """
        self._addresses = addresses
        self._service = service
        self._secret = secret
        self._token_url = token_url
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
            self._tokens = Tokens(self._issuer())
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

    def _issuer(self) -> Issue:
        """Return who gives this service its tokens."""
        if self._token_url:
            return OutsideIssuer(self._token_url, service=self._service, secret=self._secret).issue
        channel = self._channel(ISSUER)
        return LocalIssuer(channel, service=self._service, secret=self._secret).issue

    async def _token(self, tokens: Tokens, user: str, timeout_s: float) -> str:
        """Return a token; what the issuer says is never the peer's refusal."""
        try:
            return await tokens.token(user, timeout_s=timeout_s)
        except TimeoutError as error:
            raise PeerUnavailable(ISSUER, "DEADLINE_EXCEEDED", "no token in time") from error
        except OSError as error:
            raise PeerUnavailable("the issuer", "UNAVAILABLE", str(error)) from error
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


SIZE_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
]
CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    *SIZE_OPTIONS,
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
