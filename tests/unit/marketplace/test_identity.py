"""How a machine's number is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.marketplace.errors import PinForm
from services.marketplace.identity import (
    CheckStatus,
    IdScheme,
    has_form,
    identify,
    vin_check_character,
)


@pytest.mark.parametrize(
    ("pin", "scheme", "status"),
    [
        ("1M8GDM9AXKP042788", IdScheme.VIN, CheckStatus.PASSED),  # 49 CFR 565's own example
        ("11111111111111111", IdScheme.VIN, CheckStatus.PASSED),
        ("CAT0320DVBWZ01234", IdScheme.ISO10261, CheckStatus.UNCHECKED),  # a letter in place 9
        ("cat0320dvbwz01234", IdScheme.ISO10261, CheckStatus.UNCHECKED),
        ("CAT 0320D VBWZ01234", IdScheme.ISO10261, CheckStatus.UNCHECKED),
        ("1M8GDM9A1KP042788", IdScheme.OEM_LEGACY, CheckStatus.UNCHECKED),  # fits neither
        ("CAT0320DVBWZ0123", IdScheme.OEM_LEGACY, CheckStatus.UNCHECKED),  # 16 characters
        ("CATO320DVBWZ01234", IdScheme.OEM_LEGACY, CheckStatus.UNCHECKED),  # an O
        ("4WG01234", IdScheme.OEM_LEGACY, CheckStatus.UNCHECKED),
        ("", IdScheme.OEM_LEGACY, CheckStatus.UNCHECKED),
    ],
)
def test_an_unstated_scheme_is_read_from_the_form(
    pin: str, scheme: IdScheme, status: CheckStatus
) -> None:
    identity = identify(pin=pin, serial_number="S1", scheme=None)
    assert (identity.scheme, identity.check_status) == (scheme, status)


@pytest.mark.parametrize(
    ("pin", "scheme", "status"),
    [
        ("1M8GDM9A1KP042788", IdScheme.VIN, CheckStatus.FAILED),
        ("1M8GDM9A1KP042788", IdScheme.ISO10261, CheckStatus.FAILED),  # no letter in place 9
        ("CAT0320DVBWZ01234", IdScheme.ISO10261, CheckStatus.UNCHECKED),
        ("1M8GDM9AXKP042788", IdScheme.OEM_LEGACY, CheckStatus.UNCHECKED),
    ],
)
def test_a_stated_scheme_is_checked_and_a_failed_check_refuses_nothing(
    pin: str, scheme: IdScheme, status: CheckStatus
) -> None:
    assert identify(pin=pin, serial_number="", scheme=scheme).check_status is status


@pytest.mark.parametrize("scheme", [IdScheme.ISO10261, IdScheme.VIN])
@pytest.mark.parametrize("pin", ["", "SHORT", "CATO320DVBWZ01234", "CAT0320DVBWZ012345"])
def test_a_stated_scheme_needs_its_seventeen_characters(pin: str, scheme: IdScheme) -> None:
    with pytest.raises(PinForm):
        identify(pin=pin, serial_number="S1", scheme=scheme)


@given(st.text(max_size=40))
def test_no_number_of_the_makers_own_is_ever_refused(number: str) -> None:
    for scheme in (None, IdScheme.OEM_LEGACY):
        assert identify(pin=number, serial_number=number, scheme=scheme).scheme in IdScheme


@given(st.text(alphabet="0123456789ABCDEFGHJKLMNPRSTUVWXYZ", min_size=17, max_size=17))
def test_a_vin_passes_with_its_own_check_character_only(vin: str) -> None:
    right = vin_check_character(vin)
    passed = [
        check
        for check in "0123456789X"
        if identify(
            pin=vin[:8] + check + vin[9:], serial_number="", scheme=IdScheme.VIN
        ).check_status
        is CheckStatus.PASSED
    ]
    assert has_form(vin)
    assert passed == [right]
