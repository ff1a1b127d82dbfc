"""The parties service's events on a real broker."""

from tests.support.world import World


async def test_what_is_registered_leaves_the_outbox(kafka_world: World) -> None:
    await kafka_world.party("SELLER")
    await kafka_world.until_at_rest()
    database = kafka_world.running["parties"].runtime.database
    async with database.read() as connection:
        assert await connection.fetchval("select count(*) from outbox") == 0
