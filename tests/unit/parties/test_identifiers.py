"""Check digits of unified social credit codes and legal entity identifiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.parties.errors import CheckDigitWrong
from services.parties.model import check_lei, check_uscc, uscc_of

CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"

# Codes as they stand in public registers: Huawei, Tencent, the Bank of China, Alibaba, Baidu,
# Xiaomi, a central enterprise, Haier.
USCCS = [
    "914403001922038216",
    "9144030071526726XG",
    "911000001000013428",
    "91330100799655058B",
    "91110000802100433B",
    "91110108551385082Q",
    "9111000071093123XX",
    "91370200718060405N",
]
# GLEIF's own example of ISO 17442, Deutsche Bank, Apple, the Bank of China.
LEIS = [
    "506700GE1G29325QX363",
    "7LTWFZYICNSX8D621K86",
    "HWUPKR0MPOU8FGXBT394",
    "54930053HGCFWVHYZX42",
]


@pytest.mark.parametrize("uscc", USCCS)
def test_a_registered_uscc_is_taken(uscc: str) -> None:
    check_uscc(uscc)


@pytest.mark.parametrize("lei", LEIS)
def test_a_registered_lei_is_taken(lei: str) -> None:
    check_lei(lei)


@given(st.text(CHARACTERS, min_size=17, max_size=17))
def test_every_made_code_has_a_true_check_digit(body: str) -> None:
    check_uscc(uscc_of(body))


@given(st.sampled_from(USCCS), st.integers(0, 17), st.sampled_from(CHARACTERS))
def test_one_wrong_character_of_a_uscc_is_found(uscc: str, place: int, other: str) -> None:
    if uscc[place] == other:
        return
    with pytest.raises(CheckDigitWrong) as caught:
        check_uscc(uscc[:place] + other + uscc[place + 1 :])
    assert caught.value.violations[0][0] == "uscc"


@given(st.sampled_from(LEIS), st.integers(0, 19), st.sampled_from("0123456789"))
def test_one_wrong_digit_of_an_lei_is_found(lei: str, place: int, other: str) -> None:
    if not lei[place].isdigit() or lei[place] == other:
        return
    with pytest.raises(CheckDigitWrong) as caught:
        check_lei(lei[:place] + other + lei[place + 1 :])
    assert caught.value.violations[0][0] == "lei"


@given(st.sampled_from(LEIS), st.integers(0, 17))
def test_two_neighbouring_digits_of_an_lei_that_changed_places_are_found(
    lei: str, place: int
) -> None:
    pair = lei[place : place + 2]
    if not pair.isdigit() or pair[0] == pair[1]:
        return
    with pytest.raises(CheckDigitWrong):
        check_lei(lei[:place] + lei[place + 1] + lei[place] + lei[place + 2 :])
