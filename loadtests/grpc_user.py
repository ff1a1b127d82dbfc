"""A locust user that speaks gRPC, and keeps its pace in a closed or an open loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import gevent  # type: ignore[import-untyped]
import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from locust import User, task

from loadtests.journal import Journal, JournalledCommand
from loadtests.plan import Plan
from loadtests.recorder import Recorder
from services.kit.clients import CHANNEL_OPTIONS
from services.kit.errors import error_info

CALL_WITHIN_S = 30.0
TRIES_MAX = 8  # with the same ids; what is not known then stays unknown, and is counted
RETRY_S = 0.2
# What became of the command is not known, or it was not taken up: the same is sent again.
_RETRIED = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


class Refused(Exception):
    """A definite refusal; nothing came of the command.

    Attributes:
        facts: What the refusal says beside its reason.
    """

    def __init__(self, reason: str, facts: Mapping[str, str]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.facts = facts


class Unknown(Exception):
    """The command was never answered."""


class GrpcUser(User):
    """Repeats one operation; subclasses say which.

    In an open loop each user has its share of the rate, and latency counts from the instant at
    which an operation should have begun, however late the one before was answered.
    """

    abstract = True
    host = "127.0.0.1"
    plan: Plan
    recorder: Recorder
    journal: Journal
    items = 1
    number = -1
    _channels: dict[str, grpc.Channel] = {}  # noqa: RUF012  (one connection a service for all)
    _started = 0  # numbers the users, so that each has its own leases, its own turn

    def on_start(self) -> None:
        """Number the user and begin its pace anew."""
        if self.number < 0:
            self.number = GrpcUser._started
            GrpcUser._started += 1
        self.label = type(self).__name__
        self._paced_step: object = None
        self._next_s = 0.0

    @task
    def operate(self) -> None:
        """Run one operation at its time, and record it."""
        made = self.make()
        intended_s = self._wait_for_turn()
        name = self.label
        try:
            self.operation(made)
        except Refused as refusal:
            self.recorder.failed(refusal.reason)
            self._tell(name, intended_s, refusal)
        except Unknown as unknown:
            self.recorder.failed("never answered")
            self._tell(name, intended_s, unknown)
        else:
            took_ms = (time.monotonic() - intended_s) * 1000
            self.recorder.succeeded(name, took_ms=took_ms, items=self.items)
            self._tell(name, intended_s, None)

    def make(self) -> Any:
        """Return what the next operation sends, made before its turn."""
        return None

    def operation(self, made: Any, /) -> None:
        """Do what is measured.

        Raises:
            Refused, Unknown.
        """
        raise NotImplementedError

    def rpc(self, service: str, method: str, answer: type[Message]) -> Callable[..., Any]:
        """Return an rpc of a service, by "<proto service>/<method>"."""
        return self._channel(service).unary_unary(
            f"/ironloop.{service}.v1.{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    def stream(self, service: str, method: str, answer: type[Message]) -> Callable[..., Any]:
        """Return an rpc of a service that streams both ways."""
        return self._channel(service).stream_stream(
            f"/ironloop.{service}.v1.{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    def _channel(self, service: str) -> grpc.Channel:
        if service not in self._channels:
            address = self.plan.addresses[service]
            self._channels[service] = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        return self._channels[service]

    def call(self, rpc: Callable[..., Any], request: Message, *, token: str) -> Any:
        """Return the answer to a call; where it helps the same is sent again.

        Raises:
            Refused: It was refused for good.
            Unknown: It was not answered.
        """
        metadata = [("authorization", f"Bearer {token}")]
        for _ in range(TRIES_MAX):
            try:
                return rpc(request, metadata=metadata, timeout=CALL_WITHIN_S)
            except grpc.RpcError as error:
                code, info, is_worth_retry = _read(error)
                if not is_worth_retry:
                    raise Refused(f"{code.name} {info.reason}", info.metadata) from error
                self.recorder.failed(f"{code.name} {info.reason} (sent again)")
                gevent.sleep(RETRY_S)
        raise Unknown

    def command(
        self,
        rpc: Callable[..., Any],
        request: Any,
        *,
        token: str,
        subject: str,
        effect: Callable[[Any], Any],
        refusal_effect: Callable[[Refused], Any] | None = None,
        copies: int = 1,
    ) -> Any:
        """Send a command under a new request id, `copies` times at once, and journal it.

        Args:
            effect: What of an answer the checker holds against the stack.
            refusal_effect: The same of a refusal, where it says something.

        Raises:
            Refused, Unknown.
        """
        request.request_id = str(uuid4())
        sent = [gevent.spawn(self._try, rpc, request, token) for _ in range(copies)]
        gevent.joinall(sent)
        outcomes = [one.value for one in sent]
        answers = [one for one in outcomes if isinstance(one, Message)]
        errors = [one for one in outcomes if isinstance(one, Exception)]
        refusals = [one.reason for one in errors if isinstance(one, Refused)]
        outcome = "OK" if answers else (refusals or [""])[0]
        effects = [effect(answer) for answer in answers]
        if refusal_effect is not None:
            effects += [refusal_effect(one) for one in errors if isinstance(one, Refused)]
        method = type(request).DESCRIPTOR.name.removesuffix("Request")
        entry = JournalledCommand(request.request_id, method, subject, outcome, effects)
        self.journal.command(entry)
        if errors:
            raise errors[0]
        return answers[0]

    def _try(self, rpc: Callable[..., Any], request: Message, token: str) -> Any:
        try:
            return self.call(rpc, request, token=token)
        except (Refused, Unknown) as error:
            return error

    def _wait_for_turn(self) -> float:
        """Return the instant at which the operation should begin, once it has come."""
        step = self.recorder.steps[-1]
        if step.loop == "closed":
            return time.monotonic()
        interval_s = step.users / step.rate
        if self._paced_step is not step:
            # The users' turns lie evenly within the interval.
            self._paced_step = step
            self._next_s = step.started_s + interval_s * (self.number % step.users) / step.users
            while self._next_s < time.monotonic():
                self._next_s += interval_s
        intended_s, self._next_s = self._next_s, self._next_s + interval_s
        gevent.sleep(max(0.0, intended_s - time.monotonic()))
        return intended_s

    def _tell(self, name: str, intended_s: float, error: Exception | None) -> None:
        """Tell locust, for its page and its console."""
        self.environment.events.request.fire(
            request_type="grpc",
            name=name,
            response_time=(time.monotonic() - intended_s) * 1000,
            response_length=0,
            exception=error,
            context={},
        )


class MixedUser(GrpcUser):
    """Does in turn what users of several kinds do."""

    abstract = True
    kinds: Sequence[type[GrpcUser]] = ()

    def on_start(self) -> None:
        """Make one user of each kind."""
        super().on_start()
        self._parts = [kind(self.environment) for kind in self.kinds]
        for part in self._parts:
            part.number = self.number
            part.on_start()
        self._turn = self.number

    def make(self) -> Any:
        """Return whose turn it is, and what that one sends."""
        self._turn += 1
        part = self._parts[self._turn % len(self._parts)]
        self.label, self.items = part.label, part.items
        return part, part.make()

    def operation(self, made: Any, /) -> None:
        """Do what that one does."""
        part, own = made
        part.operation(own)


def _read(error: Any) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo, bool]:
    """Return the code and reason of a failed call, and whether to send it again."""
    code = error.code()
    status = rpc_status.from_call(error)
    if status is None:
        return code, error_details_pb2.ErrorInfo(), code in _RETRIED
    may_wait = any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
    return code, error_info(status), code in _RETRIED or may_wait
