"""Requests made from descriptors: mostly such as the contract's rules allow, and now and then not.

A good value keeps its field's protovalidate rules (pattern, lengths, ranges, items); a bad one is
whatever has broken services before: NUL, lone marks, huge numbers, unknown enums, absent parts.
Names are drawn from those that answers have shown, so that requests reach real rows.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, cast

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.kit.ids import new_id
from tests.contract.patterns import text_matching
from tests.contract.values import VALUES

DEPTH_MAX = 5
BAD_SHARE = 0.12
NAMES_KEPT_MAX = 200
RESOURCE_NAME = re.compile(r"([a-z_]{3,30})/[0-9a-f-]{1,36}")

BAD_TEXTS = [
    "\0",
    "a\0b",
    "",
    " ",
    "'; drop table party; --",
    "%_\\",
    "\u202eevil",
    "\ufeff",
    "\U0001f69c" * 50,
    "长" * 300,
    "x" * 5_000,
    "parties/",
    "../../etc/passwd",
    "NaN",
    "-1",
    "null",
]
INTEGER_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


class Generator:
    """Makes requests, and learns names from answers."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.names: dict[str, list[str]] = defaultdict(list)
        self._bad_share = 0.0

    def request(self, request_type: type[Message]) -> Message:
        """Return a request; half of them break no rule."""
        self._bad_share = self.dice.choice([0.0, BAD_SHARE])
        return self._message(cast(Descriptor, request_type.DESCRIPTOR), DEPTH_MAX)

    def learn(self, message: Message) -> None:
        """Remember every resource name in an answer."""
        for text in _texts(message):
            if found := RESOURCE_NAME.fullmatch(text):
                kept = self.names[found[1]]
                if text not in kept:
                    kept.append(text)
                del kept[:-NAMES_KEPT_MAX]

    def _message(self, descriptor: Descriptor, depth: int) -> Message:
        if (make := VALUES.get(descriptor.full_name)) is not None:
            return make(self.dice, self._is_bad())
        message = GetMessageClass(descriptor)()
        chosen = {oneof.name: self.dice.choice(list(oneof.fields)) for oneof in descriptor.oneofs}
        for field in descriptor.fields:
            oneof = field.containing_oneof
            if oneof is not None and (chosen[oneof.name] is not field or self._is_bad()):
                continue
            self._fill(message, field, depth)
        return message

    def _fill(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        rules = field.GetOptions().Extensions[validate_pb2.field]
        if field.is_repeated:
            self._fill_repeated(message, field, rules, depth)
        elif field.message_type is not None:
            is_absent = not rules.required and self.dice.random() < 0.3
            if depth > 0 and not is_absent and not self._is_bad():
                part = self._message(field.message_type, depth - 1)
                getattr(message, field.name).CopyFrom(part)
        else:
            setattr(message, field.name, self._scalar(field, rules))

    def _fill_repeated(
        self, message: Message, field: FieldDescriptor, rules: validate_pb2.FieldRules, depth: int
    ) -> None:
        items = rules.repeated
        least, most = items.min_items, items.max_items or items.min_items + 4
        count = self.dice.randint(least, max(least, min(most, least + 3)))
        if self._is_bad():
            count = self.dice.choice([0, 1, 300])
        target = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return
        for _ in range(count if depth > 0 else 0):
            if field.message_type is not None:
                target.add().CopyFrom(self._message(field.message_type, depth - 1))
            else:
                target.append(self._scalar(field, items.items))

    def _scalar(self, field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Any:
        kind = field.cpp_type
        if kind == FieldDescriptor.CPPTYPE_STRING:
            if field.type == FieldDescriptor.TYPE_BYTES:
                return self.dice.randbytes(self.dice.choice([0, 1, 32, 500]))
            return self._text(field, rules.string)
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return self._enum(field, rules.enum)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self.dice.random() < 0.5
        if kind in INTEGER_RANGES:
            return self._integer(kind, rules)
        return self.dice.choice([0.0, 1.5, -1e300, float("nan"), float("inf")])

    def _integer(self, kind: int, rules: validate_pb2.FieldRules) -> int:
        least, most = INTEGER_RANGES[kind]
        if self._is_bad():
            return self.dice.choice([least, most, 0, 1 if least == 0 else -1, most // 2])
        which = rules.WhichOneof("type")
        stated = getattr(rules, which) if which else None
        low, high = 0, 100
        if stated is not None and which in ("int32", "int64", "uint32", "uint64"):
            low = stated.gte if stated.HasField("gte") else stated.gt + 1
            if stated.WhichOneof("greater_than") is None:
                low = 0
            high = low + 100
            if stated.HasField("lte"):
                high = stated.lte
            elif stated.HasField("lt"):
                high = stated.lt - 1
        return self.dice.choice([low, high, self.dice.randint(low, high), min(high, low + 12)])

    def _enum(self, field: FieldDescriptor, rules: validate_pb2.EnumRules) -> int:
        assert field.enum_type is not None
        if self._is_bad():
            return self.dice.choice([0, 99, -1, 2**31 - 1])
        refused = set(rules.not_in)
        allowed = [value.number for value in field.enum_type.values]
        good = [number for number in allowed if number not in refused and number != 0]
        return self.dice.choice(good or [0])

    def _text(self, field: FieldDescriptor, rules: validate_pb2.StringRules) -> str:
        if self._is_bad():
            return self.dice.choice(BAD_TEXTS)
        if rules.WhichOneof("well_known") == "uuid":
            return str(new_id())
        if rules.WhichOneof("well_known") == "uri":
            return "https://example.com/" + self._letters(8)
        if rules.HasField("pattern"):
            return self._matching(rules.pattern)
        if field.name in ("etag", "page_token"):
            return ""
        least = rules.min_len
        most = rules.max_len or max(least, 40)
        return self._letters(self.dice.choice([least, min(most, least + 12), min(most, 200)]))

    def _matching(self, pattern: str) -> str:
        """Return a text that matches, a known resource name where the pattern is one's."""
        collections = [
            collection
            for collection in self.names
            if re.match(rf"\^?\(?{collection}/", pattern) and self.names[collection]
        ]
        if collections and self.dice.random() < 0.85:
            known = self.dice.choice(self.names[self.dice.choice(collections)])
            if re.fullmatch(pattern, known):
                return known
        return text_matching(pattern, self.dice)

    def _letters(self, count: int) -> str:
        return (
            "".join(self.dice.choices("abcdefghij 长沙-0123456789", k=count))
            .strip()
            .ljust(count, "x")
        )

    def _is_bad(self) -> bool:
        return self.dice.random() < self._bad_share


def _texts(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        if field.message_type is not None:
            if not field.message_type.GetOptions().map_entry:
                for part in values:
                    yield from _texts(part)
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield from values
