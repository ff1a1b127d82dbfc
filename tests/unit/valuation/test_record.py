"""The record: canonical, complete, and recomputed to the same bytes."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from services.valuation.appraisal import Valuer
from services.valuation.model import Specification
from services.valuation.record import (
    appraisal_from_json,
    differences,
    inputs_from_json,
    make_record,
    recompute,
    sha256_of,
)
from tests.unit.valuation.machines import EXCAVATOR, KNOWN, inputs_of, read_valuer

REQUEST = {"valuation": "valuations/x", "party": "parties/y", "machine": ""}


def record_of(valuer: Valuer, specification: Specification = EXCAVATOR) -> bytes:
    inputs = inputs_of(specification)
    appraisal, prediction = valuer.appraise(inputs)
    return make_record(valuer, inputs, appraisal, prediction, request=REQUEST)


def test_a_record_recomputes_to_the_same_bytes(valuer: Valuer) -> None:
    for machine in (EXCAVATOR, KNOWN):
        record = record_of(valuer, machine)
        assert recompute(valuer, record) == record
        assert differences(record, recompute(valuer, record)) == []


@settings(max_examples=30, deadline=None)
@given(make=st.text(max_size=20), model=st.text(max_size=20))
def test_any_text_survives_the_record(make: str, model: str) -> None:
    valuer = read_valuer()
    inputs = inputs_of(make=make, model=model)
    appraisal, prediction = valuer.appraise(inputs)
    content = json.loads(make_record(valuer, inputs, appraisal, prediction, request=REQUEST))
    assert inputs_from_json(content["inputs"]) == inputs
    assert appraisal_from_json(content["output"]) == appraisal


def test_a_record_is_canonical_and_names_what_made_it(valuer: Valuer) -> None:
    record = record_of(valuer)
    content = json.loads(record)
    assert record == json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    assert content["versions"]["model_sha256"] == valuer.model.sha256
    assert content["versions"]["policy_sha256"] == valuer.policy.sha256
    assert content["versions"]["libraries"].keys() == {"python", "lightgbm", "numpy"}
    assert content["features"]["age_years"].startswith("5.45")
    assert content["request"] == REQUEST


def test_a_difference_names_its_place(valuer: Valuer) -> None:
    record = record_of(valuer)
    content = json.loads(record)
    content["output"]["values_fen"]["flv"]["q50"] += 1
    content["output"]["grade_rules"].pop()
    content["added"] = True
    changed = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    kept = content["output"]["values_fen"]["flv"]["q50"]
    found = differences(changed, record)
    assert ("/output/values_fen/flv/q50", str(kept), str(kept - 1)) in found
    assert ("/added", "true", "") in found
    assert {path for path, _, _ in found} == {
        "/added",
        "/output/grade_rules",
        "/output/values_fen/flv/q50",
    }


def test_bytes_that_are_not_canonical_differ_though_their_content_agrees(valuer: Valuer) -> None:
    record = record_of(valuer)
    spaced = json.dumps(json.loads(record), sort_keys=True).encode()
    assert sha256_of(spaced) != sha256_of(record)
    assert differences(spaced, record) == [("", "not canonical", "canonical")]
