"""Portfolios, batches and proofs between the contract and Python."""

import math
from collections.abc import Sequence

from ironloop.valuation.v1 import portfolios_pb2, valuation_pb2

from services.kit import wire
from services.kit.ids import name
from services.valuation.batch_store import Batch
from services.valuation.messages import nowcast_to_wire
from services.valuation.portfolio import Scored
from services.valuation.portfolio_grades import QUANTILE_COUNT
from services.valuation.portfolio_rows import Rows
from services.valuation.roots import SignedRoot

pb = portfolios_pb2

_CONDITIONS = {
    number: "" if not number else text.removeprefix("CONDITION_")
    for text, number in valuation_pb2.Condition.items()
}
_GRADES = {text.removeprefix("GRADE_"): number for text, number in valuation_pb2.Grade.items()}


def rows_from_wire(rows: Sequence[pb.PortfolioRow]) -> Rows:
    """Return a request's rows by column."""
    return Rows(
        reference=[row.reference for row in rows],
        make=[row.make for row in rows],
        model=[row.model for row in rows],
        equipment_class=[row.equipment_class for row in rows],
        build_year=[row.build_year for row in rows],
        hours_meter=[row.hours_meter if row.HasField("hours_meter") else math.nan for row in rows],
        replacement_cost_fen=[row.replacement_cost_fen for row in rows],
        condition=[_CONDITIONS[row.condition] for row in rows],
        maintenance_compliance=[
            row.maintenance_compliance if row.HasField("maintenance_compliance") else math.nan
            for row in rows
        ],
        open_stop_faults=[
            row.open_stop_faults if row.HasField("open_stop_faults") else -1 for row in rows
        ],
    )


def valued_rows(rows: Rows, scored: Scored, *, first: int) -> list[pb.ValuedRow]:
    """Return rows with their values as the contract shows them."""
    olv, flv = QUANTILE_COUNT, 2 * QUANTILE_COUNT
    shown = zip(
        rows.reference,
        scored.values.tolist(),
        scored.grades,
        scored.rules,
        scored.records,
        scored.errors,
        strict=True,
    )
    return [
        pb.ValuedRow(row=number, reference=reference, record_sha256=record, error=error)
        if error
        else pb.ValuedRow(
            row=number,
            reference=reference,
            fmv_fen=values[:olv],
            olv_fen=values[olv:flv],
            flv_fen=values[flv:],
            grade=_GRADES[grade],
            grade_rules=rules,
            record_sha256=record,
        )
        for number, (reference, values, grade, rules, record, error) in enumerate(
            shown, start=first
        )
    ]


def batch_to_wire(batch: Batch, root: SignedRoot) -> pb.Batch:
    """Return a batch as the contract shows it."""
    return pb.Batch(
        name=batch.name,
        party=batch.party,
        as_of=wire.date(batch.as_of),
        rows=batch.rows,
        errors=batch.errors,
        model=name("models", batch.model),
        policy=name("policies", batch.policy),
        root=root_to_wire(root),
        result_file=batch.result_file,
        result_sha256=batch.result_sha256,
        create_time=wire.instant(batch.create_time),
        nowcasts={group: nowcast_to_wire(own) for group, own in batch.nowcasts.items()},
    )


def root_to_wire(root: SignedRoot) -> pb.MerkleRoot:
    """Return a signed root as the contract shows it."""
    return pb.MerkleRoot(
        subject=root.subject,
        leaves=root.leaves,
        root=root.root,
        signature=root.signature,
        key_id=root.key_id,
        public_key=root.public_key,
    )
