"""What finance does while the model of the values drifts: a wider haircut, then no offers."""

from services.finance.errors import DriftStopsOffers
from services.finance.policy_model import Terms

WIDENS_FROM = 1
STOPS_FROM = 2


def terms_under(terms: Terms, level: int, *, equipment_class: str) -> Terms:
    """Return the terms that hold for a class of machines under an alarm.

    Raises:
        DriftStopsOffers: The alarm is too high.
    """
    if level >= STOPS_FROM:
        raise DriftStopsOffers(equipment_class, level)
    return terms.widened() if level >= WIDENS_FROM else terms
