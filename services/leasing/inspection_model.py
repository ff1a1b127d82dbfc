"""The inspection of a returned machine: its findings, and how the deposit meets the charges."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.kit.amounts import yuan
from services.kit.errors import InvalidArgument
from services.leasing.papers import DamageLine

CHARGE_FEN_MAX = 10**11  # a billion yuan, above any machine: a typing error beyond it


@dataclass(frozen=True, slots=True)
class DepositSplit:
    """A deposit against charges, in fen; the three parts of the deposit sum to it.

    Attributes:
        charged_fen: Kept for the charges.
        held_fen: Kept back for what is owed on instalments, until the lease is closed.
        refund_fen: Given back to the lessee.
        short_fen: Of the charges, what the deposit does not cover.
    """

    charged_fen: int
    held_fen: int
    refund_fen: int
    short_fen: int


def check_lines(lines: Sequence[DamageLine]) -> None:
    """Check findings: beyond fair wear charge and evidence are needed, within it no charge is made.

    Raises:
        InvalidArgument: One is not so; names the field.
    """
    for place, line in enumerate(lines):
        if line.fair_wear and line.charge_fen:
            raise InvalidArgument(f"lines[{place}].charge", "must be absent within fair wear")
        if not line.fair_wear and not line.charge_fen:
            raise InvalidArgument(f"lines[{place}].charge", "is needed beyond fair wear")
        if not line.fair_wear and not line.evidence:
            raise InvalidArgument(f"lines[{place}].evidence", "is needed beyond fair wear")
        if line.charge_fen > CHARGE_FEN_MAX:
            limit = f"must not exceed {yuan(CHARGE_FEN_MAX)} CNY"
            raise InvalidArgument(f"lines[{place}].charge", limit)


def split_deposit(deposit_fen: int, *, charges_fen: int, owed_fen: int) -> DepositSplit:
    """Set a deposit against charges, hold back what is owed on instalments, refund the rest."""
    charged_fen = min(deposit_fen, charges_fen)
    held_fen = min(deposit_fen - charged_fen, owed_fen)
    return DepositSplit(
        charged_fen=charged_fen,
        held_fen=held_fen,
        refund_fen=deposit_fen - charged_fen - held_fen,
        short_fen=charges_fen - charged_fen,
    )
