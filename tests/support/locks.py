"""Rows held by a transaction of the test's, so that a service stands where the test needs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg


@asynccontextmanager
async def row_held(dsn: str, query: str, *arguments: object) -> AsyncIterator[None]:
    """Hold a row's lock for the length of the block, as another transaction would."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            assert await connection.fetch(f"{query} for update", *arguments)
            yield
    finally:
        await connection.close()
