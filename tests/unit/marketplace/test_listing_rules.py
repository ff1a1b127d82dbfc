"""Pure rules of listings, search words and consents."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.ids import new_id
from services.marketplace.consent_model import TEXTS, ConsentPurpose
from services.marketplace.errors import AskOutOfRange, ConsentTextMismatch, ValuationNotIssued
from services.marketplace.listing_model import (
    Content,
    Guide,
    ListedMachine,
    Listing,
    ListingFormat,
    ListingOrder,
    ListingState,
    check_ask,
    guide_from_json,
    guide_to_json,
)
from services.marketplace.search_store import Search, statement
from services.marketplace.search_words import query_terms, search_terms

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def guide(worth_fen: int, *, state: str = "ISSUED") -> Guide:
    fmv_fen = (worth_fen - 2, worth_fen - 1, worth_fen, worth_fen + 1, worth_fen + 2)
    return Guide("valuations/1", state, date(2026, 3, 2), fmv_fen, "B", NOW)


def listing(ask_fen: int, shown: Guide | None, *, reason: str = "") -> Listing:
    return Listing(
        id=new_id(),
        version=1,
        event_sequence=0,
        state=ListingState.INSPECTED,
        machine_id=new_id(),
        seller="parties/s",
        reference=None,
        content=Content(ListingFormat.FIXED, ask_fen, reason, "Hunan", "", (), (), None),
        machine=ListedMachine("XCMG", "LW500", "WHEEL_LOADER", 2020, None),
        guide=shown,
        sale=None,
        rejection_reason="",
        disposal="",
        publish_time=None,
        expire_time=None,
        create_time=NOW,
        update_time=NOW,
    )


@given(st.integers(10, 10**13), st.integers(1, 3 * 10**13))
def test_an_ask_holds_within_half_and_one_and_a_half_of_the_value(
    worth_fen: int, ask_fen: int
) -> None:
    within = worth_fen <= 2 * ask_fen and 2 * ask_fen <= 3 * worth_fen
    asked = listing(ask_fen, guide(worth_fen))
    if within:
        check_ask(asked)
    else:
        with pytest.raises(AskOutOfRange):
            check_ask(asked)
        check_ask(listing(ask_fen, guide(worth_fen), reason="new engine"))
        with pytest.raises(AskOutOfRange):
            check_ask(listing(ask_fen, guide(worth_fen), reason="  "))


@pytest.mark.parametrize(
    "shown", [None, guide(100, state="IN_REVIEW"), guide(100, state="REVOKED")]
)
def test_only_an_issued_value_guides(shown: Guide | None) -> None:
    with pytest.raises(ValuationNotIssued):
        check_ask(listing(100, shown))


def test_a_guide_is_kept_whole() -> None:
    assert guide_from_json(guide_to_json(guide(12_345))) == guide(12_345)


def test_the_refused_ask_names_its_limits_in_money() -> None:
    with pytest.raises(AskOutOfRange) as refusal:
        check_ask(listing(100_000_005, guide(40_000_000)))
    assert "1,000,000.05 CNY" in refusal.value.message
    assert "200,000.00 to 600,000.00" in refusal.value.message


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("XCMG LW500FN", "lw500fn", True),
        ("XCMG LW500FN", "lw500", False),  # model_prefix is for that
        ("长沙中联重科", "中联", True),
        ("长沙中联重科", "沙中", True),
        ("长沙中联重科", "科", True),
        ("长沙中联重科", "联中", False),
        ("徐工LW500装载机", "徐工 lw500 装载", True),
        ("one owner, kept indoors", "owner  INDOORS!", True),
        ("anything", "", True),
    ],
)
def test_a_text_is_found_by_its_words(text: str, query: str, found: bool) -> None:
    assert set(query_terms(query)).issubset(search_terms(text)) is found


@given(st.text(max_size=60), st.text(max_size=20))
def test_a_text_is_found_by_any_word_that_stands_in_it(text: str, word: str) -> None:
    assert set(query_terms(word)).issubset(search_terms(f"{text} {word}"))


def test_a_search_has_conditions_for_what_is_asked_and_no_others() -> None:
    sql, arguments = statement(
        Search(order=ListingOrder.PRICE_HIGHEST, make="cat", ask_fen_max=0),
        after=(500, "id"),
        limit=11,
    )
    assert sql == (
        "select * from listing where state = 'PUBLISHED' and upper(make) = upper($1) "
        "and ask_fen <= $2 and (ask_fen, id) < ($3, $4) order by ask_fen desc, id desc limit $5"
    )
    assert arguments == ["cat", 0, 500, "id", 11]


def test_a_consent_is_to_the_very_text() -> None:
    text = TEXTS[ConsentPurpose.SALE_PRICE_LABEL]
    text.check_shown(text.version, text.sha256)
    for version, sha256 in ((text.version + 1, text.sha256), (text.version, "0" * 64)):
        with pytest.raises(ConsentTextMismatch):
            text.check_shown(version, sha256)


def test_the_text_in_force_has_not_changed_under_its_version() -> None:
    # A consent names version and hash: whoever changes the text raises the version.
    text = TEXTS[ConsentPurpose.SALE_PRICE_LABEL]
    known = {1: "e3eecea332f49ed2601b0ea4bf058d562f9aeda1921e8f003199d989b170442e"}
    assert text.sha256 == known[text.version]
