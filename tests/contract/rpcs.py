"""Every rpc of every service that can be started, as data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from ironloop.kit.v1 import operator_pb2
from ironloop.options.v1 import options_pb2

from services.kit.contract import access_of
from services.kit.service import ServiceDefinition


@dataclass(frozen=True, slots=True)
class Rpc:
    """One rpc of a running service.

    Attributes:
        service: Who serves it; the kit's own rpcs are served by every service.
    """

    service: str
    method: MethodDescriptor

    def __str__(self) -> str:
        """Name it shortly, for example "parties: PartiesService/GetParty"."""
        return f"{self.service}: {self.method.containing_service.name}/{self.method.name}"

    @property
    def path(self) -> str:
        """Return its path on the wire."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def access(self) -> options_pb2.Access:
        """Return its declared access."""
        return access_of(self.method)

    @property
    def request_type(self) -> type[Message]:
        """Return its request's class."""
        return GetMessageClass(self.method.input_type)

    async def call(self, channel: grpc.aio.Channel, raw: bytes, **options: Any) -> list[Message]:
        """Call it with the bytes of a request, and return its answers.

        Raises:
            AioRpcError: It is refused.
        """
        parse: Callable[[bytes], Message] = GetMessageClass(self.method.output_type).FromString
        kind = f"{_kind(self.method.client_streaming)}_{_kind(self.method.server_streaming)}"
        call = getattr(channel, kind)(self.path, response_deserializer=parse)
        asked = call(iter([raw]) if self.method.client_streaming else raw, **options)
        if self.method.server_streaming:
            return [answer async for answer in asked]
        return [await asked]


def rpcs_of(definitions: list[ServiceDefinition]) -> Iterator[Rpc]:
    """Yield every rpc of some services, the kit's last."""
    for definition in definitions:
        for service in definition.proto_services:
            for method in service.methods:
                yield Rpc(definition.name, method)
    for definition in definitions:
        for method in operator_pb2.DESCRIPTOR.services_by_name["OperatorService"].methods:
            yield Rpc(definition.name, method)


def _kind(is_stream: bool) -> str:
    return "stream" if is_stream else "unary"
