"""A caller of Ironloop: stubs whose calls carry a token."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc

Stub = TypeVar("Stub")


class Channels(Protocol):
    """Where the services are."""

    def channel(self, service: str) -> grpc.aio.Channel:
        """Return the channel to a service."""
        ...


class AuthorisedChannel:
    """A channel whose calls carry a token."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._channel = channel
        self._authorization = ("authorization", f"Bearer {token}")

    def __getattr__(self, kind: str) -> Any:
        """Return unary_unary and its kin, their calls carrying the token."""
        make = getattr(self._channel, kind)

        def callable_of(*arguments: Any, **options: Any) -> Any:
            call = make(*arguments, **options)

            def authorised(*request: Any, **keywords: Any) -> Any:
                metadata = [*(keywords.pop("metadata", None) or ()), self._authorization]
                return call(*request, metadata=metadata, **keywords)

            return authorised

        return callable_of


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """Somebody who calls.

    Attributes:
        subject: "users/<uuid>" or "services/<name>".
        party: "parties/<uuid>", or "" for a service.
        token: What its calls carry.
    """

    channels: Channels
    subject: str
    party: str
    token: str

    def stub(self, stub: Callable[[grpc.aio.Channel], Stub], *, service: str = "") -> Stub:
        """Return a stub whose calls carry this actor's token.

        Args:
            service: Which service to call, where the stub's package does not say it (the kit's).
        """
        target = service or stub.__module__.split(".")[1]
        authorised: Any = AuthorisedChannel(self.channels.channel(target), self.token)
        return stub(authorised)
