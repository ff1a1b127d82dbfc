"""DM1, the message of active faults of SAE J1939-73. Pure.

Byte 1 holds two bits a lamp (MIL, red stop, amber, protect from the top), byte 2 their flashing;
then each code has four bytes: SPN bits 1–8, 9–16, three bits 17–19 with the FMI below them, and
one bit of conversion method (0: this layout, version 4) with the occurrence count below it.
"""

from dataclasses import dataclass

from services.maintenance.fault_model import Lamp

HEADER_BYTES = 2
CODE_BYTES = 4
CODES_MAX = 500  # a transport-protocol message of J1939 has at most 1,785 bytes
COUNT_UNKNOWN = 127

_LAMPS = ((6, Lamp.MALFUNCTION), (4, Lamp.RED_STOP), (2, Lamp.AMBER_WARNING), (0, Lamp.PROTECT))
_ON = 0b01


class Dm1Unreadable(ValueError):
    """A payload is no DM1 message; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class TroubleCode:
    """One active code; a count of 0 is unknown."""

    spn: int
    fmi: int
    count: int


def decode_dm1(payload: bytes) -> tuple[tuple[Lamp, ...], tuple[TroubleCode, ...]]:
    """Return the lamps that are lit and the codes that are active.

    Raises:
        Dm1Unreadable: The payload has a length that no DM1 has, or an old conversion method.
    """
    body = len(payload) - HEADER_BYTES
    if body < CODE_BYTES or body > CODES_MAX * CODE_BYTES:
        raise Dm1Unreadable(f"has {len(payload)} bytes; a DM1 has 6 to {CODES_MAX * 4 + 2:,}")
    lamps = tuple(lamp for shift, lamp in _LAMPS if payload[0] >> shift & 0b11 == _ON)
    codes = []
    # A frame of eight bytes is filled up with 0xFF behind its only code.
    for start in range(HEADER_BYTES, len(payload) - CODE_BYTES + 1, CODE_BYTES):
        low, middle, high, count = payload[start : start + CODE_BYTES]
        spn, fmi = low | middle << 8 | high >> 5 << 16, high & 0b11111
        if (spn, fmi) == (0, 0) or payload[start : start + CODE_BYTES] == b"\xff" * CODE_BYTES:
            continue  # nothing is active
        if count >> 7:
            raise Dm1Unreadable(f"SPN {spn} has a conversion method before version 4")
        codes.append(TroubleCode(spn, fmi, 0 if count == COUNT_UNKNOWN else count))
    return lamps, tuple(codes)
