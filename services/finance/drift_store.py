"""All SQL of the alarms under which the model of the values stands."""

from collections.abc import Sequence

from services.kit.connection import Connection


async def set_alarm(
    connection: Connection, segment: str, equipment_classes: Sequence[str], *, level: int
) -> None:
    """Keep the alarm of a segment for each of its classes; level 0 ends it."""
    await connection.execute("delete from drift_alarm where segment = $1", segment)
    if level:
        await connection.execute(
            """
            insert into drift_alarm (segment, equipment_class, level)
            select $1, unnest($2::text[]), $3
            """,
            segment,
            sorted(set(equipment_classes)),
            level,
        )


async def level_of(connection: Connection, equipment_class: str) -> int:
    """Return the highest alarm that a class of machines is under; 0: none."""
    level: int = await connection.fetchval(
        "select coalesce(max(level), 0) from drift_alarm where equipment_class = $1",
        equipment_class,
    )
    return level
