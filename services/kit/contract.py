"""What the contract's own options say: access of each rpc, topic and key of each event."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache

import ironloop
from google.protobuf.descriptor import (
    Descriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from ironloop.options.v1 import options_pb2


class ContractError(Exception):
    """The contract leaves out something that a server needs to know."""


@cache
def access_of(method: MethodDescriptor) -> options_pb2.Access:
    """Return an rpc's declared access.

    Raises:
        ContractError: It declares none, or a write declares no key against repetition.
    """
    if not method.GetOptions().HasExtension(options_pb2.access):
        raise ContractError(f"{method.full_name} declares no access")
    access = method.GetOptions().Extensions[options_pb2.access]
    if not access.permission or not (access.public or access.roles):
        raise ContractError(f"{method.full_name} names no permission, or nobody who holds it")
    takes_request_id = "request_id" in method.input_type.fields_by_name
    if not (access.read_only or access.natural_key or takes_request_id):
        raise ContractError(
            f"{method.full_name} changes something and has neither request_id nor natural_key"
        )
    return access


@cache
def event_of(descriptor: Descriptor) -> options_pb2.Event:
    """Return an event's topic and key field.

    Raises:
        ContractError: The message is no event, or its key or sequence field is missing.
    """
    event = descriptor.GetOptions().Extensions[options_pb2.event]
    if not event.topic:
        raise ContractError(f"{descriptor.full_name} is not declared an event")
    if event.key not in descriptor.fields_by_name or "sequence" not in descriptor.fields_by_name:
        raise ContractError(f"{descriptor.full_name} lacks its key or its sequence")
    return event


def event_types() -> list[type[Message]]:
    """Return every event of the contract, by full name."""
    found = {
        descriptor.full_name: GetMessageClass(descriptor)
        for module in _generated_modules()
        for descriptor in importlib.import_module(module).DESCRIPTOR.message_types_by_name.values()
        if descriptor.GetOptions().HasExtension(options_pb2.event)
    }
    return [found[full_name] for full_name in sorted(found)]


def event_topics() -> list[str]:
    """Return every topic of the contract, sorted; each has a dead-letter topic beside it."""
    return sorted({event_of(event.DESCRIPTOR).topic for event in event_types()})


def dead_letter_topic(topic: str) -> str:
    """Return where a topic's poison events go."""
    return f"{topic}.dlq"


def services() -> list[ServiceDescriptor]:
    """Return every service of the contract, by full name."""
    found = {
        service.full_name: service
        for module in _generated_modules()
        for service in importlib.import_module(module).DESCRIPTOR.services_by_name.values()
    }
    return [found[full_name] for full_name in sorted(found)]


def request_types() -> list[type[Message]]:
    """Return the request of every rpc of the contract."""
    return [GetMessageClass(rpc.input_type) for service in services() for rpc in service.methods]


def find_method(name: str) -> MethodDescriptor:
    """Return the rpc of a name like "marketplace.ListingService/GetListing", or its full form.

    Raises:
        LookupError: The contract has no such rpc; the message lists what comes near.
    """
    service, _, method = name.strip("/").rpartition("/")
    methods = {
        f"{found.full_name.removeprefix('ironloop.').replace('.v1.', '.')}": found
        for found in services()
    }
    short = service.removeprefix("ironloop.").replace(".v1.", ".")
    if short not in methods:
        raise LookupError(f"no service {service}; there are {', '.join(sorted(methods))}")
    known = methods[short].methods_by_name
    if method not in known:
        raise LookupError(f"{short} has no rpc {method}; it has {', '.join(sorted(known))}")
    return known[method]


def _generated_modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(ironloop.__path__, "ironloop."):
        if module.name.endswith("_pb2"):
            yield module.name
