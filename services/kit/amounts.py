"""How an amount is written for people."""

from services.kit.wire import FEN_PER_UNIT


def yuan(amount_fen: int) -> str:
    """Return an amount of fen as a sentence says it, for example "24,066.45"."""
    units, fen_left = divmod(abs(amount_fen), FEN_PER_UNIT)
    return f"{'-' if amount_fen < 0 else ''}{units:,}.{fen_left:02d}"
