"""What finance does while the model of the values drifts: a wider haircut, then no offers."""

from ironloop.valuation.v1 import valuation_events_pb2

from services.finance.policy_model import Terms
from services.kit.connection import Connection
from services.kit.errors import PreconditionFailed
from services.kit.transaction import Transaction

WIDENS_FROM = 1
STOPS_FROM = 2


class DriftStopsOffers(PreconditionFailed):
    """The model of the values drifts so far that nothing is lent on them automatically."""

    reason = "DRIFT_STOPS_OFFERS"

    def __init__(self, equipment_class: str, level: int) -> None:
        super().__init__(
            f"the values of {equipment_class} are under drift alarm {level}; nothing is offered on "
            "them automatically",
            equipment_class=equipment_class,
        )


async def note_alarm(tx: Transaction, alarm: valuation_events_pb2.DriftAlarm) -> None:
    """Keep the alarm of a segment; level 0 ends it."""
    await tx.connection.execute("delete from drift_alarm where segment = $1", alarm.segment)
    if alarm.level:
        await tx.connection.execute(
            """
            insert into drift_alarm (segment, equipment_class, level)
            select $1, unnest($2::text[]), $3
            """,
            alarm.segment,
            sorted(set(alarm.equipment_classes)),
            alarm.level,
        )


async def level_of(connection: Connection, equipment_class: str) -> int:
    """Return the highest alarm that a class of machines is under; 0: none."""
    level: int = await connection.fetchval(
        "select coalesce(max(level), 0) from drift_alarm where equipment_class = $1",
        equipment_class,
    )
    return level


def terms_under(terms: Terms, level: int, *, equipment_class: str) -> Terms:
    """Return the terms that hold for a class of machines under an alarm.

    Raises:
        DriftStopsOffers: The alarm is too high.
    """
    if level >= STOPS_FROM:
        raise DriftStopsOffers(equipment_class, level)
    return terms.widened() if level >= WIDENS_FROM else terms
