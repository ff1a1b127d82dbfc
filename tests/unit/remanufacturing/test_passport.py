"""A passport's chain: what is intact is taken, and whatever is changed is found at its entry."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remanufacturing import passport_file
from services.remanufacturing.passport_model import (
    START,
    Entry,
    canonical,
    document_of,
    next_entry,
)
from services.remanufacturing.passport_proof import verify
from tests.unit.remanufacturing.components import AT

SUBJECT = "units/0190a0a0-0000-7000-8000-000000000001"
FACTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("CORE_QUEUED", {"identity": {"component": "ENGINE", "make": "长沙"}}, {"coreReturn": "x"}),
    ("TEST", {"passed": True, "measurements": [{"code": "POWER", "value": "205.5"}]}, {}),
    ("CERTIFICATION", {"savings": {"co2Kg": "12"}}, {"certifier": "users/1"}),
    ("INSTALLED", {"machine": "machines/1"}, {"workOrder": "workOrders/7"}),
]


def chain(facts: list[tuple[str, dict[str, Any], dict[str, Any]]] = FACTS) -> list[Entry]:
    entries: list[Entry] = []
    for kind, public, private in facts:
        entries.append(
            next_entry(
                SUBJECT,
                number=len(entries) + 1,
                previous_sha256=entries[-1].sha256 if entries else START,
                kind=kind,
                at=AT + timedelta(hours=len(entries)),
                public=public,
                private=private,
                salt=f"salt {len(entries)}",
            )
        )
    return entries


def document(*, owners: bool) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(document_of(SUBJECT, chain(), shows_private=owners))
    return read


@pytest.mark.parametrize("owners", [True, False])
def test_a_passport_as_it_was_given_out_is_intact(owners: bool) -> None:
    verdict = verify(document_of(SUBJECT, chain(), shows_private=owners))
    assert verdict.is_intact, verdict.problem
    assert verdict.entry_count == len(FACTS)
    assert verdict.head_sha256 == chain()[-1].sha256


def test_both_views_prove_one_chain_and_the_public_one_tells_nothing_private() -> None:
    public = document_of(SUBJECT, chain(), shows_private=False)
    assert verify(public).head_sha256 == verify(json.dumps(document(owners=True))).head_sha256
    for private in ("workOrders/7", "users/1", "salt", "coreReturn"):
        assert private not in public


def test_the_summary_is_told_from_the_entries() -> None:
    shown = document(owners=False)
    assert shown["identity"] == {"component": "ENGINE", "make": "长沙"}
    assert shown["savings"] == [{"co2Kg": "12"}]
    assert shown["@type"] == "ComponentPassport"


def test_layout_and_order_of_keys_do_not_matter() -> None:
    other = json.dumps(document(owners=True), sort_keys=True, ensure_ascii=True)
    assert verify(other.encode()).is_intact


def _set(number: int, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(shown: dict[str, Any]) -> None:
        shown["entries"][number - 1][key] = value

    return change


def _drop(number: int) -> Callable[[dict[str, Any]], None]:
    return lambda shown: shown["entries"].pop(number - 1)


def _swap(shown: dict[str, Any]) -> None:
    entries = shown["entries"]
    entries[1], entries[2] = entries[2], entries[1]


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (_set(2, "public", {"passed": True, "measurements": []}), 2),
        (_set(2, "public", {"passed": 1, "measurements": FACTS[1][1]["measurements"]}), 2),
        (_set(3, "time", "2026-01-01T00:00:00.000+00:00"), 3),
        (_set(3, "kind", "TEST"), 3),
        (_set(3, "private", {"certifier": "users/2"}), 3),
        (_set(3, "salt", "another"), 3),
        (_set(1, "privateSha256", "0" * 64), 1),
        (_set(4, "number", 5), 4),
        (_set(4, "number", True), 4),
        (_set(2, "extra", 1), 2),
        (_set(2, "sha256", 7), 2),
        (_drop(1), 1),
        (_drop(2), 2),
        (_swap, 2),
        (lambda shown: shown["entries"].insert(0, copy.deepcopy(shown["entries"][0])), 2),
        (lambda shown: shown.__setitem__("subject", "units/another"), 1),
        (lambda shown: shown["entries"].__setitem__(2, "nothing"), 3),
        (_drop(4), 0),
        (lambda shown: shown.__setitem__("head", "0" * 64), 0),
        (lambda shown: shown.__setitem__("identity", {}), 0),
        (lambda shown: shown.__setitem__("savings", []), 0),
        (lambda shown: shown.pop("components"), 0),
        (lambda shown: shown.__setitem__("@context", {}), 0),
    ],
)
def test_what_was_changed_is_found_at_its_entry(
    change: Callable[[dict[str, Any]], None], entry: int
) -> None:
    shown = document(owners=True)
    change(shown)
    verdict = verify(json.dumps(shown))
    assert not verdict.is_intact
    assert verdict.broken_entry == entry, verdict.problem


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        '{"subject": "x", "entries": []}',
        '{"subject": "x", "subject": "y", "entries": [{}]}',
        '{"subject": "\\ud800", "entries": [{"number": 1, "kind": "\\ud800", "time": "", '
        '"public": {}, "privateSha256": "", "previousSha256": "' + START + '", "sha256": ""}]}',
        '{"a": NaN}',
        '{"a": 1.5}',
        '{"a": ' + "9" * 10_000 + "}",
        b"\xff\xfe{",
    ],
)
def test_rubbish_is_broken_and_nothing_worse(text: str | bytes) -> None:
    verdict = verify(text)
    assert not verdict.is_intact
    assert verdict.problem


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=8,
)


@given(public=st.dictionaries(st.text("xyz", min_size=1, max_size=3), _JSON, max_size=4))
def test_whatever_the_facts_are_their_chain_survives_json(public: dict[str, Any]) -> None:
    entries = chain([("ANYTHING", public, public), *FACTS])
    assert verify(document_of(SUBJECT, entries, shows_private=True)).is_intact
    assert canonical(json.loads(canonical(public))) == canonical(public)


def test_the_command_says_intact_or_the_first_broken_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(document_of(SUBJECT, chain(), shows_private=False))
    shown = document(owners=False)
    shown["entries"][2]["time"] = "2020-01-01T00:00:00.000+00:00"
    bad.write_text(json.dumps(shown))
    assert passport_file.main([str(good)]) == 0
    assert "intact: 4 entries" in capsys.readouterr().out
    assert passport_file.main([str(bad)]) == 1
    assert "BROKEN: entry 3" in capsys.readouterr().err
    assert passport_file.main([str(tmp_path / "none.json")]) == 1


def test_the_command_needs_no_settings_and_no_server(tmp_path: Path) -> None:
    file = tmp_path / "passport.json"
    file.write_text(document_of(SUBJECT, chain(), shows_private=False).replace("205.5", "295.5"))
    checked = subprocess.run(
        [sys.executable, "-m", "services.remanufacturing", passport_file.COMMAND, str(file)],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1
    assert "entry 2" in checked.stderr
