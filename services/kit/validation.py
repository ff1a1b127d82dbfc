"""Requests checked at the door: the contract's field rules, and the form of every value type."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from ironloop.options.v1 import options_pb2

from services.kit import wire
from services.kit.errors import InvalidArgument

WHOLE_REQUEST = "request"

_NUL = "must not hold the character U+0000"
_VALIDATE = protovalidate.Validator().validate
Request = TypeVar("Request", bound=Message)

_VALUE_TYPES: dict[str, Callable[[Any], str | None]] = {
    "google.type.Money": wire.money_problem,
    "google.type.Date": wire.date_problem,
    "google.type.Decimal": wire.decimal_problem,
    "google.protobuf.Timestamp": wire.instant_problem,
}


def parser_of(request_type: type[Request]) -> Callable[[bytes], Request]:
    """Return what reads requests of a type and checks them.

    It raises InvalidArgument where the bytes hold none, or one that breaks a rule; that names each
    field and its limit.
    """
    read = request_type.FromString
    holds_value_types = _holds_value_types(request_type.DESCRIPTOR)

    def parse(raw: bytes) -> Request:
        try:
            request = read(raw)
        except DecodeError as error:
            raise InvalidArgument(WHOLE_REQUEST, f"cannot be read: {error}") from error
        # PostgreSQL takes no NUL in a text. Where the bytes hold no zero, no text of them does.
        if holds_value_types or 0 in raw:
            check(request, list(_nul_characters(request, "")) if 0 in raw else ())
            return request
        try:
            _VALIDATE(request)
        except protovalidate.ValidationError:
            check(request)
        return request

    return parse


def check(request: Message, violations: Sequence[tuple[str, str]] = ()) -> None:
    """Check a request against its annotations and the form of its money, dates and numbers.

    Args:
        violations: What was found wrong with it before.

    Raises:
        InvalidArgument: Names each field and its limit.
    """
    violations = list(violations)
    try:
        _VALIDATE(request)
    except protovalidate.ValidationError as error:
        violations += [
            (_field_path(violation.field), _sentence(violation))
            for violation in error.to_proto().violations
        ]
    if _holds_value_types(request.DESCRIPTOR):
        violations += _malformed(request, "")
    if violations:
        raise InvalidArgument.many(violations)


def _nul_characters(message: Message, path: str) -> Iterator[tuple[str, str]]:
    """Return every text that holds a NUL, map keys included, except in rows with a result code."""
    if message.DESCRIPTOR.GetOptions().Extensions[options_pb2.has_result_code]:
        return
    for field, value in message.ListFields():
        if field.message_type is None and field.type != FieldDescriptor.TYPE_STRING:
            continue
        for place, item in _all_items(field, value, path):
            if isinstance(item, Message):
                yield from _nul_characters(item, f"{place}.")
            elif isinstance(item, str) and "\0" in item:
                yield place, _NUL


def _all_items(field: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        place = f"{path}{field.name}"
        for key in value:
            yield place, key
            yield f'{place}["{key}"]', value[key]
    else:
        yield from _items(field, value, path)


def _malformed(message: Message, path: str) -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        content = field.message_type
        if content is None or content.GetOptions().map_entry:
            continue
        check_form = _VALUE_TYPES.get(content.full_name)
        if check_form is None and not _holds_value_types(content):
            continue
        for place, item in _items(field, value, path):
            if check_form is None:
                yield from _malformed(item, f"{place}.")
            elif (problem := check_form(item)) is not None:
                yield place, problem


def _items(field: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if field.is_repeated:
        for index, item in enumerate(value):
            yield f"{path}{field.name}[{index}]", item
    else:
        yield f"{path}{field.name}", value


@cache
def _holds_value_types(descriptor: Descriptor) -> bool:
    """Whether a money, date, instant or number can stand anywhere below a message type."""
    seen: set[str] = set()
    waiting = [descriptor]
    while waiting:
        for field in waiting.pop().fields:
            content = field.message_type
            if content is None:
                continue
            if content.full_name in _VALUE_TYPES:
                return True
            if content.full_name not in seen:
                seen.add(content.full_name)
                waiting.append(content)
    return False


def _field_path(path: Any) -> str:
    """Return a violation's path as callers write it, for example "lines[2].unit_price".

    A rule about several fields of the request belongs to none of them: it names the request.
    """
    text = ""
    for element in path.elements if path else ():
        text += f".{element.field_name}" if text else element.field_name
        if (subscript := element.subscript) is not None:
            is_text = subscript.field == "string_key"
            text += f'["{subscript.value}"]' if is_text else f"[{subscript.value}]"
    return text or WHOLE_REQUEST


def _sentence(violation: Any) -> str:
    return violation.message or f"breaks the rule {violation.rule_id}"
