"""What the closed loop costs: telemetry in, bids on one lot, and events on their way.

Each part has servers of its own, one after the other: `make bench ONLY=loop`.
"""

from infra.bench import bids, kit, telemetry
from infra.bench.report import Figure

EVENTS_PER_SECOND = 200.0


async def measure() -> list[Figure]:
    """Measure everything; takes about four minutes."""
    return [
        *await telemetry.measure(),
        *await bids.measure(),
        *await kit.measure_events(per_second=EVENTS_PER_SECOND),
    ]
