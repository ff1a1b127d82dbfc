"""The one interceptor through which every call enters: who, may they, is it well-formed.

It covers all four kinds of rpc, renders every refusal, and lets no text of an unknown exception
out: those leave as INTERNAL with a correlation id.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status
from ironloop.options.v1 import options_pb2
from opentelemetry.trace import SpanKind

from services.kit import telemetry, validation
from services.kit.contract import access_of
from services.kit.database import DatabaseUnavailable
from services.kit.errors import DomainError, Internal, PermissionDenied
from services.kit.principals import Principal, enter
from services.kit.tokens import Authenticator

ANONYMOUS = Principal("anonymous", "", frozenset())

log = structlog.get_logger(__name__)


class Door(grpc.aio.ServerInterceptor):
    """Checks and renders around the handlers of the services that declare their access."""

    def __init__(self, authenticator: Authenticator, services: list[ServiceDescriptor]) -> None:
        self._authenticator = authenticator
        methods = {
            f"/{service.full_name}/{method.name}": method
            for service in services
            for method in service.methods
        }
        self._access = {path: access_of(method) for path, method in methods.items()}
        self._request_types = {
            path: GetMessageClass(method.input_type) for path, method in methods.items()
        }
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler of a call, wrapped; health and reflection pass as they are."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            access = self._access.get(method)
            self._wrapped[method] = self._wrap(handler, method, access) if access else handler
        return self._wrapped[method]

    def _wrap(self, handler: Any, method: str, access: options_pb2.Access) -> Any:
        call = _Call(self._authenticator, method, access, self._request_types[method])
        serializer = {"response_serializer": handler.response_serializer}
        # Requests reach the call as bytes, so that unreadable ones are refused like all others.
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                call.answering_stream(handler.stream_stream, call.checked_stream), **serializer
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                call.answering_stream(handler.unary_stream, call.checked), **serializer
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                call.answering(handler.stream_unary, call.checked_stream), **serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            call.answering(handler.unary_unary, call.checked), **serializer
        )


class _Call:
    """One rpc method's passage through the door."""

    def __init__(
        self,
        authenticator: Authenticator,
        method: str,
        access: options_pb2.Access,
        request_type: type[Message],
    ) -> None:
        self._authenticator = authenticator
        self._method = method
        self._access = access
        self._roles = frozenset(access.roles)
        self._parse = validation.parser_of(request_type)
        self._seconds_ok = telemetry.RPC_SECONDS.labels(method, "OK")

    def checked(self, raw: bytes) -> Message:
        """Return a request whose fields keep the contract's rules.

        Raises:
            InvalidArgument: It cannot be read, or they do not.
        """
        return self._parse(raw)

    async def checked_stream(self, raws: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        """Pass on a stream of requests, each checked.

        Raises:
            InvalidArgument: One breaks the contract's rules.
        """
        async for raw in raws:
            yield self.checked(raw)

    def answering(self, handler: Any, check: Callable[[Any], Any]) -> Any:
        async def call(raw: Any, context: Any) -> Any:
            started_s = time.perf_counter()
            headers = headers_of(context)
            with self._span(headers):
                try:
                    await self._admit(headers)
                    answer = await handler(check(raw), context)
                except Exception as error:
                    refusal = rendered(error, self._method)
                else:
                    self._seconds_ok.observe(time.perf_counter() - started_s)
                    return answer
                self._observe(started_s, refusal.code.name)
                return await context.abort_with_status(rpc_status.to_status(refusal.to_status()))

        return call

    def answering_stream(self, handler: Any, check: Callable[[Any], Any]) -> Any:
        async def call(raw: Any, context: Any) -> AsyncIterator[Any]:
            started_s = time.perf_counter()
            headers = headers_of(context)
            with self._span(headers):
                try:
                    await self._admit(headers)
                    async for answer in handler(check(raw), context):
                        yield answer
                except Exception as error:
                    refusal = rendered(error, self._method)
                else:
                    self._seconds_ok.observe(time.perf_counter() - started_s)
                    return
                self._observe(started_s, refusal.code.name)
                await context.abort_with_status(rpc_status.to_status(refusal.to_status()))

        return call

    async def _admit(self, headers: Mapping[str, str | bytes]) -> None:
        """Make the caller the task's principal.

        Raises:
            Unauthenticated: The token is missing or not accepted.
            PermissionDenied: None of the caller's roles holds the permission.
        """
        caller = ANONYMOUS
        if not self._access.public:
            caller = await self._authenticator.principal(_text(headers, "authorization"))
            if self._roles.isdisjoint(caller.roles):
                raise PermissionDenied(
                    f"{caller.subject} does not hold {self._access.permission}",
                    permission=self._access.permission,
                )
        enter(caller, self._method)

    def _span(self, headers: Mapping[str, str | bytes]) -> telemetry.span:
        parent = _text(headers, telemetry.TRACEPARENT_HEADER)
        return telemetry.span(self._method, parent=parent, kind=SpanKind.SERVER)

    def _observe(self, started_s: float, code: str) -> None:
        telemetry.RPC_SECONDS.labels(self._method, code).observe(time.perf_counter() - started_s)


def headers_of(context: Any) -> dict[str, str | bytes]:
    """Return the call's headers; of one that is given twice, the last."""
    return dict(context.invocation_metadata() or ())


def _text(headers: Mapping[str, str | bytes], key: str) -> str:
    value = headers.get(key, "")
    return value if isinstance(value, str) else ""


def rendered(error: Exception, method: str) -> DomainError:
    """Return what a caller may see of an exception."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.QueryCanceledError):
        return DatabaseUnavailable(error)
    correlation_id = telemetry.trace_id() or uuid4().hex
    log.error("call_failed", method=method, correlation_id=correlation_id, exc_info=error)
    return Internal(correlation_id)
