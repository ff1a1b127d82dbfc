"""How a machine's number is read: its scheme, and whether its check character fits.

ISO 10261 (GB/T 25606) has a check letter whose algorithm is not public and from which makers
diverge, so it is recorded as unchecked; a serial number of the maker's own is never refused.
"""

from dataclasses import dataclass
from enum import StrEnum

from services.marketplace.errors import PinForm

LENGTH = 17
CHECK_POSITION = 9  # counted from 1, in ISO 10261 and in ISO 3779
_ALPHABET = frozenset("0123456789ABCDEFGHJKLMNPRSTUVWXYZ")  # without I, O and Q
# ISO 3779 / 49 CFR 565.15: what each letter counts, and the weight of each place.
_VIN_VALUES = {str(digit): digit for digit in range(10)} | dict(
    zip(
        "ABCDEFGHJKLMNPRSTUVWXYZ",
        (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9),
        strict=True,
    )
)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


class IdScheme(StrEnum):
    """The standard under which a number was made."""

    ISO10261 = "ISO10261"
    OEM_LEGACY = "OEM_LEGACY"
    VIN = "VIN"


class CheckStatus(StrEnum):
    """What is known of a number's check character."""

    UNCHECKED = "UNCHECKED"
    PASSED = "PASSED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Identity:
    """A machine's numbers, as registered.

    Attributes:
        pin: Upper case, without blanks, or None.
        serial_number: As the maker writes it, or None.
    """

    scheme: IdScheme
    check_status: CheckStatus
    pin: str | None
    serial_number: str | None

    @property
    def label(self) -> str:
        """The number by which people know it."""
        return self.pin or self.serial_number or ""


def identify(*, pin: str, serial_number: str, scheme: IdScheme | None) -> Identity:
    """Return the identity that the numbers give; a scheme of None is read from their form.

    Raises:
        PinForm: The stated scheme is ISO10261 or VIN and the PIN has not its 17 characters.
    """
    kept = "".join(pin.split()).upper()
    scheme = scheme or _scheme_of(kept)
    return Identity(scheme, _check(kept, scheme), kept or None, serial_number.strip() or None)


def has_form(pin: str) -> bool:
    """Whether a PIN has the form that ISO 10261 and ISO 3779 share."""
    return len(pin) == LENGTH and _ALPHABET.issuperset(pin)


def vin_check_character(vin: str) -> str:
    """Return the check character that belongs to a VIN (ISO 3779, modulo 11)."""
    total = sum(
        weight * _VIN_VALUES[character] for weight, character in zip(_VIN_WEIGHTS, vin, strict=True)
    )
    return "0123456789X"[total % 11]


def _scheme_of(pin: str) -> IdScheme:
    if not has_form(pin):
        return IdScheme.OEM_LEGACY
    check = pin[CHECK_POSITION - 1]
    if check == vin_check_character(pin):
        return IdScheme.VIN
    return IdScheme.ISO10261 if check.isalpha() else IdScheme.OEM_LEGACY


def _check(pin: str, scheme: IdScheme) -> CheckStatus:
    if scheme is IdScheme.OEM_LEGACY:
        return CheckStatus.UNCHECKED
    if not has_form(pin):
        raise PinForm(pin, scheme.value)
    check = pin[CHECK_POSITION - 1]
    if scheme is IdScheme.VIN:
        fits = check == vin_check_character(pin)
        return CheckStatus.PASSED if fits else CheckStatus.FAILED
    return CheckStatus.UNCHECKED if check.isalpha() else CheckStatus.FAILED
