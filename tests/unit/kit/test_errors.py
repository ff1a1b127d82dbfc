"""Refusals on the wire: their details, and that none outgrows a client's headers."""

from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from services.kit.errors import (
    Aborted,
    DomainError,
    InvalidArgument,
    NotFound,
    PreconditionFailed,
    StoredRefusal,
    Unavailable,
    error_info,
    shortened,
)
from services.kit.etags import EtagMismatch, check_etag, etag

TRAILERS_BYTES_MAX = 8_192  # what a client takes by default


def detail(status: status_pb2.Status, kind: type) -> object:
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    raise AssertionError(f"no {kind.__name__}")


def test_every_refusal_says_its_reason_first() -> None:
    info = error_info(NotFound("orders/1").to_status())
    assert (info.reason, info.domain) == ("NOT_FOUND", "ironloop")
    assert info.metadata["resource"] == "orders/1"


def test_a_bad_field_is_named() -> None:
    status = InvalidArgument.many([("price", "too low"), ("name", "empty")]).to_status()
    bad = detail(status, error_details_pb2.BadRequest)
    assert [v.field for v in bad.field_violations] == ["price", "name"]  # type: ignore[attr-defined]


def test_a_refused_state_names_its_subject() -> None:
    status = PreconditionFailed("no", subject="orders/1").to_status()
    failure = detail(status, error_details_pb2.PreconditionFailure)
    assert failure.violations[0].subject == "orders/1"  # type: ignore[attr-defined]


def test_a_refusal_of_the_moment_says_when_to_come_back() -> None:
    info = detail(Unavailable("gone", retry_after_s=0.5).to_status(), error_details_pb2.RetryInfo)
    assert info.retry_delay.ToMilliseconds() == 500  # type: ignore[attr-defined]


@pytest.mark.parametrize("character", ["x", "长", "\U0001f69c"])
def test_no_refusal_outgrows_the_trailers(character: str) -> None:
    long = character * 100_000
    refusals: list[DomainError] = [
        NotFound(long),
        PreconditionFailed(long, subject=long, one=long, two=long),
        InvalidArgument.many([(long, long)] * 100),
        EtagMismatch(long, long),
    ]
    for refusal in refusals:
        status = refusal.to_status()
        encoded = len(quote(status.message)) + len(status.SerializeToString()) * 4 // 3
        assert encoded < TRAILERS_BYTES_MAX, type(refusal)


def test_text_is_cut_at_a_character() -> None:
    assert shortened("长长长长", 8).startswith("长")
    assert len(shortened("长" * 50, 20).encode()) <= 20
    assert shortened("short", 20) == "short"


def test_definite_refusals_are_told_from_those_of_the_moment() -> None:
    assert NotFound("x").is_definite
    assert EtagMismatch("a", "b").is_definite
    assert not Aborted("x").is_definite
    assert not Unavailable("x").is_definite


def test_a_stored_refusal_is_given_as_it_was() -> None:
    status = PreconditionFailed("no", subject="orders/1", limit="5").to_status()
    again = StoredRefusal(status)
    assert again.to_status() == status
    assert again.code is grpc.StatusCode.FAILED_PRECONDITION
    assert again.metadata == {"limit": "5"}


def test_an_etag_is_checked_only_where_it_is_given() -> None:
    check_etag("", 4)
    check_etag(etag(4), 4)
    with pytest.raises(EtagMismatch):
        check_etag(etag(3), 4)
