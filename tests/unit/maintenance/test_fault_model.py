"""Codes, lamps and severities; DM1 messages from the bus."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.maintenance.fault_model import (
    FMI_MAX,
    SPN_MAX,
    FaultCode,
    Lamp,
    Severity,
    code_of,
    severity_of,
)
from services.maintenance.j1939 import Dm1Unreadable, decode_dm1


@pytest.mark.parametrize(
    ("identifier", "source", "code"),
    [
        ("SPN 100 FMI 1", None, FaultCode(100, 1)),
        ("spn:524287, fmi:31, sa:0", None, FaultCode(524_287, 31, 0)),
        ("SPN=110 FMI=0", "J1939 SA 3", FaultCode(110, 0, 3)),
        ("100-1", "J1939", FaultCode(100, 1)),
        ("100/1/49", "SAE J1939", FaultCode(100, 1, 49)),
        ("100-1", "Engine", FaultCode(oem_code="100-1")),
        ("SPN 524288 FMI 1", None, FaultCode(oem_code="SPN 524288 FMI 1")),
        ("SPN 100 FMI 32", None, FaultCode(oem_code="SPN 100 FMI 32")),
        ("SPN 100 FMI 1 SA 254", None, FaultCode(100, 1)),
        ("C-12", None, FaultCode(oem_code="C-12")),
    ],
)
def test_a_pages_identifier_is_a_j1939_code_or_the_makers_own(
    identifier: str, source: str | None, code: FaultCode
) -> None:
    assert code_of(identifier, source) == code


def test_codes_differ_by_what_j1939_tells_apart() -> None:
    keys = {
        FaultCode(100, 1, 0).key,
        FaultCode(100, 1, 3).key,
        FaultCode(100, 1).key,
        FaultCode(100, 2, 0).key,
        FaultCode(oem_code="100/1/0").key,
    }
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("word", "lamps", "severity"),
    [
        ("STOP", (), Severity.STOP),
        ("Red - stop engine", (), Severity.STOP),
        ("amber", (), Severity.WARN),
        ("info", (), Severity.INFO),
        ("low/critical", (), Severity.STOP),
        ("whatever", (), Severity.WARN),
        (None, (), Severity.WARN),
        ("info", (Lamp.RED_STOP,), Severity.STOP),
        ("stop", (Lamp.AMBER_WARNING,), Severity.WARN),
        (None, (Lamp.PROTECT, Lamp.MALFUNCTION), Severity.WARN),
        (None, (Lamp.MALFUNCTION,), Severity.INFO),
    ],
)
def test_severity_is_the_lamps_or_the_senders_word(
    word: str | None, lamps: tuple[Lamp, ...], severity: Severity
) -> None:
    assert severity_of(word, lamps) == severity


def test_a_message_of_one_code_is_filled_up() -> None:
    lamps, codes = decode_dm1(bytes.fromhex("14ff" + "6e000005" + "ffff"))
    assert lamps == (Lamp.RED_STOP, Lamp.AMBER_WARNING)
    assert [(code.spn, code.fmi, code.count) for code in codes] == [(110, 0, 5)]


@pytest.mark.parametrize("payload", ["", "00ff", "00ff640001", "00ff" + "64000181", "00" * 3_000])
def test_what_is_no_message_is_unreadable(payload: str) -> None:
    with pytest.raises(Dm1Unreadable):
        decode_dm1(bytes.fromhex(payload))


@given(
    st.sets(st.sampled_from(Lamp)),
    st.lists(
        st.tuples(st.integers(1, SPN_MAX), st.integers(0, FMI_MAX), st.integers(0, 126)),
        min_size=1,
        max_size=20,
    ),
)
def test_every_message_is_read_as_it_was_built(
    lit: set[Lamp], codes: list[tuple[int, int, int]]
) -> None:
    order = (Lamp.MALFUNCTION, Lamp.RED_STOP, Lamp.AMBER_WARNING, Lamp.PROTECT)
    first = sum((lamp in lit) << shift for lamp, shift in zip(order, (6, 4, 2, 0), strict=True))
    body = b"".join(
        bytes([spn & 0xFF, spn >> 8 & 0xFF, spn >> 16 << 5 | fmi, count])
        for spn, fmi, count in codes
    )
    lamps, read = decode_dm1(bytes([first, 0xFF]) + body)
    assert set(lamps) == lit
    assert [(code.spn, code.fmi, code.count) for code in read] == codes


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        _, codes = decode_dm1(payload)
    except Dm1Unreadable:
        return
    assert all(0 <= code.spn <= SPN_MAX and 0 <= code.fmi <= FMI_MAX for code in codes)
