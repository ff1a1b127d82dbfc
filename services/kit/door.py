"""The one door through which every call enters: who, may they, is it well-formed.

It covers all four kinds of rpc, renders every refusal, and lets no text of an unknown exception
out: those leave as INTERNAL with a correlation id.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
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

# The present call's, as grpc.aio made them to find its handler.
_HEADERS: ContextVar[Sequence[tuple[str, str | bytes]]] = ContextVar("headers")

log = structlog.get_logger(__name__)


class Door(grpc.GenericRpcHandler):
    """Finds each call's handler, and checks and renders around those that declare their access.

    The server knows this handler only. As an interceptor around others it would cost every call a
    few coroutines, a look into each service, and its headers made a second time.
    """

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
        self._rooms: list[grpc.GenericRpcHandler] = []
        self._wrapped: dict[str, Any] = {}

    def guard(self, server: grpc.aio.Server) -> None:
        """Have a server take all its calls through here, whatever is added to it from now on.

        Generated code adds each handler twice, by name and as a registered method. For a registered
        method grpc.aio keeps a task waiting, and at every call it goes through all of these tasks:
        a service of sixty methods spends a tenth of a call's time on that.
        """
        server.add_generic_rpc_handlers((self,))
        server.add_generic_rpc_handlers = self._rooms.extend  # type: ignore[assignment, method-assign]
        server.add_registered_method_handlers = lambda *_: None  # type: ignore[method-assign]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a call, wrapped; health and reflection pass as they are."""
        handler = self._wrapped.get(handler_call_details.method)
        if handler is None and (handler := self._find(handler_call_details)) is None:
            return None
        _HEADERS.set(handler_call_details.invocation_metadata)
        return handler

    def _find(self, details: grpc.HandlerCallDetails) -> Any:
        method = details.method
        found = (room.service(details) for room in self._rooms)
        handler = next((handler for handler in found if handler is not None), None)
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
            headers = dict(_HEADERS.get())  # of one that is given twice, the last
            with self._span(headers):
                try:
                    enter(self._known(headers) or await self._admit(headers), self._method)
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
            headers = dict(_HEADERS.get())  # of one that is given twice, the last
            with self._span(headers):
                try:
                    enter(self._known(headers) or await self._admit(headers), self._method)
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

    def _known(self, headers: Mapping[str, str | bytes]) -> Principal | None:
        """Return the caller where the token was verified a moment ago and permits the call."""
        caller = self._authenticator.known(headers.get("authorization"))
        return None if caller is None or self._roles.isdisjoint(caller.roles) else caller

    async def _admit(self, headers: Mapping[str, str | bytes]) -> Principal:
        """Return the caller.

        Raises:
            Unauthenticated: The token is missing or not accepted.
            PermissionDenied: None of the caller's roles holds the permission.
        """
        if self._access.public:
            return ANONYMOUS
        caller = await self._authenticator.principal(_text(headers, "authorization"))
        if self._roles.isdisjoint(caller.roles):
            raise PermissionDenied(
                f"{caller.subject} does not hold {self._access.permission}",
                permission=self._access.permission,
            )
        return caller

    def _span(self, headers: Mapping[str, str | bytes]) -> telemetry.span:
        parent = _text(headers, telemetry.TRACEPARENT_HEADER)
        return telemetry.span(self._method, parent=parent, kind=SpanKind.SERVER)

    def _observe(self, started_s: float, code: str) -> None:
        telemetry.RPC_SECONDS.labels(self._method, code).observe(time.perf_counter() - started_s)


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
