"""How much one debtor may stand for: of a facility, or of all that a funder holds outside them."""

from collections.abc import Sequence

from services.finance import concentration_store
from services.finance.errors import ConcentrationExceeded
from services.finance.facility_model import Facility
from services.finance.policy_model import Parameter, Terms
from services.finance.receivable_model import Receivable
from services.finmath.money import share_of
from services.kit.transaction import Transaction
from services.kit.wire import FEN_PER_UNIT


async def check_facility(
    tx: Transaction, facility: Facility, run: Sequence[Receivable], *, terms: Terms
) -> None:
    """Check that a debtor stays within its share of a locked facility's limit.

    Raises:
        ConcentrationExceeded: It does not.
    """
    debtor = run[0].debtor
    owed_fen = await concentration_store.facility_exposure_fen(tx.connection, facility.id, debtor)
    share_fen = owed_fen + sum(line.amount_fen for line in run)
    allowed_fen = share_of(facility.limit_fen, terms[Parameter.DEBTOR_CONCENTRATION_MAX])
    if share_fen > allowed_fen:
        raise ConcentrationExceeded(
            debtor, amount_fen=share_fen, allowed_fen=allowed_fen, of=facility.name
        )


async def check_portfolio(
    tx: Transaction, funder: str, run: Sequence[Receivable], *, terms: Terms
) -> None:
    """Check that a debtor stays within its share of what a funder holds outside any facility.

    The share is taken of the portfolio with the run in it, or of the policy's amount where that is
    more: a portfolio that begins would otherwise be all of its first debtor's.

    Raises:
        ConcentrationExceeded: It does not.
    """
    debtor = run[0].debtor
    await concentration_store.lock_portfolio(tx.connection, funder)
    held = await concentration_store.portfolio_fen(tx.connection, funder, debtor)
    run_fen = sum(line.amount_fen for line in run)
    least_fen = int(terms[Parameter.PORTFOLIO_CONCENTRATION_FROM] * FEN_PER_UNIT)
    whole_fen = max(held.whole_fen + run_fen, least_fen)
    allowed_fen = share_of(whole_fen, terms[Parameter.PORTFOLIO_CONCENTRATION_MAX])
    share_fen = held.debtor_fen + run_fen
    if share_fen > allowed_fen:
        raise ConcentrationExceeded(
            debtor, amount_fen=share_fen, allowed_fen=allowed_fen, of=f"the portfolio of {funder}"
        )
