"""Page tokens: they fit one caller, one rpc and one filter, and nobody can make one."""

import base64
import datetime as dt
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2

from services.kit.errors import InvalidArgument
from services.kit.paging import InvalidPageToken, Page, Pages
from services.kit.principals import Principal, enter

ME = Principal("users/me", "parties/mine", frozenset({options_pb2.ROLE_ADMIN}))
OTHER = Principal("users/other", "parties/mine", frozenset({options_pb2.ROLE_ADMIN}))
LISTING = "/ironloop.parties.v1.PartiesService/ListParties"
KEY = ("长沙重机", UUID(int=7))


class Colour(StrEnum):
    RED = "RED"


def request(**fields: object) -> parties_pb2.ListPartiesRequest:
    return parties_pb2.ListPartiesRequest(**fields)  # type: ignore[arg-type]


@pytest.fixture
def pages() -> Pages:
    enter(ME, LISTING)
    return Pages("a secret of at least thirty-two characters")


def test_a_token_goes_on_where_the_page_ended(pages: Pages) -> None:
    token = pages.next_token(request(), KEY)
    assert pages.open(request(page_token=token, page_size=3)) == Page(3, KEY)


def test_every_kind_of_sort_key_comes_back(pages: Pages) -> None:
    key = (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.date(2026, 1, 2), 5, Decimal("1.50"), "x")
    assert pages.open(request(page_token=pages.next_token(request(), key))).after == key
    enum_token = pages.next_token(request(), (Colour.RED,))
    assert pages.open(request(page_token=enum_token)).after == ("RED",)


def test_page_sizes_are_limited(pages: Pages) -> None:
    assert pages.open(request()).limit == 50
    assert pages.open(request(page_size=100_000)).limit == 200
    with pytest.raises(InvalidArgument):
        pages.open(request(page_size=-1))


def test_the_last_page_has_no_token(pages: Pages) -> None:
    page = Page(2, None)
    assert pages.cut(request(), page, [1, 2], key=lambda row: (row,)) == ([1, 2], "")
    kept, token = pages.cut(request(), page, [1, 2, 3], key=lambda row: (row,))
    assert kept == [1, 2]
    assert pages.open(request(page_token=token)).after == (2,)


def test_another_caller_rpc_filter_or_secret_makes_a_token_invalid(pages: Pages) -> None:
    token = pages.next_token(request(), KEY)
    with pytest.raises(InvalidPageToken):
        pages.open(request(page_token=token, role=options_pb2.ROLE_BUYER))
    with pytest.raises(InvalidPageToken):
        Pages("another secret of thirty-two characters").open(request(page_token=token))
    enter(OTHER, LISTING)
    with pytest.raises(InvalidPageToken):
        pages.open(request(page_token=token))
    enter(ME, "/ironloop.kit.v1.OperatorService/ListSagas")
    with pytest.raises(InvalidPageToken):
        pages.open(request(page_token=token))


@given(st.integers(0, 400), st.integers(1, 255))
def test_one_changed_byte_makes_a_token_invalid(place: int, flip: int) -> None:
    enter(ME, LISTING)
    pages = Pages("a secret of at least thirty-two characters")
    sealed = bytearray(base64.urlsafe_b64decode(pages.next_token(request(), KEY)))
    sealed[place % len(sealed)] ^= flip
    with pytest.raises(InvalidPageToken):
        pages.open(request(page_token=base64.urlsafe_b64encode(bytes(sealed)).decode()))


@given(st.text(min_size=1, max_size=60))
def test_no_text_is_a_token(text: str) -> None:
    enter(ME, LISTING)
    with pytest.raises(InvalidPageToken):
        Pages("a secret of at least thirty-two characters").open(request(page_token=text))
