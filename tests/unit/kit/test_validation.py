"""What the door refuses, by field."""

import pytest
from google.protobuf import struct_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2

from services.kit import contract, validation
from services.kit.errors import InvalidArgument

REQUEST_ID = "0190a0a0-0000-7000-8000-000000000000"


def refused_fields(request: Message) -> list[str]:
    with pytest.raises(InvalidArgument) as caught:
        validation.parser_of(type(request))(request.SerializeToString())
    return [field for field, _ in caught.value.violations]


def test_a_good_request_passes() -> None:
    asked = parties_pb2.GetPartyRequest(name=f"parties/{REQUEST_ID}")
    assert validation.parser_of(type(asked))(asked.SerializeToString()) == asked


def test_a_nul_is_refused_in_any_text() -> None:
    asked = parties_pb2.IssueTokenRequest(
        user=parties_pb2.UserCredentials(login="a\0b", password="\0")
    )
    assert refused_fields(asked) == ["user.login", "user.password"]


def test_a_nul_is_refused_in_lists_and_maps() -> None:
    asked = error_details_pb2.ErrorInfo(metadata={"a\0": "x", "b": "\0"})
    assert sorted(set(refused_fields(asked))) == ["metadata", 'metadata["b"]']
    nested = struct_pb2.Struct()
    nested.update({"deep": [{"text": "\0"}]})
    assert len(refused_fields(nested)) == 1


def test_bytes_that_are_no_request_are_refused() -> None:
    for raw in (b"\xff\xff\xff", b"\x0a\x03\xed\xa0\x80"):
        with pytest.raises(InvalidArgument) as caught:
            validation.parser_of(parties_pb2.GetPartyRequest)(raw)
        assert caught.value.violations[0][0] == "request"


def test_a_rule_is_named_by_its_path() -> None:
    asked = parties_pb2.IssueTokenRequest(
        client=parties_pb2.ClientCredentials(service="nobody", secret="x")
    )
    assert refused_fields(asked) == ["client.service"]
    made = parties_pb2.CreateUserRequest(
        request_id=REQUEST_ID,
        party=f"parties/{REQUEST_ID}",
        login="a.login",
        password="a long password",
        roles=[options_pb2.ROLE_BUYER, 99],  # type: ignore[list-item]
    )
    assert refused_fields(made) == ["roles[1]"]


def test_a_rule_about_several_fields_names_the_request() -> None:
    made = parties_pb2.CreatePartyRequest(request_id=REQUEST_ID, legal_name="X")
    assert refused_fields(made) == ["request"]
    assert refused_fields(parties_pb2.IssueTokenRequest()) == ["credentials"]


def test_every_rule_of_the_contract_compiles() -> None:
    for event in contract.event_types():
        validation.check(event())
    for request in contract.request_types():
        try:
            validation.check(request())
        except InvalidArgument:
            continue
